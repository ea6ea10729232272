"""The canonical, versioned encoding of an event, and the keyed hashes over it and over the links of a chain.

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

from privacy.audit.models import AuditEvent, ChainFloor, Link
from privacy.vault import ring

VERSION = 1
LINK_VERSION = 2  # the first did not cover the horizon
GENESIS = "0" * 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)

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
    return dump([VERSION, str(event.event), moment(event.at), *(getattr(event, name) for name in _FIELDS)])


def mac(event: AuditEvent) -> str:
    """Return the keyed hash that proves this program wrote the row."""
    return keyed("audit.event", canonical(event))


def is_ours(event: AuditEvent) -> bool:
    """Whether this program wrote the event."""
    try:
        return same(mac(event), event.mac)
    except UnknownEncoding:
        return False


def row_hash(row: Any, canonical: bytes) -> str:
    """Return the hash of the row as stored, its number and transaction included; `canonical` is what its MAC covers."""
    number = row.pk if isinstance(row.pk, int) else str(row.pk)
    return hashlib.sha256(dump([number, row.xid, row.mac, hashlib.sha256(canonical).hexdigest()])).hexdigest()


def chain_hash(chain: str, before: str, link: Link, version: int = LINK_VERSION) -> str:
    """Return the keyed hash of a link: of all links before it, of its row, of when it was sealed and how far."""
    number = getattr(link, "event_id")  # noqa: B009  each chain's own
    whole = [version, before, link.position, number if isinstance(number, int) else str(number)]
    whole += [link.row_hash, moment(link.sealed_at)]
    if version > 1:
        whole.append(link.horizon)
    return keyed(f"{chain}.chain", dump(whole))


def continues(chain: str, before: str, link: Link) -> bool:
    """Whether this program chained the link to the one before it, in this version or in one of before."""
    versions = range(LINK_VERSION, 0, -1)
    return any(same(chain_hash(chain, before, link, version), link.chain_hash) for version in versions)


def signature(chain: str, line: dict[str, Any]) -> str:
    """Return the keyed hash of a checkpoint (everything in it but the signature)."""
    whole = {key: line[key] for key in sorted(line) if key != "signature"}
    return keyed(f"{chain}.checkpoint", dump([VERSION, whole]))


def floor_signature(floor: ChainFloor) -> str:
    """Return the keyed hash of where a chain begins."""
    return keyed(f"{floor.chain}.floor", dump([VERSION, floor.position, floor.chain_hash, moment(floor.at)]))


def record_hash(label: str, number: UUID | str | int) -> str:
    """Return the keyed hash that stands for a record's number."""
    return keyed("audit.record", dump([label, str(number)]))[:32]


def same(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def moment(at: datetime) -> str:
    """Return a time in UTC, to the microsecond."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def keyed(purpose: str, data: bytes) -> str:
    """Return the keyed hash of `data` for one purpose, 64 hexadecimal digits."""
    return hmac.digest(ring.derive(purpose), data, "sha256").hex()


def dump(value: Any) -> bytes:
    """Return a value as JSON, always the same bytes for the same value."""
    return _ENCODER.encode(value).encode()
