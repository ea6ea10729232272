"""What stands in the copy a person gets, read through the gate, and who we are to them (Art. 15(1)(a)–(h), 15(2), 20).

What must never happen: a mask or a gap that looks like "nothing", a third person's data. Every value comes from a
declaration in the data map, so a new field is in the copy the day it is declared; a value that cannot be opened
stops the copy (`CopyIncomplete`), it does not leave a hole.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from django.db import models

from privacy import datamap, vault
from privacy.calendar import undated
from privacy.datamap import Declaration
from privacy.retention.verdict import Verdict
from privacy.work import broken

CHUNK = 200
# OWASP: a leading = + - @ tab or CR makes a formula; a full-width sign is folded, and a blank
# before it skipped, by some.
_FORMULA = re.compile("\\A(?:[\t\r\n]|[\\s\u00a0\ufeff\u200b]*[=+\\-@＝＋－＠])")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# A telephone number that no spreadsheet can calculate with: digits alone, or a blank behind the code of the country,
# which stands between two numbers in no formula. One with hyphens alone ("+1-978-555-0101") would be subtracted.
_PHONE = re.compile(r"\+[0-9]{1,3}(?: [0-9()./-]+)+|\+[0-9]{7,15}")
NO_DAY = undated.SENTENCE
# With the hash of a plan a removal is confirmed; it stands on the page that asks for the password, and nowhere else.
_TECHNICAL = frozenset({"password", "session_data", "session_key", "plan_hash", "confirmed_hash"})
_TECHNICAL_WITHIN = frozenset({"hash"})

#: Said in a copy of what nothing keeps any more, and of what is open: its day is the latest one.
DUE = "Nothing keeps it any longer: it is due to go."
OPEN = "Or earlier, when it is finished."

Verdicts = dict[UUID, tuple[Verdict, ...]]  # by record; a shared one names no record of its own


class CopyIncomplete(Exception):
    """A value could not be opened for the copy. The text names record and envelope, never a value."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one field is read and said: worked out once for a kind of record, used for thousands of them."""

    name: str
    title: str
    is_last_four: bool = False
    choices: Mapping[Any, Any] = field(default_factory=dict)
    words: Callable[..., str] | None = None
    code: str = ""  # the public list that a code is of, which `words` names
    beside: str = ""  # the field that `words` is given beside the value
    place: str = ""  # label/envelope, for the error
    number: str = ""  # of a link: the column by which people call the record that it leads to


@dataclass
class Kind:
    """One kind of record in the copy: its columns and, for Art. 15(1), what holds for all of them."""

    declaration: Declaration
    rows: models.QuerySet[Any]
    columns: list[Column]
    count: int

    @property
    def label(self) -> str:
        return self.declaration.label

    @property
    def title(self) -> str:
        return self.declaration.title

    @property
    def file_name(self) -> str:
        """Return the name of the CSV file: made of the label, never of data."""
        return f"tables/{self.label.replace('.', '-')}.csv"

    def facets(self) -> dict[str, list[str]]:
        """Return what Art. 15(1)(a), (b), (c) and (g) ask for, of this kind of record."""
        data = [d for d in self.declaration.data.values() if d.category != "link"] or list(
            self.declaration.data.values()
        )
        return {
            "purposes": sorted({p for d in data for p in d.purposes}),
            "categories": sorted({d.category for d in data}),
            "recipients": sorted({r for d in data for r in d.recipients}),
            "sources": sorted({datamap.from_whom(d.source) for d in data}),
        }


@dataclass
class Row:
    """One record as it stands in the copy."""

    id: str
    label: str
    title: str
    values: dict[str, Any]
    kept: list[dict[str, Any]] = field(default_factory=list)


def kinds(subject: UUID, counts: Mapping[str, int] | None = None) -> list[Kind]:
    """Return the kinds of record that lead to `subject` and of which there are any, those the map calls impersonal too.

    `counts` is what `datamap.counts_of` returned, for who has asked before.
    """
    found = datamap.counts_of(subject) if counts is None else counts
    return [
        Kind(declaration, declaration.rows_of(subject), columns, found[declaration.label])
        for declaration in datamap.declarations()
        if declaration.label in found and (columns := _columns(declaration))
    ]


def kinds_of(records: Iterable[tuple[str, UUID]]) -> list[Kind]:
    """Return the kinds of these records, (label, id), with the rows that are still there."""
    by_label: dict[str, list[UUID]] = {}
    for label, record in records:
        by_label.setdefault(label, []).append(record)
    found = []
    for label, ids in sorted(by_label.items()):
        declaration = datamap.for_label(label)
        there = declaration.model._default_manager.filter(pk__in=ids).order_by("pk")
        if count := there.count():
            found.append(Kind(declaration, there, _columns(declaration), count))
    return found


