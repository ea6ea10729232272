"""Writing events, in the transaction they tell of."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from privacy import vault
from privacy.actor import Actor
from privacy.audit import encoding
from privacy.audit.models import AuditEvent
from privacy.typed import cards
from privacy.vault.compiled import Question
from privacy.vault.keystore import pseudonyms

Record = tuple[str, UUID | str | int]
Times = dict[str, dict[str, list[datetime]]]  # when events were, by reference and by action
# The hash of a plan proves what was confirmed: seven digits in a row in it are no telephone number.
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Happened:
    """One event to be written by `record_many`."""

    action: str
    subject: UUID | None = None
    record: Record | None = None
    fields: Sequence[str] = ()
    reason: str = ""
    reference: str = ""


def record(
    action: str,
    *,
    actor: Actor | None,
    now: datetime,
    subject: UUID | None = None,
    record: Record | None = None,
    fields: Sequence[str] = (),
    reason: str = "",
    reference: str = "",
) -> None:
    """Write one event in the caller's transaction: names of fields, never values (Art. 5(2), P40).

    `subject` and `record` are stored as pseudonyms. What looks like a card number, an SSN, an e-mail address or a
    telephone number in `reason` is blotted out.
    """
    record_many([Happened(action, subject, record, fields, reason, reference)], actor=actor, now=now)


def record_many(events: Iterable[Happened], *, actor: Actor | None, now: datetime) -> int:
    """Write events in one statement and return how many (imports and sweeps)."""
    events = list(events)
    subjects = {event.subject for event in events if event.subject is not None}
    if actor is not None and actor.kind == "customer" and actor.subject is not None:
        subjects.add(actor.subject)
    names = vault.pseudonyms(sorted(subjects)) if subjects else {}
    rows = [_row(event, actor, now, names) for event in events]
    AuditEvent.objects.bulk_create(rows, batch_size=1000)
    return len(rows)


def history(
    *, subject: UUID | None = None, record: Record | None = None, reference: str = ""
) -> models.QuerySet[AuditEvent]:
    """Return the events about a subject, a record or a request, oldest first. An erased subject's cannot be found.

    To be shown, as they stand in the table; what is decided by them goes through `ours`.
    """
    events = AuditEvent.objects.order_by("id")
    if subject is not None:
        # A person who was joined from two has the names of both.
        names = vault.pseudonyms([subject, *pseudonyms.joined_to(subject)])
        events = events.filter(subject__in=names.values())
    if record is not None:
        events = events.filter(label=record[0], record=encoding.record_hash(*record))
    if reference:
        events = events.filter(reference=reference)
    return events


def ours(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Return those of these events that this program wrote: a line that somebody put into the table says nothing. Each
    stands there once, by a constraint."""
    return [one for one in events if encoding.is_ours(one)]


def corrected(records: Collection[Record]) -> dict[Record, set[str]]:
    """Return, for each of these records of which something was corrected, the names of the fields; one query."""
    return told("record.corrected", records)


def told(action: str, records: Collection[Record]) -> dict[Record, set[str]]:
    """Return, for each of these records of which `action` is told, the names of the fields in all its events that this
    program wrote; one query."""
    if not records:
        return {}
    by_hash = {encoding.record_hash(*one): one for one in records}
    events = AuditEvent.objects.filter(action=action, record__in=by_hash)
    found: dict[Record, set[str]] = {}
    for one in ours(events):
        found.setdefault(by_hash[one.record], set()).update(one.fields)
    return found


def are_told(records: Collection[Record]) -> set[Record]:
    """Return those of these records of which an event tells that this program wrote; one query."""
    by_hash = {encoding.record_hash(*one): one for one in records}
    return {by_hash[one.record] for one in ours(AuditEvent.objects.filter(record__in=by_hash))}


def people_in(records: Collection[Record]) -> dict[Record, set[str]]:
    """Return, for each of these records, the names of the people in the events about it that this program wrote; one
    query."""
    by_hash = {encoding.record_hash(*one): one for one in records}
    found: dict[Record, set[str]] = {}
    for one in ours(AuditEvent.objects.filter(record__in=by_hash).exclude(subject="")):
        found.setdefault(by_hash[one.record], set()).add(one.subject)
    return found


def ends(action: str, records: Collection[Record]) -> list[tuple[Record, list[str], str]]:
    """Return record, field names and reference of each event `action` of these records that this program wrote,
    oldest first; one query."""
    by_hash = {encoding.record_hash(*one): one for one in records}
    events = AuditEvent.objects.filter(action=action, record__in=by_hash).order_by("id")
    return [(by_hash[one.record], one.fields, one.reference) for one in ours(events)]


