"""Whether a removal leaves the login for the time being, because something between the person and us is not finished.

What must never happen: a page that says that an account ends, to somebody who signs in to it the next day.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from privacy.requests.models import Request
from privacy.requests.states import UNDONE_STATES, WITHDRAWABLE_STATES
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict

CODE = "KEEP_CONTRACT"


def in_plan(kept: Iterable[Verdict]) -> bool:
    """Return whether a plan keeps the login until something is finished."""
    return any(one.label == _label() and one.code == CODE for one in kept)


def after(request: Request) -> bool:
    """Return whether the login stays after this removal, or would: by its decisions, as they stand; False for one that
    ended without having been done, after which nothing goes. One query."""
    return request.state not in UNDONE_STATES and _decisions().filter(request=request).exists()


def until_finished(subject: UUID) -> Request | None:
    """Return the removal, begun or done, after which this person's login is still there; None without one. One
    query."""
    found = _decisions().filter(request__owner_id=subject).exclude(request__state__in=WITHDRAWABLE_STATES)
    decision = found.filter(pinned=True).select_related("request").order_by("-pk").first()
    return decision.request if decision is not None else None


def removal_of(label: str, record: UUID) -> Request | None:
    """Return the removal, begun or done, that keeps this record until something is finished; None without one. One
    query."""
    found = _decisions(label).filter(record_id=record, pinned=True).exclude(request__state__in=WITHDRAWABLE_STATES)
    decision = found.select_related("request").order_by("-pk").first()
    return decision.request if decision is not None else None


def _decisions(label: str = "") -> QuerySet[Decision]:
    return Decision.objects.filter(label=label or _label(), action=Decision.Action.KEEP, code=CODE, done_at=None)


def _label() -> str:
    return str(get_user_model().vault_label)
