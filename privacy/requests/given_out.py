"""What has left the house of a copy: that somebody began to fetch it, and that it was fetched whole.

What must never happen: a copy that counts as given because somebody asked for it, although it broke off on the way;
one of which most had gone out that is told as not fetched. So both are lines of the audit, one before the first byte
and one after the last, and the number in the row decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from privacy import audit
from privacy.actor import Actor
from privacy.requests.models import Export, Request

BEGUN, FETCHED = "copy.begun", "copy.fetched"


def begin(request: Request, *, actor: Actor, now: datetime, via: str) -> None:
    """Write down that somebody begins to fetch the copy, in the caller's transaction, before the first byte."""
    _note(BEGUN, request, actor, now, via)


def fetched(request: Request, *, actor: Actor, now: datetime, via: str) -> None:
    """Write down that the copy was fetched, in the caller's transaction, after the last byte."""
    _note(FETCHED, request, actor, now, via)


def is_fetched(request: Request) -> bool:
    """Say whether by the audit a copy of this request was fetched whole: then it is answered."""
    return bool(audit.ours(audit.history(reference=request.reference).filter(action=FETCHED)))


def times(request: Request) -> int:
    """Return how often a copy of this request went out, wholly or in part: what nobody gets back."""
    begun = audit.ours(audit.history(reference=request.reference).filter(action=BEGUN))
    return max(len(begun), sum(request.exports.values_list("downloads", flat=True)))


def copies(found: Iterable[Export]) -> int:
    """Return how many of these copies went out, wholly or in part."""
    return sum(1 for one in found if one.downloads or times(one.request))


def _note(action: str, request: Request, actor: Actor, now: datetime, via: str) -> None:
    audit.record(
        action,
        actor=actor,
        now=now,
        subject=request.subject_id,
        reference=request.reference,
        reason=f"{via}: {actor.reason}" if actor.reason else via,
    )
