"""A request comes in: receipt, clock, acknowledgement, and the proof of who is asking (Art. 12(2), 12(3), 12(6)).

What must never happen: a receipt that is lost, a question that two rows answer, an answer to a stranger that tells whether
an address is known.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from privacy import audit, letters, people, subjects, vault
from privacy.actor import STAFF_ROLES, Actor
from privacy.calendar import company_day
from privacy.requests import (
    assessment,
    bound,
    broker,
    clock,
    history,
    identity,
    nothing,
    procedures,
    proof,
    waits,
    writing,
)
from privacy.requests.history import NotAllowed
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.procedure import Door
from privacy.requests.proof import BadRequest
from privacy.requests.states import OPEN_STATES, Channel, Proof, State
from privacy.subjects import Subject
from privacy.typed import cards, mailbox
from privacy.typed.lines import on_one_line

# A second link to the same mailbox within this time would only help to flood it.
LINK_AGAIN_AFTER = timedelta(hours=1)
# What the program itself has seen, nobody states.
WITNESSED_HERE = frozenset({Request.Identity.LOGIN, Request.Identity.LINK, Request.Identity.POST})
OLDEST_RECEIPT = timedelta(days=3 * 365)
CODE_IN_HAND = "a code from a letter that members of our staff had in hand"
NOT_OURS = "This request does not say what the site wrote."


class NotYours(PermissionDenied):
    """The actor has nothing to do with this request."""


# Who may --------------------------------------------------------------------------------------------------------------


def require_sight(request: Request, actor: Actor) -> None:
    """Raise NotYours unless `actor` is the person, the privacy team, or the program.

    For the person only where the row says what the site wrote: it may have been another's before.
    """
    if actor.kind == "customer" and request.owner_id is not None and actor.subject == request.owner_id:
        if not bound.is_ours(request) or _is_of_a_login(request):
            raise NotYours(NOT_OURS)
        return
    if actor.kind in ("task", "operator") or (actor.kind == "staff" and "privacy" in actor.roles):
        return
    raise NotYours("This request belongs to somebody else.")


def acting_as(request: Request, *, purpose: str = "own request", reason: str = "") -> Actor:
    """Return the actor for somebody who has just proved, by link or code, that the request is theirs.

    Raises NotYours for a request whose row does not say what the site wrote: whose it is nobody knows.
    """
    if not bound.is_ours(request) or _is_of_a_login(request):
        raise NotYours(NOT_OURS)
    return Actor(
        kind="customer",
        id=None,
        subject=request.owner_id,
        roles=frozenset({"customer"}),
        purpose=purpose,
        reason=reason,
    )


def acting_by_code(request: Request, coded: UUID | str) -> Actor:
    """Return the actor for who proved it by the outcome code of the request `coded`; where staff had that code in hand, audit and
    access log say so of everything that is opened by it. Raises NotYours."""
    of = Request.objects.filter(pk=coded).first()
    return acting_as(request, purpose="outcome by code", reason=CODE_IN_HAND if of and identity.had_code(of) else "")


def _is_of_a_login(request: Request) -> bool:
    """Say whether an open request about records belongs to somebody with a login: the site files none, they are nobody's."""
    if not request.is_about_records or request.state not in OPEN_STATES or request.owner_id is None:
        return False
    return people.ask().has_login(request.owner_id)


def locked(request: Request) -> Request:
    return Request.objects.select_for_update(of=("self",)).get(pk=request.pk)


# Filing ---------------------------------------------------------------------------------------------------------------


def file(
    *,
    kind: str,
    subject: UUID | Subject | None,
    channel: str,
    received_on: date,
    asked_by: str = Request.AskedBy.SELF,
    identity: str = Request.Identity.PENDING,
    actor: Actor,
    now: datetime,
    email: str = "",
    name: str = "",
    note: str = "",
    postal: str = "",
) -> Request:
    """File a request, or add this receipt to the one of the same kind that is still open; return it (Art. 12, 15, 17).

    One transaction writes request, event, audit event and letter, and says when to look at it next; the broker is only
    told afterwards and may be down. Where identity is proved, `outcome_code` of the returned object is the code to show once.
    Raises BadRequest, and NotYours when a customer files for somebody else.
    """
    who = subject.pk if isinstance(subject, Subject) else subject
    _check(kind, channel, asked_by, identity, received_on, who, actor, email, now, name, note, postal)
    postal = "" if who is not None or email.strip() else postal.strip()  # else it is answered elsewhere
    try:
        with transaction.atomic():
            return _file(
                kind, who, channel, received_on, asked_by, identity, actor, now, email.strip(), name, note, postal
            )
    except IntegrityError:
        # The same person filed the same twice in one moment: the other receipt was first.
        with transaction.atomic():
            return _file(
                kind, who, channel, received_on, asked_by, identity, actor, now, email.strip(), name, note, postal
            )


