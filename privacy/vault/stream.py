"""Sealed files of any length in constant memory: export archives, uploads.

Must never happen: a file that was cut short, re-ordered or joined from two passes as whole. Each chunk of
64 KiB is sealed on its own with its number and a mark on the last one (the STREAM construction); the key
of the file is derived from a data key of its own, so destroying that key ends every copy of the file.

File: magic 4 | version 1 | key id 8 | salt 16 | chunks of (ciphertext | tag 16).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from privacy.files import regular
from privacy.vault.envelope import context, key_bytes
from privacy.vault.keystore import keys
from privacy.vault.results import Erased, KeyMissing, RecordErased, VaultError

LABEL = "vault.stream"
MAGIC = b"ILTS\x01"
CHUNK = 64 * 1024
_TAG = 16
_HEADER = len(MAGIC) + 8 + 16


class StreamDamaged(VaultError):
    """The file was cut short, altered or re-ordered, or belongs to another record."""


def _chunk_cipher(key: keys.OpenKey, salt: bytes, bound: bytes) -> AESGCM:
    # the data key itself never meets a counter nonce: each file gets its own key from it and 16 random bytes
    seed = key.cipher.encrypt(bytes(12), bytes(32), b"stream" + salt + bound)
    return AESGCM(HKDFExpand(SHA256(), 32, info=b"ilt-stream-1" + salt).derive(seed))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class SealedWriter:
    """Write a sealed file through `fileobj`; only `close()` makes it whole. Raises RecordErased."""

    def __init__(
        self, fileobj: BinaryIO, record_id: UUID, envelope: str = "export", owner: keys.Owner = keys.NOBODY
    ) -> None:
        wanted = keys.Wanted(record_id, envelope, LABEL, owner)
        keys.make([wanted])
        key = wanted.key
        salt = os.urandom(16)
        self._bound = context(LABEL, envelope) + record_id.bytes + key_bytes(key.number)
        self._cipher = _chunk_cipher(key, salt, self._bound)
        self._file = fileobj
        self._buffer = bytearray()
        self._number = 0
        self._position = 0
        self.closed = False
        fileobj.write(MAGIC + key_bytes(key.number) + salt)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; whole chunks go to the file at once."""
        if self.closed:
            raise ValueError("The sealed file is closed.")
        self._buffer += data
        while len(self._buffer) > CHUNK:  # a full last chunk waits: only close() knows which one is the last
            self._flush(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]
        self._position += len(data)
        return len(data)

    def _flush(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, self._bound))
        self._number += 1

    def tell(self) -> int:
        """Return how many bytes of plaintext were written (zipfile asks)."""
        return self._position

    def flush(self) -> None:
        """Flush the file below; what is less than a chunk stays here."""
        self._file.flush()

    def close(self) -> None:
        """Seal the last chunk, which is what makes the file whole. The file below stays open."""
        if not self.closed:
            self._flush(bytes(self._buffer), last=True)
            self._buffer.clear()
            self._file.flush()
            self.closed = True

    def __enter__(self) -> SealedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:  # after an error the file stays visibly cut short
            self.close()


def read(path: str | os.PathLike[str], record_id: UUID, envelope: str = "export") -> Iterator[bytes]:
    """Yield the plaintext of a sealed file, chunk by chunk.

    Raises StreamDamaged at the chunk that is not what was written, RecordErased when its key was destroyed,
    KeyMissing when there is none, OSError for what cannot be read or is no file. The caller has decided who may read
    it, and has recorded it.
    """
    with regular.opened_bytes(path) as file:
        cipher, bound = _begun(file, record_id, envelope)
        chunk = file.read(CHUNK + _TAG)
        count = 0
        while True:
            following = file.read(CHUNK + _TAG)
            yield _opened(cipher, count, not following, chunk, bound)
            if not following:
                return
            chunk, count = following, count + 1


def look(path: str | os.PathLike[str], record_id: UUID, envelope: str = "export") -> None:
    """Look whether head and last chunk of a sealed file are those that were written, and whether it has the length that
    it had: what was cut short, or is another file, is found without reading it all.

    Raises what `read` raises.
    """
    with regular.opened_bytes(path) as file:
        cipher, bound = _begun(file, record_id, envelope)
        size = os.fstat(file.fileno()).st_size - _HEADER
        count = max(-(-size // (CHUNK + _TAG)) - 1, 0)
        file.seek(_HEADER + count * (CHUNK + _TAG))
        _opened(cipher, count, True, file.read(CHUNK + _TAG), bound)


def _begun(file: BinaryIO, record_id: UUID, envelope: str) -> tuple[AESGCM, bytes]:
    """Read the head of a file; return the cipher of its chunks, and to what they are bound."""
    header = file.read(_HEADER)
    if len(header) != _HEADER or not header.startswith(MAGIC):
        raise StreamDamaged("Not a sealed file.")
    number = int.from_bytes(header[5:13], "big", signed=True)
    key = keys.load([(number, record_id, envelope)]).get(number)
    if isinstance(key, Erased):
        raise RecordErased("The key of this file was destroyed.")
    if key is None:
        raise KeyMissing("The key of this file is not in the key store.")
    if not isinstance(key, keys.OpenKey):
        raise StreamDamaged("The file belongs to another record.")
    bound = context(LABEL, envelope) + record_id.bytes + header[5:13]
    return _chunk_cipher(key, header[13:], bound), bound


def _opened(cipher: AESGCM, number: int, last: bool, chunk: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last), chunk, bound)
    except InvalidTag:
        raise StreamDamaged("The sealed file was cut short or altered.") from None
