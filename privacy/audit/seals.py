"""Sealing the chain, away from business transactions, and signing its head outside the database.

A seal takes only events of transactions older than every running one, so that a late commit cannot slip behind it.
Checkpoints go to a file that the database's roles cannot write; keep a copy of it elsewhere, and a
chain cut at its end is found too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from privacy.audit import encoding
from privacy.audit.models import AuditEvent, AuditLink
from privacy.broken import Findings, spared
from privacy.retention import rules

BATCH = 5000
FILE = "audit-checkpoints.jsonl"
_LOCK = 0x696C745F61756469  # "ilt_audi"

_UNSEALED = """
    SELECT e.id FROM privacy_auditevent e
    WHERE e.id > %s AND e.xid >= %s::xid8
      AND (e.xid < pg_snapshot_xmin(pg_current_snapshot()) OR e.xid >= %s::xid8)
      AND NOT EXISTS (SELECT 1 FROM privacy_auditlink l WHERE l.event_id = e.id)
    ORDER BY e.id
    LIMIT %s
"""


def seal(*, now: datetime) -> int:
    """Chain the events whose transactions are over; return how many. Another sealer at work: returns 0.

    One batch per transaction, until nothing is left. After a full batch the next looks only behind its last event, so that
    a long backlog is not read again for each; at the end one look goes over all, for what was committed meanwhile.
    """
    total = after = 0
    while True:
        with transaction.atomic():
            numbers = _seal_batch(now, after)
        total += len(numbers)
        if len(numbers) == BATCH:
            after = numbers[-1]
        elif after:
            after = 0
        else:
            return total


def _seal_batch(now: datetime, after: int) -> list[int]:
    """Chain the next events and return their numbers, in order: all that are left, or BATCH of those above `after`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return []
        cursor.execute("SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() s")
        xmin, xmax = (int(value) for value in cursor.fetchone())
        head = AuditLink.objects.order_by("-position").first()
        # Numbers above today's can only come from another cluster (a restored dump): look at all of them.
        floor = head.horizon if head is not None and head.horizon <= xmax else 0
        cursor.execute(_UNSEALED, [after, str(floor), str(max(xmax, _own_transaction(cursor) + 1)), BATCH])
        numbers: list[int] = [row[0] for row in cursor.fetchall()]
    if after and len(numbers) < BATCH:
        return []  # the rest is taken by a look over all, which may move the floor
    position, before = (head.position, head.chain_hash) if head else (0, encoding.GENESIS)
    # A full batch may have left older ones behind; the next one looks from the same floor.
    horizon = xmin if len(numbers) < BATCH else floor
    links = []
    for number, row_hash in _row_hashes(numbers):
        position += 1
        link = AuditLink(position=position, event_id=number, row_hash=row_hash, sealed_at=now, horizon=horizon)
        link.chain_hash = before = encoding.chain_hash(before, link)
        links.append(link)
    AuditLink.objects.bulk_create(links, batch_size=1000)
    return numbers


def _row_hashes(numbers: list[int]) -> Iterator[tuple[int, str]]:
    """Yield each number with the hash to seal; a row nobody can read is sealed as such, and named by `verify`.

    It must not stop the others: one such row would leave all that follow without a seal.
    """
    findings = Findings()
    for start in range(0, len(numbers), 1000):
        some = numbers[start : start + 1000]
        parts = spared(some, _hashed, step="seal", label="privacy.auditevent", findings=findings)
        found = {number: row_hash for part in parts for number, row_hash in part}
        yield from ((number, found.get(number, encoding.GENESIS)) for number in some)


def _hashed(numbers: Sequence[int]) -> list[tuple[int, str]]:
    return [(event.pk, _row_hash(event)) for event in AuditEvent.objects.filter(pk__in=numbers)]


def _row_hash(event: AuditEvent) -> str:
    try:
        return encoding.row_hash(event)
    except encoding.UnknownEncoding:
        return encoding.GENESIS


def _own_transaction(cursor: Any) -> int:
    cursor.execute("SELECT coalesce(pg_current_xact_id_if_assigned()::text, '0')")
    return int(cursor.fetchone()[0])


def end(*, now: datetime) -> int:
    """Delete the sealed events whose three years are over (retention class `audit`); return how many.

    Their links stay: hashes that lead to nobody, so that the chain still verifies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT privacy_end_audit(%s)", [ends_before(now)])
        return int(cursor.fetchone()[0])


def ends_before(now: datetime) -> datetime:
    """Return the moment before which an event's three years are over."""
    last = rules.cutoff("audit", timezone.localdate(now))
    return timezone.make_aware(datetime.combine(last + timedelta(days=1), time.min))


def checkpoint(*, now: datetime) -> dict[str, Any] | None:
    """Append a signed checkpoint of the chain's head to the file in settings.CHECKPOINT_DIR, and return it.

    None when the chain is empty or its head is already the last checkpoint. The file is synced before this returns.
    """
    head = AuditLink.objects.order_by("-position").first()
    if head is None:
        return None
    path = file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lines = stream.read().splitlines()
        last = _parsed(lines[-1]) if lines else None
        if last is not None and last.get("position") == head.position and last.get("chain") == head.chain_hash:
            return None
        line: dict[str, Any] = {
            "format": encoding.VERSION,
            "at": now.isoformat(timespec="seconds"),
            "position": head.position,
            "event": head.event_id,
            "chain": head.chain_hash,
            "before": _digest_of(lines[-1]) if lines else encoding.GENESIS,
        }
        line["signature"] = encoding.signature(line)
        stream.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return line


def checkpoints() -> list[dict[str, Any] | None]:
    """Return all checkpoints on file, oldest first; None stands for a line that cannot be read."""
    path = file()
    return [_parsed(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def chained(lines: list[bytes]) -> bool:
    """Whether each line of the file names the one before it."""
    before = encoding.GENESIS
    for line in lines:
        parsed = _parsed(line)
        if parsed is None or parsed.get("before") != before:
            return False
        before = _digest_of(line)
    return True


def file() -> Path:
    """Return the path of the checkpoint file."""
    return Path(settings.CHECKPOINT_DIR) / FILE


def _digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
