"""Who is asking: references, codes and one-time links (Art. 12(6), 1&1: a name and a birth date prove nothing).

What must never happen: an answer that tells a stranger whether an address is known here, a link that works
twice, by GET, or, like an outcome code, longer than the address to which it went counts, control of a shared mailbox taken for a person, a link, code
or answer to an address that came with the request (but a link that opens nothing, where nothing on file carries the address), a link or code that whoever can write to the database made. Tokens and codes
are stored as hashes only, with a keyed one that binds them to their request (privacy.vault.macs).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from stdnum import luhn

from privacy import datamap, letters, people, vault
from privacy.letters.models import Letter
from privacy.requests import history, procedures, writing
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.states import BEGUN_STATES, State

# Crockford's alphabet: no I, L, O, U, so that a reference survives the telephone.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LINK_LIVES = timedelta(days=3)
RESULT_LINK_LIVES = timedelta(days=7)
NOT_ME_LINK_LIVES = timedelta(days=30)
POSTED_CODE_LIVES = timedelta(days=30)
BETWEEN = ":"  # the keyed hash of an outcome code, the slow one, and that of the address to which it went
CODE_WENT_TO = "outcome-code-address"


LIVES = {
    OneTimeLink.Purpose.IDENTITY: LINK_LIVES,
    OneTimeLink.Purpose.RESULT: RESULT_LINK_LIVES,
    OneTimeLink.Purpose.NOT_ME: NOT_ME_LINK_LIVES,
    OneTimeLink.Purpose.POSTED: POSTED_CODE_LIVES,
}


class LinkRefused(Exception):
    """The link is unknown, used or expired."""


# References and codes -------------------------------------------------------------------------------------------------


def new_reference(year: int) -> str:
    """Return a reference like PR-2026-7K3M-9Q: random, with a check character."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(5))
    return f"PR-{year}-{body[:4]}-{body[4]}{luhn.calc_check_digit(f'{year}{body}', ALPHABET)}"


def read_reference(typed: str) -> str | None:
    """Return the reference somebody typed in its one spelling, None when it cannot be one (a slip is noticed)."""
    plain = "".join(c for c in typed.upper() if c.isalnum()).removeprefix("PR").translate(str.maketrans("OIL", "011"))
    if len(plain) != 10 or any(c not in ALPHABET for c in plain) or not luhn.is_valid(plain, ALPHABET):
        return None
    return f"PR-{plain[:4]}-{plain[4:8]}-{plain[8:]}"


def new_code() -> str:
    """Return a code (60 random bits): it is shown once."""
    plain = "".join(secrets.choice(ALPHABET) for _ in range(12))
    return "-".join((plain[:4], plain[4:8], plain[8:]))


def hash_of_code(request: Request, code: str, *, to: str = "") -> str:
    """Return what to keep of the outcome code of a request: a slow hash, and a keyed one that binds it to the request.

    With the code that goes `to` an address also one that tells, to whom has code and key ring, which address that was.
    """
    kept = make_password(plain_code(code))
    if to:
        kept += BETWEEN + vault.mac_of(CODE_WENT_TO, request.pk, _went_to(_key_of(plain_code(code)), to))
    return _bound(request.pk, kept)


def code_matches(typed: str, request: Request | None) -> bool:
    """Whether the typed code is the one that was shown for this request; without one it takes as long and is False.

    A hash that the site did not write, or wrote for another request, is none.
    """
    mac, _, kept = (request.outcome_code_hash if request else "").partition(BETWEEN)
    is_ours = request is not None and vault.mac_fits(mac, "outcome-code", request.pk, kept)
    hashed, _, _ = kept.partition(BETWEEN)
    return check_password(plain_code(typed), hashed if is_ours else _hash_of_no_code()) and is_ours


def is_code_out(request: Request) -> bool:
    """Whether the outcome code of a request has gone to its person, as far as the site knows.

    One that stands in a letter to be posted has not, before that letter is ticked off: until then only who has it on the screen can know
    the code. Who signed in, or used a one-time link, was shown it.
    """
    if request.identity in (Request.Identity.LOGIN, Request.Identity.LINK):
        return True
    gave = _gave_code(request)
    return not gave.exists() or gave.exclude(by=Letter.By.POST, sent_at=None).exists()


