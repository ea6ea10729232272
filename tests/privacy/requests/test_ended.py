"""Erased data says when it went and by what; it never reads as if it had not been given."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import Customer
from orders.models import Order
from privacy import gate, vault
from privacy.requests import assessment, ended, erasure
from privacy.templatetags.pages import value
from tests import pages
from tests.asked import NOW, TODAY, confirmed, run
from tests.factories import an_order, an_rma, as_customer, moved

pytestmark = pytest.mark.django_db


def said(customer: Customer, order: Order, name: str = "notes") -> str:
    with gate.acting(as_customer(customer)):
        return str(value(getattr(Order.objects.get(pk=order.pk), name)))


def test_what_a_request_erased_says_the_day_and_by_request(alice: Customer, kept_order: Order) -> None:
    assert said(alice, kept_order) == "Ring twice."
    run(confirmed(alice))
    assert "erased on 20 November 2026, by request" in said(alice, kept_order)


def test_what_outlived_its_period_says_the_day_and_by_period(alice: Customer, kept_order: Order) -> None:
    vault.keys.destroy([(kept_order.pk, "fulfilment")], now=NOW)
    assert "erased on 20 November 2026, by period" in said(alice, kept_order)
    assert said(alice, kept_order, "invoice_name") == "Alice Whitfield"


def test_a_request_of_somebody_else_is_no_cause(alice: Customer, bob: Customer, kept_order: Order) -> None:
    run(confirmed(bob))
    vault.keys.destroy([(kept_order.pk, "fulfilment")], now=NOW)
    assert "by period" in said(alice, kept_order)


def test_thirty_erased_records_are_asked_about_in_one_query(alice: Customer) -> None:
    def asked(count: int) -> int:
        orders = [an_order(alice, date(2026, 11, 2)) for _ in range(count)]
        vault.keys.destroy([(one.pk, "fulfilment") for one in orders], now=NOW)
        with CaptureQueriesContext(connections["default"]) as main, gate.acting(as_customer(alice)):
            found = [value(one.notes) for one in Order.objects.filter(pk__in=[one.pk for one in orders])]
            assert all("by period" in one for one in found) and len(found) == count
        return sum("privacy_decision" in one["sql"] for one in main)

    assert asked(1) == asked(30) == 1


def test_what_a_request_erased_is_found_by_an_index_among_a_hundred_thousand_decisions(db: Any) -> None:
    columns = "data, code, ground, authority, overdue, pinned"
    with connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # two thousand requests that are not there
        cursor.execute(
            f"""INSERT INTO privacy_decision (request_id, label, record_id, envelope, action, done_at, {columns})
                SELECT md5((n / 50)::text)::uuid, 'orders.order', gen_random_uuid(), 'fulfilment',
                       CASE WHEN n % 3 = 0 THEN 'keep' ELSE 'erase' END, CASE WHEN n % 5 > 0 THEN now() END,
                       '[]', 'B', '', '', false, false
                FROM generate_series(1, 100000) n"""
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("ANALYZE privacy_decision")
        cursor.execute("SELECT record_id FROM privacy_decision ORDER BY id LIMIT 50")
        pairs = {(record, "fulfilment") for (record,) in cursor.fetchall()}
    with CaptureQueriesContext(connections["default"]) as main:
        found = ended.by_request(pairs)
    assert len(found) == 27, "erased and carried out: 8 of 15"
    with connections["default"].cursor() as cursor:
        cursor.execute(f"EXPLAIN {main.captured_queries[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "decision_erased" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_without_a_day_it_still_says_erased(db: Any) -> None:
    assert ended.told(vault.Erased()) == "erased"


LONG_AGO = date(2017, 5, 10)


def her_list(customer: Customer, path: str) -> str:
    browser = pages.signed_in(customer.subject.users.get())
    return " ".join(strip_tags(browser.get(path).text).split())


def finished(customer: Customer, day: date = LONG_AGO) -> Order:
    return an_order(customer, day, invoiced=day, shipped=day, paid=day)


def end_by_period(customer: Customer, *rows: Any) -> None:
    """End what has outlived its reason, as the sweep does: without a request."""
    wanted = {row.pk for row in rows}
    verdicts = assessment.assess_all(customer.subject_id, today=TODAY, asked=False)
    due = [one for one in verdicts if one.is_erased and one.record_id in wanted]
    assert {one.record_id for one in due} == wanted
    erasure.erase_records(due, request=None, actor=None, now=NOW)


def test_an_order_that_went_at_request_is_counted_on_the_list_of_orders(alice: Customer, bob: Customer) -> None:
    finished(alice)
    finished(bob)
    kept, opened = finished(alice, date(2024, 5, 10)), an_order(alice)
    run(confirmed(alice))
    text = her_list(alice, "/orders/")
    assert "1 order was removed on 20 November 2026, by request." in text
    assert kept.number in text and opened.number in text, "of which a part, or all, is still kept"


def test_orders_and_returns_that_outlived_their_period_are_counted_on_their_lists(alice: Customer) -> None:
    states = ("authorised", "received", "in_service", "verified", "shipped_back", "closed")
    end_by_period(alice, finished(alice), finished(alice), moved(an_rma(alice, LONG_AGO), *states, on=LONG_AGO))
    assert "2 orders were removed on 20 November 2026, by period." in her_list(alice, "/orders/")
    assert "1 return was removed on 20 November 2026, by period." in her_list(alice, "/rma/")


def test_a_list_of_which_nothing_went_and_the_list_of_somebody_else_say_nothing(alice: Customer, bob: Customer) -> None:
    end_by_period(bob, finished(bob))
    an_order(alice)
    assert "removed" not in her_list(alice, "/orders/")
    assert ended.gone(None, Order.objects.none()) == []
