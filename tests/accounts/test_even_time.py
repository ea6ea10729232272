"""What a stopwatch would tell (R11): as much work for those we know as for those we do not, and answers that are
held."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from accounts import middleware
from accounts.adapter import AccountAdapter
from accounts.middleware import EVEN_TIME
from accounts.pace import LATELY, Pace
from accounts.places import Places
from privacy.letters.models import Letter
from privacy.requests import codes
from privacy.vault import ring as rings
from tests import factories
from tests.asked import filed

pytestmark = pytest.mark.django_db

KNOWN, UNVERIFIED, UNKNOWN = "known@post.example", "unver@post.example", "nobdy@post.example"


class Counting(MD5PasswordHasher):
    """Counts how many passwords are hashed."""

    algorithm = "counting"
    count = 0

    def encode(self, password: str, salt: str) -> str:
        Counting.count += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def _people(settings: LazySettings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    factories.customer("Known", "Person", email=KNOWN, user=factories.login("known", KNOWN))
    factories.login("unver", UNVERIFIED, verified=False)


def hashes(path: str, data: dict[str, str]) -> int:
    """Return how many passwords are hashed for one answer."""
    cache.clear()
    Counting.count = 0
    Client().post(path, data)
    return Counting.count


@pytest.mark.parametrize("typed", [KNOWN, UNVERIFIED, UNKNOWN, "known", "unver", "nobdy"])
def test_a_login_hashes_one_password_whoever_is_named(typed: str) -> None:
    assert hashes("/accounts/login/", {"login": typed, "password": "wrong wrong wrong wrong"}) == 1


@pytest.mark.parametrize("typed", [KNOWN, "known"])
def test_the_right_password_still_lets_in(typed: str) -> None:
    answer = Client().post("/accounts/login/", {"login": typed, "password": factories.PASSWORD})
    assert answer.status_code == 302


def test_the_limit_of_tries_counts_by_a_keyed_name_and_one_for_all_its_spellings(
    settings: LazySettings, tmp_path: Path
) -> None:
    """Else whoever reads the cache could test addresses, and each spelling had tries of its own."""

    def key(**credentials: str) -> str:
        return AccountAdapter()._get_login_attempts_cache_key(HttpRequest(), **credentials)

    assert key(username="known") == key(username=" KNOWN") == key(username="\uff4bnown")
    assert key(email=KNOWN) == key(email=KNOWN.upper(), username=KNOWN)
    assert len({key(username="known"), key(email=KNOWN), key(email=UNKNOWN)}) == 3
    assert re.fullmatch(r"[0-9a-f]{32}", key(email=KNOWN))
    before = key(email=KNOWN)
    settings.KEY_RING_FILE = tmp_path / "ring.json"
    rings.write(tmp_path / "ring.json", rings.new(), new_file=True)
    assert key(email=KNOWN) != before


@pytest.mark.parametrize("address", [KNOWN, UNVERIFIED, UNKNOWN])
def test_a_sign_up_hashes_one_password_whoever_is_named(address: str) -> None:
    data = {"username": "somebody", "email": address, "password1": factories.PASSWORD}
    assert hashes("/accounts/signup/", data) == 1


def test_an_outcome_hashes_one_code_whether_or_not_there_is_a_request() -> None:
    about = filed(factories.customer("Other", "Person", email="other@post.example"))
    about.outcome_code_hash = codes.hash_of_code(about, codes.new_code())
    about.save()
    codes.code_matches("AAAA", None)  # what is made once in a process
    typed = [about.reference, codes.new_reference(2026), "PR-2026-0000-00", "?"]
    counts = [hashes("/privacy/outcome/", {"reference": one, "code": "AAAA-BBBB-CCCC"}) for one in typed]
    assert counts == [1, 1, 1, 1]


@pytest.fixture
def held(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Answers are held for a whole hour; return for how long each was."""
    settings.EVEN_TIME_STEP = 3600
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize("name", sorted(EVEN_TIME))
def test_an_answer_about_somebody_is_held_until_the_next_step(name: str, held: list[float]) -> None:
    Client().get(reverse(name))
    assert held == []
    begin = time.monotonic()
    Client().post(reverse(name), {"email": KNOWN})
    took = time.monotonic() - begin
    assert len(held) == 1
    assert 3600 - took <= held[0] <= 3600


