"""A person's requests: file one, see the plan, confirm it, follow it, take it back, fetch the copy (P7, P9, P10)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.core import ratelimit
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from privacy import gate
from privacy.calendar import company_day
from privacy.gate import Actor
from privacy.models import Request
from privacy.requests import (
    assessment,
    export,
    filing,
    filled,
    listing,
    login_stays,
    procedures,
    reading,
    services,
    unjoined,
)
from privacy.requests.history import NotAllowed
from privacy.requests.outcome import FileEnded, FileUnreadable, NotAsPlanned
from privacy.requests.procedure import Door
from privacy.requests.states import OPEN_STATES, UNDONE_STATES, Channel, State
from privacy.views import check, ends, person, result, words

PER_PAGE = 20
RUNNING = (State.RECEIVED, State.IDENTITY, State.CONFIRMED, State.EXECUTING)


def _own(request: HttpRequest) -> Any:
    subject = request.user.subject_id
    return Request.objects.filter(subject_id=subject) if subject else Request.objects.none()


@require_safe
def requests(request: HttpRequest) -> HttpResponse:
    """List the signed-in person's requests, newest first; opens no envelope."""
    page = Paginator(_own(request).order_by("-filed_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = listing.tell(page.object_list)
    answered = listing.answered_at(page.object_list)
    for one in page.object_list:
        one.answered_at = answered.get(one.pk)  # type: ignore[attr-defined]
    return render(request, "privacy/requests.html", {"page": page})


@person.entered_again
def request_new(request: HttpRequest, kind: str) -> HttpResponse:
    """Explain a right, with warnings and what comes first; a POST files the request (Art. 15, 17)."""
    right = procedures.of(kind)
    if not right.is_at(Door.PORTAL) or request.user.subject_id is None:
        raise Http404
    now = timezone.now()
    if request.method == "POST":
        return _filed(request, kind, now)
    subject, today = request.user.subject_id, company_day(now)
    already = next(iter(listing.tell(_own(request).filter(kind=kind, state__in=OPEN_STATES)[:1])), None)
    unproved = already if already and already.waits_for_proof and not already.is_in_doubt else None
    if unproved:  # anybody can ask with an address: that keeps nobody from asking here, and this one goes on then
        already = None
    context = {
        "right": right,
        "unproved": unproved,
        "first": [procedures.get(other) for other in right.waits_for],
        "open_request": already,
        "copy": already and _copy_to_fetch(already, now),
        "warnings": assessment.warnings_of(Request(kind=kind, subject_id=subject), today) if right.removes else [],
        "unjoined": unjoined.found(subject, today) if right.gives else "",
        "has_copy": right.removes and export.has_left(subject, now=now),
    }
    return render(request, right.pages.new, context)


def _can_ask_here(request: HttpRequest, about: Request) -> bool:
    """Say whether the person who is signed in can show by asking here that a request is theirs, of which that is not
    shown yet."""
    is_theirs = request.user.is_authenticated and request.user.subject_id == about.subject_id
    return is_theirs and about.waits_for_proof and about.procedure.is_at(Door.PORTAL) and not about.is_in_doubt


def _copy_to_fetch(about: Request, now: datetime) -> Any:
    """Return the copy of a request that its person can fetch now, None without one; `listing.tell` was asked, or its
    like."""
    if not about.procedure.gives or about.needs_second or about.is_in_doubt:
        return None
    copy = export.live(about)
    return copy if copy and copy.expires_at > now else None


def _filed(request: HttpRequest, kind: str, now: Any) -> HttpResponse:
    """File the request of the signed-in person and lead to what comes next."""
    if not ratelimit.consume(request, action="privacy_request", user=request.user):
        return ratelimit.respond_429(request)
    filed, code = filing.file(
        filing.Receipt(
            kind=kind,
            subject=request.user.subject_id,
            channel=Channel.WEB,
            received_on=company_day(now),
            identity=Request.Identity.LOGIN,
        ),
        actor=person.actor(request),
        now=now,
    )
    person.remember_code(request, filed, code)
    return redirect("request_confirm" if filed.procedure.is_confirmed else "request", pk=filed.pk)


@require_safe
@person.own_request
def request_detail(request: HttpRequest, about: Request, actor: Actor) -> HttpResponse:
    """Show where a request stands: dates, steps, what was given, removed or kept, and what can be done now."""
    now = timezone.now()
    still = result.still(about, now)
    about.needs_second = still["needs_second"]
    copy = _copy_to_fetch(about, now)
    copy_ended = "" if still["needs_second"] else ends.of_copy(about, now=now)
    is_damaged = ends.is_damaged(about, now=now) and not still["needs_second"]
    new_copy = "" if still["needs_second"] or copy else ends.new_copy(about, now=now)
    lines = _lines(about, actor, now)
    is_as_planned = not lines.get("is_not_as_planned", False)
    is_running = about.state in RUNNING and not about.waits_for_proof and is_as_planned
    context = {
        "about": about,
        "code": person.code_to_show(request, about) if about.state != State.PLANNED else "",
        "copy": copy,
        "copy_ended": copy_ended,
        "copy_is_damaged": is_damaged,
        "copy_is_made_anew": is_damaged and not new_copy and ends.is_made_anew(about),
        "new_copy": new_copy,
        "steps": words.steps(about, reading.show(about)),
        "can_ask_here": _can_ask_here(request, about),
        "is_under_way": is_running and not (copy or copy_ended or is_damaged or new_copy or still["is_held_up"]),
        "is_parked": about.state == State.PARKED,
        "has_steps": about.state not in (*UNDONE_STATES, State.PLANNED),
        "can_confirm": about.procedure.is_confirmed and about.state == State.PLANNED,
        "login_stays": about.procedure.removes and is_as_planned and login_stays.after(about),
        **still,
        **lines,
    }
    return render(request, "privacy/request.html", context)


def _lines(about: Request, actor: Actor, now: datetime) -> dict[str, Any]:
    """Return what the request gives, removes and keeps, once there is something to say; opens the request's own
    file."""
    how_far = result.how_far(about)
    if not any(how_far.values()):
        return how_far
    try:
        with gate.acting(actor):
            found = reading.lines(about, actor=actor, now=now)
            unjoined = reading.unjoined(about, actor=actor)
            refusal = reading.refusal(about, actor=actor)
    except FileUnreadable as why:
        is_gone, is_not_as_planned = isinstance(why, FileEnded), isinstance(why, NotAsPlanned)
        return {
            **how_far,
            "is_unreadable": not (is_gone or is_not_as_planned),
            "is_not_as_planned": is_not_as_planned,
            "is_gone": is_gone,
            "end": ends.of_request(about, {}, is_unreadable=True),
        }
    listed = {name: words.by_title(lines) for name, lines in found.items()}
    return {**how_far, **listed, "unjoined": unjoined, "end": ends.of_request(about, refusal)}


@person.entered_again
@person.own_request
def request_confirm(request: HttpRequest, about: Request, actor: Actor) -> HttpResponse:
    """Show the plan of what is to be confirmed, record by record; a POST with its hash confirms
    exactly this plan (P9, P10)."""
    now = timezone.now()
    if not about.procedure.is_confirmed or about.state not in (State.IDENTITY, State.PLANNED):
        return redirect("request", pk=about.pk)
    if request.method != "POST":
        return _plan(request, about, assessment.plan_for(about, today=company_day(now)))
    try:
        confirmed = services.confirm(about, request.POST.get("plan_hash", ""), actor=actor, now=now)
    except services.PlanChanged as changed:
        return _plan(request, about, changed.plan, is_changed=True)
    except NotAllowed:
        return redirect("request", pk=about.pk)
    # Drawn at once, not after a redirect: the removal signs this browser out within moments.
    context = {"about": confirmed, "code": person.code_to_show(request, about), **result.still(confirmed, now)}
    context["login_stays"] = login_stays.after(confirmed)
    return render(request, about.procedure.pages.confirmed, context)


def _plan(request: HttpRequest, about: Request, plan: Any, *, is_changed: bool = False) -> HttpResponse:
    plan = filled.only(plan)
    context = {
        "about": about,
        "plan": plan,
        "erased": words.by_title([_line(one) for one in plan.erased]),
        "kept": words.by_title([_line(one) for one in plan.kept]),
        "is_changed": is_changed,
        "login_stays": login_stays.in_plan(plan.kept),
        "has_copy": export.has_left(about.owner_id, now=timezone.now()),
        "first": [procedures.get(other) for other in about.procedure.waits_for],
    }
    return render(request, about.procedure.pages.confirm, context)


def _line(verdict: Any) -> dict[str, Any]:
    """Return a verdict of a plan in the form in which services.lines gives a stored decision."""
    return {
        "title": verdict.title,
        "data": verdict.data,
        "code": verdict.code,
        "sentence": verdict.sentence,
        "ground": verdict.ground,
        "authority": verdict.authority,
        "until": verdict.until,
    }


@require_http_methods(["GET", "POST"])
@person.entered_again
@person.own_request
def request_withdraw(request: HttpRequest, about: Request, actor: Actor) -> HttpResponse:
    """Say what taking a request back means; the POST does it, until the execution begins."""
    try:
        if request.method != "POST":
            return check.page(request, _check_withdrawal(about))
        services.withdraw(about, actor=actor, now=timezone.now())
    except NotAllowed:
        messages.warning(request, "This request can no longer be taken back: it is being carried out, or has ended.")
    else:
        messages.success(request, "The request is taken back. Nothing was given or removed because of it.")
    return redirect("request", pk=about.pk)


def _check_withdrawal(about: Request) -> check.Check:
    """Return what is said before a request is taken back. Raises NotAllowed."""
    if not about.can_withdraw:
        raise NotAllowed
    return check.Check(
        title="Take the request back?",
        about=[("Reference", about.reference), ("Received", about.received_on), ("Answer due", about.due_on)],
        happens=["The request ends at once.", str(about.procedure.words.nothing_for_it)],
        lost=[
            "This request cannot be taken up again.",
            "You can ask again at any time. That is a new request: you show once more who you are, and the time for the answer "
            "begins anew.",
        ],
        act="Take the request back",
        back=reverse("request", args=[about.pk]),
        up=f"Request {about.reference}",
    )


@require_http_methods(["GET", "POST"])
@person.entered_again
@person.own_request
def request_destroy(request: HttpRequest, about: Request, actor: Actor) -> HttpResponse:
    """Say what destroying the person's copy before its week is over means; the POST does it at once."""
    try:
        if request.method != "POST":
            return check.page(request, _check_destruction(about))
        export.destroy(about, actor=actor, now=timezone.now())
    except export.NoCopy:
        messages.warning(request, "There is no copy to destroy.")
    else:
        messages.success(request, "The copy is destroyed.")
    return redirect("request", pk=about.pk)


def _check_destruction(about: Request) -> check.Check:
    """Return what is said before a copy is destroyed. Raises NoCopy."""
    copy = export.live(about)
    if copy is None:
        raise export.NoCopy
    return check.Check(
        title="Destroy the copy now?",
        about=[("Reference", about.reference), ("Can be fetched until", copy.expires_at)],
        happens=[
            "The key of the copy is destroyed and its file is deleted, at once.",
            "A file that you fetched stays with you.",
        ],
        lost=[
            "Nobody can fetch this copy any more.",
            "A copy that you ask for later holds what we have then: nothing that was corrected or removed since.",
        ],
        act="Destroy the copy",
        back=reverse("request", args=[about.pk]),
        up=f"Request {about.reference}",
    )


@require_POST
@person.entered_again
@person.own_request
def request_export(request: HttpRequest, about: Request, actor: Actor) -> HttpResponseBase:
    """Stream the copy to its person: unsealed on the way, counted and audited (Art. 15(3))."""
    try:
        name, chunks = export.fetch(about, actor=actor, now=timezone.now())
    except export.CopyDamaged:
        messages.warning(
            request, "The copy cannot be fetched: its file is damaged, or is there no more. Our staff see that, too."
        )
        return redirect("request", pk=about.pk)
    except export.NoCopy:
        messages.warning(
            request,
            "There is no copy to fetch: it is not ready yet, its seven days are over, or a second member of our staff has to look first.",
        )
        return redirect("request", pk=about.pk)
    return StreamingHttpResponse(
        chunks,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
