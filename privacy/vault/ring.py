"""The ring of key-encryption keys, and everything derived from its root.

Must never happen: a ring that other users can read, a key retired while data keys still hang on it,
or the ring's bytes in the database. A lost ring cannot be replaced: keep a copy of the file apart from
every backup of the databases (docs/keys.md).

The file is JSON: `{"installation": uuid, "root": base64, "current": 2, "keys": {"1": base64, "2": base64}}`.
Keys wrap data keys and are rotated; the root feeds blind indexes, sessions, block tokens and signatures,
which must stay comparable, and is not.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from privacy.files import regular
from privacy.vault.results import VaultError


class RingRefused(VaultError):
    """The key ring is missing, readable by others, or not a ring."""


class VersionUnknown(VaultError):
    """A data key is wrapped under a version that this ring does not hold."""


class WrapBroken(VaultError):
    """A wrapped data key does not open in the context it is stored in."""


class Ring(Protocol):
    """What the vault needs of a key-management service."""

    @property
    def installation(self) -> UUID: ...
    @property
    def current(self) -> int: ...
    @property
    def versions(self) -> tuple[int, ...]: ...
    def wrap(self, data_key: bytes, context: bytes) -> tuple[int, bytes]: ...
    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> bytes: ...
    def rewrap(self, version: int, wrapped: bytes, context: bytes) -> bytes: ...
    def derive(self, purpose: str) -> bytes: ...


@dataclass(frozen=True)
class KeyRing:
    """A ring held in memory. Its repr shows versions only."""

    installation: UUID
    current: int
    _root: bytes = field(repr=False)
    _keys: dict[int, bytes] = field(repr=False)
    _ciphers: dict[int, tuple[AESGCM, bytes]] = field(repr=False, default_factory=dict, compare=False)
    _derived: dict[str, bytes] = field(repr=False, default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._ciphers.update({v: (AESGCM(key), v.to_bytes(4, "big")) for v, key in self._keys.items()})

    @property
    def versions(self) -> tuple[int, ...]:
        """Return the versions held, oldest first."""
        return tuple(sorted(self._keys))

    def wrap(self, data_key: bytes, context: bytes) -> tuple[int, bytes]:
        """Wrap a data key under the current version in 60 bytes, nonce 12, key 32 and tag 16; `context` is bound to it,
        with the version."""
        nonce = os.urandom(12)
        cipher, suffix = self._ciphers[self.current]
        return self.current, nonce + cipher.encrypt(nonce, data_key, context + suffix)

    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> bytes:
        """Return the data key. Raises VersionUnknown, or WrapBroken when bytes or context are not its own."""
        held = self._ciphers.get(version)
        if held is None:
            raise VersionUnknown(f"The key ring has no version {version}.")
        cipher, suffix = held
        try:
            return cipher.decrypt(wrapped[:12], wrapped[12:], context + suffix)
        except InvalidTag:
            raise WrapBroken("A wrapped data key does not open in its context.") from None

    def rewrap(self, version: int, wrapped: bytes, context: bytes) -> bytes:
        """Return a data key wrapped under the current version. Raises VersionUnknown or WrapBroken as `unwrap` does."""
        return self.wrap(self.unwrap(version, wrapped, context), context)[1]

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that belong to `purpose` alone (HKDF-SHA256 of the root)."""
        found = self._derived.get(purpose)
        if found is None:
            hkdf = HKDF(SHA256(), 32, salt=b"ilt-ring-1", info=purpose.encode())
            found = self._derived[purpose] = hkdf.derive(self._root)
        return found

    def added(self) -> KeyRing:
        """Return this ring with one more version, which becomes the current one."""
        version = max(self._keys) + 1
        return KeyRing(self.installation, version, self._root, {**self._keys, version: os.urandom(32)})

    def without(self, version: int) -> KeyRing:
        """Return this ring without `version`. Raises RingRefused for the current or an unknown one."""
        if version == self.current or version not in self._keys:
            raise RingRefused(f"Version {version} is the current one or is not in the ring.")
        kept = {v: key for v, key in self._keys.items() if v != version}
        return KeyRing(self.installation, self.current, self._root, kept)

    def as_json(self) -> str:
        """Return the file's content. It is the secret itself."""
        encoded = {str(v): base64.b64encode(key).decode() for v, key in sorted(self._keys.items())}
        root = base64.b64encode(self._root).decode()
        content = {"installation": str(self.installation), "root": root, "current": self.current, "keys": encoded}
        return json.dumps(content, indent=1)


def new() -> KeyRing:
    """Return a fresh ring with version 1, for a new installation."""
    return KeyRing(uuid4(), 1, os.urandom(32), {1: os.urandom(32)})