def _check(
    kind: str,
    channel: str,
    asked_by: str,
    how: str,
    received_on: date,
    subject: UUID | None,
    actor: Actor,
    email: str,
    now: datetime,
    name: str,
    note: str,
    postal: str,
) -> None:
    for value, allowed, what in (
        (kind, [one.kind for one in procedures.rights(_door(actor))], "kind of request"),
        (channel, Channel.values, "channel"),
        (asked_by, Request.AskedBy.values, "way of being asked"),
        (how, Request.Identity.values, "way of proving who it is"),
    ):
        if value not in allowed:
            raise BadRequest(f"There is no such {what}; it is one of {', '.join(allowed)}.")
    today = company_day(now)
    if received_on > today:
        raise BadRequest("The day of receipt cannot be in the future.")
    if received_on < today - OLDEST_RECEIPT:
        raise BadRequest("The day of receipt is more than three years ago.")
    no_card_number(name, note, postal)
    if email:
        try:
            mailbox.validate(email.strip())
        except ValidationError:
            raise BadRequest("That is not an e-mail address.") from None
    if subject is None and not email and not (name.strip() and postal.strip()):
        raise BadRequest("Say who is asking: a customer, an e-mail address, or a name and a postal address.")
    if how != Request.Identity.PENDING and subject is None:
        raise BadRequest("Nobody on file is identified by this; leave the identity pending.")
    by_staff = actor.kind in ("task", "operator") or (actor.kind == "staff" and bool(actor.roles & STAFF_ROLES))
    if actor.kind == "customer" and subject != actor.subject:
        raise NotYours("Nobody files a request for somebody else here.")
    allowed_proofs = {"customer": {Request.Identity.LOGIN, Request.Identity.PENDING}}.get(
        actor.kind,
        set(Request.Identity) - WITNESSED_HERE if by_staff else {Request.Identity.PENDING},
    )
    if how not in allowed_proofs:
        raise BadRequest("This way of proving who it is cannot be stated here.")
    if how == Request.Identity.CALLBACK and actor.kind == "staff":
        raise BadRequest("A call-back is stated once the request is filed, with what the person said.")


def _door(actor: Actor) -> Door:
    """Return at which door somebody stands who files a request."""
    return {"customer": Door.PORTAL, "anonymous": Door.WITHOUT_LOGIN}.get(actor.kind, Door.STAFF)


def no_card_number(*texts: str) -> None:
    """Raise BadRequest when a text holds what must not be kept (P22)."""
    for text in texts:
        try:
            cards.refuse(text)
        except ValidationError as refused:
            raise BadRequest(refused.message) from None


def _file(
    kind: str,
    subject: UUID | None,
    channel: str,
    received_on: date,
    asked_by: str,
    how: str,
    actor: Actor,
    now: datetime,
    email: str,
    name: str,
    note: str,
    postal: str,
) -> Request:
    request = _open_one(kind, subject, email, name)
    merged = request is not None
    if request is not None and request.subject_id is None:
        _take_name(request, name, now=now)
    if request is None:
        request = _new(kind, subject, channel, received_on, asked_by, actor, now, email, name, note, postal)
    history.event(
        request,
        clock.Kind.RECEIVED,
        actor=actor,
        now=now,
        on=received_on,
        detail={"channel": channel, "asked_by": asked_by, "merged": merged},
    )
    history.recompute(request)
    audit.record(
        "request.merged" if merged else "request.filed",
        actor=actor,
        now=now,
        subject=subject,
        record=(Request.vault_label, request.pk),
        reference=request.reference,
        reason=f"{kind} by {channel}",
    )
    if merged:
        wait_anew(request, now=now)
    if how != Request.Identity.PENDING and not request.is_identified:
        identify_into(request, how, actor=actor, now=now, merged=merged)
    elif request.is_identified:
        waits.received_again(request, received_on, actor=actor, now=now)
        _acknowledge(request, received_on, actor=actor, now=now, merged=merged)
        _send_result_again(request, actor=actor, now=now)
    else:
        if not merged:
            history.schedule(request, procedures.IDENTITY.name, at=time_to_act(request, now))
        is_asked = ask_who(request, now=now)
        if is_asked and not request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists():
            history.event(request, clock.Kind.IDENTITY_ASKED, actor=actor, now=now)
        broker.nudge_letters()
    return request


