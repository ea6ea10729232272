"""F9: a clock that is wrong by more than a year or by days, summer time, a leap day: nothing goes too early (R4,
R12)."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from orders.models import Order
from privacy import gate, vault
from privacy.calendar import COMPANY_ZONE, company_day
from privacy.requests import clock, services, sight
from privacy.requests.clock import Event, Kind, Place
from privacy.requests.states import State
from privacy.sweep import arming, nightly
from privacy.sweep.models import SweepState
from tests.factories import TASK, a_customer, an_order
from tests.figures import report, tries
from tests.journeys import asking

pytestmark = [pytest.mark.figure, pytest.mark.django_db]

WRONG = {
    "400 days ahead": timedelta(days=400),
    "2 days behind": timedelta(days=-2),
    "an hour ahead, as in the night of summer time": timedelta(hours=1),
    "an hour behind": timedelta(hours=-1),
}
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Pacific/Auckland")
LEAP_YEAR = 2028
_number = count(1)


def bought(year: int) -> Order:
    """An order shipped and paid in June of `year`: its invoice is kept for seven years, to the end of the year."""
    day = date(year, 6, 10)
    customer = a_customer(f"T9{next(_number):05d}", email=f"f9-{next(_number)}@example.com")
    order = an_order(customer, day, invoiced=day, shipped=day, paid=day)
    type(customer).objects.filter(pk=customer.pk).update(last_active_on=arming.database_now().date())
    return order


def is_readable(order: Order) -> bool:
    sealed = Order.objects.filter(pk=order.pk).values_list("sealed_order", flat=True).first()
    return sealed is not None and not vault.keys.is_destroyed(order.pk, "order")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_process_with_a_wrong_clock_sweeps_by_the_clock_of_the_database(wrong: str) -> None:
    now = arming.database_now()
    year = company_day(now).year
    arming.arm(actor=TASK)
    due, young = bought(year - 8), [bought(year - 7) for _ in range(tries(2, 15))]
    with time_machine.travel(now + WRONG[wrong], tick=False):
        nightly.sweep(dry_run=False, actor=TASK)
    gone = sum(not is_readable(one) for one in young)
    assert not is_readable(due), "the control: what is due by the database's clock goes"
    assert gone == 0
    report("F9", f"records swept too early, the program's clock {wrong}", gone, n=len(young), goal="0")


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-2)])
def test_a_database_whose_clock_jumped_sweeps_nothing(jump: timedelta) -> None:
    arming.arm(actor=TASK)
    orders = [bought(company_day(arming.database_now()).year - 8) for _ in range(tries(2, 15))]
    SweepState.objects.update(marked_at=arming.database_now() - jump)
    with pytest.raises(arming.ClockJumped):
        nightly.sweep(dry_run=False, actor=TASK)
    gone = sum(not is_readable(one) for one in orders)
    assert gone == 0
    way = f"{jump.days} days ahead" if jump.days > 0 else f"{-jump.days} days behind"
    report("F9", f"records swept, the database's clock suddenly {way}", gone, n=len(orders), goal="0")


def test_a_worker_whose_clock_is_a_year_ahead_erases_nothing_that_was_not_confirmed() -> None:
    now, people = timezone.now(), tries(2, 15)
    year = company_day(now).year
    orders = [bought(year - 7) for _ in range(people)]
    went_back = 0
    for order in orders:
        assert order.customer is not None
        request = asking.ask(order.customer, "erasure", now)
        with gate.acting(asking.PAT):
            services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
        asking.work(request, now + WRONG["400 days ahead"])
        went_back += request.state == State.PLANNED
    assert went_back == people, "the plan says something else on the wrong day: it goes back to the person"
    gone = sum(not is_readable(one) for one in orders)
    assert gone == 0
    report("F9", "invoices erased too early by a worker 400 days ahead", gone, n=people, goal="0")


def test_a_deadline_is_the_same_in_every_zone_on_every_day_of_a_leap_year() -> None:
    wrong = tried = 0
    for zone in ZONES:
        with timezone.override(ZoneInfo(zone)):
            for offset in range(366):
                day = date(LEAP_YEAR, 1, 1) + timedelta(days=offset)
                for at in (time(0, 0, 1), time(2, 30), time(23, 59, 59)):
                    moment = datetime.combine(day, at, tzinfo=COMPANY_ZONE).astimezone(UTC)
                    received = company_day(timezone.localtime(moment))
                    for country in ("DE", "GB", "US"):
                        due = clock.dates([Event(Kind.RECEIVED, received)], Place(country)).due_on
                        tried += 1
                        wrong += received != day or due != a_month_later(day)
    assert wrong == 0
    report(
        "F9", "deadlines wrong, 366 days in 4 zones, summer time and a leap day among them", wrong, n=tried, goal="0"
    )


def a_month_later(day: date) -> date:
    """Return the same day of the next month, or its last: worked out apart from the program."""
    year, month = divmod(day.year * 12 + day.month, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
