"""Ten thousand days of every kind, through imports and forms: what is taken in never stops the sweep."""

from __future__ import annotations

import csv
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from accounts import correspondence
from accounts.imports import COLUMNS, import_customers
from accounts.models import Communication, Customer
from orders.importfile import LINE_COLUMNS, ORDER_COLUMNS
from orders.imports import import_orders
from orders.models import Invoice, Order
from privacy import datamap
from privacy.calendar import days
from privacy.sweep import arming, nightly
from tests.factories import TASK, a_customer
from tests.orders.test_imports import LINE, ORDER

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
TODAY = date(2026, 11, 22)
CUSTOMER = dict.fromkeys(COLUMNS, "") | {
    "first_name": "Test", "last_name": "Person", "street": "1 Main St", "city": "Peabody", "region": "MA",
    "postal_code": "01960", "country": "US", "marketing_opt_in": "no",
}  # fmt: skip
EDGES = (
    "9999-12-31", "9999-01-01", "2206-03-01", "0001-01-01", "1900-01-01", "1964-12-31", "1965-01-01", "2199-12-31",
    "2200-01-01", "2026-11-22", "2026-11-23", "2026-11-24", "2024-02-29", "2023-02-29", "2020-00-10", "2020-13-01",
    "20000-01-01", "-2020-01-01", "+2020-01-01", "2020-1-1", "01/02/2020", "2020-W01-1", "20200101", "infinity",
    "2020-01-01T00:00", " 2020-01-01", "2020-01-01 ", "２０２０-０１-０１", "2020−01−01", "today", "0", "", "NaT", "2020-06-31",
)  # fmt: skip


def texts(count: int, seed: int) -> list[str]:
    """The edges, days all over the calendar, and days of the company's life."""
    chance = random.Random(seed)
    anywhere = (date.fromordinal(chance.randint(1, date.max.toordinal())).isoformat() for _ in range(count))
    in_our_time = (date.fromordinal(chance.randint(717000, 740500)).isoformat() for _ in range(count))
    found = [chance.choice((one, other)) for one, other in zip(anywhere, in_our_time, strict=True)]
    return [*EDGES, *found][:count]


def is_right(text: str) -> bool:
    if len(text) != 10 or not text.isascii():
        return False
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return False
    return date(1965, 1, 1) <= found <= TODAY + timedelta(days=1) and text[4] == "-"


