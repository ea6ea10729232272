"""Read the two files of an order import and check every value. Pure: no database, no key, nothing written.

A card number is looked at once, cut down to its last four digits and forgotten; it is in no message (P22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.db import models

from accounts import csvfile
from accounts.columnmap import ColumnMap
from accounts.csvfile import Checks, Problem, Row, Tally
from accounts.models import Channel
from accounts.validators import (
    validate_country,
    validate_freight_account,
    validate_mailbox,
    validate_phone,
    validate_reference,
)
from orders import cards
from orders.models import Order, OrderLine, Payment, Product

ORDER_COLUMNS = (
    "order_number", "customer_ref", "channel", "placed_on", "shipped_on", "ship_street", "ship_street2", "ship_city",
    "ship_region", "ship_postal_code", "ship_country", "account_number", "card_number", "card_expiry", "subtotal",
    "tax", "freight", "total",
)  # fmt: skip
#: What a file may say besides. Without `state` an order without `shipped_on` is open, any other is finished.
OPTIONAL_COLUMNS = (
    "state", "paid_on", "cancelled_on", "refunded", "payment_method", "currency", "email", "phone", "ship_name",
    "ship_company", "invoice_name", "invoice_company", "invoice_street", "invoice_street2", "invoice_city",
    "invoice_region", "invoice_postal_code", "invoice_country",
)  # fmt: skip
LINE_COLUMNS = ("order_number", "sku", "product", "quantity", "unit_price")
ALL_COLUMNS = (*ORDER_COLUMNS, *OPTIONAL_COLUMNS, *LINE_COLUMNS[1:])
#: Without these no file of another program can be taken in, and without `customer_ref` or `email`.
NEEDED = ("order_number", "placed_on", "total")
#: Column of the file -> sealed field of the order; the names are the same.
SHIP_TEXT = ("ship_street", "ship_street2", "ship_city", "ship_region", "ship_postal_code")
OTHER_TEXT = tuple(
    name for name in OPTIONAL_COLUMNS if name.startswith(("ship_", "invoice_")) and name != "invoice_country"
)
UNSURE = "Its lines do not come to its subtotal, and a line that is bad, or names no order of the file, may be its own: it is left out."
STATES = ("open", "shipped", "cancelled", "refunded")

NUMBER = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,4})?", re.ASCII)
QUANTITY = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
#: How programs write a card of which they know the end only.
MASKED_CARD = re.compile(r"(?:[Xx*•·.\u2026 -]{1,40})?[0-9]{4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LineData:
    """One line of the lines file."""

    line: int
    sku: str
    product: str
    quantity: int
    unit_price: Decimal


@dataclass(slots=True)
class OrderData:
    """One order of the file with its lines; of a card only the last four digits and the expiry.

    `given` names the columns that the file has: what it does not say is not compared with what is on file.
    """

    line: int
    number: str
    customer_ref: str
    email: str
    channel: str
    state: str
    placed_on: date
    paid_on: date | None
    shipped_on: date | None
    closed_on: date | None
    ship: dict[str, str]
    other: dict[str, str]
    ship_country: str
    invoice_country: str
    currency: str
    account_number: str
    payment_method: str
    last_four: str
    card_expiry: str
    subtotal: Decimal | None
    tax: Decimal
    freight: Decimal
    total: Decimal
    refunded: Decimal
    given: frozenset[str]
    lines: list[LineData] = field(default_factory=list)

    @property
    def of_lines(self) -> Decimal:
        """What the lines come to."""
        return sum((one.quantity * one.unit_price for one in self.lines), Decimal(0))

    @property
    def adds_up(self) -> bool:
        """Whether the lines come to the subtotal, and subtotal, tax and freight to the total."""
        subtotal = self.of_lines if self.subtotal is None else self.subtotal
        return self.of_lines == subtotal and subtotal + self.tax + self.freight == self.total

    @property
    def last_on(self) -> date:
        """The last day on which something happened to the order."""
        return max(day for day in (self.placed_on, self.paid_on, self.shipped_on, self.closed_on) if day)


@dataclass
class Counted:
    """What became of the lines of one file: each is good, bad, empty, continued, or a further line of an order
    above."""

    lines: int = 0
    good: int = 0
    bad: int = 0
    empty: int = 0
    continued: int = 0
    further: int = 0


@dataclass
class Found:
    """What the two files say: the good orders, what is wrong with the others, what is to be
    noticed, and all lines counted."""

    orders: list[OrderData] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    of_orders: Counted = field(default_factory=Counted)
    of_lines: Counted = field(default_factory=Counted)
    columns_left_out: list[str] = field(default_factory=list)
    columns_missing: list[str] = field(default_factory=list)
    called: dict[str, str] = field(default_factory=dict)


def has_lines(by: ColumnMap | None) -> bool:
    """Return whether the file of orders gives the lines, too: each of its lines is one of an order."""
    return by is not None and by.gives("product")


def read(
    orders: str | Path,
    lines: str | Path | None,
    *,
    today: date,
    by: ColumnMap | None = None,
    maps: dict[str, ColumnMap] | None = None,
) -> Found:
    """Return the good orders of the two files, which are one unit, and what is wrong with the others.

    An order is good when its own record and all its lines are, its number stands once, it has a line, and its days
    lie between 1965 and the day after `today`; it is taken as a whole or not at all. `by` is the map of a file of
    another program, which may give the lines in the same file. Raises Problem when a file as a whole cannot be read
    (another encoding or header).
    """
    found, tally, in_lines = Found(), Tally(), Tally()
    problems = found.problems
    good: dict[str, OrderData] = {}
    first: dict[str, Row] = {}
    bad: set[str] = set()
    rows_of: dict[str, list[int]] = {}
    is_whole = has_lines(by)
    for row in csvfile.read(
        orders,
        NEEDED if by else ORDER_COLUMNS,
        optional=ALL_COLUMNS if by else OPTIONAL_COLUMNS,
        problems=problems,
        card_columns=("card_number",),
        by=by,
        maps=maps,
        tally=tally,
    ):
        number = row["order_number"]
        if number in first:
            if not is_whole:
                reason = f"The order number stands on line {first[number].line} already."
                problems.append(Problem(row.line, "order_number", reason))
                bad.add(number)
                found.of_orders.bad += 1
                continue
            checks = Checks(row)
            for column in sorted(set(row.values) - set(LINE_COLUMNS)):
                if row[column] not in ("", first[number][column]):
                    checks.wrong(column, f"It says something else than line {first[number].line} of the same order.")
            found.of_orders.further += 1
        else:
            checks = Checks(row)
            first[number] = row
            if (order := _order(checks, today, by)) is not None:
                good[number] = order
        rows_of.setdefault(number, []).append(row.line)
        if is_whole and any(row[name] for name in LINE_COLUMNS[1:]):
            line = _line(checks)
            if line is not None and number in good:
                good[number].lines.append(line)
            found.of_lines.lines += 1
        problems += checks.problems
        if not checks.is_good:
            bad.add(number)
    of_bad = _numbers_in(tally.unread, by)
    is_unsure = is_whole and bool(tally.unread) and not of_bad & set(first)
    bad |= of_bad
    if lines is not None and not is_whole:
        of_lines, is_unsure = _lines_of(lines, first, good, problems, in_lines, of_bad, by)
        bad |= of_lines
        found.of_lines.lines, found.of_lines.empty = in_lines.lines, in_lines.empty
        found.of_lines.continued = in_lines.continued
    for number, order in good.items():
        if number not in bad and not order.lines:
            where = "in the file of lines" if not is_whole else "with a product"
            problems.append(Problem(order.line, "order_number", f"The order has no line {where}."))
            bad.add(number)
    for number, order in good.items():
        if is_unsure and number not in bad and (order.subtotal is None or order.of_lines != order.subtotal):
            problems.append(Problem(order.line, "order_number", UNSURE))
            bad.add(number)
    found.orders = [order for number, order in good.items() if number not in bad]
    of = found.of_orders
    of.lines, of.empty, of.continued = tally.lines, tally.empty, tally.continued
    of.good = len(found.orders)
    of.bad = of.lines - of.empty - of.continued - of.further - of.good
    found.of_lines.good = sum(len(order.lines) for order in found.orders)
    lines_of = found.of_lines
    lines_of.bad = lines_of.lines - lines_of.good - lines_of.empty - lines_of.continued
    kept = {line for order in found.orders for line in rows_of[order.number]}
    found.notices = [one for one in tally.notices if one.line in kept]
    found.notices += [Problem(one.line, f"lines.{one.column}", one.reason) for one in in_lines.notices]
    found.columns_left_out, found.columns_missing = list(tally.left_out), list(tally.missing)
    found.called = tally.header.called if tally.header else {}
    return found


def _lines_of(
    path: str | Path,
    first: dict[str, Row],
    good: dict[str, OrderData],
    problems: list[Problem],
    tally: Tally,
    of_bad: set[str],
    by: ColumnMap | None,
) -> tuple[set[str], bool]:
    """Add the lines of the second file to their orders.

    Return the numbers of the orders of which one is bad, and whether there is a line of which it is not known whose it
    is. `of_bad` are the numbers that stand in bad lines of the file of orders.
    """
    bad: set[str] = set()
    is_unsure = False
    wrong: list[Problem] = []
    for row in _read_lines(path, wrong, tally, by):
        number = row["order_number"]
        checks = Checks(row)
        if number not in first and "order_number" not in row.bad:
            reason = "The line of its order is bad." if number in of_bad else "The file of orders has no such order."
            wrong.append(Problem(row.line, "order_number", reason))
            is_unsure |= number not in of_bad
            continue
        is_unsure |= number not in first
        line = _line(checks)
        wrong += checks.problems
        if line is None:
            bad.add(number)
        elif number in good:
            good[number].lines.append(line)
    for text in tally.unread:
        named = _numbers_in([text], by) & set(first)
        bad |= named
        is_unsure |= not named
    problems += [Problem(p.line, f"lines.{p.column}" if p.column else "lines", p.reason) for p in wrong]
    return bad, is_unsure


def _read_lines(path: str | Path, problems: list[Problem], tally: Tally, by: ColumnMap | None) -> Iterator[Row]:
    """Yield the records of a file of lines, which has our columns; a map says how it is written. Raises Problem, as
    "lines"."""
    if by is not None:
        by = replace(
            by, columns={name: (name,) for name in LINE_COLUMNS}, constants={}, made={}, leaves_others_out=False
        )
    try:
        yield from csvfile.read(path, LINE_COLUMNS, problems=problems, tally=tally, by=by)
    except Problem as whole:
        raise Problem(whole.line, "lines", whole.reason) from None


def _numbers_in(texts: Iterable[str], by: ColumnMap | None) -> set[str]:
    """Return what in lines that are no record may be the number of an order: an order of which a line is lost is not
    whole."""
    found: set[str] = set()
    for text in texts:
        for piece in text.split(by.separator if by else ","):
            plain = piece.strip(' "')
            found |= {plain, by.mapped("order_number", plain) if by else plain}
    return found - {""}


def _order(checks: Checks, today: date, by: ColumnMap | None) -> OrderData | None:
    """Return an order; None where something is wrong with it, all of which is noted."""
    row, day, reference = checks.row, csvfile.day_by(today), _validated(validate_reference)
    may_lack = _optional if by else _as_it_is
    found: dict[str, Any] = {}
    for column, convert in (
        ("order_number", _number),
        ("customer_ref", _optional(reference) if row["email"] or "email" in row.bad else _whose(reference)),
        ("email", _optional(_validated(validate_mailbox))),
        ("phone", _optional(_validated(validate_phone))),
        ("channel", _channel),
        ("state", _optional(_one_of(STATES))),
        ("placed_on", day),
        ("shipped_on", _optional(day)),
        ("paid_on", _optional(day)),
        ("cancelled_on", _optional(day)),
        ("ship_country", may_lack(_validated(validate_country))),
        ("invoice_country", _optional(_validated(validate_country))),
        ("currency", _optional(_currency)),
        ("account_number", _optional(_validated(validate_freight_account))),
        ("card_number", _optional(_last_four)),
        ("card_expiry", _optional(_expiry)),
        ("payment_method", _optional(_one_of(Payment.Method.values))),
        ("subtotal", may_lack(_amount)),
        ("tax", may_lack(_amount)),
        ("freight", may_lack(_amount)),
        ("refunded", _optional(_amount)),
        ("total", _amount),
        *((name, _text(_limit(Order, name))) for name in (*SHIP_TEXT, *OTHER_TEXT)),
    ):
        found[column] = checks.value(column, convert)
    if not checks.is_good:
        return None
    return _with_days(checks, found, by)


def _with_days(checks: Checks, found: dict[str, Any], by: ColumnMap | None) -> OrderData | None:
    """Return the order with the days of its state; None where they contradict each other."""
    row = checks.row
    placed, shipped, paid = found["placed_on"], found["shipped_on"] or None, found["paid_on"] or None
    cancelled, refunded, total = found["cancelled_on"] or None, found["refunded"] or Decimal(0), found["total"]
    state = found["state"] or _state(shipped, cancelled, refunded, total)
    if state == "refunded" and not found["refunded"]:
        refunded = total
    if state == "shipped" and shipped is None and by is not None and by.instead.get("shipped_on"):
        shipped = found.get(by.instead["shipped_on"]) or placed
    for column, done, day in (("shipped_on", "shipped", shipped), ("cancelled_on", "cancelled", cancelled)):
        if day is not None and day < placed:
            checks.wrong(column, f"The order is {done} before it is placed.")
    if state == "shipped" and shipped is None:
        checks.wrong("shipped_on", "It is empty, and the order is shipped.")
    if state in ("open", "cancelled") and shipped is not None:
        checks.wrong(
            "shipped_on", f"An order that is {state} has no such day; one that was sent and paid back is refunded."
        )
    if refunded > total:
        checks.wrong("refunded", "More was paid back than the order came to.")
    if not checks.is_good:
        return None
    if "paid_on" not in row.values or not total:
        paid = paid or shipped  # the file does not say when: it counts as paid on the day it was shipped
    if state == "refunded":
        paid = paid or placed
    closed = None
    if state == "cancelled" or (state == "refunded" and shipped is None):
        closed = cancelled or max(day for day in (placed, paid) if day)
    elif shipped is not None and paid is not None:
        closed = max(shipped, paid)
    return OrderData(
        line=row.line,
        number=found["order_number"],
        customer_ref=found["customer_ref"],
        email=found["email"],
        channel=found["channel"],
        state=_state_on_file(state, shipped, paid),
        placed_on=placed,
        paid_on=paid,
        shipped_on=shipped,
        closed_on=closed,
        ship={name: found[name] for name in SHIP_TEXT},
        other={name: found[name] for name in (*OTHER_TEXT, "email", "phone") if name in row.values},
        ship_country=found["ship_country"],
        invoice_country=found["invoice_country"] or found["ship_country"],
        currency=found["currency"] or "USD",
        account_number=found["account_number"],
        payment_method=found["payment_method"],
        last_four=found["card_number"],
        card_expiry=found["card_expiry"],
        subtotal=found["subtotal"] if found["subtotal"] != "" else None,
        tax=found["tax"] or Decimal(0),
        freight=found["freight"] or Decimal(0),
        total=total,
        refunded=refunded,
        given=frozenset(row.values),
    )


def _state(shipped: date | None, cancelled: date | None, refunded: Decimal, total: Decimal) -> str:
    """Return what the days and amounts say of an order of which the file says no state."""
    if refunded and refunded >= total:
        return "refunded"
    if shipped is not None:
        return "shipped"
    return "cancelled" if cancelled is not None else "open"


def _state_on_file(state: str, shipped: date | None, paid: date | None) -> str:
    if state == "cancelled" or (state == "refunded" and shipped is None):
        return Order.State.CANCELLED
    if shipped is None:
        return Order.State.PLACED
    return Order.State.CLOSED if paid is not None else Order.State.SHIPPED


def _line(checks: Checks) -> LineData | None:
    found = {
        "sku": checks.value("sku", _required(_limit(Product, "sku"))),
        "product": checks.value("product", _required(_limit(OrderLine, "description"))),
        "quantity": checks.value("quantity", _quantity),
        "unit_price": checks.value("unit_price", _amount),
    }
    if None in found.values() or checks.row.bad:
        return None
    return LineData(line=checks.row.line, **found)


def _whose(check: Callable[[str], str]) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if not value:
            raise ValueError(
                "There is neither a customer number nor an e-mail address: it cannot be told whose order it is."
            )
        return check(value)

    return convert


def _number(value: str) -> str:
    if not NUMBER.fullmatch(value):
        raise ValueError(
            "An order number has 1 to 40 capital letters, digits or dashes. A map takes in other spellings "
            "(references = “ours”)."
        )
    return value


def _channel(value: str) -> str:
    if value not in Channel.values:
        raise ValueError(f"The channel must be one of: {', '.join(Channel.values)}.")
    return value


def _amount(value: str) -> Decimal:
    if not AMOUNT.fullmatch(value):
        raise ValueError(
            "It is not an amount with up to four decimals, such as 1240.00. Other spellings come in by a map (numbers); what was "
            "paid back stands in the column refunded."
        )
    try:
        return Decimal(value)
    except InvalidOperation:  # cannot happen after the pattern; without the value if it does
        raise ValueError("It is not an amount.") from None


def _quantity(value: str) -> int:
    if not QUANTITY.fullmatch(value):
        raise ValueError("It is not a whole number of at least 1.")
    return int(value)


def _last_four(value: str) -> str:
    if MASKED_CARD.fullmatch(value):
        return value[-4:]
    last_four = cards.last_four(value)
    if not last_four:
        raise ValueError("It is not a card number, nor the last four digits of one.")
    return last_four


def _expiry(value: str) -> str:
    if not cards.EXPIRY.match(value):
        raise ValueError("It is not an expiry written as MM/YYYY.")
    return value


def _limit(model: type[models.Model], name: str) -> int:
    limit: int = model._meta.get_field(name).max_length  # type: ignore[assignment]
    return limit


def _text(limit: int) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if len(value) > limit:
            raise ValueError(f"It is longer than {limit} characters.")
        return value

    return convert


def _required(limit: int) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if not value.strip():
            raise ValueError("It is empty.")
        return _text(limit)(value)

    return convert


def _optional(check: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: check(value) if value else ""


def _as_it_is(check: Callable[[str], Any]) -> Callable[[str], Any]:
    return check


def _one_of(words: Iterable[str]) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if value not in words:
            raise ValueError(f"It must be one of: {', '.join(words)}.")
        return value

    return convert


def _currency(value: str) -> str:
    if not CURRENCY.fullmatch(value):
        raise ValueError("It is not a currency of three capital letters, such as USD.")
    return value


def _validated(validator: Callable[[str], None]) -> Callable[[str], str]:
    def convert(value: str) -> str:
        validator(value)
        return value

    return convert
