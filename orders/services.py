"""What happens to an order: placed, invoiced, paid, shipped, cancelled. One transaction and one audit event each.

Card numbers never come this way: a payment arrives as the provider's token, brand, last four and expiry (P20, P22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from accounts.activity import touch
from accounts.models import Channel, Company, Customer
from accounts.records import require_living
from orders.cards import check_card
from orders.models import Invoice, Order, OrderLine, Payment, Product
from privacy import audit
from privacy.calendar import days
from privacy.gate import Actor, Refused
from privacy.retention import restriction

PAYMENT_DAYS = 30

INVOICE_FIELDS = frozenset(Order.envelopes()["order"]) | {"invoice_country"}
SHIP_FIELDS = frozenset(Order.envelopes()["fulfilment"]) | {"ship_country"}


class OrderRefused(Exception):
    """Something that cannot be done to an order in its state. The text names the order's number and no person."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line to be ordered; the price is the product's unless stated."""

    product: Product
    quantity: int
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What the provider's page gave back about a card. There is no field for its number or security code."""

    token: str
    brand: str
    last_four: str
    expiry: str


def permit(actor: Actor, *roles: str, subject: UUID | None = None) -> None:
    """Let staff with one of `roles`, the person `subject` itself, tasks and operators pass.

    Raises gate.Refused for everybody else: a customer on another person's record, staff of another department (P40).
    """
    if actor.kind in ("task", "operator"):
        return
    if actor.kind == "staff" and actor.roles & frozenset(roles):
        return
    if actor.kind == "customer" and subject is not None and actor.subject == subject:
        return
    raise Refused("This actor has no right to this step.")


