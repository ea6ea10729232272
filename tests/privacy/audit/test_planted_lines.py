"""What the program decides by the audit it decides by its own lines: one that somebody put there with the rights of the
application, or copied, says nothing. Beside each attack stands what the program's own line does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError

from accounts import vouching
from accounts.models import Customer, User
from privacy import audit
from privacy.audit.models import AuditEvent
from privacy.requests import proof
from tests import factories, roles
from tests.asked import NOW, PRIVACY

pytestmark = pytest.mark.django_db

COLUMNS = "at, action, actor_kind, actor, role, purpose, subject, label, record, fields, reason, reference, encoding"
LATER = NOW + timedelta(minutes=1)


def planted(where: str, *, is_copy: bool = False, **instead: str) -> None:
    """Append a line like one that is there, with the rights of the application."""
    told = ", ".join(f"'{instead[name]}'" if name in instead else name for name in COLUMNS.split(", "))
    own = "event, mac" if is_copy else "gen_random_uuid(), repeat('0', 64)"
    roles.run(
        f"INSERT INTO privacy_auditevent ({COLUMNS}, event, mac) SELECT {told}, {own} FROM privacy_auditevent"
        f" WHERE {where} LIMIT 1"
    )


def test_what_is_told_of_records_is_what_the_program_wrote() -> None:
    one = ("orders.order", 1)
    audit.record("record.corrected", actor=PRIVACY, now=NOW, record=one, fields=["invoice_name"], reason="asked")
    for action in ("record.corrected", "record.erased", "record.released"):
        planted("action = 'record.corrected'", action=action, fields='["ship_name"]', actor="somebody", reason="x")
    assert AuditEvent.objects.count() == 4
    assert audit.corrected([one]) == {one: {"invoice_name"}} and audit.told("record.erased", [one]) == {}
    assert audit.last(("record.corrected", "record.released"), [one]) == {one: ("record.corrected", "asked")}
    found = audit.doers(["record.corrected"], [one], kind="staff")
    assert found == [("record.corrected", ["invoice_name"], PRIVACY.id)]
    assert [one.reason for one in audit.ours(audit.history(record=one))] == ["asked"]


def test_a_planted_refusal_keeps_nobody_from_proving_who_they_are(alice: Customer) -> None:
    proof.code_compared(alice.subject_id, False, reference="PR-2026-0000-00", actor=PRIVACY, now=NOW)
    for _ in range(proof.MOST_REFUSED):
        planted(f"action = '{proof.REFUSED}'")
    with pytest.raises(IntegrityError):
        planted(f"action = '{proof.REFUSED}'", is_copy=True)
    proof.within_limit(alice.subject_id, now=LATER)
    for _ in range(proof.MOST_REFUSED - 1):
        proof.code_compared(alice.subject_id, False, reference="PR-2026-0000-00", actor=PRIVACY, now=NOW)
    with pytest.raises(proof.TooManyTries):
        proof.within_limit(alice.subject_id, now=LATER)


def test_a_planted_line_hides_no_login_that_was_refused() -> None:
    user: User = factories.login("bob", "bob@example.com")
    audit.record("login.made", actor=None, now=NOW, record=(User.vault_label, user.pk))
    planted("action = 'login.made'", action=vouching.REFUSED)
    told = AuditEvent.objects.filter(action=vouching.REFUSED)
    for count in (2, 2):
        vouching.refuse(user, now=LATER)
        assert told.count() == count, "once an hour"
