"""What retention remembers: legal holds, and what they kept. No personal data in plain text: records are named by number."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from privacy import vault

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
