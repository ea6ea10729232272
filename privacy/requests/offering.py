"""The plan of a right that is confirmed, told to its person: where no e-mail reaches them, and whenever somebody else
confirmed it (design 9, 11).

What must never happen: a removal whose plan the person has not been told, or one that staff or an operator
confirmed and nobody was told of. So whom no e-mail reaches gets the plan in words by post; until that letter is
ticked off the person was not asked.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from privacy import letters, people, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import addresses, filled, history, links, waits, writing
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.plan import Plan

#: How somebody who is not at the page agreed to the plan that staff confirm for them.
SIGNED_PLAN, SIGNED_REQUEST = "signed_plan", "signed_request"
AGREED = {
    SIGNED_PLAN: "the plan came back by post or fax, signed",
    "phone": "said on the phone",
    "in_person": "said in person",
    "other_writing": "written in another letter or message",
    SIGNED_REQUEST: "asked by signed letter or fax; the plan was posted two weeks ago, and no word has come since",
}


def number_of(request: Request, plan_hash: str) -> str:
    """Return the number of a request's plan as its letter prints it, by which the letter that comes back
    signed is held against the plan.

    A keyed hash, so that it stands in the letter alone: who has not the letter reads it neither off the
    plan's fingerprint nor off a page.
    """
    number = vault.mac_of("plan-number", request.pk, plan_hash)
    return f"{number[:4]}-{number[4:8]}".upper()


def require_agreed(request: Request, agreed: str, number: str, *, now: datetime) -> None:
    """Raise NotAllowed where the person cannot have agreed to this plan in the way that staff state.

    A signed plan has the number of the plan that stands now. A signed request is enough only after the plan was
    posted and the person had two weeks to answer: silence alone is never a yes, two people of the staff decide by
    what was signed (design 11).
    """
    if agreed not in AGREED:
        raise NotAllowed("Say how the person agreed.")
    typed, said = (
        "".join(one for one in some.upper() if one.isalnum())
        for some in (number, number_of(request, request.plan_hash))
    )
    if agreed == SIGNED_PLAN and typed != said:
        raise NotAllowed("The number on the signed letter is not that of the plan as it is now. Post the plan that is.")
    if agreed == SIGNED_REQUEST:
        posted = history.plans_posted(request)
        if not request.is_in_writing or history.is_to_be_posted(request):
            raise NotAllowed("It was not asked by letter or fax, or the plan waits to be posted.")
        if not posted or now - posted[-1] < history.LEAST_TIME_TO_ACT:
            raise NotAllowed("The plan was not posted two weeks ago: the person has time to answer.")


def offer(request: Request, made: Plan, *, now: datetime) -> None:
    """Send the person a link to the plan, or by post the plan itself; not who is logged in and sees it anyway."""
    if request.identity == Request.Identity.LOGIN:
        return
    to = addresses.address_for_answer(request, now=now)
    if to:
        links.send_link(request, OneTimeLink.Purpose.RESULT, to=to, now=now)
    else:
        _write(request.procedure.letters.plan_ready, request, made, to="", now=now)


def offer_anew(request: Request, made: Plan, *, now: datetime) -> None:
    """Send by post the plan as it is now to whom an earlier one was told by post: they agree to no
    plan that they have not seen."""
    was_told = request.letters.filter(kind__in=request.procedure.letters.plans, by=Letter.By.POST).exists()
    if was_told and not addresses.address_for_answer(request, now=now):
        _write(request.procedure.letters.plan_ready, request, made, to="", now=now)


def changed(request: Request, made: Plan, *, now: datetime) -> None:
    """Tell the person that the plan they confirmed is not the plan any more, and what it is now: by link or in
    words."""
    _write(
        request.procedure.letters.plan_changed,
        request,
        made,
        to=addresses.address_for_answer(request, now=now),
        now=now,
    )


def require_told(request: Request, *, answered_on: date | None, now: datetime) -> None:
    """Raise NotAllowed unless the person, whom the plan reaches by post only, can have read it
    before staff confirm it for them.

    Its letter was posted on an earlier day; or on any day, and `answered_on` is the day on which the answer came, not
    before that one. Where a login or an e-mail tells the plan nothing is asked.
    """
    if request.identity == Request.Identity.LOGIN or addresses.address_for_answer(request, now=now):
        return
    posted = history.plans_posted(request)
    if not posted:
        raise NotAllowed(
            "The plan goes to this person by post: print its letter, post it or hand it over, and mark it as posted first."
        )
    posted_on, today = company_day(posted[-1]), company_day(now)
    if answered_on is None and posted_on >= today:
        raise NotAllowed(
            "The letter with the plan was posted today: enter the day on which the person's answer came, or wait for it."
        )
    if answered_on is not None and not posted_on <= answered_on <= today:
        raise NotAllowed(f"The answer came between {posted_on:%-d %B %Y}, when the plan was posted, and today.")


def confirmed(request: Request, made: Plan, *, actor: Actor, now: datetime) -> None:
    """Tell the person what somebody else confirmed for them, when it starts, and how to object; nothing where they did
    it."""
    if actor.kind not in ("staff", "operator") or not request.procedure.letters.plan_confirmed:
        return
    context = {
        "by_staff": actor.kind == "staff",
        "needs_second": waits.is_undecided(request),
        "waits_until": _waits_until(request, now),
    }
    _write(
        request.procedure.letters.plan_confirmed,
        request,
        made,
        to=addresses.address_for_answer(request, now=now),
        now=now,
        **context,
    )


def _write(kind: str, request: Request, made: Plan, *, to: str, now: datetime, **context: Any) -> None:
    # What an earlier letter says of the plan is over, and is neither sent nor posted any more.
    kinds = (*request.procedure.letters.plans, request.procedure.letters.plan_confirmed)
    earlier = request.letters.filter(kind__in=kinds, sent_at=None, stopped_at=None)
    letters.withhold(list(earlier.values_list("key", flat=True)), now=now)
    has_login = request.subject_id is not None and people.ask().has_login(request.subject_id)
    link = ""
    if to and not has_login:
        link = links.address_of_link(links.make_link(request, OneTimeLink.Purpose.RESULT, to=to, now=now))
    writing.queue(
        kind,
        to=to,
        context={"plan": filled.only(made), "number": number_of(request, made.hash), "has_login": has_login, **context},
        key=f"{kind.replace('_', '-')}:{request.pk}:{made.hash[:16]}:{now:%Y%m%d%H%M%S}",
        request=request,
        now=now,
        credentials={"link": link},
        until=now + links.RESULT_LINK_LIVES,
    )


def _waits_until(request: Request, now: datetime) -> datetime | None:
    until = waits.ends_at(request, now=now)
    return until if until is not None and until > now else None
