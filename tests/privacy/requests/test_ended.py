"""Erased data says when it went and by what; it never reads as if it had not been given."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from orders.models import Order
from privacy import gate, vault
from privacy.requests import ended
from privacy.templatetags.pages import value
from tests.orders.factories import an_order, as_customer
from tests.privacy.requests.conftest import NOW, confirmed, run

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


def test_without_a_day_it_still_says_erased(db: Any) -> None:
    assert ended.told(vault.Erased()) == "erased"
