"""What retention remembers: what was decided about records, legal holds, and what they kept. No personal data in plain
text: records are named by number."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from privacy import vault
from privacy.calendar.undated import no_day_but_a_days

case_number = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9 ./_-]{0,59}\Z", "A number of a case: letters, digits and . / _ - only."
)


class Hold(models.Model):
    """A legal hold on one record: it is kept, and so is what is corrected in it, until the hold is lifted.

    What nothing else keeps is restricted meanwhile; what is in use stays in use.

    `reference` is the number of the case outside (a docket, a ticket), never a name.
    """

    class Reason(models.TextChoices):
        CLAIM = "claim", "a claim is made or expected"
        AUTHORITY = "authority", "an authority asked for the record"
        AUDIT = "audit", "a tax or export audit is under way"
        INCIDENT = "incident", "an incident is being looked into"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label = models.CharField(max_length=100)
    record_id = models.UUIDField()
    reason = models.CharField(max_length=20, choices=Reason.choices)
    reference = models.CharField(max_length=60, blank=True, default="", validators=[case_number])
    placed_at = models.DateTimeField()
    placed_by = models.CharField(max_length=64)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=64, blank=True, default="")
    # A keyed hash over all that it says (retention/holds.py); one that does not fit keeps nothing, and is looked at.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    class Meta:
        app_label = "privacy"
        db_table = "privacy_hold"
        ordering = ["placed_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["label", "record_id", "reason", "reference"],
                condition=Q(lifted_at__isnull=True),
                name="hold_once_per_case",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(lifted_at__gte=F("placed_at")), name="hold_lifted_after_placed"
            ),
        ]
        indexes = [models.Index(fields=["record_id"], condition=Q(lifted_at__isnull=True), name="hold_in_force")]

    def __str__(self) -> str:
        return f"hold: {self.get_reason_display()}"

    @property
    def is_in_force(self) -> bool:
        """Whether it was not lifted yet."""
        return self.lifted_at is None


class HeldValue(vault.SealedModel):
    """What an envelope said before a correction, because a legal hold forbade to destroy it. Goes with the last hold.

    Sealed under a key of its own: the one that the correction replaced is destroyed as always.
    """

    vault_label: ClassVar[str] = "privacy.held_value"
    vault_asks: ClassVar[bool] = False  # it keeps what a correction replaces, whoever's

    label = models.CharField(max_length=100)
    record_id = models.UUIDField()
    of_envelope = models.CharField(max_length=40)
    subject = models.ForeignKey("privacy.Subject", models.SET_NULL, null=True, blank=True, related_name="held_values")
    kept_at = models.DateTimeField()
    was = vault.EncryptedJSONField(envelope="held_value", verbose_name="what it said")

    class Meta(vault.SealedModel.Meta):
        app_label = "privacy"
        db_table = "privacy_held_value"
        ordering = ["kept_at", "id"]
        indexes = [models.Index(fields=["record_id"], name="held_value_of_record")]

    def __str__(self) -> str:
        return f"earlier value of {self.label}"

    def vault_owner(self) -> tuple[str, uuid.UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)


class Decision(models.Model):
    """What a request does to one envelope of one record, and why (P10).

    A kept one is `pinned` when the erasure starts: later rules cannot move `until` silently; the sweep
    completes it at that date and sets `done_at`, unless something is open then: a letter moves `until`, and the event
    `day_came` keeps what it was. When the record stays for statistics `record_id` goes too.
    """

    class Action(models.TextChoices):
        ERASE = "erase", "erased"
        KEEP = "keep", "kept"
        GIVE = "give", "given in the copy"

    request = models.ForeignKey("privacy.Request", models.CASCADE, related_name="decisions")
    label = models.CharField(max_length=100)
    record_id = models.UUIDField(null=True, blank=True)
    envelope = models.CharField(max_length=40)
    data = models.JSONField(default=list)
    action = models.CharField(max_length=10, choices=Action.choices)
    code = models.CharField(max_length=20)
    ground = models.CharField(max_length=200, blank=True, default="")
    authority = models.CharField(max_length=300, blank=True, default="")
    until = models.DateField(null=True, blank=True)
    overdue = models.BooleanField(default=False)
    pinned = models.BooleanField(default=False)
    done_at = models.DateTimeField(null=True, blank=True)
    # Which line of the plan it is. Under the hash: one that has lost its record says nothing of another line's.
    place = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # A keyed hash over what is decided (retention/decided.py); without one nothing is ended by it.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            no_day_but_a_days("decision", "until"),
            models.UniqueConstraint(
                fields=["request", "label", "record_id", "envelope"], name="one_decision_per_envelope"
            ),
        ]
        indexes = [
            models.Index(
                fields=["record_id", "envelope"], condition=Q(pinned=True, done_at__isnull=True), name="decision_pinned"
            ),
            # By these the sweep finds what it promised to end, and what only waited for something.
            models.Index(fields=["until"], condition=Q(pinned=True, done_at__isnull=True), name="decision_until"),
            models.Index(fields=["code"], condition=Q(pinned=True, done_at__isnull=True), name="decision_code"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.envelope}: {self.code}"
