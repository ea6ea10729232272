"""Orders, returns and who acts on them, in one line each. Everything goes through the services of the product."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from accounts.models import Company, Customer
from orders import services as orders
from orders.models import Order, Product
from privacy import subjects
from privacy.gate import Actor
from rma import services as rmas
from rma.models import RMA, Instrument

_count = itertools.count(1)

CAROL = Actor(kind="staff", id="carol", subject=None, roles=frozenset({"sales"}), purpose="test")
DAN = Actor(kind="staff", id="dan", subject=None, roles=frozenset({"service"}), purpose="test")
ERIN = Actor(kind="staff", id="erin", subject=None, roles=frozenset({"accounting"}), purpose="test")
TASK = Actor(kind="task", id="test", subject=None, roles=frozenset(), purpose="test")

SHIP = {
    "ship_name": "Alice Whitfield",
    "ship_street": "14 Harbor View Road",
    "ship_city": "Gloucester",
    "ship_region": "MA",
    "ship_postal_code": "01930",
    "ship_country": "US",
    "phone": "+1 978 555 0101",
    "email": "alice@post.example",
    "notes": "Ring twice.",
}
BILL = {
    "invoice_name": "Alice Whitfield",
    "invoice_street": "14 Harbor View Road",
    "invoice_city": "Gloucester",
    "invoice_country": "US",
}
CONTACT = {
    "contact_name": "Alice Whitfield",
    "phone": "+1 978 555 0101",
    "email": "alice@post.example",
    "return_street": "14 Harbor View Road",
    "return_city": "Gloucester",
    "return_country": "US",
}


def noon(day: date) -> datetime:
    """Return a moment on a day in the company's time zone."""
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def a_customer(reference: str = "", *, company: Company | None = None, country: str = "US", **data: Any) -> Customer:
    """Make a customer with a subject of their own."""
    number = next(_count)
    return Customer.objects.create(
        reference=reference or f"T{number:06d}",
        kind=Customer.Kind.CONTACT if company else Customer.Kind.PERSON,
        company=company,
        subject=subjects.create(now=datetime(2016, 1, 1, tzinfo=UTC)),
        country=country,
        since=date(2016, 1, 1),
        **{"first_name": "Alice", "last_name": "Whitfield", "email": f"alice{number}@post.example", **data},
    )


def as_customer(customer: Customer) -> Actor:
    """Return the customer as an actor."""
    return Actor(
        kind="customer", id="login", subject=customer.subject_id, roles=frozenset({"customer"}), purpose="own data"
    )


def a_product(sku: str = "ILT2400-A", price: str = "1495") -> Product:
    """Return the product with this number, making it when needed."""
    return Product.objects.get_or_create(sku=sku, defaults={"name": f"Product {sku}", "price": Decimal(price)})[0]


def an_order(
    customer: Customer,
    placed: date = date(2026, 11, 2),
    *,
    invoiced: date | None = None,
    shipped: date | None = None,
    paid: date | None = None,
    card: orders.Card | None = None,
    items: Sequence[tuple[str, int]] = (("ILT2400-A", 1),),
    **ship: str,
) -> Order:
    """Place an order and take it through the given steps."""
    order = orders.place_order(
        customer=customer,
        items=[orders.Item(a_product(sku), quantity) for sku, quantity in items],
        channel="web",
        ship={**SHIP, **ship},
        bill=BILL,
        actor=TASK,
        now=noon(placed),
    )
    if invoiced:
        orders.invoice(order, actor=TASK, now=noon(invoiced))
    if shipped:
        orders.ship(order, actor=TASK, now=noon(shipped))
    if paid:
        orders.mark_paid(order, card=card, actor=TASK, now=noon(paid))
    return Order.objects.with_owner().get(pk=order.pk)


def an_instrument(serial: str = "ILT2400-0001") -> Instrument:
    """Return the instrument with this serial number."""
    return rmas.find_instrument(serial=serial, model_name="ILT2400")


def an_rma(customer: Customer, opened: date = date(2026, 11, 2), *, serial: str = "", **data: Any) -> RMA:
    """Open a return."""
    return rmas.open_rma(
        customer=customer,
        instrument=an_instrument(serial or f"SN-{next(_count):05d}"),
        service=data.pop("service", "repair"),
        channel=data.pop("channel", "web"),
        contact=data.pop("contact", CONTACT),
        fault=data.pop("fault", "Display stays dark."),
        actor=data.pop("actor", TASK),
        now=noon(opened),
        **data,
    )


def moved(rma: RMA, *states: str, on: date = date(2026, 11, 5), **data: Any) -> RMA:
    """Take a return through states, in the given order."""
    for state in states:
        rma = rmas.transition(rma, state, actor=TASK, now=noon(on), **data)
    return rma
