"""Who is asking: references, codes and one-time links (Art. 12(6), 1&1: a name and a birth date prove nothing).

What must never happen: an answer that tells a stranger whether an address is known here, a link that works
twice or by GET, control of a shared mailbox taken for a person. Tokens and codes are stored as hashes only.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from privacy import vault
from privacy.requests import hooks, letters
from privacy.requests.models import OneTimeLink, Request

# Crockford's alphabet: no I, L, O, U, so that a reference survives the telephone.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LINK_LIVES = timedelta(days=3)
RESULT_LINK_LIVES = timedelta(days=7)


class LinkRefused(Exception):
    """The link is unknown, used or expired."""


# References and codes -------------------------------------------------------------------------------------------------


def new_reference(year: int) -> str:
    """Return a reference like PR-2026-7K3M-9Q: random, with a check character."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(5))
    return f"PR-{year}-{body[:4]}-{body[4]}{_check_character(f'{year}{body}')}"


def read_reference(typed: str) -> str | None:
    """Return the reference somebody typed in its one spelling, None when it cannot be one (a slip is noticed)."""
    plain = "".join(c for c in typed.upper() if c.isalnum()).removeprefix("PR").translate(str.maketrans("OIL", "011"))
    if len(plain) != 10 or any(c not in ALPHABET for c in plain) or plain[-1] != _check_character(plain[:-1]):
        return None
    return f"PR-{plain[:4]}-{plain[4:8]}-{plain[8:]}"


def _check_character(plain: str) -> str:
    """Luhn's formula modulo 32: finds every wrong character and every swap of two neighbours but one pair."""
    total = 0
    for place, character in enumerate(reversed(plain)):
        value = ALPHABET.index(character) * (2 if place % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def new_code() -> tuple[str, str]:
    """Return an outcome code (60 random bits, shown once) and the hash to keep of it."""
    plain = "".join(secrets.choice(ALPHABET) for _ in range(12))
    return "-".join((plain[:4], plain[4:8], plain[8:])), make_password(plain)


def code_matches(typed: str, hashed: str) -> bool:
    """Whether the typed code is the one that was shown; without a hash it takes as long and is False."""
    plain = "".join(c for c in typed.upper() if c.isalnum()).translate(str.maketrans("OIL", "011"))
    return check_password(plain, hashed or _hash_of_no_code()) and bool(hashed)


@cache
def _hash_of_no_code() -> str:
    """Return what stands in for a missing hash; made once, else an unknown reference would take twice the time."""
    return make_password("no code")


# One-time links -------------------------------------------------------------------------------------------------------


def make_link(request: Request, purpose: str, *, now: datetime) -> str:
    """Make a one-time link and return its token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    lives = LINK_LIVES if purpose == OneTimeLink.Purpose.IDENTITY else RESULT_LINK_LIVES
    OneTimeLink.objects.create(
        token_hash=_hashed(token), purpose=purpose, request=request, created_at=now, expires_at=now + lives
    )
    return token


def look(token: str, *, now: datetime) -> OneTimeLink:
    """Return the live link of `token` without using it (what GET may do). Raises LinkRefused."""
    link = (
        OneTimeLink.objects.select_related("request")
        .filter(token_hash=_hashed(token), used_at=None, expires_at__gt=now)
        .first()
    )
    if link is None:
        raise LinkRefused
    return link


def use(token: str, *, now: datetime) -> OneTimeLink:
    """Use up the link of `token` (POST only) and return it. Of two at once one wins. Raises LinkRefused."""
    with transaction.atomic():
        used = OneTimeLink.objects.filter(token_hash=_hashed(token), used_at=None, expires_at__gt=now).update(
            used_at=now
        )
        if not used:
            raise LinkRefused
        return OneTimeLink.objects.select_related("request").get(token_hash=_hashed(token))


def forget_links(*, now: datetime) -> int:
    """Delete links that could not be used for a month; return how many."""
    return OneTimeLink.objects.filter(expires_at__lt=now - timedelta(days=30)).delete()[0]


def _hashed(token: str) -> str:
    # 256 random bits need no salt and no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


# Whose address --------------------------------------------------------------------------------------------------------


def subjects_of(email: str) -> list[UUID]:
    """Return the subjects that have exactly this address on file; several mean a shared mailbox, which proves nobody."""
    email = email.strip()
    return sorted(set(hooks.people().find(email))) if email else []


def only_subject_of(email: str) -> UUID | None:
    """Return the one subject with this address on file, None when there is none or several."""
    found = subjects_of(email)
    return found[0] if len(found) == 1 else None


def address_for_answer(request: Request) -> str:
    """Return where the answer goes: the address in the request file, else the one on file, else "" (by post).

    To be called under an actor that may open the request file.
    """
    typed = request.requester_email
    if isinstance(typed, str) and typed:
        return typed
    if isinstance(typed, vault.Unreadable) or request.subject_id is None:
        return ""
    return hooks.people().address(request.subject_id)


def send_link(request: Request, purpose: str, *, to: str, now: datetime) -> None:
    """Send a one-time link to an address on file; earlier unused links of the same purpose stop working."""
    with transaction.atomic():
        OneTimeLink.objects.filter(request=request, purpose=purpose, used_at=None).update(expires_at=now)
        token = make_link(request, purpose, now=now)
        link = OneTimeLink.objects.get(token_hash=_hashed(token))
        letters.queue(
            f"link_{purpose}",
            to=to,
            context={"path": f"/privacy/link/{token}/", "expires_at": link.expires_at},
            key=f"link:{link.pk}",
            request=request,
            now=now,
        )
