"""A day that no calendar has must not close a page: whoever looks sees the row, and that its date cannot be right.

The database knows the year 292,000 and Python does not, so one such row made every list, page and search fail that
met it. On pages it is read as a day that says of itself that it is none (`NoDay`, `NoMoment`): it compares like the
last day of all, which every rule takes for one that cannot be right. What judges records reads strictly (`strictly`),
on a page too, so that a plan is the same wherever it is made; and so do tasks and commands, which pass such a row
over and name it (`broken`).

What must never happen: such a day is written back as if it had been read. The driver refuses it. It is put right by
typing the right day, or by an operator in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, TypeVar

from django.db.models import CheckConstraint, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from psycopg2 import DataError, extensions

One = TypeVar("One")

SENTENCE = "This date cannot be read. We put it right."

_on_a_page: ContextVar[bool] = ContextVar("undated_on_a_page", default=False)

#: What a line that nobody may take away can say of its day: it would stop whoever reads it for good.
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class NoDay(date):
    """A day of the database that no calendar has."""

    def __str__(self) -> str:
        return SENTENCE


class NoMoment(datetime):
    """A moment of the database that no calendar has."""

    def __str__(self) -> str:
        return SENTENCE


class NotWritten(ValueError):
    """A day that could not be read was to be written back."""


# Two days before the last moment of all, so that no time zone leads beyond it.
DAY = NoDay(9999, 12, 31)
MOMENT = NoMoment(9999, 12, 30, 12, tzinfo=UTC)


def no_line_without_a_day(table: str, at: str = "at", on: str = "") -> CheckConstraint:
    """Return the constraint by which the database takes no line of an append-only table whose day no calendar has."""
    which = Q(**{f"{at}__gte": FIRST, f"{at}__lt": LAST})
    if on:
        which &= Q(**{f"{on}__gte": FIRST.date(), f"{on}__lt": LAST.date()})
    return CheckConstraint(condition=which, name=f"{table}_has_a_day")


def no_day_but_a_days(table: str, on: str) -> CheckConstraint:
    """Return the constraint by which the database takes none but a day that can be read, or none, in this column."""
    which = Q(**{f"{on}__isnull": True}) | Q(**{f"{on}__gte": date(1, 1, 2), f"{on}__lt": date(9999, 12, 31)})
    return CheckConstraint(condition=which, name=f"{table}_{on}_is_a_day")


@contextmanager
def _reading(*, is_on_a_page: bool) -> Iterator[None]:
    token = _on_a_page.set(is_on_a_page)
    try:
        yield
    finally:
        _on_a_page.reset(token)


def leniently() -> AbstractContextManager[None]:
    """Read such days as on a page: for commands that list, and for what only asks whether a row is as the site wrote
    it. Not across a `yield`."""
    return _reading(is_on_a_page=True)


def strictly() -> AbstractContextManager[None]:
    """Fail with ValueError at such a day, on a page too: for what judges records. Not across a `yield`."""
    return _reading(is_on_a_page=False)


def each(rows: Iterable[One]) -> Iterator[One]:
    """Yield what a query yields, its rows read leniently, and nothing else meanwhile."""
    with leniently():
        there = iter(rows)  # a query set is read here
    while True:
        with leniently():
            found = list(islice(there, 1))
        if not found:
            return
        yield found[0]


def said(value: date, how: str) -> str:
    """Return a day or moment in this form, here; for one that could not be read, that it could not."""
    if is_none(value):
        return SENTENCE
    return f"{timezone.localtime(value) if isinstance(value, datetime) else value:{how}}"


class UndatedMiddleware:
    """Let pages read such days as what they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with leniently():
            return self.get_response(request)


def is_none(value: Any) -> bool:
    """Whether the value is a day or moment that could not be read."""
    return isinstance(value, NoDay | NoMoment)


def among(rows: Iterable[Any]) -> list[Any]:
    """Return those of these rows in which a day or moment could not be read."""
    return [row for row in rows if any(is_none(value) for value in row.__dict__.values())]


def connect() -> None:
    """Tell the driver; once, when the program starts."""
    day, moment = extensions.PYDATE, extensions.PYDATETIMETZ

    def read_day(text: str | None, cursor: Any) -> Any:
        try:
            return day(text, cursor)
        except (ValueError, OverflowError, DataError):
            if _on_a_page.get():
                return DAY
            raise

    def read_moment(text: str | None, cursor: Any) -> Any:
        try:
            return moment(text, cursor)
        except (ValueError, OverflowError, DataError):
            if _on_a_page.get():
                return MOMENT
            raise

    extensions.register_type(extensions.new_type(day.values, "UNDATED_DAY", read_day))
    extensions.register_type(extensions.new_type(moment.values, "UNDATED_MOMENT", read_moment))
    for kind in (NoDay, NoMoment):
        extensions.register_adapter(kind, _refuse)


def _refuse(value: Any) -> Any:
    raise NotWritten(SENTENCE)
