"""Whose records are: as rows and key store agree. What they do not agree about is left for somebody to look at.

What must never happen: data of many people ends in one night as if they were one person's; a record ends as somebody
else's, or stays when its person is told that all has gone, or ends before it was answered for, because its row was hung
on another person, or on nobody, for a night; a row that was put in keeps or ends anything. Whose a key is, is bound to
it: who can write to the main database alone cannot change it. So whatever reads rows of a person to decide, to end, to
give or to leave something asks here.

A row leads to nobody by itself only where the record that led to its person has ended, as the order of a payment does,
or where the person is forgotten. A row without any key is of whom it names where the audit tells of it as theirs.
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

Record = tuple[str, UUID]  # label and number
Pair = tuple[UUID, str]  # number and envelope


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


class NotYet(Exception):
    """A key of the person's has no row: a write that was rolled back has left it, and it ends within hours
    (`collect`); or the row is away, and comes back. What would leave it out is done after that."""


def require(person: UUID, known: Collection[Pair]) -> None:
    """Raise bound.NotOurs unless these envelopes of records are the person's by the key store, and all that are; NotYet
    where others may have been left by a write that was rolled back.

    Whoever tells the person that all of theirs has gone, or is in a copy, asks before: a column that was emptied for a
    moment hides what a row that was taken away does. Not missed are records whose rows lead to nobody by themselves.
    Two queries of the key store; more where it knows of other records of theirs.
    """
    sealed = vault.keys.sealed_pairs(("subject", person))
    others = {record for record, _ in known}.difference(record for _, record, _ in sealed)
    bound.require_owners(dict.fromkeys(others, ("subject", person)))
    left = {(label, record) for label, record, envelope in sealed if (record, envelope) not in known}
    lost = _lost(person, left)
    going = vault.deleted({record for _, record in lost}) if lost else set()  # their keys end with this transaction
    if lost := {one: is_there for one, is_there in lost.items() if one[1] not in going}:
        if len(_orphans(lost)) < len(lost):
            raise bound.NotOurs
        raise NotYet


def require_covered(covered: Collection[Record], known: Collection[Pair]) -> None:
    """Raise bound.NotOurs where an envelope of one of these records, which a request about records covered when it
    came, has a living key, is not among these, and its row does not stand there with it as its key's owner's.

    A record on which the address was changed, or that was given to somebody, stands there whole, and is covered no
    longer. One query of the key store; one for each kind where something is not among these.
    """
    living = vault.keys.pairs_of([record for _, record in covered])
    left = {pair: owner for pair, owner in living.items() if pair not in known}
    by_label: dict[str, set[UUID]] = {}
    for label, record in covered:
        if any(pair[0] == record for pair in left):
            by_label.setdefault(label, set()).add(record)
    for label, ids in by_label.items():
        declaration = datamap.for_label(label)
        rows: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(pk__in=ids)
        rows = rows.select_related(*declaration.related) if declaration.related else rows
        for row in rows:
            said = row.vault_owner()
            for envelope in declaration.still_sealed(row):
                if left.get((row.pk, envelope)) == said:
                    del left[row.pk, envelope]
    if left:
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
    lost = _lost(person, sealed)
    return sorted(lost.keys() - _orphans(lost))


def _orphans(lost: Mapping[Record, bool]) -> set[Record]:
    away = [one for one, is_there in lost.items() if not is_there]
    found = vault.keys.may_be_orphans([record for _, record in away]) if away else set()
    return {one for one in away if one[1] in found}


def _lost(person: UUID, sealed: Collection[Record]) -> dict[Record, bool]:
    """Return those of these records that are told of nowhere, each with whether its row is there: their rows lead
    elsewhere, are away, or do not hold what the key store has of them."""
    left = set(sealed)
    there: set[Record] = set()
    for label in sorted({label for label, _ in sealed}):
        declaration = _declared(label)
        if declaration is None:
            left = {one for one in left if one[0] != label}  # of an app that is no longer here: they stand nowhere
            continue
        ids = [record for of, record in sealed if of == label]
        if declaration.facts is None:  # they end with another record, and are no part of a plan
            rows: models.QuerySet[Any] = declaration.rows_of(person).filter(pk__in=ids)
            left -= {(label, pk) for pk in rows.values_list("pk", flat=True)}
        if any(one[0] == label for one in left):
            every: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(pk__in=ids)
            there |= {(label, pk) for pk in every.values_list("pk", flat=True)}
    left -= let_go(dict.fromkeys(left & there, person))
    return {one: one in there for one in left}


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
    key it is asked whether the audit tells of it as theirs. One query of the key store; four more where rows have no
    key."""
    rows = list(found)
    owners = vault.keys.owners([one.record for one in rows]) if rows else {}
    bare = [(one.label, one.record) for one in rows if one.record not in owners]
    ended = vault.keys.ever([record for _, record in bare]) if bare else set()
    told = audit.people_in(bare) if bare else {}
    names = pseudonyms.of_owners({one.subject for one in rows if one.record not in owners}) if told else {}
    return [
        one
        for one in rows
        if not (
            _is_as_said(one.subject, owners[one.record][1])
            if one.record in owners
            else one.record not in ended
            and not told.get((one.label, one.record), set()).isdisjoint(names.get(one.subject, ()))
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
