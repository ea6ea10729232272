"""The loading of data keys: one query for a whole result set, unwrapped for one unit of work.

Must never happen: a key that opens for a record, an envelope or an owner that it was not wrapped for. The row that
names a key says which record and envelope it is; a key of another does not unwrap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hmac import compare_digest
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
    unwrap, to_int = rings.current().unwrap, int.from_bytes  # looked up once
    for number, record, envelope in asked:
        row = rows.get(number)
        if row is None:
            continue
        _, kek, kind, restriction, text, destroyed_at = row
        if text is None:
            found[number] = Erased(destroyed_at, (record, envelope))
            continue
        secret = bytes.fromhex(text)  # owner 16 | wrapped 60 | commitment 16
        owner = secret[:16]
        try:
            data_key = unwrap(
                kek, secret[16:76], bound(number.to_bytes(8, "big", signed=True) + record.bytes, envelope, kind, owner)
            )
        except (rings.WrapBroken, rings.VersionUnknown):
            # a version that was retired too early is an alarm of its own (`keyring status`), not an erasure
            found.setdefault(number, FOREIGN)
            continue
        if compare_digest(commitment(data_key), secret[76:]):
            owner_id = from_int(to_int(owner, "big")) if owner != NO_ID else None
            found[number] = OpenKey(number, data_key, kind, owner_id, restriction)
        else:
            found[number] = FOREIGN
    return found, erased
