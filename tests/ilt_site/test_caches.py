"""Limits hold while Redis is away, and the names in Redis tell nothing."""

import socket
from typing import Any

import pytest
import redis
from django.core.cache import cache, caches

from ilt_site.caches import FallbackRedisCache, keyed

pytestmark = pytest.mark.django_db


def test_names_in_redis_tell_no_address(settings: Any) -> None:
    cache.set("limit:ip:203.0.113.77", 1)
    names = redis.Redis.from_url(settings.REDIS_URL).keys()
    assert names == [keyed("limit:ip:203.0.113.77", "", 1).encode()]
    assert b"203" not in names[0] or len(names[0]) == 64


def test_a_limit_counts_on_while_redis_is_away(settings: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = FallbackRedisCache(f"redis://127.0.0.1:{closed.getsockname()[1]}/0", {})
        away.away_until = 0.0
        away.clear()
        away.add("tries", 0)
        assert [away.incr("tries") for _ in range(3)] == [1, 2, 3]
        assert away.get("tries") == 3
    FallbackRedisCache.away_until = 0.0


def test_redis_that_is_back_is_asked_again() -> None:
    FallbackRedisCache.away_until = 0.0
    caches["default"].set("seen", "by redis", 60)
    assert caches["default"].get("seen") == "by redis"
