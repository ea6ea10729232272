"""A deadline is moved only as the law allows, by the privacy team, for a reason, and the person is told in time.

What must never happen: a date somebody typed, a longer deadline nobody was told of, a clock stopped for a proof that
was not asked for at once. The dates follow from the events; here is decided whether such an event may be written.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from privacy import audit
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import addresses, clock, doubt, history, writing
from privacy.requests.asking import wait_anew
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request
from privacy.requests.procedure import Delay
from privacy.requests.proof import BadRequest
from privacy.requests.sight import NotYours, locked, require_hand
from privacy.requests.states import DONE_STATES, State

NOTICE = "extended"  # the letter that tells of a longer deadline

#: Art. 12(3): what alone makes a request take longer.
REASONS = {
    "complex": "the request is complex",
    "number": "you sent us several requests",
}
#: What else the program says on the due day; of a step that waits for the person its own `delay`.
SECOND_PERSON = "second_person"
BY_A_SECOND_PERSON = Delay(
    _("a second member of our staff has still to look at how it was shown that it is you who is asking"),
    _("They have not done so yet. That delay is ours, not yours: you need do nothing."),
)


class TooLate(NotAllowed):
    """The last day for the notice of an extension is over: a breach of the deadline. The text names that day."""


def may_extend(request: Request, *, now: datetime) -> bool:
    """Whether the deadline can be extended today: once, where the law knows a longer time, and
    while the notice is in time."""
    is_done = request.state in DONE_STATES  # what is done takes no longer
    return not is_done and may_post_notice(request, now=now) and not is_notice_unposted(request)


def is_too_late_to_extend(request: Request, *, now: datetime) -> bool:
    """Whether the deadline could have been extended, and the last day for the notice is over."""
    by = None if request.state in DONE_STATES else _last_day_for_notice(request, now)
    return by is not None and company_day(now) > by


def _last_day_for_notice(request: Request, now: datetime) -> date | None:
    dates = history.due_dates(request)
    return dates.notice_by(company_day(now)) if request.is_open and not dates.is_extended else None


def may_pause(request: Request, *, now: datetime) -> bool:
    """Whether the clock may stop until the identity is proved: it was asked for at once, is not
    known yet, and there is time."""
    if request.state != State.RECEIVED or history.due_dates(request).is_paused:
        return False
    facts, place = history.facts(request), history.place(request.procedure, request.country, request.region)
    try:
        clock.check_pause(facts, place, on=company_day(now))
    except clock.PauseNotAllowed:
        return False
    return True


def extend(request: Request, *, reason: str, words: str, actor: Actor, now: datetime) -> Request:
    """Take the longer deadline the law allows once, and tell the person with the reason (Art. 12(3)).

    `reason` is a key of REASONS, `words` say more to the person. Where they are told by post the longer deadline counts
    from the day on which the letter is ticked off (`posting.mark_posted`). Raises NotYours, BadRequest, NotAllowed;
    TooLate after the last day for the notice, which is written into the audit as a missed deadline.
    """
    _require_team(request, actor)
    if reason not in REASONS or not words.strip():
        raise BadRequest("An extension needs one of the law's reasons, and words for the person.")
    doubt.require_clear(request)
    try:
        return _extend(request, reason, REASONS[reason], words.strip(), actor, now)
    except TooLate:  # only now: the refusal undid what the transaction wrote
        _noted("request.extension_too_late", request, reason=reason, actor=actor, now=now)
        raise


def extend_by_itself(request: Request, waits_for: str, *, actor: Actor, now: datetime) -> bool:
    """Take the longer deadline on the due day for a request that waits for its step, or
    SECOND_PERSON. Raises NotAllowed.

    Return whether it counts: a notice by post does once it is ticked off on that day.
    """
    if is_notice_unposted(request):
        return False
    delay = BY_A_SECOND_PERSON
    if waits_for != SECOND_PERSON:
        step = request.procedure.named(waits_for)
        if step is None or step.delay is None:
            raise NotAllowed(f"Nothing is written of what a person is told when {waits_for!r} waits too long.")
        delay = step.delay
    _extend(request, waits_for, str(delay.because), str(delay.words), actor, now)
    return history.due_dates(request).is_extended


def _extend(request: Request, reason: str, because: str, words: str, actor: Actor, now: datetime) -> Request:
    with transaction.atomic():
        found = locked(request)
        if found.state in DONE_STATES:
            raise NotAllowed("What was asked for is done: it takes no longer.")
        by = _last_day_for_notice(found, now)
        if by is None:
            raise NotAllowed(
                "The deadline was extended before, the request has ended, or the law knows no longer time."
            )
        if company_day(now) > by:
            raise TooLate(_too_late(by))
        if is_notice_unposted(found):
            raise NotAllowed("The letter that tells the person of the longer deadline waits to be posted.")
        address = addresses.address_for_answer(found, now=now)
        if address:
            _count(found, reason, actor=actor, now=now)
        else:
            history.event(found, history.NOTICE_WRITTEN, actor=actor, now=now, detail={"reason": reason})
        dates = history.due_dates(found) if address else _dates_once_posted(found, now)
        context: dict[str, Any] = {
            "reason": because,
            "words": words,
            "due_on": dates.due_on,
            "dates": {"unpaused_due_on": dates.unpaused_due_on if dates.unpaused_due_on != dates.due_on else None},
        }
        writing.queue(NOTICE, to=address, context=context, key=f"{NOTICE}:{found.pk}", request=found, now=now)
    request.refresh_from_db()
    return found


def _count(request: Request, reason: str, *, actor: Actor, now: datetime) -> None:
    """Let the longer deadline count from today, in the caller's transaction."""
    history.event(request, clock.Kind.EXTENDED, actor=actor, now=now, detail={"reason": reason})
    history.recompute(request)
    wait_anew(request, now=now)
    _noted("request.extended", request, reason=reason, actor=actor, now=now)


