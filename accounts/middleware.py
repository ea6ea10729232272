"""Around all pages: answers that take the same time whoever is asked about. Between the gate and the pages: how old a
session may be, whose password must change, who needs a second factor, and where the login's own pages may look up an
address."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse

from accounts import hashing

BEGUN, SEEN = "begun", "seen"
CLEAR = '"cache", "storage"'  # at a sign-out; the cookies' server side ends by itself
SEEN_STEP = 60  # seconds; "seen" is written this often, not with every request
EVEN_TIME = {"account_login", "account_signup", "account_reset_password", "account_email", "ask", "outcome"}
# Here looking alone would tell whether there is a login to confirm.
EVEN_TIME_SHOWN_TOO = {"account_email_verification_sent"}

REFUSED_UNSEEN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}  # nothing was looked at

_at_login: ContextVar[bool] = ContextVar("at_login", default=False)


def at_login() -> bool:
    """Say whether one of allauth's own pages is being served: only there may the program itself open an address."""
    return _at_login.get()


class EvenTimeMiddleware:
    """Holds the answers of forms that ask about an address or a reference until the next step of the clock.

    What they say is the same whether or not somebody has an account; how long finding and writing takes is not, and a
    stopwatch would tell (R11). A step is longer than any of them takes. The work itself is evened where it is a hash of
    a password: LoginBackend, SignupForm, identity.code_matches. Refusals by a limit look at nothing and are not held.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin = time.monotonic()
        response = self.get_response(request)
        name = request.resolver_match.view_name if request.resolver_match else ""
        is_asked = name in EVEN_TIME_SHOWN_TOO or (request.method == "POST" and name in EVEN_TIME)
        if is_asked and settings.EVEN_TIME_STEP and response.status_code not in REFUSED_UNSEEN:
            time.sleep(-(time.monotonic() - begin) % settings.EVEN_TIME_STEP)
        return response


class LoginMiddleware:
    """Ends sessions that are idle or too old, and leads the holder of a one-time password to choosing a new one, and
    staff without a second factor to setting one up before any page of the back office (P45)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _at_login.set(False)
        try:
            was_in = request.user.is_authenticated
            if was_in and self._is_over(request):
                logout(request)
                response: HttpResponse = HttpResponseRedirect(resolve_url(settings.LOGIN_URL))
            else:
                response = self.get_response(request)
            if was_in and not request.user.is_authenticated:
                response.headers["Clear-Site-Data"] = CLEAR
            return response
        finally:
            _at_login.reset(token)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer 503 when too many passwords are being checked; nothing of the request was kept."""
        if not isinstance(exception, hashing.Busy):
            return None
        response = render(None, "503_busy.html", status=HTTPStatus.SERVICE_UNAVAILABLE)
        response.headers["Retry-After"] = str(hashing.RETRY_AFTER)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        _at_login.set(view.__module__.startswith("allauth."))
        if request.user.is_authenticated and request.user.must_change_password:
            allowed = {reverse("account_change_password"), reverse("account_logout"), reverse("account_reauthenticate")}
            if request.path not in allowed:
                return HttpResponseRedirect(reverse("account_change_password"))
        if self._lacks_second_factor(request):
            messages.info(request, "The back office needs a second factor. Set it up here, then open the page again.")
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return None

    def _lacks_second_factor(self, request: HttpRequest) -> bool:
        """Say whether this is a page of the back office, asked for by staff who sign in with a password alone."""
        place = request.resolver_match
        return (
            settings.STAFF_SECOND_FACTOR
            and place is not None
            and "admin" in place.app_names
            and request.user.is_authenticated
            and request.user.is_staff
            and not is_mfa_enabled(request.user, [Authenticator.Type.TOTP])
        )

    def _is_over(self, request: HttpRequest) -> bool:
        """Say whether the session was idle or open for too long, and note that it is in use."""
        now, session = int(time.time()), request.session
        oldest = settings.STAFF_SESSION_AGE if request.user.is_staff else settings.SESSION_COOKIE_AGE
        begun, seen = session.get(BEGUN), session.get(SEEN)
        if begun is None or seen is None:
            session[BEGUN] = session[SEEN] = now
            return False
        if now - seen > settings.SESSION_IDLE_AGE or now - begun > oldest:
            return True
        if now - seen >= SEEN_STEP:
            session[SEEN] = now
        return False