def _columns(declaration: Declaration) -> list[Column]:
    if declaration.told is not None:
        return [Column(title, title) for title in declaration.told[0]]
    columns: list[Column] = []
    for one in datamap.fields_to_declare(declaration.model):
        name = one.name
        datum = declaration.data.get(name)
        if one.many_to_many or name in _TECHNICAL or (datum is not None and datum.export == "no"):
            continue
        if isinstance(declaration.impersonal.get(name), datamap.Machinery):
            continue
        number = _number_column(one) if one.is_relation else ""
        if one.is_relation and not number:
            continue  # a link to a person says nothing but a number; a link to a colleague is a third person's
        if not one.is_relation and isinstance(one, models.UUIDField):
            continue  # a number of ours tells nobody anything
        columns.append(
            Column(
                name=name,
                title=datum.title if datum is not None else _heading(declaration.impersonal[name]),
                is_last_four=datum is not None and datum.export == "last4",
                choices=(datum and datum.says) or (dict(one.flatchoices) if getattr(one, "choices", None) else {}),
                words=datum.words if datum is not None else _words(declaration.impersonal[name]),
                code=datum.code if datum is not None else "",
                beside=datum.beside if datum is not None else "",
                place=f"{declaration.label}/{datamap.sealed_in(one)}",
                number=number,
            )
        )
    return columns


def _heading(why: str) -> str:
    """Return the title of a field that is no datum of its person and is shown all the same; each has one (E013)."""
    return cast("datamap.Titled", why).heading


def _words(why: str) -> Callable[[Any], str] | None:
    return cast("datamap.Titled", why).words


def _number_column(one: Any) -> str:
    """Return the column by which people call the record that a link leads to; "" where they call it by none."""
    return datamap.for_model(one.related_model).reference or ""


def given(label: str, titles: Iterable[str]) -> list[str]:
    """Return which of the data of such a record a copy holds: a password, kept as a hash that nobody reads, is not in
    it."""
    withheld = {datum.title for datum in datamap.for_label(label).data.values() if datum.export == "no"}
    return [title for title in titles if title not in withheld]


def there(label: str, titles: Iterable[str], empty: Collection[str]) -> list[str]:
    """Return which of these data stand in a record and are shown: without those that are `empty` in it."""
    return [title for title in given(label, titles) if title not in empty]


def rows(kind: Kind, verdicts: Verdicts) -> Iterator[Row]:
    """Yield the records of one kind, opened a chunk at a time. Raises CopyIncomplete."""
    if kind.declaration.told is not None:
        yield from _told(kind, kind.declaration.told[1], verdicts)
        return
    for row in broken.rows(with_links(kind), step="copy", chunk=CHUNK):
        values = {column.title: plain(opened(kind, column, row)) for column in kind.columns}
        empty = {title for title, value in values.items() if value is False or value in (None, "")}
        kept = [_why(v, data) for v in verdicts.get(row.pk, ()) if (data := there(kind.label, v.data, empty))]
        title = next((v.title for v in verdicts.get(row.pk, ())), kind.title)
        yield Row(id=str(row.pk), label=kind.label, title=title, values=values, kept=kept)


def with_links(kind: Kind, *, but: str = "") -> models.QuerySet[Any]:
    """Return the rows of a kind with the records that its links lead to, in the same query; `but` is a link to be left
    out."""
    paths: list[str] = []
    for column in kind.columns:
        one = None if kind.declaration.told is not None else datamap.field_named(kind.declaration.model, column.name)
        if one is None or not one.is_relation:
            continue
        paths.append(column.name)
        owner = datamap.for_model(one.related_model).subject_path if column.number else None
        paths += [f"{column.name}__{'__'.join(steps)}"] if (steps := (owner or "").split("__")[:-1]) else []
    if but:
        related = [path for path in (*paths, *kind.declaration.related) if path.split("__")[0] != but]
        rows = kind.rows.select_related(None)
        return rows.select_related(*related) if related else rows
    return kind.rows.select_related(*paths) if paths else kind.rows


def _why(verdict: Verdict, data: list[str]) -> dict[str, Any]:
    """Return why data are kept and until when; what is due to go is kept for no reason, and no article is cited for
    it."""
    if verdict.is_erased:
        return {"data": data, "until": None, "reason": DUE, "authority": ""}
    reason = verdict.sentence or verdict.ground
    if verdict.waits_for and verdict.last_day is not None:
        reason = f"{OPEN} {reason}"
    return {"data": data, "until": verdict.last_day, "reason": reason, "authority": verdict.authority}


