"""The connection to the key store, which all of its statements share."""

from __future__ import annotations

from django.db import connections
from django.db.backends.utils import CursorWrapper

KEYSTORE = "keystore"


def cursor() -> CursorWrapper:
    """Return a cursor on the key store."""
    return connections[KEYSTORE].cursor()
