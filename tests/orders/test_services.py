"""An order's life, by whom, and what is refused."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from orders import services
from orders.cards import CardRefused
from orders.models import Order, Payment
from privacy import vault
from privacy.audit import AuditEvent
from privacy.gate import Refused
from tests.factories import (
    BILL,
    CAROL,
    DAN,
    ERIN,
    SHIP,
    TASK,
    a_customer,
    a_product,
    an_order,
    as_customer,
    noon,
)

pytestmark = pytest.mark.django_db
CARD = services.Card(token="tok_1Nx7aaBbCc", brand="Visa", last_four="4242", expiry="09/2031")


def actions() -> list[str]:
    events = AuditEvent.objects.filter(action__startswith="order.").order_by("pk")
    return list(events.values_list("action", flat=True))


def place(email: str) -> Order:
    return services.place_order(
        customer=a_customer(),
        items=[services.Item(a_product(), 1)],
        channel="phone",
        ship={**SHIP, "email": email},
        bill=BILL,
        actor=CAROL,
        now=noon(date(2026, 11, 2)),
    )


def test_an_address_with_an_accent_is_an_address() -> None:
    order = place("élise@post.example")
    assert list(Order.objects.find("order.email", "élise@post.example")) == [order]
    with pytest.raises(ValidationError):
        place("élise at post.example")


def test_an_order_is_placed_with_its_lines_and_exact_amounts() -> None:
    alice = a_customer()
    order = services.place_order(
        customer=alice,
        items=[services.Item(a_product("A", "0.1234"), 3), services.Item(a_product("B", "5"), 2, Decimal("4.9999"))],
        channel="fax",
        ship=SHIP,
        bill=BILL,
        tax=Decimal("0.0001"),
        freight=Decimal("1"),
        actor=CAROL,
        now=noon(date(2026, 11, 2)),
    )
    order = Order.objects.get(pk=order.pk)
    assert (order.subtotal, order.total) == (Decimal("10.3700"), Decimal("11.3701"))
    assert [(line.position, line.description, line.quantity) for line in order.lines.all()] == [
        (1, "Product A", 3),
        (2, "Product B", 2),
    ]
    assert (order.state, order.channel, order.placed_on) == ("placed", "fax", date(2026, 11, 2))
    with vault.internal():
        assert order.ship_street == "14 Harbor View Road"
        assert order.invoice_name == "Alice Whitfield"
    assert actions() == ["order.placed"]
    alice.refresh_from_db()
    assert alice.last_active_on == date(2026, 11, 2)


def test_numbers_are_drawn_one_after_the_other() -> None:
    alice = a_customer()
    first, second = an_order(alice), an_order(alice)
    assert first.number.startswith("SO-2026-")
    assert int(second.number[-6:]) == int(first.number[-6:]) + 1


def test_the_company_day_counts_not_the_one_in_greenwich() -> None:
    order = services.place_order(
        customer=a_customer(),
        items=[services.Item(a_product(), 1)],
        channel="web",
        ship=SHIP,
        bill=BILL,
        actor=TASK,
        now=noon(date(2026, 11, 3)).replace(hour=2),
    )
    assert order.placed_on == date(2026, 11, 2)


def test_an_order_is_invoiced_shipped_paid_and_complete() -> None:
    order = an_order(a_customer())
    invoice = services.invoice(order, actor=ERIN, now=noon(date(2026, 11, 3)))
    assert (invoice.total, invoice.due_on) == (order.total, date(2026, 12, 3))
    order = services.ship(order, actor=DAN, now=noon(date(2026, 11, 4)))
    assert (order.state, order.is_unpaid) == ("shipped", True)
    services.mark_paid(order, card=CARD, actor=ERIN, now=noon(date(2026, 11, 5)))
    order.refresh_from_db()
    invoice.refresh_from_db()
    assert (order.state, order.closed_on, order.paid_on) == ("closed", date(2026, 11, 5), date(2026, 11, 5))
    assert invoice.paid_on == date(2026, 11, 5)
    payment = Payment.objects.get()
    with vault.internal():
        assert (payment.token, payment.last_four, payment.expiry) == ("tok_1Nx7aaBbCc", "4242", "09/2031")
    assert (payment.brand, payment.method, payment.amount) == ("Visa", "card", order.total)
    assert actions() == ["order.placed", "order.invoiced", "order.shipped", "order.paid"]


def test_an_order_is_invoiced_once_and_the_invoice_stays_as_it_was_issued() -> None:
    order = an_order(a_customer())
    invoice = services.invoice(order, actor=ERIN, now=noon(date(2026, 11, 3)))
    with pytest.raises(services.OrderRefused, match="cannot be invoiced"):
        services.invoice(order, actor=ERIN, now=noon(date(2026, 11, 4)), due_on=date(2027, 1, 1))
    services.ship(order, actor=DAN, now=noon(date(2026, 11, 4)))
    order.refresh_from_db()
    services.mark_paid(order, card=CARD, actor=ERIN, now=noon(date(2026, 11, 5)))
    found = order.invoices.get()
    assert (found.number, found.total, found.issued_on, found.due_on) == (
        invoice.number, invoice.total, date(2026, 11, 3), date(2026, 12, 3),
    )  # fmt: skip


def test_paid_before_it_is_shipped_it_is_complete_when_shipped() -> None:
    order = an_order(a_customer(), invoiced=date(2026, 11, 2), paid=date(2026, 11, 2))
    assert order.is_open
    order = services.ship(order, actor=CAROL, now=noon(date(2026, 11, 9)))
    assert (order.state, order.closed_on) == ("closed", date(2026, 11, 9))


def test_a_cancelled_order_is_refunded_and_owes_nothing() -> None:
    alice = a_customer()
    order = an_order(alice, invoiced=date(2026, 11, 2), paid=date(2026, 11, 2), card=CARD)
    order = services.cancel(order, actor=as_customer(alice), now=noon(date(2026, 11, 3)))
    assert (order.state, order.is_unpaid, order.is_open) == ("cancelled", False, False)
    assert Payment.objects.get().state == Payment.State.REFUNDED


@pytest.mark.parametrize(
    "step",
    [
        lambda order: services.invoice(order, actor=TASK, now=noon(date(2026, 11, 9))),
        lambda order: services.ship(order, actor=TASK, now=noon(date(2026, 11, 9))),
        lambda order: services.mark_paid(order, actor=TASK, now=noon(date(2026, 11, 9))),
        lambda order: services.cancel(order, actor=TASK, now=noon(date(2026, 11, 9))),
    ],
)
def test_a_finished_order_takes_no_step(step) -> None:
    done = an_order(a_customer(), invoiced=date(2026, 11, 2), shipped=date(2026, 11, 2), paid=date(2026, 11, 2))
    before = actions()
    with pytest.raises(services.OrderRefused) as refused:
        step(done)
    assert "Alice" not in str(refused.value)
    assert actions() == before


def test_bob_neither_orders_nor_cancels_for_alice() -> None:
    alice, bob = a_customer(), a_customer()
    order = an_order(alice)
    with pytest.raises(Refused):
        services.cancel(order, actor=as_customer(bob), now=noon(date(2026, 11, 3)))
    with pytest.raises(Refused):
        services.place_order(
            customer=alice,
            items=[services.Item(a_product(), 1)],
            channel="web",
            ship=SHIP,
            bill=BILL,
            actor=as_customer(bob),
            now=noon(date(2026, 11, 3)),
        )
    order.refresh_from_db()
    assert order.is_open
    assert Order.objects.count() == 1


@pytest.mark.parametrize("actor", [CAROL, DAN])
def test_only_accounting_takes_payments(actor) -> None:
    order = an_order(a_customer(), invoiced=date(2026, 11, 2))
    with pytest.raises(Refused):
        services.mark_paid(order, actor=actor, now=noon(date(2026, 11, 3)))


def test_a_card_number_stands_in_no_field_of_an_order() -> None:
    before = AuditEvent.objects.count()
    for field in ("notes", "ship_name", "ship_street", "ship_city"):
        with pytest.raises(ValidationError) as refused:
            an_order(a_customer(), **{field: "4242 4242 4242 4242"})
        assert "4242" not in str(refused.value)
    assert Order.objects.count() == 0
    assert AuditEvent.objects.count() == before


def test_a_card_number_stands_in_no_payment() -> None:
    order = an_order(a_customer(), invoiced=date(2026, 11, 2))
    with pytest.raises(CardRefused):
        services.mark_paid(
            order,
            card=services.Card("4242424242424242", "Visa", "4242", "09/2031"),
            actor=ERIN,
            now=noon(date(2026, 11, 3)),
        )
    with pytest.raises(CardRefused):
        Payment(order=order, last_four="4242424242424242").save()
    with pytest.raises(CardRefused):
        Payment.objects.bulk_create([Payment(order=order, token="4242424242424242")])
    payment = Payment.objects.create(order=order)
    payment.token = "5555555555554444"
    with pytest.raises(CardRefused):
        payment.save(update_fields=["token"])
    assert Payment.objects.filter(sealed_payment__isnull=False).count() == 0


def test_there_is_no_field_for_a_security_code() -> None:
    names = {field.name for field in Payment._meta.get_fields()}
    assert not {name for name in names if "cv" in name or "security" in name or "pan" in name}


def test_an_order_needs_lines_a_channel_and_known_fields() -> None:
    alice, item = a_customer(), services.Item(a_product(), 1)
    common = {"customer": alice, "bill": BILL, "actor": TASK, "now": noon(date(2026, 11, 3))}
    with pytest.raises(services.OrderRefused):
        services.place_order(items=[], channel="web", ship=SHIP, **common)
    with pytest.raises(services.OrderRefused):
        services.place_order(items=[item], channel="telepathy", ship=SHIP, **common)
    with pytest.raises(services.OrderRefused):
        services.place_order(items=[item], channel="web", ship={"card_number": "1"}, **common)
    with pytest.raises(ValidationError):
        services.place_order(items=[item], channel="web", ship={**SHIP, "ship_country": "USA"}, **common)
    assert Order.objects.count() == 0
