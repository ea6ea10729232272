"""To which address a link or an outcome code went, and whether that address is still the person's.

What must never happen: a link or code that works longer than the address to which it went counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from privacy import people, vault
from privacy.requests import addresses, codes, links
from privacy.requests.codes import BETWEEN, CODE_WENT_TO
from privacy.requests.links import LinkRefused
from privacy.requests.models import OneTimeLink, Request, SecondLook


@dataclass(frozen=True)
class Stands:
    """On what a proof stands: the link, or the request whose outcome code it was, and what tells to which address that
    went. Opens nothing, and is no link and no code."""

    link: int
    key: str
    code_of: str = ""


def stands_on(token: str) -> Stands:
    """Return on what the link of `token` stands. Raises LinkRefused."""
    found = OneTimeLink.objects.filter(token_hash=links.hashed(token)).values_list("pk", flat=True).first()
    if found is None:
        raise LinkRefused
    return Stands(found, codes.key_of(token))


def stands_on_code(request: Request, code: str) -> Stands:
    """Return on what the outcome code of a request stands."""
    return Stands(0, codes.key_of(codes.plain_code(code)), str(request.pk))


def counts_still(link: OneTimeLink, key: str, *, now: datetime) -> bool:
    """Return whether the address to which a link went is still the person's: it may have changed hands since."""
    if not links.is_ours(link):
        return False
    if not link.address_hash:
        return True
    return _is_still_theirs(link.request, lambda one: codes.hash_of_address(key, one) == link.address_hash, now=now)


def code_counts_still(request: Request, key: str, *, now: datetime) -> bool:
    """Return the same of the address to which the outcome code of a request went; True where it went by post."""
    _, _, kept = request.outcome_code_hash.partition(BETWEEN)
    _, _, went_to = kept.partition(BETWEEN)
    if not went_to:
        return True
    return _is_still_theirs(
        request, lambda one: vault.mac_fits(went_to, CODE_WENT_TO, request.pk, codes.hash_of_address(key, one)), now=now
    )


def _is_still_theirs(request: Request, is_it: Callable[[str], bool], *, now: datetime) -> bool:
    """Say whether the address of which `is_it` is True is still the person's.

    One that stands on the records of a request about records counts until it, or a name, is changed on one of
    them, and then as a second person decides. Once an erasure has begun, the address in the file of the request
    stands for those that it took.
    """
    if request.is_about_records:
        return addresses.said_of_a_change(request) in (None, SecondLook.Outcome.GO_ON)
    known = people.ask()
    with vault.internal():  # compared only, shown to nobody
        if request.subject_id is None or addresses.has_begun(request) or addresses.is_erased(request.subject_id):
            stored = request.requester_email
            # None there, or one that cannot be read: it went to one that had gone before, and not by post.
            return isinstance(stored, str) and bool(stored) and is_it(stored)
        one = next((one for one in known.others(request.subject_id, "") if is_it(one)), "")
        if not one:
            return False
        return bool(known.on_file(request.subject_id, one, now)) or is_it(known.answer_address(request.subject_id, now))
