"""A deleted row takes its keys with it, once the deletion has committed.

Must never happen: the keys of a row whose deletion was rolled back are destroyed. So the row is looked for
once more, after the commit, and what is missed here the key collector finds.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.db import connections, transaction
from django.utils import timezone

from privacy.vault import keys, saving

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel

log = logging.getLogger("privacy.vault")


def note(instance: SealedModel, using: str) -> None:
    """Remember a deleted record until its transaction has committed."""
    saving.keep_deleted(instance)
    connection = connections[using]
    waiting: list[tuple[type[SealedModel], UUID]] = connection.__dict__.setdefault("vault_deleted", [])
    model = cast("type[SealedModel]", instance._meta.concrete_model)
    waiting.append((model, instance.pk))
    # one callback for each row, because a savepoint that rolls back drops its own; the first that runs does all
    transaction.on_commit(lambda: _finish(using, waiting), using=using, robust=True)


def _finish(using: str, waiting: list[tuple[type[SealedModel], UUID]]) -> None:
    listed, waiting[:] = list(waiting), []
    by_model: dict[type[SealedModel], list[UUID]] = {}
    for model, record in listed:
        by_model.setdefault(model, []).append(record)
    for model, records in by_model.items():
        still = set(model._base_manager.using(using).filter(pk__in=records).values_list("pk", flat=True))
        gone = [record for record in records if record not in still]
        keys.destroy(
            [(record, envelope) for record in gone for envelope in model.envelopes()],
            now=timezone.now(),  # the edge: the moment of the commit, which nobody can pass in
        )
