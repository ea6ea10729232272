"""Sealing a chain, away from business transactions, and signing its head outside the database.

A seal takes only rows of transactions older than every running one, so that a late commit cannot slip behind it.
Checkpoints go to a file that the database's roles cannot write; keep a copy of it elsewhere, and a
chain cut at its end is found too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from privacy.audit import encoding, events
from privacy.audit.chains import AUDIT, Chain, for_each
from privacy.audit.models import ChainFloor
from privacy.files import regular
from privacy.work.broken import Findings, spared

BATCH = 5000

_UNSEALED = """
    SELECT e.id FROM {rows} e
    WHERE e.id > %s AND e.xid >= %s::xid8
      AND (e.xid < pg_snapshot_xmin(pg_current_snapshot()) OR e.xid >= %s::xid8)
      AND NOT EXISTS (SELECT 1 FROM {links} l WHERE l.event_id = e.id)
    ORDER BY e.id
    LIMIT %s
"""


def seal(*, now: datetime, chain: Chain = AUDIT) -> int:
    """Chain the rows whose transactions are over; return how many. Another sealer at work: returns 0.

    One batch per transaction, until nothing is left. After a full batch the next looks only behind its last row, so
    that a long backlog is not read again for each; at the end one look goes over all, for what was committed meanwhile.
    """
    total, after = 0, None
    while True:
        with transaction.atomic():
            numbers = _seal_batch(chain, now, after)
        total += len(numbers)
        if len(numbers) == BATCH:
            after = numbers[-1]
        elif after is not None:
            after = None
        else:
            return total


def _seal_batch(chain: Chain, now: datetime, after: Any) -> list[Any]:
    """Chain the next rows and return their numbers, in order: all that are left, or BATCH of those above `after`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [chain.lock])
        if not cursor.fetchone()[0]:
            return []
        cursor.execute("SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() s")
        xmin, xmax = (int(value) for value in cursor.fetchone())
        head = chain.links.objects.order_by("-position").first()
        position, before = (head.position, head.chain_hash) if head else beginning(chain)
        # Numbers above today's can only come from another cluster (a restored dump): look at all of them.
        floor = head.horizon if head is not None and head.horizon <= xmax else 0
        unsealed = _UNSEALED.format(rows=chain.rows._meta.db_table, links=chain.links._meta.db_table)
        newest = str(max(xmax, _own_transaction(cursor) + 1))
        cursor.execute(unsealed, [chain.lowest if after is None else after, str(floor), newest, BATCH])
        numbers: list[Any] = [row[0] for row in cursor.fetchall()]
    if after is not None and len(numbers) < BATCH:
        return []  # the rest is taken by a look over all, which may move the floor
    # A full batch may have left older ones behind; the next one looks from the same floor.
    horizon = xmin if len(numbers) < BATCH else floor
    links = []
    for number, row_hash in _row_hashes(chain, numbers):
        position += 1
        link = chain.links(position=position, event_id=number, row_hash=row_hash, sealed_at=now, horizon=horizon)
        link.chain_hash = before = encoding.chain_hash(chain.name, before, link)
        links.append(link)
    chain.links.objects.bulk_create(links, batch_size=1000)
    return numbers


def beginning(chain: Chain) -> tuple[int, str]:
    """Return place and hash from which the first link goes on: nothing before it, or what ended last."""
    floor = ChainFloor.objects.filter(chain=chain.name).order_by("-position").first()
    return (floor.position, floor.chain_hash) if floor else (0, encoding.GENESIS)


def _row_hashes(chain: Chain, numbers: list[Any]) -> Iterator[tuple[Any, str]]:
    """Yield each number with the hash to seal; a row nobody can read is sealed as such, and named by `verify`.

    It must not stop the others: one such row would leave all that follow without a seal.
    """

    def hashed(some: Sequence[Any]) -> list[tuple[Any, str]]:
        return [(row.pk, _row_hash(chain, row)) for row in chain.rows.objects.filter(pk__in=some)]

    findings = Findings()
    for start in range(0, len(numbers), 1000):
        some = numbers[start : start + 1000]
        parts = spared(some, hashed, step="seal", label=chain.rows._meta.label_lower, findings=findings)
        found = {number: row_hash for part in parts for number, row_hash in part}
        yield from ((number, found.get(number, encoding.GENESIS)) for number in some)


def _row_hash(chain: Chain, row: Any) -> str:
    try:
        return encoding.row_hash(row, chain.canonical(row))
    except encoding.UnknownEncoding:
        return encoding.GENESIS


def _own_transaction(cursor: Any) -> int:
    cursor.execute("SELECT coalesce(pg_current_xact_id_if_assigned()::text, '0')")
    return int(cursor.fetchone()[0])


def checkpoint(*, now: datetime, chain: Chain = AUDIT) -> dict[str, Any] | None:
    """Append a signed checkpoint of the chain's head to the file in settings.CHECKPOINT_DIR, and return it.

    None when the chain is empty or its head is already the last checkpoint. The file is synced before this returns.
    The audit tells of the head of another chain in an event, written before the line: whoever cuts that chain off
    together with its lines has to cut the audit off as well.
    """
    head = chain.links.objects.order_by("-position").first()
    if head is None:
        return None
    path = file(chain)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = regular.descriptor(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lines = stream.read().splitlines()
        last = _parsed(lines[-1]) if lines else None
        if last is not None and last.get("position") == head.position and last.get("chain") == head.chain_hash:
            return None
        if chain.told_as:
            events.record(
                chain.told_as,
                actor=None,
                now=now,
                fields=[str(head.position)],
                reason=head.chain_hash,
                reference=chain.name,
            )
        line: dict[str, Any] = {
            "format": encoding.VERSION,
            "at": now.isoformat(timespec="seconds"),
            "position": head.position,
            "event": head.event_id if isinstance(head.event_id, int) else str(head.event_id),
            "chain": head.chain_hash,
            "before": _digest_of(lines[-1]) if lines else encoding.GENESIS,
        }
        line["signature"] = encoding.signature(chain.name, line)
        stream.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return line


def sign_all(*, now: datetime, chains: Sequence[Chain]) -> bool:
    """Seal each chain and sign its head, the audit last, which tells of the others' heads; say whether one was due."""

    def sign(chain: Chain) -> bool:
        seal(now=now, chain=chain)
        return checkpoint(now=now, chain=chain) is not None

    return any(for_each(sorted(chains, key=lambda chain: chain is AUDIT), sign))


def checkpoints(chain: Chain = AUDIT) -> list[dict[str, Any] | None]:
    """Return all checkpoints on file, oldest first; None stands for a line that cannot be read."""
    return [_parsed(line) for line in lines(chain)]


def lines(chain: Chain = AUDIT) -> list[bytes]:
    """Return the lines of the file of checkpoints as they stand there, none without one; an empty one, which nobody can
    read, for what is no file."""
    try:
        with regular.opened_bytes(file(chain)) as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []
    except regular.NotRegular:
        return [b""]


def chained(lines: list[bytes]) -> bool:
    """Whether each line of the file names the one before it."""
    before = encoding.GENESIS
    for line in lines:
        parsed = _parsed(line)
        if parsed is None or parsed.get("before") != before:
            return False
        before = _digest_of(line)
    return True


def file(chain: Chain = AUDIT) -> Path:
    """Return the path of the file of checkpoints."""
    return Path(settings.CHECKPOINT_DIR) / chain.file_name


def _digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
