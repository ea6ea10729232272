"""Who is asking is shown: by login, link, code, call-back, or as staff state it (Art. 12(6), design 9).

What must never happen: a request given to somebody of whom nothing was proved; a proof that stands on an address
which is the person's no longer.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from privacy import audit, people, vault
from privacy.actor import Actor, require_another
from privacy.requests import (
    addresses,
    asking,
    assessment,
    bound,
    broker,
    clock,
    codes,
    doubt,
    history,
    links,
    nothing,
    procedures,
    proof,
    questions,
    waits,
    went_to,
    writing,
)
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.proof import BadRequest, no_card_number
from privacy.requests.sight import NOT_OURS, NotYours, acting_as, locked, require_hand
from privacy.requests.states import State
from privacy.typed.lines import on_one_line


def identify_into(
    request: Request, how: str, *, actor: Actor, now: datetime, merged: bool = False, is_moved: bool = False
) -> str:
    """Write down that identity is proved, in the caller's transaction: the clock, the code, the receipt, the next step.
    Return the outcome code, which is shown once and kept as a hash only.

    Raises NotAllowed for a request about records by a login: that proves the own file, and nothing of an address on a
    record; and for a proof that does not count for the right.
    """
    if how == Request.Identity.LOGIN and request.is_about_records:
        raise NotAllowed("A login proves nothing about records that carry an address.")
    if how not in request.procedure.proofs:
        raise NotAllowed("This way of proving who it is does not count for what is asked.")
    asked = request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists()
    with bound.kept(request):  # looked at and signed once for all of it
        request.identity, request.identity_at = how, now
        writing.end_unposted(request, now=now, kinds=writing.ASKING)  # what asks for a proof is answered
        code = codes.new_code()
        to = addresses.address_for_answer(request, now=now)  # there the receipt goes, with the code
        request.outcome_code_hash = codes.hash_of_code(request, code, to=to)
        request.save(update_fields=["identity", "identity_at", "outcome_code_hash"])
        if asked:
            history.event(request, clock.Kind.IDENTITY_RECEIVED, actor=actor, now=now)
            history.recompute(request)
        history.move(request, State.IDENTITY, actor=actor, now=now, detail={"identity": how})
        audit.record(
            "request.identified",
            actor=actor,
            now=now,
            subject=request.subject_id,
            reference=request.reference,
            reason=how,
        )
        waits.begin(request, actor=actor, now=now, to=to, is_moved=is_moved)
        asking.acknowledge(request, request.received_on, actor=actor, now=now, merged=merged, code=code, to=to)
        history.schedule(request, procedures.PLAN.name, at=now)
    broker.nudge(request)
    return code


def post_code(request: Request, *, subject: UUID, actor: Actor, now: datetime) -> None:
    """Leave a letter with a code for the person on file at the postal address on file, to be printed and posted.

    Who reads it back, by phone or letter, is that person (design 9); `identify` takes the code. An earlier code of the
    request stops working, and a new one works once its letter is marked as posted. Raises NotYours, AboutYourself,
    and NotAllowed without a postal address that has been on file for 14 days.
    """
    require_hand(request, actor)
    require_another(actor, about=[subject])
    if actor.kind == "customer":
        raise NotYours("Only the privacy team does that.")
    with transaction.atomic():
        request = locked(request)
        if request.state != State.RECEIVED:
            raise NotAllowed(f"Identity is not open in a request that is {request.state}.")
        with vault.internal():
            lines = people.ask().postal(subject, now)
        if not lines:
            raise NotAllowed("No postal address of this person has been on file for 14 days.")
        if writing.undelivered(request, lines):
            raise NotAllowed("A letter to this postal address came back.")
        link, code = links.make_posted_code(request, subject, now=now)
        writing.queue(
            writing.POSTED_CODE,
            to="",
            context={"expires_at": link.expires_at},
            postal=lines,
            key=links.key_of_posted_code(link),
            request=request,
            now=now,
            credentials={"code": code},
            until=link.expires_at,
        )
        history.event(request, history.CODE_WRITTEN, actor=actor, now=now)
        audit.record("request.code_posted", actor=actor, now=now, subject=subject, reference=request.reference)


def identify(
    request: Request,
    how: str,
    *,
    subject: UUID,
    actor: Actor,
    now: datetime,
    note: str = "",
    code: str = "",
    callback: proof.Callback | None = None,
) -> tuple[Request, str]:
    """Let staff state how identity was proved, and of whom (shared mailbox, call-back). Return request and outcome
    code.

    What the person said is compared with what is on file: `code` of a code by post, `callback` of a call-back by staff
    (an operator, who holds the keys anyway, is believed). A refused try is written down. Raises NotYours,
    proof.HadTheLetter, NotAllowed, BadRequest, proof.Incomplete, proof.ProofRefused and proof.TooManyTries; when the
    person has an open request of the same kind the two are not merged silently: NotAllowed says so.
    """
    require_hand(request, actor)
    require_another(actor, about=[subject])
    if how not in set(Request.Identity) - {Request.Identity.PENDING, Request.Identity.LOGIN, Request.Identity.LINK}:
        raise BadRequest("This way of proving who it is cannot be stated here.")
    if actor.kind == "customer":
        raise NotYours("Only the privacy team states that.")
    no_card_number(note)
    with transaction.atomic():
        request = locked(request)
        if request.state != State.RECEIVED:
            raise NotAllowed(f"Identity is not open in a request that is {request.state}.")
        is_proved = _is_proved(request, how, subject, code, callback, actor=actor, now=now)
        code_to_show = _identified_as(request, how, subject, note, actor=actor, now=now) if is_proved else ""
    if not is_proved:  # only now: the refused try has to stay written down
        raise proof.ProofRefused(proof.refused_sentence(how))
    return request, code_to_show


def _is_proved(
    request: Request,
    how: str,
    subject: UUID,
    code: str,
    callback: proof.Callback | None,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Compare what the person said with what is on file, where there is something to compare."""
    if how == Request.Identity.POST:
        if (actor.kind, actor.id or "") in links.had_posted_code(request, now=now):
            raise proof.HadTheLetter
        proof.within_limit(subject, now=now)
        if links.use_posted_code(request, subject, code, now=now):
            return True
        proof.code_compared(subject, False, reference=request.reference, actor=actor, now=now)
        return False
    if how == Request.Identity.CALLBACK and actor.kind == "staff":
        return proof.matches(request, subject, callback, actor=actor, now=now)
    return True


