"""What happened to a request: the only place that changes its state, and the append-only events behind it.

What must never happen: a state without an event, a transition the table does not know, a due date somebody typed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from privacy import letters, vault
from privacy.actor import WORDS, Actor, in_words
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import bound, clock, regimes
from privacy.requests.models import Request, RequestEvent
from privacy.requests.procedure import Procedure
from privacy.requests.states import State
from privacy.vault.compiled import Question

STEP = "step"
RESTORED = "restored"
_ENDED = (State.CLOSED, State.REFUSED, State.WITHDRAWN, State.EXPIRED, RESTORED)
ENDS = frozenset({State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.PARKED})
# Who was asked less than this before the due day gets more time, where the law has any.
LEAST_TIME_TO_ACT = timedelta(days=14)
# After a second person found it not shown who asked, and something had gone out; and what the privacy team then found.
POSSIBLE_BREACH, BREACH_ASSESSED = "possible_breach", "breach_assessed"
# The address, or a person's name, was changed on a record that a request about records covers.
ADDRESS_CHANGED, NAME_CHANGED = "address_changed", "name_changed"
# Another record carries the address and points to somebody else; it came, or got its name, after the request.
OTHER_NAME = "other_name"
# A question was put to a second person; the same one once more while it was open, by something else that happened.
SECOND_ASKED, SECOND_ASKED_AGAIN = "second_asked", "second_asked_again"
# A question to a second person ended with its request, undecided.
SECOND_ENDED = "second_ended"
# A refusal that needs a second person (Art. 12(5)): not among the questions about who asks.
REFUSAL_PROPOSED, REFUSAL_DECIDED = "refusal_proposed", "refusal_decided"
# A day that the person was told came while something was open: the event keeps what it was, and says where it moved.
DAY_CAME = "day_came"
# The same, and no e-mail address and no postal address was there to write to: the day stays, and the
# privacy team looks for one.
NOBODY_TOLD = "nobody_told"
ACKNOWLEDGEMENT = "acknowledgement"  # the kind of the receipt's letter, which gives the outcome code
# What asks by post who it is: the receipt, the word that the address identifies nobody, and the letter with a code.
QUESTIONS_BY_POST = (ACKNOWLEDGEMENT, "posted_code", "not_identified")
# The notice of a longer deadline was written for a person who is told by post: it counts from the day
# on which it is ticked off.
NOTICE_WRITTEN = "notice_written"
NOTED = "noted"  # staff added a note to the file; what was noted before stays as it is
# The answer could not go out any more, because what it gives had lapsed, and was written once more.
ANSWERED_ANEW = "answered_anew"
LETTER_RETURNED = "letter_returned"  # a mail bounced, or the post could not deliver a letter
# Of the letter with a code that proves who is asking: whoever had it in hand may know the code.
CODE_WRITTEN, CODE_SHOWN, CODE_POSTED = "code_written", "code_shown", "code_posted"


#: Of a request in doubt (privacy.requests.doubt).
IN_DOUBT = "This request does not say what the site wrote. Nothing was done: tell who runs the site."


class NotAllowed(Exception):
    """The state machine knows no such transition. The text names the states only."""


def event(
    request: Request,
    kind: str,
    *,
    actor: Actor | None,
    now: datetime,
    on: date | None = None,
    step: str = "",
    detail: Mapping[str, Any] | None = None,
) -> RequestEvent:
    """Append one event, under the request's keyed hash, in the caller's transaction, which holds the row; `on` is the
    day that counts for the clock, `detail` holds codes, dates and counts only.
    """
    with bound.kept(request):
        made = _new(request, kind, actor, now, on or company_day(now), step, detail)
        made.save(force_insert=True)
        return made


def _new(
    request: Request,
    kind: str,
    actor: Actor | None,
    now: datetime,
    on: date,
    step: str,
    detail: Mapping[str, Any] | None,
) -> RequestEvent:
    return RequestEvent(
        request=request,
        at=now,
        on=on,
        kind=kind,
        state=request.state,
        step=step,
        actor_kind=actor.kind if actor else "",
        # A customer is known by the request itself; staff and programs by their opaque id.
        actor_id=(actor.id or "")[:64] if actor and actor.kind != "customer" else "",
        detail=dict(detail or {}),
    )


def move(
    request: Request,
    to: State | str,
    *,
    actor: Actor | None,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
    then: tuple[str, datetime | None] | None = None,
) -> None:
    """Change the state and append the event of it, in the caller's transaction; `then` says which step comes next and
    when, as `schedule`. Raises NotAllowed.

    A request whose row does not say what the site wrote can only end, or wait for a person.
    """
    to = State(to)
    if to not in request.may_become:
        raise NotAllowed(f"A request that is {request.state} cannot become {to.value}.")
    with bound.kept(request) as is_bound:
        if not is_bound and to not in ENDS:
            raise NotAllowed(IN_DOUBT)
        request.state, fields = to, ["state"]
        if request.parked_from and to != State.PARKED:
            request.parked_from = ""
            fields.append("parked_from")
        if not request.is_open:
            request.closed_at = now
            fields.append("closed_at")
        request.save(update_fields=fields if then is None else [*fields, *_come(request, *then)])
        event(request, to.value, actor=actor, now=now, detail=detail)


def close_restored(request: Request, *, actor: Actor | None, now: datetime, at: datetime) -> None:
    """Close a request that the ledger says was carried out at `at`, from whatever state a restored backup has it in.

    The one change of state outside the table: what happened cannot be asked to happen again.
    """
    with bound.kept(request):
        request.state, request.closed_at, request.parked_from = State.CLOSED, at, ""
        request.save(update_fields=["state", "closed_at", "parked_from"])
        schedule(request, "", at=None)
        event(request, RESTORED, actor=actor, now=now, detail={"carried_out_at": at.isoformat()})


def ended_at(request: Request) -> datetime | None:
    """Return when a request ended, by its history; None for one that did not. The column is anybody's who can write to
    the table."""
    return ends([request.pk]).get(request.pk)


def have_ended(requests: Collection[UUID]) -> set[UUID]:
    """Return those of these requests that by their histories have ended; one query."""
    found = RequestEvent.objects.filter(request__in=requests, kind__in=_ENDED)
    return set(found.values_list("request", flat=True)) if requests else set()


def ends(requests: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when these requests ended, by their histories; one query. Of one that a restored backup had open it is the
    day that the ledger tells."""
    found = {}
    for one in RequestEvent.objects.filter(request__in=requests, kind__in=_ENDED).order_by("pk"):
        told = one.detail.get("carried_out_at") if isinstance(one.detail, dict) else None
        found[one.request_id] = datetime.fromisoformat(told) if isinstance(told, str) else one.at
    return found


