"""What people signed: confidentiality (P41) and training (P46), each with a version and an end.

What must never happen: staff opening personal data without a current signature. The gate asks
`current` each time it builds a staff actor; an expired signature takes the roles away by itself.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from functools import cache
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models, transaction

from privacy import audit
from privacy.actor import Actor
from privacy.calendar import add_months, days
from privacy.calendar.days import DueDateField, PastDateField
from privacy.subjects import Subject
from privacy.vault.compiled import Question

VALID_YEARS = 1
UNDERTAKING = "2026"  # the version of templates/accounts/_undertaking.html; a new text gets a new one


class Acknowledgement(models.Model):
    """One signature of one member of staff under one version of a text."""

    class Kind(models.TextChoices):
        CONFIDENTIALITY = "confidentiality", "Confidentiality acknowledgement"
        TRAINING = "training", "Data protection training"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="acknowledgements")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    version = models.CharField(max_length=40)
    signed_on = PastDateField()
    expires_on = DueDateField(help_text="The last day on which it counts.")

    class Meta:
        app_label = "privacy"
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "kind", "version", "signed_on"], name="acknowledgement_once_a_day"
            ),
            models.CheckConstraint(
                condition=models.Q(expires_on__gte=models.F("signed_on")), name="acknowledgement_ends_after_it_began"
            ),
        ]
        indexes = [models.Index(fields=["subject", "kind", "expires_on"], name="acknowledgement_current")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.version}, until {self.expires_on:%-d %B %Y}"


def check(*, version: str, signed_on: date, now: datetime) -> None:
    """Raise ValidationError for a day on which nobody can have signed, or a version that names no text or is too long
    to be kept."""
    if not version.strip():
        raise ValidationError("An acknowledgement names the version of the text that was signed.")
    days.require(now=now, signed_on=signed_on)
    longest = Acknowledgement._meta.get_field("version").max_length
    if longest is not None and len(version) > longest:
        raise ValidationError(f"The version of a text has at most {longest} characters.")


def sign(
    *,
    subject: UUID,
    kind: str,
    version: str,
    actor: Actor | None,
    now: datetime,
    signed_on: date,
    expires_on: date | None = None,
) -> Acknowledgement:
    """Record that `subject` signed `version`; it counts for a year unless `expires_on` says otherwise (P41, P46).

    Raises ValidationError for a day on which nobody can have signed, or a version that cannot be kept.
    """
    check(version=version, signed_on=signed_on, now=now)
    expires_on = expires_on or add_months(signed_on, 12 * VALID_YEARS)
    with transaction.atomic():
        signature, created = Acknowledgement.objects.get_or_create(
            subject_id=subject, kind=kind, version=version, signed_on=signed_on, defaults={"expires_on": expires_on}
        )
        if created:
            audit.record(
                "acknowledgement.signed", actor=actor, now=now, subject=subject, fields=("kind", "version"), reason=kind
            )
    return signature


def current(
    subject: UUID | None, kind: str = Acknowledgement.Kind.CONFIDENTIALITY, *, today: date
) -> Acknowledgement | None:
    """Return the signature of `subject` that counts today and lasts longest, or None."""
    if subject is None:
        return None
    found: Acknowledgement | None = _current(kind).record(subject, today)
    return found


@cache
def _current(kind: str) -> Question:
    # Compiled once: every page of the back office asks for it. That of the longest stands first.
    of, day = Question.NUMBER, Question.DAY
    signatures = Acknowledgement.objects.filter(subject_id=of, kind=kind, signed_on__lte=day, expires_on__gte=day)
    return Question(signatures.order_by("-expires_on")[:1], of, day)
