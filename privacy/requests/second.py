"""The second person: who may decide, what a decision does, and "this was not me" (design 9).

What must never happen: a person whose request it is, who filed it, stated its identity or entered the address that
proves it, and then decides about it; "this was not me" that ends the request of the right person; an undecided
question on the last day. A decision is written into the audit; before the execution of an erasure nothing here is
final, afterwards it is only written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext

from privacy import audit, people, vault
from privacy.actor import MANAGER, Actor, is_own, require_another
from privacy.calendar import company_day
from privacy.gate import fingerprint
from privacy.letters.models import Letter
from privacy.requests import (
    addresses,
    broker,
    clock,
    deadline,
    doubt,
    export,
    given_out,
    history,
    links,
    missed,
    offering,
    proof,
    questions,
    services,
    waits,
    writing,
)
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request, RequestEvent, SecondLook
from privacy.requests.proof import BadRequest
from privacy.requests.sight import NotYours, locked, people_in, require_file
from privacy.requests.states import State

ALARM_DAYS = 7
FETCHED, REMOVED, CARRIED_OUT = "fetched", "removed", "carried_out"
#: A question put less than this before the due date never becomes a refusal: the second person has time to look.
LEAST_TIME_TO_LOOK = timedelta(days=ALARM_DAYS)
UNSURE = "We could not make sure that it is you who is asking, and must not give away or remove somebody's data without that."
UNDECIDED = (
    "A second member of our staff has to look at how it was shown that it is you who is asking, and none had decided by the day "
    "on which we owe you an answer. That is our failing, not yours. We must not give away or remove somebody's data without it, "
    "so your request ends. You can ask again at once."
)
DOUBT = "Art. 12(6) GDPR"


def may_decide(request: Request, actor: Actor) -> bool:
    """Whether `actor` is a second person for this request: privacy team, a manager or an operator, who had no part in
    it and whose own it is not."""
    if actor.kind == "staff":
        if not actor.roles & {"privacy", MANAGER} or is_own(actor, about=people_in(request)):
            return False
        return not is_own(actor, by=_had_a_part(request))
    # Operators cannot be told from each other: what one of them filed another may not decide.
    return actor.kind == "operator" and "operator" not in {kind for kind, _ in _had_a_part(request)}


def _had_a_part(request: Request) -> set[tuple[str, str]]:
    """Return who filed, proposed to refuse it, stated the identity, confirmed for the person, had a letter with a code
    in hand, changed an address or name on a record it covers, proposed the joining about which is asked, or had a
    contact of the person in hand (entered, settled, its notice posted): (kind, id)."""
    in_hand = (history.CODE_WRITTEN, history.CODE_SHOWN, history.CODE_POSTED)
    changed = (history.ADDRESS_CHANGED, history.NAME_CHANGED)
    kinds = (clock.Kind.RECEIVED, State.IDENTITY, State.CONFIRMED, history.REFUSAL_PROPOSED, *changed, *in_hand)
    parts = RequestEvent.objects.filter(request=request, kind__in=kinds)
    found = set(parts.values_list("actor_kind", "actor_id"))
    if SecondLook.Why.JOINED in questions.of(request).answers:
        found |= _joined(request)
    if request.is_about_records:  # before the request came, too
        found |= _pairs(people.ask().renamed_by(addresses.records_of(request)))
        found |= _pairs(people.ask().written_by(addresses.settled_others(request)))
    if request.owner_id is not None:
        found |= _pairs(people.ask().had_contacts(request.owner_id))
    return found


def _joined(request: Request) -> set[tuple[str, str]]:
    """Return whose idea it was to join the person with another: they vouch for nothing that follows from it."""
    if request.owner_id is None or request.identity_at is None:
        return set()
    return _pairs(people.ask().joined_by(request.owner_id, request.identity_at))


def _pairs(actors: Iterable[str]) -> set[tuple[str, str]]:
    return {(kind, number) for kind, _, number in (one.partition("/") for one in actors) if number}


def how_proved(request: Request) -> str:
    """Return in words how it was shown who asks, and which member of staff stated it."""
    how = request.get_identity_display()
    last = request.events.filter(kind=State.IDENTITY).order_by("pk").last() if request.is_identified else None
    if last is None or last.actor_kind not in ("staff", "operator"):
        return how
    told = audit.ours(audit.history(reference=request.reference).filter(action="request.identified"))
    role = told[-1].role if told and told[-1].actor_kind == "staff" else ""
    return f"{how}; stated by {history.named(last.actor_kind, last.actor_id, role)}"


def open_looks(request: Request) -> QuerySet[SecondLook]:
    """Return every question that waits about who asks: one decision answers all of them. A proposed
    refusal has its own (`excess`). A row of which the history does not tell is none."""
    return (
        SecondLook.objects.filter(request=request, decided_at=None, why__in=questions.of(request).open)
        .exclude(why=SecondLook.Why.EXCESSIVE)
        .order_by("asked_at", "pk")
    )


def shown(request: Request) -> str:
    """Return the fingerprint of what a second person is shown: the open questions, each time that one was put, what was
    stated about who asks, and each note that was added to the evidence."""
    looks = open_looks(request).values_list("pk", flat=True)
    kinds = (*questions.ASKED, State.IDENTITY, State.CONFIRMED, history.NOTED)
    events = request.events.filter(kind__in=kinds).values_list("pk", flat=True)
    return fingerprint.of([*(("question", pk) for pk in looks), *(("event", pk) for pk in events)])


def asked_when(request: Request) -> list[tuple[SecondLook, list[datetime]]]:
    """Return the open questions, each with the times at which it was put since it was decided the last time."""
    told = questions.of(request).open
    return [(look, told[look.why]) for look in open_looks(request)]


def decide(
    request: Request, outcome: str, *, seen: str | None = None, words: str = "", actor: Actor, now: datetime,
    is_dry: bool = False,
) -> Request:  # fmt: skip
    """Decide every open question about a request: it goes on, or it ends and the person is told why. Return it.

    `words` say to the person why it ends; `seen` is the fingerprint of what was shown to who decides, None only where
    no page was: an operator at the command. `is_dry` only asks whether it could be decided so. Raises NotYours for whom
    it is not to decide, AboutYourself, BadRequest for another word than an outcome, NotAllowed when nothing is open,
    fingerprint.NotSeen when something else is there than was seen.
    """
    if outcome not in (SecondLook.Outcome.GO_ON, SecondLook.Outcome.END):
        raise BadRequest("There is no such decision about who asks; it is go_on or end.")
    proof.no_card_number(words)
    with transaction.atomic():
        found = locked(request)
        if outcome == SecondLook.Outcome.GO_ON:
            require_file(found)
        if not may_decide(found, actor):
            require_another(actor, about=people_in(found))
            raise NotYours(
                "A second person decides: of the privacy team, a manager or an operator, who had no part in it."
            )
        waiting_here = open_looks(found).select_for_update()
        whys = sorted(waiting_here.values_list("why", flat=True))
        if not whys:
            raise NotAllowed("Nothing waits for a second person in this request.")
        if outcome == SecondLook.Outcome.GO_ON:
            doubt.require_clear(found)
        if seen is not None:
            fingerprint.require(seen, shown(found))
        if is_dry:
            return found
        waiting_here.update(decided_at=now, outcome=outcome, decided_kind=actor.kind, decided_by=(actor.id or "")[:64])
        history.event(found, questions.DECIDED, actor=actor, now=now, detail={"outcome": outcome, "why": whys})
        audit.record(
            "request.second_decided",
            actor=actor,
            now=now,
            subject=found.subject_id,
            reference=found.reference,
            reason=f"{outcome}: {', '.join(whys)}",
        )
        if outcome == SecondLook.Outcome.END:
            _end(found, words.strip() or UNSURE, actor=actor, now=now)
        elif found.is_open and found.step and found.state != State.PARKED:
            if found.state == State.CONFIRMED:
                history.schedule(found, found.step, at=now)
            broker.nudge(found)
    request.refresh_from_db()
    return found


def _end(request: Request, words: str, *, actor: Actor, now: datetime) -> None:
    """End what can still be ended, and tell the person what had gone out before. A copy that was
    made is destroyed in any case."""
    out, had_copy = gone_out(request), export.live(request) is not None
    for copy in export.Export.objects.filter(request=request, deleted_at=None):
        export.delete(copy, now=now)
    if State.REFUSED in request.may_become:
        services.refuse_into(request, ground=words, authority=DOUBT, actor=actor, now=now)
    elif request.step and request.state != State.PARKED:  # its copy is gone: nothing is waited for any more
        history.schedule(request, request.step, at=now)
        broker.nudge(request)
    if out or had_copy:
        _tell_that_it_was_not_shown(request, words, out, now=now)
    if out:
        history.event(request, history.POSSIBLE_BREACH, actor=actor, now=now, detail={"what": out})
        audit.record(
            missed.BREACH_TOLD,
            actor=actor,
            now=now,
            subject=request.subject_id,
            reference=request.reference,
            reason=out,
        )


def _tell_that_it_was_not_shown(request: Request, words: str, out: str, *, now: datetime) -> None:
    """Write to the address of the answer and to every other e-mail of the person: any of them may be the right one."""
    to = addresses.address_for_answer(request, now=now)
    with vault.internal():
        person = doubt.person_of(request)
        others = people.ask().others(person, to) if person else []
    for number, address in enumerate([to, *others]):
        writing.queue(
            writing.NOT_YOU,
            to=address,
            context={
                "ground": words,
                "is_out": bool(out),
                "was_fetched": out == FETCHED,
                "was_removed": out == REMOVED,
                "times": how_often(request),
            },
            key=f"{writing.NOT_YOU}:{request.pk}:{now:%Y%m%d%H%M%S}:{number}",
            request=request,
            now=now,
        )


def agreed(request: Request) -> str:
    """Return in words how the person agreed to the plan that was confirmed in their place, "" where nobody did that."""
    last = request.events.filter(kind=State.CONFIRMED).order_by("pk").last()
    said = last.detail.get("agreed", "") if last is not None and isinstance(last.detail, dict) else ""
    return offering.AGREED.get(str(said), "")


def gone_out(request: Request) -> str:
    """Return what was given or removed because of a request: FETCHED, REMOVED (wholly or in part), CARRIED_OUT for what
    neither gives nor removes, or "" for nothing yet."""
    if request.procedure.gives:
        return FETCHED if fetched(request) else ""
    if not request.events.filter(kind=State.EXECUTING).exists():
        return ""
    return REMOVED if request.procedure.removes else CARRIED_OUT


def fetched(request: Request) -> int:
    """Return how often a copy of this request was fetched, wholly or in part."""
    return given_out.times(request)


def how_often(request: Request) -> str:
    """Return the same in words."""
    times = fetched(request)
    said = gettext("once") if times == 1 else gettext("%s times") % times
    is_whole = times <= sum(request.exports.values_list("downloads", flat=True))
    return said if is_whole else gettext("%s, wholly or in part") % said


def possible_breaches() -> QuerySet[Request]:
    """Return the requests of which something had gone out when it was decided that they were not the person's, until
    assessed; with those of which something had gone out, and of whose history it was taken away that somebody said
    "this was not me", or that it was decided so: by the audit."""
    lost = [one.pk for one in Request.objects.filter(pk__in=missed.not_me()) if gone_out(one)]
    assessed = RequestEvent.objects.filter(request=OuterRef("pk"), kind=history.BREACH_ASSESSED)
    found = RequestEvent.objects.filter(request=OuterRef("pk"), kind=history.POSSIBLE_BREACH)
    since = found.order_by("at").values("at")[:1]
    return Request.objects.filter(Q(Exists(found)) | Q(pk__in=lost), ~Exists(assessed)).order_by(Subquery(since))


def breach_known_since(request: Request) -> datetime:
    """Return when it was decided that a request of which something had gone out was not the person's; of one whose
    history has lost that, when the audit tells that somebody said so first."""
    at = request.events.filter(kind=history.POSSIBLE_BREACH).order_by("at").values_list("at", flat=True).first()
    return at or missed.not_me()[request.pk]


def assess_breach(request: Request, *, is_breach: bool, actor: Actor, now: datetime) -> None:
    """Write down what the privacy team found: a breach, which the company's own record takes, or none.
    Raises NotYours, NotAllowed."""
    if actor.kind != "staff" or "privacy" not in actor.roles:
        raise NotYours("Only the privacy team assesses that.")
    require_another(actor, about=people_in(request))
    with transaction.atomic():
        found = locked(request)
        if not possible_breaches().filter(pk=found.pk).exists():
            raise NotAllowed("Nothing is to be assessed here.")
        word = "breach" if is_breach else "no_breach"
        history.event(found, history.BREACH_ASSESSED, actor=actor, now=now, detail={"found": word})
        audit.record(
            "request.breach_assessed",
            actor=actor,
            now=now,
            subject=found.subject_id,
            reference=found.reference,
            reason=word,
        )


def say_not_me(token: str, *, now: datetime) -> Request:
    """Take "this was not me" by its one-time link: the request stands still until a second person has decided. Return
    it.

    It never ends the request by itself: whoever reads an old mailbox of the person must not be able to do that. Raises
    links.LinkRefused.
    """
    with transaction.atomic():
        link = links.use(token, now=now)
        if link.purpose != OneTimeLink.Purpose.NOT_ME:
            raise links.LinkRefused
        request = locked(link.request)
        history.event(request, missed.NOT_ME, actor=waits.ANYBODY, now=now)
        waits.ask(request, SecondLook.Why.NOT_ME, actor=waits.ANYBODY, now=now)
        audit.record(
            missed.NOT_ME_TOLD, actor=waits.ANYBODY, now=now, subject=request.subject_id, reference=request.reference
        )
    return request


def stands_still(request: Request) -> bool:
    """Whether something of the request can still be done, and is not while a second person has to look."""
    if not request.procedure.gives:
        return request.can_withdraw
    return export.live(request) is not None or (request.is_open and request.state != State.REPLIED)


def last_day(request: Request, *, actor: Actor, now: datetime) -> bool:
    """Answer the person in time when nobody has decided by the due date: more time, else a refusal with its reason.

    To be called while one asks who it is. Where the question was put too late to be looked at before that day, late is
    late: the request stays open and overdue, it alarms, the person is told, and the second person decides. Returns
    whether the request has ended. Does nothing before that day.
    """
    if company_day(now) < request.due_on:
        return False
    if deadline.may_post_notice(request, now=now):
        deadline.extend_by_itself(request, deadline.SECOND_PERSON, actor=actor, now=now)
        return False
    # A proposed refusal ended on this day (`excess.last_day`): those about who asks are left.
    asked = [at[0] for at in questions.of(request).open.values()]
    if clock.expires_at(request.due_on) - max(asked) < LEAST_TIME_TO_LOOK:
        _say_that_it_is_late(request, now=now)
        return False
    open_looks(request).update(decided_at=now, outcome=SecondLook.Outcome.END, decided_kind=actor.kind, decided_by="")
    services.refuse_into(request, ground=UNDECIDED, authority=DOUBT, actor=actor, now=now)
    return True


def _say_that_it_is_late(request: Request, *, now: datetime) -> None:
    """Tell the person once that the due day is over and what is waited for, unless the acknowledgement has said it."""
    if company_day(now) <= request.due_on:
        return
    acknowledged = Letter.objects.filter(request=request, kind=history.ACKNOWLEDGEMENT).order_by("-queued_at").first()
    if acknowledged is not None and company_day(acknowledged.queued_at) > request.due_on:
        return
    writing.queue(
        "late",
        to=addresses.address_for_answer(request, now=now),
        context={},
        key=f"late:{request.pk}",
        request=request,
        now=now,
    )


def waiting() -> QuerySet[SecondLook]:
    """Return the open questions, the most urgent first: of open requests; of ended ones "this was not me", and whatever
    is asked while their copy can still be fetched."""
    asked = questions.rows().select_related("request")
    return asked.exclude(pk__in=waits.left_over().values("pk")).order_by("request__due_on", "asked_at")


def late(today: date) -> QuerySet[SecondLook]:
    """Return the open questions whose request is due within seven days, or ended with one open: they alarm."""
    return waiting().filter(request__due_on__lte=today + timedelta(days=ALARM_DAYS))
