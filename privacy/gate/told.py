"""The access log in plain words, for the person it is about: who, what for, which of the records (P40, Art. 15(1)).

Roles, not people: a colleague is a third person (C-579/21). Numbers that people know, never ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from privacy import actor, datamap
from privacy.gate.log import AccessEntry, detail, names_of

MOST_NAMED = 10

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
    "export": "to make the copy that you asked for",
    "erasure": "to remove data on your request",
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


COLUMNS = ("When", "Who", "What for", "What was opened")


def purpose(code: str, reason: str = "") -> str:
    """Return what an opening was for; the reason stands behind it."""
    told = PURPOSES.get(code, code)
    return f"{told}: {reason}" if reason else told


def tell(entries: Iterable[AccessEntry], subject: UUID) -> list[Told]:
    """Return entries about `subject` in words: "Order 10023: ship-to name, street"; one query for each kind of record."""
    entries = list(entries)
    details = [detail(entry) for entry in entries]
    wanted: dict[str, set[UUID]] = {}
    for records, _ in details:
        for name, ids in records.items():
            wanted.setdefault(name.partition("/")[0], set()).update(ids)
    called = {label: _called(label, ids, subject) for label, ids in wanted.items()}
    return [
        Told(
            at=entry.at,
            who=actor.in_words(entry.actor_kind, entry.role),
            purpose=purpose(entry.purpose, f"{entry.reason} {reference}".strip()),
            opened=[
                _line(name, count, records.get(name, ()), called.get(name.partition("/")[0], {}))
                for name, count in entry.envelopes.items()
            ],
        )
        for entry, (records, reference) in zip(entries, details, strict=True)
    ]


def rows(entries: Sequence[AccessEntry]) -> list[dict[str, Any]]:
    """Return entries of one person as lines of the copy, by the titles in COLUMNS; none under a planted name."""
    subject = next((one.whose.subject_id for one in entries if one.whose is not None), None)
    if subject is None:
        return []
    names = {name.pk for name in names_of([subject])}
    told = tell([one for one in entries if one.whose_id in names], subject)
    return [dict(zip(COLUMNS, (one.at, one.who, one.purpose, "; ".join(one.opened)), strict=True)) for one in told]


def _called(label: str, ids: set[UUID], subject: UUID) -> dict[UUID, str]:
    """Return the numbers by which people call those of the records that are still this person's."""
    try:
        declaration = datamap.for_label(label)
    except KeyError:  # a kind of record of an earlier release
        return {}
    if declaration.reference is None or declaration.subject_path is None:
        return {}
    found = declaration.rows_of(subject).filter(pk__in=ids).order_by().select_related(None)
    return {pk: str(number) for pk, number in found.values_list("pk", declaration.reference) if number}


def _line(name: str, count: int, ids: Sequence[UUID], called: Mapping[UUID, str]) -> str:
    label, _, envelope = name.partition("/")
    try:
        declaration = datamap.for_label(label)
        data = ", ".join(declaration.data[one].title.lower() for one in declaration.envelopes()[envelope])
        title = declaration.title
    except KeyError:
        title, data = name, ""
    numbers = sorted(called[one] for one in ids if one in called)
    told = " ".join(filter(None, [title, ", ".join(numbers[:MOST_NAMED])]))
    if rest := count - len(numbers[:MOST_NAMED]):
        told += f" and {rest} more" if numbers else f" ({rest} records)" if rest > 1 else ""
    return f"{told}: {data}" if data else told
