"""Whether a removal leaves the login for the time being, because something between the person and us is not finished.

What must never happen: a page that says that an account ends, to somebody who signs in to it the next day; or one that
tells of a removal that nobody asked for, because somebody planted a decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from privacy.requests import procedures
from privacy.requests.models import Request
from privacy.requests.states import UNDONE_STATES, WITHDRAWABLE_STATES
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict

CODE = "KEEP_CONTRACT"


def in_plan(kept: Iterable[Verdict]) -> bool:
    """Return whether a plan keeps the login until something is finished."""
    return any(one.label == _label() and one.code == CODE for one in kept)


def after(request: Request) -> bool:
    """Return whether the login stays after this removal, or would: by its decisions, as they stand; False for one that
    ended without having been done, after which nothing goes. One query."""
    return request.state not in UNDONE_STATES and bool(decided.ours(_decisions().filter(request=request)))


def until_finished(subject: UUID) -> Request | None:
    """Return the removal, begun or done, after which this person's login is still there; None without one. One
    query."""
    return _newest(_decisions().filter(request__owner_id=subject))


def removal_of(label: str, record: UUID) -> Request | None:
    """Return the removal, begun or done, that keeps this record until something is finished; None without one. One
    query."""
    return _newest(_decisions(label).filter(record_id=record))


def _newest(decisions: QuerySet[Decision]) -> Request | None:
    """Return the request, begun or done, of the newest binding one of these decisions that the site made."""
    found = decisions.filter(pinned=True).exclude(request__state__in=(*WITHDRAWABLE_STATES, *UNDONE_STATES))
    of_ours = (one.request for one in found.select_related("request").order_by("-pk") if decided.is_ours(one))
    return next(of_ours, None)


def _decisions(label: str = "") -> QuerySet[Decision]:
    """Return the decisions of removals that keep this kind of record until something is finished; whether the site made
    them, its reader asks."""
    kept = Decision.objects.filter(label=label or _label(), action=Decision.Action.KEEP, code=CODE, done_at=None)
    return kept.filter(request__kind__in=procedures.removing())


def _label() -> str:
    return str(get_user_model().vault_label)
