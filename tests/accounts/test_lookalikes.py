"""An address that only looks like somebody's is somebody else's (B4, CVE-2019-19844): no link, no record, no login."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts import claim
from accounts.models import ClaimReview, Customer, LoginAddress, User
from privacy import vault
from privacy.letters import given
from privacy.models import Letter, OneTimeLink, Request
from tests import factories

pytestmark = pytest.mark.django_db

STORED = "fiona.kiss@example.com"
LIKE = [
    "ﬁona.kiss@example.com", "fiona.\u212aiss@example.com", "fiona.kis\u017f@example.com", "fiona.kiß@example.com",
    "ｆiona.kiss@example.com", "fıona.kiss@example.com", "fiona.kiss@exampl\u0435.com", "fiona.kiss@ｅxample.com",
    "fiona.kiss\u200b@example.com", "fiona.k\u0131ss@example.com", "FIONA.KISS@EXAMPLE.COM", " fiona.kiss@example.com ",
]  # fmt: skip


def sent() -> list[tuple[str, str, str]]:
    """Return kind, address and text of every letter."""
    found = []
    for letter in Letter.objects.order_by("queued_at", "id"):
        with vault.internal():
            found.append((letter.kind, str(letter.to), str(given(letter)[0])))
    return found


def is_stored(address: str) -> bool:
    """Whether it is the same mailbox: ASCII letter case apart, the same characters."""
    return address.isascii() and address.strip().lower() == STORED


@pytest.mark.parametrize("typed", LIKE)
def test_a_reset_for_an_address_that_looks_alike_reaches_its_owner_or_nobody(typed: str) -> None:
    factories.login("fiona", STORED)
    Client().post(reverse("account_reset_password"), {"email": typed})
    for kind, to, text in sent():
        assert kind == "unknown_account" or is_stored(to), (kind, to)
        assert is_stored(to) or not re.search(r"/password/reset/key/", text)


@pytest.mark.parametrize("typed", LIKE)
def test_a_request_by_an_address_that_looks_alike_gives_a_stranger_nothing_of_hers(typed: str) -> None:
    customer = factories.customer("Fiona", "Kiss", email=STORED)
    Client().post("/privacy/ask/", {"kind": "access", "email": typed})
    for kind, to, _ in sent():
        assert is_stored(to) or kind in ("link_identity", "not_identified"), (kind, to)
    # a link to a stranger shows who reads the mailbox, and is about nobody
    strangers = Request.objects.filter(links__purpose=OneTimeLink.Purpose.IDENTITY).exclude(subject=customer.subject)
    assert all(one.subject_id is None and not is_stored(_address(one)) for one in strangers)
    for one in strangers:
        letter = Letter.objects.get(request=one, kind="link_identity")
        with vault.internal():
            link = re.search(r"/privacy/link/\S+", str(given(letter)[0]))
        assert link is not None
        page = Client().post(link[0], follow=True).text
        assert "We hold nothing about you" in page and "Kiss" not in page and "Fiona" not in page
    assert all(is_stored(_address(one)) for one in Request.objects.filter(subject=customer.subject))


def _address(request: Request) -> str:
    with vault.internal():
        return str(request.requester_email)


@pytest.mark.parametrize("typed", [one for one in LIKE if not is_stored(one)])
def test_who_proves_an_address_that_looks_alike_takes_over_nobodys_records(typed: str) -> None:
    customer = factories.customer("Fiona", "Kiss", email=STORED)
    stranger = factories.login("mallory", typed)
    assert claim.attempt(stranger, typed, actor=None, now=factories.NOW) is None
    assert Customer.objects.get(pk=customer.pk).user_id is None
    assert not ClaimReview.objects.exists(), "not even a question for staff: it is another address"


def test_two_addresses_that_look_alike_are_two_logins() -> None:
    factories.login("fiona", STORED)
    for number, typed in enumerate(one for one in LIKE[:6]):
        Client().post(
            reverse("account_signup"),
            {"username": f"other{number}", "email": typed, "password1": factories.PASSWORD},
        )
    for kind, to, _ in sent():
        assert kind != "account_already_exists" or is_stored(to)
    owners = User.objects.count()
    assert owners >= 2 and LoginAddress.objects.count() == owners
