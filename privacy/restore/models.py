"""The copy of the ledger in the main database: a line stands here when, and only when, its effect is in the tables.

Lines are copied in their order, but one whose request is still being carried out lets others by: it is noted as
waiting, so that it is not forgotten below the newer ones.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class LedgerCopy(models.Model):
    """One line of the key store's ledger whose effect this database has. Keyed hashes only, no record's number."""

    entry = models.UUIDField(unique=True)
    kind = models.CharField(max_length=10)
    reference = models.CharField(max_length=60, blank=True, default="")
    at = models.DateTimeField()
    counts = models.JSONField(default=dict)
    content = models.JSONField(default=dict)
    filed_at = models.DateTimeField(null=True)  # when it was appended to the signed file
    mac = models.CharField(max_length=64, default="", help_text="Keyed hash over what the line says (restore.signed).")

    class Meta:
        app_label = "privacy"
        ordering = ["id"]
        indexes = [models.Index(fields=["id"], condition=Q(filed_at=None), name="ledger_copy_unfiled")]

    def __str__(self) -> str:
        return self.reference or f"{self.kind} {self.entry}"


class LedgerWaiting(models.Model):
    """A line that newer ones were copied past. It is there until it is copied itself."""

    entry = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "privacy"

    def __str__(self) -> str:
        return str(self.entry)
