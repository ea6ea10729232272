"""Take orders in from files: all or nothing, each once, never over what is there (P10, P22, P26).

What must never happen: a card number kept, an erased person's order brought back, a corrected order put back to the
file's old value. All is read, checked and compared first; only then is anything written, in one transaction, which
locks the people and looks once more whether they are still there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import blocked, columnmap, reach
from accounts.activity import touch_all
from accounts.columnmap import ColumnMap
from accounts.csvfile import Problem
from accounts.models import Customer, FreightAccount
from orders import importfile
from orders.importfile import Counted, OrderData
from orders.models import Order, OrderLine, Payment, Product
from privacy import audit, subjects, vault
from privacy.audit import Happened
from privacy.gate import Actor
from privacy.requests import doubt, procedures
from privacy.requests.states import State
from privacy.retention import rules
from privacy.typed.lines import on_one_line
from privacy.work import progress

MAPS = Path(__file__).parent / "maps"
BATCH = 500
ERASED = "The customer was erased, and so stays without new orders here. A person who came back is imported under another number."


class ImportRefused(Exception):
    """The key store does not answer, so nothing could be compared and nothing was taken in."""


@dataclass
class Report:
    """What an import did, in numbers and places; never a value of the file.

    Every line of the file of orders is created, unchanged, differing, blocked, or one of what `of_orders` counts;
    `good` are those that could have been taken in where an error stopped the import. `differing` names orders on
    file that differ, by line and columns: they are reported, never overwritten. `subtotals_off` counts orders taken
    in although their amounts do not add up, `off` has their lines; `freight_accounts_past` accounts left out
    because their period is over.
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
    off: list[int] = field(default_factory=list)
    of_orders: Counted = field(default_factory=Counted)
    of_lines: Counted = field(default_factory=Counted)
    notices: list[Problem] = field(default_factory=list)
    columns_left_out: list[str] = field(default_factory=list)
    columns_missing: list[str] = field(default_factory=list)
    called: dict[str, str] = field(default_factory=dict)
    differing: list[dict[str, Any]] = field(default_factory=list)
    blocked_lines: list[Problem] = field(default_factory=list)
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
            "notices": {"subtotals_off": self.subtotals_off, "lines": [one.as_dict() for one in self.notices]},
            "read": {"orders": asdict(self.of_orders), "lines": asdict(self.of_lines)},
            "columns_left_out": self.columns_left_out,
            "columns_missing": self.columns_missing,
            "differing": self.differing,
            "blocked_lines": [one.as_dict() for one in self.blocked_lines],
            "dry_run": self.dry_run,
        }


@dataclass
class _Plan:
    """What is to be written: orders with their customers, and freight accounts with their last shipment."""

    new: list[tuple[OrderData, Customer]] = field(default_factory=list)
    accounts: dict[tuple[UUID, str], date] = field(default_factory=dict)


def import_orders(
    orders: str | Path,
    lines: str | Path | None,
    *,
    actor: Actor | None,
    now: datetime,
    dry_run: bool = False,
    skip_bad: bool = False,
    by: ColumnMap | None = None,
) -> Report:
    """Take in the orders of two files that are one unit, and return what was done.

    `by` is the map of a file of another program, which may hold the lines, too; then there is no second file. An order
    counts as invoiced and paid on the day it was shipped, unless the file has a column that says when it was paid. With
    an error nothing is written, unless `skip_bad`. A second import of the same files changes nothing at all. Raises
    Problem when one of the files as a whole cannot be used, ImportRefused when the key store does not let it compare.
    """
    report = Report(dry_run=dry_run)
    found = importfile.read(
        orders, lines, today=timezone.localdate(now), by=by, maps=columnmap.loaded(MAPS, importfile.ALL_COLUMNS)
    )
    report.errors, report.notices = found.problems, found.notices
    report.columns_left_out, report.columns_missing = found.columns_left_out, found.columns_missing
    report.called = found.called
    report.of_orders, report.of_lines = found.of_orders, found.of_lines
    with vault.internal():  # to compare and to name the invoice; nothing of it is shown to anybody
        plan = _plan(found.orders, report, _number_of_customer(by, found.called), today=timezone.localdate(now))
        if report.errors and not skip_bad:
            # All or nothing: what would have been created was not.
            report.of_orders.good = report.created
            report.created = report.lines = report.freight_accounts = report.freight_accounts_past = 0
            report.subtotals_off = 0
            report.notices = []
        elif not dry_run:
            if plan.new:
                _write(plan, report, actor=actor, now=now)
            report.is_written = True
    return report


