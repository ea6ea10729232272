"""The access log in plain words, for the person it is about: who, what for, which of the records (P40, Art. 15(1)).

Roles, not people: a colleague is a third person (C-579/21). Numbers that people know, never ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, islice
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from privacy import actor, datamap, vault
from privacy.calendar import company_day
from privacy.datamap import Declaration
from privacy.gate import purposes
from privacy.gate.log import AccessEntry, detail, is_ours, names_of
from privacy.work import broken

MOST_NAMED = 10
CHUNK = 2_000
MOST_LOOKED_AT = 200  # records of one kind, to see what stands in them

#: What stands in a record, by the category of the data map: a line names these, not ten fields.
PARTS: dict[str, str] = {
    "name": "name",
    "contact": "ways to reach you",
    "address": "address",
    "identifier": "numbers that stand for you",
    "account": "account",
    "login": "what you sign in with",
    "payment": "card data",
    "text": "text",
    "letter": "text of the letter",
    "request": "plan, outcome and notes",
    "return": "what has to be checked",
}

#: What a right works for has its words in the table of rights (`purposes`).
PURPOSES: dict[str, str] = {
    "own data": "to show it to you",
    "admin": "daily work",
    "work": "daily work",
    "own request": "your request",
    "one-time link": "your request, by the link sent to you",
    "outcome by code": "the outcome, by reference and code",
    "web": "to answer a page",
    "login": "to sign you in",
    "signup": "to create your account",
    "letter": "to write to you",
    "import": "to take in earlier orders",
    "sweep": "to end what has outlived its reason",
    "demo": "to prepare demonstration data",
    "index": "to keep it searchable",
    "claim": "to connect earlier records with your account",
    "plan": "to plan what a request will do",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One opening in words; `opened` has one line for each kind of record and what of it was opened."""

    at: datetime
    who: str
    purpose: str
    opened: list[str]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What one kind of actor opened for one purpose on one day: how often, when first and last, and what, in words.

    `records` names what was opened in short: kinds and numbers of the records, without the names of the data.
    """

    day: date
    who: str
    purpose: str
    count: int
    first: datetime
    last: datetime
    opened: list[str]
    records: str

    @property
    def often(self) -> str:
        """How often, and between which hours of the day: "once, 10:02", "3 times, 10:02 to 16:40"."""
        first, last = (date_format(timezone.localtime(at), "H:i") for at in (self.first, self.last))
        if self.count == 1:
            return _("once, %(first)s") % {"first": first}
        if first == last:
            return _("%(count)d times, %(first)s") % {"count": self.count, "first": first}
        return _("%(count)d times, %(first)s to %(last)s") % {"count": self.count, "first": first, "last": last}

    @property
    def lines(self) -> str:
        """What was opened, a line for each kind of data."""
        return "\n".join(self.opened)


COLUMNS = ("When", "Who", "What for", "What was opened")


def purpose(code: str, reason: str = "") -> str:
    """Return what an opening was for; the reason stands behind it."""
    told = PURPOSES.get(code) or purposes.in_words(code) or code
    return f"{told}: {reason}" if reason else told


def tell(entries: Iterable[AccessEntry], subject: UUID) -> list[Told]:
    """Return entries about `subject` in words: "Order 10023: name, address"; one query for each kind of record."""
    found, known = _read(entries, subject)
    return [
        Told(entry.at, *_occasion(entry, reference), _lines(_opened([(entry.envelopes, records)]), known))
        for entry, records, reference in found
    ]


def by_day(entries: Iterable[AccessEntry], subject: UUID) -> list[Occasion]:
    """Return entries about `subject`, newest first, by day, role and occasion; one query for each kind of record.

    One that this program did not write is left out: it stands under a true name, and says what somebody wanted.
    """
    found, known = _read(filter(is_ours, entries), subject)
    groups: dict[tuple[date, str, str], list[_Read]] = {}
    for one in found:
        groups.setdefault((company_day(one.entry.at), *_occasion(one.entry, one.reference)), []).append(one)
    occasions = []
    for (day, who, for_what), group in groups.items():
        opened = _opened((one.entry.envelopes, one.records) for one in group)
        occasions.append(
            Occasion(
                day=day,
                who=who,
                purpose=for_what,
                count=len(group),
                first=min(one.entry.at for one in group),
                last=max(one.entry.at for one in group),
                opened=_lines(opened, known),
                records=_records(opened, known),
            )
        )
    return occasions


class _Read(NamedTuple):
    entry: AccessEntry
    records: Mapping[str, Sequence[UUID]]  # by envelope
    reference: str


class _Known(NamedTuple):
    """Of the records of one kind that are still the person's: what people call them, in the order of their numbers or
    days, and what stands in each envelope of them, by category."""

    called: Mapping[UUID, str]
    parts: Mapping[tuple[UUID, str], Collection[str]]


NOTHING_KNOWN = _Known({}, {})


def _read(entries: Iterable[AccessEntry], subject: UUID) -> tuple[list[_Read], dict[str, _Known]]:
    """Return the entries with the records that they tell of, and by label what is known of those of them that are
    theirs."""
    found = [_Read(entry, *detail(entry)) for entry in entries]
    wanted: dict[str, set[UUID]] = {}
    for one in found:
        for name, ids in one.records.items():
            wanted.setdefault(name.partition("/")[0], set()).update(ids)
    return found, {label: _known(label, ids, subject) for label, ids in wanted.items()}


def _occasion(entry: AccessEntry, reference: str) -> tuple[str, str]:
    return (
        actor.in_words(entry.actor_kind, entry.role),
        purpose(entry.purpose, f"{entry.reason} {reference}".strip()),
    )


class _Opened(NamedTuple):
    """Of which records of one kind an envelope was opened, and of how many: an entry may name fewer than it counts."""

    ids: frozenset[UUID]
    many: int


def _opened(
    several: Iterable[tuple[Mapping[str, int], Mapping[str, Sequence[UUID]]]],
) -> dict[str, dict[str, _Opened]]:
    """Return what several entries together tell was opened, by label and envelope; a record opened twice is one."""
    found: dict[str, dict[str, _Opened]] = {}
    for envelopes, records in several:
        for name, count in envelopes.items():
            label, _of, envelope = name.partition("/")
            of_label = found.setdefault(label, {})
            before = of_label.get(envelope, _Opened(frozenset(), 0))
            ids = before.ids | frozenset(records.get(name, ()))
            of_label[envelope] = _Opened(ids, max(before.many, count, len(ids)))
    return found


def _lines(opened: Mapping[str, Mapping[str, _Opened]], known: Mapping[str, _Known]) -> list[str]:
    """Return a line for all envelopes that were opened of the same records: "Order 10023: name, address". One that says
    nothing which another line of its kind does not say is left out."""
    lines = []
    for label, envelopes in opened.items():
        of_kind = known.get(label, NOTHING_KNOWN)
        parts: dict[_Opened, set[str]] = {}
        for envelope, one in envelopes.items():
            found = (category for pk in one.ids for category in of_kind.parts.get((pk, envelope), ()))
            parts.setdefault(one, set()).update(found)
        for one, there in parts.items():
            if not there and any(one.ids <= other.ids and one.many <= other.many for other in parts if other != one):
                continue
            head = _head(label, one, of_kind)
            data = ", ".join(words for category, words in PARTS.items() if category in there)
            lines.append(f"{head}: {data}" if data else head)
    return lines


def _records(opened: Mapping[str, Mapping[str, _Opened]], known: Mapping[str, _Known]) -> str:
    """Return of which records something was opened, each kind once."""
    heads = []
    for label, envelopes in opened.items():
        ids = frozenset(pk for one in envelopes.values() for pk in one.ids)
        all_of_kind = _Opened(ids, max(len(ids), *(one.many for one in envelopes.values())))
        heads.append(_head(label, all_of_kind, known.get(label, NOTHING_KNOWN)))
    return "; ".join(heads)


def _head(label: str, one: _Opened, known: _Known) -> str:
    """Return what people call records of one kind: "Order 10023, 10024", "Letter of 3 March 2026 (2) and 3 more"."""
    try:
        title = datamap.for_label(label).title
    except KeyError:  # a kind of record of an earlier release
        return "data of an earlier kind" if one.many == 1 else f"data of an earlier kind ({one.many} records)"
    names = Counter(name for pk, name in known.called.items() if pk in one.ids)
    shown = dict(islice(names.items(), MOST_NAMED))
    named = ", ".join(f"{name} ({times})" if times > 1 else name for name, times in shown.items())
    told = " ".join(filter(None, [title, named]))
    if rest := one.many - sum(shown.values()):
        told += f" and {rest} more" if names else f" ({rest} records)" if rest > 1 else ""
    return told


NOT_OURS = "This line was not written by our site: we do not know whether anybody looked."
DAYS = ("Day", "Who", "What for", "How often", "What was opened")


def by_days(entries: QuerySet[AccessEntry]) -> Iterator[dict[str, Any]]:
    """Yield the entries of one person as lines of the copy by the titles in DAYS, newest first, as the page has them, a
    day at a time. Of those under a planted name one line says that they are none of ours."""
    newest_first = entries.order_by("-at", "-id").iterator(chunk_size=CHUNK)
    for day, of_day in groupby(newest_first, key=lambda one: company_day(one.at)):
        some = list(of_day)
        subject, names = _whose(some)
        ours = [one for one in some if one.whose_id in names and is_ours(one)]
        for one in by_day(ours, subject) if subject is not None else ():
            yield dict(zip(DAYS, (one.day, one.who, one.purpose, one.often, one.lines), strict=True))
        if len(ours) < len(some):
            yield dict(zip(DAYS, (day, "", "", "", _(NOT_OURS)), strict=True))


def _whose(entries: Sequence[AccessEntry]) -> tuple[UUID | None, set[UUID]]:
    """Return the person whom the entries are about, and the names of theirs that this program wrote."""
    subject = next((one.whose.subject_id for one in entries if one.whose is not None), None)
    return subject, {name.id for name in names_of([subject])} if subject is not None else set()


def rows(entries: Sequence[AccessEntry]) -> list[dict[str, Any]]:
    """Return a line of the copy for each of these entries of one person, by the titles in COLUMNS.

    Of a planted entry, or one under a planted name, nothing is told but that it is none of ours: it cannot be deleted,
    and must keep nobody from the rest.
    """
    subject, names = _whose(entries)
    ours = [one for one in entries if subject is not None and one.whose_id in names and is_ours(one)]
    told = {one.pk: line for one, line in zip(ours, tell(ours, subject) if subject else (), strict=True)}
    lines = (
        (line.at, line.who, line.purpose, "; ".join(line.opened))
        if (line := told.get(one.pk))
        else (one.at, "", "", _(NOT_OURS))
        for one in entries
    )
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines]


def _known(label: str, ids: set[UUID], subject: UUID) -> _Known:
    try:
        declaration = datamap.for_label(label)
    except KeyError:  # a kind of record of an earlier release
        return NOTHING_KNOWN
    number = _number(declaration)
    called = _called(declaration, number, ids, subject) if number else {}
    if not issubclass(declaration.model, vault.SealedModel):
        return _Known(called, {})
    theirs = declaration.rows_of(subject).filter(pk__in=sorted(ids)[-MOST_LOOKED_AT:])
    rows = list(broken.rows(theirs, step="told"))
    return _Known(called if number else _of_days(declaration, rows), _parts(declaration, rows))


def _parts(declaration: Declaration, rows: Iterable[Any]) -> dict[tuple[UUID, str], list[str]]:
    """Return of some records of this person what stands in each envelope, by category.

    What no page shows, as a password or a link's key, is not among it; nor is a field that holds nothing. The records
    are opened past the gate to see that; no value leaves this function.
    """
    found: dict[tuple[UUID, str], list[str]] = {}
    with vault.internal():
        for row in rows:
            for envelope, names in declaration.envelopes().items():
                data = [(name, declaration.data[name]) for name in names]
                there = (one.category for name, one in data if one.export != "no" and _is_there(row, name))
                found[row.pk, envelope] = [category for category in dict.fromkeys(there) if category in PARTS]
    return found


def _is_there(row: Any, name: str) -> bool:
    one = row._meta.get_field(name)
    if one.concrete:  # it shares the end of an envelope, and is not opened with it
        return False
    value = getattr(row, name)
    return not isinstance(value, vault.Unreadable) and value not in (None, "", [], {})


def _number(declaration: Declaration) -> str:
    """Return the path to the number by which people call such a record, or the record that it stands in; "" for
    none."""
    if declaration.reference is not None or not declaration.inside:
        return declaration.reference or ""
    outer = datamap.for_model(declaration.model._meta.get_field(declaration.inside).related_model)  # type: ignore[arg-type]
    return f"{declaration.inside}__{outer.reference}" if outer.reference else ""


def _called(declaration: Declaration, number: str, ids: set[UUID], subject: UUID) -> dict[UUID, str]:
    """Return the numbers by which people call those of the records that are still this person's."""
    found = declaration.rows_of(subject).filter(pk__in=ids).order_by().select_related(None)
    numbers = sorted((str(told), pk) for pk, told in found.values_list("pk", number) if told)
    return {pk: told for told, pk in numbers}


def _of_days(declaration: Declaration, rows: Iterable[Any]) -> dict[UUID, str]:
    """Return the days by which people tell records without a number apart: "of 3 March 2026"."""
    name = declaration.gist[0] if declaration.gist else ""
    one = datamap.field_named(declaration.model, name) if name else None
    if not isinstance(one, models.DateField):  # a moment is one, too
        return {}
    days = []
    for row in rows:
        try:
            at = getattr(row, name)
        except ValueError:  # left out of the row by `broken.rows`, because it cannot be read
            continue
        days.append((company_day(at) if isinstance(at, datetime) else at, row.pk))
    return {pk: _("of %s") % date_format(day, "j F Y") for day, pk in sorted(days)}
