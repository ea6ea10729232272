"""How values come from PostgreSQL and go there: `bytea` and `uuid` read fast, arrays written as literals.

Every sealed row has one `bytea` and one `uuid`, and psycopg2's own readers of them are slow. Ours are
registered for the whole process, after Django's own. Values are those of psycopg2, except that bytes come as
`bytes` where it gives a `memoryview`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg2.extensions
from django.db.backends.postgresql import psycopg_any  # noqa: F401  (registers Django's reader of uuid first)

from privacy.vault.ids import from_int

_BYTEA, _UUID = 17, 2950


def array(values: Iterable[object]) -> str:
    """Return a PostgreSQL array literal of numbers, UUIDs, booleans or our own labels (nothing that needs quoting)."""
    return "{" + ",".join(["NULL" if v is None else str(v) for v in values]) + "}"


def register() -> None:
    """Let every connection of this process read the two types this way."""
    for number, name, reader in ((_BYTEA, "BYTEA", _bytes), (_UUID, "UUID", _uuid)):
        psycopg2.extensions.register_type(psycopg2.extensions.new_type((number,), name, reader))


def _bytes(text: str | None, cursor: Any) -> bytes | None:
    if text is None:
        return None
    if text[:2] != "\\x":  # the server was told bytea_output = escape
        return bytes(psycopg2.BINARY(text, cursor))
    return bytes.fromhex(text[2:])


def _uuid(text: str | None, cursor: Any) -> UUID | None:
    return None if text is None else from_int(int(text.replace("-", ""), 16))
