"""Limits hold while Redis is away, and the names in Redis tell nothing."""

import pickle
import socket
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import cache, caches

from ilt_site import caches as caches_module
from ilt_site.caches import FallbackRedisCache, keyed
from privacy.letters import sending

pytestmark = pytest.mark.django_db


def test_names_in_redis_tell_no_address(settings: Any) -> None:
    cache.set("limit:ip:203.0.113.77", 1)
    names = redis.Redis.from_url(settings.REDIS_URL).keys()
    assert names == [keyed("limit:ip:203.0.113.77", "", 1).encode()]
    assert names[0].startswith(b"cache:") and len(names[0]) == len("cache:") + 64


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


def test_a_limit_counts_on_while_redis_is_full(settings: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It still reads: what it held must neither hide the tries that it refused to take, nor keep everybody out."""
    monkeypatch.setattr(caches_module, "AWAY_SECONDS", 0.0)  # it is asked again each time
    connection = redis.Redis.from_url(settings.REDIS_URL)

    def tried(number: int) -> int:
        credentials = {"login": "alice", "password": "wrong"}
        return int(client.post("/accounts/login/", credentials, REMOTE_ADDR=f"192.0.2.{number}").status_code)

    assert tried(1) == 401
    connection.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            connection.set("anything", "x")
        assert [tried(number) for number in range(2, 9)] == [401] * 5 + [429] * 2  # counted anew, and counted
    finally:
        connection.config_set("maxmemory", 0)
    caches["default"].memory.clear()
    caches["default"].set("seen", "by redis", 60)
    assert connection.get(keyed("seen", "", 1)) is not None


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def written_by_somebody_else(settings: Any, key: str, value: bytes) -> None:
    redis.Redis.from_url(settings.REDIS_URL).set(keyed(key, "", 1), value)


def test_a_value_written_by_somebody_else_runs_no_code_and_reads_as_missing(settings: Any, tmp_path: Path) -> None:
    exploded = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(exploded))
    pickle.loads(bomb)
    assert exploded.exists()  # the bomb works
    exploded.unlink()

    written_by_somebody_else(settings, "limit", bomb)
    assert cache.get("limit") is None
    assert cache.get("limit", "none") == "none"
    assert cache.get_many(["limit"]) == {}
    assert not exploded.exists()


@pytest.mark.parametrize("value", [b"", b"{", b'["x"]', b"9" * 5000, b"[" * 100_000, b"-", b"\xff" * 40])
def test_bytes_that_nobody_signed_read_as_missing(settings: Any, value: bytes) -> None:
    written_by_somebody_else(settings, "limit", value)
    assert cache.get("limit", []) == []


@pytest.mark.parametrize("value", [b"5", b"-1", b"9" * 18])
def test_a_number_that_nobody_signed_stands_for_nothing_but_a_number(settings: Any, client: Any, value: bytes) -> None:
    written_by_somebody_else(settings, "limit", value)
    assert cache.get("limit", []) == []
    assert cache.get("limit", 0.0) == 0.0
    assert cache.get("limit", 0) == int(value)
    connection = redis.Redis.from_url(settings.REDIS_URL)
    client.post("/accounts/login/", {"login": "alice", "password": "wrong"})
    names = connection.keys()
    assert names, "the limits are there"
    for name in names:
        connection.set(name, value)
    assert client.post("/accounts/login/", {"login": "alice", "password": "wrong"}).status_code in (401, 429)


def test_a_signed_value_that_was_changed_reads_as_missing(settings: Any) -> None:
    cache.set("limit", [1.5, 2.5])
    stored = redis.Redis.from_url(settings.REDIS_URL).get(keyed("limit", "", 1))
    assert isinstance(stored, bytes) and b"pickle" not in stored
    assert cache.get("limit") == [1.5, 2.5]
    written_by_somebody_else(settings, "limit", stored.replace(b"2.5", b"9.5"))
    assert cache.get("limit") is None


def copied(settings: Any, source: str, target: str, version: int = 1) -> None:
    connection = redis.Redis.from_url(settings.REDIS_URL)
    stored = connection.get(keyed(source, "", 1))
    assert isinstance(stored, bytes)
    connection.set(keyed(target, "", version), stored)


def test_a_value_copied_to_another_name_reads_as_missing(settings: Any) -> None:
    cache.set("alice's tries", [1.5, 2.5])
    copied(settings, "alice's tries", "bob's tries")
    assert cache.get("bob's tries") is None
    assert cache.get("bob's tries", []) == []
    assert cache.get_many(["alice's tries", "bob's tries"]) == {"alice's tries": [1.5, 2.5]}
    copied(settings, "alice's tries", "alice's tries", version=2)
    assert cache.get("alice's tries", version=2) is None
    assert cache.get("alice's tries") == [1.5, 2.5]  # where it was written it is read


def test_each_way_to_store_a_value_signs_it_for_its_name(settings: Any) -> None:
    cache.add("added", "x")
    cache.set_many({"first": "y", "second": [3.5]})
    assert cache.get_many(["added", "first", "second"]) == {"added": "x", "first": "y", "second": [3.5]}
    for name in ("added", "first", "second"):
        copied(settings, name, "elsewhere")
        assert cache.get("elsewhere") is None


def test_the_tries_of_one_login_copied_to_another_refuse_nobody(settings: Any, client: Any) -> None:
    """Whoever writes to Redis fills no login's limit with what another login used up."""
    connection = redis.Redis.from_url(settings.REDIS_URL)
    for _ in range(5):
        client.post("/accounts/login/", {"login": "bob", "password": "wrong"}, REMOTE_ADDR="192.0.2.1")
    full = {name: connection.get(name) for name in connection.keys()}  # noqa: SIM118  a client of Redis, no dict
    refused = client.post("/accounts/login/", {"login": "bob", "password": "wrong"}, REMOTE_ADDR="192.0.2.2")
    assert refused.status_code == 429  # the limit of bob's login is used up
    client.post("/accounts/login/", {"login": "alice", "password": "wrong"}, REMOTE_ADDR="192.0.2.3")
    longest = max(full.values(), key=len)
    for name in connection.keys():  # noqa: SIM118
        connection.set(name, longest)
    answer = client.post("/accounts/login/", {"login": "alice", "password": "wrong"}, REMOTE_ADDR="192.0.2.3")
    assert answer.status_code == 401


def test_a_mail_server_is_not_taken_for_away_by_a_value_of_another_name(settings: Any) -> None:
    cache.set("other", 4e9)
    copied(settings, "other", sending.AWAY)
    assert cache.get(sending.AWAY, 0.0) == 0.0


def test_what_the_limits_store_comes_back_as_it_was() -> None:
    for value in ([1.5, 2.5], [], True, "y", 7, -7, 0.5, None, {"a": [1]}, "Łódź"):
        cache.set("value", value)
        assert cache.get("value", 0 if type(value) is int else "missing") == value
    cache.set("count", 1)
    assert cache.incr("count") == 2


def test_counting_what_is_no_number_counts_in_memory_and_breaks_nothing(settings: Any) -> None:
    cache.set("count", "words")
    with pytest.raises(ValueError, match="not found"):
        cache.incr("count")  # this process has not counted it yet
    assert cache.get("count") == "words"  # Redis is still asked
