"""The cache: keyed names in Redis, and limits that still hold while Redis is away.

Login and request limits count in the cache. A page must answer without Redis (reliability R1), and a limit must
not vanish with it: while Redis does not answer, each process counts in its own memory.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from privacy.vault import ring

AWAY_SECONDS = 5.0


def keyed(key: str, key_prefix: str, version: int) -> str:
    """Return the name under which a cache entry is stored: a keyed hash, so that it tells no address or IP."""
    name = f"{key_prefix}:{version}:{key}".encode()
    return hmac.new(ring.current().derive("cache-keys"), name, hashlib.sha256).hexdigest()


def _or_memory(name: str) -> Callable[..., Any]:
    """Return a method that asks Redis, or this process's memory for some seconds after Redis failed."""

    def method(self: "FallbackRedisCache", *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self.away_until:
            try:
                return getattr(super(FallbackRedisCache, self), name)(*args, **kwargs)
            except RedisError:
                type(self).away_until = time.monotonic() + AWAY_SECONDS
        return getattr(self.memory, name)(*args, **kwargs)

    method.__name__ = name
    return method


class FallbackRedisCache(RedisCache):
    """Redis; while it does not answer, a cache in this process's memory."""

    away_until = 0.0

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        memory = {name: value for name, value in params.items() if name != "OPTIONS"}
        self.memory = LocMemCache("while-redis-is-away", memory)

    add = _or_memory("add")
    get = _or_memory("get")
    set = _or_memory("set")
    touch = _or_memory("touch")
    delete = _or_memory("delete")
    get_many = _or_memory("get_many")
    has_key = _or_memory("has_key")
    incr = _or_memory("incr")
    set_many = _or_memory("set_many")
    delete_many = _or_memory("delete_many")
    clear = _or_memory("clear")
