"""What workers do for people and their records: each task makes one call, and may run twice without harm."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from accounts import keys_follow, unconfirmed


@shared_task
def settle_joinings() -> int:
    """Give the keys of joined records to whom the records name, where a killed process did not come to it."""
    return keys_follow.settle_all()


@shared_task
def end_unconfirmed() -> int:
    """End the sign-ups whose address nobody confirmed in time."""
    return unconfirmed.end_lapsed(actor=None, now=timezone.now())
