"""Does the time of an answer tell whether somebody has an account? (B9, R11) Measured in turns; no test asks how
fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client

from ilt_site import settings as configured
from privacy.requests import codes
from tests import factories
from tests.asked import filed
from tests.figures import report, tries

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

TRIES = tries(3, 200)
WRONG = "wrong wrong wrong wrong"
Ask = Callable[[str], tuple[str, dict[str, str]]]

QUESTIONS: dict[str, Ask] = {
    "a login with a wrong password": lambda address: ("/accounts/login/", {"login": address, "password": WRONG}),
    "a password reset": lambda address: ("/accounts/password/reset/", {"email": address}),
    "a sign-up": lambda address: (
        "/accounts/signup/",
        {"username": f"new-{address.partition('@')[0]}", "email": address, "password1": factories.PASSWORD},
    ),
    "a request without a login": lambda address: ("/privacy/ask/", {"kind": "access", "email": address}),
}


def compared(ask: Ask, known: Sequence[str], unknown: Sequence[str]) -> tuple[list[float], list[float]]:
    """Return the seconds of the answers about those we know and about those we do not, asked in turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    statuses = set()
    for at, pair in enumerate(zip(known, unknown, strict=True)):
        for side in ((0, 1), (1, 0))[at % 2]:
            cache.clear()  # the limits
            browser = Client()
            path, data = ask(pair[side])
            begin = time.perf_counter()
            answer: Any = browser.post(path, data)
            seconds[side].append(time.perf_counter() - begin)
            statuses.add(answer.status_code)
    assert len(statuses) == 1, statuses
    return seconds


def told_apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how often the better guess is right from one time of each: 0.5 when they tell
    nothing, 1.0 when everything."""
    wins = sum((a > b) + 0.5 * (a == b) for a in one for b in other) / len(one) / len(other)
    return max(wins, 1 - wins)


def gap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return by how many per cent the medians differ."""
    medians = statistics.median(one), statistics.median(other)
    return 100 * abs(medians[0] - medians[1]) / min(medians)


def measured(what: str, known: Sequence[float], unknown: Sequence[float]) -> None:
    report("B9", f"{what}: medians apart", round(gap(known, unknown), 1), unit="%", n=len(known), goal="≤ 5 %")
    report("B9", f"{what}: told apart by one answer", round(told_apart(known, unknown), 3), n=len(known), goal="≤ 0.55")


def people(count: int) -> tuple[list[str], list[str]]:
    """Make customers with a login; return their addresses and as many of nobody, of the same length."""
    known, unknown = [], []
    for number in range(count):
        known.append(f"known{number:04d}@post.example")
        unknown.append(f"nobdy{number:04d}@post.example")
        factories.customer("Known", "Person", email=known[-1], user=factories.login(f"known{number:04d}", known[-1]))
    return known, unknown


@pytest.fixture(autouse=True)
def _as_in_use(settings: LazySettings) -> None:
    """The answers are held as in use, and passwords hashed: the tests' own hasher is too quick to time."""
    settings.EVEN_TIME_STEP = configured.EVEN_TIME_STEP
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    codes._hash_of_no_code.cache_clear()  # another test's hasher may have made it


@pytest.mark.parametrize("what", QUESTIONS)
def test_the_time_of_an_answer_is_the_same_for_everybody(what: str) -> None:
    known, unknown = people(TRIES + 1)
    compared(QUESTIONS[what], known[:1], unknown[:1])  # what is made once in a process
    measured(what, *compared(QUESTIONS[what], known[1:], unknown[1:]))


def test_an_outcome_takes_as_long_for_an_unknown_reference_as_for_a_wrong_code() -> None:
    about = filed(factories.customer("Known", "Person", email="known@post.example"))
    about.outcome_code_hash = codes.hash_of_code(about, codes.new_code())
    about.save()
    known, unknown = [about.reference] * (TRIES + 1), [codes.new_reference(2026) for _ in range(TRIES + 1)]

    def ask(reference: str) -> tuple[str, dict[str, str]]:
        return "/privacy/outcome/", {"reference": reference, "code": "AAAA-BBBB-CCCC"}

    compared(ask, known[:1], unknown[:1])
    measured("an outcome with a wrong code", *compared(ask, known[1:], unknown[1:]))
