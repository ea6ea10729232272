"""What is kept, and until when, against dates computed from the file itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date

import pytest
from django.db.models import Q

from accounts.models import Customer
from orders.models import Order
from privacy.gate.system import system, system_actor
from privacy.retention import rules
from privacy.retention.assess import assess
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly
from privacy.sweep.report import SweepReport
from tests import files
from tests.asked import facts_of
from tests.beginnings import beginning
from tests.figures import tries
from tests.journeys import asking, importing

pytestmark = pytest.mark.django_db
YEARS_KEPT = 7


def swept(on: date) -> SweepReport:
    actor = system_actor("sweep")
    with system("sweep"):
        return nightly.sweep(on=on, dry_run=False, actor=actor)


def sealed_orders(among: Iterable[str]) -> set[str]:
    """The orders of which anything can still be read."""
    readable = Q(sealed_order__isnull=False) | Q(sealed_fulfilment__isnull=False)
    return set(Order.objects.filter(readable, number__in=list(among)).values_list("number", flat=True))


def chosen() -> list[Customer]:
    """Whose erasure is carried out: everybody with ILT_ORACLE=all (a quarter of an hour), else two of each
    ship year, five in the report."""
    customers = Customer.objects.order_by("reference")
    if os.environ.get("ILT_ORACLE") == "all":
        return list(customers)
    by_year: dict[str, list[str]] = {}
    for row in files.rows(files.ORDERS):
        by_year.setdefault(row["shipped_on"][:4], []).append(row["customer_ref"])
    wanted = {reference for references in by_year.values() for reference in references[: tries(2, 5)]}
    return list(customers.filter(reference__in=wanted))


@beginning
def imported() -> dict[str, date]:
    """Everything of the files, and until when each order has to be kept by the file's own ship date."""
    importing.customers()
    importing.orders()
    return {
        row["order_number"]: date(int(row["shipped_on"][:4]) + YEARS_KEPT, 12, 31) for row in files.rows(files.ORDERS)
    }


def test_every_order_of_the_file_is_judged_as_its_ship_date_says(imported: dict[str, date]) -> None:
    today = asking.NOW.date()
    schedule = rules.load()
    facts = facts_of(Order.objects.with_owner())
    numbers = dict(Order.objects.values_list("pk", "number"))
    wrong = []
    for one in facts:
        until = imported[numbers[one.record_id]]
        found = {v.envelope: (v.action, v.until) for v in assess(one, schedule, frozenset(), today, asked=True)}
        invoice = ("keep", until) if until >= today else ("erase", None)
        if (found["order"][0], found["order"][1] if invoice[0] == "keep" else None) != invoice:
            wrong.append(numbers[one.record_id])
        if found["fulfilment"][0] != "erase":
            wrong.append(numbers[one.record_id])
    assert len(facts) == 59
    assert wrong == []
    assert set(imported.values()) >= {date(2025, 12, 31), date(2026, 12, 31), date(2031, 12, 31)}


def test_what_was_asked_for_goes_by_itself_when_its_day_has_come(imported: dict[str, date]) -> None:
    asked = chosen()
    own = dict(Order.objects.filter(customer__in=asked).values_list("pk", "number"))
    ends = {number: imported[number] for number in own.values()}
    past = {number for number, until in ends.items() if until < asking.NOW.date()}
    due_next = {number for number, until in ends.items() if until == date(2026, 12, 31)}
    assert len(past) >= 2
    assert len(due_next) >= 2

    for number, customer in enumerate(asked):
        if number % 4 == 0:
            importing.counted()
        asking.erase(customer)

    kept = Decision.objects.filter(label="orders.order", envelope="order", action="keep").values_list(
        "record_id", "until"
    )
    assert {own[record]: until for record, until in kept} == {n: until for n, until in ends.items() if n not in past}
    assert sealed_orders(ends) == set(ends) - past
    # What is kept is the invoice alone: where it was sent, and the person's account, are gone.
    assert not Order.objects.filter(number__in=ends, sealed_fulfilment__isnull=False).exists()
    assert not Customer.objects.filter(pk__in=[one.pk for one in asked], sealed_account__isnull=False).exists()

    arming.arm(actor=system_actor("sweep"))
    swept(date(2026, 12, 31))
    assert sealed_orders(ends) == set(ends) - past
    swept(date(2027, 1, 1))
    assert sealed_orders(ends) == set(ends) - past - due_next
    done = sorted(Decision.objects.values_list("pk", "done_at", "record_id"), key=str)
    swept(date(2027, 1, 1))  # twice is once
    assert sorted(Decision.objects.values_list("pk", "done_at", "record_id"), key=str) == done
    assert sealed_orders(ends) == set(ends) - past - due_next

    gone = Order.objects.filter(number__in=past | due_next)
    assert not gone.filter(customer__isnull=False).exists()
    assert gone.count() == len(past | due_next)  # amounts and products stay for statistics
