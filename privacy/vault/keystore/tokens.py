"""Tokens in the key store: placed with a key, moved on with its successor, looked up.

A unique token that no living row stands behind (a crash between the two commits) would block its value
for ever; it is taken over by compare-and-swap as soon as the save that placed it can commit no row any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from privacy.vault import in_use
from privacy.vault.index import Blind, Entry, Exact
from privacy.vault.keystore.datakey import Wanted
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.results import ValueTaken
from privacy.vault.typecasts import array

MOST_FOUND = 200

_ROWS = """unnest(%s::text[], %s::uuid[], %s::bigint[], %s::boolean[])
     WITH ORDINALITY AS u(field, record, key, is_unique, i)"""
_VALUE = "substring(%s::bytea from (u.i::int - 1) * 16 + 1 for 16)"

Place = tuple[Entry, UUID, int]


def _parameters(places: Sequence[Place]) -> list[Any]:
    return [
        array(entry.field for entry, _, _ in places),
        array(record for _, record, _ in places),
        array(key for _, _, key in places),
        array(entry.is_unique for entry, _, _ in places),
    ]


def _values(places: Sequence[Place]) -> bytes:
    return b"".join([entry.value for entry, _, _ in places])


def place(cur: CursorWrapper, wanted: Sequence[Wanted], ours: frozenset[UUID]) -> None:
    """Place the tokens of new keys in the transaction that makes the keys; `ours` are all records of
    this save. Raises ValueTaken."""
    kept = [(entry, w.record, w.number) for w in wanted if w.replaces for entry in w.entries]
    new = [(entry, w.record, w.number) for w in wanted if not w.replaces for entry in w.entries]
    if kept:
        cur.execute(
            f"""WITH n AS (SELECT u.*, {_VALUE} AS value FROM {_ROWS})
                UPDATE vault_token t SET next_key = n.key FROM n
                WHERE t.record = n.record AND t.field = n.field AND t.value = n.value RETURNING n.i""",  # noqa: S608
            [_values(kept), *_parameters(kept)],
        )
        carried = {row[0] for row in cur.fetchall()}
        new += [kept[i - 1] for i in range(1, len(kept) + 1) if i not in carried]
    if not new:
        return
    for start in range(0, len(new), 20_000):
        _insert(cur, new[start : start + 20_000], ours)


def move_on(cur: CursorWrapper, ended: Sequence[int], *, records: Sequence[UUID]) -> None:
    """Give the tokens of ended keys to the keys that take them over; forget ended keys that were to take one over."""
    cur.execute(
        """UPDATE vault_token SET key = CASE WHEN next_key = ANY(%s::bigint[]) THEN key ELSE next_key END, next_key = NULL
           WHERE record = ANY(%s::uuid[]) AND next_key IS NOT NULL
             AND (key = ANY(%s::bigint[]) OR next_key = ANY(%s::bigint[]))""",
        [numbers := array(ended), array(records), numbers, numbers],
    )


def settle(cur: CursorWrapper, places: Sequence[Place], going: Sequence[int]) -> None:
    """Give tokens of keys that are about to go, if a later key has asked for them, to the committed keys in between."""
    cur.execute(
        f"""WITH n AS (SELECT u.*, {_VALUE} AS value FROM {_ROWS})
            UPDATE vault_token t SET key = n.key FROM n
            WHERE t.record = n.record AND t.field = n.field AND t.value = n.value
              AND t.key = ANY(%s::bigint[]) AND t.next_key <> n.key""",  # noqa: S608
        [_values(places), *_parameters(places), array(going)],
    )


def delete(cur: CursorWrapper, numbers: Sequence[int], *, records: Sequence[UUID]) -> None:
    """Delete the tokens of these keys, which are of these records."""
    cur.execute(
        "DELETE FROM vault_token WHERE record = ANY(%s::uuid[]) AND key = ANY(%s::bigint[])",
        [array(records), array(numbers)],
    )


def add(places: Sequence[Place]) -> int:
    """Place the tokens that are not there yet beside keys that live, in a transaction of their own; return how many.

    For indexes that no record must have to itself. The caller holds the rows that name the keys.
    """
    if not places:
        return 0
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        # The lock waits for whoever destroys the key, and then finds it destroyed.
        cur.execute(
            f"""WITH n AS (SELECT u.*, {_VALUE} AS value FROM {_ROWS}),
                     d AS (SELECT id FROM vault_datakey WHERE id IN (SELECT key FROM n) AND destroyed_at IS NULL
                           ORDER BY id FOR SHARE)
                INSERT INTO vault_token (field, value, record, key, is_unique)
                SELECT n.field, n.value, n.record, n.key, false FROM n JOIN d ON d.id = n.key
                WHERE NOT EXISTS (SELECT 1 FROM vault_token t
                                  WHERE t.record = n.record AND t.field = n.field AND t.value = n.value)""",  # noqa: S608
            [_values(places), *_parameters(places)],
        )
        return int(cur.rowcount)


def known(blind: Blind, records: Sequence[UUID]) -> set[UUID]:
    """Return those of the records that have a token of this index."""
    with cursor() as cur:
        cur.execute(
            "SELECT DISTINCT record FROM vault_token WHERE record = ANY(%s::uuid[]) AND field = %s",
            [array(records), blind.stored_as],
        )
        return {row[0] for row in cur.fetchall()}


def _insert(cur: CursorWrapper, new: Sequence[Place], ours: frozenset[UUID]) -> None:
    cur.execute(
        f"""INSERT INTO vault_token (field, value, record, key, is_unique)
            SELECT u.field, {_VALUE}, u.record, u.key, u.is_unique FROM {_ROWS}
            ON CONFLICT (field, value) WHERE is_unique DO NOTHING RETURNING key, field, value""",  # noqa: S608
        [_values(new), *_parameters(new)],
    )
    if cur.rowcount != len(new):
        placed = {(key, field, bytes(value)) for key, field, value in cur.fetchall()}
        for entry, record, key in new:
            if (key, entry.field, entry.value) not in placed:
                _take_over(cur, entry, record, key, ours)


def _take_over(cur: CursorWrapper, entry: Entry, record: UUID, key: int, ours: frozenset[UUID]) -> None:
    cur.execute(
        """SELECT t.id, t.record, t.key, t.next_key, d.label, d.envelope,
                  d.created_at < now() - %s::interval AS is_old
           FROM vault_token t LEFT JOIN vault_datakey d ON d.id = t.key
           WHERE t.field = %s AND t.value = %s AND t.is_unique""",
        [f"{in_use.GRACE.total_seconds()} seconds", entry.field, entry.value],
    )
    row = cur.fetchone()
    if row is not None:
        token, dead, old, following, label, envelope, is_old = row
        # First the lock, then the row: who committed it in between is seen.
        is_over = is_old or (dead not in ours and label is not None and not in_use.is_under_way(entry.value, label))
        if label is None or (is_over and not _is_alive(label, envelope, dead, (old, following))):
            cur.execute(
                "UPDATE vault_token SET record = %s, key = %s, next_key = NULL "
                "WHERE id = %s AND record = %s AND key = %s",
                [str(record), key, token, str(dead), old],
            )
            if cur.rowcount:
                return
    raise ValueTaken(f"Another record holds this value of {entry.field}.")


def _is_alive(label: str, envelope: str, record: UUID, numbers: tuple[int, int | None]) -> bool:
    named = in_use.named(label, envelope, [record])
    number = named.get(record) if named is not None else numbers[0]
    return number is not None and number in numbers


_FIND = """SELECT record, key, next_key FROM vault_token
WHERE field = %s AND value = ANY(%s::bytea[]) ORDER BY record DESC LIMIT %s"""
_OF_WORD = """SELECT record, k FROM vault_token, unnest(ARRAY[key, next_key]) k
WHERE field = %s AND value = ANY(%s::bytea[]) AND k IS NOT NULL"""


def find(blind: Blind, value: str, most: int = MOST_FOUND) -> tuple[set[UUID], set[int]]:
    """Return the ids of at most `most` records whose tokens match, and the keys those tokens belong to."""
    groups = blind.looked_up(value)
    if not groups:
        return set(), set()
    with cursor() as cur:
        if len(groups) == 1:
            cur.execute(_FIND, [blind.stored_as, groups[0], 2 * most])
            rows = [(record, k) for record, *both in cur.fetchall() for k in both if k is not None]
        else:
            # one word of several may be common: intersect in the key store, before the cap
            parts = " INTERSECT ".join([_OF_WORD] * len(groups))
            parameters = [part for group in groups for part in (blind.stored_as, group)]
            cur.execute(f"SELECT record, k FROM ({parts}) m ORDER BY record DESC LIMIT %s", [*parameters, 2 * most])  # noqa: S608
            rows = cur.fetchall()
    records: set[UUID] = set()
    numbers: set[int] = set()
    for record, number in rows:
        if record in records or len(records) < most:
            records.add(record)
            numbers.add(number)
    return records, numbers


class Hit(NamedTuple):
    """A token that was looked for: the values that it may stand for, its record, and the keys that it belongs to."""

    values: list[str]
    record: UUID
    keys: list[int]


_MATCHING = """SELECT f.field, f.value, f.record, f.key, f.next_key
FROM unnest(%s::text[]) AS w(field) CROSS JOIN LATERAL (
    SELECT t.field, t.value, t.record, t.key, t.next_key FROM vault_token t
    WHERE t.field = w.field AND t.value = ANY(%s::bytea[]) ORDER BY t.record DESC LIMIT %s) f"""


def matching(wanted: Sequence[tuple[Exact, Collection[str]]], *, most: int | None) -> list[list[Hit]]:
    """Return, for each index, the tokens that match one of its values, of at most `most` records; one query.

    What a record holds is another question: `privacy.vault.finding` opens it.
    """
    # A token is made with the key of its field: it matches in no other.
    asked: list[dict[bytes, list[str]]] = []
    for blind, values in wanted:
        stands_for: dict[bytes, list[str]] = {}
        for value in values:
            for token in (token for group in blind.looked_up(value) for token in group):
                stands_for.setdefault(token, []).append(value)
        asked.append(stands_for)
    fields = sorted({blind.stored_as for (blind, _), tokens in zip(wanted, asked, strict=True) if tokens})
    if not fields:
        return [[] for _ in wanted]
    with cursor() as cur:
        every = list({token for tokens in asked for token in tokens})
        # A telephone number stands under two texts.
        cur.execute(_MATCHING, [array(fields), every, None if most is None else 2 * most])
        rows = [(field, bytes(value), record, numbers) for field, value, record, *numbers in cur.fetchall()]
    return [
        _at_most(
            most,
            [
                Hit(tokens[value], record, [number for number in numbers if number is not None])
                for field, value, record, numbers in rows
                if field == blind.stored_as and value in tokens
            ],
        )
        for (blind, _), tokens in zip(wanted, asked, strict=True)
    ]


def _at_most(most: int | None, hits: list[Hit]) -> list[Hit]:
    kept = set(list(dict.fromkeys(hit.record for hit in hits))[:most])
    return [hit for hit in hits if hit.record in kept]
