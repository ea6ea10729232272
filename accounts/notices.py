"""Letters about a changed contact: a notice to every older address, and a link that confirms the new one (design 9).

What must never happen: a contact that changes hands and nobody is told; a link that works twice, by GET or for somebody
else's login; a link that whoever can write to the database made; a letter that tells the old address what the new one is;
an old mailbox whose reader takes a confirmed address from the person; a contact that one member of staff enters, tells of and
settles alone; a dispute about a login that one member of staff ends. A wrong dispute is undone by the privacy team.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import reach
from accounts.parties import Address, Customer
from accounts.points import ContactLink, ContactPoint
from accounts.users import Joined, Joining, User
from privacy import audit, letters, people, vault
from privacy.gate import MANAGER, Actor, fingerprint
from privacy.letters.models import Letter
from privacy.requests import waits

CONFIRM_LIVES = timedelta(days=7)
NOT_ME_LIVES = timedelta(days=60)
AGAIN_AFTER = timedelta(minutes=10)
ENTERED = ("customer.created", "record.corrected", "address.added")
DISPUTED, SETTLED = "contact.disputed", "contact.settled"
PROPOSAL_LIVES = timedelta(days=7)
NO_PROPOSAL: dict[str, Any] = {
    "end_proposed_at": None,
    "end_proposed_by": "",
    "gives_back": False,
    "back_link": None,
    "mac": "",
}
SECOND_ENDS = (
    "A second person ends this dispute: of the privacy team, a manager or an operator, within 7 days of the proposal, who "
    "neither proposed it nor had a contact of the person in hand."
)
CONTACTS = frozenset({"email", "phone"})
POSTED, LOGIN_CODE, BACK_PROPOSED = "contact_posted", "login_code", "login_back_proposed"
Came, Channel, Purpose = ContactPoint.Came, ContactPoint.Channel, ContactLink.Purpose
WORDS = {
    Channel.EMAIL: _("e-mail address"),
    Channel.PHONE: _("phone number"),
    Channel.POST: _("postal address"),
    Channel.LOGIN: _("e-mail address with which you sign in"),
}


class LinkRefused(Exception):
    """The link is unknown, used, expired, somebody else's, or about an address that is not on file any more."""


class TooSoon(Exception):
    """A link was sent a moment ago: a second one would only help to flood a mailbox."""


class NothingToConfirm(Exception):
    """There is no address of the person's own entry that waits for its confirmation."""


class LoginDisputed(Exception):
    """Somebody objects to the address of this login: until that is decided the address stays as it is."""


class NotProposed(Exception):
    """The end of a dispute about a login takes two people; the text is one sentence for who tries alone."""


class OwnEntry(Exception):
    """Who entered a contact neither posts the notice about it nor settles it; the text is one sentence for who tries."""


def changed(
    point: ContactPoint,
    *,
    older: Sequence[str],
    new: str,
    now: datetime,
    older_counted: bool = False,
    by_person: bool | None = None,
    heard: Collection[str] = (),
) -> None:
    """Tell every older address of the person that this contact was changed or taken out, and ask a new e-mail address for its
    confirmation where the person entered it. In the transaction of the change; `older` are the values it replaced.

    Addresses that were told of an earlier change, by links that still work, are told of this one, too. Where none of those
    told counts (`older_counted` says it of `older`), a notice goes by post; where that is not possible either it is written
    down that nobody could be told. `heard` have objected to this before, and it was settled: they are told without a link.
    """
    subject = point.customer.subject_id
    if subject is None:
        return
    is_own = by_person if by_person is not None else point.came in (Came.PERSON, Came.LOGIN)
    but = new if point.channel == Channel.EMAIL else ""
    with vault.internal():
        others = reach.others(subject, but=but, now=now)
        sure = {reach.same(one) for one in reach.counting(subject, now=now)}
        before, before_sure = _told_before(point.customer, now)
    sure |= {reach.same(one) for one in before_sure} | ({reach.same(one) for one in older} if older_counted else set())
    told = {reach.same(but)}
    for address in (*older, *others, *before):
        if address and reach.same(address) not in told:
            told.add(reach.same(address))
            gives_link = reach.same(address) not in heard
            _send(
                point,
                Purpose.NOT_ME,
                to=address,
                lives=NOT_ME_LIVES,
                now=now,
                by_person=is_own,
                gives_link=gives_link,
            )
    by_waiting = point.came in (Came.STAFF, Came.CLEARED) and not is_own
    if by_waiting and not (told - {reach.same(but)}) & sure:
        _post(point, now=now)
    if point.channel == Channel.EMAIL and point.came == Came.PERSON and new:
        _send(point, Purpose.CONFIRM, to=new, lives=CONFIRM_LIVES, now=now)