# Compare -------------------------------------------------------------------------------------------------------------


def _plan(found: list[OrderData], report: Report, number: str, *, today: date) -> _Plan:
    plan = _Plan()
    who = _Customers(found, number)
    on_file = _on_file(data.number for data in found)
    accounts = _accounts_on_file(customer.pk for customer in who.all())
    wrong = 0
    for data in found:
        customer, reason = who.of(data)
        if column := who.erased_by(data):
            _leave_out(data, column, report)
        elif customer is None:
            report.errors.append(Problem(data.line, "customer_ref" if data.customer_ref else "email", reason))
            wrong += 1
        elif data.number in on_file:
            _compare(data, customer, on_file[data.number], accounts, report)
        elif isinstance(_opened(customer.last_name), vault.Erased):
            _leave_out(data, "", report)
        else:
            plan.new.append((data, customer))
    report.errors.sort(key=lambda problem: (problem.column.startswith("lines"), problem.line))
    report.of_orders.bad += wrong
    report.of_orders.good = 0
    _count(plan, report, accounts, today=today)
    return plan


def _number_of_customer(by: ColumnMap | None, called: Mapping[str, str]) -> str:
    """Return what to do so that this file says by its number which customer is meant."""
    if by is None or by.gives("customer_ref"):
        return f"give the customer's number ({called.get('customer_ref', 'customer_ref')})."
    return (
        "this file has no column with the customer's number. Add one, and name it as customer_ref in a copy of the map (--map), "
        "or leave the address with one customer alone."
    )


def _leave_out(data: OrderData, column: str, report: Report) -> None:
    report.blocked += 1
    report.blocked_lines.append(blocked.problem(data.line, column) if column else Problem(data.line, "", ERASED))


class _Customers:
    """The customers of the orders of a file: by their number, or where the file has none by the e-mail address.

    One whose row names another person than its key does gets no order: the name on it would be sealed for somebody
    else. `number` says where this file gives the number of a customer.
    """

    def __init__(self, found: list[OrderData], number: str) -> None:
        self._number = number
        references = {data.customer_ref for data in found if data.customer_ref}
        emails = {data.email for data in found if not data.customer_ref}
        rows = Customer.objects.select_related("company")
        self._by_reference = {one.reference: one for one in rows.filter(reference__in=references)}
        self._erased = blocked.among({*((one, "") for one in references), *(("", one) for one in emails)})
        (holders,) = vault.carriers([(vault.index_of(Customer, "customer.email"), emails)])
        known = rows.in_bulk({pk for pks in holders.values() for pk in pks})
        self._by_email = {email: [known[pk] for pk in sorted(pks) if pk in known] for email, pks in holders.items()}
        self._own = {one.pk for one in reach.own(self.all())}

    def all(self) -> list[Customer]:
        return [*self._by_reference.values(), *(one for found in self._by_email.values() for one in found)]

    def of(self, data: OrderData) -> tuple[Customer | None, str]:
        """Return the customer of an order, or why there is none."""
        if data.customer_ref:
            return self._if_own(self._by_reference.get(data.customer_ref), "There is no such customer.")
        found = self._by_email.get(data.email, [])
        if len(found) == 1:
            return self._if_own(found[0], "")
        many = f"The address stands with several customers, so it names none: {self._number}"
        return None, many if found else "There is no customer with this address: import the customers first."

    def _if_own(self, customer: Customer | None, why: str) -> tuple[Customer | None, str]:
        if customer is not None and customer.pk not in self._own:
            return (
                None,
                "The row of this customer names another person than its key does: an operator has to look at it.",
            )
        return customer, why

    def erased_by(self, data: OrderData) -> str:
        """Return the column by which an order is somebody's who was erased, "" where it is not."""
        if data.customer_ref:
            return self._erased.column(data.customer_ref, "")
        return "" if self._by_email.get(data.email) else self._erased.column("", data.email)


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
        "state": (data.state, order.state),
        "shipped_on": (data.shipped_on, order.shipped_on),
        "ship_country": (data.ship_country, order.ship_country),
        "subtotal": (data.of_lines if data.subtotal is None else data.subtotal, order.subtotal),
        "tax": (data.tax, order.tax),
        "freight": (data.freight, order.freight),
        "total": (data.total, order.total),
    }
    if "paid_on" in data.given:
        plain["paid_on"] = (data.paid_on, order.paid_on)
    if "currency" in data.given:
        plain["currency"] = (data.currency, order.currency)
    if "invoice_country" in data.given:
        plain["invoice_country"] = (data.invoice_country, order.invoice_country)
    columns = [name for name, (new, old) in plain.items() if new != old]
    texts = {**data.ship, **{name: value for name, value in data.other.items() if value}}
    columns += [name for name, value in texts.items() if _differs(value, getattr(order, name))]
    paid_back = sum(one.amount for one in order.payments.all() if one.state == Payment.State.REFUNDED)
    if "refunded" in data.given and order.state != Order.State.CANCELLED and paid_back != data.refunded:
        columns.append("refunded")
    for payment in order.payments.all():
        if payment.method == Payment.Method.CARD and data.last_four and payment.last_four != "":
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
    report.off = sorted(data.line for data, _ in plan.new if not data.adds_up)
    report.subtotals_off = len(report.off)
    last: dict[tuple[UUID, str], date] = {}
    for data, customer in plan.new:
        # An order that is still to be sent needs the account; one that was cancelled does not.
        sent = data.shipped_on or (today if data.state == Order.State.PLACED else None)
        if data.account_number and sent:
            key = (customer.pk, data.account_number)
            last[key] = max(last.get(key, sent), sent)
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
            payments += _payments(order, data)
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
    leaving = doubt.asking(
        {one for one in people.values() if one is not None}, kinds=procedures.removing(), states=(State.EXECUTING,)
    )
    erased = blocked.among({(customer.reference, "") for _, customer in plan.new})
    destroyed = {record for record, _ in vault.keys.destroyed([(pk, "account") for pk in people])}
    here = [
        (data, customer)
        for data, customer in plan.new
        if customer.pk in people
        and people[customer.pk] not in leaving
        and customer.pk not in destroyed
        and not erased.column(customer.reference, "")
    ]
    if len(here) == len(plan.new):
        return
    kept = {data.number for data, _ in here}
    for data, _ in plan.new:
        if data.number not in kept:
            _leave_out(data, "", report)
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
    return Order(
        number=data.number,
        customer=customer,
        company=customer.company,
        channel=data.channel,
        state=data.state,
        placed_on=data.placed_on,
        invoiced_on=_invoiced_on(data),
        paid_on=data.paid_on,
        shipped_on=data.shipped_on,
        closed_on=data.closed_on,
        currency=data.currency,
        subtotal=data.of_lines if data.subtotal is None else data.subtotal,
        tax=data.tax,
        freight=data.freight,
        total=data.total,
        ship_country=data.ship_country,
        invoice_country=data.invoice_country,
        **(_places(data, name, company) | {name: value for name, value in data.other.items() if value}),
    )


