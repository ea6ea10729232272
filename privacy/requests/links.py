"""One-time links and codes by post (Art. 12(6)).

What must never happen: a link that works twice or by GET; a link or code to an address that came with the request (but
a link that opens nothing, where nothing on file carries the address); one that whoever can write to the database made.
Tokens and codes are stored as hashes only, with a keyed one that binds them to their request (privacy.vault.macs).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from privacy import letters, vault
from privacy.letters.models import Letter
from privacy.requests import codes, history, writing
from privacy.requests.codes import BETWEEN
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.states import State

LINK_LIVES = timedelta(days=3)
RESULT_LINK_LIVES = timedelta(days=7)
NOT_ME_LINK_LIVES = timedelta(days=30)
POSTED_CODE_LIVES = timedelta(days=30)
LIVES = {
    OneTimeLink.Purpose.IDENTITY: LINK_LIVES,
    OneTimeLink.Purpose.RESULT: RESULT_LINK_LIVES,
    OneTimeLink.Purpose.NOT_ME: NOT_ME_LINK_LIVES,
    OneTimeLink.Purpose.POSTED: POSTED_CODE_LIVES,
}


class LinkRefused(Exception):
    """The link is unknown, used or expired."""


def make_link(request: Request, purpose: str, *, to: str, now: datetime) -> str:
    """Make a one-time link that goes to this address ("" by post) and return its token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    _made(
        request,
        purpose,
        hashed(token),
        address_hash=codes.hash_of_address(codes.key_of(token), to) if to else "",
        now=now,
    )
    return token


def _made(request: Request, purpose: str, token_hash: str, *, address_hash: str = "", now: datetime) -> OneTimeLink:
    until = _works_until(request, OneTimeLink.Purpose(purpose), now)
    link = OneTimeLink(token_hash=token_hash, purpose=purpose, request=request, created_at=now, expires_at=until)
    link.address_hash = address_hash
    link.mac = vault.mac_of(*_says(link))
    link.save(force_insert=True)
    return link


def _says(link: OneTimeLink) -> tuple[Any, ...]:
    where = (link.address_hash,) if link.address_hash else ()
    return "one-time-link", link.token_hash, link.purpose, link.request_id, link.expires_at, *where


def is_ours(link: OneTimeLink) -> bool:
    """Say whether the site made this link, for this request and purpose."""
    return vault.mac_fits(link.mac, *_says(link))


