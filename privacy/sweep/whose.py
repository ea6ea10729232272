"""Whose the records of a batch are: by the key store, not by what their rows say.

What must never happen: data of many people ends in one night as if they were one person's, or a record as somebody
else's, because its row was hung on another person. Whose a key is, is bound to it: who can write to the main database
alone cannot change it. A record that is another's by its key is left for a person to look at, and ends the night after
it was put right.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from privacy import vault
from privacy.facts import Facts
from privacy.requests import bound
from privacy.subjects import Subject
from privacy.vault.keystore.keys import Owner


def look(found: Collection[Facts]) -> tuple[dict[UUID, UUID], set[UUID]]:
    """Return as whose each record counts (its person, or itself where it is nobody's), and apart from these the records
    that by the key store are another's than their rows say. One query of the key store, one more where a row leads to
    nobody.

    What has no living key is whose its row says: nothing of it can be opened.
    """
    owners = vault.keys.owners([facts.record_id for facts in found])
    persons = {record: of for record, (kind, of) in owners.items() if kind == "subject" and of is not None}
    unlike = {
        facts.record_id: facts
        for facts in found
        if facts.record_id in owners and not _is_as_said(facts, owners[facts.record_id])
    }
    strange = set(unlike) - _of_nobody(unlike.values(), persons)
    ours = [one for one in found if one.record_id not in strange]
    return {one.record_id: persons.get(one.record_id) or one.subject_id or one.record_id for one in ours}, strange


def _is_as_said(facts: Facts, owner: Owner) -> bool:
    kind, of = owner
    if kind != "subject":
        return facts.subject_id is None
    # When the last link to a person is cut the key store is committed first: a kill leaves the row with the person.
    return facts.subject_id is not None and of in (facts.subject_id, bound.nobody_of(facts.subject_id))


def _of_nobody(unlike: Collection[Facts], persons: dict[UUID, UUID]) -> set[UUID]:
    """Return those that this app keeps of people who were forgotten: their rows lead to nobody, and their keys to a
    number that stands nowhere else."""
    lost = {
        one.record_id: persons[one.record_id]
        for one in unlike
        if one.subject_id is None and one.label.startswith("privacy.") and one.record_id in persons
    }
    known = set(Subject.objects.filter(pk__in=set(lost.values())).values_list("pk", flat=True)) if lost else set()
    return {record for record, person in lost.items() if person not in known}