def had_code(request: Request) -> set[tuple[str, str]]:
    """Return which members of staff, (kind, id), opened or ticked off a letter that gives the outcome code of a request."""
    return letters.in_hand(_gave_code(request).filter(by=Letter.By.POST).values_list("pk", flat=True))


def _gave_code(request: Request) -> QuerySet[Letter]:
    return Letter.objects.filter(request=request, kind="acknowledgement", credentials_until__isnull=False)


def _bound(request: UUID, kept: str) -> str:
    return vault.mac_of("outcome-code", request, kept) + BETWEEN + kept


def plain_code(code: str) -> str:
    """Return what all spellings of one code have in common."""
    return "".join(c for c in code.upper() if c.isalnum()).translate(str.maketrans("OIL", "011"))


@cache
def _hash_of_no_code() -> str:
    """Return what stands in for a missing hash; made once, else an unknown reference would take twice the time."""
    return make_password("no code")


# One-time links -------------------------------------------------------------------------------------------------------


def make_link(request: Request, purpose: str, *, to: str, now: datetime) -> str:
    """Make a one-time link that goes to this address ("" by post) and return its token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    _made(request, purpose, _hashed(token), address_hash=_went_to(_key_of(token), to) if to else "", now=now)
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


def _is_ours(link: OneTimeLink) -> bool:
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
        done += Request.objects.filter(pk=pk, outcome_code_hash=hashed).update(outcome_code_hash=_bound(pk, hashed))
    return done


def _works_until(request: Request, purpose: OneTimeLink.Purpose, now: datetime) -> datetime:
    """Return until when a link or code made now works: its time, and not past the end of a request that waits for the person.

    "This was not me" can be said after the end, too. Where the due day is so near that there is more time it ends nothing.
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
    code = new_code()
    return _made(request, posted, _posted(request, subject, code), now=now), code


def use_posted_code(request: Request, subject: UUID, code: str, *, now: datetime) -> bool:
    """Use up the code that was posted to this person for this request; return whether it was that.

    Before its letter was ticked off as posted it is no code: only who has the letter on the screen can know it.
    """
    mine = OneTimeLink.objects.filter(request=request, purpose=OneTimeLink.Purpose.POSTED)
    live = mine.filter(token_hash=_posted(request, subject, code), used_at=None, expires_at__gt=now)
    keys = [key_of_posted_code(one) for one in live if _is_ours(one)]
    if not Letter.objects.filter(key__in=keys, sent_at__isnull=False).exists():
        return False
    return bool(live.update(used_at=now))


def had_posted_code(request: Request, *, now: datetime) -> set[tuple[str, str]]:
    """Return who wrote, opened or marked as posted the letter with the code that works for this request now: (kind, id).

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
    return hmac.digest(key, f"{request.pk}:{subject}:{plain_code(code)}".encode(), "sha256").hex()


def look(token: str, *, now: datetime) -> OneTimeLink:
    """Return the live link of `token` without using it (what GET may do). Raises LinkRefused."""
    link = (
        OneTimeLink.objects.select_related("request")
        .filter(token_hash=_hashed(token), used_at=None, expires_at__gt=now)
        .first()
    )
    if link is None or not _is_ours(link):
        raise LinkRefused
    return link


def is_told(token: str) -> bool:
    """Whether "this was not me" was said by this link already: it works once, and what was said stands."""
    not_me = OneTimeLink.objects.filter(token_hash=_hashed(token), purpose=OneTimeLink.Purpose.NOT_ME)
    return not_me.filter(used_at__isnull=False).exists()


def use(token: str, *, now: datetime) -> OneTimeLink:
    """Use up the link of `token` (POST only) and return it. Of two at once one wins. Raises LinkRefused."""
    with transaction.atomic():
        link = look(token, now=now)
        used = OneTimeLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now)
        if not used:
            raise LinkRefused
        link.used_at = now
        return link


@dataclass(frozen=True)
class Stands:
    """On what a proof stands: the link, or the request whose outcome code it was, and what tells to which address that went.
    Opens nothing, and is no link and no code."""

    link: int
    key: str
    code_of: str = ""


def stands_on(token: str) -> Stands:
    """Return on what the link of `token` stands. Raises LinkRefused."""
    found = OneTimeLink.objects.filter(token_hash=_hashed(token)).values_list("pk", flat=True).first()
    if found is None:
        raise LinkRefused
    return Stands(found, _key_of(token))


def stands_on_code(request: Request, code: str) -> Stands:
    """Return on what the outcome code of a request stands."""
    return Stands(0, _key_of(plain_code(code)), str(request.pk))


def counts_still(link: OneTimeLink, key: str, *, now: datetime) -> bool:
    """Return whether the address to which a link went is still the person's: it may have changed hands since."""
    if not _is_ours(link):
        return False
    if not link.address_hash:
        return True
    return _is_still_theirs(link.request, lambda one: _went_to(key, one) == link.address_hash, now=now)


