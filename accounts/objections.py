"""Objections to a contact ("this was not me"), and how the privacy team ends them (design 9).

What must never happen: a dispute about a login that one member of staff ends; an objection that is ended unseen; a
proposal that whoever can write to the database made. A wrong dispute is undone by the privacy team.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import contact_links, in_hand, notices, reach
from accounts.customers import Customer
from accounts.in_hand import DISPUTED, SETTLED
from accounts.points import ContactLink, ContactPoint
from privacy import audit, letters, vault
from privacy.actor import is_own, require_another
from privacy.gate import MANAGER, Actor, fingerprint
from privacy.requests import waits

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
BACK_PROPOSED = "login_back_proposed"


class NotProposed(Exception):
    """The end of a dispute about a login takes two people; the text is one sentence for who tries alone."""


def disputed_logins() -> QuerySet[ContactPoint]:
    """Return the changes of a login's address to which somebody objects, the oldest objection first."""
    found = ContactPoint.objects.filter(channel=ContactPoint.Channel.LOGIN, disputed_at__isnull=False)
    return found.select_related("customer").order_by("disputed_at", "pk")


def dispute(token: str, *, now: datetime) -> ContactPoint:
    """Take a "this was not me" (POST only): the contact in force counts for nothing any more, and staff are told.
    Return it.

    One that was confirmed with password and link goes on counting: the reader of an old mailbox must not be able to
    take it from the person. Until the privacy team has settled it, what is asked by an e-mail link needs the second
    person (waits). Of a changed login address nothing stops counting: what is asked by that login needs the second
    person, too. Raises LinkRefused.
    """
    with transaction.atomic():
        link = contact_links.look(token, ContactLink.Purpose.NOT_ME, now=now)
        point = contact_links.locked(link)
        contact_links.use(link, now)
        _dispute(point, actor=None, now=now)
    return point


def object_to(point: ContactPoint, *, actor: Actor, now: datetime) -> None:
    """Write down that the person told staff "this was not me": as by the link. Raises AboutYourself for the person, who
    has the link."""
    require_another(actor, **in_hand.whose(point))
    with transaction.atomic():
        _dispute(point, actor=actor, now=now)


def shown(points: Iterable[ContactPoint]) -> str:
    """Return the fingerprint of what who ends a dispute about these contacts is shown: the contacts as they stand, a
    proposal to end it, and every objection, by its event in the audit."""
    points = list(points)
    facts: list[tuple[Any, ...]] = [
        (one.pk, one.came, one.since, one.confirmed_at, one.disputed_at, *_proposal(one)) for one in points
    ]
    return fingerprint.of([*facts, *(("objection", pk) for pk, _ in objections(points))])


def objections(points: Iterable[ContactPoint]) -> list[tuple[int, datetime]]:
    """Return every objection to a contact of the customers of these contacts, by the audit: its number there, and
    when."""
    found = {
        one.pk: one.at
        for customer in {one.customer_id for one in points}
        for one in audit.ours(audit.history(record=(Customer.vault_label, customer)).filter(action=DISPUTED))
    }
    return sorted(found.items())


