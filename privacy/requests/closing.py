"""The last steps of a request: the answer is left in the outbox, and when it has gone out the request closes.

What must never happen: a request that closes before its person has the answer; a letter that still says what was
removed after that. Every step may be run again after a crash.
"""

from __future__ import annotations

from datetime import datetime

from privacy import letters
from privacy.gate.context import current
from privacy.letters.models import Letter
from privacy.requests import (
    answer,
    export,
    history,
    paper,
    writing,
)
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.result import LOOK_AGAIN, LOOK_LATER, Done, Result, Wait
from privacy.requests.states import State


def letter(request: Request, now: datetime) -> Result:
    """Leave the answer in the outbox, once: what was given, or what went, what stays, why and until when; none where a
    second person has destroyed the copy."""
    destroyed = request.second_looks.filter(outcome=SecondLook.Outcome.END)
    if not (request.procedure.gives and export.live(request) is None and destroyed.exists()):
        answer.leave(request, now=now)
    return Done()


def close(request: Request, now: datetime) -> Result:
    """Close when the answer has gone out: of a copy when it was fetched or its week is over, of a removal with what the
    letters of the request say burned, and its links ended."""
    if (wait := _unanswered(request, now)) is not None:
        return wait
    if request.procedure.gives:
        copy = export.live(request)
        if copy is None:
            export.require_end(request)
        if copy is not None and not copy.downloads and copy.expires_at > now:
            return Wait(copy.expires_at)
        if request.subject_id is None:  # everything else about the person was erased meanwhile
            letters.burn_given(Letter.objects.filter(request=request), now=now)
    if request.procedure.removes:
        # Word that it was not shown to be the person goes out first; what it says is destroyed by the sweep
        # (`sweep.second_letter`).
        unsent = Letter.objects.filter(request=request, kind=writing.NOT_YOU, sent_at=None, stopped_at=None)
        letters.burn_given(Letter.objects.filter(request=request).exclude(pk__in=unsent.values("pk")), now=now)
        unused = OneTimeLink.objects.filter(request=request, used_at=None)
        unused.exclude(purpose=OneTimeLink.Purpose.NOT_ME).update(expires_at=now)
    return Done()


def _unanswered(request: Request, now: datetime) -> Wait | None:
    """Return until when to wait for the answer to go out; None once it has, and the request counts as answered then."""
    word = Letter.objects.filter(request=request, key=answer.key(request)).first()
    if word is not None and word.sent_at is None and word.stopped_at is None:
        if paper.goes_with(word, request) and export.live(request) is None and request.subject_id is not None:
            export.build(request, now=now)  # its week is over, and nobody has posted it
        # Ticking a letter off wakes the request.
        return Wait(now + (LOOK_LATER if word.by == Letter.By.POST else LOOK_AGAIN))
    if request.state == State.EXECUTED:
        history.move(request, State.REPLIED, actor=current(), now=now)
    return None
