"""The ledger of erasures, in the key store: one tombstone for one request, appended and never changed.

What was erased stays erased after a restore because the destroyed keys and this ledger are not in the
backup that is restored (design 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from privacy.vault.models import Tombstone
from privacy.vault.sql import KEYSTORE


def tombstone(reference: str, *, counts: Mapping[str, int], now: datetime) -> Tombstone:
    """Append the proof of an erasure; a second call for the same request returns the first one."""
    with transaction.atomic(using=KEYSTORE):
        Tombstone.objects.bulk_create(
            [Tombstone(reference=reference, at=now, counts=dict(sorted(counts.items())))], ignore_conflicts=True
        )
        return Tombstone.objects.get(reference=reference)


def position() -> int:
    """Return the number of the last tombstone, 0 before the first."""
    last = Tombstone.objects.order_by("-seq").values_list("seq", flat=True).first()
    return last or 0
