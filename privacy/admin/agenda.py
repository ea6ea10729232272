"""What of the requests is work: the filter of their list, and what waits on the front page of the privacy team."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from privacy.admin.waiting import SHOWN_ON_FRONT_PAGE, Task, WorkList, due, unpaused
from privacy.admin.work import WorkAdmin
from privacy.calendar import company_day
from privacy.gate import Actor
from privacy.models import Letter, Request
from privacy.requests import (
    in_doubt,
    listing,
    longer,
    second,
)
from privacy.requests.states import OPEN_STATES, UNANSWERED_STATES, State

LATELY = timedelta(days=30)


class Work(admin.SimpleListFilter):
    """What of the list is work: the open ones, unless something else is asked for or was searched."""

    title = "work"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(listing.Which.choices)

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.otherwise = "open" if model_admin.search_of(request) is None else "all"

    def value(self) -> str:
        return super().value() or self.otherwise

    def choices(self, changelist: Any) -> Iterator[Any]:
        for name, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: name})
            yield {"selected": self.value() == name, "query_string": query, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Request]) -> QuerySet[Request]:
        which = self.value() if self.value() in listing.Which.values else self.otherwise
        return listing.narrowed(queryset, which, today=company_day(timezone.now()))


class StateInWords(admin.ChoicesFieldListFilter):
    """The filter by state, in which the name of a code says what it means."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        words = {str(State.IDENTITY.label): _("identity proved, or being proved")}
        for one in super().choices(changelist):
            display = str(one["display"])
            yield {**one, "display": words.get(display, display)}


def waiting_for(site: WorkAdmin, actor: Actor, today: date) -> list[WorkList]:
    """Return the work lists of the requests: what somebody has to look at, what is due, what did not go out, whom
    nobody could tell, possible breaches."""
    if "privacy" not in actor.roles:
        return []
    # Parked ones first: nothing moves them but a person.
    waiting = Request.objects.filter(state__in=UNANSWERED_STATES)
    first = sorted(
        {
            *waiting.filter(state=State.PARKED)[:SHOWN_ON_FRONT_PAGE],
            *waiting.order_by("due_on")[:SHOWN_ON_FRONT_PAGE],
        },
        key=lambda one: (one.state != State.PARKED, one.due_on, one.reference),
    )
    tasks = []
    for one in listing.tell(first[:SHOWN_ON_FRONT_PAGE]):
        when, is_late = due(one.due_on, today)
        text = f"{one.reference}: {one.title}, {one.get_state_display()}"
        tasks.append(Task(site.url_of(one), text, f"due {when}{unpaused(one)}", is_late))
    lists = [WorkList("Requests, by due date", site.url_of_list(), tasks, waiting.count())]
    lists.append(_to_post(site))
    dead = Request.objects.filter(
        letters__by=Letter.By.EMAIL, letters__sent_at=None, letters__stopped_at=None, letters__next_attempt_at=None,
        letters__last_error__gt="",
    ).distinct()  # fmt: skip
    if unsent := list(dead.order_by("due_on", "reference")[:SHOWN_ON_FRONT_PAGE]):
        again = [Task(site.url_of(one), f"{one.reference}: {one.title}", is_late=True) for one in unsent]
        lists.append(WorkList(_("Letters that did not go out"), site.url_of_list(), again, dead.count()))
    lists.append(
        WorkList.of(
            _("People who could not be told of a moved day"),
            site.url_of_list(),
            longer.untold().order_by("reference"),
            lambda one: Task(
                site.url_of(one), _("%s: what was to go is open, and the person could not be told") % one.reference
            ),
        )
    )
    breaches = second.possible_breaches()
    if found := list(breaches[:SHOWN_ON_FRONT_PAGE]):
        looks = [
            Task(
                site.url_of(one),
                f"{one.reference}: {one.title}, not shown to be the person",
                f"known since {timezone.localtime(second.breach_known_since(one)):%-d %B %Y, %H:%M %Z}",
                True,
            )
            for one in found
        ]
        lists.insert(0, WorkList("Possible breaches to assess", site.url_of_list(), looks, breaches.count()))
    return [*_to_look_at(site), *lists]


def _to_look_at(site: WorkAdmin) -> list[WorkList]:
    """Return the requests that somebody has to look at, the one due first at the top; nothing where there are none.

    All that are open and those that ended lately: looking at each request there ever was would take too long for a
    page, and `seal_requests` does.
    """
    lately = Q(closed_at__gte=timezone.now() - LATELY) | Q(state__in=OPEN_STATES)
    found = WorkList.of(
        _("Requests that somebody has to look at, open or ended within 30 days"),
        site.url_of_list(),
        in_doubt.among(Request.objects.filter(lately)).order_by("due_on", "reference"),
        lambda one: Task(site.url_of(one), f"{one.reference}: {one.title}", is_late=True),
    )
    return [found] if found.tasks else []


def _to_post(site: WorkAdmin) -> WorkList:
    """Return the requests with a letter that waits to be printed and posted, the one due first at the top."""
    waiting = Letter.objects.filter(by=Letter.By.POST, sent_at=None, stopped_at=None, request__isnull=False)
    found = Request.objects.filter(pk__in=waiting.values("request"))
    found = found.order_by("due_on", "reference")
    return WorkList.of(
        "Letters to post",
        site.url_of_list(),
        found,
        lambda one: Task(site.url_of(one), f"{one.reference}: {one.title}"),
    )
