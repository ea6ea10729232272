"""The sealed form of an envelope: version 1 | key id 8 | nonce 12 | ciphertext | tag 16.

Must never happen: bytes that open in another record, another envelope or under another key. So the
associated data names all of them, each part of its own length, and the key is chosen by the header
alone: no second key is ever tried.
"""

from __future__ import annotations

from os import urandom
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
OVERHEAD = 37
_VERSION_BYTE = bytes([VERSION])
# What is no JSON is refused, not turned into a text that would come back as another type.
_AS_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def prefixed(text: str) -> bytes:
    """Return UTF-8 with two bytes of length before it, so that joined parts cannot be read two ways."""
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def context(label: str, envelope: str) -> bytes:
    """Return the constant part of the associated data; record id and key id follow it."""
    return _VERSION_BYTE + prefixed(label) + prefixed(envelope)


def key_id(sealed: bytes | memoryview) -> int:
    """Return the id of the data key that the header names (signed, as PostgreSQL's bigint)."""
    return int.from_bytes(sealed[1:9], "big", signed=True)


def key_bytes(number: int) -> bytes:
    """Return a key id as it stands in a header."""
    return number.to_bytes(8, "big", signed=True)


def is_sealed(value: object) -> bool:
    """Tell whether `value` has the shape of sealed bytes; says nothing about who can open them."""
    return isinstance(value, bytes | memoryview) and len(value) >= OVERHEAD and value[0] == VERSION


def seal(cipher: AESGCM, number: int, bound: bytes, record: UUID, text: bytes) -> bytes:
    """Seal `text`; `bound` comes from `context`."""
    header = number.to_bytes(8, "big", signed=True)
    nonce = urandom(12)
    return _VERSION_BYTE + header + nonce + cipher.encrypt(nonce, text, bound + record.bytes + header)


def unseal(cipher: AESGCM, sealed: bytes, bound: bytes, record: UUID) -> bytes:
    """Return the text. Raises InvalidTag when bytes, record, envelope or key are not the ones sealed."""
    return cipher.decrypt(sealed[9:21], sealed[21:], bound + record.bytes + sealed[1:9])


def pack(payload: dict[str, Any]) -> bytes:
    """Return the compact JSON of `{label: value}`. Raises TypeError for what JSON has no form for,
    numbers of more than 64 bits too."""
    return orjson.dumps(payload, option=_AS_JSON)


def unpack(text: bytes) -> dict[str, Any]:
    """Return the payload that `pack` wrote, by this library or by Python's own as in versions before."""
    payload: dict[str, Any] = orjson.loads(text)
    return payload