def step_done(
    request: Request, step: str, *, actor: Actor | None, now: datetime, detail: Mapping[str, Any] | None = None
) -> None:
    """Append the event that a step is done, once: the database takes no second.

    One that stands there already was planted, and the request sealed with it by an operator: it stops no step.
    """
    with bound.kept(request):
        made = _new(request, STEP, actor, now, company_day(now), step, detail)
        RequestEvent.objects.bulk_create([made], ignore_conflicts=True)


def schedule(request: Request, step: str, *, at: datetime | None) -> None:
    """Say which step comes next and when; every message about the request sent before is stale from now on."""
    request.save(update_fields=_come(request, step, at))


def _come(request: Request, step: str, at: datetime | None) -> list[str]:
    """Write into the object which step comes next and when; return the fields to save."""
    request.step, request.next_action_at = step, at
    request.version += 1
    request.attempts, request.last_error = 0, ""
    return ["step", "next_action_at", "version", "attempts", "last_error"]


def details(request: Request, kind: str, *, step: str = "") -> list[dict[str, Any]]:
    """Return the details of the events of a kind, and of a step, oldest first; {} for one that the site cannot have
    written."""
    found = _details_of_one()(request.pk, kind)
    return [one if isinstance(one, dict) else {} for one, of in found if step in ("", of)]


