"""Passwords and codes guessed by the thousand (B10): what is let through stays below the limit, from wherever it
comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.auth.signals import user_login_failed
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from tests import factories, pages
from tests.figures import report, tries

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

TRIES = tries(40, 1_000)
BY_ACCOUNT, BY_ADDRESS = 5, 10  # in five minutes, in one: ACCOUNT_RATE_LIMITS
WRONG = "wrong wrong wrong wrong"
LOGIN, SECOND = "/accounts/login/", "/accounts/2fa/authenticate/"
TOO_MANY = "Too many failed login attempts"


@pytest.fixture(autouse=True)
def _at_one_moment() -> Iterator[None]:
    """All tries fall into one window of every limit, however long they take."""
    with time_machine.travel(factories.NOW, tick=False):
        cache.clear()
        yield


@pytest.fixture
def wendy() -> User:
    """Not one of those who are at home for the whole folder."""
    return factories.login("wendy", "wendy@post.example")


class Looked(list[Any]):
    """Counts how often a password was really looked at."""

    def __init__(self) -> None:
        super().__init__()
        user_login_failed.connect(self.add)

    def add(self, **_: Any) -> None:
        self.append(None)


def address(number: int) -> str:
    return f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def spellings(name: str) -> Iterator[str]:
    """Yield spellings that are all found as `name`: capitals and full-width letters, in every mixture."""
    for number in range(2 ** (2 * len(name))):
        letters = (
            (letter, letter.upper(), chr(ord(letter) + 0xFEE0), chr(ord(letter.upper()) + 0xFEE0))[number >> 2 * at & 3]
            for at, letter in enumerate(name)
        )
        yield "".join(letters)


def guess(names: Iterator[str], machines: Iterator[dict[str, str]]) -> tuple[int, bool]:
    """Try wrong passwords and return how many were looked at, and whether the last one was refused by a limit."""
    looked, is_refused = Looked(), False
    for _ in range(TRIES):
        answer = Client(**next(machines)).post(LOGIN, {"login": next(names), "password": WRONG})
        assert answer.status_code in {401, 429}
        is_refused = answer.status_code == 429
        assert is_refused or TOO_MANY not in answer.content.decode()
    return len(looked), is_refused


def always(text: str) -> Iterator[str]:
    while True:
        yield text


def one_machine() -> Iterator[dict[str, str]]:
    while True:
        yield {"REMOTE_ADDR": "198.51.100.7"}


def many_machines() -> Iterator[dict[str, str]]:
    for number in range(TRIES):
        yield {"REMOTE_ADDR": address(number)}


def one_machine_that_lies() -> Iterator[dict[str, str]]:
    for number in range(TRIES):
        yield {"REMOTE_ADDR": "198.51.100.7", "HTTP_X_FORWARDED_FOR": address(number)}


def everybody() -> Iterator[str]:
    for number in range(TRIES):
        yield f"somebody{number}"


WAYS = {
    "one account from one address": (always("wendy"), one_machine, BY_ACCOUNT),
    "one account from everywhere": (always("wendy"), many_machines, BY_ACCOUNT),
    "one account by e-mail from everywhere": (always("wendy@post.example"), many_machines, BY_ACCOUNT),
    "one account in all its spellings from everywhere": (spellings("wendy"), many_machines, BY_ACCOUNT),
    "a thousand accounts from one address": (everybody(), one_machine, BY_ADDRESS),
    "a thousand accounts with forged X-Forwarded-For": (everybody(), one_machine_that_lies, BY_ADDRESS),
}


@pytest.mark.parametrize("way", WAYS)
def test_passwords_are_looked_at_up_to_the_limit_only(way: str, wendy: User) -> None:
    names, machines, limit = WAYS[way]
    looked, is_refused = guess(names, machines())
    report("B10", f"passwords looked at: {way}", looked, n=TRIES, goal=f"≤ {limit}")
    assert 0 < looked <= limit
    assert is_refused, "the last try was not told that it was one too many"


def test_the_owner_comes_in_again_when_the_attack_is_over(wendy: User) -> None:
    """While the tries go on, the owner is held back with the attacker; the limit ends by itself after five minutes."""
    guess(always("wendy"), many_machines())
    mine = {"login": "wendy", "password": factories.PASSWORD}
    for minutes in range(20):
        with time_machine.travel(factories.NOW + timedelta(minutes=minutes), tick=False):
            if Client(REMOTE_ADDR="192.0.2.1").post(LOGIN, mine).status_code == 302:
                break
    report(
        "B10", "time until the owner comes in after the last try that counted", minutes, unit="min", n=1, goal="≤ 5 min"
    )
    assert 0 < minutes <= 5


def with_second_factor(user: User) -> str:
    """Give the user an authenticator and recovery codes; return the authenticator's secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


@pytest.mark.parametrize("kind", ["codes of the authenticator", "recovery codes"])
def test_a_second_factor_is_looked_at_up_to_the_limit_only(kind: str, wendy: User) -> None:
    """By somebody who has the password, from a new address with each try."""
    secret = with_second_factor(wendy)
    looked = 0
    for number in range(TRIES):
        machine = Client(REMOTE_ADDR=address(number))
        assert machine.post(LOGIN, {"login": "wendy", "password": factories.PASSWORD}).status_code == 302
        code = f"{number:06d}" if kind.startswith("codes") else f"{number:08d}"
        assert code != format_hotp_value(hotp_value(secret, 0))
        answer = machine.post(SECOND, {"code": code})
        assert answer.status_code == (429 if TOO_MANY in answer.content.decode() else 401)
        looked += answer.status_code == 401
    report("B10", f"{kind} looked at, from everywhere", looked, n=TRIES, goal=f"≤ {BY_ACCOUNT}")
    assert 0 < looked <= BY_ACCOUNT


def test_no_key_of_a_password_reset_is_guessed(wendy: User) -> None:
    """Reading a link is not limited; its key has 128 bits, ends with the next login or password, and none is near
    another."""
    uid, good = user_pk_to_url_str(wendy), default_token_generator.make_token(wendy)
    stamp, _, key = good.partition("-")
    assert re.fullmatch(r"[0-9a-f]{32}", key)
    wrong = [f"{stamp}-{number:032x}" for number in range(TRIES)]
    wrong += [f"{stamp}-{key[:at]}{'0' if key[at] != '0' else '1'}{key[at + 1 :]}" for at in range(32)]
    accepted = 0
    for one in wrong:
        answer = Client(REMOTE_ADDR="198.51.100.7").get(f"/accounts/password/reset/key/{uid}-{one}/")
        assert answer.status_code in {403, 302}
        accepted += answer.status_code == 302
    report("B10", "wrong keys of a reset accepted", accepted, n=len(wrong), goal="0")
    assert accepted == 0
    assert Client().get(f"/accounts/password/reset/key/{uid}-{good}/").status_code == 302


def test_codes_of_an_outcome_are_looked_at_up_to_the_limit_only() -> None:
    looked = 0
    for number in range(TRIES):
        answer = Client(REMOTE_ADDR="198.51.100.7", HTTP_X_FORWARDED_FOR=address(number)).post(
            "/privacy/outcome/", {"reference": "PR-2026-0000-00", "code": f"AAAA-{number:04d}-CCCC"}
        )
        assert answer.status_code in {401, 429}
        looked += answer.status_code == 401
    report("B10", "codes of an outcome looked at, from one address", looked, n=TRIES, goal="≤ 10")
    assert 0 < looked <= 10
    pages.check(answer, status=429)