def removed(subject: UUID | None, record: UUID, what: str, *, by_person: bool, now: datetime) -> None:
    """Tell every e-mail address of the person that something of theirs was removed, in words only. In the transaction of
    the removal."""
    if subject is None:
        return
    with vault.internal():
        addresses = reach.others(subject, but="", now=now)
    for number, address in enumerate(addresses):
        letters.queue(
            "contact_removed",
            to=address,
            context={"what": what, "removed_on": timezone.localdate(now), "by_person": by_person},
            key=f"removed:{record}:{number}",
            subject=subject,
            now=now,
        )


def login_changed(
    user: User,
    customer: Customer | None,
    *,
    told: Sequence[str],
    left: Sequence[str],
    by_person: bool = True,
    now: datetime,
) -> None:
    """Tell these addresses (the earlier one of the login, and every contact) that the address of a login was changed, with the
    link by which their readers say "this was not me". In the transaction of the change; `left` are those that it leaves behind.
    Not `by_person`: our staff gave it back to the address that it had before (accounts/giving_back.py). Raises LoginDisputed.

    Of staff without a customer no objection can be written down here: they are told to call.
    """
    left_behind = {reach.same(one) for one in left}
    point = None
    if customer is not None:
        mine = ContactPoint.objects.filter(customer=customer, channel=Channel.LOGIN)
        if any(mine.select_for_update(of=("self",)).values_list("disputed_at", flat=True)):
            raise LoginDisputed
        anew = {"came": Came.PERSON, "since": now, "confirmed_at": now, "given_back_at": None, "taken_at": None}
        point, _ = ContactPoint.objects.update_or_create(customer=customer, channel=Channel.LOGIN, defaults=anew)
    for address in told:
        stays = Customer.objects.find("customer.email", address).filter(subject_id=user.subject_id).exists()
        about = {"is_left": reach.same(address) in left_behind, "stays": stays}
        if point is not None:
            _send(point, Purpose.NOT_ME, to=address, lives=NOT_ME_LIVES, now=now, by_person=by_person, **about)
            continue
        letters.queue(
            "contact_not_me",
            to=address,
            context={"changed_on": timezone.localdate(now), "is_login": True, "by_person": True, **about},
            key=f"login-changed:{uuid4()}",
            subject=user.subject_id,
            now=now,
        )


def require_undisputed(user: User) -> None:
    """Raise LoginDisputed while somebody objects to the address of this login; an objection that comes now waits for the caller's
    transaction. Else whoever has the login could change it until no mailbox is left that could have it back."""
    if user.subject_id is None:
        return
    points = ContactPoint.objects.filter(channel=Channel.LOGIN, customer__subject_id=user.subject_id)
    disputed = points.order_by("pk").select_for_update(of=("self",)).values_list("disputed_at", flat=True)
    if any(disputed):
        raise LoginDisputed


def send_again(user: User, *, actor: Actor, now: datetime) -> None:
    """Send the owner of this login a new link for the contact address that waits; earlier ones stop working.

    For the person too when staff entered the address: confirmed with the password, it counts at once. Raises
    NothingToConfirm, TooSoon, and reach.NotTheirs.
    """
    with transaction.atomic():
        Customer.objects.select_for_update(no_key=True).filter(user=user).first()
        customer = reach.customer_of(user)
        point = reach.point_of(customer, Channel.EMAIL) if customer else None
        with vault.internal():
            address = customer.email if customer else ""
        if point is None or not address or point.confirmed_at or point.disputed_at or point.came == Came.CREATED:
            raise NothingToConfirm
        sent = ContactLink.objects.filter(point=point, purpose=Purpose.CONFIRM)
        # One that went to the earlier address is none to this one.
        if sent.filter(at__gt=now - AGAIN_AFTER, at__gte=point.since).exists():
            raise TooSoon
        sent.filter(used_at=None).update(expires_at=now)
        _send(point, Purpose.CONFIRM, to=str(address), lives=CONFIRM_LIVES, now=now)
        audit.record("contact.asked", actor=actor, now=now, subject=point.customer.subject_id, record=record_of(point))


