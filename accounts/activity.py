"""On which day customers and companies were last active, and that an account is kept because the person told us so
(P10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from django.db import connection, models

from accounts import records
from accounts.models import (
    Company,
    Customer,
)
from privacy.actor import require_another
from privacy.gate import Actor
from privacy.sweep import notices as endings


def touch(customers: Iterable[UUID], *, on: date) -> None:
    """Note that these customers were active on a day (an order, a return, a login, a message); an earlier one changes
    nothing."""
    ids, is_later = list(customers), models.Q(last_active_on=None) | models.Q(last_active_on__lt=on)
    Customer.objects.filter(is_later, pk__in=ids).update(last_active_on=on)
    companies = Customer.objects.filter(pk__in=ids, company__isnull=False).values("company")
    Company.objects.filter(is_later, pk__in=companies).update(last_active_on=on)


def touch_all(days: Mapping[UUID, date]) -> None:
    """Note the last day of activity of many customers and their companies, in two statements (imports)."""
    customer, company = Customer._meta.db_table, Company._meta.db_table
    later = "(t.last_active_on IS NULL OR t.last_active_on < seen.day)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {customer} t SET last_active_on = seen.day "  # noqa: S608 - table names only
            f"FROM unnest(%s::uuid[], %s::date[]) AS seen(id, day) WHERE t.id = seen.id AND {later}",
            [list(days), list(days.values())],
        )
        cursor.execute(
            f"UPDATE {company} t SET last_active_on = seen.day FROM ("  # noqa: S608 - table names only
            f"SELECT c.company_id AS id, max(u.day) AS day FROM unnest(%s::uuid[], %s::date[]) AS u(id, day) "
            f"JOIN {customer} c ON c.id = u.id WHERE c.company_id IS NOT NULL GROUP BY c.company_id"
            f") AS seen WHERE t.id = seen.id AND {later}",
            [list(days), list(days.values())],
        )


def keep_account(customer: Customer, *, reason: str, actor: Actor, now: datetime) -> None:
    """Keep an account that would end by itself, because the person told us so: its period starts again today (P10).

    `reason` says how they told us (endings.WAYS). Raises gate.Refused, endings.NoticeGone when its removal has begun,
    endings.CannotKeep after a request to remove it, AboutYourself for staff whose own it is: they say so in the portal.
    """
    require_another(actor, about=[customer.subject_id])
    records.require_write(actor, customer, ["account"])
    if customer.subject_id is None:
        raise endings.NoticeGone
    endings.keep_for(customer.subject_id, reason=reason, actor=actor, now=now)
