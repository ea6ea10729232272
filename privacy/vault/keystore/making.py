"""The making of data keys, with the tokens by which their records are found.

Must never happen: a data row whose key was never committed, or a second key for an erased pair. So keys commit first,
in a transaction of their own, and the unique index in `models` holds the place of the destroyed one. A key whose data
was rolled back is used again by the next save, or ended by the key collector.

Nor a record that is not found by what it holds, because two corrections follow each other closely. A token knows two
keys, and of three (the old one, the one that the row names, the one being made) the middle one would be lost when the
last is rolled back. So the old key of a correction that has committed ends here, when its own process has not come to
it yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from privacy.vault import ring as rings
from privacy.vault.keystore import ending, tokens
from privacy.vault.keystore.binding import NO_ID, bound, commitment
from privacy.vault.keystore.datakey import OpenKey, Wanted
from privacy.vault.keystore.loading import load
from privacy.vault.keystore.locks import CHUNK, lock_rows
from privacy.vault.keystore.sql import KEYSTORE, committed, cursor
from privacy.vault.results import RecordElsewhere, RecordErased
from privacy.vault.typecasts import array

_INSERT = """
INSERT INTO vault_datakey (id, record, envelope, label, owner_kind, owner_id, restriction, wrapped, kek, commitment)
SELECT t.id, t.record, t.envelope, t.label, t.kind, t.owner, coalesce(t.restriction, ''),
       substring(%s::bytea from (t.n::int - 1) * 60 + 1 for 60), %s,
       substring(%s::bytea from (t.n::int - 1) * 16 + 1 for 16)
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[])
     WITH ORDINALITY AS t(id, record, envelope, label, kind, owner, restriction, n)
ON CONFLICT DO NOTHING RETURNING id
"""
_SUPERSEDE = """
UPDATE vault_datakey d SET superseded_by = n.id
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::bigint[]) AS n(id, record, envelope, named)
WHERE d.record = n.record AND d.envelope = n.envelope AND d.destroyed_at IS NULL
  AND (n.named IS NULL OR d.superseded_by IS DISTINCT FROM n.named)
"""


def make(wanted: Sequence[Wanted], check: Callable[[Wanted], None] | None = None) -> None:
    """Commit a key and its tokens for each of `wanted`, before any data names them.

    A key left over by a crash before the data was written is used again. A key that replaces one takes its restriction
    over; `check` may refuse such a write by raising. Raises RecordErased when a pair was destroyed,
    RecordElsewhere when the key that is replaced is another owner's than the row names, ValueTaken when
    another record holds a unique value; then none of them was made.
    """
    ours = frozenset(w.record for w in wanted)
    for start in range(0, len(wanted), CHUNK):
        _make(wanted[start : start + CHUNK], check, ours)


def _make(wanted: Sequence[Wanted], check: Callable[[Wanted], None] | None, ours: frozenset[UUID]) -> None:
    kek = _draw(wanted)
    if len(wanted) == 1 and not wanted[0].replaces and not wanted[0].entries:
        with committed() as cur:  # a single statement: it is made, or its place is taken
            _insert(cur, wanted, kek)
            if cur.rowcount:
                return
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        replacing = [w for w in wanted if w.replaces]
        if replacing:
            numbers, records, envelopes = _pairs(replacing)
            locked = lock_rows(cur, records, envelopes)
            whose = {one.pair: one.owner for one in locked}
            for one in replacing:
                if whose.get(one.pair, one.owner) != one.owner:
                    raise RecordElsewhere(f"{one.label}/{one.envelope}: this record is another's than its row says.")
            restricted = {one.pair: one.restriction for one in locked if one.restriction}
            for one in replacing if restricted else ():
                # Read under the lock: a restriction set a moment ago counts for this write too.
                one.restriction = restricted.get(one.pair, "")
                if one.restriction and check is not None:
                    check(one)
            settled = {one.named for one in replacing if one.named is not None and one.is_settled}
            ending.end(cur, [one.number for one in locked if one.superseded_by in settled])
            cur.execute(_SUPERSEDE, [numbers, records, envelopes, array([one.named for one in replacing])])
        _insert(cur, wanted, kek)
        if cur.rowcount != len(wanted):
            inserted = {row[0] for row in cur.fetchall()}
            _adopt(cur, [w for w in wanted if w.number not in inserted])
        tokens.place(cur, wanted, ours)
    for one in wanted:
        one.key.restriction = one.restriction or one.key.restriction


def _insert(cur: CursorWrapper, wanted: Sequence[Wanted], kek: int) -> None:
    cur.execute(
        _INSERT,
        [
            b"".join([w.wrapped for w in wanted]),
            kek,
            b"".join([w.commitment for w in wanted]),
            *_pairs(wanted),
            array([w.label for w in wanted]),
            array([w.owner[0] for w in wanted]),
            array([w.owner[1].hex if w.owner[1] else None for w in wanted]),
            array([w.restriction or None for w in wanted]),
        ],
    )


def _pairs(wanted: Sequence[Wanted]) -> list[str]:
    return [
        array([w.number for w in wanted]),
        array([w.record.hex for w in wanted]),
        array([w.envelope for w in wanted]),
    ]


def _draw(wanted: Sequence[Wanted]) -> int:
    ring = rings.current()
    random = os.urandom(40 * len(wanted))
    kek, wrap, to_int = ring.current, ring.wrap, int.from_bytes  # looked up once
    for i, w in enumerate(wanted):
        at = i * 40
        header, data_key = random[at : at + 8], random[at + 8 : at + 40]
        kind, owner_id = w.owner
        w.key = OpenKey(to_int(header, "big", signed=True), data_key, kind, owner_id)
        w.commitment = commitment(data_key)
        owner = owner_id.bytes if owner_id else NO_ID
        kek, w.wrapped = wrap(data_key, bound(header + w.record.bytes, w.envelope, kind, owner))
    return kek


def _adopt(cur: CursorWrapper, lost: Sequence[Wanted]) -> None:
    """Take over the live key that a crash left behind. A destroyed one in its place ends the save."""
    cur.execute(
        """SELECT d.record, d.envelope, d.id FROM vault_datakey d
           JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope) USING (record, envelope)
           WHERE d.superseded_by IS NULL AND d.destroyed_at IS NULL FOR UPDATE OF d""",
        [array(w.record for w in lost), array(w.envelope for w in lost)],
    )
    winners = {(record, envelope): number for record, envelope, number in cur.fetchall()}
    for w in lost:
        if w.pair not in winners or w.replaces:
            raise RecordErased(f"{w.label}/{w.envelope} of this record was erased; it takes no data again.")
    found = load([(winners[w.pair], w.record, w.envelope) for w in lost])
    for w in lost:
        key = found.get(winners[w.pair])
        if not isinstance(key, OpenKey):
            raise RecordErased(f"{w.label}/{w.envelope} of this record has a key that does not open.")
        w.key = key
    # what the interrupted attempt wanted to be found by is not what this one says
    tokens.delete(cur, [w.number for w in lost], records=[w.record for w in lost])
