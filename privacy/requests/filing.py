"""A request comes in: receipt, clock, acknowledgement (Art. 12(2), 12(3)).

What must never happen: a receipt that is lost, a question that two rows answer, an answer to a stranger that tells
whether an address is known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from privacy import audit, people, subjects, vault
from privacy.actor import STAFF_ROLES, Actor, require_another
from privacy.calendar import company_day
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
    procedures,
    proving,
    waits,
)
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.procedure import Door
from privacy.requests.proof import BadRequest, no_card_number
from privacy.requests.sight import NotYours
from privacy.requests.states import OPEN_STATES, Channel
from privacy.typed import mailbox

# What the program itself has seen, nobody states.
WITNESSED_HERE = frozenset({Request.Identity.LOGIN, Request.Identity.LINK, Request.Identity.POST})
OLDEST_RECEIPT = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What reached us, and what was said with it. Without a subject it is matched by the address, or with nobody."""

    kind: str
    channel: str
    received_on: date
    subject: UUID | None = None
    asked_by: str = Request.AskedBy.SELF
    identity: str = Request.Identity.PENDING
    email: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    note: str = field(default="", repr=False)
    postal: str = field(default="", repr=False)

    def trimmed(self) -> Receipt:
        """Return it as it is kept: the postal address only where nothing else says where the answer goes."""
        email = self.email.strip()
        is_matched = self.subject is not None or bool(email)
        return replace(self, email=email, postal="" if is_matched else self.postal.strip())


class Filed(NamedTuple):
    """A request, and the outcome code to show once: "" where identity is not proved, or the code was shown before."""

    request: Request
    code: str

    def __repr__(self) -> str:
        return f"Filed({self.request!r})"


def file(receipt: Receipt, *, actor: Actor, now: datetime) -> Filed:
    """File a request, or add this receipt to the one of the same kind that is still open (Art. 12, 15, 17).

    One transaction writes request, event, audit event and letter, and says when to look at it next; the broker is only
    told afterwards and may be down. Raises BadRequest, NotYours when a customer files for somebody else, and
    AboutYourself when staff file for themselves at the desk.
    """
    _check(receipt, actor, now)
    receipt = receipt.trimmed()
    try:
        with transaction.atomic():
            return _file(receipt, actor, now)
    except IntegrityError:
        # The same person filed the same twice in one moment, the other receipt was first; or the reference is taken.
        with transaction.atomic():
            return _file(receipt, actor, now)


def _check(receipt: Receipt, actor: Actor, now: datetime) -> None:
    how, subject = receipt.identity, receipt.subject
    for value, allowed, what in (
        (receipt.kind, [one.kind for one in procedures.rights(_door(actor))], "kind of request"),
        (receipt.channel, Channel.values, "channel"),
        (receipt.asked_by, Request.AskedBy.values, "way of being asked"),
        (how, Request.Identity.values, "way of proving who it is"),
    ):
        if value not in allowed:
            raise BadRequest(f"There is no such {what}; it is one of {', '.join(allowed)}.")
    today = company_day(now)
    if receipt.received_on > today:
        raise BadRequest("The day of receipt cannot be in the future.")
    if receipt.received_on < today - OLDEST_RECEIPT:
        raise BadRequest("The day of receipt is more than three years ago.")
    no_card_number(receipt.name, receipt.note, receipt.postal)
    if receipt.email:
        try:
            mailbox.validate(receipt.email.strip())
        except ValidationError:
            raise BadRequest("That is not an e-mail address.") from None
    if subject is None and not receipt.email and not (receipt.name.strip() and receipt.postal.strip()):
        raise BadRequest("Say who is asking: a customer, an e-mail address, or a name and a postal address.")
    if how != Request.Identity.PENDING and subject is None:
        raise BadRequest("Nobody on file is identified by this; leave the identity pending.")
    if actor.kind == "staff":
        require_another(actor, about={subject, *people.ask().carriers(receipt.email)})
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


def _file(receipt: Receipt, actor: Actor, now: datetime) -> Filed:
    request = _open_one(receipt)
    merged, code = request is not None, ""
    if request is not None and request.subject_id is None:
        _take_name(request, receipt.name, now=now)
    if request is None:
        request = _new(receipt, now)
    # Nobody else sees a new row, or writes into one that is locked: looked at and signed once for all of it.
    with bound.kept(request):
        if not merged:
            request.save(force_insert=True)
        history.event(
            request,
            clock.Kind.RECEIVED,
            actor=actor,
            now=now,
            on=receipt.received_on,
            detail={"channel": receipt.channel, "asked_by": receipt.asked_by, "merged": merged},
        )
        history.recompute(request)
        audit.record(
            "request.merged" if merged else "request.filed",
            actor=actor,
            now=now,
            subject=receipt.subject,
            record=(Request.vault_label, request.pk),
            reference=request.reference,
            reason=f"{receipt.kind} by {receipt.channel}",
        )
        if merged:
            asking.wait_anew(request, now=now)
        if receipt.identity != Request.Identity.PENDING and not request.is_identified:
            code = proving.identify_into(request, receipt.identity, actor=actor, now=now, merged=merged)
        elif request.is_identified:
            waits.received_again(request, receipt.received_on, actor=actor, now=now)
            asking.acknowledge(request, receipt.received_on, actor=actor, now=now, merged=merged)
            asking.send_result_again(request, actor=actor, now=now)
        else:
            if not merged:
                history.schedule(request, procedures.IDENTITY.name, at=asking.time_to_act(request, now))
            is_asked = asking.ask_who(request, now=now)
            if is_asked and not request.events.filter(kind=clock.Kind.IDENTITY_ASKED).exists():
                history.event(request, clock.Kind.IDENTITY_ASKED, actor=actor, now=now)
            broker.nudge_letters()
    return Filed(request, code)


