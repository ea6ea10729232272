"""The cache: keyed names and signed values in Redis, and limits that still hold while Redis is away.

Login and request limits count in the cache. A page must answer without Redis (reliability R1), and a limit must
not vanish with it: while Redis does not answer, or is full, each process counts in its own memory.

What must never happen: a value from Redis that runs code here, or that says under one name what was said under another.
Values are JSON, signed together with their name by a key of the ring; what somebody else wrote, or copied from another
name, reads as missing. Whoever writes to Redis can end limits, let them refuse, and put back what stood under the same
name before (docs/security.md says what that gives), and no more.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from privacy.vault import ring

AWAY_SECONDS = 5.0
# The rights of the cache's user in Redis name this beginning (docs/runbook.md).
PREFIX = "cache:"
SIGNATURE = 16  # bytes
LONGEST_NUMBER = 19  # digits; more is no counter of ours


def keyed(key: str, key_prefix: str, version: int) -> str:
    """Return the name under which a cache entry is stored: a keyed hash, so that it tells no address or IP."""
    name = f"{key_prefix}:{version}:{key}".encode()
    return PREFIX + hmac.new(ring.current().derive("cache-keys"), name, hashlib.sha256).hexdigest()


class Unreadable(ValueError):
    """The value was not written by this site."""


class Number(int):
    """A whole number that Redis itself counts (`incr`); stored as it is, because Redis cannot sign."""


def signed(name: str, value: Any) -> bytes | int:
    """Return what to store under `name`: a signature before JSON, or a number that is to be counted as it is.

    The signature covers the stored name, and with it prefix and version. Raises TypeError for a value that JSON has no
    form for.
    """
    if type(value) is int:
        return value
    text = json.dumps(value, separators=(",", ":")).encode()
    return _signature(name, text) + text


def read(name: str, data: bytes) -> Any:
    """Return the value that was signed for `name`. Raises Unreadable for bytes that this site did not write there.

    What comes back unsigned is a Number and nothing else: whoever asks for another kind of value is told that there is
    none.
    """
    if len(data) <= LONGEST_NUMBER + 1 and data.removeprefix(b"-").isdigit():
        return Number(data)
    signature, text = data[:SIGNATURE], data[SIGNATURE:]
    if not hmac.compare_digest(signature, _signature(name, text)):
        raise Unreadable
    return json.loads(text)


def _signature(name: str, text: bytes) -> bytes:
    signing = ring.current().derive("cache-values")
    return hmac.new(signing, name.encode() + b"\0" + text, hashlib.sha256).digest()[:SIGNATURE]


class AsItIs:
    """A serializer that changes nothing: Django's gives no name to sign, and would unpickle."""

    def dumps(self, value: bytes | int) -> bytes | int:
        return value

    def loads(self, data: bytes) -> bytes:
        return data


class SignedClient(RedisCacheClient):
    """Django's client for Redis, with each value signed for the name under which it lies."""

    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **{**options, "serializer": AsItIs})

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        return super().add(key, signed(key, value), timeout)

    def get(self, key: Any, default: Any) -> Any:
        data = super().get(key, None)
        return default if data is None else read(key, data)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        super().set(key, signed(key, value), timeout)

    def get_many(self, keys: Any) -> dict[Any, Any]:
        return {key: read(str(key), data) for key, data in super().get_many(keys).items()}

    def set_many(self, data: Any, timeout: Any) -> None:
        super().set_many({key: signed(key, value) for key, value in data.items()}, timeout)


def _or_memory(name: str) -> Callable[..., Any]:
    """Return a method that asks Redis, or this process's memory for some seconds after Redis failed."""

    def method(self: "FallbackRedisCache", *args: Any, **kwargs: Any) -> Any:
        if self.is_there():
            try:
                return getattr(super(FallbackRedisCache, self), name)(*args, **kwargs)
            except OutOfMemoryError:
                type(self).away_until, type(self).was_full = time.monotonic() + AWAY_SECONDS, True
            except ResponseError:
                return getattr(self.memory, name)(*args, **kwargs)  # a value of another kind under this name
            except RedisError:
                type(self).away_until = time.monotonic() + AWAY_SECONDS
        return getattr(self.memory, name)(*args, **kwargs)

    method.__name__ = name
    return method


class FallbackRedisCache(RedisCache):
    """Redis; while it does not answer or is full, a cache in this process's memory."""

    away_until = 0.0
    was_full = False

    def is_there(self) -> bool:
        """Whether to ask Redis. One that is full still reads: what it holds must not hide what was counted
        meanwhile."""
        if time.monotonic() < self.away_until:
            return False
        if self.was_full:
            try:
                super().set("room", "", 1)
            except RedisError:
                type(self).away_until = time.monotonic() + AWAY_SECONDS
                return False
            type(self).was_full = False
        return True

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = SignedClient
        memory = {name: value for name, value in params.items() if name != "OPTIONS"}
        self.memory = LocMemCache("while-redis-is-away", memory)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return the value, `default` where there is none or somebody else wrote it."""
        try:
            value = self._get(key, default, version)
        except Unreadable:
            return default
        # A number that nobody signed is believed where a number is asked for, and nowhere else.
        return default if isinstance(value, Number) and not isinstance(default, int | None) else value

    def get_many(self, keys: Any, version: int | None = None) -> dict[str, Any]:
        """Return the values that are there, by key."""
        found = {key: self.get(key, None, version) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    add = _or_memory("add")
    _get = _or_memory("get")
    set = _or_memory("set")
    touch = _or_memory("touch")
    delete = _or_memory("delete")
    has_key = _or_memory("has_key")
    incr = _or_memory("incr")
    set_many = _or_memory("set_many")
    delete_many = _or_memory("delete_many")
    clear = _or_memory("clear")
