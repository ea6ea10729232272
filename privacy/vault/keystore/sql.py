"""The connection to the key store, which all of its statements share."""

from __future__ import annotations

from django.db import connections
from django.db.backends.utils import CursorWrapper

KEYSTORE = "keystore"


def cursor() -> CursorWrapper:
    """Return a cursor on the key store."""
    return connections[KEYSTORE].cursor()


def committed() -> CursorWrapper:
    """Return a cursor on the key store each of whose statements is committed when it has returned: one statement alone
    needs no transaction around it. Raises RuntimeError within one, as `transaction.atomic(durable=True)` does."""
    around = connections[KEYSTORE].atomic_blocks
    if around and not around[-1]._from_testcase:  # type: ignore[attr-defined]  # Django's own mark, as it asks it
        raise RuntimeError("A durable statement of the key store cannot stand within a transaction.")
    return cursor()
