"""Which column of a file is which of ours: by our own names, or by a map (TOML) for the files of another program.

What must never happen: a value is read in another way than the map says, or a map is used that says something else than
its author meant. So a map with a word that means nothing is refused, and the refusal names it. A mistake in a map is
mended in the map; the import is done again, and what is on file stays as it is. Where the columns of a file stand, and
what happens to those that are none: `columnheader`.
"""

from __future__ import annotations

import base64
import hmac
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from accounts import countries
from privacy.files import regular
from privacy.typed.numberfields import Kind
from privacy.vault import ring

HELP = "See docs/imports.md."
ENCODINGS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "windows-1252": "cp1252"}
SEPARATORS = (",", ";", "\t")
NUMBERS = {"1234.56": ("", "."), "1,234.56": (",", "."), "1.234,56": (".", ","), "1 234,56": (" \u00a0\u202f", ",")}
DATE_COLUMNS = frozenset({"since", "placed_on", "paid_on", "shipped_on", "cancelled_on"})
NUMBER_COLUMNS = frozenset({"subtotal", "tax", "freight", "total", "refunded", "unit_price"})
REFERENCE_COLUMNS = frozenset({"customer_ref", "order_number"})
#: What the numbers of a column are; those of any other are guarded as free text is.
KINDS = {
    "phone": Kind.PHONE,
    **dict.fromkeys(("sku", "product"), Kind.PRODUCT),
    **dict.fromkeys((*REFERENCE_COLUMNS, "email", "account_number"), Kind.IDENTIFIER),
}
COUNTRY_COLUMNS = frozenset({"country", "ship_country", "invoice_country"})
_PARTS = {"YYYY": r"(?P<y>[0-9]{4})", "MM": r"(?P<m>[0-9]{1,2})", "DD": r"(?P<d>[0-9]{1,2})"}
#: A time of day after the date says nothing about the day, which counts as it is written.
_TIME = r"(?:[T ]+[0-9]{1,2}:[0-9]{2}.{0,25})?"
_MONEY = re.compile(r"\A[$€£] ?|(?<=[0-9]) ?[$€£]\Z")
_TABLES = {"file", "columns", "constants", "formats", "leading", "values", "made", "instead", "left_out"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_word(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)  # true is no word of a file


def _is_made(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"prefix", "from"}
        and _is_text(value.get("prefix", ""))
        and _is_texts(value.get("from", []))
    )


#: Part of a map, what each of the values that it holds has to be, and that in words.
_HOLD: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("file", lambda value: isinstance(value, (str, bool)), "a text, or true or false"),
    ("formats", lambda value: _is_text(value) or _is_texts(value), "a text, or texts in brackets"),
    (
        "columns",
        lambda value: _is_text(value) or _is_texts(value),
        "the name of a column of ours, or names in brackets",
    ),
    ("constants", _is_word, "a text or a number"),
    ("leading", _is_text, "a text"),
    ("values", lambda value: isinstance(value, dict) and all(map(_is_word, value.values())), "a table of texts"),
    ("made", _is_made, "a table of prefix (a text) and from (names in brackets)"),
    ("instead", _is_text, "a text"),
)


