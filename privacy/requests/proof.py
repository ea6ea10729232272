"""A call-back and a code by post, compared with what is on file: who states them alone proves nothing (design 9).

What must never happen: a right value shown to who typed a wrong one, or kept; tries without end. Nobody learns which of
the three did not match. A refused try is written into the audit, by the kinds of the facts and never by a value, and
counts for the person, whoever of the staff tried and in whichever request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError

from privacy import audit, datamap, people, subjects
from privacy.actor import Actor
from privacy.requests.models import Request
from privacy.typed import cards

FACTS = 2
MOST_REFUSED, WITHIN = 5, timedelta(days=1)
POST = "post"
REFUSED, MATCHED = "request.proof_refused", "request.proof_matched"


class BadRequest(ValueError):
    """What was given cannot be a request, or prove one; one sentence, never a value."""


def no_card_number(*texts: str) -> None:
    """Raise BadRequest when a text holds what must not be kept (P22)."""
    for text in texts:
        try:
            cards.refuse(text)
        except ValidationError as refused:
            raise BadRequest(refused.message) from None


class Incomplete(BadRequest):
    """Something is missing that a call-back needs; the text is one sentence for who states it."""


class ProofRefused(BadRequest):
    """The number and the facts, or the code, are not what is on file. Never says which, nor what is right."""

    status = 401


class HadTheLetter(BadRequest):
    """Who wrote, opened or posted the letter with a code knows it without the person. Nothing is looked at."""

    def __init__(self) -> None:
        super().__init__(
            "You wrote, opened or posted the letter with this code, and know it without the person. Somebody else takes it from the "
            "person."
        )


class TooManyTries(BadRequest):
    """So much was refused for this person that nothing is looked at any more for a day."""

    status = 429


@dataclass(frozen=True, slots=True)
class Callback:
    """What a member of staff heard: at which number they called the person, and two facts, each (kind, what was
    said)."""

    number: str
    facts: tuple[tuple[str, str], ...]


def kinds() -> list[tuple[str, str]]:
    """Return the kinds of facts that somebody can name: (name, title)."""
    return [(one.name, one.title) for declaration in datamap.declarations() for one in declaration.proofs]


def matches(request: Request, subject: UUID, said: Callback | None, *, actor: Actor, now: datetime) -> bool:
    """Compare the call-back of a request with what is on file of the person, as `compared` does."""
    return compared(subject, said, lambda number: True, reference=request.reference, actor=actor, now=now)


def compared(
    subject: UUID,
    said: Callback | None,
    may_call: Callable[[str], bool],
    *,
    reference: str,
    actor: Actor,
    now: datetime,
    before: date | None = None,
) -> bool:
    """Compare a call-back with what is on file of the person, write down that it was tried, and return whether it
    matches.

    `may_call` says of a number on file whether it proves something here; with `before` only facts of earlier days
    count. In the caller's transaction, which has to commit whatever is returned. Raises Incomplete, and
    TooManyTries without looking.
    """
    if not people.ask().can_call(subject, now):
        raise Incomplete("No phone number of this person has been on file for 14 days: a call-back proves nothing.")
    facts = [(kind, text.strip()) for kind, text in said.facts if text.strip()] if said else []
    if said is None or not said.number.strip() or len({kind for kind, _ in facts}) != FACTS or len(facts) != FACTS:
        raise Incomplete("A call-back needs the number that you called, and two facts of different kinds.")
    within_limit(subject, now=now)
    number = said.number.strip()
    found = [_is_on_file(subject, kind, text, before) for kind, text in facts]
    is_right = people.ask().called(subject, number, now) and may_call(number) and all(found)
    reason = "callback: " + ", ".join(sorted(kind for kind, _ in facts))
    _record(MATCHED if is_right else REFUSED, reference, subject, reason, actor=actor, now=now)
    return is_right


def code_compared(subject: UUID, is_right: bool, *, reference: str, actor: Actor, now: datetime) -> None:
    """Write down that a code by post was compared, in the caller's transaction, which has to commit."""
    _record(MATCHED if is_right else REFUSED, reference, subject, POST, actor=actor, now=now)


def within_limit(subject: UUID, *, now: datetime) -> None:
    """Raise TooManyTries when nothing is looked at for this person now. Holds the person's row until the transaction
    ends."""
    subjects.lock([subject])  # tries at the same moment are counted one after the other
    refused = audit.history(subject=subject).filter(action=REFUSED, at__gt=now - WITHIN)
    if len(audit.ours(refused)) >= MOST_REFUSED:
        raise TooManyTries(
            "Too many facts or codes for this person were wrong: for a day none is looked at. The person can still prove it by a link."
        )


def _is_on_file(subject: UUID, kind: str, text: str, before: date | None) -> bool:
    for declaration in datamap.declarations():
        for one in declaration.proofs:
            if one.name == kind:
                rows = declaration.rows_of(subject)
                return one.has(rows if before is None else rows.filter(**{f"{one.day}__lt": before}), text)
    raise Incomplete("There is no such kind of fact.")


def _record(action: str, reference: str, subject: UUID, reason: str, *, actor: Actor, now: datetime) -> None:
    audit.record(action, actor=actor, now=now, subject=subject, reference=reference, reason=reason)


def in_words(reason: str) -> str:
    """Return in words what was compared, by the reason that the audit keeps of it (`MATCHED`)."""
    if reason == POST:
        return "by the code of a letter to a postal address on file, read back"
    return "by a call-back: the number and two facts were compared with what is on file"


def refused_sentence(how: str) -> str:
    """Return the one sentence for a proof that does not match: the same whatever it was that did not."""
    if how == Request.Identity.POST:
        return "This is no code whose letter to this person is marked as posted, or it has run out."
    return "The number and the two facts are not what is on file of this person. Nothing is proved."
