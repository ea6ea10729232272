"""Rows of the access log and the names in them, added by one statement: all of them are there, or none is (P40).

Each column goes as one array, so that a row costs no placeholder and no field of a model. The database gives each row
the number of its transaction, as the column's default says.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from privacy.vault.typecasts import array


class Name(NamedTuple):
    """A name of a person as it stands in its table, with the key to the numbers of records in the rows that carry
    it."""

    id: UUID
    subject_id: UUID
    secret: bytes
    mac: str


@dataclass(slots=True)
class Row:
    """A row as it stands in the log, without the number of its transaction."""

    id: UUID
    at: datetime
    whose_id: UUID | None
    company_id: UUID | None
    actor_kind: str
    actor_id: str
    role: str
    purpose: str
    reason: str
    envelopes: Mapping[str, int]
    count: int
    detail: bytes
    encoding: int
    mac: str


COLUMNS = tuple(one.name for one in fields(Row))

# Bytes go as digits: in an array their backslashes would need quoting of their own. The order is that of the arrays.
_INSERT = f"""
WITH named AS (
    INSERT INTO privacy_accessname ({", ".join(Name._fields)})
    SELECT id, subject_id, decode(secret, 'hex'), mac
    FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[]) AS n(id, subject_id, secret, mac)
)
INSERT INTO privacy_accessentry ({", ".join(COLUMNS)})
SELECT id, at, whose_id, company_id, actor_kind, actor_id, role, purpose, reason, envelopes, count,
       decode(detail, 'hex'), encoding, mac
FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::jsonb[], %s::int[], %s::text[], %s::int[], %s::text[])
     WITH ORDINALITY AS r({", ".join(COLUMNS)}, place)
ORDER BY place
"""  # noqa: S608  names of columns


_NAMES = f"SELECT {', '.join(Name._fields)} FROM privacy_accessname WHERE subject_id = ANY(%s::uuid[]) ORDER BY id"  # noqa: S608


def names(subjects: Collection[UUID]) -> list[Name]:
    """Return all names of these people as they are stored, oldest first, whoever wrote them."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [array(subjects)])
        return [Name._make(row) for row in cursor.fetchall()]


def add(names: Sequence[Name], rows: Sequence[Row]) -> None:
    """Add these names and these rows, in their order."""
    columns: list[Any] = [
        array([one.id for one in names]),
        array([one.subject_id for one in names]),
        array([one.secret.hex() for one in names]),
        array([one.mac for one in names]),
        array([one.id for one in rows]),
        array([one.at.isoformat() for one in rows]),
        array([one.whose_id for one in rows]),
        array([one.company_id for one in rows]),
        [one.actor_kind for one in rows],
        [one.actor_id for one in rows],
        [one.role for one in rows],
        [one.purpose for one in rows],
        [one.reason for one in rows],
        [json.dumps(one.envelopes) for one in rows],
        array([one.count for one in rows]),
        array([one.detail.hex() for one in rows]),
        array([one.encoding for one in rows]),
        array([one.mac for one in rows]),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, columns)
