"""From rows to facts: what an app says of its row, and what the other apps say of the same person.

An account does not know of orders, which live above it; it must stay while one of them is open all the same. So the
apps contribute flags by subject (`datamap.contribute_flags`), and classes with `person_flags` in the schedule take
them in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from privacy import datamap
from privacy.datamap import Declaration
from privacy.retention.facts import Facts
from privacy.retention.rules import Schedule


def gather(declaration: Declaration, rows: Iterable[Any], schedule: Schedule) -> list[Facts]:
    """Return the facts of these rows, in order; a constant number of queries beside the rows themselves.

    None at all when the declaration offers no facts. Raises ScheduleError for an envelope without a class.
    """
    if declaration.facts is None:
        return []
    return with_flags([declaration.facts(row) for row in rows], schedule)


def with_flags(found: list[Facts], schedule: Schedule) -> list[Facts]:
    """Return the facts with what the other apps say of the same people, where a class asks for it; few queries."""
    asking = [any(schedule[name].person_flags for name in facts.data) for facts in found]
    subjects = {facts.subject_id for facts, asks in zip(found, asking, strict=True) if asks and facts.subject_id}
    if not subjects:
        return found
    flags = datamap.flags_of(subjects)
    return [
        replace(facts, flags=facts.flags | flags.get(facts.subject_id, frozenset()))
        if asks and facts.subject_id is not None
        else facts
        for facts, asks in zip(found, asking, strict=True)
    ]
