"""What a proof still needs: others told, time for them to object, a second person (design 9).

What must never happen: an erasure by an e-mail link before the readers of the person's other mailboxes could object; a
copy or an erasure on what one member of staff alone has seen or says; an open question that time turns into a yes, or
that stands for ever because its request has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from privacy import audit, letters, people, vault
from privacy.actor import Actor
from privacy.calendar import COMPANY, add_working_days, company_day
from privacy.letters.models import Letter
from privacy.requests import addresses, bound, clock, doubt, given_out, history, links, questions, writing
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.states import OPEN_STATES
from privacy.vault.compiled import Question
from privacy.work.broken import Findings, spared

TOLD = "told_elsewhere"
LONGEST, SHORTEST = timedelta(hours=72), timedelta(hours=24)
LATE_AFTER_WORKING_DAYS = 3
ANYBODY = Actor("anonymous", None, None, frozenset(), "one-time link")
BY_MACHINE = frozenset({Request.Identity.LOGIN, Request.Identity.LINK})  # no member of staff has looked at it
#: Only these leave time for an objection: control of one mailbox, or paper, shows less than a
#: voice, a letter or a face.
NEED_TIME = frozenset({Request.Identity.LINK, Request.Identity.STAFF})


def begin(request: Request, *, actor: Actor, now: datetime, to: str, is_moved: bool = False) -> None:
    """Do what a proof without a login brings with it, in the caller's transaction: tell the
    others, ask a second person.

    `to` is where answers go: that one is told by the receipt. `is_moved` says that the link that proved it went to an
    address that does not count any more: then every address that is on file now is told. One by login needs the second
    person only where the person was joined with another lately, or somebody objects to that.
    """
    for why in _reasons(request, actor, now):
        ask(request, why, actor=actor, now=now)
    if _is_renamed(request):
        ask(request, SecondLook.Why.MOVED, actor=actor, now=now)
    look_at_others(request, actor=actor, now=now)
    if is_moved:
        moved(request, actor=actor, now=now)
    elif request.identity != Request.Identity.LOGIN:
        _tell_others(request, but=to, actor=actor, now=now)


def moved(request: Request, *, actor: Actor, now: datetime) -> None:
    """Ask a second person about a link whose address does not count any more, and tell every
    address that is on file now.

    It may have come from who took the mailbox over, or from the right person whose address staff have changed. Where
    the request has ended and nothing of it can be given any more, nothing is left to decide: the question ends at once.
    """
    ask(request, SecondLook.Why.MOVED, actor=actor, now=now)
    end_left_over(actor=actor, now=now, request=request)
    _tell_others(request, but="", actor=actor, now=now)


def _reasons(request: Request, actor: Actor, now: datetime) -> list[SecondLook.Why]:
    """Return why a second person has to look before anything is done.

    What one member of staff states, a call, a face or a code read out, nobody else has seen: alone it moves nothing. An
    operator, who holds the keys anyway, is believed.
    """
    found = []
    if _is_joined(request, now):
        found.append(SecondLook.Why.JOINED)
    if _is_disputed(request):
        found.append(SecondLook.Why.DISPUTED)
    if request.identity == Request.Identity.LOGIN:
        return found
    if request.identity == Request.Identity.STAFF:
        found.append(SecondLook.Why.EVIDENCE)
    elif actor.kind == "staff":
        found.append(SecondLook.Why.STATED)
    if not request.procedure.is_final:
        return found
    if request.identity == Request.Identity.LINK and _is_staff_entry(request, now):
        found.append(SecondLook.Why.ENTRY)
    if _came_late(request):
        found.append(SecondLook.Why.LATE)
    return found


def _is_disputed(request: Request) -> bool:
    """Say whether an e-mail link proved it while it is open whose contact the person's is, or the login while it is
    open who changed its address: one mailbox, or whoever is signed in, is no proof then."""
    if request.identity not in BY_MACHINE or request.is_about_records or request.owner_id is None:
        return False
    known, by_login = people.ask(), request.identity == Request.Identity.LOGIN
    return known.is_login_disputed(request.owner_id) if by_login else known.is_disputed(request.owner_id)


def _is_joined(request: Request, now: datetime) -> bool:
    """Say whether login or mailbox may open what is somebody else's: by a joining that has still to prove itself."""
    if request.identity not in BY_MACHINE or request.is_about_records or request.subject_id is None:
        return False
    return bool(people.ask().joined_by(request.subject_id, now))


