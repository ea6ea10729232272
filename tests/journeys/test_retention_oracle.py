"""Shown 3: what is kept, and until when, against dates computed from the file itself."""

from __future__ import annotations

from datetime import date

import pytest
from django.db.models import Q

from accounts.models import Customer
from orders.models import Order
from privacy.gate.system import system, system_actor
from privacy.requests.models import Decision
from privacy.retention import sweep
from tests.journeys import asking, files, importing

pytestmark = pytest.mark.django_db
YEARS_KEPT = 7


def swept(on: date) -> sweep.SweepReport:
    actor = system_actor("sweep")
    with system("sweep"):
        return sweep.sweep(on=on, dry_run=False, actor=actor)


def sealed_orders() -> set[str]:
    """The orders of which anything can still be read."""
    return set(Order.objects.filter(Q(sealed_order__isnull=False) | Q(sealed_fulfilment__isnull=False)).values_list("number", flat=True))


def test_every_order_is_kept_as_long_as_the_file_says_and_goes_by_itself() -> None:
    importing.customers()
    importing.orders()
    ends = {row["order_number"]: date(int(row["shipped_on"][:4]) + YEARS_KEPT, 12, 31) for row in files.rows(files.ORDERS)}
    past = {number for number, until in ends.items() if until < asking.NOW.date()}
    due_next = {number for number, until in ends.items() if until == date(2026, 12, 31)}
    assert past and due_next and date(2031, 12, 31) in ends.values()

    numbers = dict(Order.objects.values_list("pk", "number"))
    for customer in Customer.objects.order_by("reference"):
        asking.erase(customer)

    kept = {
        numbers[record]: until
        for record, until in Decision.objects.filter(label="orders.order", envelope="order", action="keep").values_list("record_id", "until")
    }
    assert kept == {number: until for number, until in ends.items() if number not in past}
    assert sealed_orders() == set(ends) - past
    # What is kept is the invoice alone: where it was sent, and the person's account, are gone.
    assert not Order.objects.filter(sealed_fulfilment__isnull=False).exists()
    assert not Customer.objects.filter(sealed_account__isnull=False).exists()

    sweep.arm(actor=system_actor("sweep"))
    assert swept(date(2026, 12, 31)).erased == 0
    assert sealed_orders() == set(ends) - past
    assert swept(date(2027, 1, 1)).erased == len(due_next)
    assert sealed_orders() == set(ends) - past - due_next
    assert swept(date(2027, 1, 1)).erased == 0

    gone = Order.objects.filter(number__in=past | due_next)
    assert not gone.filter(customer__isnull=False).exists()
    assert gone.count() == len(past | due_next)  # amounts and products stay for statistics