def asked(points: Iterable[ContactPoint]) -> set[int]:
    """Return which of these contacts were asked for their confirmation since they stand as they are; one query."""
    sent = ContactLink.objects.filter(point__in=[one.pk for one in points], purpose=Purpose.CONFIRM)
    return set(sent.filter(at__gte=F("point__since")).values_list("point", flat=True))


def disputed_logins() -> QuerySet[ContactPoint]:
    """Return the changes of a login's address to which somebody objects, the oldest objection first."""
    found = ContactPoint.objects.filter(channel=Channel.LOGIN, disputed_at__isnull=False)
    return found.select_related("customer").order_by("disputed_at", "pk")


def is_told(token: str) -> bool:
    """Whether "this was not me" was said by this link already: it works once, and what was said stands."""
    hashed = _hashed(token)
    said = ContactLink.objects.filter(token_hash=hashed, purpose=Purpose.NOT_ME, used_at__isnull=False)
    return said.exists() or Joined.objects.filter(token_hash=hashed, disputed_at__isnull=False).exists()


def look(token: str, purpose: str, *, now: datetime) -> ContactLink:
    """Return the live link of `token` without using it (what GET may do). Raises LinkRefused."""
    link = (
        ContactLink.objects.select_related("point__customer")
        .filter(token_hash=_hashed(token), purpose=purpose, used_at=None, expires_at__gt=now)
        .first()
    )
    if link is None or not link.is_bound:
        raise LinkRefused
    return link


def confirm(token: str, *, user: User, actor: Actor, now: datetime) -> None:
    """Confirm the new contact address (POST only): by its link, in a session of the login that entered it.

    So a mistyped address proves nothing for the stranger who has it. Raises LinkRefused.
    """
    with transaction.atomic():
        link = look(token, Purpose.CONFIRM, now=now)
        point = _locked(link)
        if point.customer.user_id != user.pk or not reach.is_one(user, point.customer):
            raise LinkRefused
        if point.disputed_at is not None or link.at < point.since:
            raise LinkRefused
        _use(link, now)
        ContactPoint.objects.filter(pk=point.pk).update(confirmed_at=now)
        audit.record("contact.confirmed", actor=actor, now=now, subject=_subject(point), record=record_of(point))


def dispute(token: str, *, now: datetime) -> ContactPoint:
    """Take a "this was not me" (POST only): the contact in force counts for nothing any more, and staff are told. Return it.

    One that was confirmed with password and link goes on counting: the reader of an old mailbox must not be able to take it
    from the person. Until the privacy team has settled it, what is asked by an e-mail link needs the second person (waits).
    Of a changed login address nothing stops counting: what is asked by that login needs the second person, too. Raises
    LinkRefused.
    """
    with transaction.atomic():
        link = look(token, Purpose.NOT_ME, now=now)
        point = _locked(link)
        _use(link, now)
        _dispute(point, actor=None, now=now)
    return point


def object_to(point: ContactPoint, *, actor: Actor, now: datetime) -> None:
    """Write down that the person told staff "this was not me": as by the link."""
    with transaction.atomic():
        _dispute(point, actor=actor, now=now)


