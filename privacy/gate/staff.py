"""Staff as actors: roles count only under a current confidentiality acknowledgement (P41)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from django.utils import timezone

from privacy import registers
from privacy.actor import MANAGER, STAFF_ROLES, Actor
from privacy.calendar import company_day


def staff_actor(
    *,
    id: UUID | str,
    subject: UUID | None,
    roles: Iterable[str],
    purpose: str = "admin",
    reason: str = "",
    today: date | None = None,
) -> Actor:
    """Return a member of staff as an actor; without a current acknowledgement, an actor without roles (P41).

    `roles` are names of groups, and "manager"; those the product does not know count for nothing.
    """
    known = (STAFF_ROLES | {MANAGER}).intersection(roles)
    if known and registers.current(subject, today=today or company_day(timezone.now())) is None:
        known = frozenset()
    return Actor(kind="staff", id=str(id), subject=subject, roles=known, purpose=purpose, reason=reason)