def parse(text: str) -> KeyRing:
    """Return the ring written in `text`. Raises RingRefused without quoting it."""
    try:
        content: dict[str, Any] = json.loads(text)
        keys = {int(v): base64.b64decode(key, validate=True) for v, key in content["keys"].items()}
        root = base64.b64decode(content["root"], validate=True)
        installation, current = UUID(content["installation"]), int(content["current"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise RingRefused("The key ring is not a ring: make one with `manage.py keyring init`.") from None
    if current not in keys or len(root) != 32 or _wrong_length(keys.values()):
        raise RingRefused("The key ring is damaged: a key is missing or has the wrong length.")
    return KeyRing(installation, current, root, keys)


def _wrong_length(keys: Iterable[bytes]) -> bool:
    return any(len(key) != 32 for key in keys)


def read(path: Path) -> KeyRing:
    """Return the ring in the file. Raises RingRefused when it is missing or when others can read it."""
    try:
        with regular.opened(path) as file:
            before = os.fstat(file.fileno())
            text = file.read()
            if not os.path.samestat(before, path.stat()):  # replaced while it was read, and overwritten
                before, text = path.stat(), regular.text(path)
    except (OSError, UnicodeDecodeError):
        raise RingRefused("The key ring file cannot be read: check KEY_RING_FILE and the file's owner.") from None
    if stat.S_IMODE(before.st_mode) & 0o077:
        raise RingRefused("The key ring file can be read by other users of this machine: set its mode to 0600.")
    return parse(text)


def write(path: Path, ring: KeyRing, *, new_file: bool = False) -> None:
    """Write the ring with mode 0600, whole or not at all. Raises RingRefused when `new_file` exists already.

    What the file said before is overwritten on its disk blocks: a key taken out of the ring must not lie there. Where
    the disk itself keeps old blocks (snapshots, flash), docs/keys.md says what follows.
    """
    if new_file and path.exists():
        raise RingRefused("There is a key ring already; it is never overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name, so that what a killed writer left is overwritten by the next; a ring left behind
    # would open what has ended.
    name = path.with_name(f".{path.name}.draft")
    if name.exists():
        _overwrite(os.open(name, os.O_RDWR))
        name.unlink()
    try:
        with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(ring.as_json())
            file.flush()
            os.fsync(file.fileno())
        if new_file:
            try:
                os.link(name, path)
            except FileExistsError:
                raise RingRefused("There is a key ring already; it is never overwritten.") from None
        else:
            old = os.open(path, os.O_RDWR) if path.exists() else None
            _keep_owner(path, name)
            os.replace(name, path)
            if old is not None:
                _overwrite(old)
        _sync(path.parent)
    finally:
        name.unlink(missing_ok=True)


def _keep_owner(path: Path, name: Path) -> None:
    """Give the new file the owner of the one it replaces: root renews a ring that the services read."""
    if os.geteuid() == 0 and path.exists():
        found = path.stat()
        os.chown(name, found.st_uid, found.st_gid)


def _overwrite(handle: int) -> None:
    try:
        os.pwrite(handle, b"\0" * os.fstat(handle).st_size, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_held: tuple[tuple[object, ...], KeyRing] | None = None


def current() -> KeyRing:
    """Return this process's ring, read again when the file changed. Raises RingRefused, also for another
    installation's."""
    global _held
    path = settings.KEY_RING_FILE
    if path:
        try:
            seen = os.stat(path)
        except OSError:
            raise RingRefused("The key ring file cannot be read: check KEY_RING_FILE and its owner.") from None
        mark: tuple[object, ...] = (str(path), seen.st_mtime_ns, seen.st_ino, seen.st_mode)
    else:
        mark = ("", getattr(settings, "KEY_RING", "") or "")
    if _held is None or _held[0] != mark:
        found = read(Path(path)) if path else _from_environment()
        if path and _held and _held[0][:1] == mark[:1] and found.installation != _held[1].installation:
            # the start compares ring and databases; nothing would, when the file is exchanged afterwards
            raise RingRefused(
                "The key ring file was exchanged for that of another installation: put the right one back."
            )
        _held = (mark, found)
    return _held[1]


def _from_environment() -> KeyRing:
    text = getattr(settings, "KEY_RING", "")
    if not text:
        raise RingRefused("There is no key ring: set KEY_RING_FILE to a file made by `manage.py keyring init`.")
    if not getattr(settings, "DEMO", False):
        raise RingRefused("A key ring in the environment is for demos only: put it in a file and set KEY_RING_FILE.")
    return parse(text)


def derive(purpose: str) -> bytes:
    """Return 32 bytes of this process's ring for one purpose. Raises RingRefused."""
    return current().derive(purpose)
