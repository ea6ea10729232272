"""The records of a person as people read them: by part of life, each with what stands inside of
it, why it is kept, until when.

What must never happen: a value past the gate, or one of another person. A page decides about the records it shows and
about no others, so that it costs as much with ten thousand records as with ten: a number of queries that depends on the
kinds of record alone, and one query for the keys of each of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from privacy import datamap, vault
from privacy.datamap import Declaration, Life
from privacy.requests import assessment, contents, said
from privacy.requests.contents import Column, Kind
from privacy.retention import due, jurisdiction, rules
from privacy.retention.verdict import Verdict
from privacy.vault.queryset import load_keys
from privacy.work import broken

MOST_INSIDE = 20  # of one kind within one record; the rest stands on a page of its own
WIDEST = 6  # columns: more of them are read line by line


@dataclass(frozen=True, slots=True)
class Keeping:
    """Why some data of a record are kept, and until when."""

    holds: str  # what the retention class holds, in words
    data: str  # the data, by their titles
    becomes: str  # "Kept until 3 March 2026", or that they are due to go
    why: str
    ground: str  # by which rule; "" of what is due to go: nothing keeps it
    is_due: bool


@dataclass
class Inside:
    """What stands inside of a record of one kind: the lines of an order."""

    kind: Kind
    count: int
    records: list[Shown]

    @property
    def title(self) -> str:
        """What one or several of them are called within their record: "Lines", not "Lines of orders"."""
        declaration = self.kind.declaration
        called = declaration.called(self.count)
        outer: Declaration = datamap.for_model(
            cast("Any", datamap.field_named(declaration.model, declaration.inside).related_model)
        )
        for one in (outer.called(1), outer.called(2)):
            for word in (one, one.rpartition(" ")[2]):
                called = re.sub(rf" (of|on) (an? )?{re.escape(word)}$", "", called)
        return capfirst(called)

    @property
    def rest(self) -> str:
        """The name of the way to those that are not shown; "" where all are."""
        if self.count <= len(self.records):
            return ""
        return _("All %(called)s (%(count)d here)") % {
            "called": self.kind.declaration.called(2),
            "count": self.count,
        }

    @property
    def is_table(self) -> bool:
        """Whether it reads as a table: few columns, and short values."""
        titles = self.titles
        texts = [value for one in self.records for _, value in one.values]
        return len(titles) <= WIDEST and not any("\n" in text or len(text) > 200 for text in texts)

    @property
    def titles(self) -> list[str]:
        """The titles of those columns in which something stands, and of what is read as one."""
        filled = dict.fromkeys(title for one in self.records for title, _ in one.values)
        columns = [column.title for column in self.kind.columns if column.title in filled]
        return list(dict.fromkeys([*columns, *filled]))

    @property
    def table(self) -> list[list[tuple[str, str]]]:
        """The rows of the table: (title, value) in the order of the titles, "" for nothing."""
        titles = self.titles
        return [[(title, dict(one.values).get(title, "")) for title in titles] for one in self.records]


@dataclass
class Shown:
    """One record: its title, its values in words without those that are empty, and what becomes of it."""

    label: str
    title: str
    gist: list[str]  # what tells it from others of the same title
    values: list[tuple[str, str]]
    kept: list[Keeping]
    goes_with: str  # the record that it goes together with, within a sentence; "" for none
    ended_by: str
    inside: list[Inside] = field(default_factory=list)


def lives(kinds: Sequence[Kind]) -> Iterator[tuple[Life, list[Kind]]]:
    """Yield each part of life in which there is something, with the kinds of record that stand in it by themselves."""
    for life in Life:
        found = [kind for kind in kinds if kind.declaration.life is life and not _is_inside(kind, kinds)]
        if found:
            yield life, found


def newest_first(kind: Kind) -> Any:
    """Return the rows of a kind with what their links lead to: by the day that its gist begins with, else as they
    came."""
    rows = contents.with_links(kind)
    declaration = kind.declaration
    first = declaration.gist[0] if declaration.gist else ""
    one = datamap.field_named(declaration.model, first) if first else None
    if one is not None and one.concrete and one.get_internal_type() in ("DateField", "DateTimeField"):
        # Where no day can be missing, the order is that of the index.
        return rows.order_by(F(first).desc(nulls_last=True) if one.null else f"-{first}", "-pk")
    return rows


def _narrowed(kind: Kind, rows: Any) -> Any:
    """Return a part of the rows so that their numbers are found first, and only then what their links lead to.

    Otherwise thousands of records are joined with all that they lead to before the first few are chosen.
    """
    if not isinstance(rows, QuerySet) or not rows.query.is_sliced:
        return rows
    part = (rows.query.high_mark or kind.count) - rows.query.low_mark
    return rows if kind.count <= part else newest_first(kind).filter(pk__in=rows.values("pk"))


class Page:
    """Puts records together for one page: first all rows, then one judgement of them all, then the words.

    With `verdicts`, by record, for a copy: nothing is judged, and what cannot be opened raises contents.CopyIncomplete.
    """

    def __init__(
        self,
        subject: UUID | None,
        kinds: Sequence[Kind],
        *,
        today: date,
        is_armed: bool | None = None,
        most_inside: int | None = MOST_INSIDE,
        verdicts: Mapping[UUID, Sequence[Verdict]] | None = None,
    ) -> None:
        self.subject, self.kinds, self.today, self.most_inside = subject, kinds, today, most_inside
        self.is_armed = is_armed  # whether what is due to go goes by itself here; None in a copy, which is kept
        self.is_copy = verdicts is not None
        self._known = verdicts
        self._schedule = rules.load()  # once: it is read from its file each time
        self._met: list[tuple[Declaration, list[Any]]] = []
        self._verdicts: dict[UUID, list[Verdict]] = {}
        self._made: list[tuple[list[Shown], _Branch]] = []

    def add(self, kind: Kind, rows: Any) -> list[Shown]:
        """Take in these rows of a kind, and return the list that `judge` fills with their records."""
        records: list[Shown] = []
        self._made.append((records, self._branch(kind, list(broken.rows(_narrowed(kind, rows), step="held")))))
        return records

    def judge(self) -> None:
        """Decide how long the records that were taken in are kept, and fill the lists; one query for all of their
        keys."""
        if self._known is None and self.subject is not None:
            for verdict in assessment.assess_rows(self._met, self.subject, today=self.today):
                self._verdicts.setdefault(verdict.record_id, []).append(verdict)
        load_keys(row for _, rows in self._met for row in rows if isinstance(row, vault.SealedModel))
        for records, branch in self._made:
            records += self._records(branch)

    def _branch(self, kind: Kind, rows: list[Any]) -> _Branch:
        self._met.append((kind.declaration, rows))
        inside = [self._within(one, rows) for one in self.kinds if rows and _stands_in(one, kind)]
        return _Branch(kind, rows, [one for one in inside if one.branch.rows])

    def _within(self, kind: Kind, rows: list[Any]) -> _Within:
        link = kind.declaration.inside
        outer = {row.pk: row for row in rows}
        # The outer records are here already, with what their links lead to: they are not read
        # again with each inner one.
        found = contents.with_links(kind, but=link).filter(**{f"{link}__in": list(outer)})
        most, counts = self.most_inside, Counter[Any]()
        if most is None:
            inner = list(broken.rows(found.order_by("pk"), step="held"))
        else:
            enough = most * len(rows)
            inner = list(broken.rows(found.order_by("pk")[: enough + 1], step="held"))
            if len(inner) > enough:  # one of them has so many that others might have none here
                inner = list(broken.rows(_some_of_each(found, link, most), step="held"))
                counts.update({getattr(row, f"{link}_id"): getattr(row, "of_within", 0) for row in inner})
            else:
                counts.update(getattr(row, f"{link}_id") for row in inner)
                inner = _first_of_each(inner, link, most)
        for row in inner:
            setattr(row, link, outer[getattr(row, f"{link}_id")])
        return _Within(link, self._branch(kind, inner), counts)

    def _records(self, branch: _Branch) -> list[Shown]:
        kind, rows = branch.kind, branch.rows
        told = kind.declaration.told
        values = [list(one.items()) for one in told[1](rows)] if told is not None else None
        inside: dict[Any, list[Inside]] = {}
        for within in branch.inside:
            made = self._records(within.branch)
            by_outer: dict[Any, Inside] = {}
            for row, record in zip(within.branch.rows, made, strict=True):
                outer = getattr(row, f"{within.link}_id")
                if outer not in by_outer:
                    by_outer[outer] = Inside(within.branch.kind, within.counts[outer], [])
                by_outer[outer].records.append(record)
            for outer, one in by_outer.items():
                one.count = max(one.count, len(one.records))
                inside.setdefault(outer, []).append(one)
        return [
            self._record(kind, row, None if values is None else values[at], inside.get(row.pk, []))
            for at, row in enumerate(rows)
        ]

    def _record(self, kind: Kind, row: Any, told: list[tuple[str, Any]] | None, inside: list[Inside]) -> Shown:
        known = self._verdicts if self._known is None else self._known
        verdicts, declaration = known.get(row.pk, ()), kind.declaration
        if told is None:
            columns = [column for column in kind.columns if not _is_plain_link(kind, column)]
            raw = {column.name: contents.get(kind, column, row) for column in columns}
            if self._known is not None:  # a copy has no gap that looks like nothing
                for column in columns:
                    contents.require_open(column, raw[column.name])
            values = {column.name: _said(kind, column, row, raw[column.name]) for column in columns}
            titles = {column.name: column.title for column in columns}
            gist = [values[name] for name in declaration.gist if values.get(name)]
            empty = {title for name, title in titles.items() if not values[name]}
            ended = _ended(declaration, raw)
            for name, envelope in ended.items():  # what ended together says so once
                if envelope:
                    titles[name] = self._schedule[envelope].title
                else:
                    values[name] = ""
            # Within an address the post's code of a state stands, as on an envelope.
            as_posted = {one.name: said.value(raw[one.name]) for one in columns if one.beside}
            shown = list(_with_blocks(declaration, titles, values, as_posted, but=ended))
        else:
            shown = [(title, text) for title, value in told if (text := said.value(value))]
            gist = [text for _, text in shown[:2]]
            empty = set()
        return Shown(
            label=kind.label,
            title=verdicts[0].title if verdicts else _title(kind, row),
            gist=gist,
            values=shown,
            kept=[
                self._keeping(one, data, self._schedule[one.envelope].title)
                for one in verdicts
                if (data := contents.there(kind.label, one.data, empty))
            ],
            goes_with="" if verdicts or declaration.inside else _goes_with(declaration, row),
            ended_by="" if verdicts else declaration.ended_by,
            inside=inside,
        )

    def _keeping(self, one: Verdict, data: Sequence[str], holds: str) -> Keeping:
        return Keeping(
            holds=holds,
            data=", ".join(data),
            becomes=due.becomes(one, is_armed=self.is_armed),
            why=_("Nothing keeps it any longer.") if one.is_erased else one.sentence,
            ground="" if one.is_erased else jurisdiction.law(one.ground, one.authority),
            is_due=one.is_erased,
        )


@dataclass
class _Branch:
    kind: Kind
    rows: list[Any]
    inside: list[_Within]


@dataclass
class _Within:
    link: str
    branch: _Branch
    counts: Counter[Any]  # by outer record, those that are not shown too


def _some_of_each(found: Any, link: str, most: int) -> Any:
    """Return the first rows within each outer record, each with how many there are."""
    return (
        found.annotate(
            place_within=Window(RowNumber(), partition_by=F(link), order_by="pk"),
            of_within=Window(Count("pk"), partition_by=F(link)),
        )
        .filter(place_within__lte=most)
        .order_by("pk")
    )


def _first_of_each(rows: list[Any], link: str, most: int) -> list[Any]:
    seen: Counter[Any] = Counter()
    kept = []
    for row in rows:
        outer = getattr(row, f"{link}_id")
        seen[outer] += 1
        if seen[outer] <= most:
            kept.append(row)
    return kept


def _said(kind: Kind, column: Column, row: Any, value: Any) -> str:
    """Return one value of a row as people read it, "" for nothing; what cannot be read says why. A switch that is off
    says nothing, unless its datum has words for that."""
    if column.words is not None and value not in (None, "") and not isinstance(value, vault.Unreadable):
        return column.words(value, contents.read(row, column.beside)) if column.beside else column.words(value)
    if value is False:
        return ""
    return said.money(value, _currency(kind, row)) if isinstance(value, Decimal) else said.value(value)


def _ended(declaration: Declaration, raw: Mapping[str, Any]) -> dict[str, str]:
    """Return which fields were erased: the first of each envelope with its name, the others with ""."""
    found: dict[str, str] = {}
    for name, value in raw.items():
        if isinstance(value, vault.Erased):
            envelope = declaration.envelope_of(name) or "" if name in declaration.data else ""
            found[name] = "" if envelope in found.values() else envelope
    return found


def _with_blocks(
    declaration: Declaration,
    titles: Mapping[str, str],
    values: Mapping[str, str],
    within: Mapping[str, str],
    *,
    but: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield titles and values, those that are read as one, as an address is, as one where the first of them stood;
    `within` has what is said in another way within such a block.

    One of which a part ended, `but`, is no whole any more: what is left of it stands under its own title, so that an
    address is not told twice, once as erased and once as a country.
    """
    whole = {
        title: lines for title, lines in declaration.blocks.items() if not any(but.keys() & set(one) for one in lines)
    }
    block_of = {name: title for title, lines in whole.items() for line in lines for name in line}
    told: set[str] = set()
    for name, value in values.items():
        title = block_of.get(name, "")
        if not title:
            if value:
                yield titles[name], value
        elif title not in told:
            told.add(title)
            if text := _block(whole[title], {**values, **within}):
                yield title, text


