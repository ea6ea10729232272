"""Which requests count where something is sent, ended, given or asked: those whose rows say what the site wrote, and of
the others, which are in doubt, each as one that is open and at which somebody has to look.

What must never happen: a letter about somebody to another person, data that end, a copy given out or a question
spared because somebody wrote a state, a right or a person into the row of a request, if only for a minute, and the
site acted on that. So who acts by state, right or person asks here, and not the table (a house test holds that): by
night one in doubt is a finding, at the desk it can only end (NotAllowed), and word of that goes to whom the key store
says that it belongs. It never counts as ended, or as carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

import structlog
from django.db.models import Q, QuerySet

from privacy.requests import bound, history, missed
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, RESUMED_STATES, State
from privacy.subjects import Subject

log = structlog.get_logger(__name__)


def among(requests: Iterable[UUID]) -> set[UUID]:
    """Return those of these requests that are in doubt."""
    numbers = set(requests)
    return _of(Q(pk__in=numbers)) if numbers else set()


def _of(which: Q) -> set[UUID]:
    """Return those in doubt of the requests that `which` finds. Three queries for each bound.CHUNK of them; one more
    where the audit tells of an end or a question of any."""
    judged = {row["pk"]: is_ours for row, is_ours in bound.judged(which)}
    ours = [pk for pk, is_ours in judged.items() if is_ours]
    return (judged.keys() - ours) | missed.among(ours)


def require(request: Request) -> None:
    """Raise bound.NotOurs unless the row of this request says what the site wrote, and its history all that the audit
    tells: before a step of it, and before anything is given by it."""
    bound.require(request)
    if bound.once(request, missed.is_any):
        raise bound.NotOurs


def require_none(requests: Iterable[Request]) -> None:
    """Raise bound.NotOurs where one of these is in doubt: by night the others are done without it."""
    if among(one.pk for one in requests):
        raise bound.NotOurs


def is_clear(request: Request) -> bool:
    """Say whether the site wrote what the row says, and the history says all that the audit tells; of one that is just
    being written (`bound.kept`) whether it did before, without asking again."""
    inside = request.__dict__.get("_is_kept")
    return inside if inside is not None else bound.is_ours(request) and not bound.once(request, missed.is_any)


def require_clear(request: Request) -> None:
    """Raise NotAllowed for a request in doubt, which can only end: what staff want of it would be done for whoever
    wrote there."""
    if not is_clear(request):
        raise history.NotAllowed(history.IN_DOUBT)


def of_person(owner: UUID) -> set[UUID]:
    """Return the requests in doubt that are a person's, by their rows or by the key store."""
    return _of(bound.of_people([owner]))


def theirs(owner: UUID, which: Q) -> QuerySet[Request]:
    """Return the requests of a person that `which` finds, with all of theirs that are in doubt."""
    return Request.objects.filter(Q(which, owner_id=owner) | Q(pk__in=of_person(owner)))


def these(requests: Iterable[UUID], which: Q) -> QuerySet[Request]:
    """Return those of these requests that `which` finds, with all of them that are in doubt."""
    numbers = list(requests)
    return Request.objects.filter(Q(which, pk__in=numbers) | Q(pk__in=among(numbers)))


def asking(
    people: Collection[UUID], *, kinds: Collection[str] | None = None, states: Collection[str] = OPEN_STATES
) -> set[UUID]:
    """Return who of these people has a request (of these kinds) that is open, or in one of these states, or one that is
    in doubt. Four queries for any number; one more where the audit tells of an end or a question of any."""
    if not people:
        return set()
    files = bound.files_of(people)
    owners: dict[UUID, set[UUID | None]] = {}
    count = set()
    for row, is_ours in bound.judged(Q(owner_id__in=people) | Q(pk__in=files)):
        owners[row["pk"]] = {row["owner_id"], files.get(row["pk"])}
        if not is_ours or (row["state"] in states and (kinds is None or row["kind"] in kinds)):
            count.add(row["pk"])
    count |= missed.among(owners.keys() - count)
    found = set().union(*(owners[one] for one in count))
    return {one for one in people if one in found}


def person_of(request: Request) -> UUID | None:
    """Return whose a request is: as its row says, and of one in doubt as the key store says; None for nobody on
    file."""
    if is_clear(request):
        return request.subject_id
    owner = bound.person_of(request.pk)
    return owner if owner is not None and Subject.objects.filter(pk=owner).exists() else None


def open_one(subject: UUID, kind: str) -> Request | None:
    """Return the open request of a person of this kind about the whole file, locked, in the caller's transaction.

    One in doubt is theirs only where the key store says so, and where neither history nor audit say that it
    ended, nor its row that it is parked where nothing goes on. Another one is put aside: it leads to the person no
    more, so that who asks is not swallowed by it.
    """
    found = Request.objects.filter(kind=kind, state__in=OPEN_STATES, scope=Request.Scope.WHOLE, owner_id=subject)
    rows = list(found.select_for_update(of=("self",)).order_by("filed_at"))
    doubted = among(one.pk for one in rows)
    for one in rows:
        if one.pk not in doubted:
            return one
    own, ended = bound.files_of([subject]), history.have_ended(doubted) | missed.ended(doubted)
    for one in rows:
        if one.pk in own and one.pk not in ended and (one.state != State.PARKED or one.parked_from in RESUMED_STATES):
            return one
    planted = Request.objects.filter(kind=kind, state__in=OPEN_STATES, scope=Request.Scope.WHOLE, subject_id=subject)
    # Only one in doubt: the person's own may have been filed and committed since the rows above were read.
    for pk in among(planted.values_list("pk", flat=True)):
        log.error("request.put_aside", request=str(pk))
        Request.objects.filter(pk=pk).update(subject=None)
    return None
