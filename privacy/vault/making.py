"""The making and loading of data keys: committed before any data, unwrapped for one unit of work.

Must never happen: a data row whose key was never committed, or a key that opens for a record, an envelope or
an owner that it was not wrapped for. So keys commit first, in a transaction of their own, and all of these
are bound into the wrapping.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from hmac import compare_digest
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from privacy.vault import index, tokens
from privacy.vault import ring as rings
from privacy.vault.envelope import prefixed
from privacy.vault.ids import from_int
from privacy.vault.results import FOREIGN, Erased, RecordElsewhere, RecordErased, Unreadable
from privacy.vault.sql import KEYSTORE, array, cursor

Owner = tuple[str, UUID | None]
Pair = tuple[UUID, str]
NOBODY: Owner = ("none", None)
CHUNK = 5_000
KEY_CONTEXT = b"ilt-key-1"
NO_ID = bytes(16)


class OpenKey:
    """A data key in use. Plain slots: thousands of these are made for one page of an export."""

    __slots__ = ("_data_key", "number", "owner_id", "owner_kind", "restriction")

    def __init__(
        self, number: int, data_key: bytes, owner_kind: str, owner_id: UUID | None, restriction: str = ""
    ) -> None:
        self.number = number
        self._data_key = data_key
        self.owner_kind = owner_kind
        self.owner_id = owner_id
        self.restriction = restriction

    @property
    def cipher(self) -> AESGCM:
        """Return a cipher for one use: each holds 2.5 KB, and thousands cost more to keep than to make again."""
        return AESGCM(self._data_key)


class Wanted:
    """A key to be made for one envelope of one record, with the tokens that go with it."""

    __slots__ = (
        "commitment",
        "entries",
        "envelope",
        "key",
        "label",
        "owner",
        "record",
        "replaces",
        "restriction",
        "wrapped",
    )

    def __init__(
        self,
        record: UUID,
        envelope: str,
        label: str,
        owner: Owner = NOBODY,
        *,
        replaces: bool = False,
        entries: Sequence[index.Entry] = (),
    ) -> None:
        self.record = record
        self.envelope = envelope
        self.label = label
        self.owner = owner
        self.replaces = replaces
        self.entries = entries
        self.wrapped = self.commitment = b""
        self.restriction = ""  # of the key that this one replaces
        self.key: OpenKey

    @property
    def number(self) -> int:
        return self.key.number

    @property
    def pair(self) -> Pair:
        return self.record, self.envelope


def bound(number: int, record: UUID, envelope: str, owner: Owner) -> bytes:
    """Return what the wrapping of a key is bound to; the ring adds its version."""
    return b"".join((KEY_CONTEXT, number.to_bytes(8, "big", signed=True), record.bytes, _tail(envelope, *owner)))


def _tail(envelope: str, kind: str, owner_id: UUID | None) -> bytes:
    return middle(envelope, kind) + (owner_id.bytes if owner_id else NO_ID)


def middle(envelope: str, kind: str) -> bytes:
    """Return what stands between record and owner in the context of a wrapping."""
    return prefixed(envelope) + prefixed(kind)


def commitment(data_key: bytes) -> bytes:
    """Return 16 bytes that only this key has: AES-GCM alone does not commit to its key."""
    return hashlib.blake2b(b"commit", key=data_key, digest_size=16).digest()


_INSERT = """
INSERT INTO vault_datakey (id, record, envelope, label, owner_kind, owner_id, restriction, wrapped, kek, commitment)
SELECT t.id, t.record, t.envelope, t.label, t.kind, t.owner, coalesce(t.restriction, ''),
       substring(%s::bytea from (t.n::int - 1) * 60 + 1 for 60), %s,
       substring(%s::bytea from (t.n::int - 1) * 16 + 1 for 16)
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[])
     WITH ORDINALITY AS t(id, record, envelope, label, kind, owner, restriction, n)
