"""Stop what has not gone out, and burn what letters say. Safe to repeat; a stopped letter is never sent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from privacy import vault
from privacy.letters.credentials import end_credentials, end_only
from privacy.letters.models import Letter
from privacy.letters.sending import is_read_by_outbox, went_at

# How long a letter that a demo's `outbox` has not printed stays readable after what it answers is over.
UNPRINTED = timedelta(days=7)


def of_person(subject: UUID) -> QuerySet[Letter]:
    """Return the letters that are a person's by the key store, with those that the row calls theirs and whose key is
    gone: a row that somebody hung on the person makes no letter of another one theirs."""
    theirs = vault.keys.owned(Letter.vault_label, ("subject", subject))
    called = set(Letter.objects.filter(subject_id=subject).values_list("pk", flat=True))
    return Letter.objects.filter(
        pk__in=theirs | called - vault.keys.strangers(dict.fromkeys(called, ("subject", subject)))
    )


def stop(subject: UUID, *, now: datetime, but: Any = None) -> int:
    """Stop every unsent letter to `subject` but those about the request `but`; return how many (Art. 17, 21)."""
    unsent = of_person(subject).filter(sent_at=None, stopped_at=None, sending_at=None)
    if but is not None:
        unsent = unsent.exclude(request=but)
    with transaction.atomic():
        ids = list(unsent.values_list("pk", flat=True))
        stopped = unsent.filter(pk__in=ids).update(stopped_at=now, next_attempt_at=None)
        end_only(Letter.objects.filter(pk__in=ids, stopped_at=now).values_list("pk", flat=True), now)
    return stopped


def withhold(keys: Collection[str], *, now: datetime) -> None:
    """Stop those of these letters that have not gone out, with what they give, in the caller's transaction; audited."""
    waiting = Letter.objects.filter(key__in=keys, sent_at=None, stopped_at=None, sending_at=None)
    end_credentials(list(waiting.values_list("pk", flat=True)), now=now)


def gone_out(letters: QuerySet[Letter]) -> QuerySet[Letter]:
    """Return those of these letters of which the audit tells that they went out: the column that says so
    is anybody's who can write to the table."""
    sent = letters.filter(sent_at__isnull=False)
    return sent.filter(pk__in=went_at(list(sent.values_list("pk", flat=True))))


def burn_given(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Burn letters that have gone out, and return how many; in a demo only those that waited long enough to be
    printed."""
    return burn(letters.filter(queued_at__lte=now - UNPRINTED) if is_read_by_outbox() else letters, now=now)


def burn(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Destroy what letters say and to whom they went; their rows stay as proof that something was sent. Return how
    many.

    Safe to repeat. The keys go first: they are what makes the text unreadable, in backups too.
    """
    ids = list(letters.values_list("pk", flat=True))
    if not ids:
        return 0
    end_only(ids, now)
    vault.keys.destroy([(one, "letter") for one in ids], now=now)
    Letter.objects.filter(pk__in=ids).update(sealed_letter=None, subject=None)
    Letter.objects.filter(pk__in=ids, sent_at=None, stopped_at=None).update(stopped_at=now, next_attempt_at=None)
    return len(ids)