def code_counts_still(request: Request, key: str, *, now: datetime) -> bool:
    """Return the same of the address to which the outcome code of a request went; True where it went by post."""
    _, _, kept = request.outcome_code_hash.partition(BETWEEN)
    _, _, went_to = kept.partition(BETWEEN)
    if not went_to:
        return True
    return _is_still_theirs(
        request, lambda one: vault.mac_fits(went_to, CODE_WENT_TO, request.pk, _went_to(key, one)), now=now
    )


def _is_still_theirs(request: Request, is_it: Callable[[str], bool], *, now: datetime) -> bool:
    """Say whether the address of which `is_it` is True is still the person's.

    One that stands on the records of a request about records counts until it, or a name, is changed on one of them, and then as
    a second person decides. Once an erasure has begun, the address in the file of the request stands for those that it took.
    """
    if request.is_about_records:
        return _said_of_a_change(request) in (None, SecondLook.Outcome.GO_ON)
    known = people.ask()
    with vault.internal():  # compared only, shown to nobody
        if request.subject_id is None or _has_begun(request) or _is_erased(request.subject_id):
            stored = request.requester_email
            # None there, or one that cannot be read: it went to one that had gone before, and not by post.
            return isinstance(stored, str) and bool(stored) and is_it(stored)
        one = next((one for one in known.others(request.subject_id, "", now) if is_it(one)), "")
        if not one:
            return False
        return bool(known.on_file(request.subject_id, one, now)) or is_it(known.answer_address(request.subject_id, now))


def _said_of_a_change(request: Request) -> str | None:
    """Return what a second person said of the last change of an address or name, "" nothing yet, None when none was asked."""
    looks = SecondLook.objects.filter(request=request, why=SecondLook.Why.MOVED).order_by("-asked_at", "-pk")
    return looks.values_list("outcome", flat=True).first()


def _key_of(token: str) -> str:
    return hashlib.sha256(f"address of {token}".encode()).hexdigest()


def _went_to(key: str, email: str) -> str:
    return hmac.digest(key.encode(), vault.index.normalise("email", email).encode(), "sha256").hex()


def forget_links(*, now: datetime) -> int:
    """Delete links that could not be used for a month; return how many."""
    return OneTimeLink.objects.filter(expires_at__lt=now - timedelta(days=30)).delete()[0]


def _hashed(token: str) -> str:
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


# Whose address --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What an address proves to whoever controls it (design 9): one person's whole file, some records, or nothing."""

    subjects: tuple[UUID, ...] = ()  # two: a login and a customer of the same address that were not joined yet
    records: people.Records = field(default_factory=list)
    is_shared: bool = False


def standing_of(email: str, *, now: datetime) -> Standing:
    """Return what control of this address proves. Opens nothing but, for comparison, the names on such records.

    Of the records that carry it, an address that opens a whole file proves nothing: they may be another's, and wait as
    candidates. An address that several share proves nobody and nothing.
    """
    email = email.strip()
    if not email:
        return Standing()
    known = people.ask()
    reach = known.reach(email, now)
    if reach.is_shared:
        return Standing(is_shared=True)
    if reach.whole:
        return Standing(subjects=reach.whole)
    return Standing(records=known.named(email))


def only_subject_of(email: str, *, now: datetime) -> UUID | None:
    """Return the one subject whose whole file this address opens, None when there is none or there are two."""
    found = standing_of(email, now=now).subjects
    return found[0] if len(found) == 1 else None


