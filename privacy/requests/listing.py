"""The requests as a list: which of them are meant, and how each stands. No personal data; nothing is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import QuerySet

from privacy.requests import doubt, questions
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import OPEN_STATES, UNANSWERED_STATES, State

SOON = timedelta(days=7)
CHUNK = 1000


class Which(models.TextChoices):
    """What of the list is meant."""

    OPEN = "open", "Open"
    OVERDUE = "overdue", "Overdue"
    SOON = "soon", "Due within 7 days"
    ENDED = "ended", "Ended"
    ALL = "all", "All"


def narrowed(requests: QuerySet[Request], which: str, *, today: date) -> QuerySet[Request]:
    """Return those of the requests that are meant. `soon` has the overdue ones, too: they are as urgent."""
    match Which(which):
        case Which.ALL:
            return requests
        case Which.ENDED:
            return requests.exclude(state__in=OPEN_STATES)
        case Which.OVERDUE:
            return requests.filter(state__in=UNANSWERED_STATES, due_on__lt=today)
        case Which.SOON:
            return requests.filter(state__in=UNANSWERED_STATES, due_on__lte=today + SOON)
        case _:
            return requests.filter(state__in=OPEN_STATES)


def tell(requests: Iterable[Request]) -> list[Request]:
    """Return these requests, of which each can say how it stands (`Request.stands`): whether a second person has still
    to decide about it, and whether it is in doubt. The same number of queries for any number of them.

    Without it a list would call carried out what somebody wrote into a row, and that its person has to wait for
    nobody.
    """
    found = list(requests)
    numbers = [one.pk for one in found]
    asked = set(questions.rows().filter(request__in=numbers).values_list("request", flat=True)) if found else set()
    doubted = doubt.among(numbers)
    for one in found:
        one.needs_second, one.is_in_doubt = one.pk in asked, one.pk in doubted
    return found


def answered_at(requests: Iterable[Request]) -> dict[UUID, datetime]:
    """Return when the answer of each of these requests went out, by its history, for those of which it did."""
    replied = RequestEvent.objects.filter(request__in=[one.pk for one in requests], kind=State.REPLIED.value)
    return dict(replied.values_list("request", "at"))


def told(request: Request) -> str:
    """Return how one request stands, in words, to staff and operators."""
    return tell([request])[0].get_state_display()


def rows(requests: QuerySet[Request], *, today: date) -> Iterator[tuple[Request, dict[str, Any]]]:
    """Yield each request and how it stands (docs/schemas/request_list.json), the most urgent first, in as many queries
    for a thousand as for one."""
    found = requests.order_by("due_on", "reference").iterator(chunk_size=CHUNK)
    while some := tell(islice(found, CHUNK)):
        yield from ((one, _shown(one, today)) for one in some)


def _shown(one: Request, today: date) -> dict[str, Any]:
    late = max((today - one.due_on).days, 0) if one.is_open and not one.is_answered else 0
    return {
        "reference": one.reference,
        "kind": one.kind,
        "state": one.state,
        "channel": one.channel,
        "received_on": one.received_on.isoformat(),
        "due_on": one.due_on.isoformat(),
        "legal_due_on": one.legal_due_on.isoformat(),
        "days_overdue": late,
        "identified": one.is_identified,
        "needs_second_person": one.is_open and one.needs_second,
        "in_doubt": one.is_in_doubt,
        "step": one.step,
        "last_error": one.last_error,
    }