def _told(kind: Kind, say: Callable[[Sequence[Any]], list[dict[str, Any]]], verdicts: Verdicts) -> Iterator[Row]:
    some = kind.rows.iterator(chunk_size=CHUNK)
    while chunk := list(islice(some, CHUNK)):
        for row, values in zip(chunk, say(chunk), strict=True):
            told = {title: plain(_told_open(kind, title, value)) for title, value in values.items()}
            kept = [_why(v, data) for v in verdicts.get(row.pk, ()) if (data := given(kind.label, v.data))]
            yield Row(id=str(row.pk), label=kind.label, title=kind.title, values=told, kept=kept)


def _told_open(kind: Kind, title: str, value: Any) -> Any:
    require_open(Column(title, title, place=kind.label), value)
    return None if isinstance(value, vault.Erased) else value


def opened(kind: Kind, column: Column, row: Any) -> Any:
    """Return one value of a row for the copy, None for what was erased. Raises CopyIncomplete for what cannot be
    opened."""
    value = get(kind, column, row)
    require_open(column, value)
    return None if isinstance(value, vault.Erased) else value


def require_open(column: Column, value: Any) -> None:
    """Raise CopyIncomplete for a value that could not be opened; what was erased is no gap."""
    if isinstance(value, vault.Unreadable) and not isinstance(value, vault.Erased):
        raise CopyIncomplete(f"{column.place} could not be opened.")


def get(kind: Kind, column: Column, row: Any) -> Any:
    """Return one value of a row: an identifier that could be misused by its last four characters, a choice by its
    words, a link by the number of the record it leads to."""
    if column.number:
        return _number(kind.declaration, column, row)
    value = read(row, column.name)
    if isinstance(value, vault.Unreadable) or value in (None, ""):
        return value
    if column.is_last_four:
        return f"•••• {str(value)[-4:]}"
    return column.choices.get(value, value) if column.choices else value


def _number(declaration: Declaration, column: Column, row: Any) -> Any:
    """Return the number of the record that a link leads to; None where that record is about somebody else."""
    other = broken.linked(row, column.name, step="copy")
    if other is None:
        return None
    theirs, ours = datamap.for_model(type(other)).subject_path, declaration.subject_path or ""
    if theirs is not None and not ours.startswith(f"{column.name}__"):  # that way the row itself is the person's
        person = _at(other, theirs)
        if person is None or person != _at(row, ours):
            return None
    return getattr(other, column.number)


def _at(row: Any, path: str) -> Any:
    """Return the number of the person at the end of a path from a row; None where it breaks off."""
    *steps, last = path.split("__")
    for step in steps:
        row = broken.linked(row, step, step="copy")
    return getattr(row, f"{last}_id", getattr(row, last, None)) if last else None


def read(row: Any, name: str) -> Any:
    """Return one value of a row; of a day that no calendar has, the sentence that says so."""
    try:
        value = getattr(row, name)
    except ValueError:  # left out of the row by `broken.rows`, because it cannot be read
        return NO_DAY
    return NO_DAY if undated.is_none(value) else _without_hashes(value)


def _without_hashes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_hashes(one) for key, one in value.items() if key not in _TECHNICAL_WITHIN}
    return value


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dates in ISO 8601, amounts as text, so that nothing is rounded."""
    if value is None or type(value) in (str, int, bool):  # nearly all of them
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return value


def cell(value: Any, words: Callable[[Any], str] | None = None) -> str:
    """Return a value as a CSV cell: nothing that a spreadsheet would run as a formula, telephone numbers as they
    are; a list or table of values in the `words` of its column (E013)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        value = words(value) if words is not None else ", ".join(map(str, value))
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    is_harmless = _NUMBER.fullmatch(text) or _PHONE.fullmatch(text)
    return f"'{text}" if _FORMULA.match(text) and not is_harmless else text


# Art. 15, the same for everybody --------------------------------------------------------------------------------------

RIGHTS = (
    "to have wrong data corrected and incomplete data completed (Art. 16)",
    "to have data removed, unless a reason named beside the record stands against it (Art. 17)",
    "to have data restricted, that is kept but not used, while something is disputed (Art. 18)",
    "to object to what we do on the ground of legitimate interests, and at any time to advertising (Art. 21)",
    "to receive what you gave us in a form for programs, which is the file data.json here (Art. 20)",
    "to withdraw a consent at any time, without effect on what was done before (Art. 7(3))",
)
AUTOMATED = (
    "By fixed rules, which stand beside each record, a program works out how long it is kept and what a removal takes; and a request "
    "ends when nobody has shown in time who is asking. If you do not agree, tell us: a person looks at it. No other decision about "
    "you is made by a program alone, and no profile is made of you (Art. 22)."
)
TRANSFERS = (
    "We are a company in the United States of America and keep your data there; what you gave us, you gave to us there directly. "
    "The recipients named above are to get only what they need for the purpose named. Ask us in which country each of them is, "
    "and what protects your data there: we tell you, and give you a copy of what was agreed on that (Art. 15(2))."
)