def _take_name(request: Request, name: str, *, now: datetime) -> None:
    """Write the name that came with a later receipt into a request that had none: from then on a person looks (nothing.py)."""
    with vault.internal():  # compared, shown to nobody
        if not name.strip() or str(request.requester_name or ""):
            return
        request.requester_name = name
        request.save(update_fields=["requester_name"])  # type: ignore[misc]  # a sealed field is no column
    request.links.filter(used_at=None).exclude(purpose=OneTimeLink.Purpose.NOT_ME).update(expires_at=now)


def _is_named_otherwise(request: Request, name: str) -> bool:
    with vault.internal():  # compared, shown to nobody
        said = str(request.requester_name or "")
    return bool(said.strip() and name.strip()) and said.split() != name.split()


def _open_one(kind: str, subject: UUID | None, email: str, name: str) -> Request | None:
    """Return the open request of the same kind: of the subject, or of the same unmatched address, locked.

    Who gives an unmatched address and another name than the first is another person until a person has looked.

    What is asked about a whole file is never one with a request about records, whoever's that says it is: they are proved by
    different things, and open different ones.
    """
    found = (
        Request.objects.filter(kind=kind, state__in=OPEN_STATES).select_for_update(of=("self",)).order_by("filed_at")
    )
    if subject is not None:
        return found.filter(subject_id=subject, scope=Request.Scope.WHOLE).first()
    if not email:
        return None  # a name and a postal address tell nobody apart
    _one_at_a_time(kind, email)
    same = Request.objects.find("request.email", email).values_list("pk", flat=True)
    of_address = found.filter(Q(subject=None) | Q(scope=Request.Scope.RECORDS), pk__in=list(same))
    return next(
        (
            one
            for one in of_address
            if (bound.is_ours(one) if one.is_about_records else not _is_named_otherwise(one, name))
        ),
        None,
    )


def _one_at_a_time(kind: str, email: str) -> None:
    """Let others who ask the same for the same address wait until this transaction ends.

    No constraint can see that two requests without a subject are the same: the address is sealed.
    """
    (blind,) = Request._meta.get_field("requester_email").blind
    token = next(blind.entries(email))
    number = hashlib.blake2b(token.value + kind.encode(), digest_size=8).digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(number, "big", signed=True)])


def _new(
    kind: str,
    subject: UUID | None,
    channel: str,
    received_on: date,
    asked_by: str,
    actor: Actor,
    now: datetime,
    email: str,
    name: str,
    note: str,
    postal: str,
) -> Request:
    scope, country, region = Request.Scope.WHOLE, "", ""
    records: people.Records = []
    if subject is not None:
        country, region = assessment.place_of(subject)
        email, name = _on_file(subject, email, name, now)
    elif procedures.get(kind).may_be_about_records and (records := identity.standing_of(email, now=now).records):
        scope, (country, region) = Request.Scope.RECORDS, assessment.place_of_records(records)
        email = identity.spelled_on_file(*records[0], email) or email
        subject = _subject_for(email, now)
    dates = clock.dates(
        [clock.Event(clock.Kind.RECEIVED, received_on)], history.place(procedures.get(kind), country, region)
    )
    request = Request(
        reference=_free_reference(now),
        kind=kind,
        channel=channel,
        asked_by=asked_by,
        scope=scope,
        subject_id=subject,
        owner_id=subject,
        country=country,
        region=region,
        filed_at=now,
        received_on=received_on,
        due_on=dates.due_on,
        legal_due_on=dates.legal_due_on,
        requester_email=email,
        requester_name=name,
        note=note,
        requester_postal=postal,
        covered_records=[[label, str(number)] for label, number in records],
    )
    request.save(force_insert=True)
    return request


