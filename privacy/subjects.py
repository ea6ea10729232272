"""Who data is about: a subject is a natural person, known here by a number and nothing else.

What must never happen: a subject row that says anything about the person. Names, addresses and links
to logins live in sealed records that point here; when they are erased this row tells nobody anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import models


class Subject(models.Model):
    """A natural person whom data is about, staff included."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "privacy"

    def __str__(self) -> str:
        return f"subject {self.pk}"


def create(*, now: datetime) -> Subject:
    """Create one subject and return it."""
    return Subject.objects.create(created_at=now)


def create_many(count: int, *, now: datetime) -> list[Subject]:
    """Create `count` subjects in one statement and return them, in order."""
    return Subject.objects.bulk_create([Subject(created_at=now) for _ in range(count)])


def lock(ids: Iterable[UUID]) -> None:
    """Lock people until this transaction ends: what takes in something new for them and an erasure
    that begins wait for each other."""
    rows = Subject.objects.select_for_update(no_key=True).filter(pk__in=set(ids)).order_by("pk")
    list(rows.values_list("pk"))
