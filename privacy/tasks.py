"""What workers do: a task reads the clock where the work needs it, calls what does the work, and may run twice or at
once without harm.

A message carries ids, a step and a version, never a person. What is true stands in the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog
from celery import shared_task
from django.db import connection, transaction
from django.utils import timezone

from privacy import audit
from privacy.gate.log import CHAINS
from privacy.gate.system import system, system_actor
from privacy.requests import broker, execute, export, links, waits, writing
from privacy.restore import maintenance, replay, revived
from privacy.retention import restriction
from privacy.sweep import arming, logs
from privacy.sweep import nightly as sweeping
from privacy.vault.keystore import blocks, collect
from privacy.work import apart

log = structlog.get_logger(__name__)


def _alone(name: str, do: Callable[[datetime], int]) -> Callable[[], int]:
    """Return what does this in a transaction of its own, and nothing while another run is at it: two beats, or a slow
    run, then do no harm."""

    def done() -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"task:{name}"])
            return do(timezone.now()) if cursor.fetchone()[0] else 0

    return done


@shared_task
def advance(request_id: str, step: str, version: int) -> str:
    """Do one step of one request, if it is still at this step and version; then send the letters that wait."""
    done = apart.each(
        step=lambda: execute.advance(UUID(request_id), now=timezone.now(), step=step, version=version),
        letters=send_letters,
    )
    return str(done["step"])


@shared_task
def poll() -> int:
    """Wake the requests that are due, and end the copies whose week is over."""
    done = apart.each(requests=lambda: broker.poll(now=timezone.now()), copies=expire_exports)
    return int(done["requests"])


@shared_task
def send_letters() -> int:
    """Send the letters that wait in the outbox."""
    with system("letter"):
        return writing.send_due(now=timezone.now())


@shared_task
def expire_exports() -> int:
    """Delete the copies whose week is over, files no row knows, and links long past; end questions
    with nothing left to decide."""
    done = apart.each(
        links=_alone("links", lambda now: links.forget_links(now=now)),
        copies=_alone("copies", lambda now: export.expire(now=now)),
        questions=_alone("questions", lambda now: waits.end_left_over(actor=system_actor("export"), now=now)),
    )
    return int(done["copies"])


@shared_task
def sweep() -> dict[str, object]:
    """End what has outlived its reason, as far as the sweep is armed; counts only where it is not. Blocks, and the rows
    of the logs, end as well, unless the sweep is refused: by a clock that jumped nothing ends."""
    try:
        done = apart.each(
            arming.SweepRefused, records=_swept, blocks=blocks.expire, logs=lambda: logs.end_all(now=timezone.now())
        )
    except arming.SweepRefused as refusal:
        log.error("sweep.refused", reason=type(refusal).__name__)
        return {"refused": type(refusal).__name__}
    return dict(done["records"])


def _swept() -> dict[str, object]:
    actor = system_actor("sweep")
    with system("sweep"):
        try:
            return sweeping.sweep(dry_run=False, actor=actor, also=revived.note).as_dict()
        except arming.NotArmed:
            done = apart.each(
                count=lambda: sweeping.count(actor=actor, also=revived.note).as_dict(),
                settle=lambda: restriction.settle_all(actor=actor, now=timezone.now()),
            )
            return dict(done["count"])


@shared_task
def seal_audit() -> int:
    """Chain the audit events, and the rows of the access log, whose transactions are over."""
    return sum(audit.for_each(CHAINS, lambda chain: audit.seal(now=timezone.now(), chain=chain)))


@shared_task
def checkpoint_audit() -> bool:
    """Write signed checkpoints of both chains outside the database; say whether one was due."""
    return audit.sign_all(now=timezone.now(), chains=CHAINS)


@shared_task
def collect_keys() -> dict[str, int]:
    """End keys that a crash between two commits left behind."""
    return collect.collect().as_dict()


@shared_task
def follow_ledger() -> int:
    """Compare the three places of the ledger and copy new lines onwards; does nothing in maintenance mode."""
    with replay.alone() as alone:
        if not alone or maintenance.reasons(afresh=True):
            return 0
        return replay.follow(actor=system_actor("sweep"), now=timezone.now())
