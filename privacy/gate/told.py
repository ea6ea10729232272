"""The access log in plain words, for the person it is about: who, what for, which of the records (P40, Art. 15(1)).

Roles, not people: a colleague is a third person (C-579/21). Numbers that people know, never ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from privacy import actor, datamap
from privacy.calendar import company_day
from privacy.gate import purposes
from privacy.gate.log import AccessEntry, detail, names_of

MOST_NAMED = 10

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
    """One opening in words; `opened` has one line for each kind of data."""

    at: datetime
    who: str
    purpose: str
    opened: list[str]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What one kind of actor opened for one purpose on one day: how often, when first and last, and what, in words."""

    day: date
    who: str
    purpose: str
    count: int
    first: datetime
    last: datetime
    opened: list[str]

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
    def records(self) -> str:
        """What was opened in short: kinds and numbers of the records, without the names of the data."""
        return "; ".join(dict.fromkeys(line.partition(": ")[0] for line in self.opened))

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
    """Return entries about `subject` in words: "Order 10023: ship-to name, street"; one query for each kind of
    record."""
    found, called = _read(entries, subject)
    return [
        Told(entry.at, *_occasion(entry, reference), _opened([(entry.envelopes, records)], called))
        for entry, records, reference in found
    ]


def by_day(entries: Iterable[AccessEntry], subject: UUID) -> list[Occasion]:
    """Return entries about `subject`, newest first, by day, role and occasion; one query for each kind of record."""
    found, called = _read(entries, subject)
    groups: dict[tuple[date, str, str], list[_Read]] = {}
    for one in found:
        groups.setdefault((company_day(one.entry.at), *_occasion(one.entry, one.reference)), []).append(one)
    return [
        Occasion(
            day=day,
            who=who,
            purpose=for_what,
            count=len(group),
            first=min(one.entry.at for one in group),
            last=max(one.entry.at for one in group),
            opened=_opened([(one.entry.envelopes, one.records) for one in group], called),
        )
        for (day, who, for_what), group in groups.items()
    ]


class _Read(NamedTuple):
    entry: AccessEntry
    records: Mapping[str, Sequence[UUID]]  # by envelope
    reference: str


def _read(entries: Iterable[AccessEntry], subject: UUID) -> tuple[list[_Read], dict[str, dict[UUID, str]]]:
    """Return the entries with the records that they tell of, and by label what people call those of them that are
    theirs."""
    found = [_Read(entry, *detail(entry)) for entry in entries]
    wanted: dict[str, set[UUID]] = {}
    for one in found:
        for name, ids in one.records.items():
            wanted.setdefault(name.partition("/")[0], set()).update(ids)
    return found, {label: _called(label, ids, subject) for label, ids in wanted.items()}


def _occasion(entry: AccessEntry, reference: str) -> tuple[str, str]:
    return (
        actor.in_words(entry.actor_kind, entry.role),
        purpose(entry.purpose, f"{entry.reason} {reference}".strip()),
    )


def _opened(
    several: Iterable[tuple[Mapping[str, int], Mapping[str, Sequence[UUID]]]], called: Mapping[str, Mapping[UUID, str]]
) -> list[str]:
    """Return what several entries together tell was opened, a line for each kind of data; a record opened twice is
    one."""
    ids: dict[str, set[UUID]] = {}
    counts: dict[str, int] = {}
    for envelopes, records in several:
        for name, count in envelopes.items():
            ids.setdefault(name, set()).update(records.get(name, ()))
            counts[name] = max(counts.get(name, 0), count)
    return [
        _line(name, max(count, len(ids[name])), sorted(ids[name]), called.get(name.partition("/")[0], {}))
        for name, count in counts.items()
    ]


def rows(entries: Sequence[AccessEntry]) -> list[dict[str, Any]]:
    """Return a line of the copy for each of these entries of one person, by the titles in COLUMNS.

    Of an entry under a planted name nothing is told but that it is none of ours: it cannot be deleted, and must keep
    nobody from the rest.
    """
    subject = next((one.whose.subject_id for one in entries if one.whose is not None), None)
    names = {name.id for name in names_of([subject])} if subject is not None else set()
    ours = [one for one in entries if subject is not None and one.whose_id in names]
    told = {one.pk: line for one, line in zip(ours, tell(ours, subject) if subject else (), strict=True)}
    not_ours = _("This line was not written by our site: we do not know whether anybody looked.")
    lines = (
        (line.at, line.who, line.purpose, "; ".join(line.opened))
        if (line := told.get(one.pk))
        else (one.at, "", "", not_ours)
        for one in entries
    )
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines]


def _called(label: str, ids: set[UUID], subject: UUID) -> dict[UUID, str]:
    """Return the numbers by which people call those of the records that are still this person's."""
    try:
        declaration = datamap.for_label(label)
    except KeyError:  # a kind of record of an earlier release
        return {}
    number = declaration.reference
    if number is None and declaration.inside:
        outer = datamap.for_model(declaration.model._meta.get_field(declaration.inside).related_model)  # type: ignore[arg-type]
        number = f"{declaration.inside}__{outer.reference}" if outer.reference else None
    if number is None or declaration.subject_path is None:
        return {}
    found = declaration.rows_of(subject).filter(pk__in=ids).order_by().select_related(None)
    return {pk: str(told) for pk, told in found.values_list("pk", number) if told}


def _line(name: str, count: int, ids: Sequence[UUID], called: Mapping[UUID, str]) -> str:
    label, _of, envelope = name.partition("/")
    try:
        declaration = datamap.for_label(label)
    except KeyError:  # a kind of record of an earlier release
        return "data of an earlier kind" if count == 1 else f"data of an earlier kind ({count} records)"
    shown = (declaration.data[one] for one in declaration.envelopes().get(envelope, ()))
    data = ", ".join(one.title.lower() for one in shown if one.export != "no")  # the rest no page shows anybody
    numbers = sorted({called[one] for one in ids if one in called})
    told = " ".join(filter(None, [declaration.title, ", ".join(numbers[:MOST_NAMED])]))
    if rest := count - len(numbers[:MOST_NAMED]):
        told += f" and {rest} more" if numbers else f" ({rest} records)" if rest > 1 else ""
    return f"{told}: {data}" if data else told
