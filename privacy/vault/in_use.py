"""Ask the data side which key a row names, and whether a save of a unique value is still under way.

The row decides which keys and tokens are alive. What must never happen: a unique value is taken from a save
whose row is not committed yet. So such a save holds a shared lock of the value in its own transaction on the
data side, and only who gets that lock alone may take a value over. The lock ends with the transaction, a crash
included; nothing is to be undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections, router

from privacy.vault.envelope import key_id
from privacy.vault.typecasts import array

GRACE = timedelta(hours=1)  # longer than any transaction may last (statement_timeout of a worker is 10 min)
LOCK = 0x554E4951  # advisory locks of saves that place a unique value; the second number is the value's
LOCKS = 64  # an import of thousands holds no more locks than this


def models() -> dict[str, Any]:
    """Return the sealed models that have a table, by their stable label."""
    labelled = ((getattr(model, "vault_label", ""), model) for model in apps.get_models() if not model._meta.proxy)
    return {label: model for label, model in labelled if label}


def under_way(values: Iterable[bytes], using: str) -> None:
    """Tell others, until the transaction on `using` ends, that a save with these unique values is under way."""
    if numbers := sorted({_number(value) for value in values}):
        with connections[using].cursor() as cur:
            cur.execute("SELECT pg_advisory_xact_lock_shared(%s, n) FROM unnest(%s::int[]) n", [LOCK, numbers])


def is_under_way(value: bytes, label: str) -> bool:
    """Return whether a save with this unique value may still commit its row of the model with this label."""
    model = models().get(label)
    if model is None:
        return True
    with connections[router.db_for_write(model)].cursor() as cur:
        cur.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, _number(value)])
        if not cur.fetchone()[0]:
            return True
        cur.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, _number(value)])
    return False


def _number(value: bytes) -> int:
    return value[0] % LOCKS


def named(label: str, envelope: str, records: Iterable[UUID]) -> dict[UUID, int | None] | None:
    """Return, for each record that has a row, the key id its envelope names (None when it is empty).

    None instead of a dictionary: no model knows this label and envelope, so nobody can say what is alive.
    """
    model = models().get(label)
    if model is None or envelope not in model.envelopes():
        return None
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    column = quote(model._meta.get_field(f"sealed_{envelope}").column)
    with connection.cursor() as cur:
        cur.execute(
            f"SELECT {quote(model._meta.pk.column)}, substring({column} from 1 for 9) "  # noqa: S608
            f"FROM {quote(model._meta.db_table)} WHERE {quote(model._meta.pk.column)} = ANY(%s::uuid[])",
            [array(records)],
        )
        return {record: None if header is None else key_id(header) for record, header in cur.fetchall()}
