"""A burst of sign-ins is told to come back; nobody's try is lost, and tasks are not held."""

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.test import Client

from accounts import hashing
from tests import factories

PASSWORD = factories.PASSWORD


@pytest.fixture
def argon(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real hasher in a web process, with a turnstile of the test's own."""
    settings.PASSWORD_HASHERS = ["accounts.hashing.BoundedArgon2"]
    settings.WEB = True
    monkeypatch.setattr(hashing, "_turnstile", hashing.Turnstile(hashing.AT_ONCE, hashing.WAITING))


def fill(turnstile: hashing.Turnstile, count: int, release: threading.Event) -> list[threading.Thread]:
    """Let `count` threads take a turn or wait for one until `release`; return once all of them stand there."""
    standing = threading.Semaphore(0)

    def stand() -> None:
        standing.release()
        with turnstile.turn():
            release.wait(30)

    threads = [threading.Thread(target=stand) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        standing.acquire()
    while turnstile._places._value > hashing.AT_ONCE + hashing.WAITING - count:
        pass  # the thread was started and has not asked yet
    return threads


def test_two_hash_four_wait_and_the_seventh_is_refused_at_once() -> None:
    turnstile, release = hashing.Turnstile(2, 4), threading.Event()
    threads = fill(turnstile, 6, release)
    with pytest.raises(hashing.Busy), turnstile.turn():
        pass
    release.set()
    for thread in threads:
        thread.join()
    with turnstile.turn():
        pass  # the places are free again


def test_a_hash_is_the_one_that_django_makes(argon: None, settings: Any) -> None:
    made = make_password("a long password")
    assert made.startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    assert check_password("a long password", made)


@pytest.mark.django_db
def test_a_sign_in_that_finds_no_place_answers_503_and_is_not_counted_as_a_try(argon: None, client: Client) -> None:
    factories.login("alice", "alice@example.com")
    release = threading.Event()
    threads = fill(hashing._turnstile, 6, release)
    try:
        for _ in range(8):  # more than the five tries that a name has
            answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "2"
            assert "nothing was changed" in answer.content.decode()
    finally:
        release.set()
        for thread in threads:
            thread.join()
    answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/")


def test_a_task_waits_for_nobody(argon: None, settings: Any) -> None:
    settings.WEB = False
    release = threading.Event()
    threads = fill(hashing._turnstile, 6, release)
    assert make_password("a long password")
    release.set()
    for thread in threads:
        thread.join()
