"""Which questions were put to a second person, which are open, and what was answered: by the history alone.

What must never happen: a copy that is handed out, or a removal that goes on, because somebody wrote an answer into the
table of questions, or took a question away there; somebody's removal that is refused because a question was planted.
The history is appended to only, and stands under the keyed hash of its request (`bound`); the rows of the table are
what the desk lists. A row of which the history does not tell is no question, and one that is gone is put back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.fields.json import KT

from privacy.requests import bound, history
from privacy.requests.models import Export, Request, RequestEvent, SecondLook
from privacy.requests.states import UNDONE_STATES
from privacy.vault.compiled import Question

CHUNK = 500
ASKED, DECIDED = (history.SECOND_ASKED, history.SECOND_ASKED_AGAIN), "second_decided"
EXCESSIVE = SecondLook.Why.EXCESSIVE.value
_UNDONE = frozenset(state.value for state in UNDONE_STATES)
_KINDS = frozenset({*ASKED, DECIDED, history.SECOND_ENDED, history.REFUSAL_PROPOSED, history.REFUSAL_DECIDED, *_UNDONE})


@dataclass
class Questions:
    """What the history of one request tells of its questions, each by its reason (`SecondLook.Why`)."""

    open: dict[str, list[datetime]] = field(default_factory=dict)  # with the times at which it was put since
    ended: dict[str, list[datetime]] = field(default_factory=dict)  # with its request, and answered by nobody
    begun: dict[str, list[datetime]] = field(default_factory=dict)  # when it was put anew, in all its history
    answers: dict[str, str] = field(default_factory=dict)  # the answer to it when it was put last, "" without one


def of(request: Request) -> Questions:
    """Return the questions of a request: those that are open, how others ended, what was answered the last time.

    One that ended with its request, because nothing of it could be given any more, is open again as long as the table
    has a copy of it all the same.
    """
    told = _told(_events_of_one().records(request.pk))
    if told.ended and Export.objects.filter(request=request, deleted_at=None).exists():
        told.open.update(told.ended)
    return told


@cache
def _events_of_one() -> Question:
    events = RequestEvent.objects.filter(request=Question.NUMBER, kind__in=_KINDS)
    return Question(events.order_by("pk"), Question.NUMBER)


def _told_with(events: Iterable[RequestEvent], *, has_copy: bool) -> Questions:
    told = _told(events)
    if has_copy:
        told.open.update(told.ended)
    return told


def _told(events: Iterable[RequestEvent]) -> Questions:
    told = Questions()
    for one in events:
        detail = one.detail if isinstance(one.detail, dict) else {}  # others: not the site's
        why = detail.get("why")
        if one.kind in ASKED:
            _put(told, str(why or ""), one.at)
        elif one.kind == history.REFUSAL_PROPOSED:
            _put(told, EXCESSIVE, one.at)
        elif one.kind == history.REFUSAL_DECIDED:
            _answer(told, [EXCESSIVE], detail)
        elif one.kind == DECIDED:  # the first version did not write down which: it was all of them
            _answer(told, why if isinstance(why, list) else [name for name in told.open if name != EXCESSIVE], detail)
        else:  # what was open when it ended is open no more
            for name in why if isinstance(why, list) else list(told.open):
                if name in told.open:
                    told.ended[name] = told.open.pop(name)
    return told


def _put(told: Questions, why: str, at: datetime) -> None:
    if why not in told.open:
        told.begun.setdefault(why, []).append(at)
        told.open[why] = []
    told.ended.pop(why, None)
    told.open[why].append(at)
    told.answers[why] = ""


def _answer(told: Questions, whys: list[Any], detail: dict[str, Any]) -> None:
    for name in whys:
        told.open.pop(name, None)
        told.ended.pop(name, None)
        told.answers[name] = str(detail.get("outcome", ""))


def rows() -> QuerySet[SecondLook]:
    """Return the rows of open questions of which the history tells that they were put: what desk and lists show."""
    asked = RequestEvent.objects.filter(request=OuterRef("request")).annotate(said=KT("detail__why"))
    is_put = Q(kind__in=ASKED, said=OuterRef("why"))
    proposed = RequestEvent.objects.filter(request=OuterRef("request"), kind=history.REFUSAL_PROPOSED)
    return SecondLook.objects.filter(
        Q(Exists(asked.filter(is_put))) | Q(Exists(proposed), why=EXCESSIVE), decided_at=None
    )


def row(request: Request, why: str, *, at: datetime) -> SecondLook:
    """Return the row of a question that is put now, in the caller's transaction; one that somebody planted is taken."""
    return SecondLook.objects.update_or_create(request=request, why=why, decided_at=None, defaults={"asked_at": at})[0]


def put_back(request: Request) -> int:
    """Write anew the rows of open questions that were taken away, or answered past the program, so that they can be
    answered; return how many. In the caller's transaction, which holds the request."""
    return len(SecondLook.objects.bulk_create(lost(request), ignore_conflicts=True))


def lost(request: Request) -> list[SecondLook]:
    """Return the open questions about a request that its history tells of and its table does not, not saved."""
    told = of(request).open
    there = (
        set(SecondLook.objects.filter(request=request, decided_at=None).values_list("why", flat=True)) if told else ()
    )
    return [SecondLook(request=request, why=why, asked_at=at[0]) for why, at in told.items() if why not in there]


def copies() -> QuerySet[Export]:
    """Return the copies that can be opened: those whose key stands in the key store. What the row of one says of its
    end, or of whether it was finished, counts for nothing."""
    return Export.objects.filter(pk__in=bound.files_living())


def unlike(which: QuerySet[Request]) -> Iterator[UUID]:
    """Yield those of these requests whose rows of questions are not those of their
    history, oldest first, in the same number of queries for each `CHUNK`."""
    is_asked = Q(pk__in=SecondLook.objects.values("request")) | Q(
        pk__in=RequestEvent.objects.filter(kind__in=ASKED).values("request")
    )
    events = RequestEvent.objects.filter(kind__in=_KINDS).order_by("pk")
    found = which.filter(is_asked).prefetch_related(
        Prefetch("events", events, to_attr="said"),
        Prefetch("exports", Export.objects.filter(deleted_at=None), to_attr="there"),
        "second_looks",
    )
    for request in found.order_by("pk").iterator(CHUNK):
        told = _told_with(request.said, has_copy=bool(request.there))
        rows_there = [(one.why, one.decided_at) for one in sorted(request.second_looks.all(), key=lambda one: one.why)]
        if next(_findings(told, rows_there), None) is not None:
            yield request.pk


def findings(request: Request) -> Iterator[str]:
    """Say in words in what the rows of a request's questions are not those of its history."""
    there = list(SecondLook.objects.filter(request=request).order_by("why").values_list("why", "decided_at"))
    yield from _findings(of(request), there)


def _findings(told: Questions, there: list[tuple[str, datetime | None]]) -> Iterator[str]:
    for why, some in groupby(there, key=lambda one: one[0]):
        days = [decided_at for _, decided_at in some]
        if len(days) > len(told.begun.get(why, ())) or (None in days and why not in told.open):
            yield f"a question to a second person, or an answer to one, of which its history does not tell: {why}"
    is_open = Counter(why for why, decided_at in there if decided_at is None)
    for why in told.open:
        if not is_open[why]:
            yield f"a question to a second person that is open by its history, and not in its table: {why!a}"
