"""Rotation: every data key wrapped again under the ring's current version; no data is touched.

It may be killed and started again at any point: each chunk commits for itself, and a key that changed
meanwhile (destroyed, handed over) is left alone. When no key hangs on an old version, `keyring retire`
takes the version out of the ring; from then on no backup of the key store made before can be opened with
this ring, which bounds how long a destroyed key survives in backups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.db import transaction

from privacy.vault import ring as rings
from privacy.vault.making import bound
from privacy.vault.sql import KEYSTORE, array, cursor

CHUNK = 2_000
_FIRST = -(2**63)


class Progress(NamedTuple):
    """One chunk: how many keys were looked at and how many now hang on the current version."""

    seen: int
    wrapped: int


def waiting() -> dict[int, int]:
    """Return how many live keys hang on each version."""
    with cursor() as cur:
        cur.execute("SELECT kek, count(*) FROM vault_datakey WHERE wrapped IS NOT NULL GROUP BY kek ORDER BY kek")
        return dict(cur.fetchall())


def rotate(*, chunk: int = CHUNK) -> Iterator[Progress]:
    """Wrap all keys of older versions again, yielding after each committed chunk.

    Raises VersionUnknown or WrapBroken at a key that the ring cannot open; what was done until then stays.
    """
    ring = rings.current()
    last = _FIRST
    while True:
        with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
            cur.execute(
                """SELECT id, record, envelope, owner_kind, owner_id, kek, encode(wrapped, 'hex')
                   FROM vault_datakey WHERE id > %s AND kek <> %s AND wrapped IS NOT NULL ORDER BY id LIMIT %s""",
                [last, ring.current, chunk],
            )
            rows = cur.fetchall()
            if not rows:
                return
            fresh = []
            for number, record, envelope, kind, owner_id, version, wrapped in rows:
                context = bound(number, record, envelope, (kind, owner_id))
                fresh.append(ring.wrap(ring.unwrap(version, bytes.fromhex(wrapped), context), context)[1])
            # guarded by the old bytes: a key destroyed, handed over or wrapped by another run is not touched
            cur.execute(
                """UPDATE vault_datakey d
                   SET kek = %s, wrapped = substring(%s::bytea from (n.i::int - 1) * 60 + 1 for 60)
                   FROM unnest(%s::bigint[], %s::int[], %s::text[]) WITH ORDINALITY AS n(id, kek, was, i)
                   WHERE d.id = n.id AND d.kek = n.kek AND d.wrapped = decode(n.was, 'hex')""",
                [
                    ring.current,
                    b"".join(fresh),
                    array(row[0] for row in rows),
                    array(row[5] for row in rows),
                    array(row[6] for row in rows),
                ],
            )
            changed = cur.rowcount
        last = rows[-1][0]
        yield Progress(len(rows), changed)
