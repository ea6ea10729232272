"""Two people are one for us now, or single records are somebody else's: each e-mail address is told, and may object.

What must never happen: people joined and nobody told; a letter that says what was joined; an objection that a member of
staff ends who had proposed the joining. An objection undoes nothing by itself: the privacy team does, or ends it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import joinable, reach
from accounts.contact_links import NOT_ME_LIVES, LinkRefused
from accounts.users import Joined, Joining
from privacy import audit, letters, vault
from privacy.actor import require_another
from privacy.gate import Actor, fingerprint
from privacy.requests import links, waits


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
    """Tell every e-mail address of login or contact of `into` and of the others, without content: that they are one for
    us now (`whole`), or that single records of the others are joined to `into`.

    In the transaction that does it, before it does: each letter is of the person whose address it is, and gives the
    link by which its reader says "this was not me". `proposed_by` is the member of staff whose idea it was, "" when the
    person did it; for what staff did with whole people, open requests need the second person (waits).
    """
    if into is None:
        return
    token = secrets.token_urlsafe(32)
    Joined.objects.create(
        subject_id=into,
        joining=joining,
        at=now,
        is_whole=whole,
        proposed_by=proposed_by,
        token_hash=links.hashed(token),
    )
    told: set[str] = set()
    until = now + NOT_ME_LIVES
    for subject in (into, *sorted({one for one in others if one not in (None, into)}, key=str)):
        assert subject is not None  # noqa: S101
        with vault.internal():
            addresses = reach.others(subject, but="")
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

    Those of whole people by staff, for 14 days, and each that somebody objects to. A request by login or by link then
    needs the second person: it would open what may be somebody else's.
    """
    rows = Joined.objects.filter(subject_id=subject)
    lately = Q(at__gt=now - reach.WAIT, is_whole=True) & ~Q(proposed_by="")
    return sorted(rows.filter(lately | Q(disputed_at__isnull=False)).values_list("proposed_by", flat=True))


def look_at_joined(token: str, *, now: datetime) -> Joined:
    """Return the joining whose link this is, without using it (what GET may do). Raises LinkRefused."""
    found = Joined.objects.filter(token_hash=links.hashed(token), disputed_at=None, at__gt=now - NOT_ME_LIVES).first()
    if found is None:
        raise LinkRefused
    return found


def dispute_joined(token: str, *, now: datetime) -> None:
    """Take a "this was not me" about a joining (POST only): requests by login or link need the second person until the
    privacy team has undone or settled it. It undoes nothing by itself. Raises LinkRefused."""
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

    Not those of joinings that this member of staff had proposed. The link of what is settled works no more: who still
    objects calls. Each leaves a line of its own in the audit. `seen` is the fingerprint of what was shown
    (`shown_joined`), None where no page was. Raises AboutYourself for one whom a joining is about, fingerprint.NotSeen.
    """
    mine = f"{actor.kind}/{actor.id or ''}"[:64]
    with transaction.atomic():
        # All joinings of the person, not only the disputed ones: an objection that comes now
        # waits, and is not ended unseen.
        list(Joined.objects.filter(subject_id=subject).order_by("pk").select_for_update().values_list("pk", flat=True))
        require_another(actor, about=people_of(subject))
        if seen is not None:
            fingerprint.require(seen, shown_joined(subject))
        ended = 0
        for one in disputed_joinings(subject).exclude(proposed_by=mine).order_by("pk"):
            one.disputed_at, one.token_hash = None, links.hashed(secrets.token_urlsafe(32))
            one.save(update_fields=["disputed_at", "token_hash"])
            audit.record("joining.settled", actor=actor, now=now, subject=subject)
            ended += 1
    return ended


def people_of(subject: UUID) -> set[UUID | None]:
    """Return whom the joinings of this person to which somebody objects are about: the person, and whose records were
    joined."""
    found: set[UUID | None] = {subject}
    for one in disputed_joinings(subject).select_related("joining"):
        if one.joining is not None:
            found |= joinable.sides(one.joining)
    return found


def disputed_joinings(subject: UUID | None = None) -> QuerySet[Joined]:
    """Return the joinings to which somebody objects: of one person, or of everybody."""
    found = Joined.objects.filter(disputed_at__isnull=False)
    return found if subject is None else found.filter(subject_id=subject)
