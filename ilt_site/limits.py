"""What stopped a request that a limit refused, and when the next one is taken.

What must never happen: an answer that tells whether an address is known. So all that is said follows from the counts
themselves, which are the same for every address that was typed, known or not; none is looked up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from privacy.letters import MOST_A_DAY

APP = "allauth.account"  # where the limits are set, ours too (settings.ACCOUNT_RATE_LIMITS)
#: What each page is limited by.
ACTIONS: dict[str, tuple[str, ...]] = {
    "account_signup": ("signup", "confirm_email"),
    "account_login": ("login",),
    "account_reset_password": ("reset_password",),
    "account_reset_password_from_key": ("reset_password_from_key",),
    "account_change_password": ("change_password",),
    "account_email": ("manage_email", "confirm_email"),
    "account_reauthenticate": ("reauthenticate",),
    "ask": ("privacy_ask",),
    "outcome": ("privacy_outcome",),
    "request_new": ("privacy_request",),
    "rma_new": ("rma_open",),
    "rma_message": ("rma_message",),
}
#: What each limit counts.
THINGS: dict[str, str] = {
    "signup": "Sign-ups",
    "confirm_email": "Messages with a code",
    "login": "Tries to sign in",
    "reset_password": "Requests for a new password",
    "reset_password_from_key": "Tries to choose a new password",
    "change_password": "Tries to change the password",
    "manage_email": "Changes of the e-mail address",
    "reauthenticate": "Tries to show once more who it is",
    "privacy_ask": "Requests about data by e-mail address",
    "privacy_outcome": "Tries to read an outcome",
    "privacy_request": "Requests about data",
    "rma_open": "New returns",
    "rma_message": "Messages to the laboratory",
}
WHOSE: dict[str, str] = {"ip": "from one connection", "user": "from one account", "key": "for one address"}
SPANS: dict[int, str] = {60: "a minute", 3600: "an hour", 86400: "a day"}
MAILS = frozenset({"confirm_email", "reset_password"})
# Whoever signs in before the address is confirmed gets a code; which address that is, is not looked up here.
MAY_SEND_A_CODE = frozenset({"account_login", "account_email_verification_sent"})


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that is reached: what it counts, in how many seconds it takes the next one, and
    whether it is about a letter."""

    counted: str
    seconds: int
    is_mail: bool

    @property
    def wait(self) -> str:
        """Return the time until the next one is taken, in words."""
        for length, name in ((3600, "hour"), (60, "minute")):
            if self.seconds > length:
                return f"{math.ceil(self.seconds / length)} {name}s"
        return "a second" if self.seconds <= 1 else f"{self.seconds} seconds"

    @property
    def most_a_day(self) -> int:
        """Return how many letters an address gets in a day that somebody not signed in asked for."""
        return MOST_A_DAY


def reached(request: HttpRequest) -> Reached | None:
    """Return the limit that stopped this request, of several the one that lasts longest; None where none is reached."""
    found = sorted(_reached(request, time.time()), key=lambda one: one.seconds)
    return found[-1] if found else None


def may_have_sent_a_code(request: HttpRequest) -> bool:
    """Say whether the page is one that sends a code to the address of whoever signs in before it is confirmed."""
    return _page(request) in MAY_SEND_A_CODE


def _reached(request: HttpRequest, now: float) -> Iterator[Reached]:
    for action in ACTIONS.get(_page(request), ()):
        for rate in ratelimit.get_rates(app=APP, action=action):
            name = _name(request, action, rate)
            if name is None:
                continue
            times = [at for at in cache.get(name, []) if at > now - rate.duration]
            if len(times) < rate.amount:
                continue
            seconds = max(1, math.ceil(times[rate.amount - 1] + rate.duration - now))
            span = SPANS.get(int(rate.duration), f"in {int(rate.duration) // 60} minutes")
            counted = f"{THINGS[action]} {WHOSE[rate.per]} are limited to {rate.amount} {span}."
            yield Reached(counted, seconds, is_mail=action in MAILS and rate.per == "key")


def _name(request: HttpRequest, action: str, rate: ratelimit.Rate) -> str | None:
    """Return under which name a limit counts this request, or None when it does not."""
    email = request.POST.get("email", "").strip().lower()
    if (rate.per == "key" and not email) or (rate.per == "user" and not request.user.is_authenticated):
        return None
    try:
        return ratelimit.get_cache_key(request, app=APP, action=action, rate=rate, key=email or None)
    except PermissionDenied:  # the address of the connection cannot be told
        return None


def _page(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""
