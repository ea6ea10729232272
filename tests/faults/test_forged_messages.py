"""Somebody with the broker's password writes to it: he learns nothing, stops nothing, and no word of his ends a
worker."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from celery import Celery, current_app
from django.conf import settings
from django.core.cache import cache
from kombu.exceptions import OperationalError

from ilt_site import health
from privacy import tasks
from tests.faults import sites, workers
from tests.faults.measuring import until

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker as somebody with its password sees it, empty."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete("celery", "unacked", "unacked_index")
        yield client
        client.delete("celery", "unacked", "unacked_index")


@pytest.fixture
def stranger() -> Celery:
    """Celery as anybody can install it, with nothing of ours but the broker's password."""
    return Celery("stranger", broker=settings.REDIS_URL, set_as_current=False)


@pytest.fixture
def worker(broker: redis.Redis, tmp_path: Path) -> Iterator[workers.Celery]:
    with workers.worker(tmp_path, 2) as started:
        work_is_done(started, tmp_path)
        # What a start sends is over as well: later on only what a test sent counts as done.
        until(lambda: health._worker() == "", health._worker, seconds=60)
        until(
            lambda: broker.llen("celery") == broker.hlen("unacked") == 0, lambda: broker.hgetall("unacked"), seconds=60
        )
        yield started


def work_is_done(worker: workers.Celery, folder: Path) -> None:
    """Send a task of ours and wait until it is done: what an attack is measured against."""
    begun = time.time()
    tasks.send_letters.delay()
    until(
        lambda: cache.get(health.WORKED, 0.0) > begun,
        lambda: f"no task is done; the worker ended with {worker.process.poll()}: {log(folder)[-2000:]}",
        seconds=60,
    )
    assert worker.process.poll() is None


def log(folder: Path) -> str:
    return (folder / "worker.log").read_text()


def message(body: Any = ((), {}, {}), **changes: Any) -> bytes:
    """Return a message as Celery writes one for a task of ours, unsigned."""
    headers = {
        "lang": "py", "task": "privacy.tasks.send_letters", "id": "0f5b6f0e", "shadow": None, "eta": None,
        "expires": None, "group": None, "retries": 0, "timelimit": [None, None], "root_id": "0f5b6f0e",
        "parent_id": None, "argsrepr": "()", "kwargsrepr": "{}", "origin": "stranger", "ignore_result": True,
    }  # fmt: skip
    properties = {
        "correlation_id": "0f5b6f0e", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"},
        "priority": 0, "body_encoding": "base64", "delivery_tag": "d5f0",
    }  # fmt: skip
    whole = {
        "body": base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8", "content-type": "application/json",
        "headers": headers | changes.pop("headers", {}), "properties": properties,
    }  # fmt: skip
    return json.dumps(whole | changes).encode()


FORGED = {
    "a body of one letter": message(b'"x"'),
    "a body that is no JSON": message(b"x"),
    "a body without its third part": message([[], {}]),
    "a body that is no list": message({}),
    "limits that are no numbers": message(headers={"timelimit": ["a", "b"]}),
    "a task's name that is a list": message(headers={"task": ["x"]}),
    "headers that are a list": json.dumps(json.loads(message()) | {"headers": ["x"]}).encode(),
    "no properties": json.dumps({"body": "x"}).encode(),
    "a list": b"[]",
    "no JSON": b"x",
    "nothing": b"",
    "no text": bytes(range(256)),
    "lists in lists": b"[" * 100_000,
    "a day of another kind": b'{"__type__": "datetime", "__value__": 7}',
    "a whole task": message(),
}


def test_a_forged_message_is_dropped_and_ends_no_worker(
    broker: redis.Redis, worker: workers.Celery, tmp_path: Path
) -> None:
    for number, (kind, item) in enumerate(FORGED.items(), start=1):
        broker.lpush("celery", item)
        work_is_done(worker, tmp_path)
        assert log(tmp_path).count("message_refused") == number, kind
        assert broker.llen("celery") == 0, kind
    assert "0f5b6f0e" not in log(tmp_path)
    until(lambda: broker.hlen("unacked") == 0, lambda: broker.hgetall("unacked"), seconds=30)


