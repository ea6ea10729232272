"""What came by a login while it may have been in other hands: it proves nothing once the login is given back (design
9).

What must never happen: a contact that whoever took a login entered or confirmed, a joining, a link, a code or a request
of theirs that goes on counting because it came before the address was changed. To change the address is the last that
whoever took a login does, not the first: so what the login itself did in the 30 days before counts as theirs, too. What
staff or an import wrote down before the change is not the login's, and counts. What was the person's own after all is
undone by the privacy team, who end the objections with the person (objections.settle_contacts,
told_of_joinings.settle_joined).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from accounts import in_hand
from accounts.models import ContactLink, ContactPoint, Customer, Joined
from privacy import audit
from privacy.gate import Actor
from privacy.requests import waits

#: How long before the first change to which a mailbox objects the login may have been in other hands.
BEFORE_THE_CHANGE = timedelta(days=30)
Came, Channel, Purpose = ContactPoint.Came, ContactPoint.Channel, ContactLink.Purpose


def since(changed_at: datetime) -> datetime:
    """Return since when a login may have been in other hands whose address was changed then."""
    return changed_at - BEFORE_THE_CHANGE


def entered(changed_at: datetime) -> Q:
    """Return which contacts the login itself entered since it may have been in other hands."""
    return Q(came__in=(Came.PERSON, Came.LOGIN), since__gte=since(changed_at))


def was_there_before(point: ContactPoint, changed_at: datetime) -> bool:
    """Say whether a contact was on file before the login was in other hands: before the change, and not by the login
    itself in the 30 days before it."""
    is_theirs = point.came in (Came.PERSON, Came.LOGIN) and point.since >= since(changed_at)
    return point.since < changed_at and not is_theirs


def end_all(point: ContactPoint, subject: UUID, *, changed_at: datetime, actor: Actor, now: datetime) -> dict[str, int]:
    """Let nothing count any longer that came by the login since it may have been in other hands; return how many of
    which.

    Contacts that the login entered or confirmed are disputed, and proved by nothing, and what the person joined is
    disputed, so that a second person is asked until the privacy team has settled it. Open requests of that time ask a
    second person, links and codes of that time end. In the caller's transaction.
    """
    begun = since(changed_at)
    own = ContactPoint.objects.filter(entered(changed_at) | Q(confirmed_at__gte=begun), customer__subject_id=subject)
    contacts = list(own.exclude(channel=Channel.LOGIN).select_for_update(of=("self",)).order_by("pk"))
    for one in contacts:
        one.confirmed_at, one.disputed_at = None, one.disputed_at or now
        one.save(update_fields=["confirmed_at", "disputed_at"])
        audit.record(
            in_hand.DISPUTED, actor=actor, now=now, subject=subject, record=(Customer.vault_label, one.customer_id)
        )
    joinings = list(
        Joined.objects.filter(subject_id=subject, proposed_by="", at__gte=begun)
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    for joined in joinings:
        joined.disputed_at = joined.disputed_at or now
        joined.save(update_fields=["disputed_at"])
        audit.record("joining.disputed", actor=actor, now=now, subject=subject)
    if joinings:
        waits.people_joined(subject, actor=actor, now=now, is_objected=True)
    live = ContactLink.objects.filter(point__customer__subject_id=subject, used_at=None, expires_at__gt=now)
    live.filter(Q(point=point) | Q(purpose=Purpose.CONFIRM, at__gte=begun)).update(expires_at=now)
    requests, copies = waits.login_given_back(subject, since=begun, actor=actor, now=now)
    kinds = Counter(one.channel for one in contacts)
    return {
        "emails": kinds[Channel.EMAIL],
        "numbers": kinds[Channel.PHONE],
        "places": kinds[Channel.POST],
        "joinings": len(joinings),
        "requests": requests,
        "copies": copies,
    }