def _on_file(subject: UUID, email: str, name: str, now: datetime) -> tuple[str, str]:
    """Return where the answer goes, and the name on file, to be sealed into the request file.

    An address that came with the request counts only where it stands on file anyway. Shown to nobody, so nobody is asked.
    """
    with vault.internal():
        known = people.ask()
        on_file = known.on_file(subject, email, now) if email else ""
        return on_file or known.answer_address(subject, now), name or on_one_line(str(known.name(subject)))


def _subject_for(email: str, now: datetime) -> UUID:
    """Return a subject for a request about records: that of another open one from this address, else a new one.

    It is nobody's whose records these are: whoever proves the address gets at this request, and at no person's file. Of an earlier one
    the site must have written whose it is, and nobody with a login.
    """
    same = Request.objects.find("request.email", email).values_list("pk", flat=True)
    earlier = Request.objects.filter(scope=Request.Scope.RECORDS, state__in=OPEN_STATES, pk__in=list(same))
    for one in earlier.filter(owner_id__isnull=False).order_by("filed_at"):
        if one.owner_id is not None and bound.is_ours(one) and not people.ask().has_login(one.owner_id):
            return one.owner_id
    return subjects.create(now=now).pk


def _free_reference(now: datetime) -> str:
    while Request.objects.filter(reference=(found := identity.new_reference(company_day(now).year))).exists():
        pass
    return found


def time_to_act(request: Request, now: datetime) -> datetime:
    """Return when to look whether the person has proved who they are, or confirmed: on the due day, at once when it is over.

    What is done then, and for whom there is more time, `steps.identity_step` says.
    """
    return max(clock.answer_from(request.due_on), now)


def wait_anew(request: Request, *, now: datetime) -> None:
    """Let a request that waits for the person wait for the due date in force; called when that has moved."""
    if request.waits_for_person:
        history.schedule(request, request.step, at=time_to_act(request, now))


