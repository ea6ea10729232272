"""A person's returns for calibration and repair: list, open, follow, answer a quote, write to the laboratory."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Channel, Customer, User
from accounts.services import customer_of
from privacy.requests import ended
from privacy.typed import numbers
from privacy.views import check
from rma import serials, services, states, steps
from rma.forms import NewRMAForm, NoteForm, initial
from rma.models import RMA, Certificate

PER_PAGE = 20
State = RMA.State

#: Told before the answers are checked: it is the person's own.
OPEN_ALREADY = "Your return {number} for this instrument is open. Write to the laboratory on its page."
NO_LONGER = "This step is no longer possible: the return has moved on meanwhile."
#: What happens next, told to the person, by state.
NEXT: dict[str, str] = {
    State.REQUESTED: "We look at what you wrote. This page says when the return is authorised: please send the instrument only then.",
    State.AUTHORISED: "Pack the instrument well, write the return number on the box and send it to {name}, {address}. Tell us here when it is on its way.",
    State.IN_TRANSIT: "This page says when the instrument has arrived.",
    State.RECEIVED: "The laboratory inspects the instrument. If we quote a price for the work, it stands here.",
    State.QUOTED: "Please accept or decline the quote. The work that it is for does not begin before it is accepted.",
    State.APPROVED: "Your instrument waits for its place on the bench.",
    State.DECLINED: "We send the instrument back as it came.",
    State.IN_SERVICE: "The laboratory is at work. When it is done, the instrument is verified once more.",
    State.VERIFIED: "We send the instrument back. A certificate that we issue for it stands on this page.",
    State.SHIPPED_BACK: "The instrument is on its way to you. The case is closed when it has arrived.",
    State.ON_HOLD: "The work waits for a part, or for an answer from you. The history says which, where we noted it.",
    State.BEYOND_REPAIR: "The instrument cannot be repaired. We send it back, or dispose of it if you ask us to.",
    State.CANCELLED: "This return is cancelled. The instrument is sent back to you.",
}


@require_safe
def rmas(request: HttpRequest) -> HttpResponse:
    """List the signed-in person's returns, newest first; opens no envelope."""
    found = RMA.objects.for_subject(request.user.subject_id).recent_first().select_related("instrument")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    gone = ended.gone(request.user.subject_id, RMA.objects.for_subject(request.user.subject_id))
    return render(request, "rma/list.html", {"page": page, "gone": gone})


def rma_new(request: HttpRequest) -> HttpResponse:
    """Ask about the instrument, show the answers once more, then open the return: only the last POST has an effect.

    A POST that says what of the answers is to be changed gets the form back with all of them, at that group.
    """
    known = Customer.objects.for_subject(request.user.subject_id).order_by("user", "pk").first()
    form = NewRMAForm(request.POST or None, initial=initial(known) if known and not request.POST else None)
    stage, changed = request.POST.get("stage", ""), request.POST.get("change", "")
    if not request.POST or changed or not form.is_valid():
        return _asked(request, form, changed)
    if (
        mine := services.open_for(request.user.subject_id, serial=serials.read(form.cleaned_data["serial"]))
    ) is not None:
        form.add_error("serial", OPEN_ALREADY.format(number=mine.number))
        return _asked(request, form)
    if stage != "send":
        return render(request, "rma/check.html", {"form": form})
    if not ratelimit.consume(request, action="rma_open", user=request.user):
        return ratelimit.respond_429(request)
    opened = _open(request, known, form)
    return redirect("rma", pk=opened.pk) if opened else _asked(request, form)


def _asked(request: HttpRequest, form: NewRMAForm, changed: str = "") -> HttpResponse:
    return render(request, "rma/new.html", {"form": form, "groups": form.groups(changed=changed)})


def _open(request: HttpRequest, known: Customer | None, form: NewRMAForm) -> RMA | None:
    """Open the return and return it, or put the reason into the form and return None."""
    answers, actor, now = form.cleaned_data, request.user.as_actor(), timezone.now()
    try:
        customer = known or customer_of(cast(User, request.user), actor=actor, now=now, today=timezone.localdate(now))
        instrument, typed = serials.named(typed=answers["serial"], model_name=answers["model_name"])
        return services.open_rma(
            customer=customer,
            instrument=instrument,
            service=answers["service"],
            channel=Channel.WEB,
            contact=form.contact(),
            fault=answers["fault"],
            accessories=answers["accessories"],
            serial_typed=typed,
            actor=actor,
            now=now,
        )
    except services.InstrumentRefused as refused:
        form.add_error("serial", str(refused))
    except ValidationError as invalid:
        form.add_error(None, invalid.messages)
    return None


@require_safe
def rma(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one return with its history, messages, certificates and what comes next; 404 for anybody else's."""
    return _detail(request, _own(request, pk), NoteForm())


@require_http_methods(["GET", "POST"])
def rma_step(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say what a step means that is the customer's to take (sent, accept or decline the quote, cancel); the POST takes
    it."""
    found = _own(request, pk)
    to = request.POST.get("to") or request.GET.get("to", "")
    seen = request.POST.get("seen", "")
    if to not in _steps(found):
        messages.warning(request, NO_LONGER)
    elif not seen:
        return check.page(request, steps.check(found, to))
    else:
        try:
            services.transition(found, to, seen=seen, actor=request.user.as_actor(), now=timezone.now())
        except services.MovedOn:
            return check.page(request, steps.check(_own(request, pk), to, is_changed=True))
        except services.TransitionRefused:
            messages.warning(request, NO_LONGER)
    return redirect("rma", pk=pk)


@require_POST
def rma_message(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Add a message to the laboratory."""
    found, form = _own(request, pk), NoteForm(request.POST)
    if not form.is_valid():
        return _detail(request, found, form)
    if not ratelimit.consume(request, action="rma_message", user=request.user):
        return ratelimit.respond_429(request)
    try:
        services.add_note(found, text=form.cleaned_data["text"], actor=request.user.as_actor(), now=timezone.now())
    except services.TransitionRefused:
        messages.warning(request, "This return is closed, so no message can be added. Please write to us instead.")
    return redirect("rma", pk=pk)


@require_safe
def certificate(request: HttpRequest, number: str) -> HttpResponse:
    """Show a certificate issued in one of the person's returns, fit for printing; it names nobody. 404 for anybody
    else's."""
    if not numbers.is_ours(number):
        raise Http404
    found = Certificate.objects.for_subject(request.user.subject_id).select_related(
        "instrument", "replaces", "replaced_by"
    )
    return render(request, "rma/certificate.html", {"certificate": get_object_or_404(found, number=number)})


def _own(request: HttpRequest, pk: UUID) -> RMA:
    return get_object_or_404(RMA.objects.for_subject(request.user.subject_id).with_details(), pk=pk)


def _steps(found: RMA) -> dict[str, str]:
    """Return the steps that the customer may take now, each with the words of its button."""
    return {to: steps.ACTS[to] for to in states.next_states(found, states.CUSTOMER) if to in steps.ACTS}


def _detail(request: HttpRequest, found: RMA, form: NoteForm) -> HttpResponse:
    context = {
        "rma": found,
        "form": form,
        "steps": [(to, label, to in steps.ENDS) for to, label in _steps(found).items()],
        "next": NEXT.get(found.state, "").format(**settings.COMPANY) if found.is_open else "",
    }
    return render(request, "rma/detail.html", context)
