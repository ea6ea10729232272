"""A row with a day that no calendar has is seen on every page, and said to be wrong; it closes no page to anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db import IntegrityError, connection, models, transaction
from django.urls import reverse

from accounts.models import Customer
from privacy.audit import AuditEvent
from privacy.calendar import undated
from privacy.gate import log
from privacy.gate.log import AccessEntry
from privacy.requests import assessment, bound, services
from privacy.requests.contents import NO_DAY
from privacy.requests.models import RequestEvent
from privacy.retention import holds
from privacy.retention.models import Decision
from tests import factories, pages
from tests.asked import NOW, OPERATOR, PRIVACY, TODAY, filed
from tests.factories import an_order, an_rma, as_customer
from tests.privacy.work.test_broken import spoil

pytestmark = pytest.mark.django_db
YEARS = ["292000-01-01", "20000-01-01", "0044-03-15 BC"]
WRONG = "cannot be right"
ROLES = ("sales", "service", "accounting", "privacy")


@pytest.fixture
def alice(settings: Any, tmp_path: Any) -> Any:
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with time_machine.travel(NOW, tick=False):
        user = factories.login("alice", "alice@example.com")
        yield factories.customer("Alice", "Archer", email="alice@example.com", user=user, country="DE")


def an_old_order(customer: Customer) -> Any:
    day = date(2024, 5, 10)
    return an_order(customer, day, invoiced=day, shipped=day, paid=day)


def a_hold(customer: Customer) -> Any:
    return holds.place("orders.order", an_old_order(customer).pk, reason="claim", actor=OPERATOR, now=NOW)


MAKE = {
    "customer": lambda alice: alice,
    "communication": factories.communication,
    "address": factories.address,
    "order": an_old_order,
    "return": an_rma,
    "request": filed,
    "hold": a_hold,
}


def moments(record: models.Model) -> list[str]:
    return [one.column for one in record._meta.concrete_fields if isinstance(one, models.DateField)]


@contextmanager
def spoiled(record: models.Model, column: str, day: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column}::text FROM {record._meta.db_table} WHERE id = %s", [str(record.pk)])
        (was,) = cursor.fetchone()
    spoil(record, **{column: day})
    yield
    spoil(record, **{column: was})


def as_on_a_page(do: Callable[[], Any]) -> Any:
    """Do it as the view of a page would."""
    found: list[Any] = []
    undated.UndatedMiddleware(lambda _: found.append(do()))(None)  # type: ignore[arg-type,return-value,func-returns-value]
    return found[0]


def check(browser: Any, url: str) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return str(answer.content.decode())


@pytest.mark.parametrize("make", MAKE)
def test_lists_and_pages_of_staff_show_the_row_and_say_that_its_date_is_wrong(alice: Customer, make: str) -> None:
    carol = pages.signed_in(factories.staff(roles=ROLES), again=True)
    record = MAKE[make](alice)
    names = f"{record._meta.app_label}_{record._meta.model_name}"
    here = admin.site.is_registered(type(record))
    for number, column in enumerate(moments(record)):
        with spoiled(record, column, YEARS[number % len(YEARS)]):
            check(carol, reverse("admin:index"))
            if here:
                assert WRONG in check(carol, reverse(f"admin:{names}_changelist")), column
                assert WRONG in check(carol, reverse(f"admin:{names}_change", args=[record.pk])), column
            owner = reverse("admin:accounts_customer_change", args=[alice.pk])
            check(carol, owner)


@pytest.mark.parametrize("make", MAKE)
def test_the_persons_own_pages_show_the_row(alice: Customer, make: str) -> None:
    own = pages.signed_in(alice.user, again=True)
    record = MAKE[make](alice)
    urls = ["/account/", "/orders/", "/rma/", "/privacy/held/", "/privacy/requests/"]
    if make in ("order", "request"):
        urls.append(reverse(make, args=[record.pk]))
    for number, column in enumerate(moments(record)):
        with spoiled(record, column, YEARS[number % len(YEARS)]):
            for url in urls:
                if url.endswith(f"/{record.pk}/") and make == "request" and column in bound.DECIDING:
                    # The row does not say what the site wrote: it is shown to nobody, and the page says so.
                    assert own.get(url).status_code == 409
                else:
                    check(own, url)


def test_what_we_hold_says_that_the_date_cannot_be_read(alice: Customer) -> None:
    order = an_old_order(alice)
    spoil(order, shipped_on=YEARS[0])
    page = check(pages.signed_in(alice.user, again=True), "/privacy/held/")
    assert order.number in page and NO_DAY in page


def test_a_search_that_finds_the_row_lists_it(alice: Customer) -> None:
    carol = pages.signed_in(factories.staff(roles=ROLES))
    order = an_old_order(alice)
    spoil(order, placed_on=YEARS[0])
    carol.post(reverse("admin:orders_order_search"), {"q": order.number})
    assert order.number in check(carol, reverse("admin:orders_order_changelist"))


def test_a_plan_is_the_same_on_a_page_and_in_a_task(alice: Customer) -> None:
    order = an_old_order(alice)
    spoil(order, shipped_on=YEARS[0])
    request = filed(alice)
    in_a_task = services.make_plan(request, actor=as_customer(alice), now=NOW)
    assert any(one.record_id == order.pk and one.action == "keep" for one in in_a_task.kept)
    on_a_page = as_on_a_page(lambda: assessment.plan_for(request, today=TODAY))
    assert on_a_page.hash == in_a_task.hash


def test_staff_can_take_a_step_beside_a_broken_day(alice: Customer) -> None:
    request = filed(alice)
    spoil(request, legal_due_on=YEARS[0])
    carol = pages.signed_in(factories.staff(roles=("privacy",)), again=True)
    assert WRONG in check(carol, reverse("admin:privacy_request_change", args=[request.pk]))
    as_on_a_page(lambda: services.refuse(request, ground="It was asked twice.", authority="", actor=PRIVACY, now=NOW))
    assert type(request).objects.filter(pk=request.pk).values_list("state", flat=True).get() == "refused"


def test_such_a_day_is_never_written_back(alice: Customer) -> None:
    with pytest.raises(undated.NotWritten):
        AuditEvent.objects.filter(at=undated.MOMENT).exists()
    with pytest.raises(undated.NotWritten):
        Customer.objects.filter(pk=alice.pk).update(last_active_on=undated.DAY)


def test_outside_of_pages_it_fails_as_before(alice: Customer) -> None:
    order = an_old_order(alice)
    spoil(order, shipped_on=YEARS[0])
    with pytest.raises(ValueError, match="out of range"):
        type(order).objects.get(pk=order.pk)


def test_what_stands_for_it_says_so_and_is_later_than_every_day() -> None:
    assert str(undated.DAY) == str(undated.MOMENT) == NO_DAY
    assert date(2199, 12, 31) < undated.DAY and NOW < undated.MOMENT
    assert isinstance(undated.MOMENT, datetime) and undated.is_none(undated.MOMENT) and not undated.is_none(TODAY)


def test_a_line_that_nobody_may_take_away_names_no_such_day(alice: Customer) -> None:
    """It would close its person's pages, and stop the copy, for good: the database takes none."""
    filed(alice)
    log.write([log.Opening(PRIVACY, alice.vault_owner(), {"accounts.customer/account": [alice.pk]})], now=NOW)
    for model, own in ((AuditEvent, "event"), (AccessEntry, "id"), (RequestEvent, "")):
        table, columns = model._meta.db_table, [one.column for one in model._meta.concrete_fields]
        days = [name for name in ("at", "on") if name in columns]
        values = {name: f'"{name}"' for name in columns if name not in ("id", *days)}
        values |= {own: "gen_random_uuid()"} if own else {}
        values |= dict.fromkeys(days, "%s")
        into = ", ".join(f'"{name}"' for name in values)
        line = f"INSERT INTO {table} ({into}) SELECT {', '.join(values.values())} FROM {table} LIMIT 1"
        with connection.cursor() as cursor:
            for wrong in ("infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "9999-12-31"):
                for place in range(len(days)):
                    given = ["2026-11-20"] * len(days)
                    given[place] = wrong
                    with pytest.raises(IntegrityError, match="_has_a_day"), transaction.atomic():
                        cursor.execute(line, given)
            cursor.execute(line, ["2026-11-20"] * len(days))
            assert cursor.rowcount == 1


def test_a_decision_names_no_such_day(alice: Customer) -> None:
    """One that somebody wrote would stop the sweep, and the plans of its person, before anybody asks whose it is."""
    order, request = an_old_order(alice), filed(alice)
    services.make_plan(request, actor=as_customer(alice), now=NOW)
    kept = Decision.objects.filter(request=request, record_id=order.pk, envelope="order")
    assert kept.count() == 1
    for wrong in ("infinity", "0044-03-15 BC", "20000-01-01"):
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match="until_is_a_day"), transaction.atomic():
            cursor.execute("UPDATE privacy_decision SET until = %s WHERE id = %s", [wrong, kept.get().pk])
    assert kept.update(until=TODAY) == 1
