"""What can be done with a request once it is filed: planned, confirmed, withdrawn, refused, resumed.

Portal, one-time link, staff page and command call these same functions. What must never happen: a request without a
receipt and a clock, one lost because the broker is down, something done for somebody who is not the person, a
confirmation of another plan than the one that was seen. Until the execution begins everything here can be taken back.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction

from privacy import audit, gate, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.requests import (
    addresses,
    assessment,
    bound,
    broker,
    grounds,
    history,
    nothing,
    offering,
    outcome,
    procedures,
    waits,
    writing,
)
from privacy.requests.asking import time_to_act
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.plan import Plan
from privacy.requests.proof import BadRequest, no_card_number
from privacy.requests.sight import NotYours, locked, require_hand
from privacy.requests.states import State
from privacy.retention import jurisdiction

#: Of a request whose kind the table of rights does not know.
UNKNOWN = "This version of the site does not know what is asked here. Nothing is done for it: tell who runs the site."


MOST_NOTED = 20_000  # characters, all notes of a request together


class NotIdentified(Exception):
    """It is not proved yet who is asking."""


class PlanChanged(Exception):
    """The plan is not (any more) the one that was confirmed: look at `plan` and confirm again."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("The plan has changed since it was shown; look at it and confirm again.")
        self.plan = plan


# Plan -----------------------------------------------------------------------------------------------------------------


def make_plan(request: Request, *, actor: Actor, now: datetime) -> Plan:
    """Return what the request will do, and write it down when it is new (P10). Nothing is done by it.

    Raises NotYours, NotIdentified before identity is proved, NotAllowed once the execution has begun or the request
    ended.
    """
    require_hand(request, actor)
    with transaction.atomic():
        found = locked(request)
        if not found.is_identified:
            raise NotIdentified("It is not proved yet who is asking.")
        if found.state == State.CONFIRMED:
            return assessment.plan_for(found, today=company_day(now))
        if found.state not in (State.IDENTITY, State.PLANNED):
            raise NotAllowed(f"A request that is {found.state} is not planned any more.")
        if not found.procedure.is_known:
            raise NotAllowed(UNKNOWN)
        was, hash_before = found.state, found.plan_hash
        made = plan_into(found, actor=actor, now=now)
        if was == State.IDENTITY and found.procedure.is_confirmed and actor.kind == "staff":
            offering.offer(found, made, now=now)  # the worker, which finds the plan made, offers none
        elif made.hash != hash_before:
            offering.offer_anew(found, made, now=now)
    _copy(found, request)
    return made


def plan_into(request: Request, *, actor: Actor, now: datetime) -> Plan:
    """Make the plan in the caller's transaction; one that says the same as the stored one changes nothing."""
    made = assessment.plan_for(request, today=company_day(now))
    if request.state == State.PLANNED and made.hash == request.plan_hash:
        return made
    with bound.kept(request):  # looked at and signed once for all of it
        outcome.store(request, made, now=now)
        history.move(request, State.PLANNED, actor=actor, now=now, detail={"hash": made.hash})
        if request.procedure.is_confirmed:
            history.schedule(request, procedures.CONFIRM.name, at=time_to_act(request, now))
    return made


def plan_again(request: Request, *, actor: Actor, now: datetime) -> None:
    """Go back to the person with a plan that changed after the confirmation; nothing was done yet."""
    request.confirmed_hash = ""
    request.save(update_fields=["confirmed_hash"])
    offering.changed(request, plan_into(request, actor=actor, now=now), now=now)


