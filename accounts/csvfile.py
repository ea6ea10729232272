"""Read a CSV file of personal data strictly, and tell what is wrong with it without repeating any of it.

Strict: one encoding, one separator, columns that are known, one line for each record, no NUL or other control
characters, no field beyond the limit, no card number (P22). Where a quotation mark is missing, CSV would join the lines
up to the next one: so a field ends with its line, and one person's data are never read into another's. Only the lines
with the stray marks are lost. A field that a map leaves out may go on over several lines, as shops' notes do, if none
of them can be a record. Nothing is repaired and nothing is trimmed: what is taken in equals what the file says, but for
characters that cannot be seen, which are left out with a notice, and for a value of nothing but blanks, which is blank.
A value that a spreadsheet would run as a formula is harmless here and stays as it is; whoever writes a spreadsheet
escapes it. Every line is counted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from accounts import columnheader, columnmap, spoiled
from accounts.columnheader import Header
from accounts.columnmap import ColumnMap
from privacy.calendar import days
from privacy.files import regular
from privacy.typed import cards, numberfields
from privacy.typed.lines import BREAK, HIDDEN

LIMIT = 20_000
MOST_CONTINUED = 200  # lines of one field that is left out
NOT_CSV = "The line is not proper CSV: a quotation mark is missing or stands inside a field. A record is one line."
TOO_LONG = "A field is longer than {:,} characters."
SAVE_AS = "In a spreadsheet save it as “CSV UTF-8 (Comma delimited)”."
UTF16 = f"The file is UTF-16 and not UTF-8. {SAVE_AS} Or say so in a map: encoding = “utf-16”."
NOT_UTF8 = (
    f"The file is not UTF-8; “CSV (Comma delimited)” of a spreadsheet is Windows-1252. {SAVE_AS} "
    "Or say so in a map: encoding = “windows-1252”."
)
WORKBOOK = f"The file is a workbook of a spreadsheet and no CSV. {SAVE_AS}"
OTHER_SEPARATOR = "{} stand where {} are expected. Save it with {}, or say so in a map: separator = “{}”."
_SEPARATORS = {",": ("Commas", "comma"), ";": ("Semicolons", "semicolon"), "\t": ("Tabs", "tab")}


@dataclass(eq=False)
class Problem(Exception):
    """What is wrong, where: the line and column, and a reason that never holds the value."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        where = ", ".join(filter(None, [f"Line {self.line}" if self.line else "", self.column]))
        return f"{where}: {self.reason}" if where else self.reason

    def as_dict(self) -> dict[str, int | str]:
        """Return the problem for `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """One record of the file: the line on which it begins, its values by column, and in which of them something is
    wrong."""

    line: int
    values: dict[str, str]
    bad: frozenset[str] = frozenset()

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclass
class Tally:
    """What became of the lines under the header that are no record, which columns were not read or not there, and the
    notices."""

    lines: int = 0
    empty: int = 0
    continued: int = 0
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notices: list[Problem] = field(default_factory=list)
    header: Header | None = None
    #: The lines that are no record, for who must know to what they belong. Never told and never kept.
    unread: list[str] = field(default_factory=list, repr=False)


def read(
    path: str | Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    limit: int = LIMIT,
    problems: list[Problem] | None = None,
    card_columns: Sequence[str] = (),
    by: ColumnMap | None = None,
    maps: Mapping[str, ColumnMap] | None = None,
    tally: Tally | None = None,
) -> Iterator[Row]:
    """Yield the records of `path`, whose header must name all of `columns` and may name those of `optional`.

    `by` is the map of a file of another program; `maps` lie ready, to recognise one. What is wrong is appended to
    `problems`, with the names of the columns in `Row.bad`, or raised where no list is given; a line that is no record
    yields none. A bad file (not readable, another encoding, another header) raises Problem. `card_columns` are those
    in which a card number may stand because the caller keeps nothing but its last four digits. Lines, notices and
    unread columns go to `tally`.
    """
    by = by or columnmap.ours((*columns, *optional))
    tally = Tally() if tally is None else tally
    try:
        with regular.opened(path, encoding=columnmap.ENCODINGS[by.encoding]) as file:
            for found in _read(file, list(columns), by, maps or {}, limit, frozenset(card_columns), tally):
                if isinstance(found, Problem):
                    if problems is None or found.line <= 1:
                        raise found
                    problems.append(found)
                else:
                    yield found
    except regular.NotRegular:
        raise Problem(0, "", "It is not a regular file: write what a pipe or a device gives into one first.") from None
    except OSError as error:
        raise Problem(0, "", f"The file cannot be read: {error.strerror}.") from None


def _read(
    file: Any,
    columns: list[str],
    by: ColumnMap,
    maps: Mapping[str, ColumnMap],
    limit: int,
    card_columns: frozenset[str],
    tally: Tally,
) -> Iterator[Row | Problem]:
    if refused := _encoding(file.buffer.peek(512)[:512], by):
        yield Problem(1, "", refused)
        return
    header: Header | None = None
    lines = _Lines(_lines(file, limit * max(len(columns), len(by.columns), 60)))
    try:
        for line, text in lines:
            tally.lines += header is not None
            if text is None:
                tally.unread.append("")
                yield Problem(line, "", TOO_LONG.format(limit))
                continue
            values = _split(text, by.separator)
            if values is None and header is not None and header.unread and '"' in text:
                values = _continued(text, lines, header, by.separator, tally)
            if header is None:
                if refused := _separator(text, by):
                    yield Problem(1, "", refused)
                    return
                try:
                    header = columnheader.read(values or [text], by, required=columns, maps=maps)
                except columnheader.Unfit as unfit:
                    yield Problem(1, "", str(unfit))
                    return
                tally.header, tally.left_out, tally.missing = header, header.unknown, header.missing
            elif values is not None and not any(value.strip() for value in values):
                tally.empty += 1
            elif reason := _unfit(values, header, limit):
                tally.unread.append(text)
                yield Problem(line, "", reason)
            else:
                yield from _record(line, values or [], header, card_columns, tally)
        if header is None:
            yield Problem(1, "", "The file is empty.")
    except UnicodeError:
        # The decoder reads ahead, so the line is not known; and a file that is not text is refused as a whole.
        expected = "UTF-16" if by.encoding == "utf-16" else "Windows-1252"
        yield Problem(1, "", NOT_UTF8 if by.encoding == "utf-8" else f"The file is not {expected}, which the map says.")


def _encoding(beginning: bytes, by: ColumnMap) -> str:
    """Return why the file cannot be read by its first bytes, "" where it may be."""
    if beginning.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return WORKBOOK
    is_wide = beginning.startswith((b"\xff\xfe", b"\xfe\xff")) or beginning.count(0) * 4 > len(beginning)
    if is_wide and by.encoding != "utf-16":
        return UTF16
    return ""


def _separator(text: str, by: ColumnMap) -> str:
    if by.separator in text:
        return ""
    for other, (many, name) in _SEPARATORS.items():
        if text.count(other) >= 2:
            expected = _SEPARATORS[by.separator][0].lower()
            return OTHER_SEPARATOR.format(many, expected, expected, name)
    return ""


def _lines(file: Any, most: int) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; None for one that is longer than `most`."""
    while text := file.readline(most + 1):
        is_long = len(text) > most and not text.endswith("\n")
        while is_long and text and not text.endswith("\n"):
            text = file.readline(most + 1)
        yield None if is_long else text.removesuffix("\n")