def _dates_once_posted(request: Request, now: datetime) -> clock.Dates:
    """Return the dates that follow when the notice is posted in time."""
    facts = [*history.facts(request), clock.Event(clock.Kind.EXTENDED, company_day(now))]
    return clock.dates(facts, history.place(request.procedure, request.country, request.region))


# The notice by post ---------------------------------------------------------------------------------------------------


def is_notice_unposted(request: Request) -> bool:
    """Say whether a notice of a longer deadline was written and waits to be posted: until then the deadline is not
    extended."""
    return request.letters.filter(kind=NOTICE, by=Letter.By.POST, sent_at=None, stopped_at=None).exists()


def may_post_notice(request: Request, *, now: datetime) -> bool:
    """Say whether a notice that is posted today is in time."""
    by = _last_day_for_notice(request, now)
    return by is not None and company_day(now) <= by


def count_notice(request: Request, *, actor: Actor, now: datetime) -> None:
    """Let the longer deadline count, whose notice was posted today, in the caller's transaction."""
    _count(request, _reason_written(request), actor=actor, now=now)


def refuse_late_notice(request: Request, *, actor: Actor, now: datetime) -> None:
    """Write into the audit that a notice was to be posted after its last day, and raise TooLate;
    NotAllowed for an ended request."""
    by = _last_day_for_notice(request, now)
    if by is None:
        raise NotAllowed("The request has ended, or its deadline was extended before: the letter is stopped.")
    _noted("request.extension_too_late", request, reason=_reason_written(request), actor=actor, now=now)
    raise TooLate(f"{_too_late(by)} The letter is stopped: do not post it.")


def _reason_written(request: Request) -> str:
    written = history.details(request, history.NOTICE_WRITTEN)
    return str(written[-1].get("reason", "")) if written else ""


def _too_late(by: date) -> str:
    return (
        f"The person had to be told of an extension by {by:%-d %B %Y}. The deadline is not extended, and the audit says "
        "that this was tried too late."
    )


def pause(request: Request, *, actor: Actor, now: datetime) -> Request:
    """Stop the clock until the identity is proved (Art. 12(6)). Raises NotYours, NotAllowed."""
    _require_team(request, actor)
    with transaction.atomic():
        found = locked(request)
        doubt.require_clear(found)
        if not may_pause(found, now=now):
            raise NotAllowed(
                "The clock stops only while an identity that was asked for within three days is not proved."
            )
        history.event(found, clock.Kind.PAUSED, actor=actor, now=now, detail={"reason": "identity"})
        history.recompute(found)
        wait_anew(found, now=now)
        _noted("request.paused", found, reason="identity", actor=actor, now=now)
    request.refresh_from_db()
    return found


def _require_team(request: Request, actor: Actor) -> None:
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team moves a deadline.")


def _noted(action: str, request: Request, *, reason: str, actor: Actor, now: datetime) -> None:
    audit.record(action, actor=actor, now=now, subject=request.subject_id, reference=request.reference, reason=reason)
