"""What orders and payments hold about people, why, and what their fate depends on (P17, P19, P25, P26).

The envelope `order` is what the invoice prints, `fulfilment` what delivery needed, `payment` what the provider gave.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts import countries, regions
from orders.models import Invoice, Order, OrderLine, OrderQuerySet, Payment, PaymentQuerySet, Product
from privacy import datamap
from privacy.datamap import Datum, Declaration, Flagged, Life, Proof, Warned, warned
from privacy.facts import Facts, Party
from privacy.gate import matters
from privacy.gate.matters import Matter
from privacy.retention import rules
from privacy.typed import numbers

PERSON = "the person who ordered"
US = "ourselves"
CARRIER = "carrier"
PROVIDER = "payment provider"
FULFIL = ("orders", "delivery")
BILL = ("orders", "billing")


MONTH_AND_TOTAL = re.compile(r"([0-9]{4})-([0-9]{1,2})[ ,;:]+[$€£]? ?([0-9]{1,3}(?:,?[0-9]{3}){0,3}(?:\.[0-9]{2})?)")


def has_total(rows: QuerySet[Any], text: str) -> bool:
    """Say whether one of these orders was placed in the month and has the total that somebody named: "2026-03
    1,234.50"."""
    said = MONTH_AND_TOTAL.fullmatch(text.strip())
    if said is None:
        return False
    year, month, total = int(said[1]), int(said[2]), Decimal(said[3].replace(",", ""))
    if not 1 <= month <= 12 or not year:
        return False
    of_month = rows.filter(placed_on__year=year, placed_on__month=month)
    return bool(of_month.filter(total=total).exists())


def still_sealed(record: Order | Payment) -> dict[str, tuple[str, ...]]:
    """Return envelope -> titles of the data that the record still holds: an envelope that ended is not among them."""
    return datamap.for_model(type(record)).still_sealed(record)


def party_of(record: Order) -> Party:
    """Return the role in which the person stands: buyer, contact of a company, or nobody but the company."""
    if record.customer_id is None:
        return "company" if record.company_id else "person"
    return "contact" if record.company_id or record.customer.company_id else "person"


def flags_of(order: Order) -> frozenset[str]:
    """Return what keeps an order from ending (KEEP_CONTRACT), or tells that nothing came of it."""
    flags = set()
    if order.state == Order.State.CANCELLED:
        if not (order.invoiced_on or order.paid_on or order.shipped_on):
            flags.add("never_fulfilled")
    elif not order.shipped_on or not order.invoiced_on:
        flags.add("open_order")
    if order.is_unpaid:
        flags.add("unpaid")
    return frozenset(flags)


def events_of(order: Order) -> dict[str, date | None]:
    """Return the days on which something happened to an order."""
    return {
        "placed": order.placed_on,
        "invoiced": order.invoiced_on,
        "paid": order.paid_on,
        "shipped": order.shipped_on,
        "closed": order.closed_on,
    }


def order_facts(order: Order) -> Facts:
    """Return the facts of one order."""
    return Facts(
        label=Order.vault_label,
        record_id=order.pk,
        title=f"Order {order.number}",
        subject_id=order.customer.subject_id if order.customer_id else None,
        data=still_sealed(order),
        events=events_of(order),
        flags=flags_of(order),
        party=party_of(order),
        country=_country(order),
        sold_to=order.ship_country or None,
    )


def payment_facts(payment: Payment) -> Facts:
    """Return the facts of one payment: those of its order, and the day on which it was charged."""
    order = payment.order
    flags = set(flags_of(order))
    if payment.state == Payment.State.PENDING:
        flags.add("open_charge")
    return Facts(
        label=Payment.vault_label,
        record_id=payment.pk,
        title=f"Payment for order {order.number}",
        subject_id=order.customer.subject_id if order.customer_id else None,
        data=still_sealed(payment),
        events={**events_of(order), "paid": payment.charged_on or order.paid_on},
        flags=frozenset(flags),
        party=party_of(order),
        country=_country(order),
        sold_to=order.ship_country or None,
    )


