"""Read a CSV file of personal data strictly, and tell what is wrong with it without repeating any of it.

Strict: UTF-8, exactly the expected header, one line for each record, no NUL or other control characters, no field beyond
the limit, no card number (P22). Where a quotation mark is missing, CSV would join the lines up to the next one: so a field
ends with its line, and one person's data are never read into another's. Only the lines with the stray marks are lost. Nothing is repaired and nothing is trimmed: what is taken in equals what the file says. A value that a
spreadsheet would run as a formula is harmless here and stays as it is; whoever writes a spreadsheet escapes it.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from privacy import cards, days, regular
from privacy.lines import BREAK, HIDDEN

LIMIT = 20_000
NOT_CSV = "The line is not proper CSV: a quotation mark is missing or stands inside a field. A record is one line."
#: RFC 4180 without its line breaks: a field is quoted from end to end, or has no quotation mark.
_CSV = re.compile(r'(?:"(?:[^"]|"")*+"|[^",]*+)(?:,(?:"(?:[^"]|"")*+"|[^",]*+))*+')
_field_size = threading.Lock()  # csv.field_size_limit is one number for the whole process


@dataclass(eq=False)
class Problem(Exception):
    """What is wrong, where: the line and column, and a reason that never holds the value."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        where = f"Line {self.line}" + (f", {self.column}" if self.column else "")
        return f"{where}: {self.reason}"

    def as_dict(self) -> dict[str, int | str]:
        """Return the problem for `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """One record of the file: the line on which it begins, and its values by column."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read(
    path: str | Path,
    columns: Sequence[str],
    *,
    limit: int = LIMIT,
    problems: list[Problem] | None = None,
    card_columns: Sequence[str] = (),
) -> Iterator[Row]:
    """Yield the records of `path`, whose header must be exactly `columns`.

    A bad record is appended to `problems` and left out, or raised where no list is given. A bad file (not readable,
    not UTF-8, another header) raises Problem. `card_columns` are those in which a card number may stand because the
    caller keeps nothing but its last four digits.
    """
    try:
        with regular.opened(path, encoding="utf-8-sig") as file, _field_size:
            rows = list(_read(file, list(columns), limit, frozenset(card_columns)))
    except regular.NotRegular:
        raise Problem(0, "", "It is not a regular file: write what a pipe or a device gives into one first.") from None
    except OSError:
        raise Problem(0, "", "The file cannot be read.") from None
    for found in rows:
        if isinstance(found, Row):
            yield found
        elif problems is None or found.line <= 1:
            raise found
        else:
            problems.append(found)


def _read(file: Any, columns: list[str], limit: int, card_columns: frozenset[str]) -> Iterator[Row | Problem]:
    before = csv.field_size_limit(limit)
    line = 0
    try:
        for line, text in enumerate(_lines(file, limit * len(columns)), start=1):
            if text is None:
                yield Problem(line, "", f"A field is longer than {limit:,} characters.")
                continue
            try:
                values = next(csv.reader([text], strict=True), [])
            except csv.Error as error:
                is_long = "field larger" in str(error)
                yield Problem(line, "", f"A field is longer than {limit:,} characters." if is_long else NOT_CSV)
                continue
            if line == 1:
                if values != columns:
                    yield Problem(1, "", f"The header must be: {', '.join(columns)}.")
                    return
            elif values and not _CSV.fullmatch(text):
                yield Problem(line, "", NOT_CSV)
            elif values:
                yield _record(line, values, columns, card_columns)
        if not line:
            yield Problem(1, "", "The file is empty.")
    except UnicodeDecodeError:
        # The decoder reads ahead, so the line is not known; and a file that is not text is refused as a whole.
        yield Problem(1, "", "The file is not UTF-8.")
    finally:
        csv.field_size_limit(before)


def _lines(file: Any, most: int) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; None for one that is longer than `most`."""
    while text := file.readline(most + 1):
        is_long = len(text) > most and not text.endswith("\n")
        while is_long and text and not text.endswith("\n"):
            text = file.readline(most + 1)
        yield None if is_long else text.removesuffix("\n")


def _record(line: int, values: list[str], columns: list[str], card_columns: frozenset[str]) -> Row | Problem:
    if len(values) != len(columns):
        return Problem(line, "", f"The line has {len(values)} fields instead of {len(columns)}.")
    for column, value in zip(columns, values, strict=True):
        if "\x00" in value:
            return Problem(line, column, "There is a NUL character in it.")
        if BREAK.search(value):
            return Problem(line, column, "There is a line break, a tab or another control character in it.")
        if HIDDEN.search(value):
            return Problem(line, column, "There is a character in it that cannot be seen.")
        if column not in card_columns and (found := cards.find(value, frozenset({cards.CARD, cards.BANK}))):
            what = "payment card number" if found[0].kind == cards.CARD else found[0].kind
            return Problem(line, column, f"It looks like a {what}, which is never stored.")
    return Row(line, dict(zip(columns, values, strict=True)))


def day(value: str) -> date:
    """Return the date written as YYYY-MM-DD. Raises ValueError, without the value, for anything else."""
    if len(value) == 10 and value.isascii():
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("It is not a date written as YYYY-MM-DD.")


def day_by(today: date) -> Callable[[str], date]:
    """Return what reads a day on which something happened by `today`; it refuses others as `day` does."""

    def read_day(value: str) -> date:
        found = day(value)
        days.check(found, today=today)
        return found

    return read_day


def checked(row: Row, column: str, check: Callable[[str], Any]) -> Any:
    """Return what `check` makes of one value. Raises Problem with the line and column where it refuses."""
    try:
        return check(row[column])
    except ValidationError as error:
        raise Problem(row.line, column, " ".join(error.messages)) from None
    except ValueError as error:
        raise Problem(row.line, column, str(error)) from None