def next_number(sequence: str, prefix: str, year: int) -> str:
    """Return the next number of a series, such as SO-2026-000042. Numbers may be skipped, never given twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s::regclass)", [sequence])
        (value,) = cursor.fetchone()
    return f"{prefix}-{year}-{value:06d}"


def place_order(
    *,
    customer: Customer,
    items: Sequence[Item],
    channel: str,
    ship: Mapping[str, str],
    bill: Mapping[str, str],
    actor: Actor,
    now: datetime,
    company: Company | None = None,
    tax: Decimal = Decimal(0),
    freight: Decimal = Decimal(0),
) -> Order:
    """Place an order for a customer, by any channel, and return it (P17, P25).

    `ship` holds fields of the envelope fulfilment and ship_country, `bill` those of the envelope order and
    invoice_country. Raises gate.Refused, OrderRefused (no lines, unknown field, unknown channel) and ValidationError
    (a value that its field does not allow, a card number in a text among them; CustomerErased).
    """
    permit(actor, "sales", subject=customer.subject_id)
    if not items:
        raise OrderRefused("An order needs at least one line.")
    if channel not in Channel.values:
        raise OrderRefused("An order needs a channel.")
    if unknown := (set(ship) - SHIP_FIELDS) | (set(bill) - INVOICE_FIELDS):
        raise OrderRefused(f"An order has no field {', '.join(sorted(unknown))}.")
    today = timezone.localdate(now)
    subtotal = sum((item.quantity * _price(item) for item in items), Decimal(0))
    with transaction.atomic():
        require_living(customer)
        order = Order(
            number=next_number("orders_order_number", "SO", today.year),
            customer=customer,
            company=company or customer.company,
            channel=channel,
            placed_on=today,
            subtotal=subtotal,
            tax=tax,
            freight=freight,
            total=subtotal + tax + freight,
            **bill,
            **ship,
        )
        order.full_clean(validate_unique=False)
        order.save()
        OrderLine.objects.bulk_create(
            OrderLine(
                order=order,
                position=position,
                product=item.product,
                description=item.product.name,
                quantity=item.quantity,
                unit_price=_price(item),
            )
            for position, item in enumerate(items, start=1)
        )
        touch([customer.pk], on=today)
        _record("order.placed", order, actor=actor, now=now)
    return order


def invoice(order: Order, *, actor: Actor, now: datetime, due_on: date | None = None) -> Invoice:
    """Issue the order's invoice, due in 30 days unless stated, and return it.

    Raises gate.Refused, and OrderRefused when the order is cancelled or has an invoice already: an issued invoice is
    never changed.
    """
    permit(actor, "accounting", "sales")
    today = timezone.localdate(now)
    days.require_due(now=now, due_on=due_on)
    if due_on is not None and due_on < today:
        raise OrderRefused("An invoice is not due before it is issued.")
    with transaction.atomic():
        order = _locked(order)
        if order.state == Order.State.CANCELLED or order.invoiced_on:
            raise OrderRefused(f"Order {order.number} cannot be invoiced.")
        issued = Invoice.objects.create(
            number=next_number("orders_invoice_number", "INV", today.year),
            order=order,
            issued_on=today,
            due_on=due_on or today + timedelta(days=PAYMENT_DAYS),
            total=order.total,
        )
        order.invoiced_on = today
        order.save(update_fields=["invoiced_on"])
        _record("order.invoiced", order, actor=actor, now=now)
    return issued


def mark_paid(
    order: Order,
    *,
    actor: Actor,
    now: datetime,
    method: str = Payment.Method.TRANSFER,
    card: Card | None = None,
) -> Payment:
    """Record that the invoice was paid, by card with what the provider gave back, and return the payment (P19, P20).

    Raises gate.Refused, OrderRefused (no invoice, paid already) and CardRefused (more than token, brand, last four and
    expiry, P22).
    """
    subject = order.customer.subject_id if order.customer_id and card else None
    permit(actor, "accounting", subject=subject)
    if card:
        check_card(token=card.token, last_four=card.last_four, expiry=card.expiry, brand=card.brand)
        method = Payment.Method.CARD
    today = timezone.localdate(now)
    with transaction.atomic():
        order = _locked(order)
        if not order.is_unpaid:
            raise OrderRefused(f"Order {order.number} has nothing to pay.")
        payment = Payment(order=order, method=method, state=Payment.State.CHARGED, amount=order.total, charged_on=today)
        if card:
            payment.brand, payment.token = card.brand, card.token
            payment.last_four, payment.expiry = card.last_four, card.expiry
        payment.save()
        Invoice.objects.filter(order=order, paid_on__isnull=True).update(paid_on=today)
        order.paid_on = today
        _settle(order, today)
        order.save(update_fields=["paid_on", "state", "closed_on"])
        _record("order.paid", order, actor=actor, now=now)
    return payment


def ship(order: Order, *, actor: Actor, now: datetime) -> Order:
    """Record that the order left the house, and return it. Raises gate.Refused, OrderRefused unless it is open."""
    permit(actor, "sales", "service")
    today = timezone.localdate(now)
    with transaction.atomic():
        order = _locked(order)
        if not order.is_open:
            raise OrderRefused(f"Order {order.number} is not open.")
        order.shipped_on, order.state = today, Order.State.SHIPPED
        _settle(order, today)
        order.save(update_fields=["shipped_on", "state", "closed_on"])
        _record("order.shipped", order, actor=actor, now=now)
    return order


def cancel(order: Order, *, actor: Actor, now: datetime) -> Order:
    """Cancel an order that has not been shipped, by the customer or by sales; what was paid is marked for refund.

    Raises gate.Refused, OrderRefused when it has been shipped or cancelled already.
    """
    permit(actor, "sales", subject=order.customer.subject_id if order.customer_id else None)
    today = timezone.localdate(now)
    with transaction.atomic():
        order = _locked(order)
        if not order.is_open:
            raise OrderRefused(f"Order {order.number} can no longer be cancelled.")
        order.state, order.closed_on = Order.State.CANCELLED, today
        order.save(update_fields=["state", "closed_on"])
        order.payments.filter(state=Payment.State.CHARGED).update(state=Payment.State.REFUNDED)
        _record("order.cancelled", order, actor=actor, now=now)
    return order


def _price(item: Item) -> Decimal:
    return item.product.price if item.unit_price is None else item.unit_price


def _locked(order: Order) -> Order:
    return Order.objects.select_for_update(of=("self",)).select_related("customer").get(pk=order.pk)


def _settle(order: Order, today: date) -> None:
    """An order is complete when it has been shipped and paid."""
    if order.state == Order.State.SHIPPED and order.paid_on:
        order.state, order.closed_on = Order.State.CLOSED, today


def _record(action: str, order: Order, *, actor: Actor, now: datetime, fields: Iterable[str] = ()) -> None:
    if order.customer_id and (subject := order.customer.subject_id):
        # What is kept of somebody after an erasure opens for unfinished work only as long as it is unfinished.
        restriction.settle_person(subject, actor=actor, now=now)
    audit.record(
        action,
        actor=actor,
        now=now,
        subject=order.customer.subject_id if order.customer_id else None,
        record=(Order.vault_label, order.pk),
        fields=tuple(fields),
    )