def test_what_is_forged_as_a_lost_workers_message_is_dropped_and_keeps_no_other_from_coming_back(
    broker: redis.Redis, tmp_path: Path
) -> None:
    begun = time.time()
    broker.hset("unacked", mapping={"1": b"x", "2": json.dumps([json.loads(message()), "celery", "celery"]).encode()})
    broker.zadd("unacked_index", {"1": 3.0, "2": 2.0, "3": 1.0})
    lost(broker, since=0.0)
    assert (broker.hlen("unacked"), broker.zcard("unacked_index")) == (3, 4)
    with workers.worker(tmp_path, 1) as started:
        until(lambda: cache.get(health.WORKED, 0.0) > begun, lambda: log(tmp_path)[-2000:], seconds=60)
        until(lambda: broker.hlen("unacked") == broker.zcard("unacked_index") == 0, lambda: broker.hgetall("unacked"))
        work_is_done(started, tmp_path)
    assert log(tmp_path).count("message_refused") == 2


def lost(broker: redis.Redis, *, since: float) -> None:
    """Leave a message of ours as a worker does that took it and was lost."""
    with current_app.connection_for_read() as connection:
        tasks.send_letters.apply_async(connection=connection)
        channel = connection.default_channel
        channel.QoS.restore_at_shutdown = False
        try:
            assert channel.basic_get("celery") is not None
            (tag,) = channel.qos._delivered
            broker.zadd("unacked_index", {tag: since})
            channel.close()
        finally:
            channel.QoS.restore_at_shutdown = True


def test_a_message_that_a_lost_worker_had_taken_comes_back_once(broker: redis.Redis) -> None:
    lost(broker, since=0.0)
    assert (broker.llen("celery"), broker.hlen("unacked"), broker.zcard("unacked_index")) == (0, 1, 1)
    with current_app.connection_for_read() as one, current_app.connection_for_read() as two:
        for connection in (one, two):
            connection.default_channel.qos.restore_visible()
        assert (broker.llen("celery"), broker.hlen("unacked"), broker.zcard("unacked_index")) == (1, 0, 0)
        found = one.default_channel.basic_get("celery", no_ack=True)
    assert (found.headers["task"], found.headers["redelivered"]) == ("privacy.tasks.send_letters", True)


@pytest.mark.parametrize("name", ["celery", "celery\x06\x163", "unacked", "unacked_index"])
def test_a_name_that_holds_something_else_ends_nothing_and_is_named_until_it_is_deleted(
    broker: redis.Redis, worker: workers.Celery, tmp_path: Path, name: str
) -> None:
    with workers.beat(tmp_path) as beat:
        broker.delete(name)
        try:
            broker.set(name, "planted")
            shown = name.encode("unicode_escape").decode()
            said = f"Redis holds something else under a name of the broker, and no work is done: delete {shown}"
            assert health._redis() == said
            with contextlib.suppress(OperationalError):
                tasks.send_letters.delay()
            until(lambda: "broker_name_taken" in log(tmp_path), lambda: log(tmp_path)[-2000:], seconds=60)
        finally:
            broker.delete(name)
        assert health._redis() == ""
        cache.delete(health.WORKED)
        until(lambda: health._worker() == "", lambda: log(tmp_path)[-2000:], seconds=60)
        assert (worker.process.poll(), beat.process.poll()) == (None, None)
    assert "Traceback" not in log(tmp_path)


def test_what_was_signed_for_one_place_is_refused_at_the_other(broker: redis.Redis) -> None:
    lost(broker, since=0.0)
    (taken,) = broker.hvals("unacked")
    broker.lpush("celery", taken)
    with current_app.connection_for_read() as connection:
        assert connection.default_channel.basic_get("celery", no_ack=True) is None


