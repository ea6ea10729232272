"""What an upgrade does once in the life of an installation, noted in the key store.

What must never happen: a step that makes rows of before valid runs again and makes planted ones valid. The
main database cannot say that it ran: who can write there would take the note away. So it stands in the key
store, whose role is another.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from privacy.vault.models import Once

LINKS, FACTORS, LOGINS, LEDGER, JOININGS = "links", "factors", "logins", "ledger", "joinings"
REQUESTS, PROPOSALS, ADDRESSES, DECISIONS = "requests", "proposals", "addresses", "decisions"
PHONES, NOTICES, CONFIRMATIONS, STEPS = "phones.2", "notices", "confirmations", "requests.steps"
HISTORIES, FORGOTTEN, ENDS = "requests.histories", "decisions.forgotten", "decisions.ends"
WEEKS, WORDS, HOLDS = "requests.files.weeks", "decisions.words", "holds"
PLACES = "decisions.places"
EVENTS, PARKED = "requests.events", "requests.parked"
LETTERS = "letters.went"


def is_done(step: str) -> bool:
    """Say whether the step ran on this installation."""
    return Once.objects.filter(step=step).exists()


def note(step: str, *, now: datetime) -> None:
    """Note that the step ran; to note it again changes nothing."""
    Once.objects.get_or_create(step=step, defaults={"done_at": now})


def do(step: str, work: Callable[[], int], *, now: datetime) -> int:
    """Run the step unless it ran before, whole or not at all; return what `work` returns, 0 when there was nothing to
    do.

    Killed between the work and its note it runs again: `work` leaves alone what it has settled.
    """
    if is_done(step):
        return 0
    with transaction.atomic():
        done = work()
    note(step, now=now)
    return done
