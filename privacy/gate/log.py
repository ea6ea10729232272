"""The access log: who looked at whose data, fed by the act of opening, so it cannot be forgotten (P40, Art. 15).

It is personal data like any other: shown to the person, exported, ended after three years. It holds names of
envelopes and counts, never values.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from uuid import UUID

from django.db import models

from privacy import cards
from privacy.gate.actor import KINDS, Actor


class AccessEntryQuerySet(models.QuerySet["AccessEntry"]):
    def for_subject(self, subject: UUID) -> AccessEntryQuerySet:
        """Return the openings of this person's data, newest first."""
        return self.filter(subject_id=subject).order_by("-at", "-id")


class AccessEntry(models.Model):
    """What one actor opened of one person (or one company) in one unit of work."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_index=True)
    # Plain numbers, no foreign keys: a row must be writable whatever has become of the subject or the user.
    subject_id = models.UUIDField(null=True)
    company_id = models.UUIDField(null=True)
    actor_kind = models.CharField("by", max_length=20, choices=KINDS)
    actor_id = models.CharField(max_length=64, blank=True)
    role = models.CharField(max_length=100)
    purpose = models.CharField(max_length=60)
    reason = models.CharField(max_length=200, blank=True)
    envelopes = models.JSONField(help_text='How many records of each envelope: {"orders.order/fulfilment": 3}.')
    count = models.PositiveIntegerField()

    objects = AccessEntryQuerySet.as_manager()

    class Meta:
        app_label = "privacy"
        indexes = [
            models.Index(fields=["subject_id", "at"], name="access_entry_of_subject"),
            models.Index(
                fields=["company_id", "at"],
                name="access_entry_of_company",
                condition=models.Q(company_id__isnull=False),
            ),
            models.Index(fields=["actor_id", "at"], name="access_entry_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.count} openings by {self.role}, {self.at:%Y-%m-%d %H:%M}"


def entry(actor: Actor, owner: tuple[str, UUID | None], envelopes: dict[str, int], *, now: datetime) -> AccessEntry:
    """Return the unsaved row for what `actor` opened of one owner."""
    kind, number = owner
    return AccessEntry(
        at=now,
        subject_id=number if kind == "subject" else None,
        company_id=number if kind == "company" else None,
        actor_kind=actor.kind,
        actor_id=(actor.id or "")[:64],
        role=actor.role[:100],
        purpose=actor.purpose[:60],
        reason=cards.blot(actor.reason)[:200],
        envelopes=dict(sorted(envelopes.items())),
        count=sum(envelopes.values()),
    )
