"""The road to the workers: every message has an end, and a copy of one is no second message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from ilt_site import celery, health, transport
from privacy.requests import broker as nudges
from tests.ilt_site.test_logs import lines, written  # noqa: F401


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker as somebody with its password sees it, empty."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(*transport.QUEUES)
        yield client
        client.delete(*transport.QUEUES)


def test_every_message_has_an_end_and_a_start_sends_what_health_asks_for(broker: redis.Redis) -> None:
    assert all(one["options"]["expires"] for one in settings.CELERY_BEAT_SCHEDULE.values())
    celery.begin_with_what_is_due()
    nudges._send(nudges.ADVANCE, str(uuid4()), "plan", 1)
    nudges._send(nudges.SEND_LETTERS)
    sent = [json.loads(one[transport.SIGNATURE :])["headers"] for one in broker.lrange(transport.QUEUE, 0, -1)]
    assert {one["task"] for one in sent} == {*health.EACH, nudges.ADVANCE, nudges.SEND_LETTERS} and len(sent) == 5
    ends = [datetime.fromisoformat(one["expires"]) - datetime.now(UTC) for one in sent]
    assert all(timedelta(0) < one <= timedelta(seconds=60) for one in ends), ends


def test_a_copy_of_a_message_is_no_second_message(
    broker: redis.Redis,
    written: StringIO,  # noqa: F811  the fixture
) -> None:
    """Half a minute of one message put back again and again kept a worker from all else for a quarter of an hour."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        ours = transport.SignedRedis(connection_pool=client.connection_pool)

        def taken() -> list[bytes]:
            return [found[1] for _ in range(5) if (found := ours.brpop([transport.QUEUE], timeout=0.01))]

        ours.lpush(transport.QUEUE, name := uuid4().hex)
        (stored,) = broker.lrange(transport.QUEUE, 0, -1)
        broker.rpush(transport.QUEUE, *[stored] * 3)
        assert taken() == [name.encode()] and broker.llen(transport.QUEUE) == 0
        broker.rpush(transport.QUEUE, stored)
        ours.lpush(transport.QUEUE, later := uuid4().hex)
        assert taken() == [later.encode()], "what is ours beside the copies is taken"
    refused = [one for one in lines(written) if one["event"] == "message_refused"]
    assert [one["reason"] for one in refused] == ["a copy of a message that this worker took already"], (
        "one line for all"
    )


def test_a_worker_remembers_the_last_messages_and_no_more() -> None:
    few: Any = transport.Taken(most=2)
    assert [few.is_new(one) for one in (b"1", b"2", b"2", b"3", b"3", b"2", b"1")] == [
        True, True, False, True, False, False, True,
    ]  # fmt: skip
    assert len(few.seen) == 2
    expires = max(one["options"]["expires"] for one in settings.CELERY_BEAT_SCHEDULE.values())
    often = sum(
        1 / one["schedule"] for one in settings.CELERY_BEAT_SCHEDULE.values() if isinstance(one["schedule"], float)
    )
    assert 3 * expires * often < transport.REMEMBERED, "longer than the longest life of a message"