def test_after_a_slow_answer_the_quick_ones_of_its_kind_leave_as_late() -> None:
    pace, step = Pace(), 0.5
    assert pace.leaves_after("/ask/", 0.1, step, at=0) == 0.5, "an idle machine"
    assert pace.leaves_after("/ask/", 1.2, step, at=1) == 1.5, "the slowest can be told"
    for took, at in ((0.1, 2), (0.7, 3), (1.4, 4)):
        assert pace.leaves_after("/ask/", took, step, at=at) == 1.5, "and nothing after it"
    assert pace.leaves_after("/login/", 0.1, step, at=5) == 0.5, "of its kind only"
    assert pace.leaves_after("/ask/", 0.1, step, at=4 + LATELY + 1) == 0.5, "an idle machine again"


def test_what_takes_longer_than_the_most_keeps_nobody_else_waiting() -> None:
    pace, step = Pace(), 0.5
    assert pace.leaves_after("/ask/", 7.1, step, at=0) == 7.5
    assert pace.leaves_after("/ask/", 0.1, step, at=1) == 0.5


def test_a_page_answers_as_late_as_the_slowest_of_late(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EVEN_TIME_STEP = 10
    waits: list[float] = []
    clock = iter([0.0, 25.0, 25.0, 30.0, 31.0, 31.0])  # began, looked at twice: 25 seconds, then one
    monkeypatch.setattr(
        middleware, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=waits.append, time=time.time)
    )
    visitor = Client()
    visitor.get("/")
    clock = iter([0.0, 25.0, 25.0, 30.0, 31.0, 31.0])
    for _ in range(2):
        visitor.post(reverse("outcome"), {})
    assert waits == [5.0, 29.0]


def test_a_refusal_by_a_limit_is_not_held(held: list[float]) -> None:
    data: Any = {"kind": "access", "email": KNOWN}
    answers = [Client().post(reverse("ask"), data).status_code for _ in range(11)]
    assert answers[-1] == 429
    assert len(held) == 10


def test_other_forms_are_not_held(held: list[float]) -> None:
    Client().post(reverse("account_logout"))
    assert held == []


# No more threads than half of them ------------------------------------------------------------------------------------


@pytest.fixture
def full(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Give the next client a web process of four places, two for one address."""
    settings.EVEN_TIME_STEP, settings.HELD_AT_ONCE = 3600, 4
    monkeypatch.setattr(time, "sleep", lambda _: None)
    made: list[Places] = []

    def places(most: int, for_one: int) -> Places:
        made.append(Places(most, for_one))
        return made[-1]

    monkeypatch.setattr(middleware, "Places", places)
    visitor = Client()
    visitor.get("/")
    (its,) = made
    its.visitor = visitor  # type: ignore[attr-defined]
    return its


@pytest.mark.parametrize("name", sorted(EVEN_TIME))
def test_who_finds_no_place_is_told_to_come_back_before_anything_is_looked_at(name: str, full: Places) -> None:
    visitor: Client = full.visitor  # type: ignore[attr-defined]
    data = {"email": UNKNOWN, "username": "somebody", "password1": factories.PASSWORD, "kind": "access"}
    if name == "account_email":  # a stranger is led to the sign-in
        visitor.force_login(factories.login("somebody", "some@post.example"))
    assert [full.take(one) for one in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2")] == [True] * 4
    Counting.count = 0
    refused = visitor.post(reverse(name), data)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert "nothing was changed" in refused.text and "Content-Security-Policy" in refused.headers
    assert Counting.count == 0 and not Letter.objects.exists()
    assert visitor.get("/").status_code == 200, "who only looks is served"
    full.give_back("192.0.2.1")
    assert visitor.post(reverse(name), data).status_code != 503
    assert full.take("192.0.2.9"), "the place was given back"


def test_one_address_gets_half_of_the_places(full: Places) -> None:
    visitor: Client = full.visitor  # type: ignore[attr-defined]
    assert [full.take("127.0.0.1"), full.take("127.0.0.1"), full.take("127.0.0.1")] == [True, True, False]
    assert visitor.post(reverse("ask"), {}).status_code == 503
    assert visitor.post(reverse("ask"), {}, REMOTE_ADDR="192.0.2.1").status_code == 200


def test_looking_at_the_page_for_a_code_needs_a_place_too(full: Places) -> None:
    visitor: Client = full.visitor  # type: ignore[attr-defined]
    assert visitor.get("/accounts/confirm-email/").status_code == 302
    assert [full.take("127.0.0.1"), full.take("127.0.0.1")] == [True, True]
    assert visitor.get("/accounts/confirm-email/").status_code == 503


def test_a_place_comes_back_when_a_page_fails(full: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor: Client = full.visitor  # type: ignore[attr-defined]
    visitor.raise_request_exception = False
    monkeypatch.setattr("privacy.requests.filing.ask", lambda **_: 1 / 0)
    for _ in range(3):
        assert visitor.post(reverse("ask"), {"kind": "access", "email": KNOWN}).status_code == 500
