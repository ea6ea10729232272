"""Record ids: known before the INSERT, because the sealed bytes are bound to them."""

from __future__ import annotations

import os
import time
from uuid import UUID, SafeUUID

_UNKNOWN = SafeUUID.unknown
_set_int, _set_is_safe = UUID.__dict__["int"].__set__, UUID.__dict__["is_safe"].__set__  # past its __setattr__


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 of the rest of the clock, 62 random."""
    ms, rest = divmod(time.time_ns(), 1_000_000)
    number = (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | ((rest << 12) // 1_000_000) << 64
    return from_int(number | 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2)


def from_int(number: int) -> UUID:
    """Return the UUID of a 128-bit number without the checks of its constructor, which cost more than a key."""
    made = object.__new__(UUID)
    _set_int(made, number)
    _set_is_safe(made, _UNKNOWN)
    return made
