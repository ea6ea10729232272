"""Data keys, as the rest of the product uses them: made, loaded and ended elsewhere in this room,
asked about and handed over here.

Must never happen: a key that is of another owner than its binding says, or a restriction that a write passes
by. So a key is wrapped again when it is handed over, and the rows of keys are locked while either is
changed. Both can be set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from privacy.vault import ring as rings
from privacy.vault.in_use import GRACE
from privacy.vault.keystore.binding import NO_ID, bound
from privacy.vault.keystore.datakey import NOBODY, OpenKey, Owner, Pair, Wanted
from privacy.vault.keystore.ending import destroy, destroy_again, end_again, finish
from privacy.vault.keystore.loading import load, load_and_erased, load_named
from privacy.vault.keystore.locks import CHUNK, lock
from privacy.vault.keystore.making import make
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.typecasts import array

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
    "end_again",
    "ever",
    "finish",
    "hand_over",
    "is_destroyed",
    "living",
    "load",
    "load_and_erased",
    "load_named",
    "make",
    "may_be_orphans",
    "owned",
    "owners",
    "people",
    "reowner",
    "restrict",
    "restricted",
    "restrictions",
    "still_sealed",
    "strangers",
]


# What this app keeps about a person for itself (requests, letters, pseudonyms, sealed files) is no record of an app.
_OF_APPS = r"label !~ '^(privacy|vault)\.'"


def alive(pairs: Sequence[Pair]) -> list[int]:
    """Return the ids of the live keys of these pairs."""
    with cursor() as cur:
        cur.execute(
            """SELECT d.id FROM vault_datakey d JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope)
               USING (record, envelope) WHERE d.destroyed_at IS NULL""",
            [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)],
        )
        return [row[0] for row in cur.fetchall()]


def living(pairs: Sequence[Pair]) -> set[Pair]:
    """Return those of the pairs that have a live key."""
    with cursor() as cur:
        cur.execute(
            """SELECT d.record, d.envelope FROM vault_datakey d
               JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope) USING (record, envelope)
               WHERE d.destroyed_at IS NULL""",
            [array(record for record, _ in pairs), array(envelope for _, envelope in pairs)],
        )
        return {(record, envelope) for record, envelope in cur.fetchall()}


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


def restricted(*, by: str = "", after: UUID | None = None, most: int = CHUNK) -> list[tuple[UUID, str]]:
    """Return (record, label) of restricted records in the order of their ids, at most so many, after that one; of those
    only in whose restriction `by` stands, where it is given."""
    with cursor() as cur:
        cur.execute(
            """SELECT DISTINCT record, label FROM vault_datakey
               WHERE restriction <> '' AND destroyed_at IS NULL AND record > %s
                 AND (%s = '' OR %s = ANY(string_to_array(restriction, ';'))) ORDER BY record LIMIT %s""",
            [str(after or UUID(int=0)), by, by, most],
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


def people() -> int:
    """Return of how many people a record of the apps has a live key; one query."""
    with cursor() as cur:
        cur.execute(
            f"""SELECT count(DISTINCT owner_id) FROM vault_datakey
                WHERE owner_kind = 'subject' AND destroyed_at IS NULL AND {_OF_APPS}"""  # noqa: S608 (a constant)
        )
        return int(cur.fetchone()[0])


def still_sealed(owner: Owner) -> list[tuple[str, UUID]]:
    """Return (label, record) of the records of the apps of which a live key is this owner's, whatever their rows say;
    one query."""
    return list(dict.fromkeys((label, record) for label, record, _ in sealed_pairs(owner)))


def sealed_pairs(owner: Owner) -> list[tuple[str, UUID, str]]:
    """Return (label, record, envelope) of the envelopes of the apps' records of which a live key is this owner's,
    whatever their rows say; one query."""
    with cursor() as cur:
        cur.execute(
            f"""SELECT label, record, envelope FROM vault_datakey
                WHERE owner_kind = %s AND owner_id = %s::uuid AND destroyed_at IS NULL AND {_OF_APPS}
                ORDER BY label, record, envelope""",  # noqa: S608 (a constant)
            [owner[0], str(owner[1])],
        )
        rows: list[tuple[str, UUID, str]] = cur.fetchall()
    return rows


def pairs_of(records: Iterable[UUID]) -> dict[Pair, Owner]:
    """Return the envelopes of these records that have a live key, with whose it is; one query."""
    with cursor() as cur:
        cur.execute(
            """SELECT record, envelope, owner_kind, owner_id FROM vault_datakey
               WHERE record = ANY(%s::uuid[]) AND destroyed_at IS NULL""",
            [array(records)],
        )
        return {(record, envelope): (kind, owner) for record, envelope, kind, owner in cur.fetchall()}


def owned(label: str, owner: Owner) -> set[UUID]:
    """Return the records of this kind of which a live key is this owner's, whatever their rows say; one query."""
    with cursor() as cur:
        cur.execute(
            """SELECT DISTINCT record FROM vault_datakey
               WHERE label = %s AND owner_kind = %s AND owner_id = %s::uuid AND destroyed_at IS NULL""",
            [label, owner[0], str(owner[1])],
        )
        return {record for (record,) in cur.fetchall()}


def ever(records: Iterable[UUID]) -> set[UUID]:
    """Return those of these records of which something was ever sealed, or an end is known; one query."""
    with cursor() as cur:
        cur.execute("SELECT DISTINCT record FROM vault_datakey WHERE record = ANY(%s::uuid[])", [array(records)])
        return {record for (record,) in cur.fetchall()}


def may_be_orphans(records: Iterable[UUID]) -> set[UUID]:
    """Return those of these records, without a row, of which each living key may be left of a write that was rolled
    back: the collector has found it without a row, or has not come to look yet. One query."""
    with cursor() as cur:
        cur.execute(
            """SELECT record FROM vault_datakey WHERE record = ANY(%s::uuid[]) AND destroyed_at IS NULL
               GROUP BY record HAVING bool_and(doubted_at IS NOT NULL OR created_at > now() - %s::interval)""",
            [array(records), f"{GRACE.total_seconds()} seconds"],
        )
        return {record for (record,) in cur.fetchall()}


def reowner(old: Owner, new: Owner) -> int:
    """Hand all keys of one owner to another by re-wrapping them; data stays as it is. Return how many."""
    return _hand_over("owner_kind = %s AND owner_id = %s::uuid", [old[0], str(old[1])], new)


def hand_over(records: Iterable[UUID], new: Owner, *, of: Iterable[Owner]) -> int:
    """Give the keys of these records that are one of `of`'s to a new owner (a contact claims its account). Return how
    many.

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
        theirs = new[1].bytes if new[1] else NO_ID
        for number, record, envelope, kind, owner_id, version, wrapped in rows:
            both = number.to_bytes(8, "big", signed=True) + record.bytes
            owner = owner_id.bytes if owner_id else NO_ID
            data_key = ring.unwrap(version, bytes.fromhex(wrapped), bound(both, envelope, kind, owner))
            kek, fresh = ring.wrap(data_key, bound(both, envelope, new[0], theirs))
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
