"""The public page about data and rights, and who looked at one's data."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from privacy.models import AccessEntry
from privacy.views import words

PER_PAGE = 30
OWN_SHOWN = 20


@login_not_required
@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Tell everybody their rights, how to use them, what is held, what for and how long (P6, P11, P50)."""
    return render(request, "privacy/centre.html", {"collected": words.collected(), "kept": words.kept()})


@require_safe
def openings(request: HttpRequest) -> HttpResponse:
    """Show the signed-in person each opening of their data: when, which role, what for; own openings folded (P40)."""
    subject = request.user.subject_id
    found = AccessEntry.objects.for_subject(subject) if subject else AccessEntry.objects.none()
    own = found.filter(actor_id=str(request.user.pk))
    page = Paginator(found.exclude(actor_id=str(request.user.pk)), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "entries": [_told(entry) for entry in page.object_list],
        "own": [_told(entry) for entry in own[:OWN_SHOWN]],
        "own_count": own.count(),
    }
    return render(request, "privacy/openings.html", context)


def _told(entry: AccessEntry) -> dict[str, object]:
    return {
        "at": entry.at,
        "role": words.role(entry.role),
        "purpose": words.purpose(entry.purpose, entry.reason),
        "opened": words.opened(entry.envelopes),
    }