def to_post(customer: Customer) -> Letter | None:
    """Return the letter to this customer's person that waits to be printed and posted, or None; those about a request stand there."""
    if customer.subject_id is None:
        return None
    waiting = Letter.objects.filter(by=Letter.By.POST, request=None, sent_at=None, stopped_at=None)
    return waiting.filter(subject_id=customer.subject_id).order_by("queued_at", "pk").first()


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter to a person. Raises OwnEntry for who entered or settled the contact that it
    tells of, letters.CannotSendAgain."""
    if (
        letter.kind in (POSTED, LOGIN_CODE)
        and letter.subject_id
        and name_of(actor) in _entered_by(letter.subject_id, SETTLED)
    ):
        raise OwnEntry("You entered or settled a contact of this person. Somebody else posts the notice and marks it.")
    letters.mark_posted(letter, actor=actor, now=now)


def had_contacts(subject: UUID) -> set[str]:
    """Return which members of staff ("kind/id") entered, changed or settled a contact of the person, posted a notice about one,
    or had a letter with a code for the person's login in hand; by the audit. Opens nothing."""
    told = Letter.objects.filter(subject_id=subject, kind=POSTED).values_list("pk", flat=True)
    ticked = audit.doers(["letter.posted"], [(Letter.vault_label, pk) for pk in told], kind="staff")
    coded = Letter.objects.filter(subject_id=subject, kind=LOGIN_CODE).values_list("pk", flat=True)
    hands = {f"{kind}/{who}" for kind, who in letters.in_hand(coded)}
    return _entered_by(subject, SETTLED) | {f"staff/{who}" for _, _, who in ticked} | hands


def shown(points: Iterable[ContactPoint]) -> str:
    """Return the fingerprint of what who ends a dispute about these contacts is shown: the contacts as they stand, a proposal to
    end it, and every objection, by its event in the audit."""
    points = list(points)
    facts: list[tuple[Any, ...]] = [
        (one.pk, one.came, one.since, one.confirmed_at, one.disputed_at, *_proposal(one)) for one in points
    ]
    return fingerprint.of([*facts, *(("objection", pk) for pk, _ in objections(points))])


def objections(points: Iterable[ContactPoint]) -> list[tuple[int, datetime]]:
    """Return every objection to a contact of the customers of these contacts, by the audit: its number there, and when."""
    found = {
        pk: at
        for customer in {one.customer_id for one in points}
        for pk, at in audit.history(record=(Customer.vault_label, customer))
        .filter(action=DISPUTED)
        .values_list("pk", "at")
    }
    return sorted(found.items())


