"""The public page about data and rights, and who looked at one's data."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from privacy.gate import log
from privacy.gate.told import tell
from privacy.models import AccessEntry
from privacy.requests import regimes
from privacy.views import words

PER_PAGE = 30
OWN_SHOWN = 20
NOBODY = UUID(int=0)


@login_not_required
@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Tell everybody their rights, how to use them, what is held, what for and how long (P6, P11, P50)."""
    longer = [one for one in regimes.regimes() if one.switch and getattr(settings, one.switch, False)]
    return render(
        request,
        "privacy/centre.html",
        {"collected": words.collected(), "stores": words.stores(), "kept": words.kept(), "longer": longer},
    )


@require_safe
def openings(request: HttpRequest) -> HttpResponse:
    """Show the signed-in person each opening of their data: when, which role, what for; own openings folded (P40)."""
    user, subject = request.user, request.user.subject_id or NOBODY
    found = AccessEntry.objects.for_subject(subject)
    mine = [str(user.pk), *(str(name.pk) for name in log.names_of([subject]))]
    own = found.filter(actor_id__in=mine)
    page = Paginator(found.exclude(actor_id__in=mine).select_related("whose"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "page": page,
        "entries": tell(page.object_list, subject),
        "own": tell(own.select_related("whose")[:OWN_SHOWN], subject),
        "own_count": own.count(),
    }
    return render(request, "privacy/openings.html", context)
