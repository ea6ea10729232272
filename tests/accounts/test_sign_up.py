"""Signing up with an address that is somebody else's: what the stranger gets, and what the owner of the mailbox can do."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import Customer, User
from tests import factories
from tests.accounts.test_login import is_in, last_code, last_link, letters, log_in, sign_up, type_code
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ALICE, PAGE = "alice@example.com", "account_email_verification_sent"


@pytest.fixture
def mallory() -> Client:
    """Somebody who signed up with alice's address; alice is a customer without a login."""
    factories.customer(email=ALICE)
    browser = Client()
    sign_up(browser, "mallory", ALICE)
    return browser


def test_a_strangers_sign_up_gets_alice_a_letter_that_nothing_can_be_pressed_in(mallory: Client) -> None:
    """Pre-hijack (B3): alice does in good faith all that the letter offers; mallory's login must stay outside."""
    kind, to, text = letters()[-1]
    assert (kind, to) == ("email_confirmation_signup", ALICE)
    assert "http" not in text
    assert "mallory" in text, "she sees that the name is not hers"
    assert "join the orders and returns" in text
    assert "If you did not create this account, do nothing" in text
    alice = Client()
    assert type_code(alice, last_code()).status_code == 401, "her own browser asked for nothing"
    assert not is_in(mallory)
    log_in(mallory, "mallory")
    assert not is_in(mallory)
    assert not EmailAddress.objects.get().verified
    assert Customer.objects.get().user_id is None


def test_the_code_counts_in_the_browser_that_signed_up(mallory: Client) -> None:
    """The positive control: had alice read the code out to mallory, mallory would be in, and still not in her file."""
    type_code(mallory, last_code())
    assert is_in(mallory)
    assert EmailAddress.objects.get().verified
    assert Customer.objects.get().user_id is None


def test_the_code_counts_in_no_other_session_of_the_same_login(mallory: Client) -> None:
    first = last_code()
    cache.clear()
    second = Client()
    log_in(second, "mallory")
    assert last_code() != first
    assert type_code(second, first).status_code == 401
    assert not is_in(second)


def test_a_code_is_over_after_three_wrong_ones_or_a_quarter_of_an_hour(mallory: Client) -> None:
    code = last_code()
    for _ in range(3):
        answer = type_code(mallory, "WRON-GONE")
    assert answer.status_code == 401
    assert type_code(mallory, code).status_code == 401
    assert not is_in(mallory)
    cache.clear()
    log_in(mallory, "mallory")
    session = mallory.session
    session["account_email_verification_code"] = {**session["account_email_verification_code"], "at": 0}
    session.save()
    assert type_code(mallory, last_code()).status_code == 401
    assert not is_in(mallory)


def test_letters_with_a_code_to_one_address_are_limited(mallory: Client) -> None:
    before = len(letters())
    answers = [sign_up(Client(), f"mallory{number}", ALICE).status_code for number in range(3)]
    assert (answers, len(letters()) - before) == ([429, 429, 429], 0)


def test_somebody_whose_mailbox_was_used_takes_it_back_by_a_new_password(mallory: Client) -> None:
    """alice asks for a new password: the login is hers then, and mallory's password and half-way session are worth nothing."""
    alice = Client()
    alice.post(reverse("account_reset_password"), {"email": ALICE})
    assert letters()[-1][0] == "password_reset_key"
    new = {"password1": "another good long password", "password2": "another good long password"}
    alice.post(alice.get(last_link()).url, new)
    mallory.get(reverse(PAGE))
    log_in(mallory, "mallory", PASSWORD)
    assert not is_in(mallory)
    cache.clear()
    log_in(alice, "mallory", new["password1"])
    type_code(alice, last_code())
    assert is_in(alice)


def shown(browser: Client) -> tuple[Any, ...]:
    """What the page for the code shows and answers to a wrong code, without tokens."""
    answers = [browser.get(reverse(PAGE)), *(type_code(browser, "WRON-GONE") for _ in range(3))]
    return tuple(
        (
            one.status_code,
            one.get("Location", ""),
            re.sub(r'csrfmiddlewaretoken" value="[^"]+', "", one.content.decode()),
        )
        for one in answers
    )


def test_the_page_for_the_code_is_the_same_for_a_new_and_a_known_address() -> None:
    factories.login("alice", ALICE)
    new, known = Client(), Client()
    sign_up(new, "newcomer", "new@example.com")
    sign_up(known, "another", ALICE)
    assert [kind for kind, _, _ in letters()] == ["email_confirmation_signup", "account_already_exists"]
    assert shown(new) == shown(known)
    assert User.objects.count() == 2
