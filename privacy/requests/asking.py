"""What a person is asked or told because of a receipt: to show who is asking, that it came, where
it stands (Art. 12(2), 12(6)).

What must never happen: an answer to a stranger that tells whether an address is known; a person of whom nothing is
asked.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from privacy import letters, people
from privacy.actor import Actor
from privacy.requests import addresses, clock, history, links, nothing, waits, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.states import Channel, Proof, State

# A second link to the same mailbox within this time would only help to flood it.
LINK_AGAIN_AFTER = timedelta(hours=1)


def time_to_act(request: Request, now: datetime) -> datetime:
    """Return when to look whether the person has proved who they are, or confirmed: on the due
    day, at once when it is over.

    What is done then, and for whom there is more time, `steps.identity_step` says.
    """
    return max(clock.answer_from(request.due_on), now)


def wait_anew(request: Request, *, now: datetime) -> None:
    """Let a request that waits for the person wait for the due date in force; called when that has moved."""
    if request.waits_for_person:
        history.schedule(request, request.step, at=time_to_act(request, now))


def ask_who(request: Request, *, now: datetime) -> bool:
    """Send a one-time link, or say what else would prove it. The page says the same to everybody.

    The link goes to the address on file; where nothing carries the address that was given it goes there
    and opens nothing (nothing.py).

    Whom no e-mail reaches gets the receipt by post, which says what else would prove it: never silence (design
    9). Return whether the person is asked by that: who is asked by post is asked on the day on which the letter
    is ticked off, and not before.
    """
    to = addresses.address_for_answer(request, now=now)
    if request.subject_id is None and not (to and nothing.is_said_by_itself(request)):
        context = {"several": addresses.standing_of(to, now=now).is_shared, "ends_on": _ends_on(request, now)}
        context["by_post"] = not to
        writing.queue(
            "not_identified", to=to, context=context, key=f"not-identified:{request.pk}", request=request, now=now
        )
        return bool(to)
    if not to:
        writing.queue(
            history.ACKNOWLEDGEMENT,
            to="",
            context={
                "received_on": request.received_on,
                "ends_on": _ends_on(request, now),
                "has_login": request.subject_id is not None and people.ask().has_login(request.subject_id),
                "by_post": True,
            },
            key=f"acknowledgement:{request.pk}:asked",
            request=request,
            now=now,
        )
        return False
    recent = OneTimeLink.objects.filter(
        request=request, purpose=OneTimeLink.Purpose.IDENTITY, created_at__gt=now - LINK_AGAIN_AFTER
    )
    is_free = request.channel != Channel.WEB or letters.within_cap("link_identity", to, now=now)
    if recent.exists() or not is_free:
        return False
    links.send_link(request, OneTimeLink.Purpose.IDENTITY, to=to, now=now)
    return True


def send_result_again(request: Request, *, actor: Actor, now: datetime) -> None:
    """Send who asks again, and has no login, a new link to the plan, the copy or the state of the request.

    Not for what was asked by login: a mailbox alone would then confirm what the password has proved.
    """
    if request.identity == Request.Identity.LOGIN or actor.kind == "customer":
        return
    purpose = OneTimeLink.Purpose.RESULT
    unused = OneTimeLink.objects.filter(request=request, purpose=purpose, used_at=None, expires_at__gt=now)
    if unused.filter(created_at__gt=now - LINK_AGAIN_AFTER).exists():
        return
    to = addresses.address_for_answer(request, now=now)
    if to and (actor.kind != "anonymous" or letters.within_cap("link_result", to, now=now)):
        links.send_link(request, purpose, to=to, now=now)


def _ends_on(request: Request, now: datetime) -> date | None:
    """Return the day on which the request ends without an answer; None when that is too near, or over: there is more
    time."""
    return request.due_on if clock.answer_from(request.due_on) - now >= history.LEAST_TIME_TO_ACT else None


def acknowledge(
    request: Request,
    received_on: date,
    *,
    actor: Actor,
    now: datetime,
    merged: bool = False,
    code: str = "",
    to: str | None = None,
) -> None:
    """Leave the receipt of a request in the outbox, with its outcome `code` where there is one; none for who is not
    signed in once the address has had its letters of the day. `to` is where answers go, where the caller has just
    asked that."""
    to = addresses.address_for_answer(request, now=now) if to is None else to
    if actor.kind == "anonymous" and to and not letters.within_cap(history.ACKNOWLEDGEMENT, to, now=now):
        return
    receipts = request.events.filter(kind=clock.Kind.RECEIVED).count()
    must_confirm = request.procedure.is_confirmed and request.state in (State.IDENTITY, State.PLANNED)
    writing.queue(
        history.ACKNOWLEDGEMENT,
        to=to,
        context={
            "received_on": received_on,
            "merged": merged,
            "needs_second": waits.is_undecided(request),
            "waits_until": waits.ends_at(request, now=now),
            "must_confirm": must_confirm,
            "is_unconfirmed": must_confirm or not request.is_identified,
            "was_signed_in": request.identity == Proof.LOGIN,
            "used_link": request.identity == Proof.LINK,
            "by_post": not to,
            "signs_paper": not to and request.is_in_writing,
            "has_login": request.subject_id is not None and people.ask().has_login(request.subject_id),
        },
        key=f"acknowledgement:{request.pk}:{receipts}",
        request=request,
        now=now,
        credentials={"code": code},
    )
