"""To refuse a request as manifestly unfounded or excessive: proposed with evidence, decided by a second person (Art.
12(5)).

What must never happen: a refusal on the word of one member of staff, without evidence, or because nobody looked; the
company has to show the excess (Brillen Rottler, C-526/24). The clock goes on while the question waits; by the due date
an unanswered one ends and the request goes on. A refusal made by mistake is undone by asking again.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from privacy import audit, vault
from privacy.actor import Actor, require_another
from privacy.calendar import company_day
from privacy.gate import fingerprint
from privacy.requests import broker, grounds, history, proof, questions, second, services, waits
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request, SecondLook
from privacy.requests.proof import BadRequest
from privacy.requests.sight import NotYours, locked, people_in, require_file, require_hand
from privacy.requests.states import State


def propose(request: Request, *, ground: str, evidence: str, actor: Actor, now: datetime) -> SecondLook:
    """Propose to a second person to refuse a request as excessive (Art. 12(5)) and return the
    question; nothing is refused yet.

    `ground` are the words for the person, `evidence` those for who decides. Raises NotYours for anybody but the
    privacy team, BadRequest without either or where no GDPR covers the person, NotAllowed when it cannot be refused
    any more or a proposal waits.
    """
    require_hand(request, actor)
    if actor.kind == "customer":
        raise NotYours("Only the privacy team refuses.")
    if not ground.strip() or not evidence.strip():
        raise BadRequest("To refuse as manifestly unfounded or excessive needs its reason and its evidence in words.")
    proof.no_card_number(ground, evidence)
    with transaction.atomic():
        found = locked(request)
        if grounds.EXCESSIVE not in grounds.of(found):
            raise BadRequest("No GDPR covers the person, and our policy knows no such reason.")
        if State.REFUSED not in found.may_become:
            raise NotAllowed(f"A request that is {found.state} cannot be refused.")
        if open_look(found) is not None:
            raise NotAllowed("A refusal of this request waits for a second person already.")
        with vault.internal():  # the file of the request, shown to nobody
            found.refusal_words, found.refusal_evidence = ground, evidence
            found.save(update_fields=["refusal_words", "refusal_evidence"])  # type: ignore[misc]  # a sealed field is no column
        look = questions.row(found, SecondLook.Why.EXCESSIVE, at=now)
        history.event(found, history.REFUSAL_PROPOSED, actor=actor, now=now)
        audit.record(
            "request.refusal_proposed", actor=actor, now=now, subject=found.subject_id, reference=found.reference
        )
    return look


def open_look(request: Request) -> SecondLook | None:
    """Return the question whether the request is refused, None when none waits, or only one that was planted."""
    if questions.EXCESSIVE not in questions.of(request).open:
        return None
    return SecondLook.objects.filter(request=request, why=SecondLook.Why.EXCESSIVE, decided_at=None).first()


def may_decide(request: Request, actor: Actor) -> bool:
    """Say whether `actor` decides about the proposed refusal: who may read its evidence, so no manager,
    and had no part in the request."""
    return second.may_decide(request, actor) and (actor.kind == "operator" or "privacy" in actor.roles)


def proposed(request: Request) -> dict[str, str]:
    """Return ground and evidence of the proposed refusal for an actor that may open the file, {} where they cannot be
    read."""
    ground, evidence = request.refusal_words, request.refusal_evidence
    is_there = isinstance(ground, str) and isinstance(evidence, str) and ground and evidence
    return {"ground": ground, "evidence": evidence} if is_there else {}


def shown(request: Request) -> str:
    """Return the fingerprint of the proposal that a second person is shown."""
    look = open_look(request)
    return fingerprint.of([("refusal", look.pk if look else 0)])


def decide(
    request: Request, outcome: str, *, seen: str | None = None, actor: Actor, now: datetime, is_dry: bool = False
) -> Request:
    """Decide a proposed refusal: REFUSE ends the request with the proposed words, ANSWER lets it go on. Return it.

    `seen` is the fingerprint of what was shown, None only where no page was. Raises BadRequest for another
    word, NotYours for who may not decide, NotAllowed when nothing waits or it cannot be refused any more
    or read, fingerprint.NotSeen. `is_dry` only asks whether it could be decided so.
    """
    if outcome not in (SecondLook.Outcome.REFUSE, SecondLook.Outcome.ANSWER):
        raise BadRequest("There is no such decision about a refusal; it is refuse or answer.")
    with transaction.atomic():
        found = locked(request)
        if outcome == SecondLook.Outcome.ANSWER:
            require_file(found)
        if not may_decide(found, actor):
            require_another(actor, about=people_in(found))
            raise NotYours("A second person of the privacy team or an operator decides, who had no part in it.")
        look = open_look(found)
        if look is None:
            raise NotAllowed("No refusal of this request waits for a second person.")
        if seen is not None:
            fingerprint.require(seen, shown(found))
        with vault.internal():  # into the letter to the person
            refusal = proposed(found)
        if outcome == SecondLook.Outcome.REFUSE:
            if State.REFUSED not in found.may_become:
                raise NotAllowed(f"A request that is {found.state} cannot be refused.")
            if not refusal or grounds.EXCESSIVE not in grounds.of(found):
                raise NotAllowed("The proposal cannot be read, or its rule is none for this request.")
        if is_dry:
            return found
        _close(found, look, outcome, actor=actor, now=now)
        if outcome == SecondLook.Outcome.REFUSE:
            services.refuse_into(found, ground=refusal["ground"], authority=grounds.EXCESSIVE, actor=actor, now=now)
    request.refresh_from_db()
    return found


def last_day(request: Request, *, actor: Actor, now: datetime) -> None:
    """End a proposal that nobody decided by the due date, in the caller's transaction: the request goes on."""
    look = open_look(request)
    if look is not None and company_day(now) >= request.due_on:
        _close(request, look, "", actor=actor, now=now)


def _close(request: Request, look: SecondLook, outcome: str, *, actor: Actor, now: datetime) -> None:
    look.decided_at, look.outcome, look.decided_kind, look.decided_by = now, outcome, actor.kind, (actor.id or "")[:64]
    look.save(update_fields=["decided_at", "outcome", "decided_kind", "decided_by"])
    history.event(request, history.REFUSAL_DECIDED, actor=actor, now=now, detail={"outcome": outcome or "undecided"})
    audit.record(
        "request.refusal_decided",
        actor=actor,
        now=now,
        subject=request.subject_id,
        reference=request.reference,
        reason=outcome or "undecided",
    )
    if outcome == SecondLook.Outcome.ANSWER and request.is_open and request.step and request.state != State.PARKED:
        if request.state == State.CONFIRMED and not waits.is_undecided(request):
            history.schedule(request, request.step, at=now)
        broker.nudge(request)
