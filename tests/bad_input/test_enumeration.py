"""Does this address have an account? (B8, R11) The same status, text, headers and number of mails, whoever it is.

Locked is one whose password was tried too often; unverified one who never followed the link. How long it takes is B9.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from privacy.models import Letter
from privacy.requests import codes
from tests import factories, pages
from tests.figures import report

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

KNOWN, UNVERIFIED, LOCKED, UNKNOWN = (
    "known@post.example",
    "unver@post.example",
    "lock1@post.example",
    "nobdy@post.example",
)
STATES = {"known": KNOWN, "unverified": UNVERIFIED, "locked": LOCKED, "unknown": UNKNOWN}
TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value=")[^"]+')
# The request's own number and time, and the length, which tells no more than the text that is compared.
MOVING = {"X-Request-ID", "Content-Length", "Expires"}
WRONG = "wrong wrong wrong wrong"


@pytest.fixture(autouse=True)
def _people() -> None:
    factories.customer("Known", "Person", email=KNOWN, user=factories.login("known", KNOWN))
    factories.login("unver", UNVERIFIED, verified=False)
    factories.customer("Locked", "Person", email=LOCKED, user=factories.login("lock1", LOCKED))


def lock(address: str) -> None:
    """Try wrong passwords until no more are let through."""
    for _ in range(6):
        Client(REMOTE_ADDR="198.51.100.9").post("/accounts/login/", {"login": address, "password": WRONG})


def seen(answer: Any, typed: str) -> tuple[Any, ...]:
    """Return all that a stranger sees of an answer, without its tokens and what was typed."""
    text = TOKEN.sub(r"\1", answer.content.decode()).replace(typed, "TYPED")
    headers = {name: value for name, value in answer.headers.items() if name not in MOVING}
    cookies = {name: {k: v for k, v in morsel.items() if k != "expires"} for name, morsel in answer.cookies.items()}
    return answer.status_code, headers, cookies, text.replace(typed.partition("@")[0], "NAME")


def ask(path: str, data: dict[str, str], typed: str) -> tuple[tuple[Any, ...], int]:
    """Return what a stranger sees of a form's answer and of the page it leads to, and how many letters were written."""
    cache.clear()
    if typed == LOCKED:
        lock(LOCKED)
    before = Letter.objects.count()
    browser = Client()
    browser.get(path)
    answer = browser.post(path, data)
    found = [seen(answer, typed)]
    if answer.status_code == 302:
        found.append(seen(browser.get(answer.headers["Location"]), typed))
    return tuple(found), Letter.objects.count() - before


def compared(path: str, make: Any, states: dict[str, str] = STATES) -> dict[str, int]:
    """Assert that nobody sees a difference; return the number of letters for each."""
    answers = {state: ask(path, make(address), address) for state, address in states.items()}
    shown = {state: found for state, (found, _) in answers.items()}
    for state in states:
        assert shown[state] == shown["unknown"], f"{path}: {state} is told apart"
    return {state: letters for state, (_, letters) in answers.items()}


def test_a_wrong_password_says_the_same_to_everybody() -> None:
    letters = compared("/accounts/login/", lambda address: {"login": address, "password": WRONG}, {
        name: address for name, address in STATES.items() if name != "locked"
    })  # fmt: skip
    assert set(letters.values()) == {0}
    report("B8", "differences at login", 0, n=len(letters), goal="0")


def test_too_many_wrong_passwords_say_the_same_for_an_address_that_nobody_has() -> None:
    """The limit itself tells nothing: it counts for what was typed, not for who is there."""
    answers = []
    for address in (LOCKED, UNKNOWN, UNVERIFIED):
        cache.clear()
        lock(address)
        answers.append(seen(Client().post("/accounts/login/", {"login": address, "password": WRONG}), address))
    assert answers[0] == answers[1] == answers[2]
    report("B8", "differences at a login that is locked", 0, n=len(answers), goal="0")


def test_a_reset_says_the_same_to_everybody_and_writes_one_letter() -> None:
    letters = compared("/accounts/password/reset/", lambda address: {"email": address})
    assert set(letters.values()) == {1}
    report("B8", "differences at a password reset", 0, n=len(letters), goal="0")


def test_a_sign_up_says_the_same_to_everybody_and_writes_one_letter() -> None:
    names = iter(("newone", "newtwo", "newthr", "newfou"))
    made = {address: next(names) for address in STATES.values()}
    letters = compared(
        "/accounts/signup/",
        lambda address: {"username": made[address], "email": address, "password1": factories.PASSWORD},
    )
    assert set(letters.values()) == {1}
    report("B8", "differences at a sign-up", 0, n=len(letters), goal="0")


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_request_without_a_login_says_the_same_to_everybody_and_writes_one_letter(kind: str) -> None:
    letters = compared("/privacy/ask/", lambda address: {"kind": kind, "email": address})
    assert set(letters.values()) == {1}
    report("B8", f"differences at a request without a login ({kind})", 0, n=len(letters), goal="0")


def test_a_new_address_says_the_same_whoever_has_it() -> None:
    """Somebody who is signed in asks for another address: one that is free, or somebody's."""
    mallory = factories.login("mallory", "mallory@post.example")
    answers, letters = [], []
    for address in STATES.values():
        cache.clear()
        browser = pages.signed_in(mallory, again=True)
        before = Letter.objects.count()
        answer = browser.post("/accounts/email/", {"action_add": "", "email": address})
        found = [seen(answer, address)]
        if answer.status_code == 302:
            found.append(seen(browser.get(answer.headers["Location"]), address))
        answers.append(found)
        letters.append(Letter.objects.count() - before)
        mallory.emailaddress_set.filter(verified=False).delete()
    for state, answer in zip(STATES, answers, strict=True):
        assert answer == answers[-1], f"{state} is told apart"
    assert len(set(letters)) == 1, letters
    report("B8", "differences at a change of address", 0, n=len(answers), goal="0")


def test_an_outcome_says_the_same_for_an_unknown_reference_and_a_wrong_code() -> None:

    data = {"code": "AAAA-BBBB-CCCC"}
    unknown = [codes.new_reference(2026), "PR-2026-0000-00", "QXQX"]
    answers = {seen(Client().post("/privacy/outcome/", {**data, "reference": one}), one)[3] for one in unknown}
    assert len(answers) == 1
    report("B8", "differences at the outcome of a request", 0, n=len(unknown), goal="0")
