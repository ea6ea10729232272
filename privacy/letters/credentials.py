"""Links, codes and keys that a letter gives: kept apart from its text, and destroyed once they are given.

What must never happen: a stored letter that opens anything. Whoever reads it (What we hold, a copy, a colleague, a
backup) must not be able to act as the person. So the text holds words in their place (`placeholder`); they wait in the
envelope `credentials`, which only the sender, the view that prints and a demo's `outbox` open, and whose key is
destroyed together with the mark that the letter is sent, posted, stopped, or lapsed (design 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.html import escape

from privacy import audit, vault
from privacy.letters.models import Letter
from privacy.work.broken import Findings, spared

CREDENTIALS = "credentials"  # the envelope
# How long a link or code waits for its letter to go out when the caller names no earlier end
# (schedule.toml, credentials).
CREDENTIALS_WAIT = timedelta(days=90)
# Longer than any attempt can take (EMAIL_TIMEOUT, task_time_limit): a mark older than this belongs to a dead process.
INTERRUPTED_AFTER = timedelta(minutes=15)
SORTS = {"link": "a one-time link", "code": "a code", "key": "a key"}


def placeholder(name: str) -> str:
    """Return the words that stand in a stored letter for the credential `name`: "link", "code", "key", or "stop_link".

    What follows the last underscore says what it is. Raises KeyError for anything else.
    """
    which, _, sort = name.rpartition("_")
    detail = f" ({which.replace('_', ' ')})" if which else ""
    return f"[Here the letter gives {SORTS[sort]}{detail}; it is not kept.]"


def _written_before(name: str) -> str:
    """Return what stood there in letters of an earlier version, which said of a code that the page shows, too, that
    none does."""
    return placeholder(name).replace("; it is not kept", "; it is shown nowhere else and not kept")


def given(letter: Letter) -> tuple[Any, Any]:
    """Return text and html as they are given to the person: with the links and codes where the actor may open them.

    Without that right, or when they have ended, the words in their place stay; what cannot be opened stays Unreadable.
    """
    text, html = letter.text, letter.html
    values = letter.credentials
    if not isinstance(values, dict) or isinstance(text, vault.Unreadable) or isinstance(html, vault.Unreadable):
        return text, html
    for name, value in values.items():
        for words in (placeholder(name), _written_before(name)):
            text = text.replace(words, value)
            html = html.replace(words, escape(value))
    return text, html


def end_lapsed(*, now: datetime) -> int:
    """Destroy links and codes whose time is over, and stop the letters that never went out with them; return how
    many."""

    def end(some: Sequence[UUID]) -> int:
        with transaction.atomic():
            end_credentials(some, now=now)
        return len(some)

    over = Letter.objects.filter(credentials_until__lte=now, sealed_credentials__isnull=False)
    if not over.exists():  # almost always: no transaction for it
        return 0
    with transaction.atomic():
        lapsed = over.select_for_update(skip_locked=True)
        # One that is just being sent is looked at again when its sender has ended.
        ids = list(lapsed.exclude(sending_at__gt=now - INTERRUPTED_AFTER).values_list("pk", flat=True)[:500])
        return sum(spared(ids, end, step="lapse", label=Letter.vault_label, findings=Findings()))


def end_credentials(ids: Sequence[UUID], *, now: datetime) -> None:
    """Destroy what these letters give, in the caller's transaction, and stop those that have not gone out with it."""
    stop_unsendable(ids, now)
    end_only(ids, now)


def end_only(ids: Iterable[UUID], now: datetime) -> None:
    """Destroy what these letters give and stop none, in the caller's transaction: the key first, as in every
    erasure."""
    sealed = list(
        Letter.objects.filter(pk__in=list(ids), sealed_credentials__isnull=False).values_list("pk", flat=True)
    )
    if sealed:
        vault.keys.destroy([(one, CREDENTIALS) for one in sealed], now=now)
        Letter.objects.filter(pk__in=sealed).update(sealed_credentials=None)


def stop_unsendable(ids: Iterable[UUID], now: datetime) -> None:
    """Stop letters that can no longer give what they promise, in the caller's transaction; each with an audit
    event."""
    waiting = Letter.objects.filter(pk__in=list(ids), sent_at=None, stopped_at=None)
    # Held: what another worker is sending or stopping is waited for, and left out once that has happened.
    held = list(waiting.order_by("pk").select_for_update(of=("self",)).only("pk", "subject_id"))
    Letter.objects.filter(pk__in=[one.pk for one in held]).update(
        stopped_at=now, sending_at=None, next_attempt_at=None, last_error="lapsed"
    )
    for letter in held:
        audit.record(
            "letter.lapsed", actor=None, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )
