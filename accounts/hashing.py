"""Passwords and codes are hashed with Argon2, a few at a time.

What must never happen: sign-ins that stop the site. A hash takes a processor and 100 MB; a burst of them would take all
threads and all memory. Each web process hashes two at once and lets four wait; the next one is told to come back, what
it began is undone, and no try is counted. Tasks and commands hash one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE, WAITING = 2, 4
RETRY_AFTER = 2  # seconds


class Busy(Exception):
    """More passwords are being checked at this moment than this process takes; nothing was checked."""


class Turnstile:
    """Lets `at_once` threads through and `waiting` more wait for them; refuses further ones."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._turns = threading.BoundedSemaphore(at_once)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take a turn for the block. Raises Busy at once when too many wait already."""
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            with self._turns:
                yield
        finally:
            self._places.release()


_turnstile = Turnstile(AT_ONCE, WAITING)


@contextmanager
def _turn() -> Iterator[None]:
    if settings.WEB:
        with _turnstile.turn():
            yield
    else:
        yield


class BoundedArgon2(Argon2PasswordHasher):
    """Django's Argon2, a few at a time in a web process. Raises Busy where a password is checked or set."""

    def encode(self, password: str, salt: str) -> str:
        with _turn():
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with _turn():
            return bool(super().verify(password, encoded))
