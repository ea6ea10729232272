"""The few lines of SQL plumbing that the vault's own statements share."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connections
from django.db.backends.utils import CursorWrapper

KEYSTORE = "keystore"


def cursor() -> CursorWrapper:
    """Return a cursor on the key store."""
    return connections[KEYSTORE].cursor()


def array(values: Iterable[object]) -> str:
    """Return a PostgreSQL array literal of numbers, UUIDs, booleans or our own labels (nothing that needs quoting)."""
    return "{" + ",".join(["NULL" if v is None else str(v) for v in values]) + "}"
