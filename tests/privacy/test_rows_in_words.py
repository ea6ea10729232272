"""What a row is called in a shell, a log or a traceback: codes, numbers of ours and days, and nobody's name."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Model

from privacy.audit import AuditEvent, AuditLink, ChainFloor
from privacy.gate import AccessEntry
from privacy.models import AccessName
from privacy.registers import Acknowledgement
from privacy.restore.installation import Installation
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention.models import Decision, HeldValue, Hold
from privacy.subjects import Subject
from privacy.sweep.models import EndNotice, SweepState
from privacy.vault.models import Block, DataKey, KeystoreIdentity, Once, Token, Tombstone
from tests import factories

NUMBER, NOW, TODAY = UUID(int=7), factories.NOW, factories.TODAY
REFERENCE = "PR-2026-7K3M-9Q"

ROWS: dict[str, Model] = {
    "event 7: order.corrected": AuditEvent(pk=7, action="order.corrected", actor="somebody", reason="asked"),
    "link 7": AuditLink(position=7),
    "floor of audit: 7": ChainFloor(chain="audit", position=7),
    f"name {NUMBER}": AccessName(pk=NUMBER, subject_id=UUID(int=8)),
    f"3 openings by sales, {NOW:%Y-%m-%d %H:%M}": AccessEntry(count=3, role="sales", at=NOW, actor_id="somebody"),
    f"Confidentiality acknowledgement 2026, until {TODAY:%-d %B %Y}": Acknowledgement(
        kind="confidentiality", version="2026", expires_on=TODAY
    ),
    "00000000-0000-0000-0000-000000000001": Installation(installation=UUID(int=1)),
    f"keys {NUMBER}": LedgerCopy(kind="keys", entry=NUMBER),
    REFERENCE: LedgerCopy(kind="request", entry=NUMBER, reference=REFERENCE),
    "00000000-0000-0000-0000-000000000002": LedgerWaiting(entry=UUID(int=2)),
    "orders.order order: TAX": Decision(label="orders.order", envelope="order", code="TAX", record_id=NUMBER),
    "earlier value of orders.order": HeldValue(label="orders.order", record_id=NUMBER),
    "hold: a claim is made or expected": Hold(reason="claim", reference="12 O 34/26", label="orders.order"),
    f"subject {NUMBER}": Subject(pk=NUMBER),
    f"warning of {TODAY:%-d %B %Y}": EndNotice(given_on=TODAY, subject_id=NUMBER),
    "sweep, armed": SweepState(armed_at=NOW),
    "sweep, not armed": SweepState(),
    "block of email": Block(kind="email", value=b"secret"),
    "key of orders.order/order": DataKey(label="orders.order", envelope="order", record=NUMBER),
    "00000000-0000-0000-0000-000000000003": KeystoreIdentity(installation=UUID(int=3)),
    "requests": Once(step="requests"),
    "token of accounts.customer.email": Token(field="accounts.customer.email", value=b"secret"),
    "keys 7": Tombstone(kind="keys", seq=7),
    f"{REFERENCE}7": Tombstone(kind="request", seq=7, reference=f"{REFERENCE}7"),
}


def test_rows_are_called_by_codes_numbers_and_days() -> None:
    assert {str(row): said for said, row in ROWS.items()} == {said: said for said in ROWS}
