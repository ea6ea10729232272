"""What a letter does that was printed and posted: from the day on which it is ticked off, not from the day on which it was written.

What must never happen: a person who counts as asked, or as told of a longer deadline, while the letter lies on a desk; a letter that
is posted after the answer, or after the day on which it had to be posted; one that who filed the request alone says was posted. A letter ticked off too early is no harm that can be
undone here: what it told counts from that day, and who ticked it off stands in the audit.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from privacy.gate.actor import Actor
from privacy.requests import broker, clock, deadline, history, hooks, letters, outcome, paper
from privacy.requests.filing import locked
from privacy.requests.history import NotAllowed
from privacy.requests.models import Letter, Request, State


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter, with what follows from that day on: the person was asked who it is, was told
    of a longer deadline (Art. 12(3)), has the answer; a copy that went with it is destroyed here.

    Raises letters.CannotSendAgain when it was not waiting for that, NotAllowed for a copy that nobody has printed or taken and for who filed the request, unless nobody else is of the privacy team, deadline.TooLate for the notice of an extension whose last day
    is over: it is stopped, the deadline stays, and the audit says that it was tried.
    """
    if letter.request is None:
        letters.mark_posted(letter, actor=actor, now=now)
        return
    with transaction.atomic():
        request = locked(letter.request)
        _require_another(request, actor)
        is_in_time = letter.kind != deadline.NOTICE or deadline.may_post_notice(request, now=now)
        if is_in_time:
            if letter.kind == paper.KIND:
                paper.require_in_envelope(letter, request, now=now)
            letters.mark_posted(letter, actor=actor, now=now)
            _follow(letter, request, actor=actor, now=now)
        else:
            letters.withhold([letter.key], now=now)
    if not is_in_time:  # only now: that it is stopped has to stay
        deadline.refuse_late_notice(request, actor=actor, now=now)


def _require_another(request: Request, actor: Actor) -> None:
    """Raise NotAllowed for a member of staff who filed the request, where another one of the privacy team can post its letters."""
    if actor.kind != "staff" or not hooks.people().team() - {actor.id or ""}:
        return
    receipts = request.events.filter(kind=clock.Kind.RECEIVED, actor_kind="staff", actor_id=actor.id or "")
    if receipts.exists():
        raise NotAllowed(
            "You filed this request: somebody else of the privacy team posts its letters and marks them as posted."
        )


def _follow(letter: Letter, request: Request, *, actor: Actor, now: datetime) -> None:
    """Do what follows from the posting, in the caller's transaction."""
    if letter.kind in letters.ASKING and request.state == State.RECEIVED:
        if not request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists():
            history.event(request, clock.Kind.IDENTITY_ASKED, actor=actor, now=now)
    elif letter.kind == deadline.NOTICE:
        deadline.count_notice(request, actor=actor, now=now)
    if letter.kind == paper.KIND:
        paper.posted(letter, request, actor=actor, now=now)
    if letter.key == outcome.answer_key(request) and request.step == "close":
        history.schedule(request, "close", at=now)
        broker.nudge(request)