def _take_name(request: Request, name: str, *, now: datetime) -> None:
    """Write the name that came with a later receipt into a request that had none: from then on a person looks
    (nothing.py)."""
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


def _open_one(receipt: Receipt) -> Request | None:
    """Return the open request of the same kind: of the subject, or of the same unmatched address, locked.

    Who gives an unmatched address and another name than the first is another person until a person has looked.

    What is asked about a whole file is never one with a request about records, whoever's that says it is: they are
    proved by different things, and open different ones.
    """
    kind, subject, email, name = receipt.kind, receipt.subject, receipt.email, receipt.name
    if subject is not None:
        return doubt.open_one(subject, kind)
    if not email:
        return None  # a name and a postal address tell nobody apart
    _one_at_a_time(kind, email)
    same = Request.objects.find("request.email", email).values_list("pk", flat=True)
    of_address = list(
        Request.objects.filter(Q(subject=None) | Q(scope=Request.Scope.RECORDS), pk__in=list(same))
        .filter(kind=kind, state__in=OPEN_STATES)
        .select_for_update(of=("self",))
        .order_by("filed_at")
    )
    doubted = doubt.among(one.pk for one in of_address)
    ours = (one for one in of_address if one.pk not in doubted)
    return next((one for one in ours if one.is_about_records or not _is_named_otherwise(one, name)), None)


def _one_at_a_time(kind: str, email: str) -> None:
    """Let others who ask the same for the same address wait until this transaction ends.

    No constraint can see that two requests without a subject are the same: the address is sealed.
    """
    (blind,) = Request._meta.get_field("requester_email").blind
    token = next(blind.entries(email))
    number = hashlib.blake2b(token.value + kind.encode(), digest_size=8).digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(number, "big", signed=True)])


def _new(receipt: Receipt, now: datetime) -> Request:
    kind, subject, email, name = receipt.kind, receipt.subject, receipt.email, receipt.name
    scope, country, region = Request.Scope.WHOLE, "", ""
    records: people.Records = []
    if subject is not None:
        country, region = assessment.place_of(subject)
        email, name = proving.on_file(subject, email, name, now)
    else:
        records, spelled = addresses.carrying(email, now=now)
        if records:
            scope, (country, region) = Request.Scope.RECORDS, assessment.place_of_records(records)
            email, subject = spelled, _subject_for(email, now)
    dates = clock.dates(
        [clock.Event(clock.Kind.RECEIVED, receipt.received_on)], history.place(procedures.get(kind), country, region)
    )
    return Request(
        # One of 33 million in a year: of two alike the database refuses the second, and `file` draws anew.
        reference=codes.new_reference(company_day(now).year),
        kind=kind,
        channel=receipt.channel,
        asked_by=receipt.asked_by,
        scope=scope,
        subject_id=subject,
        owner_id=subject,
        country=country,
        region=region,
        filed_at=now,
        received_on=receipt.received_on,
        due_on=dates.due_on,
        legal_due_on=dates.legal_due_on,
        requester_email=email,
        requester_name=name,
        note=receipt.note,
        requester_postal=receipt.postal,
        covered_records=[[label, str(number)] for label, number in records],
    )


def _subject_for(email: str, now: datetime) -> UUID:
    """Return a subject for a request about records: that of another open one from this address, else a new one.

    It is nobody's whose records these are: whoever proves the address gets at this request, and at no person's file. Of
    an earlier one the site must have written whose it is, and nobody with a login.
    """
    same = Request.objects.find("request.email", email).values_list("pk", flat=True)
    earlier = Request.objects.filter(scope=Request.Scope.RECORDS, state__in=OPEN_STATES, pk__in=list(same))
    for one in earlier.filter(owner_id__isnull=False).order_by("filed_at"):
        if one.owner_id is not None and doubt.is_clear(one) and not people.ask().has_login(one.owner_id):
            return one.owner_id
    return subjects.create(now=now).pk


def ask(*, kind: str, email: str, note: str = "", actor: Actor, now: datetime) -> None:
    """File a request without a login. Returns nothing, whoever asks: nobody learns whether an address is on file (R11).

    Raises BadRequest for something that is no address.
    """
    # A login and a customer of one address that were not joined yet are two files of one person: a request for each.
    for subject in addresses.standing_of(email, now=now).subjects or (None,):
        receipt = Receipt(
            kind=kind, subject=subject, channel=Channel.WEB, received_on=company_day(now), email=email, note=note
        )
        file(receipt, actor=actor, now=now)
