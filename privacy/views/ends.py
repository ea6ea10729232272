"""How a request, or the copy that it made, has ended: the words for the person, on the page and on the outcome by code
alike.

What must never happen: an end that one of the two pages tells and the other does not; "nothing"
where something had gone out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from privacy.models import Request
from privacy.requests import closing, export, paper, second, writing
from privacy.requests.models import SecondLook
from privacy.requests.states import State

NOT_SHOWN = "A second member of our staff looked at it and decided that it was not shown that it was you who asked."
BEING_MADE = _("A new copy is being made, as a rule within minutes.")
AFTER_OUR_STAFF = _("Something went wrong on our side: a new copy is made once our staff have looked at this request.")
IN_LETTER = "The reason stands in the letter that we wrote to you."


@dataclass(frozen=True, slots=True)
class End:
    """One end, in words: a heading, and sentences."""

    title: str
    sentences: tuple[str, ...]


def of_request(about: Request, refusal: Mapping[str, str], *, is_unreadable: bool = False) -> End | None:
    """Return how a request ended without having been carried out, or that it was not the person's after it was; else
    None.

    `refusal` is what `services.refusal` returns; `is_unreadable`: the file of the request cannot be opened now.
    """
    nothing = str(about.procedure.words.nothing_done)
    if about.state == State.REFUSED:
        why = _why(refusal, is_unreadable)
        return End("Why we do not do it", (*((NOT_SHOWN,) if _decided_by_second(about) else ()), *why, nothing))
    if about.state == State.WITHDRAWN:
        return End("The request was taken back", (nothing,))
    if about.state == State.EXPIRED:
        return End("The request has ended without an answer from you", (_unanswered(about), nothing))
    if _decided_by_second(about):
        return End("It was not shown that it was you who asked", (NOT_SHOWN, *_gone_out(about)))
    return None


def of_copy(about: Request, *, now: datetime) -> str:
    """Return how the copy of this request ended, "" when there is one, or never was."""
    copy = about.exports.order_by("-expires_at").first()
    if copy is None or (copy.deleted_at is None and copy.expires_at > now) or copy.built_at is None:
        return ""
    live = export.live(about)
    if (live is not None and live.expires_at > now) or new_copy(about, now=now):
        return ""
    if copy.deleted_at is None or copy.deleted_at >= copy.expires_at:
        return "The copy has been destroyed: its seven days are over."
    if _decided_by_second(about):
        return "The copy has been destroyed: a second member of our staff decided that it was not shown that it was you who asked."
    if about.events.filter(kind=paper.POSTED).exists():
        return "The copy was posted to you, and has been destroyed here."
    return "The copy has been destroyed before its seven days were over, because you wanted that."


def is_damaged(about: Request, *, now: datetime) -> bool:
    """Say whether the file of a copy that could be fetched now is damaged, or is there no more."""
    found = export.damaged(about) if about.procedure.gives else None
    return found is not None and found.expires_at > now


def is_made_anew(about: Request) -> bool:
    """Say whether a damaged copy of this request is made anew when its person asks: one that is open, of somebody on
    file, and was not given yet."""
    return about.is_open and about.subject_id is not None and closing.is_owed(about)


def new_copy(about: Request, *, now: datetime) -> str:
    """Return what is to be said of the new copy that takes the place of a damaged one, from when that was found until
    it is ready; "" where none is to come."""
    if not about.procedure.gives or not about.is_open:
        return ""
    is_parked = about.state == State.PARKED
    if not (export.is_noted(about) or (is_parked and is_damaged(about, now=now))):
        return ""
    if export.live(about) is not None or not is_made_anew(about):
        return ""
    return str(AFTER_OUR_STAFF if is_parked else BEING_MADE)


def _why(refusal: Mapping[str, str], is_unreadable: bool) -> tuple[str, ...]:
    if not refusal:
        return () if is_unreadable else (IN_LETTER,)
    rule = f" ({refusal['authority']})" if refusal.get("authority") else ""
    return (f"{refusal.get('ground', '')}{rule}",)


def _unanswered(about: Request) -> str:
    if about.is_identified:
        return "The plan was not confirmed in time."
    if writing.was_asked(about):
        return "We asked you to show that it is you who is asking, and heard nothing."
    return "It was not shown that it is you who is asking, and we had no way to ask you of which we are sure that it reaches you alone."


def _decided_by_second(about: Request) -> bool:
    """Say whether a person ended it: the due day, which ends what nobody has decided, gives its own reason."""
    ended = about.second_looks.filter(outcome=SecondLook.Outcome.END)
    return ended.filter(decided_kind__in=("staff", "operator")).exists()


def _gone_out(about: Request) -> tuple[str, ...]:
    if about.procedure.removes:
        return ("The removal had been begun or carried out before that. What was removed cannot be brought back.",)
    if not about.procedure.gives:
        return ("What was asked had been begun or carried out before that.",)
    if second.fetched(about):
        return (f"A copy had been fetched before that, {second.how_often(about)}. It cannot be fetched again.",)
    return ("No copy had been fetched.",)
