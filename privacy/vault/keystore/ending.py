"""The end of data keys: what was sealed under them is read by nobody again, in any copy of the
main database (Art. 16, 17).

Must never happen: a key destroyed while a row still needs it, one that ends without a line of the ledger, or a token
that outlives its key. So `end` alone destroys keys; it settles their tokens and writes the ledger in the same
transaction, and all other functions, here and in the key collector, only choose which keys. A superseded key ends after
the row that names its successor has committed. A destroyed key cannot be brought back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from privacy.vault.keystore import ledger, tokens
from privacy.vault.keystore.datakey import Pair
from privacy.vault.keystore.locks import CHUNK, lock
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.typecasts import array

_END = """
UPDATE vault_datakey SET wrapped = NULL, destroyed_at = coalesce(%s, now()), owner_kind = 'none', owner_id = NULL,
       superseded_by = coalesce(%s, superseded_by, CASE WHEN %s THEN id END)
WHERE id = ANY(%s::bigint[]) AND destroyed_at IS NULL RETURNING id, record
"""


def end(
    cur: CursorWrapper,
    numbers: Sequence[int],
    *,
    at: datetime | None = None,
    line: int | None = None,
    marked: Sequence[int] = (),
    successor: int | None = None,
    frees_place: bool = False,
) -> int:
    """Destroy keys in the transaction of `cur`, settle their tokens and write the ledger; return
    how many were destroyed now.

    The tokens go to the keys that take them over, where these live on, else they are deleted. The ledger gets one line
    for all, or `line` is the one that tells of them; it tells of the keys in `marked` too, which `mark` has made. `at`
    is the moment by the caller's clock, None by that of the key store. `successor` is the key that stands in their
    place; with `frees_place` their envelopes may get new keys, otherwise an erased pair never does.
    """
    gone: list[int] = []
    if numbers:
        cur.execute(_END, [at, successor, frees_place, array(numbers)])
        rows = cur.fetchall()
        gone = [number for number, _ in rows]
        records = list({record for _, record in rows})
        tokens.move_on(cur, gone, records=records)
        tokens.delete(cur, gone, records=records)
    told = [*gone, *marked]
    if told:
        ledger.stamp(cur, told, ledger.note_destroyed(cur, len(told), now=at) if line is None else line)
    return len(gone)


_MARK = """
INSERT INTO vault_datakey (id, record, envelope, label, owner_kind, kek, commitment, destroyed_at)
SELECT t.id, t.record, t.envelope, '', 'none', 0, '', %s
FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) AS t(id, record, envelope)
ON CONFLICT DO NOTHING RETURNING id
"""


def _end_pairs(cur: CursorWrapper, pairs: Sequence[Pair], *, at: datetime, line: int | None = None) -> int:
    """End the live keys of the pairs and mark those that never had one; return how many ended."""
    arrays = [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)]
    live: set[int] = set()
    marked: list[int] = []
    while True:
        # a correction may commit a new key while we wait for the old one's lock, unseen by this
        # statement: look again until there is none that was not seen before
        before = len(live)
        live.update(lock(cur, *arrays))
        ids = [int.from_bytes(os.urandom(8), "big", signed=True) for _ in pairs]
        cur.execute(_MARK, [at, array(ids), *arrays])
        marked += [row[0] for row in cur.fetchall()]
        if len(live) == before and not cur.rowcount:
            break
    return end(cur, sorted(live), at=at, line=line, marked=marked)


def destroy(pairs: Iterable[Pair], *, now: datetime) -> int:
    """Destroy the keys and tokens of (record, envelope) pairs for good; return how many keys went (Art. 17).

    Twice is once. A pair that never had a key is marked as well, so that it never gets one.
    """
    listed = sorted(set(pairs))
    count = 0
    for start in range(0, len(listed), CHUNK):
        with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
            count += _end_pairs(cur, listed[start : start + CHUNK], at=now)
    return count


def finish(numbers: Sequence[int], records: Sequence[UUID], places: Sequence[tokens.Place] = ()) -> int:
    """Destroy what the committed keys `numbers` superseded and move the tokens on; return how many went.

    Called after the data that names `numbers` has committed; the key collector ends those that a crash left. `places`
    are the tokens of what is sealed under them: a later key may have asked for these, and its save may still be rolled
    back.
    """
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute(
            """SELECT d.id, s.superseded_by IS NOT NULL FROM vault_datakey d JOIN vault_datakey s ON s.id = d.superseded_by
               WHERE d.record = ANY(%s::uuid[]) AND d.superseded_by = ANY(%s::bigint[]) AND d.destroyed_at IS NULL
               ORDER BY d.id FOR UPDATE OF d""",
            [array(records), array(numbers)],
        )
        rows = cur.fetchall()
        going = [number for number, _ in rows]
        if any(is_followed for _, is_followed in rows):
            tokens.settle(cur, places, going)
        return end(cur, going)


def destroy_again(
    entry: UUID,
    pairs: Sequence[Pair],
    replaced: Sequence[int],
    *,
    kind: str,
    reference: str | None,
    at: datetime,
    counts: Mapping[str, Any],
    content: Mapping[str, Any],
) -> None:
    """Put a line back into the ledger of a restored key store, with its effect: these pairs and replaced keys are gone.

    A replaced key leaves its pair's place free, because its successor came after the backup. Keys that an earlier line
    tells of stay with that line. Twice is once.
    """
    with transaction.atomic(using=KEYSTORE), cursor() as cur:
        cur.execute(
            """INSERT INTO vault_tombstone (entry, kind, reference, at, counts, content)
               VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING seq""",
            [str(entry), kind, reference, at, json.dumps(counts), json.dumps(content if kind == "request" else {})],
        )
        row = cur.fetchone()
        if row is None:
            return
        end(cur, replaced, at=at, line=row[0], frees_place=True)
        if pairs:
            _end_pairs(cur, sorted(set(pairs)), at=at, line=row[0])


def end_again(entry: UUID, numbers: Sequence[int], *, at: datetime, frees_place: bool) -> int:
    """Destroy keys that are alive although the line `entry` tells of their end; return how many went.

    They stay with that line; where the key store has lost it, with a new one.
    """
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute("SELECT seq FROM vault_tombstone WHERE entry = %s", [str(entry)])
        row = cur.fetchone()
        cur.execute(
            """SELECT id FROM vault_datakey WHERE id = ANY(%s::bigint[]) AND destroyed_at IS NULL
               ORDER BY id FOR UPDATE""",
            [array(numbers)],
        )
        alive = [number for (number,) in cur.fetchall()]
        return end(cur, alive, at=at, line=row[0] if row else None, frees_place=frees_place)
