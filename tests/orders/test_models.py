"""What is readable, what is sealed, who sees what, and at what cost."""

from datetime import date

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from orders.models import Order, Payment
from privacy import vault
from tests.factories import a_customer, an_order
from tests.orders.test_services import CARD

pytestmark = pytest.mark.django_db


def test_nothing_that_identifies_the_person_is_readable_in_the_row() -> None:
    order = an_order(a_customer())
    with connection.cursor() as cursor:
        cursor.execute("SELECT o::text FROM orders_order o WHERE id = %s", [order.pk])
        (row,) = cursor.fetchone()
    text = bytes.fromhex("".join(part for part in row.split('"\\\\x')[1].split('"')[:1])) + row.encode()
    for value in ("Whitfield", "Harbor", "Gloucester", "01930", "555 0101", "post.example", "twice"):
        assert value.encode() not in text


def test_an_order_shows_nothing_of_the_person_as_text() -> None:
    order = an_order(a_customer())
    assert str(order) == f"Order {order.number}"


def test_bob_sees_none_of_alices_orders() -> None:
    alice, bob = a_customer(), a_customer()
    order = an_order(alice, invoiced=date(2026, 11, 2), paid=date(2026, 11, 2), card=CARD)
    assert list(Order.objects.for_subject(alice.subject_id)) == [order]
    assert not Order.objects.for_subject(bob.subject_id).exists()
    assert not Order.objects.for_subject(None).exists()
    assert Payment.objects.for_subject(alice.subject_id).count() == 1
    assert not Payment.objects.for_subject(bob.subject_id).exists()
    assert not Payment.objects.for_subject(None).exists()


def test_open_and_unpaid_orders_are_found() -> None:
    alice = a_customer()
    placed = an_order(alice)
    unpaid = an_order(alice, invoiced=date(2026, 11, 3), shipped=date(2026, 11, 3))
    an_order(alice, invoiced=date(2026, 11, 3), shipped=date(2026, 11, 3), paid=date(2026, 11, 3))
    assert list(Order.objects.open()) == [placed]
    assert list(Order.objects.unpaid()) == [unpaid]


def test_an_order_is_found_by_phone_and_email_in_any_spelling() -> None:
    order = an_order(a_customer(), phone="+1 978-555-0101", email="Alice@Post.example")
    an_order(a_customer(), phone="+1 978 555 0199", email="bob@post.example")
    assert list(Order.objects.find("order.email", "alice@POST.example")) == [order]
    assert list(Order.objects.find("order.phone", "+19785550101")) == [order]


def test_the_data_keys_belong_to_the_person_who_ordered() -> None:
    alice = a_customer()
    an_order(alice)
    from privacy.vault.models import DataKey

    owners = DataKey.objects.using("keystore").filter(label="orders.order").values_list("owner_kind", "owner_id")
    assert set(owners) == {("subject", alice.subject_id)}


def test_a_list_of_orders_costs_the_same_for_1_and_for_a_dozen() -> None:
    alice = a_customer()
    costs = []
    for count in (1, 11):
        for _ in range(count):
            an_order(alice, invoiced=date(2026, 11, 2), paid=date(2026, 11, 2), card=CARD)
        with CaptureQueriesContext(connection) as main, vault.internal():
            for order in Order.objects.for_subject(alice.subject_id).recent_first().with_details():
                assert order.ship_city == "Gloucester"
                assert [line.product.sku for line in order.lines.all()] == ["ILT2400-A"]
                assert [payment.last_four for payment in order.payments.all()] == ["4242"]
                assert len(order.invoices.all()) == 1
        costs.append(len(main))
    assert costs == [5, 5]  # orders, lines, products, invoices, payments


def test_the_database_refuses_impossible_dates() -> None:
    order = an_order(a_customer())
    for change in ({"shipped_on": date(2026, 1, 1)}, {"state": "shipped"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Order.objects.filter(pk=order.pk).update(**change)