class _Lines:
    """The lines of a file with their numbers; some may be looked at before it is known whose they are."""

    def __init__(self, source: Iterator[str | None]) -> None:
        """Take the lines from the first one on."""
        self._source = source
        self._ahead: list[str | None] = []
        self._line = 0

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        """Yield each line that was not used up, with its number."""
        while (text := self._ahead.pop(0) if self._ahead else next(self._source, _END)) is not _END:
            self._line += 1
            yield self._line, text

    def peek(self, index: int) -> str | None:
        """Return the line after so many, None where there is none that can be read."""
        while len(self._ahead) <= index:
            text = next(self._source, _END)
            if text is _END:
                return None
            self._ahead.append(text)
        return self._ahead[index]

    def use_up(self, count: int) -> None:
        """Leave so many lines out: they belong to the one before."""
        del self._ahead[:count]
        self._line += count


_END: Any = object()


@cache
def _csv(separator: str) -> re.Pattern[str]:
    """Return RFC 4180 for one record: a field is quoted from end to end, or has no quotation mark."""
    one = rf'(?:"(?:[^"]|"")*+"|[^"{separator}\n]*+)'
    return re.compile(f"{one}(?:{separator}{one})*+")


def _split(text: str, separator: str) -> list[str] | None:
    """Return the fields of one record, None where it is no proper CSV."""
    if not _csv(separator).fullmatch(text):
        return None
    if '"' not in text:
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error:
        return _slowly(text, separator)


