"""The public page about data and rights, and who looked at one's data."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from privacy.calendar import COMPANY_ZONE
from privacy.gate import log
from privacy.gate.log import AccessEntryQuerySet
from privacy.gate.told import by_day
from privacy.models import AccessEntry
from privacy.requests import regimes
from privacy.views import words

PER_PAGE = 100  # openings after which a page ends with the day: those of one day, role and occasion are one line
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
    others = found.exclude(actor_id__in=mine)
    page = Paginator(_pages(others), 1).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "occasions": [one for days in page for one in by_day(_of(others, *days), subject)],
        "own": by_day(own.select_related("whose")[:OWN_SHOWN], subject),
        "own_summary": _own_summary(own.count()),
    }
    return render(request, "privacy/openings.html", context)


def _pages(entries: AccessEntryQuerySet) -> list[tuple[date, date]]:
    """Return the pages of a list, newest first, each by its first and last day: no day stands on two of them, so that
    what happened often on one is counted once. One query."""
    days = entries.order_by().values(day=TruncDate("at", tzinfo=COMPANY_ZONE)).annotate(count=Count("pk"))
    pages: list[tuple[date, date]] = []
    shown = PER_PAGE
    for day, count in days.order_by("-day").values_list("day", "count"):
        if shown >= PER_PAGE:
            pages.append((day, day))
            shown = 0
        pages[-1] = (day, pages[-1][1])
        shown += count
    return pages


def _of(entries: AccessEntryQuerySet, first: date, last: date) -> AccessEntryQuerySet:
    """Return the entries of these days of the company."""
    begin, end = (datetime.combine(day, time(), tzinfo=COMPANY_ZONE) for day in (first, last + timedelta(days=1)))
    return entries.filter(at__gte=begin, at__lt=end).select_related("whose")


def _own_summary(count: int) -> str:
    told = ngettext("You opened your own data once", "You opened your own data %(count)d times", count) % {
        "count": count
    }
    if count > OWN_SHOWN:
        told += _("; here are the last %(shown)d") % {"shown": OWN_SHOWN}
    return told