def records_of(request: Request) -> people.Records:
    """Return the records, (label, id), that a request about records covers now.

    Those that it covered when it came, whatever names or whatever other record has come since: else who writes there would cut
    off who asked. And those that have come since and name the same person or nobody (`others_with_address`: the others). A
    record that was given to somebody meanwhile is covered no longer; one on which the address was changed is covered again
    once a second person has let the request go on.
    """
    with vault.internal():  # looked up by its blind index, shown to nobody
        email = request.requester_email
        covered, changed = _listed(request.covered_records), _listed(request.changed_records)
    if not isinstance(email, str) or not email:
        return []
    also = changed if _said_of_a_change(request) == SecondLook.Outcome.GO_ON else []
    known = people.ask()
    before = known.still(email, covered or known.named(email), also)
    same, _ = known.later(email, covered or known.named(email))  # one of before does not tell what it covered
    return before + [one for one in same if one not in before]


def others_with_address(request: Request) -> people.Records:
    """Return the records, (label, id), that carry the address of a request about records, are none that it covers and point to
    somebody else: written down after it came, or named anew."""
    with vault.internal():  # looked up by its blind index, shown to nobody
        email, covered = request.requester_email, _listed(request.covered_records)
    if not request.is_about_records or not isinstance(email, str) or not email:
        return []
    return people.ask().later(email, covered or people.ask().named(email))[1]


def settled_others(request: Request) -> people.Records:
    """Return those of them about which a second person was asked."""
    with vault.internal():  # the file of the request, shown to nobody
        return _listed(request.other_records)


def _listed(stored: Any) -> people.Records:
    return [(label, UUID(pk)) for label, pk in stored] if isinstance(stored, list) else []


def was_asked_of_a_change(request: Request) -> bool:
    """Say whether a second person was asked already about a change on a record that the request covers."""
    return _said_of_a_change(request) is not None


def address_for_answer(request: Request, *, now: datetime) -> str:
    """Return where links, codes and answers go, else "" (by post): never an address that only came with the request.

    It is the address on file by which the person asked, else the one that opens their file. Of a request about records it is
    the address that stands on them; of one that was matched with nobody the one that was given, to which nothing is
    disclosed. Once an erasure has begun, what was on file before it stands in the file of the request.
    None from which a mail of this request came back. Opened to be sealed into a letter at once, so nobody is asked.
    """
    to = _address_on_file(request, now)
    return "" if to and writing.bounced(request, to) else to


def _address_on_file(request: Request, now: datetime) -> str:
    with vault.internal():
        stored = request.requester_email
        stored = "" if isinstance(stored, vault.Unreadable) else str(stored or "")
        if request.subject_id is None or request.is_about_records or _has_begun(request):
            return stored
        known = people.ask()
        asked_by = known.on_file(request.subject_id, stored, now) if stored else ""
        return asked_by or known.answer_address(request.subject_id, now)


def _has_begun(request: Request) -> bool:
    """Say whether an erasure was started: what it took can be read nowhere else any more."""
    state = request.parked_from if request.state == State.PARKED else request.state
    return request.procedure.removes and state in BEGUN_STATES


def _is_erased(subject: UUID) -> bool:
    """Say whether an erasure of this person was started: a copy asked for before outlives it."""
    erasures = Request.objects.filter(subject_id=subject, kind__in=procedures.removing())
    return any(_has_begun(one) for one in erasures.only("kind", "state", "parked_from"))


def spelled_on_file(label: str, record: UUID, email: str) -> str:
    """Return this address as it stands on a record: letter case is the record's, not the asker's. "" when it does not."""
    model = datamap.for_label(label).model
    row = model._default_manager.filter(pk=record).first()
    wanted = vault.index.normalise("email", email)
    with vault.internal():
        for one in model._meta.private_fields if row is not None else ():
            value = getattr(row, one.name) if _is_address(one) else ""
            if isinstance(value, str) and vault.index.normalise("email", value) == wanted:
                return value
    return ""


def _is_address(one: Any) -> bool:
    return any(isinstance(b, vault.Exact) and b.normaliser == "email" for b in getattr(one, "blind", ()))


def send_link(request: Request, purpose: str, *, to: str, now: datetime) -> None:
    """Send a one-time link to an address on file, or for IDENTITY to one that nothing carries.

    Earlier unused links of the same purpose stop working.
    """
    with transaction.atomic():
        OneTimeLink.objects.filter(request=request, purpose=purpose, used_at=None).update(expires_at=now)
        token = make_link(request, purpose, to=to, now=now)
        link = OneTimeLink.objects.get(token_hash=_hashed(token))
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
