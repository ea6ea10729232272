"""What the sweep remembers: who was warned of an end, and where the sweep stands. No personal data."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q


class EndNotice(models.Model):
    """That a person was told, on a day, that the account would end unless it is used. Goes with the subject.

    `token_hash` is of the link in that letter by which the account is kept. Of "kept" and "ended" one wins, under
    the lock of the row: `kept_on` is the day on which the person said to keep it, `ended_at` when the sweep began
    to end it. `told_on` is the day on which the letter went out, by e-mail or ticked off as posted: without one
    the warning has warned nobody.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.ForeignKey("privacy.Subject", models.CASCADE, related_name="end_notices")
    given_on = models.DateField()
    told_on = models.DateField(null=True, blank=True)
    ends_after = models.DateField(null=True)
    token_hash = models.CharField(max_length=64, blank=True, default="")
    # A keyed hash over what the row says (privacy.vault.macs); without one the link opens nothing.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    kept_on = models.DateField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "privacy"
        db_table = "privacy_end_notice"
        ordering = ["given_on"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "given_on"], name="end_notice_once_a_day"),
            models.UniqueConstraint(fields=["token_hash"], condition=~Q(token_hash=""), name="end_notice_token"),
            models.CheckConstraint(condition=Q(kept_on=None) | Q(ended_at=None), name="end_notice_kept_or_ended"),
        ]

    def __str__(self) -> str:
        return f"warning of {self.given_on:%-d %B %Y}"


class SweepState(models.Model):
    """Where the sweep stands: one row. Not armed, it only counts. `marked_at`: the database's clock at the last run.

    `night` is the day whose ends were last begun with, `people` how many people's data the schedule has ended that day:
    the cap holds for all runs of a night together.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    armed_at = models.DateTimeField(null=True, blank=True)
    armed_by = models.CharField(max_length=64, blank=True, default="")
    marked_at = models.DateTimeField(null=True, blank=True)
    last_report = models.JSONField(default=dict, blank=True)
    night = models.DateField(null=True, blank=True)
    people = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        app_label = "privacy"
        db_table = "privacy_sweep_state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="sweep_state_is_one_row")]

    def __str__(self) -> str:
        return "sweep, armed" if self.armed_at else "sweep, not armed"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the one row."""
        self.pk = self.ONLY
        super().save(*args, **kwargs)
