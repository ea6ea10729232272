"""From rows to facts: what an app says of its row, and what the other apps say of the same person.

An account does not know of orders, which live above it; it must stay while one of them is open all the same. So the
apps contribute flags by subject (`datamap.contribute_flags`), and classes with `person_flags` in the schedule take
them in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import models

from privacy import datamap
from privacy.calendar import undated
from privacy.datamap import Declaration
from privacy.facts import Facts
from privacy.retention.rules import Schedule
from privacy.work.broken import Findings, spared


def read(declaration: Declaration, ids: Sequence[UUID], *, findings: Findings) -> list[Facts]:
    """Return the facts of the rows with these numbers, in order; of a broken row that it is broken, and note it.

    A row that is gone has none, nor has one of a kind that offers none. A row is broken when it cannot be read (a day
    beyond all calendars) or its app cannot say what is to be known of it.
    """
    if declaration.facts is None:
        return []
    facts_of = declaration.facts
    rows = declaration.model._default_manager.order_by("pk")
    if declaration.related:
        rows = rows.select_related(*declaration.related)

    def of(some: Sequence[UUID]) -> list[Facts]:
        with undated.strictly():
            return [facts_of(row) for row in rows.filter(pk__in=some)]

    mine = Findings()
    found = [one for part in spared(list(ids), of, step="read", label=declaration.label, findings=mine) for one in part]
    for finding in mine:
        findings.append(finding)
        found += _broken(declaration, declaration.model._meta.pk.to_python(finding.record))
    return sorted(found, key=lambda one: one.record_id) if mine else found


def _broken(declaration: Declaration, pk: UUID) -> Iterator[Facts]:
    """Yield what can be said of a row that cannot be read: whose it is, and what it still holds."""
    rows: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(pk=pk)
    columns: list[Any] = [one for one in declaration.model._meta.concrete_fields if datamap.is_sealed_column(one)]
    sealed = {one.envelope: one.attname for one in columns}
    path = declaration.subject_path
    for row in rows.values("pk", *sealed.values(), *([path] if path else [])):
        yield Facts(
            label=declaration.label,
            record_id=pk,
            title=declaration.title,
            subject_id=row[path] if path else None,
            data={
                envelope: tuple(declaration.data[name].title for name in names)
                for envelope, names in declaration.envelopes().items()
                if envelope not in sealed or row[sealed[envelope]] is not None
            },
            flags=frozenset({"broken"}),
        )


def with_flags(found: list[Facts], schedule: Schedule) -> list[Facts]:
    """Return the facts with what the other apps say of the same people, where a class asks for it; few queries. Raises
    ScheduleError for an envelope without a class."""
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