def _is_renamed(request: Request) -> bool:
    """Say whether a name was changed on a record that the request is about, and no second person was asked about a
    change there: then the names do not tell whether the address is one person's."""
    if not request.is_about_records or addresses.was_asked_of_a_change(request):
        return False
    return people.ask().renamed(addresses.records_of(request))


def _is_staff_entry(request: Request, now: datetime) -> bool:
    """Say whether the address that was proved stands on file by an entry of staff only."""
    if request.is_about_records or request.subject_id is None:
        return False
    with vault.internal():
        email = request.requester_email
    reach = people.ask().reach(email, now) if isinstance(email, str) and email else None
    return reach is not None and request.subject_id in reach.by_staff_entry


def _came_late(request: Request) -> bool:
    """Say whether a receipt was written down more than three working days after its day: the clock is short then."""
    receipts = request.events.filter(kind=clock.Kind.RECEIVED).values_list("on", "at")
    return any(_is_late(on, at) for on, at in receipts)


def _is_late(on: date, at: datetime) -> bool:
    return company_day(at) > add_working_days(on, LATE_AFTER_WORKING_DAYS, COMPANY)


def received_again(request: Request, on: date, *, actor: Actor, now: datetime) -> None:
    """Ask a second person about what cannot be brought back, and to which one more receipt was added late, in the
    caller's transaction: it shortens the clock, and with it the time that others have to object."""
    is_open = request.procedure.is_final and request.can_withdraw
    if is_open and request.identity != Request.Identity.LOGIN and _is_late(on, now):
        ask(request, SecondLook.Why.LATE, actor=actor, now=now)


def _tell_others(request: Request, *, but: str, actor: Actor, now: datetime) -> None:
    """Write to every other e-mail of the person's login and contact, without content: it was not them, or all is
    well."""
    person = doubt.person_of(request)
    if person is None or request.is_about_records or not request.procedure.tells_others:
        return
    with vault.internal():
        others = people.ask().others(person, but)
    for number, other in enumerate(others):
        token = links.make_link(request, OneTimeLink.Purpose.NOT_ME, to=other, now=now)
        writing.queue(
            TOLD,
            to=other,
            context={"waits": request.procedure.is_final and request.identity in NEED_TIME},
            key=f"{TOLD}:{request.pk}:{now:%Y%m%d%H%M%S}:{number}",
            request=request,
            now=now,
            credentials={"link": links.address_of_link(token)},
            until=now + links.NOT_ME_LINK_LIVES,
        )
    history.event(request, TOLD, actor=actor, now=now, detail={"count": len(others)})


def contact_disputed(subject: UUID, *, actor: Actor, now: datetime) -> None:
    """Ask a second person about what an e-mail link, or the login, proved before somebody objected to a contact of the
    person, or to a change of the login's address."""
    proved = doubt.theirs(subject, Q(_can_give(), identity__in=BY_MACHINE))
    for request in proved.select_for_update(of=("self",)).order_by("pk"):
        if _is_disputed(request):
            ask(request, SecondLook.Why.DISPUTED, actor=actor, now=now)


def login_given_back(subject: UUID, *, since: datetime, actor: Actor, now: datetime) -> tuple[int, int]:
    """Ask a second person about what was asked by login or e-mail link since then, by which the login was in other
    hands, and end the links and codes of requests of that time. In the caller's transaction. Return how many were asked
    about, and of how many requests a copy was fetched since."""
    asked = 0
    of_then = Q(filed_at__gte=since) | Q(identity_at__gte=since)
    machine = doubt.theirs(subject, Q(of_then, _can_give(), identity__in=BY_MACHINE))
    for request in machine.select_for_update(of=("self",)).order_by("pk"):
        ask(request, SecondLook.Why.DISPUTED, actor=actor, now=now)
        asked += 1
    requests = Request.objects.filter(bound.of_people([subject]))
    theirs = OneTimeLink.objects.filter(request__in=requests, created_at__gte=since, used_at=None)
    theirs.exclude(purpose=OneTimeLink.Purpose.NOT_ME).filter(expires_at__gt=now).update(expires_at=now)
    return asked, given_out.since(subject, since)