def bind_all() -> int:
    """Bind links and outcome codes of the version before to their requests; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    done = 0
    for link in OneTimeLink.objects.filter(mac="").order_by("pk").iterator(500):
        done += OneTimeLink.objects.filter(pk=link.pk, mac="").update(mac=vault.mac_of(*_says(link)))
    coded = Request.objects.exclude(outcome_code_hash="").exclude(outcome_code_hash__contains=BETWEEN)
    for pk, hashed in coded.order_by("pk").values_list("pk", "outcome_code_hash").iterator(500):
        done += Request.objects.filter(pk=pk, outcome_code_hash=hashed).update(
            outcome_code_hash=codes.bound_to(pk, hashed)
        )
    return done


def _works_until(request: Request, purpose: OneTimeLink.Purpose, now: datetime) -> datetime:
    """Return until when a link or code made now works: its time, and not past the end of a request that waits for the
    person.

    "This was not me" can be said after the end, too. Where the due day is so near that there is more time it ends
    nothing.
    """
    until, ends = now + LIVES[purpose], request.next_action_at
    if purpose == OneTimeLink.Purpose.NOT_ME or not request.waits_for_person or ends is None:
        return until
    is_end = ends - history.asked_at(request) >= history.LEAST_TIME_TO_ACT or history.due_dates(request).is_extended
    return min(until, ends) if is_end and ends > now else until


def address_of_link(token: str) -> str:
    """Return the whole address of the link with this token, for the letter that gives it."""
    return f"{settings.PORTAL_URL}{reverse('link', args=[token])}"


def make_posted_code(request: Request, subject: UUID, *, now: datetime) -> tuple[OneTimeLink, str]:
    """Make a code to be posted to one person; return its row and the code, which is kept as a keyed hash only."""
    posted = OneTimeLink.Purpose.POSTED
    OneTimeLink.objects.filter(request=request, purpose=posted, used_at=None).update(expires_at=now)
    code = codes.new_code()
    return _made(request, posted, _posted(request, subject, code), now=now), code


def use_posted_code(request: Request, subject: UUID, code: str, *, now: datetime) -> bool:
    """Use up the code that was posted to this person for this request; return whether it was that.

    Before its letter was ticked off as posted it is no code: only who has the letter on the screen can know it.
    """
    mine = OneTimeLink.objects.filter(request=request, purpose=OneTimeLink.Purpose.POSTED)
    live = mine.filter(token_hash=_posted(request, subject, code), used_at=None, expires_at__gt=now)
    keys = [key_of_posted_code(one) for one in live if is_ours(one)]
    if not letters.went_at(list(Letter.objects.filter(key__in=keys).values_list("pk", flat=True))):
        return False
    return bool(live.update(used_at=now))


def had_posted_code(request: Request, *, now: datetime) -> set[tuple[str, str]]:
    """Return who wrote, opened or marked as posted the letter with the code that works for this request now: (kind,
    id).

    They know it without the person, so they take it from nobody.
    """
    posted = OneTimeLink.objects.filter(request=request, purpose=OneTimeLink.Purpose.POSTED, used_at=None)
    live = list(posted.filter(expires_at__gt=now))
    written = request.events.filter(kind=history.CODE_WRITTEN, at__in=[one.created_at for one in live])
    found = set(written.values_list("actor_kind", "actor_id"))
    keys = [key_of_posted_code(one) for one in live]
    return found | letters.in_hand(Letter.objects.filter(key__in=keys).values_list("pk", flat=True))


def key_of_posted_code(link: OneTimeLink) -> str:
    """Return the key of the letter that gives this code."""
    return f"posted-code:{link.pk}"


def _posted(request: Request, subject: UUID, code: str) -> str:
    key = vault.ring.current().derive("posted-code")
    return hmac.digest(key, f"{request.pk}:{subject}:{codes.plain_code(code)}".encode(), "sha256").hex()


def look(token: str, *, now: datetime) -> OneTimeLink:
    """Return the live link of `token` without using it (what GET may do). Raises LinkRefused."""
    return _live(OneTimeLink.objects.all(), token, now)


def _live(links: QuerySet[OneTimeLink], token: str, now: datetime) -> OneTimeLink:
    link = links.select_related("request").filter(token_hash=hashed(token), used_at=None, expires_at__gt=now).first()
    if link is None or not is_ours(link):
        raise LinkRefused
    return link


def is_told(token: str) -> bool:
    """Whether "this was not me" was said by this link already: it works once, and what was said stands."""
    not_me = OneTimeLink.objects.filter(token_hash=hashed(token), purpose=OneTimeLink.Purpose.NOT_ME)
    return not_me.filter(used_at__isnull=False).exists()


def use(token: str, *, now: datetime) -> OneTimeLink:
    """Use up the link of `token` (POST only) and return it. Of two at once one wins. Raises LinkRefused."""
    with transaction.atomic():
        link = _live(OneTimeLink.objects.select_for_update(of=("self",)), token, now)  # the other waits, and finds none
        link.used_at = now
        link.save(update_fields=["used_at"])
        return link


def forget_links(*, now: datetime) -> int:
    """Delete links that could not be used for a month; return how many."""
    return OneTimeLink.objects.filter(expires_at__lt=now - timedelta(days=30)).delete()[0]


def hashed(token: str) -> str:
    """Return what is kept of the token of a link, also of those that other modules make."""
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def send_link(request: Request, purpose: str, *, to: str, now: datetime) -> None:
    """Send a one-time link to an address on file, or for IDENTITY to one that nothing carries.

    Earlier unused links of the same purpose stop working.
    """
    with transaction.atomic():
        OneTimeLink.objects.filter(request=request, purpose=purpose, used_at=None).update(expires_at=now)
        token = make_link(request, purpose, to=to, now=now)
        link = OneTimeLink.objects.get(token_hash=hashed(token))
        writing.queue(
            f"link_{purpose}",
            to=to,
            context={"expires_at": link.expires_at, "is_planned": request.state == State.PLANNED},
            key=f"link:{link.pk}",
            request=request,
            now=now,
            credentials={"link": address_of_link(token)},
            until=link.expires_at,
        )
