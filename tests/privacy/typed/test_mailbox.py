"""One mailbox stands on file in one spelling: a second one of it is no other address that could be told."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import corrections
from accounts.models import Customer
from privacy.gate import Actor
from privacy.requests import filing
from privacy.typed import mailbox
from tests import factories

pytestmark = pytest.mark.django_db
SALES = Actor("staff", "sam", None, frozenset({"sales"}), "admin", "phone call")
UNUSUAL = [
    "alice@po\u017ft.example", '"alice.archer"@post.example', "alice@\uff50ost.example", "alice@mail\u3002post.example",
    "alice@\ufb01sh.example",
]  # fmt: skip
USUAL = [
    "alice@post.example", "alice@b\u00fccher.example", "alice@bu\u0308cher.example", "alice@stra\u00dfe.example",
    "\u00e9mile@post.example", "a.l+ice@post.example", "alice@\u043f\u043e\u0447\u0442\u0430.example",
]  # fmt: skip


@pytest.mark.parametrize("address", UNUSUAL)
def test_a_second_spelling_of_a_mailbox_does_not_come_on_file(address: str) -> None:
    customer = factories.customer(email="alice@example.com")
    with pytest.raises(ValidationError, match="as it is usually written"):
        corrections.correct(customer, {"email": address}, actor=SALES, now=factories.NOW, reason="phone call")
    answer = Client().post("/accounts/signup/", {"username": "nora", "email": address, "password1": factories.PASSWORD})
    assert answer.status_code == 200 and not EmailAddress.objects.exists()
    assert Customer.objects.count() == 1


def test_mail_goes_to_the_plain_spelling_and_what_has_none_stays_as_it_is() -> None:
    assert mailbox.as_sent(" alice@\uff50ost\u3002example ") == "alice@post.example"
    too_long = "alice@" + "\u00fc" * 60 + ".example"
    assert mailbox.as_sent(f" {too_long}") == too_long


@pytest.mark.parametrize("address", USUAL)
def test_an_address_in_its_own_letters_does(address: str) -> None:
    customer = factories.customer(email="old@example.com")
    assert corrections.correct(customer, {"email": address}, actor=SALES, now=factories.NOW, reason="phone call")


@pytest.mark.parametrize("address", UNUSUAL)
def test_somebody_whose_address_stands_there_from_before_can_still_ask_and_is_written_to(address: str) -> None:
    mailbox.validate(address)  # what letters and the form of a request hold an address against
    filing.ask(
        kind="access", email=address, actor=Actor("anonymous", None, None, frozenset(), "web"), now=factories.NOW
    )
