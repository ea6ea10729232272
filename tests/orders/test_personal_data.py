"""The facts on which an order's fate depends, what is told before an erasure, and what the sweep is shown."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import personal_data, services
from orders.models import Order, Payment
from privacy import datamap, vault
from privacy.retention import rules
from tests.factories import TASK, a_customer, an_order, noon
from tests.orders.test_services import CARD

pytestmark = pytest.mark.django_db
D = date(2024, 5, 10)


def facts_of(order: Order):
    return datamap.for_model(Order).facts(Order.objects.with_owner().get(pk=order.pk))


def test_the_facts_of_a_finished_order() -> None:
    alice = a_customer(country="DE")
    order = an_order(alice, D, invoiced=date(2024, 5, 12), shipped=date(2024, 5, 13), paid=date(2024, 6, 1), card=CARD)
    facts = facts_of(order)
    assert (facts.label, facts.record_id, facts.title) == ("orders.order", order.pk, f"Order {order.number}")
    assert (facts.subject_id, facts.party, facts.country) == (alice.subject_id, "person", "DE")
    assert facts.events == {
        "placed": D,
        "invoiced": date(2024, 5, 12),
        "shipped": date(2024, 5, 13),
        "paid": date(2024, 6, 1),
        "closed": date(2024, 6, 1),
    }
    assert facts.flags == frozenset()
    assert set(facts.data) == {"order", "fulfilment"}
    assert "Street for delivery" in facts.data["fulfilment"]
    assert "Alice" not in repr(facts)
    payment = datamap.for_model(Payment).facts(Payment.objects.with_owner().get())
    assert (payment.title, payment.events["paid"]) == (f"Payment for order {order.number}", date(2024, 6, 1))
    assert payment.data["payment"] == (
        "Token of the payment provider",
        "Last four digits of the card",
        "Expiry of the card",
    )


@pytest.mark.parametrize(
    ("steps", "flags"),
    [
        ({}, {"open_order"}),
        ({"invoiced": D}, {"open_order", "unpaid"}),
        ({"invoiced": D, "paid": D}, {"open_order"}),
        ({"shipped": D}, {"open_order"}),
        ({"invoiced": D, "shipped": D}, {"unpaid"}),
        ({"invoiced": D, "shipped": D, "paid": D}, set()),
    ],
)
def test_what_is_not_finished_keeps_the_order_and_the_account(steps: dict[str, date], flags: set[str]) -> None:
    alice, bob = a_customer(), a_customer()
    order = an_order(alice, D, **steps)
    assert facts_of(order).flags == flags
    expected = [datamap.Flagged(alice.subject_id, "orders.order", order.pk, frozenset(flags))] if flags else []
    assert list(personal_data.account_flags([alice.subject_id, bob.subject_id])) == expected
    assert datamap.flags_of([alice.subject_id, bob.subject_id]) == {
        alice.subject_id: frozenset(flags),
        bob.subject_id: frozenset(),
    }


def test_a_cancelled_order_was_never_fulfilled_unless_something_happened() -> None:
    alice = a_customer()
    nothing = services.cancel(an_order(alice, D), actor=TASK, now=noon(D))
    assert facts_of(nothing).flags == {"never_fulfilled"}
    paid = services.cancel(an_order(alice, D, invoiced=D, paid=D), actor=TASK, now=noon(D))
    assert facts_of(paid).flags == frozenset()


def test_an_envelope_that_ended_is_no_longer_stated() -> None:
    order = an_order(a_customer(), D)
    Order.objects.filter(pk=order.pk).update(sealed_fulfilment=None)
    assert set(facts_of(order).data) == {"order"}


def test_the_contact_of_a_company_is_a_contact() -> None:
    from accounts.models import Company

    company = Company.objects.create(name="Harbor Optics LLC", country="US")
    assert facts_of(an_order(a_customer(company=company), D)).party == "contact"


def test_open_orders_and_unpaid_invoices_are_told_before_an_erasure() -> None:
    alice, bob = a_customer(), a_customer()
    placed, unpaid = an_order(alice), an_order(alice, D, invoiced=D, shipped=D)
    an_order(alice, D, invoiced=D, shipped=D, paid=D)
    an_order(bob)
    told = personal_data.order_warnings(alice.subject_id, date(2026, 11, 22))
    assert [one.about for one in told] == [(), ()]
    assert f"The invoice of order {unpaid.number} is not paid yet." in told[0].sentence
    assert f"Order {placed.number} is not finished yet." in told[1].sentence
    several = {True: [unpaid.number], False: [placed.number]}
    for _ in range(11):
        several[True].append(an_order(alice, D, invoiced=D, shipped=D).number)
        several[False].append(an_order(alice).number)
    told = personal_data.order_warnings(alice.subject_id, date(2026, 11, 22))
    assert [(sorted(one.about), one.sentence.split(" not ")[0]) for one in told] == [
        (sorted(several[True]), "The invoices of 12 orders are"),
        (sorted(several[False]), "12 orders are"),
    ]


def test_every_field_is_declared_and_the_sealed_ones_have_a_retention_class() -> None:
    for model in (Order, Payment):
        declaration = datamap.for_model(model)
        named = set(declaration.data) | set(declaration.impersonal)
        assert named == {field.name for field in datamap.fields_to_declare(model)}
        for envelope in model.envelopes():
            assert rules.load()[envelope]


def test_the_sweep_is_shown_old_orders_that_still_hold_data() -> None:
    alice = a_customer()
    day = date(2026, 11, 22)
    old = an_order(alice, date(2018, 12, 31), invoiced=D, shipped=D, paid=D)
    recent = an_order(alice, date(2019, 1, 1), invoiced=D, shipped=D, paid=D)
    emptied = an_order(alice, date(2011, 1, 1))
    Order.objects.filter(pk=emptied.pk).update(sealed_order=None, sealed_fulfilment=None)
    cancelled = services.cancel(an_order(alice, date(2025, 11, 1)), actor=TASK, now=noon(date(2025, 11, 2)))
    services.cancel(an_order(alice, date(2025, 11, 1)), actor=TASK, now=noon(date(2025, 11, 25)))
    assert set(personal_data.order_candidates(day)) == {old, cancelled}
    assert recent in personal_data.order_candidates(date(2027, 1, 1))


def test_the_sweep_is_shown_payments_past_the_chargeback_window() -> None:
    alice = a_customer()
    early, late = date(2025, 5, 21), date(2025, 5, 22)
    old = an_order(alice, early, invoiced=early, paid=early, card=CARD)
    an_order(alice, late, invoiced=late, paid=late, card=CARD)
    an_order(alice, early, invoiced=early, paid=early)  # by transfer: nothing sealed, nothing to end
    assert [payment.order_id for payment in personal_data.payment_candidates(date(2026, 11, 22))] == [old.pk]


def test_the_facts_of_a_person_cost_the_same_for_1_and_for_a_dozen_orders() -> None:
    alice, costs = a_customer(), []
    for count in (1, 11):
        for _ in range(count):
            an_order(alice, D, invoiced=D, shipped=D, paid=D, card=CARD)
        with CaptureQueriesContext(connection) as queries:
            for declaration, rows in datamap.records_of(alice.subject_id):
                if declaration.model in (Order, Payment):
                    assert all(declaration.facts(row).subject_id == alice.subject_id for row in rows)
        costs.append(len(queries))
    assert costs == [3, 3], "one look at what there is, then the orders and the payments"


def test_an_erased_order_holds_only_what_statistics_need() -> None:
    order = an_order(a_customer(), D)
    vault.keys.destroy([(order.pk, "order"), (order.pk, "fulfilment")], now=noon(D))
    with vault.internal():
        order = Order.objects.get()
        assert {getattr(order, name) for names in Order.envelopes().values() for name in names} == {vault.Erased()}