def propose_end(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Propose to end the dispute about a login's address: it ends when a second person confirms within 7 days (`settle`).

    `seen` as for `settle`. Raises NotProposed for others than the privacy team and where nothing is disputed, OwnEntry for who
    entered a contact of the person, fingerprint.NotSeen.
    """
    if actor.kind != "staff" or "privacy" not in actor.roles:
        raise NotProposed("Only the privacy team proposes that.")
    not_own(point, actor)
    with transaction.atomic():
        disputed = ContactPoint.objects.filter(pk=point.pk, channel=Channel.LOGIN, disputed_at__isnull=False)
        was_seen(disputed, seen)
        found = disputed.select_related("customer").select_for_update(of=("self",)).first()
        if found is None:
            raise NotProposed("Nobody objects to this login address any more.")
        put_proposal(found, actor=actor, now=now)
        audit.record("contact.end_proposed", actor=actor, now=now, subject=_subject(point), record=record_of(point))


def put_proposal(point: ContactPoint, *, back: ContactLink | None = None, actor: Actor, now: datetime) -> None:
    """Write a proposal into the locked row about a login's address: to end the dispute, or (`back`) to give the login back to the
    mailbox of this objection. Bound by a keyed hash, over whose login it is too, so that who writes to the database proposes nothing
    and points to no other login."""
    point.end_proposed_at, point.end_proposed_by = now, name_of(actor)[:64]
    point.gives_back, point.back_link = back is not None, back.pk if back else None
    point.mac = vault.mac_of(*_proposes(point))
    point.save(update_fields=["end_proposed_at", "end_proposed_by", "gives_back", "back_link", "mac"])


def tell_owner(point: ContactPoint, address: str, *, now: datetime) -> None:
    """Tell the present address of a login that somebody has proposed to give the login to another mailbox, with the link to say
    "this was not me"; without it where it was used in this dispute: who decides knows of that."""
    _send(
        point,
        Purpose.NOT_ME,
        to=address,
        lives=PROPOSAL_LIVES,
        now=now,
        gives_link=not owner_objects(point),
        kind=BACK_PROPOSED,
    )


def owner_objects(point: ContactPoint) -> list[ContactLink]:
    """Return the objections, in this dispute, of an address that the login had when it was proposed to give it back."""
    links = ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, letter__kind=BACK_PROPOSED)
    used = links.filter(used_at__gte=point.disputed_at).order_by("used_at", "pk")
    return [link for link in used if link.is_bound]


def is_end_proposed(point: ContactPoint, *, now: datetime) -> bool:
    """Say whether a proposal to end the dispute waits for the second person; it lapses after 7 days."""
    if point.disputed_at is None or point.end_proposed_at is None:
        return False
    return now < point.end_proposed_at + PROPOSAL_LIVES and vault.mac_fits(point.mac, *_proposes(point))


def may_end(point: ContactPoint, actor: Actor, *, now: datetime) -> bool:
    """Say whether this actor is the second person for what was proposed: of the privacy team or a manager, who neither proposed
    it nor had a contact of the person in hand; or an operator, who proposes nothing."""
    if not is_end_proposed(point, now=now):
        return False
    if actor.kind == "operator":
        return True
    if actor.kind != "staff" or not actor.roles & {"privacy", MANAGER}:
        return False
    subject = _subject(point)
    is_own = subject is not None and name_of(actor) in had_contacts(subject)
    return point.end_proposed_by != name_of(actor)[:64] and not is_own


def settle_contacts(customer: Customer, *, seen: str, actor: Actor, now: datetime) -> int:
    """End the disputes about the contacts of a customer, but for the login's address, as `settle` does; return how many."""
    with transaction.atomic():
        disputed = disputed_contacts(customer)
        was_seen(disputed, seen)
        points = list(disputed)
        for point in points:
            settle(point, actor=actor, now=now)
    return len(points)


def disputed_contacts(customer: Customer) -> QuerySet[ContactPoint]:
    """Return the contacts of a customer to which somebody objects, but for the login's address, which takes two people."""
    found = ContactPoint.objects.filter(customer=customer, disputed_at__isnull=False).exclude(channel=Channel.LOGIN)
    return found.select_related("customer", "address").order_by("pk")


def settle(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Let the privacy team end a dispute: the contact in force is the person's. It counts from now as newly entered; one that
    was confirmed goes on counting, one that was taken out stays so. A mailbox that objected is told, and objects no more to this
    contact: it calls. Of a login's address only the second person ends it (`propose_end`). `seen` is the fingerprint of what was
    shown to who ends it (`shown`), None where the caller has held it against what is there. Raises OwnEntry for who entered a
    contact of the person, NotProposed, fingerprint.NotSeen."""
    not_own(point, actor)
    with transaction.atomic():
        ended = ContactPoint.objects.filter(pk=point.pk, disputed_at__isnull=False)
        was_seen(ended, seen)
        if point.channel == Channel.LOGIN:
            found = ended.select_related("customer").select_for_update(of=("self",)).first()
            if found is None or found.gives_back or not may_end(found, actor, now=now):
                raise NotProposed(SECOND_ENDS)
        stays = Q(confirmed_at__isnull=False) | Q(came=Came.CLEARED)
        stayed = ended.filter(stays).update(disputed_at=None, **NO_PROPOSAL)
        anew = ended.update(disputed_at=None, came=Came.STAFF, since=now)
        heard: dict[str, str] = {}
        if stayed or anew:
            audit.record(SETTLED, actor=actor, now=now, subject=_subject(point), record=record_of(point))
            heard = _hear(point, now)
        if stayed:
            for address in heard.values():
                letters.queue(
                    "contact_settled",
                    to=address,
                    context=_of(point),
                    key=f"contact-settled:{uuid4()}",
                    subject=_subject(point),
                    now=now,
                )
        if anew:
            point.refresh_from_db()
            with vault.internal():
                email = point.customer.email if point.channel == Channel.EMAIL and reach.own([point.customer]) else ""
            changed(point, older=(), new=str(email or ""), now=now, heard=heard)


def joined(
    into: UUID | None,
    others: Collection[UUID | None],
    *,
    whole: bool,
    by: Actor | None = None,
    proposed_by: str = "",
    joining: Joining | None = None,
    now: datetime,
) -> None:
    """Tell every e-mail address of login or contact of `into` and of the others, without content: that they are one for us now
    (`whole`), or that single records of the others are joined to `into`.

    In the transaction that does it, before it does: each letter is of the person whose address it is, and gives the link by
    which its reader says "this was not me". `proposed_by` is the member of staff whose idea it was, "" when the person did it;
    for what staff did with whole people, open requests need the second person (waits).
    """
    if into is None:
        return
    token = secrets.token_urlsafe(32)
    Joined.objects.create(
        subject_id=into, joining=joining, at=now, is_whole=whole, proposed_by=proposed_by, token_hash=_hashed(token)
    )
    told: set[str] = set()
    until = now + NOT_ME_LIVES
    for subject in (into, *sorted({one for one in others if one not in (None, into)}, key=str)):
        assert subject is not None  # noqa: S101
        with vault.internal():
            addresses = reach.others(subject, but="", now=now)
        for address in addresses:
            if reach.same(address) in told:
                continue
            told.add(reach.same(address))
            letters.queue(
                "joined" if whole else "records_joined",
                to=address,
                context={
                    "joined_on": timezone.localdate(now),
                    "expires_on": timezone.localdate(until),
                    "by_person": not proposed_by,
                    "is_taken": subject != into,
                },
                key=f"joined:{uuid4()}",
                subject=subject,
                now=now,
                credentials={"link": f"{settings.PORTAL_URL}/account/contact/not-me/{token}/"},
                until=until,
            )
    if whole and proposed_by:
        waits.people_joined(into, actor=by or waits.ANYBODY, now=now)


def joined_by(subject: UUID, now: datetime) -> list[str]:
    """Return whose idea the joinings of this person were that have still to prove themselves; "" stands for the person.

    Those of whole people by staff, for 14 days, and each that somebody objects to. A request by login or by link then needs the
    second person: it would open what may be somebody else's.
    """
    rows = Joined.objects.filter(subject_id=subject)
    lately = Q(at__gt=now - reach.WAIT, is_whole=True) & ~Q(proposed_by="")
    return sorted(rows.filter(lately | Q(disputed_at__isnull=False)).values_list("proposed_by", flat=True))


def look_at_joined(token: str, *, now: datetime) -> Joined:
    """Return the joining whose link this is, without using it (what GET may do). Raises LinkRefused."""
    found = Joined.objects.filter(token_hash=_hashed(token), disputed_at=None, at__gt=now - NOT_ME_LIVES).first()
    if found is None:
        raise LinkRefused
    return found


def dispute_joined(token: str, *, now: datetime) -> None:
    """Take a "this was not me" about a joining (POST only): requests by login or link need the second person until the privacy
    team has undone or settled it. It undoes nothing by itself. Raises LinkRefused."""
    with transaction.atomic():
        found = look_at_joined(token, now=now)
        if not Joined.objects.filter(pk=found.pk, disputed_at=None).update(disputed_at=now):
            raise LinkRefused
        audit.record("joining.disputed", actor=None, now=now, subject=found.subject_id)
        waits.people_joined(found.subject_id, actor=waits.ANYBODY, now=now, is_objected=True)


def shown_joined(subject: UUID) -> str:
    """Return the fingerprint of what who ends the objections to joinings of this person is shown: each of them."""
    return fingerprint.of(disputed_joinings(subject).values_list("pk", "disputed_at"))


def settle_joined(subject: UUID, *, seen: str | None = None, actor: Actor, now: datetime) -> int:
    """Let the privacy team end the objections to joinings of this person: what was joined is theirs. Return how many.

    Not those of joinings that this member of staff had proposed. The link of what is settled works no more: who still objects
    calls. Each leaves a line of its own in the audit. `seen` is the fingerprint of what was shown (`shown_joined`), None where
    no page was. Raises fingerprint.NotSeen.
    """
    mine = f"{actor.kind}/{actor.id or ''}"[:64]
    with transaction.atomic():
        # All joinings of the person, not only the disputed ones: an objection that comes now waits, and is not ended unseen.
        list(Joined.objects.filter(subject_id=subject).order_by("pk").select_for_update().values_list("pk", flat=True))
        if seen is not None:
            fingerprint.require(seen, shown_joined(subject))
        ended = 0
        for one in disputed_joinings(subject).exclude(proposed_by=mine).order_by("pk"):
            one.disputed_at, one.token_hash = None, _hashed(secrets.token_urlsafe(32))
            one.save(update_fields=["disputed_at", "token_hash"])
            audit.record("joining.settled", actor=actor, now=now, subject=subject)
            ended += 1
    return ended


def disputed_joinings(subject: UUID | None = None) -> QuerySet[Joined]:
    """Return the joinings to which somebody objects: of one person, or of everybody."""
    found = Joined.objects.filter(disputed_at__isnull=False)
    return found if subject is None else found.filter(subject_id=subject)


# parts ---------------------------------------------------------------------------------------------------------------


def _dispute(point: ContactPoint, *, actor: Actor | None, now: datetime) -> None:
    """Write one objection down. Each leaves its line, also while another one is open: who decides then has to see it."""
    # Who proposed the end did not know of this objection.
    ContactPoint.objects.filter(pk=point.pk).update(**NO_PROPOSAL)
    ContactPoint.objects.filter(pk=point.pk, disputed_at=None).update(disputed_at=now)
    audit.record(DISPUTED, actor=actor, now=now, subject=_subject(point), record=record_of(point))
    if (subject := _subject(point)) is not None:
        waits.contact_disputed(subject, actor=actor or waits.ANYBODY, now=now)


def was_seen(points: QuerySet[ContactPoint], seen: str | None) -> None:
    """Lock these contacts, so that an objection to them waits, and hold what was seen against what is there. Raises
    fingerprint.NotSeen; None, where no page was shown, is held against nothing."""
    if seen is not None:
        fingerprint.require(seen, shown(points.order_by("pk").select_for_update(of=("self",))))


def _proposal(point: ContactPoint) -> tuple[Any, ...]:
    return point.end_proposed_at, point.end_proposed_by, point.gives_back, point.back_link


def _proposes(point: ContactPoint) -> tuple[Any, ...]:
    whose = point.customer_id, point.customer.user_id, point.customer.subject_id
    about = point.pk, *whose, point.channel, point.since, point.disputed_at
    # With which mailbox: by the number of the letter whose link objected, which opens as that letter only.
    backs = (
        ContactLink.objects.filter(pk=point.back_link) if point.back_link is not None else ContactLink.objects.none()
    )
    back = backs.values_list("token_hash", "letter").first()
    return "login-dispute", *about, *_proposal(point), back


def _entered_by(subject: UUID, *also: str) -> set[str]:
    """Return which members of staff entered or changed a contact of the person, or did what else is named ("kind/id")."""
    customers = Customer.objects.for_subject(subject).values_list("pk", flat=True)
    places = Address.objects.for_subject(subject).values_list("pk", flat=True)
    own = [(Customer.vault_label, pk) for pk in customers]
    found = audit.doers([*ENTERED, *also], own, kind="staff")
    by = {who for action, fields, who in found if action in also or CONTACTS & set(fields)}
    by |= {who for _, _, who in audit.doers(ENTERED, [(Address.vault_label, pk) for pk in places], kind="staff")}
    return {f"staff/{who}" for who in by}


def not_own(point: ContactPoint, actor: Actor) -> None:
    """Raise OwnEntry for who entered or changed a contact of the person."""
    if (subject := _subject(point)) is not None and name_of(actor) in _entered_by(subject):
        raise OwnEntry("You entered or changed a contact of this person. Somebody else ends the dispute.")


def name_of(actor: Actor) -> str:
    """Return how an actor is named where a part in something is written down."""
    return f"{actor.kind}/{actor.id or ''}"


def _hear(point: ContactPoint, now: datetime) -> dict[str, str]:
    """Return which mailboxes have objected to this contact by a link (as compared, and as written), and end what other links
    about it they have."""
    links = ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, token_hash__isnull=False)
    to: dict[int, str] = {}
    written: dict[str, str] = {}
    with vault.internal():
        for link in links.select_related("letter"):
            if address := link.went_to:
                to[link.pk] = reach.same(address)
                written[to[link.pk]] = address
    heard = {to[pk] for pk in links.filter(used_at__isnull=False).values_list("pk", flat=True) if pk in to}
    for link in links.filter(pk__in=[pk for pk, address in to.items() if address in heard], used_at=None):
        link.expires_at = min(link.expires_at, now)
        link.bind().save(update_fields=["expires_at", "mac"])
    return {one: written[one] for one in sorted(heard)}


def _told_before(customer: Customer, now: datetime) -> tuple[list[str], list[str]]:
    """Return whom a notice that still works went to about any contact of this customer, and those of them who count: told
    when somebody could be told. Opened under the caller's actor."""
    links = ContactLink.objects.filter(point__customer=customer, purpose=Purpose.NOT_ME, expires_at__gt=now)
    rows = list(links.select_related("letter").order_by("pk"))
    nobody = {(one.point_id, one.at) for one in rows if one.letter is None}
    found, sure = [], []
    for one in rows:
        if to := one.went_to:
            found.append(to)
            if (one.point_id, one.at) not in nobody:
                sure.append(to)
    return found, sure


def _send(
    point: ContactPoint,
    purpose: str,
    *,
    to: str,
    lives: timedelta,
    now: datetime,
    by_person: bool = True,
    gives_link: bool = True,
    kind: str = "",
    **about: bool,
) -> None:
    token = secrets.token_urlsafe(32)
    link = ContactLink(
        point=point, purpose=purpose, at=now, expires_at=now + lives, was_login=about.get("is_left", False)
    )
    if gives_link:
        link.token_hash = _hashed(token)
    link.save(force_insert=True)
    page = "confirm" if purpose == Purpose.CONFIRM else "not-me"
    link.letter = letters.queue(
        kind or f"contact_{purpose}",
        to=to,
        context={
            "expires_on": timezone.localdate(link.expires_at),
            "changed_on": timezone.localdate(point.since),
            **_of(point),
            "by_person": by_person,
            "by_staff": point.came == Came.STAFF,
            "counts_from": reach.counts_from(point, now=now),
            "is_heard": not gives_link,
            **about,
        },
        key=f"contact:{link.pk}",
        subject=point.customer.subject_id,
        now=now,
        credentials={"link": f"{settings.PORTAL_URL}/account/contact/{page}/{token}/"} if gives_link else None,
        until=link.expires_at if gives_link else None,
    )
    link.bind().save(update_fields=["letter", "mac"])


def _post(point: ContactPoint, *, now: datetime) -> None:
    """Leave a notice to be printed and posted where a postal address counts; else write down that nobody could be told."""
    link = ContactLink(point=point, purpose=Purpose.NOT_ME, at=now, expires_at=now + NOT_ME_LIVES)
    link.bind().save(force_insert=True)
    customer = point.customer
    with vault.internal():
        lines = people.ask().postal(customer.subject_id, now) if customer.subject_id else []
    if not lines:
        return
    link.letter = letters.queue(
        POSTED,
        to="",
        context={
            "postal": lines,
            "number": customer.reference,
            "changed_on": timezone.localdate(point.since),
            **_of(point),
        },
        key=f"contact:{link.pk}",
        subject=customer.subject_id,
        now=now,
    )
    link.bind().save(update_fields=["letter", "mac"])


def _locked(link: ContactLink) -> ContactPoint:
    return ContactPoint.objects.select_for_update(of=("self",)).select_related("customer").get(pk=link.point_id)


def _use(link: ContactLink, now: datetime) -> None:
    if not ContactLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now):
        raise LinkRefused


def _of(point: ContactPoint) -> dict[str, Any]:
    """Return what a letter says of which contact it is about."""
    return {"is_login": point.channel == Channel.LOGIN, "contact": str(WORDS[Channel(point.channel)])}


def _subject(point: ContactPoint) -> UUID | None:
    return point.customer.subject_id


def record_of(point: ContactPoint) -> tuple[str, UUID]:
    """Return the record under which the audit tells of a contact."""
    return Customer.vault_label, point.customer_id


def bind_all() -> int:
    """Bind the links of the version before to their contacts; return how many. As privacy.requests.identity.bind_all."""
    done = 0
    for link in ContactLink.objects.filter(mac="", token_hash__isnull=False).order_by("pk").iterator(500):
        done += ContactLink.objects.filter(pk=link.pk, mac="").update(mac=link.bind().mac)
    return done


def bind_letters() -> int:
    """Bind the links of the version before to their letters; return how many. As privacy.requests.identity.bind_all."""
    done = 0
    for link in ContactLink.objects.order_by("pk").iterator(500):
        if link.bind_letter():
            done += ContactLink.objects.filter(pk=link.pk).update(mac=link.mac)
    return done


def _hashed(token: str) -> str:
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