def _country(order: Order) -> str | None:
    return (order.customer.country if order.customer_id else "") or order.ship_country or None


def order_warnings(subject_id: UUID, today: date) -> list[Warned]:
    """Return what a person should know before an erasure: open orders, unpaid invoices."""
    found = Order.objects.for_subject(subject_id).filter(_unfinished()).order_by("placed_on", "number")
    orders = [(order.number, order.is_unpaid) for order in found]
    return [
        *warned(
            [number for number, is_unpaid in orders if is_unpaid],
            "The invoice of order {} is not paid yet. It stays, with the order, until it is paid and its period is over.",
            "The invoices of {} orders are not paid yet. Each stays, with its order, until it is paid and its period is "
            "over.",
        ),
        *warned(
            [number for number, is_unpaid in orders if not is_unpaid],
            "Order {} is not finished yet. What its delivery and invoice need stays until then.",
            "{} orders are not finished yet. What the delivery and invoice of each need stays until it is.",
        ),
    ]


def account_flags(subject_ids: Collection[UUID]) -> Iterator[Flagged]:
    """Yield the orders of these people that are not finished: the account stays until they are (KEEP_CONTRACT)."""
    orders = Order.objects.filter(_unfinished(), customer__subject_id__in=list(subject_ids)).with_owner()
    for order in orders:
        if order.customer is not None and order.customer.subject_id is not None:
            yield Flagged(order.customer.subject_id, Order.vault_label, order.pk, frozenset(flags_of(order)))


def work(subject_id: UUID, roles: frozenset[str]) -> Iterator[Matter]:
    """Yield this person's orders that are not finished: sales ships them, accounting bills them (P40)."""
    if not roles & {"sales", "accounting"}:
        return
    orders = Order.objects.for_subject(subject_id).filter(_unfinished()).order_by("-placed_on", "-number")
    found = orders.values_list("pk", "number", "shipped_on", "invoiced_on")[: matters.MOST]
    for pk, number, shipped_on, invoiced_on in found:
        if shipped_on is None or invoiced_on is None:
            yield Matter("open order", number, pk, frozenset({"sales", "accounting"}))
        else:
            yield Matter("unpaid invoice of order", number, pk, frozenset({"accounting"}))


def _unfinished() -> Q:
    open_order = Q(shipped_on__isnull=True) | Q(invoiced_on__isnull=True)
    unpaid = Q(invoiced_on__isnull=False, paid_on__isnull=True)
    return (open_order | unpaid) & ~Q(state=Order.State.CANCELLED)


def order_candidates(day: date) -> OrderQuerySet:
    """Return the orders that may have outlived their reason on `day`, by the index of orders that still hold data."""
    live = Q(sealed_order__isnull=False) | Q(sealed_fulfilment__isnull=False)
    fulfilled = Q(placed_on__lte=_outlived(("order", "fulfilment"), day, never_fulfilled=False))
    never = Q(state=Order.State.CANCELLED, closed_on__lte=_outlived(("order", "fulfilment"), day, never_fulfilled=True))
    return Order.objects.filter(live, fulfilled | never).with_owner()


def payment_candidates(day: date) -> PaymentQuerySet:
    """Return the payments that may have outlived their reason on `day`; uncharged ones by the day of their order."""
    last = rules.cutoff("payment", day)
    uncharged = Payment.objects.filter(charged_on=None, order__placed_on__lte=last).values("pk")
    due = Q(charged_on__lte=last) | Q(pk__in=uncharged)
    return Payment.objects.filter(due, sealed_payment__isnull=False).with_owner()


def _outlived(envelopes: tuple[str, ...], day: date, *, never_fulfilled: bool) -> date:
    """Return the latest day of a last event that may be outlived on `day`, for orders of one of the two kinds."""
    return max(
        reason.period.started_by(day)
        for envelope in envelopes
        for reason in rules.load().reasons(envelope)
        if reason.period is not None and ("never_fulfilled" in reason.when) == never_fulfilled
    )