def _identified_as(request: Request, how: str, subject: UUID, note: str, *, actor: Actor, now: datetime) -> str:
    """Give the request to the person who was proved, in the caller's transaction; return its outcome code."""
    if request.subject_id != subject:
        if doubt.open_one(subject, request.kind) is not None:
            raise NotAllowed("The person has an open request of this kind already; add the receipt there.")
        with bound.kept(request) as is_bound:
            if not is_bound:  # a key that changed its owner is not taken back
                raise NotAllowed(NOT_OURS)
            vault.keys.hand_over([request.pk], ("subject", subject), of=[request.vault_owner()])
            request.subject_id = request.owner_id = subject
            request.scope = Request.Scope.WHOLE
            request.country, request.region = assessment.place_of(subject)
            request.save(update_fields=["subject", "owner_id", "scope", "country", "region"])
        # A link that went to the address that was only given opens nothing of this person's.
        unused = request.links.filter(used_at=None).exclude(purpose=OneTimeLink.Purpose.NOT_ME)
        unused.update(expires_at=now)
        # Until then it was matched with nobody, and the address in it is one that was only given.
        request.requester_email, _ = on_file(subject, _given(request), "", now)
        request.save(update_fields=["requester_email"])  # type: ignore[misc]  # a sealed field is no column
    if note:
        request.note = "\n".join(part for part in (request.note, note) if part)
        request.save(update_fields=["note"])  # type: ignore[misc]  # a sealed field is no column
    return identify_into(request, how, actor=actor, now=now)


def on_file(subject: UUID, email: str, name: str, now: datetime) -> tuple[str, str]:
    """Return where the answer goes, and the name on file, to be sealed into the request file.

    An address that came with the request counts only where it stands on file anyway. Shown to nobody, so nobody is
    asked.
    """
    with vault.internal():
        known = people.ask()
        on_file = known.on_file(subject, email, now) if email else ""
        return on_file or known.answer_address(subject, now), name or on_one_line(str(known.name(subject)))


def _given(request: Request) -> str:
    with vault.internal():
        email = request.requester_email
    return email if isinstance(email, str) else ""


def redeem(token: str, *, now: datetime) -> tuple[Request, str]:
    """Use a one-time link (POST only); return its request and the outcome code to show once, "" when it was shown
    before.

    Who reads the mailbox of an address that stands nowhere is told that nothing is held (nothing.py). Any other link
    went to the address on file, so using it proves the person (Art. 12(6)), as long as that address counts. Where it
    does not any more a second person is asked, and what is on file now is told; `stands` says that nothing is to be
    shown until then, and a link to the plan or the outcome is not used up by it. Raises links.LinkRefused.
    """
    with transaction.atomic():
        link = links.use(token, now=now)
        if link.purpose == OneTimeLink.Purpose.NOT_ME:
            raise links.LinkRefused  # it speaks against a request and opens none
        request = locked(link.request)
        on = went_to.stands_on(token)
        if link.purpose != OneTimeLink.Purpose.IDENTITY or request.is_identified or request.state != State.RECEIVED:
            if not stands(request, on, now=now):
                OneTimeLink.objects.filter(pk=link.pk).update(used_at=None)
            return request, ""
        if request.subject_id is None:  # the address stands nowhere, and its reader asks: there is nothing else to say
            if nothing.is_said_by_itself(request):
                nothing.answer(request, actor=waits.ANYBODY, now=now)
            else:
                asking.ask_who(request, now=now)
            return request, ""
        is_moved = not went_to.counts_still(link, on.key, now=now)
        actor = acting_as(request, purpose="one-time link")
        return request, identify_into(request, Request.Identity.LINK, actor=actor, now=now, is_moved=is_moved)


def stands(request: Request, on: went_to.Stands, *, now: datetime) -> bool:
    """Look again whether what a link or an outcome code proved still counts; where the address changed hands,
    ask a second person and tell those on file now, once for a link or code. Return whether the request may be
    shown: then, or after the second person let it go on. A code may be that of another request: that of a
    removal leads to a copy made before it.
    """
    with transaction.atomic():
        if on.code_of:
            found = Request.objects.select_for_update(of=("self",)).filter(pk=on.code_of).first()
            if found is None or found.identity_at is None:
                return False
            since, counts = found.identity_at, went_to.code_counts_still(found, on.key, now=now)
        else:
            found = locked(request)
            link = OneTimeLink.objects.select_related("request").filter(pk=on.link, request=found).first()
            if link is None:
                return False
            since, counts = link.created_at, went_to.counts_still(link, on.key, now=now)
        if counts:
            return True
        asked = questions.of(found).begun.get(SecondLook.Why.MOVED, [])
        if not found.is_about_records:  # there it was asked when the address was changed
            asked = [at for at in asked if at >= since]
        if not asked:
            waits.moved(found, actor=waits.ANYBODY, now=now)
        # An earlier yes is none to a later change.
        return addresses.said_of_a_change(found) == SecondLook.Outcome.GO_ON and not waits.is_undecided(found)
