"""What the ledger keeps of a request that was carried out: the proof of an erasure, which a
restored backup is held against.

What must never happen: personal data in the ledger. Codes and dates stand in it, and keyed hashes
of the records that were kept. Nor that what somebody wrote into the ledger counts as this proof: such a request is
parked at this step and named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from privacy.requests import history
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import OPEN_STATES
from privacy.retention.models import Decision
from privacy.vault.keystore import ledger

DATES = ("received_on", "due_on", "legal_due_on")
WORDS = ("kind", "channel", "asked_by", "identity", "scope", "country", "region", "plan_hash")


def content(request: Request, decisions: Iterable[Decision]) -> dict[str, Any]:
    """Return what the ledger keeps of a request that was carried out with these decisions: codes and dates, of kept
    records their hashes."""
    return {
        **{name: getattr(request, name) for name in WORDS},
        **{name: getattr(request, name).isoformat() for name in DATES},
        "filed_at": request.filed_at.isoformat(),
        "kept": [
            {
                "record": ledger.pair_hash(one.record_id, one.envelope).hex(),
                "label": one.label,
                "envelope": one.envelope,
                "data": one.data,
                "code": one.code,
                "ground": one.ground,
                "authority": one.authority,
                "until": one.until.isoformat() if one.until else None,
                "overdue": one.overdue,
            }
            for one in decisions
            if one.action == Decision.Action.KEEP and one.done_at is None and one.record_id is not None
        ],
    }


def taken() -> list[UUID]:
    """Return the open requests in the place of whose proof the ledger has a line that the program did not write."""
    waiting = Request.objects.filter(state__in=OPEN_STATES)
    proved = RequestEvent.objects.filter(request__in=waiting, kind=history.STEP, step="tombstone")
    waiting = waiting.exclude(pk__in=proved.values("request"))
    by_reference = dict(waiting.order_by("pk").values_list("reference", "pk"))
    found = ledger.taken(list(by_reference))
    return [pk for reference, pk in by_reference.items() if reference in found]
