"""What the audit tells of a request, and its history does not: a row and a history of before that were put back
together fit each other, and their keyed hash.

What must never happen: a copy given out, or a step done, by a history from which an end of the request, a question to a
second person, or "this was not me" was taken away. So whoever gives, shows or does something by a request asks here
besides `bound` (`doubt.require`, `doubt.is_clear`), as far back as the audit goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from privacy import audit
from privacy.requests import history, questions
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import UNDONE_STATES, State
from privacy.vault.compiled import Question

CHUNK = 500
NOT_ME = "not_me"
NOT_ME_TOLD, BREACH_TOLD = "request.not_me", "request.possible_breach"
#: Each line of the audit of these has an event; it misses one that was taken away, or made into another.
TOLD_TOO = (
    (("second_decided",), "request.second_decided", "a second person decided"),
    ((history.SECOND_ENDED,), "request.second_ended", "a question to a second person ended"),
    (questions.ASKED, "request.second_asked", "a second person was asked"),
    ((NOT_ME,), NOT_ME_TOLD, "the person said that it was somebody else"),
    ((history.POSSIBLE_BREACH,), BREACH_TOLD, "it was not shown who asked, and something had gone out"),
    ((history.REFUSAL_PROPOSED,), "request.refusal_proposed", "its refusal was proposed"),
    ((history.REFUSAL_DECIDED,), "request.refusal_decided", "a second person decided about its refusal"),
    ((State.REFUSED,), "request.refused", "it was refused"),
    ((State.WITHDRAWN,), "request.withdrawn", "it was withdrawn"),
    ((State.EXPIRED,), "request.expired", "nobody acted on it in time"),
)
_KINDS = frozenset(str(kind) for kinds, _, _ in TOLD_TOO for kind in kinds)
_ACTIONS = tuple(action for _, action, _ in TOLD_TOO)


def words(kinds: Iterable[str], told: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """Say in words what the audit tells more often (lines by what they tell) than a history of these kinds of
    events."""
    there = Counter(kinds)
    for of, action, said in TOLD_TOO:
        if sum(there[one] for one in of) < len(told.get(action, ())):
            yield f"the audit tells more often than its history that {said}"


def among(requests: Collection[UUID]) -> set[UUID]:
    """Return those of these requests of whose history something is missed. One query for each CHUNK of them; two where
    the audit tells of any such thing."""
    numbers, found = list(requests), set()
    for start in range(0, len(numbers), CHUNK):
        those = Request.objects.filter(pk__in=numbers[start : start + CHUNK])
        told = audit.times_of(_ACTIONS, those.values("reference"))
        found |= {pk for pk, kinds, lines in _with_events(told) if any(words(kinds, lines))}
    return found


def is_any(pk: UUID) -> bool:
    """Say whether of the history of one request something is missed. One query; two where the audit tells of any such
    thing."""
    lines, kinds = _asked_of_one()
    return any(any(words([kind for (kind,) in kinds(pk)], told)) for told in lines(pk).values())


@cache
def _asked_of_one() -> tuple[Callable[[UUID], audit.Times], Question]:
    # Compiled once: each step asks it, and each page that shows what somebody may do.
    lines = audit.asking_times_of(_ACTIONS, Request.objects.filter(pk=Question.NUMBER).values("reference"))
    events = RequestEvent.objects.filter(request=Question.NUMBER, kind__in=_KINDS).order_by()
    return lines, Question(events.values_list("kind"), Question.NUMBER)


def ended(requests: Collection[UUID]) -> set[UUID]:
    """Return those of these few requests of which the audit tells that they ended before anything was done for them,
    whatever row and history say. Two queries."""
    those = Request.objects.filter(pk__in=requests)
    told = audit.times_of([f"request.{one.value}" for one in UNDONE_STATES], those.values("reference"))
    return set(those.filter(reference__in=told).values_list("pk", flat=True)) if told else set()


def not_me() -> dict[UUID, datetime]:
    """Return the requests whose history misses that somebody said "this was not me", or that it was decided so after
    something had gone out; with when that was first, by the audit. Two queries."""
    told = audit.times_of((NOT_ME_TOLD, BREACH_TOLD))
    return {
        pk: min(at for some in lines.values() for at in some)
        for pk, kinds, lines in _with_events(told)
        if any(words(kinds, lines))
    }


def _with_events(
    told: Mapping[str, Mapping[str, list[datetime]]],
) -> Iterator[tuple[UUID, list[str], Mapping[str, list[datetime]]]]:
    """Yield each request of these references with the kinds of its events and the lines of the audit about it. One
    query, none without a reference."""
    if not told:
        return
    said = Q(events__kind__in=_KINDS)
    those = Request.objects.filter(reference__in=told).annotate(said=ArrayAgg("events__kind", filter=said, default=[]))
    for pk, reference, kinds in those.values_list("pk", "reference", "said"):
        yield pk, kinds, told[reference]