def record_changes(
    record: tuple[str, UUID], email: str, *, is_address: bool, actor: Actor | None, now: datetime
) -> None:
    """Ask a second person about requests about records that cover this record by this address, when that, or a person's
    name, is about to be changed on it: else who may write there would cut off who asked, or let the request reach
    further. Also about one that has ended while its copy can be fetched: link and code went to that address. In the
    caller's transaction, before the change."""
    for request in _about(email, _can_give()).select_for_update(of=("self",)).order_by("pk"):
        if record not in addresses.records_of(request):
            continue
        if is_address:
            label, number = record
            with vault.internal():  # the file of the request, shown to nobody
                known = request.changed_records
                request.changed_records = [*(known if isinstance(known, list) else ()), [label, str(number)]]
                request.save(update_fields=["changed_records"])  # type: ignore[misc]  # a sealed field is no column
        kind = history.ADDRESS_CHANGED if is_address else history.NAME_CHANGED
        history.event(request, kind, actor=actor, now=now)
        ask(request, SecondLook.Why.MOVED, actor=actor or ANYBODY, now=now)


def look_at_others(request: Request, *, actor: Actor, now: datetime) -> None:
    """Ask a second person, once for each, about what carries the address of a request about records and points
    to somebody else, in the caller's transaction: it neither takes a record away from the request nor brings
    one, and is not passed over."""
    known = addresses.settled_others(request)
    others = [one for one in addresses.others_with_address(request) if one not in known]
    if not others:
        return
    with vault.internal():  # the file of the request, shown to nobody
        request.other_records = [[label, str(number)] for label, number in (*known, *others)]
        request.save(update_fields=["other_records"])  # type: ignore[misc]  # a sealed field is no column
    history.event(request, history.OTHER_NAME, actor=actor, now=now, detail={"count": len(others)})
    ask(request, SecondLook.Why.MOVED, actor=actor, now=now)


def is_covered(record: tuple[str, UUID], email: str) -> bool:
    """Say whether an open request about records covers this record by this address."""
    is_open = Q(state__in=OPEN_STATES)
    return any(record in addresses.records_of(request) for request in _about(email, is_open))


def _about(email: str, which: Q) -> QuerySet[Request]:
    same = Request.objects.find("request.email", email).values_list("pk", flat=True)
    return doubt.these(same, Q(which, scope=Request.Scope.RECORDS))


def _can_give() -> Q:
    """Return which requests something is or may still be given for: the open ones, and those whose copy can be
    fetched."""
    copies = questions.copies().filter(request=OuterRef("pk"))
    return Q(state__in=OPEN_STATES) | Q(Exists(copies))


def people_joined(subject: UUID, *, actor: Actor, now: datetime, is_objected: bool = False) -> None:
    """Ask a second person about what was asked by login or link before the person was joined; where somebody objects to
    what was joined (`is_objected`), also about a copy that can be fetched: it may hold that."""
    which = _can_give() if is_objected else Q(state__in=OPEN_STATES)
    proved = doubt.theirs(subject, Q(which, identity__in=BY_MACHINE, scope=Request.Scope.WHOLE))
    for request in proved.select_for_update(of=("self",)).order_by("pk"):
        ask(request, SecondLook.Why.JOINED, actor=actor, now=now)


# The second person ----------------------------------------------------------------------------------------------------


def ask(request: Request, why: SecondLook.Why, *, actor: Actor, now: datetime) -> SecondLook:
    """Put a question to a second person and return it: one while it is open, with an event for each time that it was
    put.

    By the events, not by the reason, a decision is held against what was shown to who decides (`second.shown`).
    """
    since = questions.of(request).open.get(why)
    kind = history.SECOND_ASKED_AGAIN if since else history.SECOND_ASKED
    history.event(request, kind, actor=actor, now=now, detail={"why": why.value})
    audit.record(
        "request.second_asked", actor=actor, now=now, subject=request.subject_id, reference=request.reference,
        reason=why.value,
    )  # fmt: skip
    return questions.row(request, why, at=since[0] if since else now)


def is_undecided(request: Request) -> bool:
    """Say whether a second person has still to decide about this request.

    By the history, which is appended to only: a question that is gone or changed is not answered by that, nor by the
    answer to another one, and one that was planted is none.
    """
    return bool(questions.of(request).open)


def left_over() -> QuerySet[SecondLook]:
    """Return the open questions about requests that have ended and of which no copy can be
    fetched: a decision changes nothing.

    Not "this was not me", which is noted whenever it is said, because something may have gone out. One in doubt has not
    ended.
    """
    found = _of_ended()
    return found.exclude(request__in=doubt.among(found.values_list("request", flat=True)))