def test_one_message_put_back_again_and_again_keeps_no_worker_from_the_others(
    broker: redis.Redis, tmp_path: Path
) -> None:
    tasks.poll.delay()
    (stored,) = broker.lrange("celery", 0, -1)
    for _ in range(20):
        broker.rpush("celery", *[stored] * 500)
    with workers.worker(tmp_path, 1) as started:
        work_is_done(started, tmp_path)
        until(lambda: broker.llen("celery") == 0, lambda: f"{broker.llen('celery')} wait", seconds=60)
        work_is_done(started, tmp_path)
        assert broker.hlen("unacked") <= 3
        until(lambda: health._worker() == "", health._worker, seconds=60)
    assert log(tmp_path).count("message_refused") == 1


@pytest.fixture
def granted(broker: redis.Redis) -> Iterator[dict[str, str]]:
    """The URLs of two users with the rights of the runbook."""
    text = (workers.ROOT / "docs" / "runbook.md").read_text()
    rights = dict(re.findall(r"^ACL SETUSER ilt_(\w+) reset on >\$\w+ (.*)$", text, re.MULTILINE))
    url = urlsplit(settings.REDIS_URL)
    for name, words in rights.items():
        # words in brackets are one argument
        broker.execute_command("ACL SETUSER", name, "reset", "on", ">secret", *re.findall(r"\([^)]*\)|\S+", words))
    place = url.netloc.rpartition("@")[2]
    yield {
        variable: urlunsplit(url._replace(netloc=f"{name}:secret@{place}"))
        for variable, name in (("REDIS_URL", "broker"), ("CACHE_URL", "cache"))
    }
    for name in rights:
        broker.acl_deluser(name)


def test_the_rights_of_the_runbook_are_enough_for_all_work(
    broker: redis.Redis, granted: dict[str, str], tmp_path: Path
) -> None:
    lost(broker, since=0.0)
    with workers.worker(tmp_path, 2, **granted) as started, workers.beat(tmp_path, "beat", **granted):
        until(lambda: broker.zcard("unacked_index") == 0, lambda: log(tmp_path)[-2000:], seconds=60)
        work_is_done(started, tmp_path)
        for child in started.children():  # what it is at comes back
            os.kill(child, signal.SIGKILL)
        work_is_done(started, tmp_path)
        cache.delete(health.WORKED)
        until(lambda: health._worker() == "", lambda: "beat sends nothing", seconds=60)
    for name in ("worker", "beat"):
        assert "ermission" not in (tmp_path / f"{name}.log").read_text()
    assert [entry["context"] for entry in broker.acl_log() if entry["object"] != "client|setinfo"] == []


def test_remote_control_tells_nothing_and_stops_nothing(
    stranger: Celery, worker: workers.Celery, tmp_path: Path
) -> None:
    asked = stranger.control.inspect(timeout=3)
    assert asked.conf(with_defaults=True) is None
    for stopping in (
        lambda: stranger.control.cancel_consumer("celery", reply=True, timeout=1),
        lambda: stranger.control.pool_shrink(2, reply=True, timeout=1),
        lambda: stranger.control.rate_limit("privacy.tasks.send_letters", "1/h", reply=True, timeout=1),
        lambda: stranger.control.shutdown(reply=True, timeout=1),
    ):
        assert not stopping()
    work_is_done(worker, tmp_path)


def test_health_is_green_while_work_is_done_and_not_while_a_worker_takes_none(
    worker: workers.Celery, tmp_path: Path
) -> None:
    until(lambda: health._worker() == "", health._worker, seconds=60)
    with sites.frozen(worker.process.pid, *worker.children()):
        tasks.send_letters.delay()
        cache.set(health.WORKED, time.time() - health.WORK_SECONDS - 1)
        assert health._worker() == "No worker has finished a task in the last 60 seconds"
    until(lambda: health._worker() == "", lambda: "the worker does not go on", seconds=60)
