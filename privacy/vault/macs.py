"""Keyed hashes over rows that let somebody in: who can write to the database cannot make one.

What must never happen: a link, a code or a login that counts because its row stands in the table. The row carries a
hash under a key of the ring over what it says; a row whose hash does not fit is treated as if it were not there. It
does not notice that an earlier state of the same row was put back, with the hash of that time.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from privacy.vault import ring as rings


def mac_of(purpose: str, *parts: Any) -> str:
    """Return the keyed hash over these values for one purpose: 64 hexadecimal digits."""
    text = json.dumps([_plain(one) for one in parts], separators=(",", ":"))
    return hmac.digest(rings.current().derive(f"mac:{purpose}"), text.encode(), "sha256").hex()


def mac_fits(mac: str, purpose: str, *parts: Any) -> bool:
    """Say whether this is the keyed hash over these values. An empty one never is."""
    return same_mac(mac, mac_of(purpose, *parts))


def same_mac(one: str, other: str) -> bool:
    """Say whether two keyed hashes are the same, in the same time whichever they are."""
    return hmac.compare_digest(one.encode(), other.encode())


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    return str(value)  # dates and random numbers
