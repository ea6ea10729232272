"""Whose request a page shows: the signed-in person's, or that of somebody who has just used a one-time link.

What must never happen: a request shown to anybody else, or to a session whose proof is older than an hour, or stands on
an address that is the person's no longer. Strangers get 404; somebody without any proof is asked to sign in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import wraps
from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from privacy.gate import Actor
from privacy.models import Request
from privacy.requests import proving, sight, waits, went_to

PROVED, CODE = "privacy_proved", "privacy_code"
PROOF_LASTS = 3600  # seconds

View = Callable[..., HttpResponseBase]


def actor(request: HttpRequest) -> Actor:
    """Return the signed-in user as the person whose data it is: staff, too, ask here for themselves only."""
    user: Actor = request.user.as_actor()
    return (
        user
        if user.kind == "customer"
        else replace(user, kind="customer", roles=frozenset({"customer"}), purpose="own data")
    )


def remember_proof(request: HttpRequest, about: Request, code: str, stands: went_to.Stands) -> None:
    """Note in the sealed session that this browser used the one-time link of a request, or reference and code, and on
    what that stands; begin a new session id."""
    request.session.cycle_key()
    request.session[PROVED] = [str(about.pk), int(time.time()), *astuple(stands)]
    remember_code(request, about, code)


def remember_code(request: HttpRequest, about: Request, code: str) -> None:
    """Keep an outcome code in the sealed session until it has been shown."""
    if code:
        request.session[CODE] = [str(about.pk), code]


def code_to_show(request: HttpRequest, about: Request) -> str:
    """Return the outcome code of a request, once."""
    pk, code = request.session.get(CODE, ("", ""))
    if pk != str(about.pk):
        return ""
    del request.session[CODE]
    return str(code)


def has_proof(request: HttpRequest, pk: UUID) -> bool:
    """Whether this browser used the one-time link of this request, or reference and code, within the hour."""
    proved, at, *on = request.session.get(PROVED, ("", 0))
    return bool(proved == str(pk) and on and time.time() - at < PROOF_LASTS)


def forget_proof(request: HttpRequest) -> None:
    """End what a one-time link, or reference and code, opened in this browser: its reader leaves."""
    for name in (PROVED, CODE):
        request.session.pop(name, None)


def proved_by(request: HttpRequest) -> went_to.Stands:
    """Return on what the proof of this browser stands: a link, or an outcome code."""
    _, _, *on = request.session[PROVED]
    return went_to.Stands(*on)


def moved(request: HttpRequest, about: Request) -> HttpResponse:
    """Answer a link or code whose address does not count any more: a second person looks first, or the request has
    ended."""
    context = {"about": about, "is_undecided": waits.is_undecided(about)}
    return render(request, "privacy/link_moved.html", context, status=403)


def doubted(request: HttpRequest, about: Request, *, is_not_as_planned: bool = False) -> HttpResponse:
    """Answer for a request whose row does not say what the site wrote, or whose decisions are not those of its plan:
    nothing of it is shown, and whom to call."""
    context = {"about": about, "is_not_as_planned": is_not_as_planned}
    return render(request, "privacy/doubted.html", context, status=409)


def _proved(about: Request, on: went_to.Stands) -> Actor:
    """Return the actor for who proved it by a link or an outcome code. Raises Doubted."""
    return sight.acting_by_code(about, on.code_of) if on.code_of else sight.acting_as(about, purpose="one-time link")


def own_request(view: View) -> View:
    """Hand the view its request and the actor: the signed-in person's own, or the one of the
    one-time link; 404 for a stranger."""

    @login_not_required
    @wraps(view)
    def inner(request: HttpRequest, pk: UUID, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            subject = request.user.subject_id
            own = Request.objects.filter(subject_id=subject) if subject else Request.objects.none()
            about, on = get_object_or_404(own, pk=pk), None
        elif not has_proof(request, pk):
            return redirect_to_login(request.get_full_path())
        else:
            about = get_object_or_404(Request, pk=pk)
            on = proved_by(request)
            if not proving.stands(about, on, now=timezone.now()):
                return moved(request, about)
        try:
            who = actor(request) if on is None else _proved(about, on)
            sight.require_sight(about, who)  # once more, by owner: a plan names records even where nothing is opened
        except sight.Doubted:
            return doubted(request, about)
        return view(request, about, who, **kwargs)

    return inner


def entered_again(view: View) -> View:
    """Ask a signed-in person for the password once more; a one-time link is proof enough."""
    guarded: View = reauthentication_required(view, enabled=lambda request: request.user.is_authenticated)
    return guarded
