"""Rotation: every data key wrapped again under the ring's current version; no data is touched.

It may be killed and started again at any point: each chunk commits for itself, and a key that changed
meanwhile (destroyed, handed over) is left alone. When no key hangs on an old version, `keyring retire`
takes the version out of the ring; from then on no backup of the key store made before can be opened with
this ring, which bounds how long a destroyed key survives in backups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from privacy.calendar import undated
from privacy.vault import ring as rings
from privacy.vault.keystore.binding import NO_ID, bound
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.typecasts import array

CHUNK = 2_000
FIRST = -(2**63)

_WAITING = """
SELECT id, kek, envelope, owner_kind,
       encode(int8send(id) || uuid_send(record) || coalesce(uuid_send(owner_id), %s) || wrapped, 'hex')
FROM vault_datakey WHERE id > %s AND kek <> %s AND wrapped IS NOT NULL ORDER BY id LIMIT %s
"""
# Guarded by the old nonce, which no other wrapping has: a key destroyed, handed over or wrapped by another run is not
# touched.
_REWRAP = """
UPDATE vault_datakey d SET kek = %s, wrapped = substring(%s::bytea from (n.i::int - 1) * 60 + 1 for 60)
FROM unnest(%s::bigint[]) WITH ORDINALITY AS n(id, i)
WHERE d.id = n.id AND substring(d.wrapped for 12) = substring(%s::bytea from (n.i::int - 1) * 12 + 1 for 12)
"""
Row = tuple[int, int, str, str, str]  # id, version, envelope, owner kind, hex of id, record, owner and wrapped key


class Progress(NamedTuple):
    """One chunk: how many keys were looked at and how many now hang on the current version."""

    seen: int
    wrapped: int


def waiting() -> dict[int, int]:
    """Return how many live keys hang on each version."""
    with cursor() as cur:
        cur.execute("SELECT kek, count(*) FROM vault_datakey WHERE wrapped IS NOT NULL GROUP BY kek ORDER BY kek")
        return dict(cur.fetchall())


def first_destroyed(after: datetime) -> datetime | None:
    """Return when the first of the keys was destroyed that were destroyed after that moment; None when none was. A
    moment that no calendar has says nothing."""
    with cursor() as cur:
        cur.execute(
            "SELECT min(destroyed_at) FROM vault_datakey WHERE destroyed_at > %s AND destroyed_at < %s",
            [after, undated.LAST],
        )
        found: datetime | None = cur.fetchone()[0]
    return found


def close(current: int) -> int:
    """Refuse from now on every key wrapped under an older version than `current`; return how many hang on one still.

    With 0 the older versions can go: whoever was writing has finished, whoever comes is refused by the database.
    Otherwise nothing was changed.
    """
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute("LOCK TABLE vault_datakey IN SHARE MODE")  # waits for the writers under way, lets nobody write
        cur.execute("SELECT count(*) FROM vault_datakey WHERE wrapped IS NOT NULL AND kek < %s", [current])
        (left,) = cur.fetchone()
        if not left:
            cur.execute("UPDATE vault_keystoreidentity SET lowest_kek = %s", [current])
    return int(left)


def waiting_rows(cur: CursorWrapper, current: int, *, after: int = FIRST, most: int = CHUNK) -> list[Row]:
    """Return the keys of other versions than `current`, in the order of their ids, as `rewrapped` takes them."""
    cur.execute(_WAITING, [NO_ID, after, current, most])
    rows: list[Row] = cur.fetchall()
    return rows


def rewrapped(ring: rings.Ring, rows: Sequence[Row]) -> tuple[list[bytes], list[bytes]]:
    """Return the keys wrapped under the current version, and the nonces of the old wrappings.

    Raises VersionUnknown or WrapBroken at a key that the ring cannot open.
    """
    rewrap, from_hex = ring.rewrap, bytes.fromhex  # looked up once
    fresh, old = [], []
    for _, version, envelope, kind, text in rows:
        secret = from_hex(text)  # id 8 | record 16 | owner 16 | wrapped 60
        wrapped = secret[40:]
        fresh.append(rewrap(version, wrapped, bound(secret[:24], envelope, kind, secret[24:40])))
        old.append(wrapped[:12])
    return fresh, old


def rotate(*, chunk: int = CHUNK) -> Iterator[Progress]:
    """Wrap all keys of older versions again, yielding after each committed chunk.

    Raises VersionUnknown or WrapBroken at a key that the ring cannot open; what was done until then stays.
    """
    ring = rings.current()
    last = FIRST
    while True:
        with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
            rows = waiting_rows(cur, ring.current, after=last, most=chunk)
            if not rows:
                return
            fresh, old = rewrapped(ring, rows)
            cur.execute(_REWRAP, [ring.current, b"".join(fresh), array(row[0] for row in rows), b"".join(old)])
            changed = cur.rowcount
        last = rows[-1][0]
        yield Progress(len(rows), changed)
