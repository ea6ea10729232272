"""Which of the data that a record may hold stand in it: a plan, an answer and a letter name nothing that is not there.

What must never happen: a value that leaves this module. The records are opened past the gate, to see of each datum
whether there is one; what comes back are titles of the data map. The hash of a plan is over what a record may hold, so
that filling in a field changes no plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from privacy import datamap, vault
from privacy.datamap import Declaration
from privacy.requests.plan import Plan
from privacy.retention.verdict import Verdict
from privacy.work import broken

CHUNK = 500
Empty = dict[tuple[UUID, str], frozenset[str]]  # by record and envelope: titles of the data that hold nothing


def only(made: Plan) -> Plan:
    """Return the plan with, of each record, the names of those data that stand in it; under the same hash."""
    empty = _empty(made.verdicts)
    return replace(made, verdicts=tuple(_without(one, empty.get(one.key, frozenset())) for one in made.verdicts))


def _without(one: Verdict, empty: frozenset[str]) -> Verdict:
    # All of them: the verdict is about something all the same, and says so by what it may hold.
    there = tuple(title for title in one.data if title not in empty) or one.data
    return one if there == one.data else replace(one, data=there)


def _empty(verdicts: Iterable[Verdict]) -> Empty:
    wanted: dict[str, list[UUID]] = {}
    for one in verdicts:
        wanted.setdefault(one.label, []).append(one.record_id)
    found: Empty = {}
    for label, records in wanted.items():
        declaration = datamap.for_label(label)
        if not issubclass(declaration.model, vault.SealedModel):
            continue
        records = list(dict.fromkeys(records))
        for at in range(0, len(records), CHUNK):
            found |= _empty_of(declaration, records[at : at + CHUNK])
    return found


def _empty_of(declaration: Declaration, records: Sequence[UUID]) -> Empty:
    found: Empty = {}
    with vault.internal():
        for row in broken.rows(declaration.model._default_manager.filter(pk__in=records), step="plan"):
            for envelope, names in declaration.envelopes().items():
                found[row.pk, envelope] = frozenset(
                    declaration.data[name].title for name in names if _holds_nothing(row, name)
                )
    return found


def _holds_nothing(row: Any, name: str) -> bool:
    value = getattr(row, name)
    return value is False or value in (None, "", [], {})