def propose_end(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Propose to end the dispute about a login's address: it ends when a second person confirms within 7 days
    (`settle`).

    `seen` as for `settle`. Raises NotProposed for others than the privacy team and where nothing is disputed, OwnEntry
    for who entered a contact of the person, fingerprint.NotSeen.
    """
    if actor.kind != "staff" or "privacy" not in actor.roles:
        raise NotProposed("Only the privacy team proposes that.")
    in_hand.not_own(point, actor)
    with transaction.atomic():
        disputed = ContactPoint.objects.filter(
            pk=point.pk, channel=ContactPoint.Channel.LOGIN, disputed_at__isnull=False
        )
        was_seen(disputed, seen)
        found = disputed.select_related("customer").select_for_update(of=("self",)).first()
        if found is None:
            raise NotProposed("Nobody objects to this login address any more.")
        put_proposal(found, actor=actor, now=now)
        audit.record(
            "contact.end_proposed",
            actor=actor,
            now=now,
            subject=point.customer.subject_id,
            record=contact_links.record_of(point),
        )


def put_proposal(point: ContactPoint, *, back: ContactLink | None = None, actor: Actor, now: datetime) -> None:
    """Write a proposal into the locked row about a login's address: to end the dispute, or (`back`) to give the login
    back to the mailbox of this objection. Bound by a keyed hash, over whose login it is too, so that who writes to the
    database proposes nothing and points to no other login."""
    point.end_proposed_at, point.end_proposed_by = now, in_hand.name_of(actor)[:64]
    point.gives_back, point.back_link = back is not None, back.pk if back else None
    point.mac = vault.mac_of(*_proposes(point))
    point.save(update_fields=["end_proposed_at", "end_proposed_by", "gives_back", "back_link", "mac"])


def tell_owner(point: ContactPoint, address: str, *, now: datetime) -> None:
    """Tell the present address of a login that somebody has proposed to give the login to another mailbox, with the
    link to say "this was not me"; without it where it was used in this dispute: who decides knows of that."""
    notices.send(
        point,
        ContactLink.Purpose.NOT_ME,
        to=address,
        lives=in_hand.PROPOSAL_LIVES,
        now=now,
        gives_link=not owner_objects(point),
        kind=BACK_PROPOSED,
    )


def owner_objects(point: ContactPoint) -> list[ContactLink]:
    """Return the objections, in this dispute, of an address that the login had when it was proposed to give it back."""
    links = ContactLink.objects.filter(point=point, purpose=ContactLink.Purpose.NOT_ME, letter__kind=BACK_PROPOSED)
    used = links.filter(used_at__gte=point.disputed_at).order_by("used_at", "pk")
    return [link for link in used if link.is_bound]


def is_end_proposed(point: ContactPoint, *, now: datetime) -> bool:
    """Say whether a proposal to end the dispute waits for the second person; it lapses after 7 days."""
    if point.disputed_at is None or point.end_proposed_at is None:
        return False
    return now < point.end_proposed_at + in_hand.PROPOSAL_LIVES and vault.mac_fits(point.mac, *_proposes(point))


def may_end(point: ContactPoint, actor: Actor, *, now: datetime) -> bool:
    """Say whether this actor is the second person for what was proposed: of the privacy team or a manager, who is
    not that person, and neither proposed it nor had a contact of theirs in hand; or an operator, who proposes
    nothing."""
    if not is_end_proposed(point, now=now):
        return False
    if actor.kind == "operator":
        return True
    if actor.kind != "staff" or not actor.roles & {"privacy", MANAGER} or is_own(actor, **in_hand.whose(point)):
        return False
    subject = point.customer.subject_id
    had_part = subject is not None and in_hand.name_of(actor) in in_hand.had_contacts(subject)
    return point.end_proposed_by != in_hand.name_of(actor)[:64] and not had_part


def settle_contacts(customer: Customer, *, seen: str, actor: Actor, now: datetime) -> int:
    """End the disputes about the contacts of a customer, but for the login's address, as `settle` does; return how
    many."""
    with transaction.atomic():
        disputed = disputed_contacts(customer)
        was_seen(disputed, seen)
        points = list(disputed)
        for point in points:
            settle(point, actor=actor, now=now)
    return len(points)


def disputed_contacts(customer: Customer) -> QuerySet[ContactPoint]:
    """Return the contacts of a customer to which somebody objects, but for the login's address, which takes two
    people."""
    found = ContactPoint.objects.filter(customer=customer, disputed_at__isnull=False).exclude(
        channel=ContactPoint.Channel.LOGIN
    )
    return found.select_related("customer", "address").order_by("pk")


def settle(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Let the privacy team end a dispute: the contact in force is the person's. It counts from now as newly entered;
    one that was confirmed goes on counting, one that was taken out stays so. A mailbox that objected is told, and
    objects no more to this contact: it calls. Of a login's address only the second person ends it (`propose_end`).
    `seen` is the fingerprint of what was shown to who ends it (`shown`), None where the caller has held it against what
    is there. Raises OwnEntry for who entered a contact of the person, AboutYourself, NotProposed,
    fingerprint.NotSeen."""
    in_hand.not_own(point, actor)
    with transaction.atomic():
        ended = ContactPoint.objects.filter(pk=point.pk, disputed_at__isnull=False)
        was_seen(ended, seen)
        if point.channel == ContactPoint.Channel.LOGIN:
            found = ended.select_related("customer").select_for_update(of=("self",)).first()
            if found is None or found.gives_back or not may_end(found, actor, now=now):
                raise NotProposed(SECOND_ENDS)
        stays = Q(confirmed_at__isnull=False) | Q(came=ContactPoint.Came.CLEARED)
        stayed = ended.filter(stays).update(disputed_at=None, **NO_PROPOSAL)
        anew = ended.update(disputed_at=None, came=ContactPoint.Came.STAFF, since=now)
        heard: dict[str, str] = {}
        if stayed or anew:
            audit.record(
                SETTLED, actor=actor, now=now, subject=point.customer.subject_id, record=contact_links.record_of(point)
            )
            heard = _hear(point, now)
        if stayed:
            for address in heard.values():
                letters.queue(
                    "contact_settled",
                    to=address,
                    context=notices.said_of(point),
                    key=f"contact-settled:{uuid4()}",
                    subject=point.customer.subject_id,
                    now=now,
                )
        if anew:
            point.refresh_from_db()
            with vault.internal():
                email = (
                    point.customer.email
                    if point.channel == ContactPoint.Channel.EMAIL and reach.own([point.customer])
                    else ""
                )
            notices.changed(point, older=(), new=str(email or ""), now=now, heard=heard)


def _dispute(point: ContactPoint, *, actor: Actor | None, now: datetime) -> None:
    """Write one objection down. Each leaves its line, also while another one is open: who decides then has to see
    it."""
    # Who proposed the end did not know of this objection.
    ContactPoint.objects.filter(pk=point.pk).update(**NO_PROPOSAL)
    ContactPoint.objects.filter(pk=point.pk, disputed_at=None).update(disputed_at=now)
    audit.record(
        DISPUTED, actor=actor, now=now, subject=point.customer.subject_id, record=contact_links.record_of(point)
    )
    if (subject := point.customer.subject_id) is not None:
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


def _hear(point: ContactPoint, now: datetime) -> dict[str, str]:
    """Return which mailboxes have objected to this contact by a link (as compared, and as written), and end what
    other links about it they have."""
    links = ContactLink.objects.filter(point=point, purpose=ContactLink.Purpose.NOT_ME, token_hash__isnull=False)
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
