"""Data keys: made, loaded, superseded, destroyed, handed over.

Must never happen: a data row whose key was never committed (so keys commit first, in a transaction of
their own), a key destroyed while a row still needs it (so a superseded key goes only after the row that
names its successor has committed), or a new key for an erased pair (the unique index in `models` holds
the place of the destroyed one). What a crash leaves half-done the key collector finishes; a destroyed key
cannot be undone.
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

from privacy.vault import ledger
from privacy.vault import ring as rings
from privacy.vault.making import CHUNK, NOBODY, OpenKey, Owner, Pair, Wanted, bound, load, load_and_erased, lock, make
from privacy.vault.sql import KEYSTORE, array, cursor

__all__ = [
    "NOBODY",
    "OpenKey",
    "Owner",
    "Pair",
    "Wanted",
    "alive",
    "destroy",
    "destroy_again",
    "destroyed",
    "finish",
    "hand_over",
    "is_destroyed",
    "load",
    "load_and_erased",
    "make",
    "owners",
    "reowner",
    "restrict",
    "restricted",
    "restrictions",
    "strangers",
]


def finish(numbers: Sequence[int], records: Sequence[UUID]) -> int:
    """Destroy what the committed keys `numbers` superseded and move the tokens on; return how many went.

    Called after the data that names `numbers` has committed; the collector calls it for those a crash left.
    """
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute(
            """SELECT id FROM vault_datakey WHERE record = ANY(%s::uuid[]) AND superseded_by = ANY(%s::bigint[])
               AND destroyed_at IS NULL ORDER BY id FOR UPDATE""",
            [array(records), array(numbers)],
        )
        cur.execute(
            "UPDATE vault_token SET key = next_key, next_key = NULL "
            "WHERE record = ANY(%s::uuid[]) AND next_key = ANY(%s::bigint[])",
            [array(records), array(numbers)],
        )
        cur.execute(
            """UPDATE vault_datakey SET wrapped = NULL, destroyed_at = now(), owner_kind = 'none', owner_id = NULL
               WHERE record = ANY(%s::uuid[]) AND superseded_by = ANY(%s::bigint[]) AND destroyed_at IS NULL
               RETURNING id""",
            [array(records), array(numbers)],
        )
        gone = [row[0] for row in cur.fetchall()]
        if gone:
            cur.execute(
                "DELETE FROM vault_token WHERE record = ANY(%s::uuid[]) AND key = ANY(%s::bigint[])",
                [array(records), array(gone)],
            )
            ledger.note_destroyed(cur, gone, now=None)
    return len(gone)


_DESTROY = """
UPDATE vault_datakey SET wrapped = NULL, destroyed_at = %s, owner_kind = 'none', owner_id = NULL
WHERE id = ANY(%s::bigint[]) AND destroyed_at IS NULL
"""
_MARK = """
INSERT INTO vault_datakey (id, record, envelope, label, owner_kind, kek, commitment, destroyed_at)
SELECT t.id, t.record, t.envelope, '', 'none', 0, '', %s
FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) AS t(id, record, envelope)
ON CONFLICT DO NOTHING RETURNING id
"""


def destroy(pairs: Iterable[Pair], *, now: datetime) -> int:
    """Destroy the keys and tokens of (record, envelope) pairs for good; return how many keys went (Art. 17).

    Twice is once. A pair that never had a key is marked as well, so that it never gets one.
    """
    listed = sorted(set(pairs))
    return sum(_destroy(listed[start : start + CHUNK], now) for start in range(0, len(listed), CHUNK))


def _destroy(pairs: list[Pair], now: datetime) -> int:
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        gone, touched = _end_pairs(cur, pairs, now)
        ledger.note_destroyed(cur, touched, now=now)
    return gone


def _end_pairs(cur: CursorWrapper, pairs: Sequence[Pair], now: datetime) -> tuple[int, list[int]]:
    """Destroy the live keys of the pairs and mark those without; return how many, and the ids of all rows touched."""
    arrays = [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)]
    gone: list[int] = []
    marked: list[int] = []
    while True:
        # a correction may commit a new key while we wait for the old one's lock, unseen by this
        # statement: look again until no live key is left
        live = lock(cur, *arrays)
        if live:
            cur.execute(_DESTROY, [now, array(live)])
            gone += live
        ids = [int.from_bytes(os.urandom(8), "big", signed=True) for _ in pairs]
        cur.execute(_MARK, [now, array(ids), *arrays])
        marked += [row[0] for row in cur.fetchall()]
        if not live and not cur.rowcount:
            break
    cur.execute(
        """DELETE FROM vault_token t USING vault_datakey d
           WHERE t.record = ANY(%s::uuid[]) AND d.id = t.key AND d.destroyed_at IS NOT NULL""",
        arrays[:1],
    )
    return len(gone), [*gone, *marked]


def alive(pairs: Sequence[Pair]) -> list[int]:
    """Return the ids of the live keys of these pairs."""
    with cursor() as cur:
        cur.execute(
            """SELECT d.id FROM vault_datakey d JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope)
               USING (record, envelope) WHERE d.destroyed_at IS NULL""",
            [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)],
        )
        return [row[0] for row in cur.fetchall()]


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

    A replaced key leaves its pair's place free, because its successor came after the backup. Twice is once.
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
        cur.execute(
            """UPDATE vault_datakey SET wrapped = NULL, destroyed_at = %s, owner_kind = 'none', owner_id = NULL,
                      superseded_by = coalesce(superseded_by, id)
               WHERE id = ANY(%s::bigint[]) AND destroyed_at IS NULL""",
            [at, array(replaced)],
        )
        cur.execute("DELETE FROM vault_token WHERE key = ANY(%s::bigint[])", [array(replaced)])
        touched = _end_pairs(cur, sorted(set(pairs)), at)[1] if pairs else []
        # keys that an earlier line had destroyed for good stay with that line
        ledger.stamp(cur, [*replaced, *touched], row[0])


def is_destroyed(record: UUID, envelope: str) -> bool:
    """Tell whether the pair was erased; a key that a correction replaced does not count."""
    return bool(destroyed([(record, envelope)]))


def destroyed(pairs: Sequence[Pair]) -> set[Pair]:
    """Return those of the pairs that were erased."""
    with cursor() as cur:
        cur.execute(
            """SELECT d.record, d.envelope FROM vault_datakey d
               JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope) USING (record, envelope)
               WHERE d.superseded_by IS NULL AND d.destroyed_at IS NOT NULL""",
            [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)],
        )
        return {(record, envelope) for record, envelope in cur.fetchall()}


def restrict(states: Mapping[Pair, str]) -> list[Pair]:
    """Set the restriction of the live keys of these pairs, "" to lift it; return the pairs that changed (design 10).

    Committed at once: a restriction that a rolled back transaction set stands until it is looked at again, never the
    other way round.
    """
    listed = sorted(states)
    changed: list[Pair] = []
    for start in range(0, len(listed), CHUNK):
        pairs = listed[start : start + CHUNK]
        arrays = [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)]
        with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
            lock(cur, *arrays)
            cur.execute(
                """UPDATE vault_datakey d SET restriction = coalesce(n.restriction, '')
                   FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS n(record, envelope, restriction)
                   WHERE d.record = n.record AND d.envelope = n.envelope AND d.destroyed_at IS NULL
                     AND d.restriction <> coalesce(n.restriction, '') RETURNING d.record, d.envelope""",
                [*arrays, array(states[pair] or None for pair in pairs)],
            )
            changed += {(record, envelope) for record, envelope in cur.fetchall()}
    return changed


def restrictions(records: Iterable[UUID]) -> dict[Pair, str]:
    """Return the restricted pairs of these records with their codes; one query."""
    with cursor() as cur:
        cur.execute(
            """SELECT record, envelope, restriction FROM vault_datakey
               WHERE record = ANY(%s::uuid[]) AND restriction <> '' AND destroyed_at IS NULL""",
            [array(records)],
        )
        return {(record, envelope): code for record, envelope, code in cur.fetchall()}


def restricted(*, after: UUID | None = None, most: int = CHUNK) -> list[tuple[UUID, str]]:
    """Return (record, label) of restricted records in the order of their ids, at most so many, after that one."""
    with cursor() as cur:
        cur.execute(
            """SELECT DISTINCT record, label FROM vault_datakey
               WHERE restriction <> '' AND destroyed_at IS NULL AND record > %s ORDER BY record LIMIT %s""",
            [str(after or UUID(int=0)), most],
        )
        rows: list[tuple[UUID, str]] = cur.fetchall()
    return rows


def owners(records: Iterable[UUID]) -> dict[UUID, Owner]:
    """Return whose the live keys of these records are; one query for any number."""
    with cursor() as cur:
        cur.execute(
            """SELECT DISTINCT record, owner_kind, owner_id FROM vault_datakey
               WHERE record = ANY(%s::uuid[]) AND destroyed_at IS NULL""",
            [array(records)],
        )
        return {record: (kind, owner) for record, kind, owner in cur.fetchall()}


def strangers(wanted: Mapping[UUID, Owner]) -> set[UUID]:
    """Return the records of which a live key is of another owner than is said here; one query for any number.

    Whose a key is, is bound to it: who can write to the main database alone cannot change it.
    """
    if not wanted:
        return set()
    with cursor() as cur:
        cur.execute(
            """SELECT DISTINCT d.record, d.owner_kind, d.owner_id FROM vault_datakey d
               WHERE d.record = ANY(%s::uuid[]) AND d.destroyed_at IS NULL""",
            [array(wanted)],
        )
        return {record for record, kind, owner in cur.fetchall() if (kind, owner) != wanted[record]}


def reowner(old: Owner, new: Owner) -> int:
    """Hand all keys of one owner to another by re-wrapping them; data stays as it is. Return how many."""
    return _hand_over("owner_kind = %s AND owner_id = %s::uuid", [old[0], str(old[1])], new)


def hand_over(records: Iterable[UUID], new: Owner, *, of: Iterable[Owner]) -> int:
    """Give the keys of these records that are one of `of`'s to a new owner (a contact claims its account). Return how many.

    A key of anybody else stays where it is: the main database alone does not say whose a record is.
    """
    former = list(of)
    return _hand_over(
        """record = ANY(%s::uuid[]) AND EXISTS (
           SELECT 1 FROM unnest(%s::text[], %s::uuid[]) AS f(kind, id)
           WHERE f.kind = owner_kind AND f.id IS NOT DISTINCT FROM owner_id)""",
        [array(records), array(kind for kind, _ in former), array(number for _, number in former)],
        new,
    )


def _hand_over(where: str, parameters: Sequence[Any], new: Owner) -> int:
    ring = rings.current()
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute(
            f"""SELECT id, record, envelope, owner_kind, owner_id, kek, encode(wrapped, 'hex') FROM vault_datakey
                WHERE {where} AND wrapped IS NOT NULL ORDER BY id FOR UPDATE""",  # noqa: S608 (constants above)
            parameters,
        )
        rows = cur.fetchall()
        rewrapped = []
        kek = ring.current
        for number, record, envelope, kind, owner_id, version, wrapped in rows:
            data_key = ring.unwrap(version, bytes.fromhex(wrapped), bound(number, record, envelope, (kind, owner_id)))
            kek, fresh = ring.wrap(data_key, bound(number, record, envelope, new))
            rewrapped.append((number, fresh))
        cur.execute(
            """UPDATE vault_datakey d SET owner_kind = %s, owner_id = %s::uuid, kek = %s,
                      wrapped = substring(%s::bytea from (n.i::int - 1) * 60 + 1 for 60)
               FROM unnest(%s::bigint[]) WITH ORDINALITY AS n(id, i) WHERE d.id = n.id""",
            [
                new[0],
                str(new[1]) if new[1] else None,
                kek,
                b"".join(fresh for _, fresh in rewrapped),
                array(number for number, _ in rewrapped),
            ],
        )
    return len(rows)
