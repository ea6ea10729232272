"""Ending many records at once: as many statements as for one, each record as it deserves."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Communication, Customer
from orders.models import Order
from privacy import vault
from privacy.registers import Acknowledgement
from privacy.requests import assessment, erasure
from privacy.requests.models import Request
from privacy.retention import holds
from privacy.retention.models import Decision
from privacy.vault.models import DataKey
from tests import factories
from tests.asked import NOW, OPERATOR, TODAY, filed, outlived
from tests.factories import an_order

PAST = date(2017, 5, 10)


def verdicts(customer: Customer, *labels: str) -> list[Any]:
    found = assessment.assess_all(customer.subject_id, today=TODAY, asked=True)
    return [one for one in found if one.label in labels]


def erase(customer: Customer, request: Request, *labels: str) -> tuple[erasure.Erased, int, int]:
    """Erase records of these kinds; return what was done and the statements on both databases."""
    ending = verdicts(customer, *labels)
    with (
        CaptureQueriesContext(connections["default"]) as main,
        CaptureQueriesContext(connections["keystore"]) as keys,
    ):
        done = erasure.erase_records(ending, request=request, actor=OPERATOR, now=NOW)
    return done, len(main), len(keys)


def orders(customer: Customer, count: int) -> None:
    for _ in range(count):
        an_order(customer, PAST, invoiced=PAST, shipped=PAST, paid=PAST)


@pytest.mark.parametrize("label", ["accounts.communication", "orders.order"])
def test_twelve_records_end_by_as_many_statements_as_one(alice, bob, label) -> None:
    make = {
        "accounts.communication": lambda who, count: [factories.communication(who) for _ in range(count)],
        "orders.order": orders,
    }[label]
    make(bob, 1)
    make(alice, 12)
    one, *counts_of_one = erase(bob, filed(bob), label)
    many, *counts_of_many = erase(alice, filed(alice), label)
    assert one.rows >= 1 and many.rows >= 12
    assert counts_of_many == counts_of_one


def test_of_records_that_end_together_the_held_one_and_the_strangers_stay(alice, bob) -> None:
    messages = [factories.communication(alice) for _ in range(3)]
    strangers = factories.communication(bob)
    holds.place("accounts.communication", messages[1].pk, reason="claim", actor=OPERATOR, now=NOW)
    ending = [one for one in verdicts(alice, "accounts.communication") if one.record_id in {m.pk for m in messages}]
    ending += [
        assessment.verdict_of(
            Decision(
                label="accounts.communication", record_id=messages[1].pk, envelope="support", data=[], action="erase"
            )
        )
    ]
    done = erasure.erase_records(ending, request=None, actor=OPERATOR, now=NOW)
    left = set(Communication.objects.values_list("pk", flat=True))
    assert messages[1].pk in left and strangers.pk in left
    assert not left & {messages[0].pk, messages[2].pk}
    assert done.on_hold == [(messages[1].pk, "support")]
    assert vault.keys.destroyed([(one.pk, "support") for one in (*messages, strangers)]) == {
        (messages[0].pk, "support"),
        (messages[2].pk, "support"),
    }


def test_orders_of_which_all_and_orders_of_which_a_part_ends_keep_their_difference(alice, kept_order) -> None:
    orders(alice, 2)
    erasure.erase_records(verdicts(alice, "orders.order"), request=filed(alice), actor=OPERATOR, now=NOW)
    rows = {one.placed_on: one for one in Order.objects.all()}
    gone, kept = rows[PAST], rows[kept_order.placed_on]
    assert (gone.sealed_order, gone.sealed_fulfilment, gone.customer_id) == (None, None, None)
    assert kept.sealed_order is not None and kept.sealed_fulfilment is None and kept.customer_id == alice.pk


def test_the_end_of_a_line_of_our_own_logs_stands_in_no_ledger(db) -> None:
    factories.staff()
    signed = Acknowledgement.objects.get()
    outlived(signed, "acknowledgement")
    assert not Acknowledgement.objects.exists() and not DataKey.objects.filter(record=signed.pk).exists()


def test_a_key_that_no_declared_row_can_lead_to_forgets_nobody(db) -> None:
    gone, nobodys = ("crm.lead", uuid4()), ("privacy.hold", uuid4())
    for found in ([gone], [nobodys], [gone, nobodys]):
        with pytest.raises(erasure.StillSealed) as said:
            erasure._is_unlinked(uuid4(), found)
        assert said.value.records == found


def test_a_row_that_a_kept_record_needs_stays_while_the_others_of_its_kind_go(alice, bob, kept_order) -> None:
    """Customers are ended in one statement; the one whose order must stay is an empty row then."""
    ending = [*verdicts(alice, "accounts.customer"), *verdicts(bob, "accounts.customer")]
    factories.Address.objects.all().delete()
    alice.freight_accounts.all().delete()
    assert [one.action for one in ending] == ["erase", "erase"]
    erasure.erase_records(ending, request=filed(alice), actor=OPERATOR, now=NOW)
    assert Customer.objects.get().pk == alice.pk
    assert Customer.objects.get().sealed_account is None
