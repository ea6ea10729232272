"""Read the two files of an order import and check every value. Pure: no database, no key, nothing written.

A card number is looked at once, cut down to its last four digits and forgotten; it is in no message (P22).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.db import models

from accounts import csvfile
from accounts.csvfile import Problem, Row
from accounts.models import Channel
from accounts.validators import validate_country, validate_freight_account, validate_reference
from orders import cards
from orders.models import Order, OrderLine, Product

ORDER_COLUMNS = (
    "order_number", "customer_ref", "channel", "placed_on", "shipped_on", "ship_street", "ship_street2", "ship_city",
    "ship_region", "ship_postal_code", "ship_country", "account_number", "card_number", "card_expiry", "subtotal",
    "tax", "freight", "total",
)  # fmt: skip
LINE_COLUMNS = ("order_number", "sku", "product", "quantity", "unit_price")
#: Column of the file -> sealed field of the order; the names are the same.
SHIP_TEXT = ("ship_street", "ship_street2", "ship_city", "ship_region", "ship_postal_code")

NUMBER = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,4})?", re.ASCII)
QUANTITY = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


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
    """One order of the file with its lines; of a card only the last four digits and the expiry."""

    line: int
    number: str
    customer_ref: str
    channel: str
    placed_on: date
    shipped_on: date
    ship: dict[str, str]
    ship_country: str
    account_number: str
    last_four: str
    card_expiry: str
    subtotal: Decimal
    tax: Decimal
    freight: Decimal
    total: Decimal
    lines: list[LineData] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Whether the lines come to the subtotal, and subtotal, tax and freight to the total."""
        lines = sum((one.quantity * one.unit_price for one in self.lines), Decimal(0))
        return lines == self.subtotal and self.subtotal + self.tax + self.freight == self.total


def read(orders: str | Path, lines: str | Path, *, today: date) -> tuple[list[OrderData], list[Problem]]:
    """Return the good orders of the two files, which are one unit, and what is wrong with the others.

    An order is good when its own record and all its lines are, its number stands once, it has a line, and its days lie
    between 1965 and the day after `today`. Raises Problem when a file as a whole cannot be read (not UTF-8, another header).
    """
    problems: list[Problem] = []
    found: dict[str, OrderData] = {}
    first_line: dict[str, int] = {}
    bad: set[str] = set()
    for row in csvfile.read(orders, ORDER_COLUMNS, problems=problems, card_columns=("card_number",)):
        number = row["order_number"]
        if number in first_line:
            problems.append(
                Problem(row.line, "order_number", f"The order number stands on line {first_line[number]} already.")
            )
            bad.add(number)
            continue
        first_line[number] = row.line
        try:
            found[number] = _order(row, today)
        except Problem as problem:
            problems.append(problem)
            bad.add(number)
    in_lines: list[Problem] = []
    for row in csvfile.read(lines, LINE_COLUMNS, problems=in_lines):
        number = row["order_number"]
        if number not in first_line:
            in_lines.append(Problem(row.line, "order_number", "The file of orders has no such order."))
            continue
        try:
            line = _line(row)
        except Problem as problem:
            in_lines.append(problem)
            bad.add(number)
            continue
        if number in found:
            found[number].lines.append(line)
    for number, order in found.items():
        if number not in bad and not order.lines:
            problems.append(Problem(order.line, "order_number", "The order has no line in the file of lines."))
            bad.add(number)
    problems += [Problem(p.line, f"lines.{p.column}" if p.column else "lines", p.reason) for p in in_lines]
    return [order for number, order in found.items() if number not in bad], problems


def _order(row: Row, today: date) -> OrderData:
    check: dict[str, Any] = {}
    for column, convert in (
        ("order_number", _number),
        ("customer_ref", _validated(validate_reference)),
        ("channel", _channel),
        ("placed_on", csvfile.day_by(today)),
        ("shipped_on", csvfile.day_by(today)),
        ("ship_country", _validated(validate_country)),
        ("account_number", _optional(_validated(validate_freight_account))),
        ("card_number", _optional(_last_four)),
        ("card_expiry", _optional(_expiry)),
        ("subtotal", _amount),
        ("tax", _amount),
        ("freight", _amount),
        ("total", _amount),
        *((name, _text(_limit(Order, name))) for name in SHIP_TEXT),
    ):
        check[column] = csvfile.checked(row, column, convert)
    if check["shipped_on"] < check["placed_on"]:
        raise Problem(row.line, "shipped_on", "The order is shipped before it is placed.")
    return OrderData(
        line=row.line,
        number=check["order_number"],
        customer_ref=check["customer_ref"],
        channel=check["channel"],
        placed_on=check["placed_on"],
        shipped_on=check["shipped_on"],
        ship={name: check[name] for name in SHIP_TEXT},
        ship_country=check["ship_country"],
        account_number=check["account_number"],
        last_four=check["card_number"],
        card_expiry=check["card_expiry"],
        subtotal=check["subtotal"],
        tax=check["tax"],
        freight=check["freight"],
        total=check["total"],
    )


def _line(row: Row) -> LineData:
    return LineData(
        line=row.line,
        sku=csvfile.checked(row, "sku", _required(_limit(Product, "sku"))),
        product=csvfile.checked(row, "product", _required(_limit(OrderLine, "description"))),
        quantity=csvfile.checked(row, "quantity", _quantity),
        unit_price=csvfile.checked(row, "unit_price", _amount),
    )


def _number(value: str) -> str:
    if not NUMBER.fullmatch(value):
        raise ValueError("An order number has 1 to 40 capital letters, digits or dashes.")
    return value


def _channel(value: str) -> str:
    if value not in Channel.values:
        raise ValueError(f"The channel must be one of: {', '.join(Channel.values)}.")
    return value


def _amount(value: str) -> Decimal:
    if not AMOUNT.fullmatch(value):
        raise ValueError("It is not an amount with up to four decimals.")
    try:
        return Decimal(value)
    except InvalidOperation:  # cannot happen after the pattern; without the value if it does
        raise ValueError("It is not an amount.") from None


def _quantity(value: str) -> int:
    if not QUANTITY.fullmatch(value):
        raise ValueError("It is not a whole number of at least 1.")
    return int(value)


def _last_four(value: str) -> str:
    last_four = cards.last_four(value)
    if not last_four:
        raise ValueError("It is not a card number.")
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


def _optional(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: check(value) if value else ""


def _validated(validator: Callable[[str], None]) -> Callable[[str], str]:
    def convert(value: str) -> str:
        validator(value)
        return value

    return convert