def _of_ended() -> QuerySet[SecondLook]:
    copies = questions.copies().filter(request=OuterRef("request"))
    asked = questions.rows().exclude(why=SecondLook.Why.NOT_ME)
    return asked.exclude(request__state__in=OPEN_STATES).filter(~Exists(copies))


def end_left_over(*, actor: Actor | None, now: datetime, request: Request | None = None) -> int:
    """End what `left_over` returns, of one request or of all, without a decision; return how many ended. Safe to
    repeat. Of all, a request that cannot be read is named in the log and keeps no other one."""

    def end(some: Sequence[UUID]) -> int:
        with transaction.atomic():
            # One that is just being closed is signed after this, and was asked before.
            asked = (left_over() if request is None else _of_ended()).filter(request__in=some)
            requests = Request.objects.filter(pk__in=asked.values("request")).select_for_update(of=("self",))
            return sum(
                end_questions(one, asked.filter(request=one), actor=actor, now=now) for one in requests.order_by("pk")
            )

    if request is not None:
        return end([request.pk]) if _is_any_open()(request.pk) and doubt.is_clear(request) else 0
    numbers = sorted(set(left_over().values_list("request", flat=True)))
    return sum(spared(numbers, end, step="question", label=Request.vault_label, findings=Findings()))


@cache
def _is_any_open() -> Question:
    asked = SecondLook.objects.filter(request=Question.NUMBER, decided_at=None).order_by()
    return Question(asked.values_list("pk")[:1], Question.NUMBER)


def end_questions(request: Request, looks: QuerySet[SecondLook], *, actor: Actor | None, now: datetime) -> int:
    """End these open questions with their request, undecided, in the caller's transaction; return how many ended."""
    looks = looks.filter(why__in=questions.of(request).begun)  # the event of its end may stand there already
    whys = sorted(looks.values_list("why", flat=True))
    if not whys:
        return 0
    by = "" if actor is None or actor.kind == "customer" else (actor.id or "")[:64]
    looks.update(decided_at=now, decided_kind=actor.kind if actor else "", decided_by=by)
    history.event(request, history.SECOND_ENDED, actor=actor, now=now, detail={"why": whys})
    audit.record(
        "request.second_ended",
        actor=actor,
        now=now,
        subject=request.subject_id,
        reference=request.reference,
        reason=", ".join(whys),
    )
    return len(whys)


# Time to object -------------------------------------------------------------------------------------------------------


def ends_at(request: Request, *, now: datetime) -> datetime | None:
    """Return until when what cannot be brought back waits for objections of the person's other
    mailboxes, None when it does not wait.

    72 hours from the letters, ended by the due date in force, but never less than 24 (design 9); the whole of them
    where fewer letters are there than the history tells of. When they were written says the history, and when they
    went out the audit: what only the row of a letter says, whatever day stands in it, holds nothing up beyond the due
    date.
    """
    if not request.procedure.is_final or request.identity not in NEED_TIME:
        return None
    events = request.events.filter(kind=TOLD).values_list("at", "detail")
    written = [(at, detail["count"]) for at, detail in events if isinstance(detail, dict) and "count" in detail]
    written = [(at, count) for at, count in written if isinstance(count, int) and count >= 0]  # others: planted
    waits = Q(next_attempt_at__isnull=False) | Q(sending_at__isnull=False)
    told = {
        pk: (is_unsent, is_to_go)
        for pk, is_unsent, is_to_go in Letter.objects.filter(request=request, kind=TOLD).values_list(
            "pk", _is(Q(sent_at=None)), _is(Q(sent_at=None) & waits)
        )
    }
    went = letters.went_at(told)
    begins = [at for at, count in written if count] + [min(at, now) for at in went.values()]
    if not begins:
        return None
    begun = max(begins)
    # One that was given up or stopped gives its reader no time; one of which only its row says that it went out told
    # nobody. One that still waits for the mail server gives no time yet.
    unsent = [is_to_go for pk, (is_unsent, is_to_go) in told.items() if is_unsent and pk not in went]
    if len(went) + len(unsent) < sum(count for _, count in written):
        return begun + LONGEST  # taken away: it may have told nobody, and when it went out nobody knows
    return max(begun + SHORTEST, min((now if any(unsent) else begun) + LONGEST, clock.expires_at(request.due_on)))


def _is(what: Q) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(what, output_field=BooleanField())