def write(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.django_db(databases="__all__")
def test_ten_thousand_days_of_every_kind_never_stop_the_sweep(tmp_path: Path, settings: Any) -> None:
    settings.DEMO = True
    given = texts(3000, 1)
    people = [CUSTOMER | {"customer_ref": f"FX{n:05d}", "since": day} for n, day in enumerate(given)]
    report = import_customers(write(tmp_path / "c.csv", COLUMNS, people), actor=TASK, now=NOW, skip_bad=True)
    right = [day for day in given if is_right(day)]
    assert (report.created, len(report.errors)) == (len(right), len(given) - len(right))
    assert {problem.column for problem in report.errors} == {"since"}

    given = texts(4000, 2)
    placed, shipped = given[:2000], given[2000:]
    a_customer("FXBUYER")
    orders = [
        ORDER | {"order_number": f"FXE-{n}", "customer_ref": "FXBUYER", "placed_on": one, "shipped_on": other}
        for n, (one, other) in enumerate(zip(placed, shipped, strict=True))
    ]
    taken = import_orders(
        write(tmp_path / "o.csv", ORDER_COLUMNS, orders),
        write(tmp_path / "l.csv", LINE_COLUMNS, [LINE | {"order_number": one["order_number"]} for one in orders]),
        actor=TASK, now=NOW, skip_bad=True,
    )  # fmt: skip
    pairs = list(zip(placed, shipped, strict=True))
    assert taken.created == sum(is_right(one) and is_right(other) and one <= other for one, other in pairs)

    form = forms.modelform_factory(Communication, fields=("received_on", "notice_given_on"))
    due = Invoice._meta.get_field("due_on").formfield()
    for one, other in zip(texts(1500, 3), texts(1500, 4), strict=True):
        filled = form({"received_on": one, "notice_given_on": other})
        filled.is_valid()
        for day in filter(None, (filled.cleaned_data.get(name) for name in ("received_on", "notice_given_on"))):
            assert date(1965, 1, 1) <= day <= date.today() + timedelta(days=2)
    for text in EDGES:
        try:
            assert due.clean(text) <= date.today() + timedelta(days=days.DUE_WITHIN + 2)
        except ValidationError:
            continue

    arming.arm(actor=TASK)
    for dry_run in (True, False):
        found = nightly.sweep(on=TODAY, dry_run=dry_run, actor=TASK)
        assert found.broken == 0
        assert found.due > 500


@pytest.mark.parametrize(
    "late",
    [{"received_on": date(9999, 12, 31)}, {"received_on": date(1900, 1, 1)}, {"notice_given_on": date(2027, 1, 1)}],
)
def test_a_message_of_a_day_that_has_not_come_is_refused(db: None, late: dict[str, date]) -> None:
    with pytest.raises(ValidationError):
        correspondence.record_communication(
            department="sales", channel="phone", actor=TASK, now=NOW, body="Hello.", **({"received_on": TODAY} | late)
        )
    assert not Communication.objects.exists()


def test_the_database_refuses_a_day_that_no_calendar_of_ours_reaches(db: None) -> None:
    customer = a_customer()
    fields = [
        (declaration.model, one.name)
        for declaration in datamap.declarations()
        for one in declaration.model._meta.concrete_fields
        if isinstance(one, days.PastDateField)
    ]
    assert len(fields) > 30
    guarded = {name for model, _ in fields for name in (one.name for one in model._meta.constraints)}
    assert all(days.Within.on(model, name).name in guarded for model, name in fields)
    for day in (date(9999, 12, 31), date(1, 1, 1)):
        with pytest.raises(IntegrityError, match="customer_since_day"), transaction.atomic():
            Customer.objects.filter(pk=customer.pk).update(since=day)


def test_every_day_of_people_is_bounded_or_written_by_the_clock(db: None) -> None:
    """A new DateField of a personal model must be a PastDateField or a DueDateField, or stand here with its reason."""
    by_the_clock = {
        "privacy.Request.received_on", "privacy.Request.due_on", "privacy.Request.legal_due_on",
        "privacy.Request.unpaused_due_on",  # services.file
        "privacy.RequestEvent.on", "privacy.Decision.until", "privacy.EndNotice.given_on", "privacy.EndNotice.kept_on",
        "privacy.EndNotice.ends_after", "privacy.EndNotice.told_on", "privacy.SweepState.night",
        "vault.Block.until",
    }  # fmt: skip
    loose = {
        f"{model._meta.label}.{one.name}"
        for model in datamap.installed_models()
        if not model._meta.label.startswith(("vault_tests", "tests"))
        for one in model._meta.concrete_fields
        if type(one) is models.DateField
    }
    assert loose <= by_the_clock, loose - by_the_clock


def test_days_of_before_the_bounds_are_moved_inside_and_then_reported(db: None) -> None:
    import importlib

    from django.apps import apps
    from django.db import connection

    customer = a_customer()
    order = Order.objects.create(number="SO-1", customer=customer, placed_on=TODAY, shipped_on=TODAY)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name in ("placed_on", "shipped_on", "invoiced_on", "paid_on", "closed_on"):
            cursor.execute(f"ALTER TABLE orders_order DROP CONSTRAINT orders_order_{name}_day")
    Order.objects.filter(pk=order.pk).update(placed_on=date(1, 1, 1), shipped_on=date(1, 1, 1))
    other = Order.objects.create(number="SO-2", customer=customer, placed_on=date(9999, 1, 1), shipped_on=date.max)
    importlib.import_module("orders.migrations.0006_days").move(apps, None)
    found = dict(Order.objects.values_list("number", "shipped_on"))
    assert found == {"SO-1": days.EARLIEST, "SO-2": days.LATEST}
    assert Order.objects.get(pk=order.pk).paid_on is None
    report = nightly.sweep(on=TODAY, dry_run=True, actor=TASK)
    assert [(one.error, one.record) for one in report.findings] == [("DayNotCome", str(other.pk))]