def doers(actions: Collection[str], records: Collection[Record], *, kind: str) -> list[tuple[str, list[str], str]]:
    """Return action, field names and who did it, for each of these events of these records by one kind of actor that
    this program wrote; one query."""
    if not records:
        return []
    hashes = [encoding.record_hash(*one) for one in records]
    events = AuditEvent.objects.filter(action__in=actions, record__in=hashes, actor_kind=kind).order_by("id")
    return [(one.action, one.fields, one.actor) for one in ours(events)]


def told_of(actions: Collection[str], records: Collection[Record]) -> list[tuple[Record, str, str, str]]:
    """Return record, action, reason and reference of each of these events of these records that this program
    wrote, oldest first; one query."""
    return [(of, one.action, one.reason, one.reference) for of, one in events_of(actions, records)]


def events_of(actions: Collection[str], records: Collection[Record]) -> list[tuple[Record, AuditEvent]]:
    """Return each of these events of these records that this program wrote, with its record, oldest first; one
    query."""
    by_hash = {encoding.record_hash(*one): one for one in records}
    events = AuditEvent.objects.filter(action__in=actions, record__in=by_hash).order_by("id")
    return [(by_hash[one.record], one) for one in ours(events)]


def first_at(actions: Collection[str], records: Collection[Record]) -> dict[Record, datetime]:
    """Return, for each of these records of which one of `actions` is told, when that was first, by the events that this
    program wrote; one query."""
    if not records:
        return {}
    by_hash = {encoding.record_hash(*one): one for one in records}
    events = AuditEvent.objects.filter(action__in=actions, record__in=by_hash).order_by("-id")
    return {by_hash[one.record]: one.at for one in ours(events)}


def of_references(action: str, references: Collection[str]) -> list[tuple[datetime, str]]:
    """Return when each event `action` about a request of one of these references was, with the reference, of those that
    this program wrote, oldest first; one query."""
    events = AuditEvent.objects.filter(action=action, reference__in=references).order_by("id")
    return [(one.at, one.reference) for one in ours(events)] if references else []


def times_of(actions: Collection[str], references: models.QuerySet[Any] | None = None) -> Times:
    """Return, by reference and by action, when each of these events was that this program wrote, oldest first; of all
    requests, or of those of these references. One query."""
    return _by_reference(_of_actions(actions, references))


def asking_times_of(actions: Collection[str], references: models.QuerySet[Any]) -> Callable[[UUID], Times]:
    """Return `times_of` for these actions, compiled once: of the references that the query finds for the number in the
    place of Question.NUMBER."""
    asked = Question(_of_actions(actions, references), Question.NUMBER)
    return lambda number: _by_reference(asked.records(number))


def _of_actions(actions: Collection[str], references: models.QuerySet[Any] | None) -> models.QuerySet[AuditEvent]:
    events = AuditEvent.objects.filter(action__in=actions).order_by("id")
    return events if references is None else events.filter(reference__in=references)


def _by_reference(events: Iterable[AuditEvent]) -> Times:
    found: Times = {}
    for one in ours(events):
        found.setdefault(one.reference, {}).setdefault(one.action, []).append(one.at)
    return found


def people_told_of(references: Collection[str]) -> set[tuple[str, str]]:
    """Return (reference, name) of each person in the events about requests of these references that this program wrote;
    one query."""
    events = AuditEvent.objects.filter(reference__in=references).exclude(subject="")
    return {(one.reference, one.subject) for one in ours(events)}


def last(actions: Collection[str], records: Collection[Record]) -> dict[Record, tuple[str, str]]:
    """Return, for each of these records, action and reason of the newest event that is one of `actions` and that this
    program wrote; one query."""
    by_hash = {encoding.record_hash(*one): one for one in records}
    events = AuditEvent.objects.filter(action__in=actions, record__in=by_hash).order_by("id")
    return {by_hash[one.record]: (one.action, one.reason) for one in ours(events)}


def _row(event: Happened, actor: Actor | None, now: datetime, names: dict[UUID, str]) -> AuditEvent:
    row = AuditEvent(
        at=now,
        action=event.action,
        actor_kind=actor.kind if actor else "",
        actor=_who(actor, names),
        role=actor.role if actor else "",
        purpose=actor.purpose if actor else "",
        subject=names.get(event.subject, "") if event.subject is not None else "",  # "" of an erased one
        label=event.record[0] if event.record else "",
        record=encoding.record_hash(*event.record) if event.record else "",
        fields=list(event.fields),
        reason=event.reason if _HASH.fullmatch(event.reason) else cards.blot(event.reason)[:200],
        reference=event.reference,
        encoding=encoding.VERSION,
    )
    row.mac = encoding.mac(row)
    return row


def _who(actor: Actor | None, names: dict[UUID, str]) -> str:
    if actor is None:
        return ""
    if actor.kind == "customer":
        return names.get(actor.subject, "") if actor.subject else ""
    return actor.id or ""