def confirm(
    request: Request,
    plan_hash: str,
    *,
    actor: Actor,
    now: datetime,
    answered_on: date | None = None,
    agreed: str = "",
    number: str = "",
) -> Request:
    """Confirm exactly the plan with `plan_hash`; a worker carries it out. Return the request.

    Who confirms in the person's place may say how the person `agreed` (a key of offering.AGREED), with the `number` on
    a plan that came back signed; the second person reads it. Raises PlanChanged, with the plan as it is now already
    stored, when facts, rules or holds have changed since; NotYours, NotIdentified, NotAllowed, also where staff confirm
    what the person cannot have read (offering.require_told; `answered_on` is the day on which the person's answer
    came). Confirming the same twice is once.
    """
    require_hand(request, actor)
    with transaction.atomic():
        found = locked(request)
        if not found.is_identified:
            raise NotIdentified("It is not proved yet who is asking.")
        if found.confirmed_hash and found.confirmed_hash == plan_hash and found.state != State.PLANNED:
            return found
        if found.state not in (State.IDENTITY, State.PLANNED):
            raise NotAllowed(f"A request that is {found.state} cannot be confirmed.")
        if not found.procedure.is_known:
            raise NotAllowed(UNKNOWN)
        hash_before = found.plan_hash
        made = plan_into(found, actor=actor, now=now)
        same = made.hash == plan_hash
        if not same and made.hash != hash_before:
            offering.offer_anew(found, made, now=now)
        if same and agreed:
            offering.require_agreed(found, agreed, number, now=now)
        if same:
            if actor.kind == "staff":
                offering.require_told(found, answered_on=answered_on, now=now)
            confirm_into(found, actor=actor, now=now, answered_on=answered_on, agreed=agreed)
            offering.confirmed(found, made, actor=actor, now=now)
    _copy(found, request)
    if not same:
        raise PlanChanged(made)
    return found


def confirm_into(
    request: Request, *, actor: Actor, now: datetime, answered_on: date | None = None, agreed: str = ""
) -> None:
    """Confirm the stored plan in the caller's transaction and say what comes next.

    What staff confirm for the person waits for a second person, however the identity was proved: the person may have
    looked at the plan only, and left it.
    """
    answered = {"answered_on": answered_on.isoformat()} if answered_on else {}
    detail = {"hash": request.plan_hash, **answered, **({"agreed": agreed} if agreed else {})}
    with bound.kept(request):  # looked at and signed once for all of it
        request.confirmed_hash = request.plan_hash
        request.save(update_fields=["confirmed_hash"])
        history.move(request, State.CONFIRMED, actor=actor, now=now, detail=detail)
        audit.record(
            "request.confirmed",
            actor=actor,
            now=now,
            subject=request.subject_id,
            reference=request.reference,
            reason=request.plan_hash,
        )
        if actor.kind == "staff":
            waits.ask(request, SecondLook.Why.CONFIRMED, actor=actor, now=now)
        history.schedule(request, request.steps[request.steps.index(procedures.PLAN.name) + 1], at=now)
    broker.nudge(request)


def add_note(request: Request, *, text: str, actor: Actor, now: datetime) -> None:
    """Add a note of staff to the file of a request, with its day. What was noted before is evidence on which others
    decide, and is never changed.

    Raises NotYours, AboutYourself, BadRequest without words or for a card number, gate.Refused where the file is not to
    be written any more.
    """
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team notes something here.")
    if not text.strip():
        raise BadRequest("A note needs words.")
    no_card_number(text)
    with transaction.atomic():
        found = locked(request)
        gate.require_record(actor, found, ["request_file"], "write")
        with vault.internal():  # added to, shown to nobody
            before = str(found.note or "")
        noted = "\n".join(part for part in (before, f"{company_day(now):%-d %B %Y}: {text.strip()}") if part)
        if len(noted) > MOST_NOTED:
            raise BadRequest(f"All notes of a request together have {MOST_NOTED} characters at most.")
        found.note = noted
        found.save(update_fields=["note"])  # type: ignore[misc]  # a sealed field is no column
        history.event(found, history.NOTED, actor=actor, now=now)
        audit.record("request.noted", actor=actor, now=now, subject=found.subject_id, reference=found.reference)


# Other ways to end ----------------------------------------------------------------------------------------------------


def withdraw(request: Request, *, actor: Actor, now: datetime) -> Request:
    """Take a request back; nothing was done for it. Raises NotYours, and NotAllowed once the execution has begun."""
    require_hand(request, actor)
    with transaction.atomic():
        found = locked(request)
        if not found.can_withdraw:
            raise NotAllowed(f"A request that is {found.state} cannot be taken back.")
        _end(found, State.WITHDRAWN, "withdrawn", {}, actor=actor, now=now)
    _copy(found, request)
    return found


