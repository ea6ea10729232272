"""The gate around every page: who is logged in acts; the access log is written before the response leaves (P40)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from privacy.actor import ANONYMOUS, Actor
from privacy.gate import context

logger = logging.getLogger(__name__)


class GateMiddleware:
    """Let the request's user act while the page is made; no row in the access log, no response.

    Stands directly after the authentication middleware. A streamed response is made later and outside:
    its view hands the iterator to `gate.streaming`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            with context.acting(lambda: actor_of(request)):
                return self.get_response(request)
        except context.AccessLogUnavailable:
            logger.error("The access log could not be written; the response was withheld.")
            return unavailable()


def actor_of(request: HttpRequest) -> Actor:
    """Return who acts in this request: the user who is logged in, or nobody in particular."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ANONYMOUS
    actor: Actor = user.as_actor()
    return actor


def unavailable() -> HttpResponse:
    """Return the page for "no row, no response" (503, never cached)."""
    response = HttpResponse(render_to_string("503.html", {"company": settings.COMPANY}), status=503)
    response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response
