"""Append-only tables: what happened, the chain that seals it, and where a chain begins. Triggers refuse every change.

The access log (`privacy.gate.log`) is sealed by the same kind of chain.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Func

from privacy.calendar.undated import no_line_without_a_day


class TransactionIdField(models.Field):
    """PostgreSQL's 64-bit transaction id (xid8), which never wraps around; an int in Python."""

    description = "Transaction id"

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return str(value) if isinstance(value, int) else value


class AuditEvent(models.Model):
    """One thing that was done. Names of fields, never values; pseudonyms, never people; no IP address."""

    id = models.BigAutoField(primary_key=True)
    event = models.UUIDField(default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=60)
    actor_kind = models.CharField(max_length=20)
    actor = models.CharField(
        max_length=64,
        blank=True,
        help_text="A user's number for staff, a pseudonym for a customer, a purpose for a task.",
    )
    role = models.CharField(max_length=100, blank=True)
    purpose = models.CharField(max_length=60, blank=True)
    subject = models.CharField(
        max_length=64, blank=True, help_text="A pseudonym; its key is destroyed with the subject."
    )
    label = models.CharField(max_length=60, blank=True)
    record = models.CharField(max_length=64, blank=True, help_text="A keyed hash of the record's number.")
    fields = models.JSONField(default=list)
    reason = models.CharField(max_length=200, blank=True)
    reference = models.CharField(max_length=60, blank=True)
    encoding = models.PositiveSmallIntegerField(help_text="Version of the canonical encoding that was sealed.")
    mac = models.CharField(
        max_length=64, help_text="Keyed hash over all of the above, made by the program as it wrote the row."
    )
    xid = TransactionIdField(db_default=Func(function="pg_current_xact_id"), editable=False)

    class Meta:
        app_label = "privacy"
        constraints = [
            models.UniqueConstraint(fields=["event"], name="audit_event_once"),
            no_line_without_a_day("audit_event"),
        ]
        indexes = [
            models.Index(fields=["subject", "at"], name="audit_event_of_subject"),
            models.Index(fields=["record"], name="audit_event_of_record"),
            models.Index(fields=["reference"], name="audit_event_of_reference"),
            models.Index(fields=["xid"], name="audit_event_by_transaction"),
            # The desk asks for these of all requests; there are few.
            models.Index(
                fields=["reference"],
                condition=models.Q(action__in=("request.not_me", "request.possible_breach")),
                name="audit_event_of_not_me",
            ),
        ]

    def __str__(self) -> str:
        return f"event {self.pk}: {self.action}"


class Link(models.Model):
    """One link of a chain: a row's hash, and the hash of everything up to it. `event_id` is added by each chain."""

    position = models.BigIntegerField(primary_key=True)
    row_hash = models.CharField(max_length=64)
    chain_hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()
    horizon = TransactionIdField(help_text="Every event of an earlier transaction was sealed by then.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"link {self.position}"


class AuditLink(Link):
    """A link of the chain of events."""

    # A plain number, no foreign key: the chain must be able to tell of an event that is gone.
    event_id = models.BigIntegerField(unique=True)

    class Meta:
        app_label = "privacy"


class ChainFloor(models.Model):
    """Where a chain begins since its oldest batches ended: the place and hash of the last link that went, signed."""

    chain = models.CharField(max_length=10)
    position = models.BigIntegerField()
    chain_hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    signature = models.CharField(max_length=64)

    class Meta:
        app_label = "privacy"
        constraints = [models.UniqueConstraint(fields=["chain", "position"], name="chain_floor_once")]

    def __str__(self) -> str:
        return f"floor of {self.chain}: {self.position}"
