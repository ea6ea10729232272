"""Front page and the pages for what went wrong. None of them shows personal data."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_not_required
def home(request: HttpRequest) -> HttpResponse:
    """Show what the portal offers, to visitors and customers."""
    return render(request, "ilt_site/home.html")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400: the request could not be read."""
    return _plain(request, 400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403: another role is needed. A stranger's record is a 404, never this."""
    return _plain(request, 403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404, the same for what does not exist and for what belongs to somebody else."""
    return _plain(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 without touching database, session or context processors: one of them may be what failed."""
    return _plain(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 for a form that did not come from this site, or is too old."""
    return _plain(request, 403, "403_csrf.html")


def _plain(request: HttpRequest, status: int, template: str = "") -> HttpResponse:
    # No request in the context: the plain layout asks for no user and no messages.
    context = {"reference": getattr(request, "request_id", "")}  # the one in the log, for whoever calls about it
    response = render(None, template or f"{status}.html", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
