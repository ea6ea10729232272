"""The public page about data and rights, and who looked at one's data."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from privacy.gate import log
from privacy.gate.told import by_day
from privacy.models import AccessEntry
from privacy.requests import regimes
from privacy.views import words

PER_PAGE = 100  # openings; those of one day, role and occasion are one line
OWN_SHOWN = 100
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
    """Show the signed-in person the openings of their data by day, role and occasion; own openings folded (P40)."""
    user, subject = request.user, request.user.subject_id or NOBODY
    found = AccessEntry.objects.for_subject(subject)
    mine = [str(user.pk), *(str(name.id) for name in log.names_of([subject]))]
    own = found.filter(actor_id__in=mine)
    page = Paginator(found.exclude(actor_id__in=mine).select_related("whose"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "page": page,
        "occasions": by_day(page.object_list, subject),
        "own": by_day(own.select_related("whose")[:OWN_SHOWN], subject),
        "own_summary": _own_summary(own.count()),
    }
    return render(request, "privacy/openings.html", context)


def _own_summary(count: int) -> str:
    told = ngettext("You opened your own data once", "You opened your own data %(count)d times", count) % {
        "count": count
    }
    if count > OWN_SHOWN:
        told += _("; here are the last %(shown)d") % {"shown": OWN_SHOWN}
    return told
