"""The road to the workers: kombu's transport over Redis, with every message signed.

What must never happen: a word that somebody else wrote into the broker reaches kombu, Celery or a task. A message that
they do not expect ends a worker; Celery puts it back, and it ends the next one. So each message is signed by a key of
the ring as it is written, and what was signed nowhere, or for another place, is dropped as it is read, before anything
looks into it, with one line in the log; so is a copy of a message that the worker took already. Where a name of the
broker holds something of another kind, which only an operator can take away, the workers go on asking, the health page
names it, and the log has a line. Nothing is lost: the tables are the truth, and the poller sends again what is still
due.

There is one queue and no broadcast: neither remote control, which tells all settings and stops work, nor
what workers tell each other of themselves. So the broker's user needs eleven commands on three names, and
no script (docs/runbook.md).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import structlog
from kombu.transport import redis as over_redis
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from privacy.vault import ring

QUEUE = "celery"
SIGNATURE = 32  # bytes

# Where the messages lie: waiting in a list, or, while a worker is at them, in a hash from which a lost one is put back.
# A signature is for one of the two, so that neither is taken for the other.
WAITING, TAKEN = b"waiting", b"taken"
WRITES = {"LPUSH": (2, WAITING), "RPUSH": (2, WAITING), "HSET": (3, TAKEN)}  # from which argument on, and for where
READS = {"BRPOP": WAITING, "RPOP": WAITING, "HGET": TAKEN}

# Kombu keeps a list for each of four priorities, and the hash and its index of what workers are at.
QUEUES = (QUEUE, *(f"{QUEUE}\x06\x16{step}" for step in (3, 6, 9)))
AT_WORK, AT_WORK_SINCE = "unacked", "unacked_index"
PAUSE_SECONDS = 1.0  # between two looks at a name that holds something else
NO_ANSWER: dict[str, Any] = {"BRPOP": None, "RPOP": None, "HGET": None, "ZRANGE": [], "LLEN": 0}

# Of how many messages a worker remembers that it took them: more than are sent within the longest "expires" of one
# (settings.CELERY_BEAT_SCHEDULE), some 20 a minute. Each is 32 bytes.
REMEMBERED = 50_000

log = structlog.get_logger(__name__)


def signed(place: bytes, value: str | bytes) -> bytes:
    """Return what to store for `value`: a signature, then the value."""
    text = value.encode() if isinstance(value, str) else value
    return _signature(place, text) + text


def read(place: bytes, stored: bytes) -> bytes | None:
    """Return the value that this site signed for `place`; None, and a line in the log, for anything else."""
    signature, text = stored[:SIGNATURE], stored[SIGNATURE:]
    if hmac.compare_digest(signature, _signature(place, text)):
        return text
    log.warning("message_refused", reason="not signed by this site", size=len(stored))
    return None


class Taken:
    """Which of the last messages this process took already, by their signatures.

    Kombu counts what a worker holds by a number in the message, which copies have in common: it would take all of them
    into its memory, and do nothing else. One that comes back from a lost worker is another message once; a second time
    it is dropped, and what was still due is sent anew.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self.most = most
        self.seen: dict[bytes, bool] = {}  # whether a copy was told of; the oldest first

    def is_new(self, signature: bytes) -> bool:
        """Say whether a message was not taken before, and remember it; one line in the log for all copies of one."""
        told = self.seen.get(signature)
        if told is None:
            self.seen[signature] = False
            if len(self.seen) > self.most:
                del self.seen[next(iter(self.seen))]
            return True
        if not told:
            self.seen[signature] = True
            log.warning("message_refused", reason="a copy of a message that this worker took already")
        return False


_taken = Taken()


def _signature(place: bytes, text: bytes) -> bytes:
    key = ring.current().derive("broker-messages")
    return hmac.new(key, place + b"\0" + text, hashlib.sha256).digest()


def is_another_kind(error: ResponseError) -> bool:
    """Say whether the name that was asked holds a value of another kind than we keep there; one line in the log if
    so."""
    if "WRONGTYPE" not in str(error):  # in a pipeline the command is named before it
        return False
    log.error(
        "broker_name_taken", reason="a name of the broker holds a value of another kind; the health page names it"
    )
    return True


def taken_names(client: Redis) -> list[str]:
    """Return the names of the broker under which something of another kind lies: no work is done until it is
    deleted."""
    asks: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(QUEUES, client.llen),
        AT_WORK: lambda name: client.hget(name, ""),
        AT_WORK_SINCE: lambda name: client.zrange(name, 0, 0),
    }
    found = []
    for name, ask in asks.items():
        try:
            ask(name)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                found.append(name)
    return found


class Signed:
    """Signs what kombu writes and drops what nobody here signed, at the place where commands and answers pass."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] in WRITES:
            first, place = WRITES[args[0]]
            args = (*args[:first], *(signed(place, value) for value in args[first:]))
        return super().execute_command(*args, **options)  # type: ignore[misc]

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        try:
            found = super().parse_response(connection, command_name, **options)  # type: ignore[misc]
        except ResponseError as error:
            if command_name not in NO_ANSWER or not is_another_kind(error):
                raise
            if command_name == "BRPOP":
                time.sleep(PAUSE_SECONDS)
            return NO_ANSWER[command_name]
        if found is None or command_name not in READS:
            return found
        place = READS[command_name]
        if command_name != "BRPOP":
            return read(place, found)
        key, stored = found
        text = read(place, stored)
        return (key, text) if text is not None and _taken.is_new(stored[:SIGNATURE]) else None


class SignedPipeline(Signed, Pipeline):
    """Several commands at once; what a worker notes of a message where something else lies is left out, and the work is
    done."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        try:
            return list(super().execute(raise_on_error))
        except ResponseError as error:
            if not is_another_kind(error):
                raise
            return []


class SignedRedis(Signed, Redis):
    """Redis' client."""

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> SignedPipeline:
        return SignedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class QoS(over_redis.QoS):
    """What workers are at, and what one that was lost had been at."""

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:
        """Put back what was taken too long ago.

        Without kombu's lock, which needs a script in Redis: each is put back in a transaction, so two workers do it
        once.
        """
        latest = time.time() - self.visibility_timeout
        channel: Any = self.channel
        with channel.conn_or_acquire() as client:
            limits = {"offset": start, "num": num} if num else {}
            for tag in client.zrange(self.unacked_index_key, latest, 0, desc=True, byscore=True, **limits):
                self.restore_by_tag(tag, client)


class Channel(over_redis.Channel):
    """One queue, whose name no table in Redis has to tell."""

    QoS = QoS
    supports_fanout = False

    def _get_client(self) -> type[SignedRedis]:
        super()._get_client()  # type: ignore[misc]  # refuses a client library that is too old
        return SignedRedis

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        return [QUEUE] if exchange in ("", QUEUE) else []


class Transport(over_redis.Transport):
    """Redis without broadcast."""

    Channel = Channel
    driver_type = "ilt"  # Celery looks for other workers where it knows the kind
    implements = over_redis.Transport.implements.extend(exchange_type=frozenset(["direct", "topic"]))