def _places(data: OrderData, name: str, company: str) -> dict[str, str]:
    """Return where the order goes, and its invoice: a file without an address of its own for the invoice has one for
    both."""
    has_invoice = any(data.other.get(f"invoice_{part}") for part in ("street", "street2", "city", "postal_code"))
    invoice = {} if has_invoice else {column.replace("ship_", "invoice_"): text for column, text in data.ship.items()}
    names = {"invoice_name": name, "invoice_company": company, "ship_name": name, "ship_company": company}
    return {**names, **invoice, **data.ship}


def _invoiced_on(data: OrderData) -> date | None:
    """Return the day that counts as that of the invoice: of the shipment, or of the payment where it came before."""
    days = [day for day in (data.shipped_on, data.paid_on) if day]
    return min(days) if days else None


def _payments(order: Order, data: OrderData) -> list[Payment]:
    """Return what is known of how the order was paid and what was paid back."""
    is_all_back = bool(data.refunded) and data.refunded == data.total
    method = data.payment_method or (Payment.Method.CARD if data.last_four else "")
    found = []
    if method and data.paid_on:  # how an order will be paid that is not is told by who pays it
        found.append(
            Payment(
                order=order,
                method=method,
                state=Payment.State.REFUNDED if is_all_back else Payment.State.CHARGED,
                amount=order.total,
                charged_on=data.paid_on,
                last_four=data.last_four,
                expiry=data.card_expiry,
            )
        )
    if data.refunded and not (found and is_all_back):
        found.append(
            Payment(
                order=order,
                method=method or Payment.Method.OTHER,
                state=Payment.State.REFUNDED,
                amount=data.refunded,
                charged_on=data.paid_on,
            )
        )
    return found


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
    """Note the last order of each customer, whose account is kept as long as it is in use."""
    last: dict[UUID, date] = {}
    for data, customer in plan.new:
        last[customer.pk] = max(last.get(customer.pk, data.last_on), data.last_on)
    touch_all(last)
