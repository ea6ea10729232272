"""Whether the sweep may run now: armed by a person, by a clock that did not jump, and alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from privacy import audit
from privacy.actor import Actor
from privacy.sweep.models import SweepState

CLOCK_JUMP = timedelta(hours=48)
LOCK = 0x52455445  # advisory lock: one sweep at a time


class SweepRefused(Exception):
    """The sweep may not run; nothing was erased. Its text is one sentence."""


class NotArmed(SweepRefused):
    """The sweep was never armed on this installation."""


class ClockJumped(SweepRefused):
    """The database's clock stands before the last run, or far after it."""


class FutureDay(SweepRefused):
    """A day that has not come: only to be counted, not to be carried out."""


class AlreadyRunning(SweepRefused):
    """Another sweep is at work."""


def arm(*, actor: Actor | None) -> SweepState:
    """Let the sweep erase from now on, and take the database's clock as right; return the state. Safe to repeat."""
    now = database_now()
    with transaction.atomic():
        state, _ = SweepState.objects.select_for_update().get_or_create(pk=SweepState.ONLY)
        state.armed_at = state.armed_at or now
        state.armed_by = actor.noted if actor else ""
        state.marked_at = now
        state.save()
        audit.record("retention.armed", actor=actor, now=now)
    return state


def disarm(*, actor: Actor | None) -> SweepState:
    """Let the sweep only count from now on; return the state. Safe to repeat: what is unarmed is told of once."""
    now = database_now()
    with transaction.atomic():
        state, _ = SweepState.objects.select_for_update().get_or_create(pk=SweepState.ONLY)
        if state.armed_at is None:
            return state
        state.armed_at, state.armed_by = None, ""
        state.save()
        audit.record("retention.disarmed", actor=actor, now=now)
    return state


def is_armed() -> bool:
    """Whether the sweep may erase on this installation."""
    return SweepState.objects.filter(pk=SweepState.ONLY, armed_at__isnull=False).exists()


def database_now() -> datetime:
    """Return the time by the database's clock: the one clock that all machines share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def is_jump(last: datetime, now: datetime) -> bool:
    """Whether a clock that showed `last` at the last run cannot be trusted at `now`: it went back, or far ahead."""
    return not last <= now <= last + CLOCK_JUMP


def mark(now: datetime) -> None:
    """Note the clock of this run. Raises NotArmed and ClockJumped."""
    with transaction.atomic():
        state = SweepState.objects.select_for_update().filter(pk=SweepState.ONLY).first()
        if state is None or state.armed_at is None:
            raise NotArmed("The sweep is not armed: look at a dry run, then run retention_arm.")
        if state.marked_at is not None and is_jump(state.marked_at, now):
            raise ClockJumped(
                "The database's clock is before the last sweep or more than 48 hours after it: look at the clock and "
                "at a dry run, then run retention_arm."
            )
        state.marked_at = now
        state.save(update_fields=["marked_at"])


def ended_on(day: date) -> int:
    """Return of how many people the schedule has ended data on this day, in whatever runs."""
    return SweepState.objects.filter(pk=SweepState.ONLY, night=day).values_list("people", flat=True).first() or 0


def note_ended(day: date, people: int) -> None:
    """Note, before it is done, of how many people the schedule has ended data on this day."""
    SweepState.objects.filter(pk=SweepState.ONLY).update(night=day, people=people)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the sweep's lock, of the connection: it goes with the process. Raises AlreadyRunning."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise AlreadyRunning("Another sweep is running.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
