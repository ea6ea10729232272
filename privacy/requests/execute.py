"""Carrying a request out: one small step at a time, by whatever worker comes by (P7, P9, Art. 12, 15, 17).

What must never happen: a step done for a plan nobody confirmed, done twice, or forgotten half-way. A message says only
"look at request R, step S, version V"; what is to be done stands in the tables. Each try is counted in a transaction of
its own before anything else; each step does its work and writes what comes next in one transaction under the request's
row lock, so a killed worker leaves the step as not begun. The poller wakes what fell asleep, ten failures park it for a
person. Before the first step an erasure can be withdrawn; afterwards it only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F, Q

from privacy import audit
from privacy.calendar import undated
from privacy.gate.context import current
from privacy.gate.log import CHAINS
from privacy.gate.system import system
from privacy.requests import begin, bound, broker, doubt, history, procedures, steps, waits
from privacy.requests.models import Request
from privacy.requests.procedure import Step
from privacy.requests.result import Again, Done, Ended, Result, Wait
from privacy.requests.states import State
from privacy.vault.compiled import Question
from privacy.work import checkpoints
from privacy.work.broken import require_own

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 10


class Busy(Exception):
    """Another worker is at this request."""


# One step -------------------------------------------------------------------------------------------------------------


def advance(request_id: UUID, *, now: datetime, step: str | None = None, version: int | None = None) -> str:
    """Do one step of one request and return what came of it: the step's name, or a word for why nothing was done.

    Words: "idle" nothing to do, "stale" an old message, "busy" another worker is at it, "waiting", "ended" it went
    another way, "retry" it failed and is tried again, "parked" it failed ten times. `step` and `version` are those of
    the message; without them the table decides alone.
    """
    try:
        taken = _take(request_id, now, step, version)
    except Busy:
        return "busy"
    except Exception as error:
        require_own(error)
        return _unreadable(request_id, type(error).__name__, now)
    if isinstance(taken, str):
        return taken
    try:
        request, one = taken
        with system(request.procedure.purpose, subject=request.owner_id):
            word = _do(request_id, now, one, request.version)
        if word == "tombstone":
            _sign_logs(now)
        return word
    except Busy:
        return "busy"
    except Exception as error:
        return _failed(request_id, type(error).__name__, now)


def _sign_logs(now: datetime) -> None:
    """Seal both logs and sign their heads after an erasure: whoever cuts them off later is found by it.

    What cannot be written now is written by the sealer and the hourly checkpoint; the erasure stands.
    """
    audit.sign_all(now=now, chains=CHAINS)


def _lock(request_id: UUID, *, wait: bool = False) -> Request:
    """Return the request, locked. Raises Busy when it is locked by another worker (with `wait`: for lock_timeout)."""
    try:
        found: Request | None = _locking(wait)(request_id)
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == "55P03":  # lock_not_available
            raise Busy from None
        raise
    if found is None:
        raise Request.DoesNotExist
    return found


@cache
def _locking(wait: bool) -> Callable[[UUID], Any]:
    # Compiled once: each step locks its request twice.
    rows = Request.objects.select_for_update(nowait=not wait, of=("self",)).filter(pk=Question.NUMBER).order_by()
    return Question(rows, Question.NUMBER).record


def _take(request_id: UUID, now: datetime, step: str | None, version: int | None) -> tuple[Request, Step] | str:
    """Count a try and take the lease, in a transaction of its own, so that a killed try counts; return request and
    step.

    A message is good for one try: taking it uses its version up. Without a message the lease must be over.
    """
    with transaction.atomic():
        request = _lock(request_id)
        if not request.step or request.next_action_at is None:
            return "idle"
        if (step is not None and step != request.step) or (version is not None and version != request.version):
            return "stale"
        if request.next_action_at > now:
            if request.waits_for_person:
                return "idle"
            if version is None:
                return "busy" if request.attempts and not request.last_error else "waiting"
        one = request.procedure.named(request.step)
        if not request.procedure.is_known or one is None:
            # Nobody knows what is to be done: not tried, and never as something else.
            request.last_error = procedures.UnknownKind.__name__
            request.save(update_fields=["last_error"])
            _park(request, now)
            return "parked"
        if request.attempts >= MOST_ATTEMPTS:
            _park(request, now)
            return "parked"
        request.attempts += 1
        request.version += 1
        request.tries = {**request.tries, request.step: request.tries.get(request.step, 0) + 1}
        request.next_action_at = now + broker.lease(request.attempts)
        request.save(update_fields=["attempts", "version", "tries", "next_action_at"])
        return request, one


def _do(request_id: UUID, now: datetime, one: Step, version: int) -> str:
    with transaction.atomic():
        # Whoever has taken the lease waits: another delivery, which only looks, must not cost it the step.
        request = _lock(request_id, wait=True)
        if request.step != one.name or request.version != version:
            return "stale"
        with bound.asked_once(request):
            if not one.waits:  # these only end it, or give it more time
                doubt.require(request)
            _check_confirmed(request)
            result = _begin(request, one, now) or one.function()(request, now)
            if not isinstance(result, Wait):
                checkpoints.reach(one.name, request_id)
            return _write(request, one, result, now)


def _begin(request: Request, step: Step, now: datetime) -> Result | None:
    """Return what holds up the first step after the confirmation, whatever right it belongs to."""
    is_first = request.state == State.CONFIRMED and not step.waits and step.reaches != State.PLANNED
    return begin.begin(request, actor=steps.acting(), now=now) if is_first else None


def _check_confirmed(request: Request) -> None:
    """Look at the confirmed plan in the table: a message proves nothing. Raises NotConfirmed."""
    if request.step == procedures.PLAN.name or request.waits_for_person:
        return
    going_on = (State.CONFIRMED, State.EXECUTING, State.EXECUTED, State.REPLIED)
    if request.state not in going_on or not request.plan_hash or request.confirmed_hash != request.plan_hash:
        raise steps.NotConfirmed


def _write(request: Request, one: Step, result: Result, now: datetime) -> str:
    """Write what came of a step: state, event, next step, all in the step's own transaction."""
    step = one.name
    actor = current()
    match result:
        case Ended():
            return "ended"
        case Wait(until):
            history.schedule(request, step, at=until)
            return "waiting"
        case Again():
            history.schedule(request, step, at=now)
        case Done(detail):
            with bound.kept(request):  # signed once for all of it
                history.step_done(request, step, actor=actor, now=now, detail=detail)
                after = steps.following(request)
                then = (after, now if after else None)
                if one.reaches == request.state:
                    history.schedule(request, then[0], at=then[1])
                else:
                    history.move(request, one.reaches, actor=actor, now=now, then=then)
                    waits.end_left_over(actor=actor, now=now, request=request)
    broker.nudge(request)
    return step


