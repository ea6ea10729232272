"""The requests as a list: which of them are meant, and how each stands. No personal data; nothing is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, QuerySet

from privacy.requests import questions
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, UNANSWERED_STATES

SOON = timedelta(days=7)


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


def with_questions(requests: QuerySet[Request]) -> QuerySet[Request]:
    """Return the requests, each with whether a second person has still to decide about it (`needs_second`)."""
    undecided = Exists(questions.rows().filter(request=OuterRef("pk")))
    return requests.annotate(needs_second=undecided)  # type: ignore[no-redef]  # the model has what holds otherwise


def rows(requests: QuerySet[Request], *, today: date) -> Iterator[tuple[Request, dict[str, Any]]]:
    """Yield each request and how it stands (docs/schemas/request_list.json), the most urgent first, in one query."""
    found = with_questions(requests).order_by("due_on", "reference")
    for one in found.iterator(chunk_size=1000):
        late = max((today - one.due_on).days, 0) if one.is_open and not one.is_answered else 0
        yield (
            one,
            {
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
                "step": one.step,
                "last_error": one.last_error,
            },
        )