def _slowly(text: str, separator: str) -> list[str]:
    """Return the fields of a proper record that the csv module does not take: one is beyond its limit, or has a line
    break."""
    fields, place = [], 0
    one = re.compile(rf'"((?:[^"]|"")*+)"|([^"{separator}\n]*+)')
    while found := one.match(text, place):
        fields.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        place = found.end() + 1
        if found.end() == len(text):
            break
    return fields


def _continued(text: str, lines: _Lines, header: Header, separator: str, tally: Tally) -> list[str] | None:
    """Return the fields of a record of which one that is left out goes on over several lines; None where it is none.

    A line that has as many separators as a record may be one: then a quotation mark is missing, and nothing is joined.
    """
    whole = text
    for more in range(MOST_CONTINUED):
        following = lines.peek(more)
        if following is None or max(text.count(separator), following.count(separator)) >= len(header.names) - 1:
            return None
        whole += "\n" + following
        if '"' in following and _csv(separator).fullmatch(whole):
            values = _slowly(whole, separator)
            is_clear = len(values) == len(header.names) and not any(
                "\n" in value for place, value in enumerate(values) if place not in header.unread
            )
            if not is_clear:
                return None
            lines.use_up(more + 1)
            tally.lines += more + 1
            tally.continued += more + 1
            return values
    return None


def _unfit(values: list[str] | None, header: Header, limit: int) -> str:
    """Return why a line is no record of this header, "" where it is one."""
    if values is None:
        return NOT_CSV
    if any(len(value) > limit for value in values):
        return TOO_LONG.format(limit)
    width = len(header.names)
    if len(values) < width or any(value.strip() for value in values[width:]):
        return f"The line has {len(values)} fields instead of {width}."
    if any(value.strip() for value, name in zip(values, header.names, strict=False) if not name):
        return "A value stands in a column without a name."
    return ""


def _record(
    line: int, values: list[str], header: Header, card_columns: frozenset[str], tally: Tally
) -> Iterator[Row | Problem]:
    # A tab around a value is blank, and left out as by every form; one inside is the sign of another column.
    values = [value.strip("\t") if "\t" in value else value for value in values[: len(header.names)]]
    is_odd = any(BREAK.search(value) or HIDDEN.search(value) for value in values if not value.isprintable())
    seen = [HIDDEN.sub("", value) for value in values] if is_odd else values
    found, wrong = header.values([value if value and not value.isspace() else "" for value in seen])
    for column, value in found.items():
        if column in wrong:
            continue
        raw = value
        if is_odd:
            raw = next((values[place] for place in header.places.get(column, ()) if seen[place].strip()), "")
        if reason := (value or raw) and _refused(
            raw if is_odd and BREAK.search(raw) else value, column, column in card_columns
        ):
            wrong[column] = reason
            continue
        if is_odd and HIDDEN.search(raw):
            tally.notices.append(Problem(line, column, "A character that cannot be seen was left out."))
        if notice := spoiled.text(value):
            tally.notices.append(Problem(line, column, notice))
    for column, reason in wrong.items():
        yield Problem(line, column, reason)
    yield Row(line, found, frozenset(wrong))


def _refused(value: str, column: str, may_be_card: bool) -> str:
    """Return why a value is never taken in, whatever its column is; "" where it may be."""
    if "\x00" in value:
        return "There is a NUL character in it."
    if BREAK.search(value):
        return "There is a line break, a tab or another control character in it."
    if "+" in value and spoiled.SHORTENED.fullmatch(value):
        return spoiled.DIGITS_GONE
    if may_be_card:
        return ""
    of = columnmap.KINDS.get(column, numberfields.Kind.TEXT)
    if found := numberfields.find(value, of, frozenset({cards.CARD, cards.BANK})):
        what = "payment card number" if found[0].kind == cards.CARD else found[0].kind
        return f"It looks like a {what}, which is never stored."
    return ""


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


class Checks:
    """All that is wrong with one record, so that it is mended at once."""

    def __init__(self, row: Row) -> None:
        """Begin with nothing but what the reader found."""
        self.row = row
        self.problems: list[Problem] = []

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, also by the reader."""
        return not self.problems and not self.row.bad

    def value(self, column: str, check: Callable[[str], Any]) -> Any:
        """Return what `check` makes of a value; None, and the reason noted, where it refuses or the reader did."""
        if column in self.row.bad:
            return None
        try:
            return check(self.row[column])
        except ValidationError as error:
            self.wrong(column, " ".join(error.messages))
        except ValueError as error:
            self.wrong(column, str(error))
        return None

    def wrong(self, column: str, reason: str) -> None:
        """Note what is wrong with a column, or with the record as a whole ("")."""
        self.problems.append(Problem(self.row.line, column, reason))
