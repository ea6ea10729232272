"""The loading of data keys: one query for a whole result set, unwrapped for one unit of work.

Must never happen: a key that opens for a record, an envelope or an owner that it was not wrapped for. The row that
names a key says which record and envelope it is; a key of another does not unwrap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hmac import compare_digest
from typing import Any
from uuid import UUID

from privacy.calendar import undated
from privacy.vault import ring as rings
from privacy.vault.ids import from_int
from privacy.vault.keystore.binding import NO_ID, bound, commitment
from privacy.vault.keystore.datakey import OpenKey, Pair
from privacy.vault.keystore.sql import cursor
from privacy.vault.results import FOREIGN, Erased, Unreadable
from privacy.vault.typecasts import array

_LOAD = """
SELECT id, kek, owner_kind, restriction, encode(coalesce(uuid_send(owner_id), %s) || wrapped || commitment, 'hex'),
       destroyed_at
FROM vault_datakey WHERE id = ANY(%s::bigint[])
"""
_NAMED = """
SELECT id, kek, owner_kind, restriction, encode(coalesce(uuid_send(owner_id), %s) || wrapped || commitment, 'hex'),
       destroyed_at, record
FROM vault_datakey
WHERE record = ANY(%s::uuid[]) AND envelope = %s AND superseded_by IS NULL AND destroyed_at IS NULL
"""
_AND_ERASED = """
UNION ALL SELECT NULL, 0, envelope, record::text, NULL, destroyed_at FROM vault_datakey
WHERE record = ANY(%s::uuid[]) AND superseded_by IS NULL AND destroyed_at IS NOT NULL AND label <> ''
"""


def load(asked: Sequence[tuple[int, UUID, str]]) -> dict[int, OpenKey | Unreadable]:
    """Return what is known of each (key id, record, envelope), with one query; see `load_and_erased`."""
    return load_and_erased(asked, ())[0] if asked else {}


def load_and_erased(
    asked: Sequence[tuple[int, UUID, str]], records: Collection[UUID]
) -> tuple[dict[int, OpenKey | Unreadable], dict[Pair, Erased]]:
    """Return what is known of each (key id, record, envelope), with one query. Absent: no such key.

    The record and the envelope are those of the row that names the key: a key of another record does not
    unwrap and comes back as Foreign, a destroyed one as Erased. Raises DatabaseError when the key store
    is down.

    The same query answers for `records` which of their envelopes were erased, and when: a row whose
    bytes are gone names no key. A pair that was only marked, because it never had a key, is not among
    them: there was nothing to erase.
    """
    found: dict[int, OpenKey | Unreadable] = {}
    erased: dict[Pair, Erased] = {}
    numbers = array([number for number, _, _ in asked])
    # One key that ended on a day that no calendar has is Erased like any other, and stops none that is loaded with it.
    with undated.leniently(), cursor() as cur:
        if records:
            cur.execute(_LOAD + _AND_ERASED, [NO_ID, numbers, array(records)])
        else:
            cur.execute(_LOAD, [NO_ID, numbers])
        rows = {}
        for row in cur.fetchall():
            if row[0] is None:
                pair = UUID(row[3]), row[2]
                erased[pair] = Erased(row[5], pair)
            else:
                rows[row[0]] = row
    unwrap = rings.current().unwrap  # looked up once
    for number, record, envelope in asked:
        if (row := rows.get(number)) is not None:
            key = _opened(unwrap, row, record, envelope)
            if key is FOREIGN:
                found.setdefault(number, key)
            else:
                found[number] = key
    return found, erased


def load_named(records: Collection[UUID], envelope: str) -> dict[UUID, OpenKey | Unreadable]:
    """Return the keys in use of this envelope of these records, with one query, for who has no rows that name them; as
    `load` returns each. Absent: none is alive."""
    with cursor() as cur:
        cur.execute(_NAMED, [NO_ID, array(records), envelope])
        rows = cur.fetchall()
    unwrap = rings.current().unwrap
    return {row[6]: _opened(unwrap, row, row[6], envelope) for row in rows}


def _opened(
    unwrap: Callable[[int, bytes, bytes], bytes], row: tuple[Any, ...], record: UUID, envelope: str
) -> OpenKey | Unreadable:
    number, kek, kind, restriction, text, destroyed_at = row[:6]
    if text is None:
        return Erased(destroyed_at, (record, envelope))
    secret = bytes.fromhex(text)  # owner 16 | wrapped 60 | commitment 16
    owner = secret[:16]
    name = bound(number.to_bytes(8, "big", signed=True) + record.bytes, envelope, kind, owner)
    try:
        data_key = unwrap(kek, secret[16:76], name)
    except (rings.WrapBroken, rings.VersionUnknown):
        # a version that was retired too early is an alarm of its own (`keyring status`), not an erasure
        return FOREIGN
    if not compare_digest(commitment(data_key), secret[76:]):
        return FOREIGN
    return OpenKey(
        number, data_key, kind, from_int(int.from_bytes(owner, "big")) if owner != NO_ID else None, restriction
    )
