"""The page of a limit says what was limited and when the next attempt is taken, and the same of every address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account import app_settings
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

from ilt_site import limits, views
from privacy.models import Letter
from tests import factories, pages
from tests.accounts.test_login import log_in, sign_up
from tests.bad_input.test_enumeration import KNOWN, UNKNOWN, UNVERIFIED, seen

pytestmark = pytest.mark.django_db

AGAIN = "You can ask again in"


@pytest.fixture
def clock() -> Iterator[Any]:
    cache.clear()
    with time_machine.travel(factories.NOW, tick=False) as traveller:
        yield traveller


def signed_up_again(clock: Any, address: str, name: str) -> Any:
    """Sign up with an address, and once more twenty seconds later in another browser; return the second answer."""
    cache.clear()
    sign_up(Client(), name, address)
    clock.shift(timedelta(seconds=20))
    return sign_up(Client(), f"{name}2", address)


def test_who_signs_up_again_at_once_reads_that_a_letter_was_asked_for_and_when_another_may_be(clock: Any) -> None:
    answer = signed_up_again(clock, "nora@example.com", "nora")
    text = pages.check(answer, status=429)
    assert "We have just been asked to write to this address" in text and "look among unwanted mail" in text
    assert f"{AGAIN} 40 seconds." in text and "limited to 1 a minute" in text and "Nothing was changed" in text
    assert answer.headers["Retry-After"] == "40"
    clock.shift(timedelta(seconds=40))
    assert sign_up(Client(), "noratwo", "nora@example.com").status_code == 302, "what the page says is so"


def test_the_page_says_the_same_of_an_address_that_has_a_login_and_of_one_that_has_none(clock: Any) -> None:
    factories.customer("Known", "Person", email=KNOWN, user=factories.login("known", KNOWN))
    factories.login("unver", UNVERIFIED, verified=False)
    shown = []
    for number, address in enumerate((KNOWN, UNVERIFIED, UNKNOWN)):
        shown.append(seen(signed_up_again(clock, address, f"other{number}"), address))
    assert shown[0][0] == 429
    assert shown[0] == shown[1] == shown[2]


def test_who_asks_for_a_new_password_too_often_reads_when_to_ask_again(clock: Any) -> None:
    factories.login("known", KNOWN)
    shown = []
    for address in (KNOWN, UNKNOWN):
        for _ in range(5):
            assert Client().post("/accounts/password/reset/", {"email": address}).status_code == 302
        clock.shift(timedelta(seconds=13))
        answer = Client().post("/accounts/password/reset/", {"email": address})
        assert f"{AGAIN} 47 seconds." in pages.check(answer, status=429)
        shown.append(seen(answer, address))
    assert shown[0] == shown[1]


def test_a_day_with_ten_codes_says_how_many_hours_are_left(clock: Any) -> None:
    for number in range(10):
        assert sign_up(Client(), f"nora{number}", "nora@example.com").status_code == 302
        clock.shift(timedelta(minutes=2))
    text = pages.check(sign_up(Client(), "noralast", "nora@example.com"), status=429)
    assert f"{AGAIN} 24 hours." in text and "limited to 10 a day" in text


def test_who_signs_in_at_once_to_an_unconfirmed_login_reads_that_the_code_was_sent(clock: Any) -> None:
    sign_up(Client(), "nora", "nora@example.com")
    letters = Letter.objects.count()
    text = pages.check(log_in(Client(), "nora"), status=429)
    assert "we have just sent a code to it" in text and "You can try again in a minute" in text
    assert Letter.objects.count() == letters
    assert limits.reached(RequestFactory().post("/accounts/login/", {"login": "nora"})) is None


@pytest.mark.parametrize(
    ("path", "data", "times", "said"),
    [
        ("/privacy/ask/", {"kind": "access", "email": "somebody@post.example"}, 10, ("10 an hour", "60 minutes")),
        ("/privacy/outcome/", {"reference": "PR-2026-0000-00", "code": "AAAA-AAAA-AAAA"}, 10, ("10 a minute", "60 seconds")),
    ],
)  # fmt: skip
def test_a_page_without_a_login_says_its_own_limit(
    clock: Any, path: str, data: dict[str, str], times: int, said: tuple[str, str]
) -> None:
    browser = Client()
    for _ in range(times):
        browser.post(path, data)
    text = pages.check(browser.post(path, data), status=429)
    assert f"from one connection are limited to {said[0]}." in text
    assert f"You can try again in {said[1]}." in text


def test_each_limit_that_stops_a_page_has_words_and_a_page() -> None:
    on_a_page = {action for actions in limits.ACTIONS.values() for action in actions}
    assert on_a_page == set(limits.THINGS)
    assert [page for page in limits.ACTIONS if page not in get_resolver().reverse_dict] == []
    unused = {"change_phone", "verify_phone", "request_login_code"}  # neither telephones nor codes let anybody in
    in_its_form = {"login_failed"}  # said above the form itself
    assert set(app_settings.RATE_LIMITS) - unused - in_its_form == on_a_page


def test_two_attempts_at_the_same_moment_say_so() -> None:
    answer = views.too_many_requests(RequestFactory().post(reverse("ask")))
    assert "in a few seconds" in answer.content.decode() and answer.headers["Retry-After"] == "5"
