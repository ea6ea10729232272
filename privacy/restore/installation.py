"""Which installation the main database belongs to; compared with the key store's and the ring's at start."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Installation(models.Model):
    """The one row that names this installation. No personal data."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    installation = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="privacy_one_installation")]

    def __str__(self) -> str:
        return str(self.installation)
