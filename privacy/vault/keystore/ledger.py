"""The ledger, in the key store: what a restored backup has to be held against (design 8). It only grows.

Two kinds of line, both without personal data: `keys` (data keys were destroyed: an erasure, a correction, a burnt
letter) and `request` (the proof that a request was carried out). Which keys went with a line stands in the key rows
(`destroyed_in`). Copies leave the key store as keyed hashes: a number that lies beside the reference of a request would
lead from the request back to what stays for statistics. Blocks are not in it: they have an end, and it has none.

Must never happen: a key destroyed without a line. So the one function that destroys keys (`ending.end`) writes the
line in the same transaction. Nor that a line of somebody who can write to the key store is the proof of a request, or
stops who reads the others, since nobody may take it away: the proof of a request carries a keyed hash, and a line that
cannot be read is passed over.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet

from privacy.vault import ring as rings
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.macs import mac_fits, mac_of
from privacy.vault.models import Tombstone
from privacy.vault.typecasts import array
from privacy.work import broken

WIDTH = 16
MAC = "mac"  # in the content of the proof of a request: the keyed hash over all else that it says
_PURPOSE = "ledger.line"


class LineTaken(Exception):
    """In the place of the proof of a request stands a line of the ledger that the program did not write."""


class Gone(NamedTuple):
    """One destroyed key: final when its pair was erased, otherwise another key took its place."""

    number: int
    record: UUID
    envelope: str
    label: str
    is_final: bool


def tombstone(
    reference: str, *, counts: Mapping[str, int], now: datetime, content: Mapping[str, Any] | None = None
) -> Tombstone:
    """Append the proof of an erasure, under a keyed hash; a second call for the same request returns the first one.

    Raises LineTaken where another program wrote a line of this reference that says anything else.
    """
    line = Tombstone(reference=reference, at=now, counts=dict(sorted(counts.items())), content=dict(content or {}))
    said = (line.counts, dict(line.content))
    line.content[MAC] = mac_of(_PURPOSE, *_said(line))
    with transaction.atomic(using=KEYSTORE):
        Tombstone.objects.bulk_create([line], ignore_conflicts=True)
        found = next(readable(Tombstone.objects.filter(reference=reference)), None)
    if found is None or not (is_ours(found) or (found.counts, found.content) == said):
        raise LineTaken
    return found


class Said(Protocol):
    """A line of the ledger, or its copy."""

    reference: Any
    at: Any
    counts: Any
    content: Any


def is_ours(line: Said) -> bool:
    """Say whether the program wrote this proof of a request. Of a line of before proofs had a hash it cannot tell."""
    mac = line.content.get(MAC)
    return isinstance(mac, str) and mac_fits(mac, _PURPOSE, *_said(line))


def taken(references: Collection[str]) -> set[str]:
    """Return those of these references under which a line stands that cannot be read, or that the program did not
    write."""
    lines = Tombstone.objects.filter(reference__in=references)
    ours = {line.reference for line in readable(lines) if is_ours(line)}
    return {one for one in lines.values_list("reference", flat=True) if one is not None} - ours


def _said(line: Said) -> list[Any]:
    content = {name: one for name, one in line.content.items() if name != MAC}
    return [line.reference, line.at, *(json.dumps(one, sort_keys=True) for one in (line.counts, content))]


def readable(lines: QuerySet[Tombstone]) -> Iterator[Tombstone]:
    """Yield those lines of a query that can be read, in its order. The others were written by another program."""
    found = broken.readable(lines)
    return (line for line in found if isinstance(line.counts, dict) and isinstance(line.content, dict))


def position() -> int:
    """Return the number of the last line, 0 before the first."""
    last = Tombstone.objects.order_by("-seq").values_list("seq", flat=True).first()
    return last or 0


def note_destroyed(cur: CursorWrapper, count: int, *, now: datetime | None) -> int:
    """Append a line for so many keys that the transaction of `cur` destroyed, at `now` or the key store's
    own time; return its number."""
    cur.execute(
        "INSERT INTO vault_tombstone (kind, at, counts, content) VALUES ('keys', coalesce(%s, now()), %s, '{}') "
        "RETURNING seq",
        [now, f'{{"keys": {count}}}'],
    )
    return int(cur.fetchone()[0])


def stamp(cur: CursorWrapper, numbers: Sequence[int], seq: int) -> None:
    """Write into destroyed keys which line of the ledger tells of them."""
    cur.execute("UPDATE vault_datakey SET destroyed_in = %s WHERE id = ANY(%s::bigint[])", [seq, array(numbers)])


def gone(seqs: Sequence[int]) -> dict[int, list[Gone]]:
    """Return the keys destroyed in each of these lines."""
    found: dict[int, list[Gone]] = {}
    with cursor() as cur:
        cur.execute(
            """SELECT destroyed_in, id, record, envelope, label, superseded_by IS NULL FROM vault_datakey
               WHERE destroyed_in = ANY(%s::bigint[]) AND destroyed_at IS NOT NULL ORDER BY id""",
            [array(seqs)],
        )
        for seq, *rest in cur.fetchall():
            found.setdefault(seq, []).append(Gone(*rest))
    return found


# The form in which a line leaves the key store ------------------------------------------------------------------------


def pair_hash(record: UUID, envelope: str) -> bytes:
    """Return the keyed hash that stands for one envelope of one record."""
    return _hash(b"pair" + record.bytes + envelope.encode())


def key_hash(number: int) -> bytes:
    """Return the keyed hash that stands for one key."""
    return _hash(b"key" + number.to_bytes(8, "big", signed=True))


def _hash(data: bytes) -> bytes:
    return hmac.digest(rings.derive("ledger.number"), data, "sha256")[:WIDTH]


def content(line: Tombstone, went: Sequence[Gone]) -> dict[str, Any]:
    """Return what a copy of a line says: of keys their hashes, of anything else what stands in it."""
    if line.kind != Tombstone.Kind.KEYS:
        return dict(line.content)
    return {
        "pairs": _joined(pair_hash(one.record, one.envelope) for one in went if one.is_final),
        "keys": _joined(key_hash(one.number) for one in went if not one.is_final),
    }


def hashes(content: Mapping[str, Any], name: str) -> list[bytes]:
    """Return the hashes that a copy of a line holds under "pairs" or "keys"."""
    joined = base64.b64decode(content.get(name, ""))
    return [joined[at : at + WIDTH] for at in range(0, len(joined), WIDTH)]


def _joined(parts: Iterator[bytes]) -> str:
    return base64.b64encode(b"".join(parts)).decode()
