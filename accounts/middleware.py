"""Around all pages: answers that take the same time whoever is asked about. Between the gate and the pages: how old a
session may be, whose password must change, who needs a second factor, and where the login's own pages may look up an
address."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.core.exceptions import ReauthenticationRequired
from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, SESSION_KEY, logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from accounts import acts, factor, hashing
from accounts.pace import Pace
from accounts.places import Places
from privacy.views import person

if TYPE_CHECKING:
    from accounts.models import User

BEGUN, SEEN = "begun", "seen"
CLEAR = '"cache", "storage"'  # at a sign-out; the cookies' server side ends by itself
SEEN_STEP = 60  # seconds; "seen" is written this often, not with every request
# Where a password or a code lets somebody in, or further: what is not accepted leads on nowhere.
PASSWORD_PAGES = {
    "account_login",
    "account_reauthenticate",
    "account_email_verification_sent",
    "mfa_authenticate",
    "mfa_reauthenticate",
    "mfa_activate_totp",
}
# Where somebody who is signed in shows once more who it is.
AGAIN_PAGES = {"account_reauthenticate", "mfa_reauthenticate"}
NOT_DONE = (
    "First show once more that it is you. Nothing has been done yet: after that, do it again on the page you came from."
)
# The code that confirms an address: where it is not accepted for good, the page leads away from here.
CODE_PAGE, CODE_IS_OVER = "account_email_verification_sent", ("account_login", "account_email")
RESET_PAGE = "account_reset_password_from_key"
CHANGE_PAGE = "account_change_password"
TOO_MANY = "too_many_login_attempts"
# Of the password of today; what is wrong with the new one is no wrong password.
REFUSED_CHANGE = {"enter_current_password", TOO_MANY}
# What a session that must show the factor still reaches: where to show it, the way out, and what machines ask.
OPEN_WITHOUT_FACTOR = {"mfa_reauthenticate", "account_logout", "health", "live", "metrics"}
# What opens a page by itself, in its address.
TOKENS = {"token", "key", "uidb36"}
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
    stopwatch would tell (R11). On an idle machine a step is longer than any of them takes; on a busy one an answer
    waits as many steps as the slowest of its kind took lately (accounts.pace), which leaves the slowest itself to be
    told. The work itself is evened where it is a hash of a password: LoginBackend, SignupForm, codes.code_matches.
    Refusals by a limit look at nothing and are not held.

    A held answer keeps a thread. Who finds no place (accounts.places) is refused by
    LoginMiddleware before any page looks.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.pace = Pace()
        self.places = Places(settings.HELD_AT_ONCE, max(1, settings.HELD_AT_ONCE // 2))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin = time.monotonic()
        if not settings.EVEN_TIME_STEP or not _is_held(request):
            return self.get_response(request)
        address = _address(request)
        if not self.places.take(address):
            request.has_no_place = True  # type: ignore[attr-defined]
            return self.get_response(request)
        try:
            response = self.get_response(request)
            if response.status_code not in REFUSED_UNSEEN:
                now = time.monotonic()
                leaves = self.pace.leaves_after(request.path, now - begin, settings.EVEN_TIME_STEP, at=now)
                time.sleep(max(0.0, leaves - (time.monotonic() - begin)))
            return response
        finally:
            self.places.give_back(address)


@cache
def _held_paths() -> tuple[frozenset[str], frozenset[str]]:
    """Return the paths whose forms are held, and those held when they are looked at, too."""
    shown = frozenset(map(reverse, EVEN_TIME_SHOWN_TOO))
    return shown | frozenset(map(reverse, EVEN_TIME)), shown


def _is_held(request: HttpRequest) -> bool:
    asked, shown = _held_paths()
    return request.path in (asked if request.method == "POST" else shown)


def _address(request: HttpRequest) -> str:
    """Return the visitor's network address as the limits see it; "" for one that cannot be told."""
    try:
        return str(get_ip(request))
    except PermissionDenied:
        return ""


