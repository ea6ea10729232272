"""Links in letters about a contact: one confirms a new address, one says "this was not me" (design 9).

What must never happen: a link that works twice, by GET or for somebody else's login; one that whoever can write to the
database made; a mistyped address that proves anything for the stranger who has it. Tokens are kept as hashes only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from accounts import reach
from accounts.customers import Customer
from accounts.points import ContactLink, ContactPoint
from accounts.users import Joined, User
from privacy import audit, letters
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import links

NOT_ME_LIVES = timedelta(days=60)


class LinkRefused(Exception):
    """The link is unknown, used, expired, somebody else's, or about an address that is not on file any more."""


def is_told(token: str) -> bool:
    """Whether "this was not me" was said by this link already: it works once, and what was said stands."""
    mine = links.hashed(token)
    said = ContactLink.objects.filter(token_hash=mine, purpose=ContactLink.Purpose.NOT_ME, used_at__isnull=False)
    return said.exists() or Joined.objects.filter(token_hash=mine, disputed_at__isnull=False).exists()


def look(token: str, purpose: str, *, now: datetime) -> ContactLink:
    """Return the live link of `token` without using it (what GET may do). Raises LinkRefused."""
    link = (
        ContactLink.objects.select_related("point__customer")
        .filter(token_hash=links.hashed(token), purpose=purpose, used_at=None, expires_at__gt=now)
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
        link = look(token, ContactLink.Purpose.CONFIRM, now=now)
        point = locked(link)
        if point.customer.user_id != user.pk or not reach.is_one(user, point.customer):
            raise LinkRefused
        if point.disputed_at is not None or link.at < point.since:
            raise LinkRefused
        use(link, now)
        ContactPoint.objects.filter(pk=point.pk).update(confirmed_at=now)
        audit.record(
            "contact.confirmed", actor=actor, now=now, subject=point.customer.subject_id, record=record_of(point)
        )


def locked(link: ContactLink) -> ContactPoint:
    """Return the contact that a link is about, locked, with its customer."""
    return ContactPoint.objects.select_for_update(of=("self",)).select_related("customer").get(pk=link.point_id)


def use(link: ContactLink, now: datetime) -> None:
    """Use up a link. Raises LinkRefused where it has been used meanwhile."""
    if not ContactLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now):
        raise LinkRefused


def record_of(point: ContactPoint) -> tuple[str, UUID]:
    """Return the record under which the audit tells of a contact."""
    return Customer.vault_label, point.customer_id


def bind_all() -> int:
    """Bind the links of the version before to their contacts; return how many. As privacy.requests.links.bind_all."""
    done = 0
    for link in ContactLink.objects.filter(mac="", token_hash__isnull=False).order_by("pk").iterator(500):
        done += ContactLink.objects.filter(pk=link.pk, mac="").update(mac=link.bind().mac)
    return done


def note_letters(*, now: datetime) -> int:
    """Let the audit tell of the letters about contacts of before that went out; return of how many. As `bind_letters`,
    by whose hashes those of rows that were planted are left out."""
    found = ContactLink.objects.order_by("pk").iterator(500)
    bound = [one.letter_id for one in found if one.letter_id is not None and one.is_bound]
    return sum(
        letters.note_gone_before(Letter.objects.filter(pk__in=bound[start : start + 500]), now=now)
        for start in range(0, len(bound), 500)
    )


def bind_letters() -> int:
    """Bind the links of the version before to their letters; return how many. As privacy.requests.links.bind_all."""
    done = 0
    for link in ContactLink.objects.order_by("pk").iterator(500):
        if link.bind_letter():
            done += ContactLink.objects.filter(pk=link.pk).update(mac=link.mac)
    return done
