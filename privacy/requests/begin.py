"""What comes before the first step that carries a request out, whichever right it is (design 11, 12).

What must never happen: data that end by a plan which is not the one that was confirmed, or before what was to be waited
for; data kept by a plan which binds nobody, so that the day that was told is forgotten and the record opens as before.
So no right does this by a step of its own: `execute` calls it for each, before that right's first step.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from privacy import subjects, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.requests import (
    addresses,
    assessment,
    bound,
    doubt,
    excess,
    history,
    planned,
    procedures,
    questions,
    second,
    services,
    steps,
    waits,
    whose,
    writing,
)
from privacy.requests.models import Request
from privacy.requests.result import LOOK_AGAIN, LOOK_LATER, Ended, Result, Wait
from privacy.requests.states import BEGUN_STATES, UNANSWERED_STATES, State
from privacy.retention import decided, in_force, restriction
from privacy.retention.models import Decision
from privacy.work.broken import Findings


def begin(request: Request, *, actor: Actor, now: datetime) -> Result | None:
    """Begin to carry a confirmed request out, in the caller's transaction; return what holds it up, None once it is
    begun.

    From here it only goes forward: nobody can take it back. Where data end, the plan is looked at once more: one that
    changed since it was confirmed goes back to the person, else it is binding now. Raises bound.NotOurs, and
    steps.NotConfirmed where nobody's data are known.
    """
    if (held := _held_up(request, actor, now) or _is_first(request, now)) is not None:
        return held
    if request.procedure.removes and (changed := _bind(request, actor, now)) is not None:
        return changed
    history.move(request, State.EXECUTING, actor=actor, now=now)
    return None


def _held_up(request: Request, actor: Actor, now: datetime) -> Result | None:
    """Return what a question to a second person, or time for others to object, makes of it; None when it may go on.

    An open question ends on the due date with more time or a refusal, never with a yes (design 11); one that was put
    too late for that stays open, and the request is overdue until it is decided.
    """
    questions.put_back(request)
    waits.look_at_others(request, actor=actor, now=now)
    excess.last_day(request, actor=actor, now=now)
    if waits.is_undecided(request):
        if second.last_day(request, actor=actor, now=now):
            return Ended()
        return Wait(now + LOOK_LATER)
    until = waits.ends_at(request, now=now)
    return Wait(min(until, now + LOOK_LATER)) if until is not None and until > now else None


def _is_first(request: Request, now: datetime) -> Wait | None:
    """Return until when to wait for what the person asked for besides and the right waits for, not past the due date.

    The finished copy outlives the erasure, so nobody waits until it is fetched. What the row of another request of the
    person says proves nothing where it is not as the site wrote it: that one is waited for like an open one.
    """
    kinds = request.procedure.waits_for
    if not kinds or request.owner_id is None or company_day(now) >= request.due_on:
        return None
    # Only one whose identity is proved: a stranger's question must not hold an erasure up.
    first = Q(kind__in=kinds, state__in=UNANSWERED_STATES, identity_at__isnull=False)
    is_waited_for = doubt.theirs(request.owner_id, first).exclude(pk=request.pk).exists()
    return Wait(now + LOOK_AGAIN) if is_waited_for else None


def _bind(request: Request, actor: Actor, now: datetime) -> Ended | Wait | None:
    """Make the plan binding, with what it keeps restricted; return Ended where it has changed and went back, Wait where
    a key of the person's may be left of a write that was rolled back."""
    subject = steps.subject_of(request)
    subjects.lock([subject])  # an import that takes something in for the person is finished first, or waits
    if in_force.in_doubt((one.label, one.record_id) for one in request.decisions.all() if one.record_id is not None):
        raise bound.NotOurs  # what would be kept or end because of it nobody can tell
    made = assessment.plan_for(request, today=company_day(now))
    if made.hash != request.confirmed_hash:
        services.plan_again(request, actor=actor, now=now)
        return Ended()
    if request.is_about_records:
        whose.require_covered(addresses.covered(request), {(one.record_id, one.envelope) for one in made.verdicts})
    else:
        # What leads to nobody, or to somebody else, for a night would be no part of what the person is told has gone.
        try:
            whose.require(subject, {(one.record_id, one.envelope) for one in made.verdicts})
        except whose.NotYet:
            return Wait(now + LOOK_LATER)
        if made.kept:
            whose.require_witnessed([subject])
    # What is on file now goes with the execution: where the answer is sent stands in the file of the request from here
    # on.
    answer_to = addresses.address_for_answer(request, now=now)
    if request.requester_email != answer_to:
        request.requester_email = answer_to
        request.save(update_fields=["requester_email"])  # type: ignore[misc]  # a sealed field is no column
    if not answer_to:
        writing.keep_postal(request, now=now)
    if not request.is_about_records:
        _keep_addresses(request, subject, now)
    planned.require(request)
    # What was said about kept data is binding now.
    decided.change(Decision.objects.filter(request=request, action=Decision.Action.KEEP), pinned=True)
    restriction.settle_request(request.pk, actor=actor, now=now)
    return None


def pin_again(*, findings: Findings) -> int:
    """Make binding once more what a begun removal keeps and what does not say so; return how many.

    A row that was put back as it was before has its keyed hash of before. That the request was begun says its own row,
    under its hash and its history: from then on each of them was binding. Each is a finding of the sweep.
    """
    begun = Q(request__state__in=BEGUN_STATES) | Q(request__state=State.PARKED, request__parked_from__in=BEGUN_STATES)
    found = Decision.objects.filter(
        begun, action=Decision.Action.KEEP, pinned=False, request__kind__in=procedures.removing()
    )
    rows = [one for one in found.order_by("pk") if decided.is_ours(one)]
    doubted = doubt.among(one.request_id for one in rows)
    count = 0
    for one in rows:
        if one.request_id not in doubted:
            findings.note("decision", one.label, one.record_id, bound.NotOurs.__name__)
            decided.change(Decision.objects.filter(pk=one.pk), pinned=True)
            count += 1
    return count


def _keep_addresses(request: Request, subject: UUID, now: datetime) -> None:
    """Write into the files of the person's other requests where they are answered now, "" where by post: no
    old link or code counts again because the erasure took the address that replaced its own, or because none
    was left to hold it against."""
    found = Request.objects.filter(owner_id=subject, pk__in=bound.files_of([subject])).exclude(pk=request.pk)
    for other in found.order_by("pk"):
        with vault.internal():  # compared only, shown to nobody
            stored = other.requester_email
        to = addresses.address_for_answer(other, now=now)
        if isinstance(stored, str) and stored != to:
            other.requester_email = to
            other.save(update_fields=["requester_email"])  # type: ignore[misc]  # a sealed field is no column
        if not to and other.is_open:
            writing.keep_postal(other, now=now)
