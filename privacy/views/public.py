"""Requests without a login: ask by e-mail, prove it by a one-time link, read the outcome by reference and code.

What must never happen: an answer that tells whether an address is on file, or an effect by merely opening a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from allauth.core import ratelimit
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from privacy import gate, people
from privacy.models import Export, Request
from privacy.requests import export, filing, links, proof, proving, reading, second, sight, went_to
from privacy.requests.models import OneTimeLink
from privacy.requests.outcome import FileUnreadable, NotAsPlanned
from privacy.requests.states import State
from privacy.sweep import notices
from privacy.views import ends, person, result, words
from privacy.views.forms import AskForm, OutcomeForm

NO_OUTCOME = (
    "There is no outcome for this reference and code. Please check both. A code that came by post works from the day on which we "
    "noted that its letter was posted: if both are right, call us."
)


@login_not_required
@sensitive_post_parameters()
def ask(request: HttpRequest) -> HttpResponse:
    """Take a request by e-mail address; the answer is the same whoever asks (Art. 12(6), P6)."""
    form = AskForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "privacy/ask.html", {"form": form})
    if not ratelimit.consume(request, action="privacy_ask"):
        return ratelimit.respond_429(request)
    filing.ask(
        kind=form.cleaned_data["kind"], email=form.cleaned_data["email"], actor=gate.ANONYMOUS, now=timezone.now()
    )
    return redirect("asked")


@login_not_required
@require_safe
def asked(request: HttpRequest) -> HttpResponse:
    """Say what happens now, the same to everybody."""
    return render(request, "privacy/asked.html")


@login_not_required
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button for a one-time link; only the POST uses it up and leads to the request (R12)."""
    now = timezone.now()
    try:
        if request.method != "POST":
            purpose = links.look(token, now=now).purpose
            is_not_me = purpose == OneTimeLink.Purpose.NOT_ME
            return render(request, "privacy/not_me.html" if is_not_me else "privacy/link.html")
        if links.look(token, now=now).purpose == OneTimeLink.Purpose.NOT_ME:
            stopped = second.say_not_me(token, now=now)
            return render(
                request,
                "privacy/not_me_said.html",
                {"is_stopped": second.stands_still(stopped), **result.gone_out(stopped)},
            )
        about, code = proving.redeem(token, now=now)
        stands = went_to.stands_on(token)
    except links.LinkRefused:
        return render(request, "privacy/link_spent.html", {"is_told": links.is_told(token)}, status=403)
    if (
        about.subject_id is None and not about.is_identified
    ):  # after a removal it is nobody's, too, and leads to its outcome
        return render(request, "privacy/nothing_held.html", {"about": about})
    person.remember_proof(request, about, code, stands)
    return redirect("request_confirm" if about.procedure.is_confirmed else "request", pk=about.pk)


@login_not_required
def keep(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button that keeps an account from ending by itself; only the POST does it (P10)."""
    now = timezone.now()
    try:
        if request.method == "POST":
            notice = notices.keep(token, now=now)
        else:
            notice = notices.look(token, now=now)
    except notices.NoticeGone:
        return render(request, "privacy/keep_gone.html", status=403)
    except notices.CannotKeep as reason:
        return render(request, "privacy/keep_gone.html", {"reason": str(reason)}, status=409)
    has_login = people.ask().has_login(notice.subject_id)
    return render(request, "privacy/keep.html", {"notice": notice, "has_login": has_login})


@login_not_required
@sensitive_post_parameters()
def outcome(request: HttpRequest) -> HttpResponse:
    """Show the outcome of a request for its reference and code: also when the account is gone."""
    form = OutcomeForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "privacy/outcome_form.html", {"form": form})
    if not ratelimit.consume(request, action="privacy_outcome"):
        return ratelimit.respond_429(request)
    now = timezone.now()
    try:
        reader = request.user.subject_id if request.user.is_authenticated else None
        visitor = request.user.as_actor() if request.user.is_authenticated else None
        code = form.cleaned_data["code"]
        found = reading.by_code(form.cleaned_data["reference"], code, now=now, reader=reader, visitor=visitor)
    except proof.HadTheLetter as had:
        form.add_error(None, str(had))
        return render(request, "privacy/outcome_form.html", {"form": form}, status=403)
    except NotAsPlanned as why:
        return person.doubted(request, why.request, is_not_as_planned=True)
    except (reading.WrongCode, FileUnreadable):
        form.add_error(None, NO_OUTCOME)
        return render(request, "privacy/outcome_form.html", {"form": form}, status=401)
    except reading.CodeMoved as moved:
        return person.moved(request, moved.request)
    except sight.Doubted as why:
        return person.doubted(request, why.request)
    about = found.pop("request")
    copies = export.left(about, now=now)
    copy = _copy_to_fetch(request, about, copies, went_to.stands_on_code(about, code))
    listed = {name: words.by_title(found[name]) for name in ("erased", "kept", "given")}
    leftovers = [one | {"until": date.fromisoformat(one["until"])} for one in found["leftovers"]]
    said = {"leftovers": leftovers, "unjoined": found["unjoined"]}
    how_far = {
        **result.how_far(about),
        "can_confirm": about.procedure.is_confirmed and about.state == State.PLANNED,
        **result.still(about, now),
        "steps": words.steps(about, reading.show(about)),
    }
    about.needs_second = how_far["needs_second"]
    is_damaged = ends.is_damaged(about, now=now) and not how_far["needs_second"]
    new_copy = "" if how_far["needs_second"] or copy else ends.new_copy(about, now=now)
    if is_damaged and not request.user.is_authenticated:
        person.remember_proof(request, about, "", went_to.stands_on_code(about, code))
    ended = {
        "copy_is_damaged": is_damaged,
        "copy_is_made_anew": is_damaged and not new_copy and ends.is_made_anew(about),
        "new_copy": new_copy,
        "end": ends.of_request(about, found["refusal"]),
        "copy_ended": "" if how_far["needs_second"] else ends.of_copy(about, now=now),
    }
    is_elsewhere = bool(copies) and request.user.is_authenticated and not how_far["needs_second"]
    context = {
        "about": about,
        "copy": copy if not how_far["needs_second"] else None,
        "is_copy_elsewhere": is_elsewhere,
        **said,
        **ended,
        **how_far,
        **listed,
    }
    return render(request, "privacy/outcome.html", context)


def _copy_to_fetch(
    request: HttpRequest, about: Request, copies: Sequence[Export], stands: went_to.Stands
) -> Export | None:
    """Return the finished copy that this person can fetch now, and let this browser fetch it for an hour.

    After a removal there is no login any more: reference and code are the proof. Somebody signed in fetches
    it where the request stands.
    """
    if not copies or request.user.is_authenticated:
        return None
    copy = next((one for one in copies if one.request_id == about.pk), copies[-1])
    person.remember_proof(request, copy.request, "", stands)
    return copy
