"""Front page and the pages for what went wrong. None of them shows personal data."""

from __future__ import annotations

import sys

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from ilt_site import limits

A_CODE_AGAIN = 60  # seconds (settings.ACCOUNT_RATE_LIMITS, confirm_email)


@login_not_required
def home(request: HttpRequest) -> HttpResponse:
    """Show what the portal offers, to visitors and customers."""
    return render(request, "ilt_site/home.html")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400: the request could not be read, and so nothing was done; or its session ended when all else was
    done."""
    return _plain(request, 400, "400_signed_out.html" if isinstance(exception, SessionInterrupted) else "")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403: another role is needed. A stranger's record is a 404, never this."""
    sentence = _("This page needs another role than yours, or a step such as signing in again. Nothing was changed.")
    return _back_office(request, 403, _("You have no access to this page"), sentence) or _plain(request, 403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404, the same for what does not exist and for what belongs to somebody else."""
    sentence = _("There is no such page or record, or it is not part of your work.")
    return _back_office(request, 404, _("Not found"), sentence) or _plain(request, 404)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer 429: say which limit was reached and when the next attempt is taken; the same for every address."""
    limit, is_code = limits.reached(request), limits.may_have_sent_a_code(request)
    answer = _plain(request, 429, limit=limit, is_code=is_code)
    answer.headers["Retry-After"] = str(limit.seconds if limit else A_CODE_AGAIN if is_code else 5)
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 when a database is away, else 500; without database, session or context
    processors, which may have failed."""
    if _is_away(sys.exc_info()[1]):  # Django calls this inside the `except` of what failed
        answer = _plain(request, 503, "503_away.html")
        answer.headers["Retry-After"] = "15"
        return answer
    return _plain(request, 500)


def _is_away(error: BaseException | None) -> bool:
    """Say whether a database cannot be reached, as opposed to a statement that failed there."""
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            code = getattr(error.__cause__, "pgcode", None)
            # Without a code the connection was refused or cut off; 57P: it goes down or comes up, 08: lost, 53: full.
            if code is None or code.startswith(("57P", "08", "53")):
                return True
        error = error.__cause__ or error.__context__
    return False


def maintenance(request: HttpRequest) -> HttpResponse:
    """Answer 503 while a restored database is behind the ledger of erasures (design 8)."""
    response = _plain(request, 503, "maintenance.html")
    response.headers["Retry-After"] = "300"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 for a form that did not come from this site, or is too old."""
    return _plain(request, 403, "403_csrf.html")


def _back_office(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse | None:
    """Return the page in the back office's own frame for staff who are at work there, None for everybody else."""
    user = getattr(request, "user", None)
    if not request.path.startswith(reverse("admin:index")) or not getattr(user, "is_staff", False):
        return None
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence,
        "reference": getattr(request, "request_id", ""),
    }
    response = render(request, "admin/problem.html", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _plain(request: HttpRequest, status: int, template: str = "", **more: object) -> HttpResponse:
    # No request in the context: the plain layout asks for no user and no messages.
    context = {
        "reference": getattr(request, "request_id", ""),
        **more,
    }  # the one in the log, for whoever calls about it
    response = render(None, template or f"{status}.html", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
