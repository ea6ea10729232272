"""What the driver makes of `bytea` and `uuid`: every sealed row has one of each, and psycopg2's own readers are slow.

Registered for the whole process, after Django's own. Values are those of psycopg2, except that bytes come as `bytes`
where it gives a `memoryview`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg2.extensions
from django.db.backends.postgresql import psycopg_any  # noqa: F401  (registers Django's reader of uuid first)

from privacy.vault.ids import from_int

_BYTEA, _UUID = 17, 2950


def _bytes(text: str | None, cursor: Any) -> bytes | None:
    if text is None:
        return None
    if text[:2] != "\\x":  # the server was told bytea_output = escape
        return bytes(psycopg2.BINARY(text, cursor))
    return bytes.fromhex(text[2:])


def _uuid(text: str | None, cursor: Any) -> UUID | None:
    return None if text is None else from_int(int(text.replace("-", ""), 16))


def register() -> None:
    """Let every connection of this process read the two types this way."""
    for number, name, reader in ((_BYTEA, "BYTEA", _bytes), (_UUID, "UUID", _uuid)):
        psycopg2.extensions.register_type(psycopg2.extensions.new_type((number,), name, reader))
