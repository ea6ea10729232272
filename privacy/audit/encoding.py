"""The canonical, versioned encoding of an event, and the keyed hashes over it.

The keys come from the key ring, outside both databases: whoever can write to the database, as its owner too,
can neither make an event nor continue the chain so that it verifies.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from privacy.audit.models import AuditEvent, AuditLink
from privacy.vault import ring

VERSION = 1
GENESIS = "0" * 64

# The order is part of the version; a column that is added gets version 2.
_FIELDS = (
    "action",
    "actor_kind",
    "actor",
    "role",
    "purpose",
    "subject",
    "label",
    "record",
    "fields",
    "reason",
    "reference",
)


class UnknownEncoding(ValueError):
    """The event says it was encoded in a way this program does not know."""


def canonical(event: AuditEvent) -> bytes:
    """Return the bytes that the event's own MAC covers: everything the program knew when it wrote the row.

    Raises UnknownEncoding for a version this program does not know.
    """
    if event.encoding != VERSION:
        raise UnknownEncoding(event.encoding)
    return _dump([VERSION, str(event.event), _moment(event.at), *(getattr(event, name) for name in _FIELDS)])


def mac(event: AuditEvent) -> str:
    """Return the keyed hash that proves this program wrote the row."""
    return _keyed("audit.event", canonical(event))


def row_hash(event: AuditEvent) -> str:
    """Return the hash of the row as stored, its number and transaction included."""
    whole = [event.pk, event.xid, event.mac, hashlib.sha256(canonical(event)).hexdigest()]
    return hashlib.sha256(_dump(whole)).hexdigest()


def chain_hash(before: str, link: AuditLink) -> str:
    """Return the keyed hash of a link: of all links before it, of its row and of when it was sealed."""
    whole = [VERSION, before, link.position, link.event_id, link.row_hash, _moment(link.sealed_at)]
    return _keyed("audit.chain", _dump(whole))


def signature(line: dict[str, Any]) -> str:
    """Return the keyed hash of a checkpoint (everything in it but the signature)."""
    return _keyed("audit.checkpoint", _dump([VERSION, {key: line[key] for key in sorted(line) if key != "signature"}]))


def record_hash(label: str, number: UUID | str | int) -> str:
    """Return the keyed hash that stands for a record's number."""
    return _keyed("audit.record", _dump([label, str(number)]))[:32]


def same(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _keyed(purpose: str, data: bytes) -> str:
    return hmac.new(ring.derive(purpose), data, hashlib.sha256).hexdigest()


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
