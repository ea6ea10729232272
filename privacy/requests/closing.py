"""The last steps of a request: the answer is left in the outbox, and when it has gone out the request closes.

What must never happen: a request that closes before its person has the answer; a letter that still says what was
removed after that; one that burns a letter of another person, or of another request. Which letter is the answer says
the history, which is under the keyed hash, and that it went out our lines of the audit: a row of the outbox that
somebody planted, changed or took away answers nothing, and the request is parked. Every step may be run again after
a crash.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from privacy import audit, letters, vault
from privacy.gate.context import current
from privacy.letters.models import Letter
from privacy.requests import (
    answer,
    bound,
    export,
    given_out,
    history,
    paper,
    procedures,
    questions,
    waits,
    writing,
)
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.result import LOOK_AGAIN, LOOK_LATER, Done, Result, Wait
from privacy.requests.states import State

ANSWER = "answer"  # in the event that the answer was written: the number of its letter


def letter(request: Request, now: datetime) -> Result:
    """Leave the answer in the outbox, once: what was given, or what went, what stays, why and until when; none where a
    second person has destroyed the copy."""
    if Letter.objects.filter(key=answer.key(request)).exists():
        raise bound.NotOurs  # it is written in the transaction that says so: this one is somebody else's
    destroyed = request.second_looks.filter(outcome=SecondLook.Outcome.END)
    if request.procedure.gives and export.live(request) is None and destroyed.exists():
        return Done({ANSWER: ""})
    answer.leave(request, now=now)
    return Done({ANSWER: str(Letter.objects.values_list("pk", flat=True).get(key=answer.key(request)))})


def close(request: Request, now: datetime) -> Result:
    """Close when the answer has gone out: of a copy when it was fetched or its week is over, of a removal with what the
    letters of the request say burned, and its links ended."""
    if (wait := _unanswered(request, now)) is not None:
        return wait
    if request.procedure.gives:
        copy = export.live(request)
        if copy is None and is_owed(request):
            if waits.is_undecided(request):
                return Wait(now + LOOK_LATER)
            if request.subject_id is None:  # nothing is left of which another one could be made
                raise export.CopyDamaged
            copy = export.build(request, now=now)
        if copy is None and export.damaged(request) is None:
            export.require_end(request, now=now)
        if copy is not None and copy.expires_at > now and not given_out.is_fetched(request):
            return Wait(copy.expires_at)
        if request.subject_id is None:  # everything else about the person was erased meanwhile
            letters.burn_given(_own(request), now=now)
    if request.procedure.removes:
        # Word that it was not shown to be the person goes out first; what it says is destroyed by the sweep
        # (`sweep.second_letter`).
        unsent = Letter.objects.filter(request=request, kind=writing.NOT_YOU, sent_at=None, stopped_at=None)
        letters.burn_given(_own(request).exclude(pk__in=unsent.values("pk")), now=now)
        unused = OneTimeLink.objects.filter(request=request, used_at=None)
        unused.exclude(purpose=OneTimeLink.Purpose.NOT_ME).update(expires_at=now)
    return Done()


def is_owed(request: Request) -> bool:
    """Say whether the copy was damaged before it was given, and neither its person nor a second one has ended it: a new
    one is made."""
    decided = history.details(request, questions.DECIDED)
    if any(one.get("outcome") == SecondLook.Outcome.END for one in decided):
        return False
    told = audit.history(reference=request.reference).filter(action="copy.destroyed")
    if given_out.is_fetched(request) or request.events.filter(kind=paper.POSTED).exists() or audit.ours(told):
        return False
    return export.is_owed(request)


def _own(request: Request) -> QuerySet[Letter]:
    """Return the letters of a request but those that by the key store are another person's, or are the answer of
    another request."""
    found = Letter.objects.filter(request=request)
    others = set(bound.letters_elsewhere(request.owner_id, list(found.values_list("pk", flat=True))))
    answers = Q(key__startswith=answer.KEY) & ~Q(key=answer.key(request))
    return found.exclude(answers).exclude(pk__in=others)


def _unanswered(request: Request, now: datetime) -> Wait | None:
    """Return until when to wait for the answer to go out; None once it has, and the request counts as answered then."""
    word = Letter.objects.filter(request=request, key=answer.key(request)).first()
    written = _written(request)
    if written and (word is None or str(word.pk) != written):
        raise bound.NotOurs
    if word is not None and word.sent_at is None and word.stopped_at is None:
        if paper.goes_with(word, request) and export.live(request) is None and request.subject_id is not None:
            export.build(request, now=now)  # its week is over, and nobody has posted it
        # Ticking a letter off wakes the request.
        return Wait(now + (LOOK_LATER if word.by == Letter.By.POST else LOOK_AGAIN))
    if request.state == State.EXECUTED:
        if word is not None and not _has_gone(word, request):
            if _has_lapsed(word):
                return _write_anew(word, request, now)
            if written:
                raise bound.NotOurs
        history.move(request, State.REPLIED, actor=current(), now=now)
    return None


def _written(request: Request) -> str | None:
    """Return the number of the letter that the history calls the answer, the last one where it was written anew; ""
    where none was to be written, None for one of before, whose history does not say."""
    anew = history.details(request, history.ANSWERED_ANEW)
    told = anew or history.details(request, history.STEP, step=procedures.LETTER.name)
    written: str | None = told[-1].get(ANSWER) if told else None
    return written


def _has_gone(word: Letter, request: Request) -> bool:
    """Say whether the audit tells that the answer went out; a copy's ends also with all else of the person, and its key
    is gone then."""
    return bool(letters.went_at([word.pk])) or (request.procedure.gives and vault.keys.is_destroyed(word.pk, "letter"))


def _has_lapsed(word: Letter) -> bool:
    """Say whether the audit tells that the answer was stopped because a link or code in it had lapsed: that is no
    sending."""
    return bool(audit.told_of((letters.LAPSED,), [(Letter.vault_label, word.pk)]))


def _write_anew(word: Letter, request: Request, now: datetime) -> Wait:
    """Leave the answer once more in place of one that lapsed, with what it gives; return until when to wait for it.

    A copy whose week ended meanwhile is made again.
    """
    letters.burn(Letter.objects.filter(pk=word.pk), now=now)
    Letter.objects.filter(pk=word.pk).update(key=f"lapsed:{word.pk}")
    if request.procedure.gives and export.live(request) is None:
        export.build(request, now=now)
    answer.leave(request, now=now)
    anew = str(Letter.objects.values_list("pk", flat=True).get(key=answer.key(request)))
    history.event(request, history.ANSWERED_ANEW, actor=current(), now=now, detail={ANSWER: anew})
    return Wait(now + LOOK_AGAIN)
