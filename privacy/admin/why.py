"""Why staff open a record: derived from what is open with its person; asked, once a day, only where nothing is (P40).

The answer is one of four. It stands in the access log, which the person can read, and in the sealed session until the
day is over; never in a URL. What must never happen: an occasion that has nothing to do with what was opened.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest
from django.utils import timezone

from privacy import gate
from privacy.calendar import company_day
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


def derive(request: HttpRequest, actor: Actor, person: UUID, record: Any) -> bool:
    """Tell the access log why `actor` opens a record of `person`; False when that must be asked first.

    What was done for a matter counts as the reason of its record for the rest of the day: the page after the step that
    ends it asks nothing. An answer counts for all records of the person. What was begun under a reason may be finished
    after midnight.
    """
    is_done = request.method == "POST"
    matter = matters.connecting(actor.roles, person, record.pk, getattr(record, "vault_label", ""))
    if matter is not None:
        gate.because(matter.what, matter.reference)
        if is_done:
            _keep(request, _key(record), matter.what, matter.reference)
        return True
    kept = request.session.get(KEY, {})
    for key in (_key(record), person.hex):
        what, reference, day = kept.get(key, ("", "", ""))
        if what and (day == _today() or is_done):
            gate.because(what, reference)
            return True
    return False


def remember(request: HttpRequest, person: UUID, code: str) -> None:
    """Keep the answer for the rest of the day."""
    _keep(request, person.hex, REASONS[code][1], "")


def _keep(request: HttpRequest, key: str, what: str, reference: str) -> None:
    """Keep the reason to open a record, or whatever a person has, in the sealed session; those of earlier days go."""
    today = _today()
    kept = {one: reason for one, reason in request.session.get(KEY, {}).items() if reason[-1] == today}
    request.session[KEY] = {**kept, key: (what, reference, today)}


def _key(record: Any) -> str:
    return f"{record._meta.label_lower}:{record.pk}"


def _today() -> str:
    return company_day(timezone.now()).isoformat()
