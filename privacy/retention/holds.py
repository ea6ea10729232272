"""Legal holds: placed and lifted per record, looked at again inside every erasure (law §4: a hold beats all).

What must never happen: a record erased while a hold is in force. Placing locks the row of the record, as an erasure
does, so that one of the two comes first and the other sees it. A mistaken hold is lifted; the sweep of the next night
then does by itself what waited for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from privacy import audit, datamap
from privacy.actor import Actor, require_another
from privacy.datamap import Declaration
from privacy.gate import matrix
from privacy.retention import in_force, restriction
from privacy.retention.in_force import LIFTED, PLACED
from privacy.retention.models import HeldValue, Hold
from privacy.typed import numbers
from privacy.vault.unit import Ended


class RecordNotFound(LookupError):
    """No record has this number or reference."""


class ReferenceNotUnique(LookupError):
    """More than one record has this reference: name the record by its number."""


class NothingOnHold(LookupError):
    """There is no hold in force on this record."""


class BadHold(ValueError):
    """The reason or the number of the case cannot be used."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record found by what people call it."""

    declaration: Declaration
    record_id: UUID


def find(reference: str) -> Found:
    """Return the record that people call `reference`: an order, RMA or customer number, or the UUID of the record.

    Raises RecordNotFound and ReferenceNotUnique. Apps say by `Declaration.reference` what their records are called.
    """
    reference = reference.strip()
    if (number := _uuid(reference)) is not None:
        matches = [Found(one, number) for one in _holdable() if _rows(one).filter(pk=number).exists()]
    else:
        matches = [
            Found(one, pk)
            for one in _holdable()
            if one.reference
            for pk in numbers.equal(_rows(one), one.reference, reference)
        ]
    if not matches:
        raise RecordNotFound("No record has this number or reference.")
    if len(matches) > 1:
        raise ReferenceNotUnique("More than one record has this reference; give the number of the record.")
    return matches[0]


def place(label: str, record_id: UUID, *, reason: str, reference: str = "", actor: Actor | None, now: datetime) -> Hold:
    """Put the record under a hold and return the hold; the one in force for the same case, if there is one.

    Raises RecordNotFound when the record is gone, BadHold for an unknown reason or a number that is none, AboutYourself
    for staff whose own record it is.
    """
    require_another(actor, about=datamap.people_of(label, [record_id]))
    with transaction.atomic():
        try:
            declaration = datamap.for_label(label)
        except KeyError:
            raise RecordNotFound("No record has this label.") from None
        # An erasure locks the same row: it has either ended before this line or will see the hold.
        if not _rows(declaration).select_for_update().filter(pk=record_id).values_list("pk").first():
            raise RecordNotFound("No record has this number.")
        standing = {"label": label, "record_id": record_id, "reason": reason, "reference": reference}
        hold = Hold(**standing, placed_at=now, placed_by=_by(actor))
        try:
            hold.full_clean(validate_unique=False, validate_constraints=False)
        except ValidationError as error:
            raise BadHold("; ".join(error.messages)) from None
        if existing := Hold.objects.filter(**standing, lifted_at__isnull=True).first():
            return existing
        in_force.sign(hold).save(force_insert=True)
        # Before the restriction is worked out: of a case that was lifted before, the last line of the audit counts.
        audit.record(PLACED, actor=actor, now=now, record=(label, record_id), reason=reason, reference=reference)
        restriction.settle(label, [record_id], actor=actor, now=now)
    return hold


def lift(label: str, record_id: UUID, *, reference: str | None = None, actor: Actor | None, now: datetime) -> int:
    """Lift the holds on a record, or the one of the case `reference`; return how many.

    One in doubt is lifted like any other: who lifts it has looked; so is one whose row is gone. Raises NothingOnHold,
    AboutYourself. What an erasure left because of them is due from then on: the next sweep carries it out.
    """
    require_another(actor, about=datamap.people_of(label, [record_id]))
    with transaction.atomic():
        # As in `place`; and of two that lift one without a row, the second finds nothing any more.
        list(_rows(datamap.for_label(label)).select_for_update().filter(pk=record_id).values_list("pk"))
        rows = list(Hold.objects.select_for_update().filter(label=label, record_id=record_id))
        doubted = in_force.doubtful(rows)
        held = [one for one in rows if one.is_in_force or one.pk in doubted]
        held += in_force.lost([(label, record_id)])
        lifted = [one for one in held if reference is None or one.reference == reference]
        if not lifted:
            raise NothingOnHold("There is no such hold in force on this record.")
        for hold in lifted:
            hold.lifted_at, hold.lifted_by = now, _by(actor)
            # One whose row is gone gets one again, so that the table tells of it, too.
            in_force.sign(hold).save(force_insert=hold._state.adding)
            audit.record(
                LIFTED,
                actor=actor,
                now=now,
                record=(label, record_id),
                reason=hold.reason,
                reference=hold.reference,
            )
        if not any(in_force.look([(label, record_id)])):
            # What corrections replaced was kept for the hold alone; the vault destroys its keys after the commit.
            HeldValue.objects.filter(label=label, record_id=record_id).delete()
        restriction.settle(label, [record_id], actor=actor, now=now)
    return len(lifted)


def keep(ended: Ended) -> None:
    """Keep what a correction is about to replace, if a legal hold forbids to destroy it (connected to the vault)."""
    if not matrix.is_on_hold(ended.restriction) or not ended.values:
        return
    HeldValue.objects.create(
        label=ended.label,
        record_id=ended.record_id,
        of_envelope=ended.envelope,
        subject_id=ended.owner_id if ended.owner_kind == "subject" else None,
        kept_at=timezone.now(),  # the edge: the vault, which calls this, knows no other clock
        was={**_beside(ended), **ended.values},
    )


def _beside(ended: Ended) -> dict[str, Any]:
    """Return the readable columns by which what an envelope held is said in words, as they stand until the save that
    replaces it: the country of a state."""
    try:
        declaration = datamap.for_label(ended.label)
    except KeyError:
        return {}
    data = declaration.data
    names = {data[name].beside for name in ended.values if name in data} - {"", *ended.values}
    readable = sorted(name for name in names if data[name].plain)
    rows = declaration.model._base_manager.filter(pk=ended.record_id)
    return (rows.values(*readable).first() or {}) if readable else {}


def values_of(hold: Hold) -> models.QuerySet[HeldValue]:
    """Return what was corrected in the record while it is under a hold, oldest first."""
    return HeldValue.objects.filter(label=hold.label, record_id=hold.record_id).order_by("kept_at", "pk")


def _by(actor: Actor | None) -> str:
    return actor.noted if actor else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _holdable() -> list[Declaration]:
    """Only what can end by itself can be put under a hold: records with facts."""
    return [one for one in datamap.declarations() if one.facts is not None]


def _rows(declaration: Declaration) -> models.QuerySet[models.Model]:
    # Around the sealing query set: only numbers are read, nothing is opened.
    return models.QuerySet(declaration.model)
