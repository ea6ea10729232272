"""Telling workers that something waits. It may fail: the tables are the truth, and the poller reads them.

What must never happen: a filing that fails or hangs because Redis is down or frozen (R1), so it is asked first, with a
short limit.
"""

from __future__ import annotations

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from privacy.requests.models import Request

log = structlog.get_logger(__name__)
SECONDS = 0.3
# Of privacy.tasks, which does what requests ask for and stands above them: woken by name.
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
    transaction.on_commit(lambda: _send(*message), robust=True)


def _send(request_id: str, step: str, version: int) -> None:
    if not answers():
        log.warning("nudge.skipped", request=request_id, step=step)
        return
    try:
        current_app.send_task(ADVANCE, (request_id, step, version), ignore_result=True)
    except Exception as error:
        log.warning("nudge.failed", request=request_id, step=step, error=type(error).__name__)


def nudge_letters() -> None:
    """Tell a worker that letters wait, once this transaction has committed. It may fail: beat looks every few seconds."""
    transaction.on_commit(_send_letters, robust=True)


def _send_letters() -> None:
    if not answers():
        return
    try:
        current_app.send_task(SEND_LETTERS, ignore_result=True)
    except Exception as error:
        log.warning("nudge.failed", error=type(error).__name__)