def refuse(request: Request, *, ground: str, authority: str, actor: Actor, now: datetime) -> Request:
    """Refuse a request with reasons (Art. 12(4), 12(5)); the person is told them and how to complain.

    Raises NotYours for anybody but the privacy team, BadRequest without a ground, by a rule that is none for it or by
    one that needs a second person (`excess.propose`), NotAllowed once the execution has begun.
    """
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team refuses.")
    if not ground.strip():
        raise BadRequest("A refusal needs its reason in words.")
    no_card_number(ground, authority)
    with transaction.atomic():
        found = locked(request)
        if authority and authority not in grounds.of(found):
            raise BadRequest(
                "By this rule the request of this person cannot be refused: it is about copies only, or no GDPR covers the person "
                "and our policy knows no such reason."
            )
        if authority in grounds.NEED_SECOND:
            raise BadRequest(
                "By this rule one person alone refuses nothing: it is proposed with its evidence, and a second person decides."
            )
        if State.REFUSED not in found.may_become:
            raise NotAllowed(f"A request that is {found.state} cannot be refused.")
        refuse_into(found, ground=ground, authority=authority, actor=actor, now=now)
    _copy(found, request)
    return found


def say_nothing_held(request: Request, *, actor: Actor, now: datetime) -> Request:
    """Tell a stranger known under no name that nothing is held, and close the request (Art. 15(1)).

    Raises NotYours, NotAllowed; nothing.SomethingHeld where anything on file carries the address or the name that was
    given.
    """
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team says that.")
    with transaction.atomic():
        found = locked(request)
        nothing.answer(found, actor=actor, now=now)
    _copy(found, request)
    return found


def refuse_into(request: Request, *, ground: str, authority: str, actor: Actor, now: datetime) -> None:
    """End a request with reasons in the caller's transaction; the person is told them and how to complain.

    `authority` is a rule of the GDPR; the letter names it as it binds towards this person.
    """
    rule = jurisdiction.rule(authority, request.country or None) if authority else ""
    outcome.store_refusal(request, ground=ground, authority=rule)
    _end(request, State.REFUSED, "refused", {"ground": ground, "authority": rule}, actor=actor, now=now)


def expire_into(request: Request, *, actor: Actor, now: datetime) -> None:
    """End a request on which the person did not act in time, in the caller's transaction; the person is told."""
    _end(request, State.EXPIRED, "expired", {"was_asked": writing.was_asked(request)}, actor=actor, now=now)


def _end(request: Request, to: State, kind: str, context: dict[str, Any], *, actor: Actor, now: datetime) -> None:
    history.move(request, to, actor=actor, now=now, then=("", None))
    # "This was not me" can be said afterwards, too: somebody has to know who asked.
    request.links.filter(used_at=None).exclude(purpose=OneTimeLink.Purpose.NOT_ME).update(expires_at=now)
    # Nothing has gone out, so nothing is left to decide; "this was not me" said later is a question of its own.
    waits.end_questions(request, request.second_looks.filter(decided_at=None), actor=actor, now=now)
    audit.record(f"request.{to.value}", actor=actor, now=now, subject=request.subject_id, reference=request.reference)
    writing.end_unposted(request, now=now)
    address = addresses.address_for_answer(request, now=now)
    writing.queue(kind, to=address, context=context, key=f"{kind}:{request.pk}", request=request, now=now)


def resume(request: Request, *, actor: Actor, now: datetime) -> Request:
    """Let a parked request go on where it stopped. Raises NotYours, NotAllowed."""
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team resumes.")
    with transaction.atomic():
        found = locked(request)
        if found.state != State.PARKED or not found.parked_from:
            raise NotAllowed(f"A request that is {found.state} is not parked.")
        if not found.procedure.is_known:
            raise NotAllowed(UNKNOWN)
        history.move(found, found.parked_from, actor=actor, now=now, then=(found.step, now))
        audit.record("request.resumed", actor=actor, now=now, subject=found.subject_id, reference=found.reference)
        broker.nudge(found)
    _copy(found, request)
    return found


def _copy(found: Request, into: Request) -> None:
    """Give the caller's object the columns that were written on the found one."""
    for one in Request._meta.concrete_fields:
        if not one.is_relation and one.name in found.__dict__ and not one.name.startswith("sealed_"):
            setattr(into, one.attname, getattr(found, one.attname))
