"""Letters about a changed contact: a notice to every older address, and a link that confirms the new one (design 9).

What must never happen: a contact that changes hands and nobody is told; a letter that tells the old address what the
new one is. Who is told may object (accounts/objections.py) by a link that works once (accounts/contact_links.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import contact_links, reach
from accounts.contact_links import NOT_ME_LIVES
from accounts.customers import Customer
from accounts.in_hand import POSTED
from accounts.points import ContactLink, ContactPoint
from accounts.users import User
from privacy import audit, letters, people, vault
from privacy.gate import Actor
from privacy.requests import links

CONFIRM_LIVES = timedelta(days=7)
AGAIN_AFTER = timedelta(minutes=10)
WORDS: dict[str, Any] = {
    ContactPoint.Channel.EMAIL: _("e-mail address"),
    ContactPoint.Channel.PHONE: _("phone number"),
    ContactPoint.Channel.POST: _("postal address"),
    ContactPoint.Channel.LOGIN: _("e-mail address with which you sign in"),
}


class TooSoon(Exception):
    """A link was sent a moment ago: a second one would only help to flood a mailbox."""


class NothingToConfirm(Exception):
    """There is no address of the person's own entry that waits for its confirmation."""


class LoginDisputed(Exception):
    """Somebody objects to the address of this login: until that is decided the address stays as it is."""


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
    """Tell every older address of the person that this contact was changed or taken out, and ask a new
    e-mail address for its confirmation where the person entered it. In the transaction of the change;
    `older` are the values it replaced.

    Addresses that were told of an earlier change, by links that still work, are told of this one, too. Where none
    of those told counts (`older_counted` says it of `older`), a notice goes by post; where that is not possible
    either it is written down that nobody could be told. `heard` have objected to this before, and it was settled:
    they are told without a link.
    """
    subject = point.customer.subject_id
    if subject is None:
        return
    is_own = by_person if by_person is not None else point.came in (ContactPoint.Came.PERSON, ContactPoint.Came.LOGIN)
    but = new if point.channel == ContactPoint.Channel.EMAIL else ""
    with vault.internal():
        others = reach.others(subject, but=but)
        sure = {reach.same(one) for one in reach.counting(subject, now=now)}
        before, before_sure = _told_before(point.customer, now)
    sure |= {reach.same(one) for one in before_sure} | ({reach.same(one) for one in older} if older_counted else set())
    told = {reach.same(but)}
    for address in (*older, *others, *before):
        if address and reach.same(address) not in told:
            told.add(reach.same(address))
            gives_link = reach.same(address) not in heard
            send(
                point,
                ContactLink.Purpose.NOT_ME,
                to=address,
                lives=NOT_ME_LIVES,
                now=now,
                by_person=is_own,
                gives_link=gives_link,
            )
    by_waiting = point.came in (ContactPoint.Came.STAFF, ContactPoint.Came.CLEARED) and not is_own
    if by_waiting and not (told - {reach.same(but)}) & sure:
        _post(point, now=now)
    if point.channel == ContactPoint.Channel.EMAIL and point.came == ContactPoint.Came.PERSON and new:
        send(point, ContactLink.Purpose.CONFIRM, to=new, lives=CONFIRM_LIVES, now=now)


