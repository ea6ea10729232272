"""Erased data says when it went and by what; it never reads as if it had not been given."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import Customer
from orders import services
from orders.models import Order
from privacy import gate, vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.requests import assessment, ended, erasure
from privacy.sweep import arming, nightly
from privacy.templatetags.pages import value
from tests import pages
from tests.asked import NOW, OPERATOR, TODAY, confirmed, outlived, run
from tests.factories import TASK, an_order, an_rma, as_customer, moved

pytestmark = pytest.mark.django_db


def said(customer: Customer, order: Order, name: str = "notes") -> str:
    with gate.acting(as_customer(customer)):
        return strip_tags(value(getattr(Order.objects.get(pk=order.pk), name)))


def test_what_a_request_erased_says_the_day_and_by_request(alice: Customer, kept_order: Order) -> None:
    assert said(alice, kept_order) == "Ring twice."
    run(confirmed(alice))
    assert "erased on 20 November 2026, by request" in said(alice, kept_order)


def test_what_outlived_its_period_says_the_day_and_by_period(alice: Customer, kept_order: Order) -> None:
    outlived(kept_order, "fulfilment")
    assert "erased on 20 November 2026, by period" in said(alice, kept_order)
    assert said(alice, kept_order, "invoice_name") == "Alice Whitfield"


def test_a_request_of_somebody_else_is_no_cause(alice: Customer, bob: Customer, kept_order: Order) -> None:
    run(confirmed(bob))
    outlived(kept_order, "fulfilment")
    assert "by period" in said(alice, kept_order)


def test_twelve_erased_records_are_asked_about_in_one_query(alice: Customer) -> None:
    def asked(count: int) -> int:
        orders = [an_order(alice, date(2026, 11, 2)) for _ in range(count)]
        for one in orders:
            outlived(one, "fulfilment")
        with CaptureQueriesContext(connections["default"]) as main, gate.acting(as_customer(alice)):
            found = [value(one.notes) for one in Order.objects.filter(pk__in=[one.pk for one in orders])]
            assert all("by period" in one for one in found) and len(found) == count
        return sum("privacy_auditevent" in one["sql"] and "record.erased" in one["sql"] for one in main)

    assert asked(1) == asked(12) == 1


def seen_by_carol(order: Order) -> str:
    with gate.acting(Actor("staff", "carol", None, frozenset({"sales"}), "admin")):
        return strip_tags(value(Order.objects.get(pk=order.pk).invoice_name))


def test_of_a_record_that_a_request_removed_whole_too_it_says_by_request(alice: Customer) -> None:
    gone, kept = finished(alice), finished(alice, date(2024, 5, 10))
    request = confirmed(alice)
    run(request)
    assert not request.decisions.filter(record_id=gone.pk).exists(), "nothing of the request leads to it"
    assert request.decisions.filter(record_id=kept.pk).exists()
    assert seen_by_carol(gone) == "erased on 20 November 2026, by request"


def test_what_only_waited_for_an_open_order_went_by_request(alice: Customer) -> None:
    order = an_order(alice)
    run(confirmed(alice))
    later = NOW + timedelta(days=3)
    arming.arm(actor=TASK)
    carol = Actor("staff", "carol", None, frozenset({"sales", "accounting"}), "admin")
    services.ship(order, actor=carol, now=later)
    services.invoice(order, actor=carol, now=later)
    services.mark_paid(order, actor=carol, now=later)
    nightly.sweep(dry_run=False, actor=TASK)
    assert "by request" in said(alice, order)


def test_of_what_the_audit_does_not_tell_it_says_the_day_alone(alice: Customer, kept_order: Order) -> None:
    vault.keys.destroy([(kept_order.pk, "fulfilment")], now=NOW)
    assert said(alice, kept_order) == "erased on 20 November 2026"


def test_after_a_restore_what_a_request_had_removed_still_says_by_request(alice: Customer) -> None:
    order = finished(alice)
    request = confirmed(alice)
    vault.keys.destroy([(order.pk, "order"), (order.pk, "fulfilment")], now=NOW)
    verdicts = assessment.assess_all(alice.subject_id, today=TODAY, asked=True)
    (verdict,) = [one for one in verdicts if one.key == (order.pk, "order")]
    erasure.erase_records([verdict], request=None, actor=OPERATOR, now=NOW, again=True)
    assert request.confirmed_hash
    assert seen_by_carol(order) == "erased on 20 November 2026, by request"


def test_why_something_ended_is_found_by_an_index_among_a_hundred_thousand_events(db: Any) -> None:
    columns = "actor_kind, actor, role, purpose, subject, reason, reference, encoding, mac"
    with connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # nobody's events, only to be passed by
        cursor.execute(
            f"""INSERT INTO privacy_auditevent (event, at, action, label, record, fields, {columns})
                SELECT gen_random_uuid(), now(), CASE WHEN n % 3 = 0 THEN 'record.erased' ELSE 'order.placed' END,
                       'orders.order', md5(n::text), '["notes"]', 'task', '', '', '', '', '', '', 1, ''
                FROM generate_series(1, 100000) n"""
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("ANALYZE privacy_auditevent")
    with CaptureQueriesContext(connections["default"]) as main:
        assert ended.why({(uuid4(), "fulfilment") for _ in range(50)}) == {}
    (query,) = main.captured_queries
    with connections["default"].cursor() as cursor:
        cursor.execute(f"EXPLAIN {query['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "audit_event_of_record" in plan and "Seq Scan" not in plan, plan


def test_an_event_that_this_program_did_not_write_is_no_cause(alice: Customer, kept_order: Order) -> None:
    outlived(kept_order, "fulfilment")
    (event,) = AuditEvent.objects.filter(action="record.erased")
    with connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE privacy_auditevent SET reference = 'PR-2026-AAAA-AA' WHERE id = %s", [event.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert said(alice, kept_order) == "erased on 20 November 2026"


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
    returns = her_list(alice, "/rma/")
    assert "1 return was removed on 20 November 2026, by period." in returns
    assert "There are no returns under this account." in returns and "has been" not in returns, "one has been"


def test_a_list_of_which_nothing_went_and_the_list_of_somebody_else_say_nothing(alice: Customer, bob: Customer) -> None:
    end_by_period(bob, finished(bob))
    an_order(alice)
    assert "removed" not in her_list(alice, "/orders/")
    assert ended.gone(None, Order.objects.none()) == []
