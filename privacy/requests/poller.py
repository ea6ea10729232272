"""Wakes what fell asleep: requests whose worker died, whose message was lost, or whose day has come (R1, R2).

What must never happen: a confirmed request that nobody looks at again. Any number of pollers may run at once.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from privacy.requests import broker, execute
from privacy.requests.models import Request

log = structlog.get_logger(__name__)
LIMIT = 50


def poll(*, now: datetime, limit: int = LIMIT) -> int:
    """Send a message for each request that is due, and lease it meanwhile; return how many.

    `limit` of them share a transaction; after an outage all are sent at once and not so many every few seconds. Rows
    another poller or a worker is at are skipped. The lease doubles with each try that came to nothing, up to an hour.
    """
    sent = batch = _send(now, limit)
    while batch == limit:
        sent += (batch := _send(now, limit))
    if sent:
        log.info("poller.sent", requests=sent)
    return sent


def _send(now: datetime, limit: int) -> int:
    with transaction.atomic():
        due = list(
            Request.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(next_action_at__lte=now)
            .exclude(step="")
            .order_by("next_action_at")
            # Only what is needed: another column of one request, if it cannot be read, must not stop the others.
            .only("pk", "step", "version", "attempts", "next_action_at")[:limit]
        )
        for request in due:
            request.next_action_at = now + execute.lease(request.attempts + 1)
            request.version += 1  # the message that was lost is stale, should it come after all
            request.save(update_fields=["next_action_at", "version"])
            broker.nudge(request)
    return len(due)
