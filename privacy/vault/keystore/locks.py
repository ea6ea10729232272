"""The live keys of pairs, locked in one order for everybody."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from privacy.vault.keystore.datakey import Owner, Pair

CHUNK = 5_000  # pairs of one statement

_LOCK = """
SELECT d.id, d.record, d.envelope, d.restriction, d.owner_kind, d.owner_id, d.superseded_by
FROM vault_datakey d JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope) USING (record, envelope)
WHERE d.destroyed_at IS NULL ORDER BY d.id FOR UPDATE OF d
"""


class Locked(NamedTuple):
    """A live key as it stands in its row."""

    number: int
    record: UUID
    envelope: str
    restriction: str
    owner_kind: str
    owner_id: UUID | None
    superseded_by: int | None

    @property
    def pair(self) -> Pair:
        return self.record, self.envelope

    @property
    def owner(self) -> Owner:
        return self.owner_kind, self.owner_id


def lock(cur: CursorWrapper, records: str, envelopes: str) -> list[int]:
    """Lock the live keys of pairs (no deadlock) and return their ids."""
    return [one.number for one in lock_rows(cur, records, envelopes)]


def lock_rows(cur: CursorWrapper, records: str, envelopes: str) -> list[Locked]:
    """Lock the live keys of pairs as `lock` does and return their rows."""
    cur.execute(_LOCK, [records, envelopes])
    return [Locked(*row) for row in cur.fetchall()]