def ask_who(request: Request, *, now: datetime) -> bool:
    """Send a one-time link, or say what else would prove it. The page says the same to everybody.

    The link goes to the address on file; where nothing carries the address that was given it goes there and opens nothing (nothing.py).

    Whom no e-mail reaches gets the receipt by post, which says what else would prove it: never silence (design 9). Return whether
    the person is asked by that: who is asked by post is asked on the day on which the letter is ticked off, and not before.
    """
    to = identity.address_for_answer(request, now=now)
    if request.subject_id is None and not (to and nothing.is_said_by_itself(request)):
        context = {"several": identity.standing_of(to, now=now).is_shared, "ends_on": _ends_on(request, now)}
        context["by_post"] = not to
        writing.queue(
            "not_identified", to=to, context=context, key=f"not-identified:{request.pk}", request=request, now=now
        )
        return bool(to)
    if not to:
        writing.queue(
            "acknowledgement",
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
    identity.send_link(request, OneTimeLink.Purpose.IDENTITY, to=to, now=now)
    return True


def _send_result_again(request: Request, *, actor: Actor, now: datetime) -> None:
    """Send who asks again, and has no login, a new link to the plan, the copy or the state of the request.

    Not for what was asked by login: a mailbox alone would then confirm what the password has proved.
    """
    if request.identity == Request.Identity.LOGIN or actor.kind == "customer":
        return
    purpose = OneTimeLink.Purpose.RESULT
    unused = OneTimeLink.objects.filter(request=request, purpose=purpose, used_at=None, expires_at__gt=now)
    if unused.filter(created_at__gt=now - LINK_AGAIN_AFTER).exists():
        return
    to = identity.address_for_answer(request, now=now)
    if to and (actor.kind != "anonymous" or letters.within_cap("link_result", to, now=now)):
        identity.send_link(request, purpose, to=to, now=now)


def _ends_on(request: Request, now: datetime) -> date | None:
    """Return the day on which the request ends without an answer; None when that is too near, or over: there is more time."""
    return request.due_on if clock.answer_from(request.due_on) - now >= history.LEAST_TIME_TO_ACT else None


def _acknowledge(
    request: Request, received_on: date, *, actor: Actor, now: datetime, merged: bool = False, code: str = ""
) -> None:
    to = identity.address_for_answer(request, now=now)
    if actor.kind == "anonymous" and to and not letters.within_cap("acknowledgement", to, now=now):
        return
    receipts = request.events.filter(kind=clock.Kind.RECEIVED).count()
    must_confirm = request.procedure.is_confirmed and request.state in (State.IDENTITY, State.PLANNED)
    writing.queue(
        "acknowledgement",
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


def ask(*, kind: str, email: str, note: str = "", actor: Actor, now: datetime) -> None:
    """File a request without a login. Returns nothing, whoever asks: nobody learns whether an address is on file (R11).

    Raises BadRequest for something that is no address.
    """
    # A login and a customer of one address that were not joined yet are two files of one person: a request for each.
    for subject in identity.standing_of(email, now=now).subjects or (None,):
        file(
            kind=kind,
            subject=subject,
            channel=Channel.WEB,
            received_on=company_day(now),
            actor=actor,
            now=now,
            email=email,
            note=note,
        )


# Who it is ------------------------------------------------------------------------------------------------------------


def identify_into(
    request: Request, how: str, *, actor: Actor, now: datetime, merged: bool = False, is_moved: bool = False
) -> None:
    """Write down that identity is proved, in the caller's transaction: the clock, the code, the receipt, the next step.

    Raises NotAllowed for a request about records by a login: that proves the own file, and nothing of an address on a record; and
    for a proof that does not count for the right.
    """
    if how == Request.Identity.LOGIN and request.is_about_records:
        raise NotAllowed("A login proves nothing about records that carry an address.")
    if how not in request.procedure.proofs:
        raise NotAllowed("This way of proving who it is does not count for what is asked.")
    asked = request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists()
    request.identity, request.identity_at = how, now
    writing.end_unposted(request, now=now, kinds=writing.ASKING)  # what asks for a proof is answered
    code = identity.new_code()
    to = identity.address_for_answer(request, now=now)  # there the receipt goes, with the code
    request.outcome_code_hash = identity.hash_of_code(request, code, to=to)
    request.save(update_fields=["identity", "identity_at", "outcome_code_hash"])
    if asked:
        history.event(request, clock.Kind.IDENTITY_RECEIVED, actor=actor, now=now)
        history.recompute(request)
    history.move(request, State.IDENTITY, actor=actor, now=now, detail={"identity": how})
    audit.record(
        "request.identified", actor=actor, now=now, subject=request.subject_id, reference=request.reference, reason=how
    )
    waits.begin(request, actor=actor, now=now, is_moved=is_moved)
    _acknowledge(request, request.received_on, actor=actor, now=now, merged=merged, code=code)
    history.schedule(request, procedures.PLAN.name, at=now)
    broker.nudge(request)
    request.outcome_code = code  # type: ignore[attr-defined]  # shown once, kept as a hash only


def post_code(request: Request, *, subject: UUID, actor: Actor, now: datetime) -> None:
    """Leave a letter with a code for the person on file at the postal address on file, to be printed and posted.

    Who reads it back, by phone or letter, is that person (design 9); `identify` takes the code. An earlier code of the
    request stops working, and a new one works once its letter is marked as posted. Raises NotYours, and NotAllowed without a postal address that has been on file for 14 days.
    """
    require_sight(request, actor)
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
        link, code = identity.make_posted_code(request, subject, now=now)
        writing.queue(
            writing.POSTED_CODE,
            to="",
            context={"expires_at": link.expires_at, "postal": lines},
            key=identity.key_of_posted_code(link),
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
) -> Request:
    """Let staff state how identity was proved, and of whom (shared mailbox, call-back). Returns the request.

    What the person said is compared with what is on file: `code` of a code by post, `callback` of a call-back by staff (an
    operator, who holds the keys anyway, is believed). A refused try is written down. Raises NotYours, proof.HadTheLetter, NotAllowed, BadRequest,
    proof.Incomplete, proof.ProofRefused and proof.TooManyTries; when the person has an open request of the same kind the two
    are not merged silently: NotAllowed says so.
    """
    require_sight(request, actor)
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
        if is_proved:
            _identified_as(request, how, subject, note, actor=actor, now=now)
    if not is_proved:  # only now: the refused try has to stay written down
        raise proof.ProofRefused(proof.refused_sentence(how))
    return request


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
        if (actor.kind, actor.id or "") in identity.had_posted_code(request, now=now):
            raise proof.HadTheLetter
        proof.within_limit(subject, now=now)
        if identity.use_posted_code(request, subject, code, now=now):
            return True
        proof.code_refused(request, subject, actor=actor, now=now)
        return False
    if how == Request.Identity.CALLBACK and actor.kind == "staff":
        return proof.matches(request, subject, callback, actor=actor, now=now)
    return True


def _identified_as(request: Request, how: str, subject: UUID, note: str, *, actor: Actor, now: datetime) -> None:
    """Give the request to the person who was proved, in the caller's transaction."""
    if request.subject_id != subject:
        if Request.objects.filter(subject_id=subject, kind=request.kind, state__in=OPEN_STATES).exists():
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
        request.requester_email, _ = _on_file(subject, _given(request), "", now)
        request.save(update_fields=["requester_email"])  # type: ignore[misc]  # a sealed field is no column
    if note:
        request.note = "\n".join(part for part in (request.note, note) if part)
        request.save(update_fields=["note"])  # type: ignore[misc]  # a sealed field is no column
    identify_into(request, how, actor=actor, now=now)


def _given(request: Request) -> str:
    with vault.internal():
        email = request.requester_email
    return email if isinstance(email, str) else ""


def redeem(token: str, *, now: datetime) -> tuple[Request, str]:
    """Use a one-time link (POST only); return its request and the outcome code to show once, "" when it was shown before.

    Who reads the mailbox of an address that stands nowhere is told that nothing is held (nothing.py). Any other link went to the
    address on file, so using it proves the person (Art. 12(6)), as long as that address counts. Where it
    does not any more a second person is asked, and what is on file now is told; `stands` says that nothing is to be shown
    until then, and a link to the plan or the outcome is not used up by it. Raises identity.LinkRefused.
    """
    with transaction.atomic():
        link = identity.use(token, now=now)
        if link.purpose == OneTimeLink.Purpose.NOT_ME:
            raise identity.LinkRefused  # it speaks against a request and opens none
        request = locked(link.request)
        on = identity.stands_on(token)
        if link.purpose != OneTimeLink.Purpose.IDENTITY or request.is_identified or request.state != State.RECEIVED:
            if not stands(request, on, now=now):
                OneTimeLink.objects.filter(pk=link.pk).update(used_at=None)
            return request, ""
        if request.subject_id is None:  # the address stands nowhere, and its reader asks: there is nothing else to say
            if nothing.is_said_by_itself(request):
                nothing.answer(request, actor=waits.ANYBODY, now=now)
            else:
                ask_who(request, now=now)
            return request, ""
        is_moved = not identity.counts_still(link, on.key, now=now)
        actor = acting_as(request, purpose="one-time link")
        identify_into(request, Request.Identity.LINK, actor=actor, now=now, is_moved=is_moved)
        return request, str(request.outcome_code)  # type: ignore[attr-defined]


def stands(request: Request, on: identity.Stands, *, now: datetime) -> bool:
    """Look again whether what a link or an outcome code proved still counts; where the address changed hands, ask a second
    person and tell those on file now, once for a link or code. Return whether the request may be shown: then, or after the
    second person let it go on. A code may be that of another request: that of a removal leads to a copy made before it.
    """
    with transaction.atomic():
        if on.code_of:
            found = Request.objects.select_for_update(of=("self",)).filter(pk=on.code_of).first()
            if found is None or found.identity_at is None:
                return False
            since, counts = found.identity_at, identity.code_counts_still(found, on.key, now=now)
        else:
            found = locked(request)
            link = OneTimeLink.objects.select_related("request").filter(pk=on.link, request=found).first()
            if link is None:
                return False
            since, counts = link.created_at, identity.counts_still(link, on.key, now=now)
        if counts:
            return True
        looks = SecondLook.objects.filter(request=found, why=SecondLook.Why.MOVED)
        if not found.is_about_records:  # there it was asked when the address was changed
            looks = looks.filter(asked_at__gte=since)
        if not looks.exists():
            waits.moved(found, actor=waits.ANYBODY, now=now)
        last = (
            looks.order_by("-asked_at", "-pk").values_list("outcome", flat=True).first()
        )  # an earlier yes is none to a later change
        return last == SecondLook.Outcome.GO_ON and not waits.is_undecided(found)
