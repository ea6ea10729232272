"""Seal what is no record: sessions, secrets of second factors, one-time values. The key belongs to a purpose.

What must never happen: a blob that opens in another row than its own. Who can write to the database could else copy
somebody else's session into the own one. So a blob is bound to what its row is known by (`of`: the key of a
session, the number of a login).

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

_UNBOUND, _BOUND = b"\x01", b"\x02"


class BlobDamaged(VaultError):
    """The bytes were not sealed under this ring for this purpose and row, or were altered."""


@lru_cache(maxsize=32)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def _context(purpose: str, of: str | None) -> tuple[bytes, bytes]:
    """Return the version of such a blob and its associated data."""
    if of is None:
        return _UNBOUND, _UNBOUND + prefixed(purpose)
    return _BOUND, _BOUND + prefixed(purpose) + prefixed(of)


def seal_blob(purpose: str, data: bytes, *, of: str | None) -> bytes:
    """Return the data sealed for `purpose` in the row `of`: version 1 | nonce 12 | ciphertext | tag 16.

    `of` is None only where no row is the blob's own.
    """
    nonce = os.urandom(12)
    version, context = _context(purpose, of)
    cipher = _cipher(rings.current().derive(f"blob:{purpose}"))
    return version + nonce + cipher.encrypt(nonce, data, context)


def open_blob(purpose: str, sealed: bytes, *, of: str | None) -> bytes:
    """Return the data. Raises BlobDamaged, also where the blob was sealed for another row or for none."""
    version, context = _context(purpose, of)
    if len(sealed) < 29 or sealed[:1] != version:
        raise BlobDamaged("Not a sealed blob of this kind.")
    cipher = _cipher(rings.current().derive(f"blob:{purpose}"))
    try:
        return cipher.decrypt(sealed[1:13], sealed[13:], context)
    except InvalidTag:
        raise BlobDamaged("A sealed blob does not open for this purpose and row.") from None