class MapRefused(ValueError):
    """A map that cannot be used. The text says what is wrong with it; what steers a terminal is written out in it."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text))


@dataclass(frozen=True)
class Made:
    """A number for records that have none: always the same for the same values, and readable from nothing."""

    prefix: str
    columns: tuple[str, ...]

    def of(self, values: Sequence[str]) -> str:
        """Return the number, "" where all values are blank: a keyed hash, so that it tells nobody what it was made
        of."""
        if not any(values):
            return ""
        text = "\x00".join(" ".join(value.casefold().split()) for value in values)
        digest = hmac.digest(ring.derive("import:made"), text.encode(), "sha256")
        return self.prefix + base64.b32encode(digest)[:12].decode()


@dataclass(frozen=True)
class Dates:
    """The ways in which a file writes days."""

    patterns: tuple[str, ...]

    def read(self, value: str) -> str:
        """Return a day as YYYY-MM-DD.

        Raises ValueError, without the value, where it is written in none of these ways, or the calendar has no such
        day.
        """
        read_as = ""
        for pattern in self.patterns:
            text = re.escape(pattern)
            for part, expression in _PARTS.items():
                text = text.replace(part, expression)
            if found := re.fullmatch(text + _TIME, value, re.ASCII):
                try:
                    return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
                except ValueError:  # such as a thirteenth month, or the 0000-00-00 of a database for "not known"
                    read_as = pattern
        if read_as:
            raise ValueError(f"Read as {read_as}, as the map says, it is no day of the calendar.")
        raise ValueError(f"It is not a date written as {' or '.join(self.patterns)}, which the map says.")


@dataclass(frozen=True)
class ColumnMap:
    """What each column of a file is (theirs -> ours), and how its values are written."""

    title: str = ""
    encoding: str = "utf-8"
    separator: str = ","
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    dates: Dates | None = None
    numbers: str = ""
    has_country_names: bool = False
    repeats: bool = False
    has_other_references: bool = False
    leading: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    leaves_others_out: bool = False
    is_ours: bool = False

    def gives(self, column: str) -> bool:
        """Return whether the map can give one of our columns at all."""
        return any(column in ours for ours in self.columns.values()) or column in self.constants or column in self.made

    def mapped(self, ours: str, value: str) -> str:
        """Return a value as ours. Raises ValueError, without the value, where it is not written as the map says."""
        value = value.lstrip(self.leading.get("*", "") + self.leading.get(ours, "")) if self.leading else value
        table = self.values.get(ours)
        if table is not None:
            found = table.get(value.strip().casefold())
            if found is None and value:
                found = table.get("*", value)
            value = found if found is not None else value
        if not value:
            return ""
        if ours in DATE_COLUMNS and self.dates:
            return self.dates.read(value.strip())
        if ours in NUMBER_COLUMNS and self.numbers:
            return _number(value.strip(), self.numbers)
        if ours in COUNTRY_COLUMNS and self.has_country_names:
            return _country(value)
        if ours in REFERENCE_COLUMNS and self.has_other_references:
            return re.sub(r"[^A-Z0-9]+", "-", value.upper()).strip("-")
        return value


def ours(columns: Sequence[str], **options: Any) -> ColumnMap:
    """Return the map of a file that is written in our own columns."""
    return ColumnMap(columns={name: (name,) for name in columns}, is_ours=True, **options)


def ready(folder: Path) -> dict[str, Path]:
    """Return the maps that lie ready, by name."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(named: str, *, folder: Path, columns: Sequence[str]) -> ColumnMap:
    """Return the map of this name, or in this file, for an import of `columns`. Raises MapRefused."""
    lying = ready(folder)
    is_name = "/" not in named and not named.endswith(".toml")
    if is_name and named not in lying:
        raise MapRefused(f"There is no ready map of this name. Ready: {', '.join(lying)}. Or give a file: ./mine.toml")
    try:
        page = tomllib.loads(regular.text(lying[named] if is_name else named))
    except (OSError, UnicodeDecodeError):
        raise MapRefused("The map cannot be read.") from None
    except tomllib.TOMLDecodeError as error:
        raise MapRefused(f"The map is not proper TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets
        raise MapRefused("The map is not proper TOML.") from None
    return parse(page, columns)


def parse(page: Mapping[str, Any], columns: Sequence[str]) -> ColumnMap:
    """Return the map that a page of TOML says. Raises MapRefused, which names what in it is not so."""
    if unknown := sorted(set(page) - _TABLES - {"title", "kind"}):
        raise MapRefused(f"The map has a part that is none: {', '.join(unknown)}. {HELP}")
    _check_values(page)
    file, formats = _table(page, "file"), _table(page, "formats")
    _check_words(file, formats)
    dates = formats.get("dates", ())
    patterns = (dates,) if isinstance(dates, str) else tuple(dates)
    if any(sorted(re.findall("YYYY|MM|DD", one)) != ["DD", "MM", "YYYY"] for one in patterns):
        raise MapRefused("dates says how a day is written: YYYY, MM and DD once each, such as MM/DD/YYYY.")
    theirs = {name: (to,) if isinstance(to, str) else tuple(to) for name, to in _table(page, "columns").items()}
    left_out = page.get("left_out", {})
    made = {name: Made(one.get("prefix", ""), tuple(one.get("from", ()))) for name, one in _table(page, "made").items()}
    named = {to for tos in theirs.values() for to in tos} | set(made)
    named |= {name for part in ("constants", "values", "instead") for name in _table(page, part)}
    named |= set(_table(page, "leading")) - {"*"}
    if wrong := sorted(named - set(columns)):
        raise MapRefused(f"The map names columns that this import does not have: {', '.join(wrong)}. {HELP}")
    return ColumnMap(
        title=str(page.get("title", "")),
        encoding=file.get("encoding", "utf-8"),
        separator=_separator(file),
        columns=theirs or {name: (name,) for name in columns},
        constants={name: str(value) for name, value in _table(page, "constants").items()},
        dates=Dates(patterns) if patterns else None,
        numbers=formats.get("numbers", ""),
        has_country_names=formats.get("countries") == "names",
        repeats=bool(file.get("repeats")),
        has_other_references="references" in formats,
        leading=_table(page, "leading"),
        values={
            name: {theirs.casefold(): str(value) for theirs, value in table.items()}
            for name, table in _table(page, "values").items()
        },
        made=made,
        instead=_table(page, "instead"),
        left_out=frozenset(key(name) for name in left_out if name != "*"),
        leaves_others_out=isinstance(left_out, dict) and bool(left_out.get("*")),
    )


def _check_values(page: Mapping[str, Any]) -> None:
    """Raise MapRefused for the first value that is not of the kind that its part of the map holds."""
    for part, fits, says in _HOLD:
        for name, value in _table(page, part).items():
            if not fits(value):
                raise MapRefused(f"[{part}] {name} is {says}.")
    if not isinstance(page.get("left_out", {}), dict) and not _is_texts(page["left_out"]):
        raise MapRefused("left_out is a table, or texts in brackets.")


def _check_words(file: Mapping[str, Any], formats: Mapping[str, Any]) -> None:
    """Raise MapRefused for the first word of [file] or [formats] that is none of those that mean something there."""
    for part, names, known in (
        ("file", file, {"encoding", "separator", "repeats"}),
        ("formats", formats, {"dates", "numbers", "countries", "references"}),
    ):
        if more := sorted(set(names) - known):
            raise MapRefused(f"[{part}] has no {', '.join(more)}; it has: {', '.join(sorted(known))}.")
    if not isinstance(file.get("repeats", False), bool):
        raise MapRefused("[file] repeats is true or false, without quotes.")
    if file.get("encoding", "utf-8") not in ENCODINGS:
        raise MapRefused(f"encoding is one of: {', '.join(ENCODINGS)}.")
    if _separator(file) not in SEPARATORS:
        raise MapRefused('separator is one of: ",", ";", "tab".')
    if any(not isinstance(value, str) for name, value in formats.items() if name != "dates"):
        raise MapRefused("numbers, countries and references are texts.")
    if formats.get("numbers") and formats["numbers"] not in NUMBERS:
        raise MapRefused(f"numbers is one of: {', '.join(NUMBERS)}.")
    if formats.get("countries", "codes") not in ("codes", "names"):
        raise MapRefused("countries is one of: codes, names.")
    if formats.get("references", "ours") != "ours":
        raise MapRefused("references is “ours”: in capitals, and a dash for each sign that is no letter and no digit.")


def _separator(file: Mapping[str, Any]) -> Any:
    separator = file.get("separator", ",")
    return {"tab": "\t", "semicolon": ";", "comma": ","}.get(separator, separator)


def _table(page: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = page.get(name, {})
    if not isinstance(found, dict):
        raise MapRefused(f"[{name}] is a table of TOML.")
    return found


def loaded(folder: Path | None, columns: Collection[str]) -> dict[str, ColumnMap]:
    """Return the ready maps of a folder, to recognise whose a file is."""
    if folder is None:
        return {}
    return {name: load(name, folder=folder, columns=list(columns)) for name in ready(folder)}


def key(name: str) -> str:
    """Return a column's name without case, blanks and punctuation; what is in brackets counts."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _number(value: str, numbers: str) -> str:
    thousands, point = NUMBERS[numbers]
    text = _MONEY.sub("", value).strip()
    minus, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    text = _MONEY.sub("", text)
    whole, _, fraction = text.partition(point)
    if any(mark in whole for mark in thousands):
        groups = re.split(f"[{re.escape(thousands)}]", whole)
        if not (1 <= len(groups[0]) <= 3 and all(len(one) == 3 for one in groups[1:])):
            raise ValueError(f"It is not an amount written as {numbers}, which the map says.")
        whole = "".join(groups)
    if not re.fullmatch(r"[0-9]+", whole, re.ASCII) or (fraction and not re.fullmatch(r"[0-9]+", fraction, re.ASCII)):
        raise ValueError(f"It is not an amount written as {numbers}, which the map says.")
    return f"{minus}{whole}" + (f".{fraction}" if fraction else "")


def _country(value: str) -> str:
    """Return the code of a country that is written by its English name, else what is written."""
    return countries.find(value) or value.strip()