def _block(lines: Iterable[tuple[str, ...]], values: Mapping[str, str]) -> str:
    """Return what stands in these fields, line by line, each text once: what was erased together says so once."""
    said_before: set[str] = set()
    told = []
    for line in lines:
        texts = dict.fromkeys(values[name] for name in line if values.get(name) and values[name] not in said_before)
        said_before.update(texts)
        told.append(" ".join(texts))
    return "\n".join(filter(None, told))


def _currency(kind: Kind, row: Any) -> str:
    outer = getattr(row, kind.declaration.inside or "pk", None)
    return str(getattr(row, "currency", None) or getattr(outer, "currency", None) or "USD")


def _is_plain_link(kind: Kind, column: Column) -> bool:
    """Whether a column leads to the record that this one is shown with, or to the person: said by where it stands."""
    if not column.number:
        return False
    if column.name in (kind.declaration.inside, _belongs_to(kind.declaration)):
        return True
    other = datamap.for_model(datamap.field_named(kind.declaration.model, column.name).related_model)
    return other.life is Life.YOU


def _is_inside(kind: Kind, kinds: Sequence[Kind]) -> bool:
    return any(_stands_in(kind, outer) for outer in kinds)


def _stands_in(kind: Kind, outer: Kind) -> bool:
    link = kind.declaration.inside
    return bool(link) and datamap.field_named(kind.declaration.model, link).related_model is outer.declaration.model


def _title(kind: Kind, row: Any) -> str:
    reference = kind.declaration.reference
    return f"{kind.title} {getattr(row, reference)}" if reference and getattr(row, reference) else kind.title


def _belongs_to(declaration: Declaration) -> str:
    """Return the link to the record that such a row goes with when no reason of its own keeps it; "" for none."""
    hop, more, _ = (declaration.subject_path or "").partition("__")
    return declaration.follows or (hop if more and not declaration.ended_by else "")


def _goes_with(declaration: Declaration, row: Any) -> str:
    """Return which record the row goes with, within a sentence: "order SO-2017-000002"; "" for none."""
    hop = _belongs_to(declaration)
    if not hop:
        return ""
    other: Declaration = datamap.for_model(cast("Any", datamap.field_named(declaration.model, hop).related_model))
    reference = getattr(getattr(row, hop, None), other.reference, "") if other.reference else ""
    return f"{other.called(1)} {reference}".strip()
