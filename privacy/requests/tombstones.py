"""What the ledger keeps of a request that was carried out: the proof of an erasure, which a
restored backup is held against.

What must never happen: personal data in the ledger. Codes and dates stand in it, and keyed hashes
of the records that were kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privacy.requests.models import Request
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