@cache
def _details_of_one() -> Question:
    events = RequestEvent.objects.filter(request=Question.NUMBER, kind=Question.TEXT).order_by("pk")
    return Question(events.values_list("detail", "step"), Question.NUMBER, Question.TEXT)


def asked_at(request: Request) -> datetime:
    """Return since when the person can act: the last time the proof was asked for, or a plan was made; where that was
    told by post, the moment at which by the audit its letter was ticked off."""
    asked = request.events.filter(kind__in=(clock.Kind.IDENTITY_ASKED, State.PLANNED)).order_by("at", "pk").last()
    since: datetime = asked.at if asked is not None else request.filed_at
    return max([since, *_posted_at(_told_by_post(request).filter(queued_at__gte=since))])


def was_told_by_post(request: Request) -> bool:
    """Return whether a letter that was posted told the person the plan: they have two weeks from that day in any
    case."""
    return bool(plans_posted(request))


def plans_posted(request: Request) -> list[datetime]:
    """Return when, by the audit, the letters were posted that told the person a plan, in the order of their days."""
    told = _told_by_post(request).filter(kind__in=request.procedure.letters.plans)
    return sorted(_posted_at(told))


def is_to_be_posted(request: Request) -> bool:
    """Return whether the letter that tells the person the plan waits to be posted: then they were not asked yet."""
    return _is_any_unposted(_told_by_post(request).filter(kind__in=request.procedure.letters.plans))


def is_question_unposted(request: Request) -> bool:
    """Return whether every letter that asks who it is waits to be posted: then the person was not asked yet."""
    asking = _told_by_post(request).filter(kind__in=QUESTIONS_BY_POST)
    return (
        not request.is_identified
        and _is_any_unposted(asking)
        and (not request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists())
    )


def _is_any_unposted(told: QuerySet[Letter]) -> bool:
    # A row that another program put there has no key, and nothing to post.
    numbers = list(told.filter(sent_at=None, stopped_at=None).values_list("pk", flat=True))
    return bool(numbers and vault.keys.alive([(pk, "letter") for pk in numbers]))


def _posted_at(told: QuerySet[Letter]) -> Collection[datetime]:
    return letters.went_at(list(told.values_list("pk", flat=True))).values()


def _told_by_post(request: Request) -> QuerySet[Letter]:
    told = (*QUESTIONS_BY_POST, *request.procedure.letters.plans)
    return request.letters.filter(by=Letter.By.POST, kind__in=told)


def facts(request: Request) -> list[clock.Event]:
    """Return what moves the clock of a request."""
    found = request.events.filter(kind__in=[kind.value for kind in clock.Kind]).values_list("kind", "on")
    return [clock.Event(clock.Kind(kind), on) for kind, on in found]


def place(right: Procedure, country: str, region: str) -> clock.Place:
    """Return where a person is, with the laws that the company has switched on in its settings and those that know the
    right."""
    switches = {one.switch for one in regimes.regimes() if one.switch}
    return clock.Place(
        country, region, frozenset(name for name in switches if getattr(settings, name, False)), right.laws
    )


def due_dates(request: Request) -> clock.Dates:
    """Recompute the dates of a request from its events (Art. 12(3))."""
    return clock.dates(facts(request), place(request.procedure, request.country, request.region))


def recompute(request: Request) -> None:
    """Write the due dates that follow from the events into the row, where lists sort by them."""
    dates = due_dates(request)
    request.received_on, request.due_on, request.legal_due_on = dates.received_on, dates.due_on, dates.legal_due_on
    request.unpaused_due_on = dates.unpaused_due_on if dates.unpaused_due_on != dates.due_on else None
    request.save(update_fields=["received_on", "due_on", "legal_due_on", "unpaused_due_on"])


def named(kind: str, number: str, role: str = "") -> str:
    """Return how pages name staff to each other: by role, where it is known, and by the number of the login, which
    opens nothing."""
    if kind != "staff":
        return WORDS["operator"]
    return f"a member of staff ({', '.join(filter(None, [role and in_words(kind, role), f'user {number[-12:]}']))})"
