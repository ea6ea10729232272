"""Seal what is no record: sessions, TOTP secrets, one-time values. The key belongs to a purpose.

Such blobs are not tied to a data key: they must be short-lived, or be deleted with their row.
"""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacy.vault import ring as rings
from privacy.vault.envelope import prefixed
from privacy.vault.results import VaultError

_VERSION = b"\x01"


class BlobDamaged(VaultError):
    """The bytes were not sealed under this ring for this purpose, or were altered."""


@lru_cache(maxsize=32)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def seal_blob(purpose: str, data: bytes) -> bytes:
    """Return the data sealed for `purpose`: version 1 | nonce 12 | ciphertext | tag 16."""
    nonce = os.urandom(12)
    cipher = _cipher(rings.current().derive(f"blob:{purpose}"))
    return _VERSION + nonce + cipher.encrypt(nonce, data, _VERSION + prefixed(purpose))


def open_blob(purpose: str, sealed: bytes) -> bytes:
    """Return the data. Raises BlobDamaged."""
    if len(sealed) < 29 or sealed[:1] != _VERSION:
        raise BlobDamaged("Not a sealed blob.")
    cipher = _cipher(rings.current().derive(f"blob:{purpose}"))
    try:
        return cipher.decrypt(sealed[1:13], sealed[13:], _VERSION + prefixed(purpose))
    except InvalidTag:
        raise BlobDamaged("A sealed blob does not open for this purpose.") from None
