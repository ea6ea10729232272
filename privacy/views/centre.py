"""The public page about data and rights, and who looked at one's data."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
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
MOST_OF_A_DAY = 200  # openings; a day with more has pages of its own, of PER_PAGE openings each
OWN_SHOWN = 100
UNFOLDED = 6  # lines before the rest of a page folds: on a telephone they take two screens
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
    own, others = found.filter(actor_id__in=mine), found.exclude(actor_id__in=mine)
    page = Paginator(_pages(others), 1).get_page(request.GET.get("page"))
    theirs = [entry for part in page for entry in _of(others, part)]
    hers = list(own.select_related("whose")[:OWN_SHOWN])
    occasions, by_her = by_day(theirs, subject), by_day(hers, subject)
    # by_day leaves out what this program did not write: it says what somebody wanted it to say.
    strange = len(hers) - sum(one.count for one in by_her)
    context = {
        "page": page,
        "part": next((part for part in page if part.of_day), None),
        "occasions": occasions[:UNFOLDED],
        "more": occasions[UNFOLDED:],
        "more_summary": _more(len(occasions) - UNFOLDED),
        "not_ours": _not_ours(len(theirs) - sum(one.count for one in occasions) + strange),
        "own": by_her,
        "own_summary": _own_summary(own.count() - strange),
    }
    return render(request, "privacy/openings.html", context)


class _Part(NamedTuple):
    """What stands on one page: the openings of whole days, or some of one heavy day's, by their place in it."""

    first: date
    last: date
    begin: int = 0
    end: int = 0
    of_day: int = 0  # how many the heavy day has


def _pages(entries: AccessEntryQuerySet) -> list[_Part]:
    """Return the pages of a list, newest first. A day stands on two of them only when it has more openings than
    MOST_OF_A_DAY, so that what happened often on one is counted once. One query."""
    days = entries.order_by().values(day=TruncDate("at", tzinfo=COMPANY_ZONE)).annotate(count=Count("pk"))
    pages: list[_Part] = []
    shown = PER_PAGE
    for day, count in days.order_by("-day").values_list("day", "count"):
        if count > MOST_OF_A_DAY:
            begins = range(0, count, PER_PAGE)
            pages += [_Part(day, day, begin, min(begin + PER_PAGE, count), count) for begin in begins]
            shown = PER_PAGE
            continue
        if shown >= PER_PAGE:
            pages.append(_Part(day, day))
            shown = 0
        pages[-1] = pages[-1]._replace(first=day)
        shown += count
    return pages


def _of(entries: AccessEntryQuerySet, part: _Part) -> AccessEntryQuerySet:
    """Return the entries that stand on this page."""
    days = (part.first, part.last + timedelta(days=1))
    begin, end = (datetime.combine(day, time(), tzinfo=COMPANY_ZONE) for day in days)
    found = entries.filter(at__gte=begin, at__lt=end).select_related("whose")
    return found.order_by("-at", "-pk")[part.begin : part.end] if part.of_day else found


def _not_ours(count: int) -> str:
    """Return what is said of entries that this program did not write; "" where there are none."""
    told = ngettext(
        "One entry is left out here: it was not written by our site, and we do not know whether anybody looked.",
        "%(count)d entries are left out here: they were not written by our site, and we do not know whether"
        " anybody looked.",
        count,
    )
    return told % {"count": count} if count else ""


def _more(count: int) -> str:
    return ngettext("%(count)d more line of this page", "%(count)d more lines of this page", count) % {"count": count}


def _own_summary(count: int) -> str:
    told = ngettext("You opened your own data once", "You opened your own data %(count)d times", count) % {
        "count": count
    }
    if count > OWN_SHOWN:
        told += _("; here are the last %(shown)d") % {"shown": OWN_SHOWN}
    return told
