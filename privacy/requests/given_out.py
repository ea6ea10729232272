"""What has left the house of a copy: that somebody began to fetch it, and that it was fetched whole.

What must never happen: a copy that counts as given because somebody asked for it, although it broke off on the way;
one of which most had gone out that is told as not fetched. So both are lines of the audit, one before the first byte
and one after the last. The number in the row answers nothing, and can only make more of what went out, never less.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from privacy import audit
from privacy.actor import Actor
from privacy.requests import bound
from privacy.requests.models import Request

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
    """Return how often a copy of this request went out, wholly or in part: what nobody gets back. As many as any of the
    audit's two lines or the number in the row tells."""
    told = audit.ours(audit.history(reference=request.reference).filter(action__in=(BEGUN, FETCHED)))
    lines = Counter(one.action for one in told)
    return max(lines[BEGUN], lines[FETCHED], sum(request.exports.values_list("downloads", flat=True)))


def since(owner: UUID, at: datetime) -> int:
    """Return of how many requests that are a person's, by their rows or by the key store, a copy went out since, wholly
    or in part: by the audit, whatever rows of copies are there."""
    references = set(Request.objects.filter(bound.of_people([owner])).values_list("reference", flat=True))
    told = [*audit.of_references(BEGUN, references), *audit.of_references(FETCHED, references)]
    return len({reference for when, reference in told if when >= at})


def _note(action: str, request: Request, actor: Actor, now: datetime, via: str) -> None:
    audit.record(
        action,
        actor=actor,
        now=now,
        subject=request.subject_id,
        reference=request.reference,
        reason=f"{via}: {actor.reason}" if actor.reason else via,
    )
