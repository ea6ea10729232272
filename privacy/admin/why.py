"""Why staff open a record: derived from what is open with its person; asked, once a day, only where nothing is (P40).

The answer is one of four. It stands in the access log, which the person can read, and in the sealed session until the
day is over; never in a URL.
"""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.http import HttpRequest
from django.utils import timezone

from privacy import gate
from privacy.gate import Actor, matters

KEY = "why"

# What staff choose, and how the person reads it.
REASONS: dict[str, tuple[str, str]] = {
    "contact": ("The person phoned, wrote or came in", "the person phoned, wrote or came in"),
    "correction": ("Correcting or completing the record", "correcting or completing the record"),
    "claim": ("Checking a complaint, a claim or a payment", "checking a complaint, a claim or a payment"),
    "company": ("Other work for the company", "other work for the company, chosen by staff"),
}


class Why(forms.Form):
    """The question: four answers, nothing to write."""

    reason = forms.ChoiceField(
        choices=[(code, asked) for code, (asked, _) in REASONS.items()],
        label="Why do you open it?",
        widget=forms.RadioSelect,
    )


def derive(request: HttpRequest, actor: Actor, person: UUID, record: UUID) -> bool:
    """Tell the access log why `actor` opens a record of `person`; False when that must be asked first.

    What was done for a matter counts as its reason for the rest of the day: the page after the step that ends it asks
    nothing. What was begun under a reason may be finished after midnight.
    """
    is_done = request.method == "POST"
    matter = matters.connecting(actor.roles, person, record)
    if matter is not None:
        gate.because(matter.what, matter.reference)
        if is_done:
            _keep(request, person, matter.what, matter.reference)
        return True
    what, reference, day = request.session.get(KEY, {}).get(person.hex, ("", "", ""))
    if what and (day == _today() or is_done):
        gate.because(what, reference)
        return True
    return False


def remember(request: HttpRequest, person: UUID, code: str) -> None:
    """Keep the answer for the rest of the day."""
    _keep(request, person, REASONS[code][1], "")


def _keep(request: HttpRequest, person: UUID, what: str, reference: str) -> None:
    """Keep a reason in the sealed session; those of earlier days go."""
    today = _today()
    kept = {one: reason for one, reason in request.session.get(KEY, {}).items() if reason[-1] == today}
    request.session[KEY] = {**kept, person.hex: (what, reference, today)}


def _today() -> str:
    return timezone.localdate().isoformat()