def _busy() -> HttpResponse:
    response = render(None, "503_busy.html", status=HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = str(hashing.RETRY_AFTER)
    return response


def _say_refused(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Answer a refused password or code with 401, one that was not even looked at with 429, and the link of a reset
    that works no longer with 403: so they can be counted.

    The page is the same. No WWW-Authenticate: a browser would ask for a password in a window of its own.
    """
    place = request.resolver_match
    if place is None:
        return response
    context = getattr(response, "context_data", None) or {}
    if place.view_name == RESET_PAGE and context.get("token_fail"):
        response.status_code = HTTPStatus.FORBIDDEN
    elif request.method == "POST" and place.view_name == CODE_PAGE and _leads_away(response):
        return render(request, "account/code_refused.html", status=HTTPStatus.UNAUTHORIZED)
    elif request.method == "POST" and response.status_code == HTTPStatus.OK:
        codes = _errors(context)
        if place.view_name in PASSWORD_PAGES or (place.view_name == CHANGE_PAGE and codes & REFUSED_CHANGE):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS if TOO_MANY in codes else HTTPStatus.UNAUTHORIZED
    return response


def _leads_away(response: HttpResponse) -> bool:
    """Say whether the page for the code gives up: too many wrong ones, too late, none that waits in this browser."""
    to = response.headers.get("Location", "").partition("?")[0]
    return response.status_code == HTTPStatus.FOUND and to in {reverse(name) for name in CODE_IS_OVER}


def _errors(context: dict[str, Any]) -> set[str]:
    """Return the codes of what the page's form complains of."""
    form = context.get("form")
    return {error.code for errors in form.errors.as_data().values() for error in errors} if form is not None else set()


def _ask_again(request: HttpRequest) -> HttpResponse:
    """Lead to the page where the signed-in person shows once more who it is, and from there to a page, never to an act.

    allauth keeps what was posted and does it after the password, whatever the person typed it for: a copy of the cookie
    could leave a removal behind that its owner carries out by looking. Here only the way back is kept, and in the
    address: the page itself, or for a POST the page on which its button stands.
    """
    methods = get_adapter().get_reauthentication_methods(request.user)
    if not methods:
        raise PermissionDenied
    after = request.get_full_path() if request.method in ("GET", "HEAD") else _page_of_the_button(request)
    if request.method not in ("GET", "HEAD"):
        messages.info(request, NOT_DONE)
    return HttpResponseRedirect(f"{methods[0]['url']}?{urlencode({REDIRECT_FIELD_NAME: after})}")


def _page_of_the_button(request: HttpRequest) -> str:
    """Return the page of ours that the browser names as the one it came from, else the account's first page."""
    said = request.headers.get("Referer", "")
    found = urlsplit(said) if url_has_allowed_host_and_scheme(said, {request.get_host()}, request.is_secure()) else None
    if found is None or not found.netloc:
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return found.path + (f"?{found.query}" if found.query else "")


def _afterwards(request: HttpRequest) -> str:
    """Return where to go on afterwards, as a query; nothing of a page that a token opens: it stands in no other
    address."""
    if request.method != "GET" or set(request.resolver_match.kwargs) & TOKENS:
        return ""
    return f"?{urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})}"


class LoginMiddleware:
    """Ends sessions that are idle or too old, and leads the holder of a one-time password to choosing a new
    one, staff without a second factor to setting one up before any page of the back office, and a session that
    has not shown the factor of its user to showing it (P45). No act of a session outlives the giving back of
    its login (accounts/acts.py)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _at_login.set(False)
        held = ExitStack()
        request.act = held  # type: ignore[attr-defined]
        try:
            was_in = request.user.is_authenticated
            if not was_in and SESSION_KEY in request.session:
                logout(request)  # its login is gone, closed or doubted: nothing of the session goes on
            if was_in and self._is_over(request):
                logout(request)
                response: HttpResponse = HttpResponseRedirect(resolve_url(settings.LOGIN_URL))
            else:
                response = self.get_response(request)
                response = _say_refused(request, response)
            if was_in and not request.user.is_authenticated:
                response.headers["Clear-Site-Data"] = CLEAR
            return response
        finally:
            held.close()
            _at_login.reset(token)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer 503 when too many passwords are being checked; nothing of the request was kept. Ask for the password
        (or the second factor) where it is to be shown once more."""
        if isinstance(exception, ReauthenticationRequired) and request.user.is_authenticated:
            return _ask_again(request)
        if not isinstance(exception, hashing.Busy):
            return None
        return _busy()

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if getattr(request, "has_no_place", False):
            return _busy()
        _at_login.set(view.__module__.startswith("allauth."))
        if request.resolver_match.view_name in AGAIN_PAGES:
            request.session.pop(STATE_SESSION_KEY, None)  # left by a release that still kept what was sent
        if not request.user.is_authenticated:
            if request.resolver_match.view_name == "account_logout":
                person.forget_proof(request)  # who came by a one-time link leaves by the same door as who signed in
            return None
        must_prove, must_enrol = self._lacks_second_factor(request)
        if must_prove and request.resolver_match.view_name not in OPEN_WITHOUT_FACTOR:
            return HttpResponseRedirect(reverse("mfa_reauthenticate") + _afterwards(request))
        if request.user.must_change_password:
            allowed = {"account_change_password", "account_logout", "account_reauthenticate", "mfa_reauthenticate"}
            if request.path not in {reverse(one) for one in allowed}:
                return HttpResponseRedirect(reverse("account_change_password") + _afterwards(request))
        if must_enrol and "admin" in request.resolver_match.app_names:
            messages.info(request, "The back office needs a second factor. Set it up here, then open the page again.")
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return self._no_longer_in(request)

    def _no_longer_in(self, request: HttpRequest) -> HttpResponse | None:
        """Let a customer's act hold the lock of the login until its answer is made; sign out who was let in before the
        login was given back. What was sent has been read by then: who sends slowly holds nobody up."""
        if request.method in ("GET", "HEAD", "OPTIONS") or request.user.is_staff:
            return None
        if request.act.enter_context(acts.of(cast("User", request.user))):  # type: ignore[attr-defined]
            return None
        logout(request)
        return HttpResponseRedirect(resolve_url(settings.LOGIN_URL))

    def _lacks_second_factor(self, request: HttpRequest) -> tuple[bool, bool]:
        """Return whether this session must prove the factor its user enrolled, and whether its user must enrol one
        first.

        The session counts, not the account: one that began with the password alone shows a code before anything else.
        Of customers a session can be of that kind only if it began before the enrolment, which ends it; should one be
        left, it is stopped where it confirmed by password who it is.
        """
        is_staff = request.user.is_staff and settings.STAFF_SECOND_FACTOR
        if not (is_staff or factor.asked_again(request)) or factor.is_proved(request):
            return False, False
        user = cast("User", request.user)
        is_enrolled = factor.is_enrolled(user)
        user.lacks_factor = is_staff  # for the gate: no role, whatever page forgets to ask
        return is_enrolled, is_staff and not is_enrolled

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