def _unreadable(request_id: UUID, error: str, now: datetime) -> str:
    """Count a try of a request whose row cannot be read at all; after MOST_ATTEMPTS park it like any other."""
    log.error("request.unreadable", request=str(request_id), error=error)
    row = Request.objects.filter(pk=request_id)
    with transaction.atomic():
        state, attempts = row.select_for_update().values_list("state", "attempts").get()
        if state == State.PARKED:
            return "parked"  # by another worker
        row.update(
            attempts=F("attempts") + 1, last_error=error[:100], version=F("version") + 1,
            next_action_at=now + broker.lease(attempts + 1),
        )  # fmt: skip
        if attempts + 1 < MOST_ATTEMPTS:
            return "retry"
        with undated.leniently():
            bound.write(Q(pk=request_id), parked_from=F("state"), state=State.PARKED, next_action_at=None)
        audit.record("request.parked", actor=current(), now=now, reason=error, record=(Request.vault_label, request_id))
    return "parked"


def _failed(request_id: UUID, error: str, now: datetime) -> str:
    """Keep the class of the failure; after MOST_ATTEMPTS park the request, with an alarm."""
    log.warning("step.failed", request=str(request_id), error=error)
    try:
        with transaction.atomic():
            request = _lock(request_id)
            if request.state == State.PARKED:
                return "parked"  # by another worker, while this one was at it
            request.last_error = error[:100]
            request.save(update_fields=["last_error"])
            if request.attempts >= MOST_ATTEMPTS:
                _park(request, now)
                return "parked"
    except (Busy, DatabaseError):
        pass  # the lease taken before stands; the poller comes back
    return "retry"


def _park(request: Request, now: datetime) -> None:
    with bound.kept(request):  # signed once for all of it
        request.parked_from = request.state
        request.next_action_at = None
        request.save(update_fields=["parked_from", "next_action_at"])
        history.move(
            request, State.PARKED, actor=current(), now=now, detail={"step": request.step, "error": request.last_error}
        )
    audit.record(
        "request.parked",
        actor=current(),
        now=now,
        subject=request.subject_id,
        reference=request.reference,
        reason=f"{request.step}: {request.last_error}",
    )
    log.error("request.parked", request=str(request.pk), step=request.step, error=request.last_error)


def run(request_id: UUID, *, clock: Callable[[], datetime], pause: Callable[[], None], rounds: int = 5000) -> str:
    """Do all steps of one request in this process until it waits, ends or fails; return the last word of `advance`.

    `pause` is called while another worker holds it.
    """
    word = "idle"
    for _ in range(rounds):
        word = advance(request_id, now=clock())
        if word == "busy":
            pause()
        elif word in ("idle", "waiting", "retry", "parked"):
            return word
    return word
