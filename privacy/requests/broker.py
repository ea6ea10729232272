"""Workers are told that something waits; that may fail, because the tables are the truth: `poll` reads them, and wakes
requests whose worker died, whose message was lost, or whose day has come (R1, R2).

What must never happen: a filing that fails or hangs because Redis is down or frozen, so it is asked first, with a short
limit; a confirmed request at which nobody looks again. Any number of pollers may run at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from privacy.requests.models import Request
from privacy.work.broken import Findings, spared

log = structlog.get_logger(__name__)
SECONDS = 0.3
FIRST_LEASE = timedelta(seconds=30)
LONGEST_LEASE = timedelta(hours=1)
LIMIT = 50
# Of privacy.tasks, which does what requests ask for and stands above them: woken by name.
# A message that was not taken until then is dropped: the poller has told, or tells, another worker by then.
MESSAGE_LIVES = FIRST_LEASE
ADVANCE, SEND_LETTERS = "privacy.tasks.advance", "privacy.tasks.send_letters"


def answers() -> bool:
    """Return whether the broker answered within SECONDS. A broker that is no Redis counts as answering."""
    url = str(settings.CELERY_BROKER_URL)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return True
    client = redis.Redis.from_url(
        url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def nudge(request: Request) -> None:
    """Tell a worker about the next step once this transaction has committed. It may fail: the poller sees the table."""
    if not request.step or request.next_action_at is None:
        return
    message = (str(request.pk), request.step, request.version)
    transaction.on_commit(lambda: _send(ADVANCE, *message), robust=True)


def _send(task: str, *message: Any) -> None:
    if not answers():
        log.warning("nudge.skipped", task=task, message=message)
        return
    try:
        current_app.send_task(task, message, ignore_result=True, expires=MESSAGE_LIVES.total_seconds())
    except Exception as error:
        log.warning("nudge.failed", task=task, message=message, error=type(error).__name__)


def nudge_letters() -> None:
    """Tell a worker that letters wait, once this transaction has committed. It may fail: beat looks every few
    seconds."""
    transaction.on_commit(lambda: _send(SEND_LETTERS), robust=True)


def lease(attempts: int) -> timedelta:
    """Return how long a worker may take before the poller sends another: doubled with each try, at most an hour."""
    return min(FIRST_LEASE * 2 ** min(max(attempts - 1, 0), 10), LONGEST_LEASE)


def poll(*, now: datetime, limit: int = LIMIT) -> int:
    """Send a message for each request that is due, and lease it meanwhile; return how many.

    `limit` of them share a transaction; after an outage all are sent at once and not so many every few seconds. Rows
    another poller or a worker is at are skipped. The lease doubles with each try that came to nothing, up to an hour.
    """
    sent, failed = 0, Findings()
    due = limit
    while due == limit:
        due, woken = _wake(now, limit, failed)
        sent += woken
    if sent:
        log.info("poller.sent", requests=sent)
    return sent


def _wake(now: datetime, limit: int, failed: Findings) -> tuple[int, int]:
    """Return how many were due, and of how many a worker is told now; the others are noted, and asked for no more."""
    with transaction.atomic():
        due = list(
            Request.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(next_action_at__lte=now)
            .exclude(step="")
            .exclude(pk__in=[one.record for one in failed])
            .order_by("next_action_at")
            # Only what is needed: a column of one request, if it cannot be read, must not stop the others. So not the
            # day that put it here.
            .only("pk", "step", "version", "attempts")[:limit]
        )
        woken = spared(
            due,
            lambda some: _lease(some, now),
            step="poll",
            label=Request.vault_label,
            findings=failed,
            number=lambda request: request.pk,
        )
        return len(due), sum(woken)


def _lease(due: Sequence[Request], now: datetime) -> int:
    with transaction.atomic():
        for request in due:
            request.next_action_at = now + lease(request.attempts + 1)
            request.version += 1  # the message that was lost is stale, should it come after all
            request.save(update_fields=["next_action_at", "version"])
            nudge(request)
    return len(due)
