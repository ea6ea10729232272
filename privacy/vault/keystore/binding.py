"""What a data key is bound to when it is wrapped, and how a key is known.

Must never happen: a key that opens for another record, envelope or owner than it was made for. So all of these, and the
key's own id, stand in the associated data of its wrapping, put together here and nowhere else.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from privacy.vault.envelope import prefixed

NO_ID = bytes(16)  # the owner's place in the binding where a key has no owner
_CONTEXT = b"ilt-key-1"


def bound(key_and_record: bytes, envelope: str, owner_kind: str, owner: bytes) -> bytes:
    """Return what the wrapping of a key is bound to; the ring adds its version.

    `key_and_record` is the id of the key (8 bytes, as in a header) and that of its record (16 bytes), `owner` that of
    its owner or NO_ID. All but the two words have a fixed width and each word has its length before it, so that no two
    sets of parts make the same bytes.
    """
    return _CONTEXT + key_and_record + _words(envelope, owner_kind) + owner


@lru_cache(maxsize=1024)
def _words(envelope: str, owner_kind: str) -> bytes:
    return prefixed(envelope) + prefixed(owner_kind)


def commitment(data_key: bytes) -> bytes:
    """Return 16 bytes that only this key has: AES-GCM alone does not commit to its key."""
    return hashlib.blake2b(b"commit", key=data_key, digest_size=16).digest()