ON CONFLICT DO NOTHING RETURNING id
"""
_LOCK = """
SELECT d.id, d.record, d.envelope, d.restriction, d.owner_kind, d.owner_id
FROM vault_datakey d JOIN unnest(%s::uuid[], %s::text[]) AS n(record, envelope) USING (record, envelope)
WHERE d.destroyed_at IS NULL ORDER BY d.id FOR UPDATE OF d
"""
_SUPERSEDE = """
UPDATE vault_datakey d SET superseded_by = n.id
FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) AS n(id, record, envelope)
WHERE d.record = n.record AND d.envelope = n.envelope AND d.destroyed_at IS NULL
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
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        replacing = [w for w in wanted if w.replaces]
        if replacing:
            numbers, records, envelopes = _pairs(replacing)
            locked = lock_rows(cur, records, envelopes)
            whose = {(record, name): owner for _, record, name, _, *owner in locked}
            for one in replacing:
                if whose.get(one.pair, list(one.owner)) != list(one.owner):
                    raise RecordElsewhere(f"{one.label}/{one.envelope}: this record is another's than its row says.")
            restricted = {(record, name): code for _, record, name, code, *_ in locked if code}
            for one in replacing if restricted else ():
                # Read under the lock: a restriction set a moment ago counts for this write too.
                one.restriction = restricted.get(one.pair, "")
                if one.restriction and check is not None:
                    check(one)
            cur.execute(_SUPERSEDE, [numbers, records, envelopes])
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
        if cur.rowcount != len(wanted):
            inserted = {row[0] for row in cur.fetchall()}
            _adopt(cur, [w for w in wanted if w.number not in inserted])
        tokens.place(cur, wanted, ours)
    for one in wanted:
        one.key.restriction = one.restriction or one.key.restriction


def lock(cur: CursorWrapper, records: str, envelopes: str) -> list[int]:
    """Lock the live keys of pairs, in one order for everybody (no deadlock), and return their ids."""
    return [row[0] for row in lock_rows(cur, records, envelopes)]


def lock_rows(cur: CursorWrapper, records: str, envelopes: str) -> list[tuple[int, UUID, str, str, str, UUID | None]]:
    """Lock the live keys of pairs as `lock` does; return (id, record, envelope, restriction, owner kind and id) of each."""
    cur.execute(_LOCK, [records, envelopes])
    rows: list[tuple[int, UUID, str, str, str, UUID | None]] = cur.fetchall()
    return rows


def _pairs(wanted: Sequence[Wanted]) -> list[str]:
    return [
        array([w.number for w in wanted]),
        array([w.record.hex for w in wanted]),
        array([w.envelope for w in wanted]),
    ]


def _draw(wanted: Sequence[Wanted]) -> int:
    ring = rings.current()
    random = os.urandom(40 * len(wanted))
    kek, wrap = ring.current, ring.wrap
    to_int, committed = int.from_bytes, commitment  # looked up once
    tails: dict[tuple[str, Owner], bytes] = {}
    for i, w in enumerate(wanted):
        at = i * 40
        header, data_key = random[at : at + 8], random[at + 8 : at + 40]
        tail = tails.get((w.envelope, w.owner))
        if tail is None:
            tail = tails[w.envelope, w.owner] = _tail(w.envelope, *w.owner)
        w.key = OpenKey(to_int(header, "big", signed=True), data_key, *w.owner)
        w.commitment = committed(data_key)
        kek, w.wrapped = wrap(data_key, KEY_CONTEXT + header + w.record.bytes + tail)
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
    cur.execute(
        "DELETE FROM vault_token WHERE record = ANY(%s::uuid[]) AND key = ANY(%s::bigint[])",
        [array(w.record for w in lost), array(w.number for w in lost)],
    )


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

    The same query answers for `records` which of their envelopes were erased, and when: a row whose bytes are gone names no
    key. A pair that was only marked, because it never had a key, is not among them: there was nothing to erase.
    """
    found: dict[int, OpenKey | Unreadable] = {}
    erased: dict[Pair, Erased] = {}
    numbers = array([number for number, _, _ in asked])
    with cursor() as cur:
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
    unwrap, to_int, committed = rings.current().unwrap, int.from_bytes, commitment  # looked up once
    heads: dict[tuple[str, str], bytes] = {}
    for number, record, envelope in asked:
        row = rows.get(number)
        if row is None:
            continue
        _, kek, kind, restriction, text, destroyed_at = row
        if text is None:
            found[number] = Erased(destroyed_at, (record, envelope))
            continue
        secret = bytes.fromhex(text)  # owner 16 | wrapped 60 | commitment 16
        head = heads.get((envelope, kind))
        if head is None:
            head = heads[envelope, kind] = middle(envelope, kind)
        owner = secret[:16]
        context = KEY_CONTEXT + number.to_bytes(8, "big", signed=True) + record.bytes + head + owner
        try:
            data_key = unwrap(kek, secret[16:76], context)
        except (rings.WrapBroken, rings.VersionUnknown):
            # a version that was retired too early is an alarm of its own (`keyring status`), not an erasure
            found.setdefault(number, FOREIGN)
            continue
        if compare_digest(committed(data_key), secret[76:]):
            owner_id = from_int(to_int(owner, "big")) if owner != NO_ID else None
            found[number] = OpenKey(number, data_key, kind, owner_id, restriction)
        else:
            found[number] = FOREIGN
    return found, erased
