"""References and outcome codes of requests: random, shown once, kept as hashes that are bound to their request.

What must never happen: an answer that tells a stranger whether a reference is known here; a code that whoever can write
to the database made, or that works for another request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cache
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db.models import QuerySet
from stdnum import luhn

from privacy import letters, vault
from privacy.letters.models import Letter
from privacy.requests.history import ACKNOWLEDGEMENT
from privacy.requests.models import Request

# Crockford's alphabet: no I, L, O, U, so that a reference survives the telephone.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BETWEEN = ":"  # the keyed hash of an outcome code, the slow one, and that of the address to which it went
CODE_WENT_TO = "outcome-code-address"


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
        kept += BETWEEN + vault.mac_of(CODE_WENT_TO, request.pk, hash_of_address(key_of(plain_code(code)), to))
    return bound_to(request.pk, kept)


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

    One that stands in a letter to be posted has not, before that letter is ticked off: until then only who has it on
    the screen can know the code. Who signed in, or used a one-time link, was shown it.
    """
    if request.identity in (Request.Identity.LOGIN, Request.Identity.LINK):
        return True
    gave = gave_code(request)
    return not gave.exists() or gave.exclude(by=Letter.By.POST, sent_at=None).exists()


def had_code(request: Request) -> set[tuple[str, str]]:
    """Return which members of staff, (kind, id), opened or ticked off a letter that gives the outcome code of a
    request."""
    return letters.in_hand(gave_code(request).filter(by=Letter.By.POST).values_list("pk", flat=True))


def gave_code(request: Request) -> QuerySet[Letter]:
    """Return the letters that give the outcome code of a request, or gave it."""
    return Letter.objects.filter(request=request, kind=ACKNOWLEDGEMENT, credentials_until__isnull=False)


def bound_to(request: UUID, kept: str) -> str:
    """Return what is kept of an outcome code with the keyed hash that binds it to its request before it."""
    return vault.mac_of("outcome-code", request, kept) + BETWEEN + kept


def plain_code(code: str) -> str:
    """Return what all spellings of one code have in common."""
    return "".join(c for c in code.upper() if c.isalnum()).translate(str.maketrans("OIL", "011"))


@cache
def _hash_of_no_code() -> str:
    """Return what stands in for a missing hash; made once, else an unknown reference would take twice the time."""
    return make_password("no code")


def key_of(token: str) -> str:
    """Return the key, made of a token or code, under which the address is hashed that it went to."""
    return hashlib.sha256(f"address of {token}".encode()).hexdigest()


def hash_of_address(key: str, email: str) -> str:
    """Return the keyed hash of an address: it tells where something went to whom has the token or code, and to nobody
    else."""
    return hmac.digest(key.encode(), vault.index.normalise("email", email).encode(), "sha256").hex()
