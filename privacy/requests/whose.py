"""Whose records are: as rows and key store agree. What they do not agree about is left for somebody to look at.

What must never happen: data of many people ends in one night as if they were one person's; a record ends as somebody
else's, or stays when its person is told that all has gone, or ends before it was answered for, because its row was hung
on another person, or on nobody, for a night; a row that was put in keeps or ends anything. Whose a key is, is bound to
it: who can write to the main database alone cannot change it. So whatever reads rows of a person to decide, to end, to
give or to leave something asks here.

A row leads to nobody by itself only where the record that led to its person has ended, as the order of a payment does,
or where the person is forgotten. A row without any key was written by the site where the audit tells of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast
from uuid import UUID

from django.db import models

from privacy import audit, datamap, vault
from privacy.datamap import Declaration, Flagged
from privacy.facts import Facts
from privacy.requests import bound
from privacy.subjects import Subject
from privacy.vault.keystore import pseudonyms

Record = tuple[str, UUID]


def look(found: Collection[Facts]) -> tuple[dict[UUID, UUID], set[UUID]]:
    """Return as whose each record counts (its person, or itself where it is nobody's), and apart from these the records
    that by the key store are another's than their rows say. One query of the key store; a few more where rows lead to
    nobody.

    What has no living key is whose its row says: nothing of it can be opened.
    """
    owners = vault.keys.owners([facts.record_id for facts in found])
    people = {record: of for record, (kind, of) in owners.items() if kind == "subject" and of is not None}
    unlinked = [facts for facts in found if facts.subject_id is None and facts.record_id in people]
    innocent = let_go({(facts.label, facts.record_id): people[facts.record_id] for facts in unlinked})
    counts_as: dict[UUID, UUID] = {}
    strange: set[UUID] = set()
    for facts in found:
        record, said = facts.record_id, facts.subject_id
        person = people.get(record)
        if said is None:
            is_theirs = person is None or (facts.label, record) in innocent
        else:
            is_theirs = record not in owners or _is_as_said(said, person)
        if is_theirs:
            counts_as[record] = person or said or record
        else:
            strange.add(record)
    return counts_as, strange


def require(person: UUID, known: Collection[UUID]) -> None:
    """Raise bound.NotOurs unless these records are the person's by the key store, and all that are.

    Whoever tells the person that all of theirs has gone, or is in a copy, asks before. Not missed are records whose
    rows lead to nobody by themselves, and keys that a crash has left without a row. Two queries of the key store; more
    where it knows of other records of theirs.
    """
    sealed = vault.keys.still_sealed(("subject", person))
    bound.require_owners(dict.fromkeys(set(known).difference(record for _, record in sealed), ("subject", person)))
    if missing(person, [one for one in sealed if one[1] not in known]):
        raise bound.NotOurs


def records_of(declaration: Declaration, person: UUID) -> set[UUID]:
    """Return the records of one kind that are a person's, by their rows as by the key store, without those that have
    ended. Raises bound.NotOurs where the two do not agree. Two queries; more where they differ."""
    by_row = set(declaration.rows_of(person).values_list("pk", flat=True))
    by_key = vault.keys.owned(declaration.label, ("subject", person))
    if missing(person, [(declaration.label, record) for record in by_key - by_row]):
        raise bound.NotOurs
    others = by_row - by_key
    # What an earlier removal emptied, and something that was kept still points to: nothing of it can be read.
    emptied = vault.keys.ever(others).difference(vault.keys.owners(others)) if others else set()
    if unwitnessed([Flagged(person, declaration.label, record) for record in others - emptied]):
        raise bound.NotOurs
    return by_row - emptied


def missing(person: UUID, sealed: Collection[Record]) -> list[Record]:
    """Return those of these records, whose living keys are the person's, to which no row of theirs leads, but for those
    whose rows lead to nobody by themselves, and for what a crash has left without a row."""
    left = set(sealed)
    there: set[Record] = set()
    for label in sorted({label for label, _ in sealed}):
        declaration = _declared(label)
        if declaration is None:
            left = {one for one in left if one[0] != label}  # of an app that is no longer here: they stand nowhere
            continue
        ids = [record for of, record in sealed if of == label]
        rows: models.QuerySet[Any] = declaration.rows_of(person).filter(pk__in=ids)
        left -= {(label, pk) for pk in rows.values_list("pk", flat=True)}
        if any(one[0] == label for one in left):
            every: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(pk__in=ids)
            there |= {(label, pk) for pk in every.values_list("pk", flat=True)}
    if not left:
        return []
    left -= let_go(dict.fromkeys(left & there, person))
    away = left - there
    orphans = vault.keys.may_be_orphans([record for _, record in away]) if away else set()
    return sorted(one for one in left if one[1] not in orphans)


def let_go(sealed: Mapping[Record, UUID]) -> set[Record]:
    """Return those of these records, each with whose its living key is, whose rows lead to nobody by themselves: the
    record that led to that person has no key any more, and the audit tells that it was theirs; or the person is
    forgotten. No query where there are none."""
    if not sealed:
        return set()
    names = pseudonyms.of_owners(set(sealed.values()))
    on_file = set(Subject.objects.filter(pk__in=set(sealed.values())).values_list("pk", flat=True))
    # Their own rows can be taken away for a minute; the names that the audit has for them cannot.
    unlinked = {one for label in {label for label, _ in sealed} for one in _unlinked(label, sealed)}
    found = {one for one in unlinked if sealed[one] not in on_file and sealed[one] not in names}
    led = _led(unlinked - found)
    living = vault.keys.owners([parent for _, parent in led.values()]) if led else {}
    told = audit.people_in(set(led.values())) if led else {}
    return found | {
        one
        for one, parent in led.items()
        if parent[1] not in living and told.get(parent, set()) & names.get(sealed[one], set())
    }


def _unlinked(label: str, sealed: Iterable[Record]) -> set[Record]:
    declaration = _declared(label)
    if declaration is None or declaration.subject_path is None:
        return set()
    rows: models.QuerySet[Any] = models.QuerySet(declaration.model)
    rows = rows.filter(**{declaration.subject_path: None}, pk__in=[record for of, record in sealed if of == label])
    return {(label, pk) for pk in rows.values_list("pk", flat=True)}


def _led(unlinked: Iterable[Record]) -> dict[Record, Record]:
    """Return the record through which each of these rows led to its person, where that one loses its own link when it
    ends (an order, of its payments); not where the row itself names the person, or the record goes with its end."""
    found: dict[Record, Record] = {}
    by_label: dict[str, list[UUID]] = {}
    for label, record in unlinked:
        by_label.setdefault(label, []).append(record)
    for label, ids in by_label.items():
        declaration = datamap.for_label(label)
        link, *rest = (declaration.subject_path or "").split("__")
        if len(rest) < 2:
            continue
        one = declaration.model._meta.get_field(link)
        parent = datamap.for_model(cast("type[models.Model]", one.related_model))
        if parent.end == "blank" and rest[0] in parent.links:
            rows: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(pk__in=ids)
            pairs = rows.exclude(**{link: None}).values_list("pk", f"{link}_id")
            found |= {(label, pk): (parent.label, of) for pk, of in pairs}
    return found


def unwitnessed(found: Iterable[Flagged]) -> list[Flagged]:
    """Return those of these rows that are not of the persons they lead to, by the key store; of a row that never had a
    key it is asked whether the audit tells of it. One query of the key store; two more where rows have no key."""
    rows = list(found)
    owners = vault.keys.owners([one.record for one in rows]) if rows else {}
    bare = [(one.label, one.record) for one in rows if one.record not in owners]
    ended = vault.keys.ever([record for _, record in bare]) if bare else set()
    told = audit.are_told(bare) if bare else set()
    return [
        one
        for one in rows
        if not (
            _is_as_said(one.subject, owners[one.record][1])
            if one.record in owners
            else one.record not in ended and (one.label, one.record) in told
        )
    ]


def require_witnessed(people: Collection[UUID]) -> None:
    """Raise bound.NotOurs where a row that keeps something of these people is not theirs, or was never written by the
    site (P10)."""
    if people and unwitnessed(datamap.flagging(people)):
        raise bound.NotOurs


def _declared(label: str) -> Declaration | None:
    try:
        return datamap.for_label(label)
    except KeyError:
        return None


def _is_as_said(said: UUID, person: UUID | None) -> bool:
    # When the last link to a person is cut the key store is committed first: a kill leaves the row with the person.
    return person in (said, bound.nobody_of(said))
