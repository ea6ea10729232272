"""Whose the records of a batch are: by the key store, not by what their rows say.

What must never happen: data of many people ends in one night as if they were one person's, or a record as somebody
else's or without a warning, because its row was hung on another person, or on nobody. Whose a key is, is bound to it:
who can write to the main database alone cannot change it. A record that is another's by its key is left for a person to
look at, and ends the night after it was put right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from privacy import vault
from privacy.facts import Facts
from privacy.requests import bound


def people_of(found: Iterable[Facts]) -> dict[UUID, UUID]:
    """Return whose each record is by its row; where that leads to nobody, by its key: what that person asked and waits
    for holds for it all the same. One query of the key store where there is such a row."""
    said = {facts.record_id: facts.subject_id for facts in found}
    nobodys = [record for record, subject in said.items() if subject is None]
    owners = vault.keys.owners(nobodys) if nobodys else {}
    by_key = {record: of for record, (kind, of) in owners.items() if kind == "subject"}
    return {record: person for record, subject in said.items() if (person := subject or by_key.get(record)) is not None}


def look(found: Collection[Facts]) -> tuple[dict[UUID, UUID], set[UUID]]:
    """Return as whose each record counts (its person, or itself where it is nobody's), and apart from these the records
    that by the key store are another's than their rows say. One query of the key store.

    A row that leads to nobody is nobody else's: that of a payment does whose order has ended. It counts as whose its
    key is. What has no living key is whose its row says: nothing of it can be opened.
    """
    owners = vault.keys.owners([facts.record_id for facts in found])
    counts_as: dict[UUID, UUID] = {}
    strange: set[UUID] = set()
    for facts in found:
        kind, of = owners.get(facts.record_id, ("subject", facts.subject_id))
        person = of if kind == "subject" else None
        if facts.subject_id is None or _is_as_said(facts.subject_id, person):
            counts_as[facts.record_id] = person or facts.subject_id or facts.record_id
        else:
            strange.add(facts.record_id)
    return counts_as, strange


def _is_as_said(said: UUID, person: UUID | None) -> bool:
    # When the last link to a person is cut the key store is committed first: a kill leaves the row with the person.
    return person in (said, bound.nobody_of(said))
