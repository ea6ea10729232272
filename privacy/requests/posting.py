"""What a letter does that was printed and posted: from the day on which it is ticked off, not from the
day on which it was written.

What must never happen: a person who counts as asked, or as told of a longer deadline, while the letter lies on a desk;
a letter that is posted after the answer, or after the day on which it had to be posted; one that who filed the request
alone says was posted. A letter ticked off too early is no harm that can be undone here: what it told counts from that
day, and who ticked it off stands in the audit.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from privacy import audit, letters, people, vault
from privacy.actor import Actor, require_another
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import (
    answer,
    assessment,
    broker,
    clock,
    deadline,
    history,
    offering,
    paper,
    procedures,
    writing,
)
from privacy.requests.asking import ask_who
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.sight import locked, people_in
from privacy.requests.states import State


def _people(letter: Letter) -> set[UUID | None]:
    return letter.people | (people_in(letter.request) if letter.request is not None else set())


def opened(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that somebody opens a letter to print it, each time; and with whom a link or code in it is known from then
    on. Raises letters.LinkLost where the link or code is there no more: nothing is shown then.

    Who has had a link or code in hand decides about the request of it no more (`second.may_decide`). Whoever sees only
    what covers the text has seen nothing. Raises AboutYourself for the person whose request it is.
    """
    require_another(actor, about=_people(letter))
    letters.require_whole(letter, now=now)
    if isinstance(letter.text, vault.Unreadable):
        return
    with transaction.atomic():
        request = locked(letter.request) if letter.request is not None else None
        if request is not None and isinstance(letter.credentials, dict):
            known = request.events.filter(kind=history.CODE_SHOWN, actor_kind=actor.kind, actor_id=actor.id or "")
            if not known.exists():
                history.event(request, history.CODE_SHOWN, actor=actor, now=now)
        letters.opened(letter, actor=actor, now=now, reference=request.reference if request is not None else "")


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter, with what follows from that day on: the person was asked who it
    is, was told of a longer deadline (Art. 12(3)), has the answer; a copy that went with it is destroyed here.

    Raises letters.CannotSendAgain when it was not waiting for that, NotAllowed for a copy that nobody has printed or
    taken and for who filed the request, unless nobody else is of the privacy team, deadline.TooLate for the notice of
    an extension whose last day is over: it is stopped, the deadline stays, and the audit says that it was tried. Raises
    AboutYourself and letters.LinkLost as `opened` does.
    """
    require_another(actor, about=_people(letter))
    letters.require_whole(letter, now=now)  # before all else: that it is stopped has to stay
    if letter.request is None:
        letters.mark_posted(letter, actor=actor, now=now)
        return
    with transaction.atomic():
        request = locked(letter.request)
        _require_not_filed(request, actor)
        is_in_time = letter.kind != deadline.NOTICE or deadline.may_post_notice(request, now=now)
        if is_in_time:
            if paper.goes_with(letter, request):
                paper.require_in_envelope(letter, request, now=now)
            letters.mark_posted(letter, actor=actor, now=now)
            _follow(letter, request, actor=actor, now=now)
        else:
            letters.withhold([letter.key], now=now)
    if not is_in_time:  # only now: that it is stopped has to stay
        deadline.refuse_late_notice(request, actor=actor, now=now)


def _require_not_filed(request: Request, actor: Actor) -> None:
    """Raise NotAllowed for a member of staff who filed the request, where another one of the
    privacy team can post its letters."""
    if actor.kind != "staff" or not people.ask().team() - {actor.id or ""}:
        return
    receipts = request.events.filter(kind=clock.Kind.RECEIVED, actor_kind="staff", actor_id=actor.id or "")
    if receipts.exists():
        raise NotAllowed(
            "You filed this request: somebody else of the privacy team posts its letters and marks them as posted."
        )


def _follow(letter: Letter, request: Request, *, actor: Actor, now: datetime) -> None:
    """Do what follows from the posting, in the caller's transaction."""
    if letter.kind == writing.POSTED_CODE:
        history.event(request, history.CODE_POSTED, actor=actor, now=now)
    if letter.kind in writing.ASKING and request.state == State.RECEIVED:
        if not request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists():
            history.event(request, clock.Kind.IDENTITY_ASKED, actor=actor, now=now)
    elif letter.kind == deadline.NOTICE:
        deadline.count_notice(request, actor=actor, now=now)
    if paper.goes_with(letter, request):
        paper.posted(letter, request, actor=actor, now=now)
    if letter.key == answer.key(request) and request.step == procedures.CLOSE.name:
        history.schedule(request, procedures.CLOSE.name, at=now)
        broker.nudge(request)


# What comes back ------------------------------------------------------------------------------------------------------


def came_back(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Write down that a letter came back: a mail bounced, or the post could not deliver it. Raises
    letters.CannotSendAgain.

    From then on nothing of this request goes to that address: after a bounce what the person has to know goes by
    post, and the call-back or the code by post prove who asks (design 9). Links and codes of before end:
    somebody else may have them. Raises AboutYourself as `opened` does.
    """
    require_another(actor, about=_people(letter))
    with transaction.atomic():
        request = locked(letter.request) if letter.request is not None else None
        if request is None or letter.sent_at is None or writing.is_returned(letter):
            raise letters.CannotSendAgain
        detail = {"letter": str(letter.pk), "by": letter.by}
        history.event(request, history.LETTER_RETURNED, actor=actor, now=now, detail=detail)
        audit.record(
            "letter.returned", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk),
            reason=letter.by, reference=request.reference,
        )  # fmt: skip
        request.links.filter(used_at=None).exclude(purpose=OneTimeLink.Purpose.NOT_ME).update(expires_at=now)
        if letter.by == Letter.By.EMAIL and request.subject_id is not None and not request.is_about_records:
            _tell_by_post(request, now=now)


def _tell_by_post(request: Request, *, now: datetime) -> None:
    """Write by post what the person has to know to go on: how to show who asks, or the plan."""
    if request.state == State.RECEIVED:
        ask_who(request, now=now)
    elif request.state == State.PLANNED and request.procedure.is_confirmed:
        offering.offer(request, assessment.plan_for(request, today=company_day(now)), now=now)
