"""Take orders in from files: all or nothing, each once, never over what is there (P10, P22, P26).

What must never happen: a card number kept, an erased person's order brought back, a corrected order put back to the
file's old value. All is read, checked and compared first; only then is anything written, in one transaction, which locks the
people and looks once more whether they are still there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.csvfile import Problem
from accounts.models import Customer, FreightAccount
from accounts.services import touch_all
from orders import importfile
from orders.importfile import OrderData
from orders.models import Order, OrderLine, Payment, Product
from privacy import audit, progress, subjects, vault
from privacy.audit import Happened
from privacy.gate import Actor
from privacy.lines import on_one_line
from privacy.requests.models import Request, State
from privacy.retention import rules

BATCH = 500


class ImportRefused(Exception):
    """The key store does not answer, so nothing could be compared and nothing was taken in."""


@dataclass
class Report:
    """What an import did, in numbers and places; never a value of the file.

    `differing` names orders on file that differ, by line and columns: they are reported, never overwritten.
    `subtotals_off` counts orders taken in although their amounts do not add up; `freight_accounts_past` accounts left
    out because their period is over.
    """

    created: int = 0
    unchanged: int = 0
    differs: int = 0
    blocked: int = 0
    errors: list[Problem] = field(default_factory=list)
    lines: int = 0
    freight_accounts: int = 0
    freight_accounts_past: int = 0
    subtotals_off: int = 0
    differing: list[dict[str, Any]] = field(default_factory=list)
    dry_run: bool = False
    is_written: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "created": self.created,
            "unchanged": self.unchanged,
            "differs": self.differs,
            "blocked": self.blocked,
            "errors": [problem.as_dict() for problem in self.errors],
            "lines": self.lines,
            "freight_accounts": self.freight_accounts,
            "freight_accounts_past": self.freight_accounts_past,
            "notices": {"subtotals_off": self.subtotals_off},
            "differing": self.differing,
            "dry_run": self.dry_run,
        }


@dataclass
class _Plan:
    """What is to be written: orders with their customers, and freight accounts with their last shipment."""

    new: list[tuple[OrderData, Customer]] = field(default_factory=list)
    accounts: dict[tuple[UUID, str], date] = field(default_factory=dict)


def import_orders(
    orders: str | Path,
    lines: str | Path,
    *,
    actor: Actor | None,
    now: datetime,
    dry_run: bool = False,
    skip_bad: bool = False,
) -> Report:
    """Take in the orders of two files that are one unit, and return what was done.

    An imported order counts as invoiced and paid on the day it was shipped. With an error nothing is written, unless
    `skip_bad`. A second import of the same files changes nothing at all. Raises Problem when one of the files as a
    whole cannot be used, ImportRefused when the key store does not let it compare.
    """
    report = Report(dry_run=dry_run)
    found, report.errors = importfile.read(orders, lines, today=timezone.localdate(now))
    with vault.internal():  # to compare and to name the invoice; nothing of it is shown to anybody
        plan = _plan(found, report, today=timezone.localdate(now))
        if report.errors and not skip_bad:
            # All or nothing: what would have been created was not.
            report.created = report.lines = report.freight_accounts = report.freight_accounts_past = 0
            report.subtotals_off = 0
        elif not dry_run:
            if plan.new:
                _write(plan, report, actor=actor, now=now)
            report.is_written = True
    return report


# Compare -------------------------------------------------------------------------------------------------------------


def _plan(found: list[OrderData], report: Report, *, today: date) -> _Plan:
    plan = _Plan()
    references = {data.customer_ref for data in found}
    customers = {
        customer.reference: customer
        for customer in Customer.objects.filter(reference__in=references).select_related("company")
    }
    erased = vault.blocks.are_blocked("customer_ref", sorted(references))
    on_file = _on_file(data.number for data in found)
    accounts = _accounts_on_file(customer.pk for customer in customers.values())
    for data in found:
        customer = customers.get(data.customer_ref)
        if data.customer_ref in erased:
            report.blocked += 1
        elif customer is None:
            report.errors.append(Problem(data.line, "customer_ref", "There is no such customer."))
        elif data.number in on_file:
            _compare(data, customer, on_file[data.number], accounts, report)
        elif isinstance(_opened(customer.last_name), vault.Erased):
            report.blocked += 1
        else:
            plan.new.append((data, customer))
    report.errors.sort(key=lambda problem: (problem.column.startswith("lines"), problem.line))
    _count(plan, report, accounts, today=today)
    return plan


def _on_file(numbers: Iterable[str]) -> dict[str, Order]:
    orders = Order.objects.filter(number__in=list(numbers)).with_owner()
    return {order.number: order for order in orders.prefetch_related("lines__product", "payments")}


def _accounts_on_file(customer_ids: Iterable[UUID]) -> dict[UUID, list[FreightAccount]]:
    found: dict[UUID, list[FreightAccount]] = defaultdict(list)
    for account in FreightAccount.objects.filter(customer_id__in=list(customer_ids)).select_related("customer"):
        found[account.customer_id].append(account)
    return found


def _compare(
    data: OrderData,
    customer: Customer,
    order: Order,
    accounts: dict[UUID, list[FreightAccount]],
    report: Report,
) -> None:
    plain = {
        "customer_ref": (customer.pk, order.customer_id if order.customer_id else customer.pk),
        "channel": (data.channel, order.channel),
        "placed_on": (data.placed_on, order.placed_on),
        "shipped_on": (data.shipped_on, order.shipped_on),
        "ship_country": (data.ship_country, order.ship_country),
        "subtotal": (data.subtotal, order.subtotal),
        "tax": (data.tax, order.tax),
        "freight": (data.freight, order.freight),
        "total": (data.total, order.total),
    }
    columns = [name for name, (new, old) in plain.items() if new != old]
    columns += [name for name, value in data.ship.items() if _differs(value, getattr(order, name))]
    for payment in order.payments.all():
        if payment.method == Payment.Method.CARD and data.last_four:
            if _differs(data.last_four, payment.last_four):
                columns.append("card_number")
            if _differs(data.card_expiry, payment.expiry):
                columns.append("card_expiry")
    known = [_opened(account.number) for account in accounts[customer.pk]] if data.account_number else []
    if known and data.account_number not in known and not any(isinstance(one, vault.Erased) for one in known):
        columns.append("account_number")
    lines = [(one.product.sku, one.description, one.quantity, one.unit_price) for one in order.lines.all()]
    if lines != [(one.sku, one.product, one.quantity, one.unit_price) for one in data.lines]:
        columns.append("lines")
    if columns:
        report.differs += 1
        report.differing.append({"line": data.line, "columns": columns})
    else:
        report.unchanged += 1


def _differs(value: str, stored: Any) -> bool:
    """Whether the file says something else than what is on file; what was erased is not compared, nor brought back."""
    stored = _opened(stored)
    return not isinstance(stored, vault.Erased) and stored != value


def _opened(value: Any) -> Any:
    if isinstance(value, vault.Unreadable) and not isinstance(value, vault.Erased):
        raise ImportRefused("What is on file cannot be opened now, so nothing was compared or taken in.")
    return value


def _count(plan: _Plan, report: Report, accounts: dict[UUID, list[FreightAccount]], *, today: date) -> None:
    report.created = len(plan.new)
    report.lines = sum(len(data.lines) for data, _ in plan.new)
    report.subtotals_off = sum(not data.adds_up for data, _ in plan.new)
    last: dict[tuple[UUID, str], date] = {}
    for data, customer in plan.new:
        if data.account_number:
            key = (customer.pk, data.account_number)
            last[key] = max(last.get(key, data.shipped_on), data.shipped_on)
    past = rules.cutoff("freight_account", today)
    for (customer_id, number), shipped_on in last.items():
        if shipped_on <= past:
            report.freight_accounts_past += 1
            continue
        plan.accounts[customer_id, number] = shipped_on
        report.freight_accounts += number not in [_opened(one.number) for one in accounts[customer_id]]


# Write ---------------------------------------------------------------------------------------------------------------


def _write(plan: _Plan, report: Report, *, actor: Actor | None, now: datetime) -> None:
    with transaction.atomic():
        _look_again(plan, report, today=timezone.localdate(now))
        products = _products(plan)
        progress.tell("orders taken in", 0, len(plan.new))
        orders = Order.objects.bulk_create([_order(data, customer) for data, customer in plan.new], batch_size=BATCH)
        lines, payments = [], []
        progress.tell("orders taken in", len(orders), len(plan.new))
        for order, (data, _) in zip(orders, plan.new, strict=True):
            lines += [
                OrderLine(
                    order=order,
                    position=position,
                    product=products[one.sku],
                    description=one.product,
                    quantity=one.quantity,
                    unit_price=one.unit_price,
                )
                for position, one in enumerate(data.lines, start=1)
            ]
            if data.last_four:
                payments.append(
                    Payment(
                        order=order,
                        method=Payment.Method.CARD,
                        state=Payment.State.CHARGED,
                        amount=order.total,
                        charged_on=order.paid_on,
                        last_four=data.last_four,
                        expiry=data.card_expiry,
                    )
                )
        OrderLine.objects.bulk_create(lines, batch_size=BATCH)
        Payment.objects.bulk_create(payments, batch_size=BATCH)
        _take_in_accounts(plan, today=timezone.localdate(now))
        _touch(plan)
        audit.record_many(
            [
                Happened("order.imported", subject=order.customer.subject_id, record=(Order.vault_label, order.pk))
                for order in orders
            ],
            actor=actor,
            now=now,
        )


def _look_again(plan: _Plan, report: Report, *, today: date) -> None:
    """Lock the customers, and leave out those who were erased, or whose erasure began, since the plan was made.

    Their erasure waits for this transaction from here on: either it sees these orders, or they are not written.
    """
    ids = {customer.pk for _, customer in plan.new}
    locked = Customer.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=ids).order_by("pk")
    people: dict[UUID, UUID | None] = dict(locked.filter(sealed_account__isnull=False).values_list("pk", "subject_id"))
    subjects.lock(one for one in people.values() if one is not None)
    leaving = set(
        Request.objects.filter(
            kind=Request.Kind.ERASURE, state=State.EXECUTING, subject__in=people.values()
        ).values_list("subject_id", flat=True)
    )
    blocked = vault.blocks.are_blocked("customer_ref", {customer.reference for _, customer in plan.new})
    destroyed = {record for record, _ in vault.keys.destroyed([(pk, "account") for pk in people])}
    here = [
        (data, customer)
        for data, customer in plan.new
        if customer.pk in people
        and people[customer.pk] not in leaving
        and customer.pk not in destroyed
        and customer.reference not in blocked
    ]
    if len(here) == len(plan.new):
        return
    report.blocked += len(plan.new) - len(here)
    plan.new, plan.accounts = here, {}
    report.freight_accounts = report.freight_accounts_past = 0
    _count(plan, report, _accounts_on_file(customer.pk for _, customer in here), today=today)


def _products(plan: _Plan) -> dict[str, Product]:
    names = {line.sku: line.product for data, _ in plan.new for line in data.lines}
    prices = {line.sku: line.unit_price for data, _ in plan.new for line in data.lines}
    Product.objects.bulk_create(
        [
            Product(sku=sku, name=name, kind=Product.Kind.GOODS, price=prices[sku], is_active=False)
            for sku, name in sorted(names.items())
        ],
        ignore_conflicts=True,
    )
    return {product.sku: product for product in Product.objects.filter(sku__in=names)}


def _order(data: OrderData, customer: Customer) -> Order:
    name = on_one_line(" ".join(part for part in (customer.first_name, customer.last_name) if part))
    company = on_one_line(str(customer.company.name)) if customer.company_id else ""
    place = data.ship
    return Order(
        number=data.number,
        customer=customer,
        company=customer.company,
        channel=data.channel,
        state=Order.State.CLOSED,
        placed_on=data.placed_on,
        invoiced_on=data.shipped_on,
        paid_on=data.shipped_on,
        shipped_on=data.shipped_on,
        closed_on=data.shipped_on,
        subtotal=data.subtotal,
        tax=data.tax,
        freight=data.freight,
        total=data.total,
        ship_country=data.ship_country,
        invoice_country=data.ship_country,
        # The files have no address of their own for the invoice.
        invoice_name=name,
        invoice_company=company,
        invoice_street=place["ship_street"],
        invoice_street2=place["ship_street2"],
        invoice_city=place["ship_city"],
        invoice_region=place["ship_region"],
        invoice_postal_code=place["ship_postal_code"],
        ship_name=name,
        ship_company=company,
        **place,
    )


def _take_in_accounts(plan: _Plan, *, today: date) -> None:
    customers = {customer.pk: customer for _, customer in plan.new}
    on_file = _accounts_on_file(customers)
    new = []
    for (customer_id, number), shipped_on in plan.accounts.items():
        known = next((one for one in on_file[customer_id] if _opened(one.number) == number), None)
        if known is None:
            new.append(
                FreightAccount(
                    customer=customers[customer_id], number=number, added_on=today, last_shipment_on=shipped_on
                )
            )
        elif known.last_shipment_on is None or known.last_shipment_on < shipped_on:
            known.last_shipment_on = shipped_on
            known.save(update_fields=["last_shipment_on"])
    FreightAccount.objects.bulk_create(new, batch_size=BATCH)


def _touch(plan: _Plan) -> None:
    """Note the last shipment of each customer, whose account is kept as long as it is in use."""
    last: dict[UUID, date] = {}
    for data, customer in plan.new:
        last[customer.pk] = max(last.get(customer.pk, data.shipped_on), data.shipped_on)
    touch_all(last)