def removed(subject: UUID | None, record: UUID, what: str, *, by_person: bool, now: datetime) -> None:
    """Tell every e-mail address of the person that something of theirs was removed, in words only. In
    the transaction of the removal."""
    if subject is None:
        return
    with vault.internal():
        addresses = reach.others(subject, but="")
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
    """Tell these addresses (the earlier one of the login, and every contact) that the address of a login was changed,
    with the link by which their readers say "this was not me". In the transaction of the change; `left` are those that
    it leaves behind. Not `by_person`: our staff gave it back to the address that it had before
    (accounts/giving_back.py). Raises LoginDisputed.

    Of staff without a customer no objection can be written down here: they are told to call.
    """
    left_behind = {reach.same(one) for one in left}
    point = None
    if customer is not None:
        mine = ContactPoint.objects.filter(customer=customer, channel=ContactPoint.Channel.LOGIN)
        if any(mine.select_for_update(of=("self",)).values_list("disputed_at", flat=True)):
            raise LoginDisputed
        anew = {
            "came": ContactPoint.Came.PERSON,
            "since": now,
            "confirmed_at": now,
            "given_back_at": None,
            "taken_at": None,
        }
        point, _ = ContactPoint.objects.update_or_create(
            customer=customer, channel=ContactPoint.Channel.LOGIN, defaults=anew
        )
    for address in told:
        stays = Customer.objects.find("customer.email", address).filter(subject_id=user.subject_id).exists()
        about = {"is_left": reach.same(address) in left_behind, "stays": stays}
        if point is not None:
            send(
                point, ContactLink.Purpose.NOT_ME, to=address, lives=NOT_ME_LIVES, now=now, by_person=by_person, **about
            )
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
    """Raise LoginDisputed while somebody objects to the address of this login; an objection that comes
    now waits for the caller's transaction. Else whoever has the login could change it until no mailbox is
    left that could have it back."""
    if user.subject_id is None:
        return
    points = ContactPoint.objects.filter(channel=ContactPoint.Channel.LOGIN, customer__subject_id=user.subject_id)
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
        point = reach.point_of(customer, ContactPoint.Channel.EMAIL) if customer else None
        with vault.internal():
            address = customer.email if customer else ""
        if (
            point is None
            or not address
            or point.confirmed_at
            or point.disputed_at
            or point.came == ContactPoint.Came.CREATED
        ):
            raise NothingToConfirm
        sent = ContactLink.objects.filter(point=point, purpose=ContactLink.Purpose.CONFIRM)
        # One that went to the earlier address is none to this one.
        if sent.filter(at__gt=now - AGAIN_AFTER, at__gte=point.since).exists():
            raise TooSoon
        sent.filter(used_at=None).update(expires_at=now)
        send(point, ContactLink.Purpose.CONFIRM, to=str(address), lives=CONFIRM_LIVES, now=now)
        audit.record(
            "contact.asked",
            actor=actor,
            now=now,
            subject=point.customer.subject_id,
            record=contact_links.record_of(point),
        )


def asked(points: Iterable[ContactPoint]) -> set[int]:
    """Return which of these contacts were asked for their confirmation since they stand as they are; one query."""
    sent = ContactLink.objects.filter(point__in=[one.pk for one in points], purpose=ContactLink.Purpose.CONFIRM)
    return set(sent.filter(at__gte=F("point__since")).values_list("point", flat=True))


def _told_before(customer: Customer, now: datetime) -> tuple[list[str], list[str]]:
    """Return whom a notice that still works went to about any contact of this customer, and those of them who count:
    told when somebody could be told. Opened under the caller's actor."""
    told = ContactLink.objects.filter(point__customer=customer, purpose=ContactLink.Purpose.NOT_ME, expires_at__gt=now)
    rows = list(told.select_related("letter").order_by("pk"))
    nobody = {(one.point_id, one.at) for one in rows if one.letter is None}
    found, sure = [], []
    for one in rows:
        if to := one.went_to:
            found.append(to)
            if (one.point_id, one.at) not in nobody:
                sure.append(to)
    return found, sure


def send(
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
    """Write to an address about a contact, with a one-time link for this purpose that works so long.

    The letter is `contact_PURPOSE` unless it is of another `kind`; without `gives_link` it only tells. `about` are
    further switches of its template; `is_left` says that a login left this address behind, and is kept with the link.
    """
    token = secrets.token_urlsafe(32)
    link = ContactLink(
        point=point, purpose=purpose, at=now, expires_at=now + lives, was_login=about.get("is_left", False)
    )
    if gives_link:
        link.token_hash = links.hashed(token)
    link.save(force_insert=True)
    page = "confirm" if purpose == ContactLink.Purpose.CONFIRM else "not-me"
    link.letter = letters.queue(
        kind or f"contact_{purpose}",
        to=to,
        context={
            "expires_on": timezone.localdate(link.expires_at),
            "changed_on": timezone.localdate(point.since),
            **said_of(point),
            "by_person": by_person,
            "by_staff": point.came == ContactPoint.Came.STAFF,
            "counts_from": reach.counts_from(point),
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
    """Leave a notice to be printed and posted where a postal address counts; else write down that nobody could be
    told."""
    link = ContactLink(point=point, purpose=ContactLink.Purpose.NOT_ME, at=now, expires_at=now + NOT_ME_LIVES)
    link.bind().save(force_insert=True)
    customer = point.customer
    with vault.internal():
        lines = people.ask().postal(customer.subject_id, now) if customer.subject_id else []
    if not lines:
        return
    link.letter = letters.queue(
        POSTED,
        to="",
        postal=lines,
        context={
            "number": customer.reference,
            "changed_on": timezone.localdate(point.since),
            **said_of(point),
        },
        key=f"contact:{link.pk}",
        subject=customer.subject_id,
        now=now,
    )
    link.bind().save(update_fields=["letter", "mac"])


def said_of(point: ContactPoint) -> dict[str, Any]:
    """Return what a letter says of which contact it is about."""
    return {
        "is_login": point.channel == ContactPoint.Channel.LOGIN,
        "contact": str(WORDS.get(point.channel, _("contact"))),
    }