def _order(title: str, category: str = "address", purposes: tuple[str, ...] = BILL) -> Datum:
    return Datum(title, category, purposes, PERSON)


def _ship(title: str, category: str = "address") -> Datum:
    return Datum(title, category, FULFIL, PERSON, (CARRIER,))


def _region(title: str, purposes: tuple[str, ...], beside: str, recipients: tuple[str, ...] = ()) -> Datum:
    return Datum(
        title, "address", purposes, PERSON, recipients, words=regions.name_of, code=regions.CODE, beside=beside
    )


datamap.contribute_flags(account_flags)
matters.contribute(work, apart=Order.vault_label)
datamap.register(
    Declaration(
        model=Order,
        title="Order",
        life=Life.ORDERS,
        gist=(
            "placed_on",
            "total",
            "state",
        ),
        subject_path="customer__subject",
        reference="number",
        proofs=(
            Proof("order_number", "Order number", numbers.has("number"), "placed_on"),
            Proof("order_total", "Month and total of an order, such as 2026-03 1,234.50", has_total, "placed_on"),
        ),
        data={
            "customer": Datum("Who ordered", "link", BILL, PERSON, plain="a random number"),
            "company": Datum("For which company", "link", BILL, PERSON, plain="a random number"),
            "invoice_name": _order("Name on the invoice", "name"),
            "invoice_company": _order("Company on the invoice", "name"),
            "invoice_street": _order("Street on the invoice"),
            "invoice_street2": _order("Second address line on the invoice"),
            "invoice_city": _order("City on the invoice"),
            "invoice_region": _region("State or region on the invoice", BILL, "invoice_country"),
            "invoice_postal_code": _order("Postal code on the invoice"),
            "invoice_country": Datum(
                "Country on the invoice",
                "address",
                BILL,
                PERSON,
                plain="a country alone names nobody",
                words=countries.name_of,
                code=countries.CODE,
            ),
            "invoice_vat_number": _order("VAT number or Tax ID on the invoice", "identifier"),
            "customer_reference": _order("Your reference", "identifier"),
            "ship_name": _ship("Name for delivery", "name"),
            "ship_company": _ship("Company for delivery", "name"),
            "ship_street": _ship("Street for delivery"),
            "ship_street2": _ship("Second address line for delivery"),
            "ship_city": _ship("City for delivery"),
            "ship_region": _region("State or region for delivery", FULFIL, "ship_country", (CARRIER,)),
            "ship_postal_code": _ship("Postal code for delivery"),
            "ship_country": Datum(
                "Country of delivery",
                "address",
                FULFIL,
                PERSON,
                (CARRIER,),
                plain="a country alone names nobody",
                words=countries.name_of,
                code=countries.CODE,
            ),
            "phone": _ship("Phone number for this order", "contact"),
            "email": _ship("E-mail address for this order", "contact"),
            "notes": _ship("Delivery notes", "text"),
            "number": Datum("Order number", "identifier", BILL, US, (CARRIER,), plain="a number of a series"),
            "channel": Datum("How the order came", "order", BILL, PERSON, plain="one of six words"),
            "state": Datum("State of the order", "order", BILL, US, plain="one of four words"),
            "placed_on": Datum("Day placed", "order", BILL, US, plain="a date"),
            "invoiced_on": Datum("Day invoiced", "order", BILL, US, plain="a date"),
            "paid_on": Datum("Day paid", "order", BILL, US, plain="a date"),
            "shipped_on": Datum("Day shipped", "order", BILL, US, plain="a date"),
            "closed_on": Datum("Day finished", "order", BILL, US, plain="a date"),
            "currency": Datum("Currency", "order", BILL, US, plain="one of the world's currencies"),
            "subtotal": Datum("Subtotal", "order", BILL, US, plain="an amount"),
            "tax": Datum("Tax", "order", BILL, US, plain="an amount"),
            "freight": Datum("Freight", "order", BILL, US, plain="an amount"),
            "total": Datum("Total", "order", BILL, US, plain="an amount"),
        },
        blocks={
            "On the invoice": (
                ("invoice_name",),
                ("invoice_company",),
                ("invoice_street",),
                ("invoice_street2",),
                ("invoice_city", "invoice_region", "invoice_postal_code"),
                ("invoice_country",),
            ),
            "Delivery to": (
                ("ship_name",),
                ("ship_company",),
                ("ship_street",),
                ("ship_street2",),
                ("ship_city", "ship_region", "ship_postal_code"),
                ("ship_country",),
            ),
        },
        facts=order_facts,
        candidates=order_candidates,
        related=("customer",),
        end="blank",
        links=("customer", "company"),
        warnings=order_warnings,
    ),
    Declaration(
        model=OrderLine,
        title="Line of an order",
        life=Life.ORDERS,
        inside="order",
        noun=("line of an order", "lines of orders"),
        subject_path="order__customer__subject",
        data={
            "order": Datum("Of which order", "link", BILL, US, plain="a random number"),
            "position": Datum("Position", "order", BILL, US, plain="a count"),
            "product": Datum("Product", "order", BILL, PERSON, plain="a product of the price list"),
            "description": Datum("What was ordered", "order", BILL, US, plain="the name of a product"),
            "quantity": Datum("Quantity", "order", BILL, PERSON, plain="a count"),
            "unit_price": Datum("Price", "order", BILL, US, plain="an amount"),
        },
        follows="order",
    ),
    Declaration(
        model=Invoice,
        title="Invoice",
        life=Life.ORDERS,
        inside="order",
        gist=(
            "issued_on",
            "total",
        ),
        subject_path="order__customer__subject",
        reference="number",
        proofs=(Proof("invoice_number", "Invoice number", numbers.has("number"), "issued_on"),),
        data={
            "number": Datum("Invoice number", "identifier", BILL, US, plain="a number of a series"),
            "order": Datum("Of which order", "link", BILL, US, plain="a random number"),
            "issued_on": Datum("Day issued", "order", BILL, US, plain="a date"),
            "due_on": Datum("Day due", "order", BILL, US, plain="a date"),
            "paid_on": Datum("Day paid", "order", BILL, US, plain="a date"),
            "total": Datum("Amount", "order", BILL, US, plain="an amount"),
        },
        follows="order",
    ),
    Declaration(
        model=Payment,
        title="Payment",
        life=Life.ORDERS,
        inside="order",
        gist=(
            "charged_on",
            "amount",
        ),
        subject_path="order__customer__subject",
        data={
            "order": Datum("For which order", "link", BILL, US, plain="a random number"),
            "method": Datum("How it was paid", "payment", BILL, PERSON, plain="one of five words"),
            "state": Datum("State of the payment", "payment", BILL, PROVIDER, plain="one of four words"),
            "brand": Datum("Brand of the card", "payment", BILL, PROVIDER, plain="a brand that millions have"),
            "amount": Datum("Amount", "payment", BILL, US, plain="an amount"),
            "charged_on": Datum("Day charged", "payment", BILL, PROVIDER, plain="a date"),
            "token": Datum("Token of the payment provider", "payment", BILL, PROVIDER, (PROVIDER,), export="last4"),
            "last_four": Datum("Last four digits of the card", "payment", BILL, PROVIDER, (PROVIDER,)),
            "expiry": Datum("Expiry of the card", "payment", BILL, PROVIDER, (PROVIDER,)),
        },
        facts=payment_facts,
        candidates=payment_candidates,
        related=("order__customer",),
        end="blank",
    ),
    Declaration(
        model=Product,
        title="Product",
        reference="sku",
        impersonal={
            "sku": "a code of the price list",
            "name": "the name of a product",
            "kind": "a kind of product",
            "price": "a price of the price list",
            "is_active": "whether it is sold",
        },
    ),
)
