"""Letters that are printed and posted: who had them in hand, and the day on which they went out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from privacy import audit, vault
from privacy.actor import Actor, require_another
from privacy.letters import credentials
from privacy.letters.models import Letter
from privacy.letters.sending import CannotSendAgain


class LinkLost(Exception):
    """The link or code that a letter gives is there no more: it is neither printed nor marked as posted. The text is a
    sentence for staff."""

    def __init__(self) -> None:
        super().__init__(
            "This letter cannot be sent any more: the key of the link or code in it is there no more, and what would be "
            "printed opens nothing. Do not post it."
        )


def require_whole(letter: Letter, *, now: datetime) -> None:
    """Raise LinkLost where a letter gives a link or code of which the row or the key store has lost its part; one whose
    key was destroyed is stopped then, as by who sends mail."""
    pair = (letter.pk, credentials.CREDENTIALS)
    is_sealed = Letter.objects.filter(pk=letter.pk, sealed_credentials__isnull=False).exists()
    is_ended = vault.keys.is_destroyed(*pair)
    if letter.sent_at is not None or (not is_ended and is_sealed == bool(vault.keys.living([pair]))):
        return
    if is_ended:
        with transaction.atomic():
            credentials.stop_unsendable([letter.pk], now)
    raise LinkLost


def on_paper(text: str) -> tuple[str, str]:
    """Return the address block with which the text of a posted letter begins, "" when none does, and the rest of the
    text.

    A block of an address ends with a place or a country; a paragraph ends with a sign.
    """
    first, _, rest = text.partition("\n\n")
    return (first, rest.strip()) if rest and "\n" in first and first[-1].isalnum() else ("", text)


def opened(letter: Letter, *, actor: Actor, now: datetime, reference: str = "") -> None:
    """Record that somebody opens a letter to print it, each time. Whoever sees only what covers the text has seen
    nothing.

    `reference` is that of the request the letter is about. Raises AboutYourself for the person whom it is for: it may
    hold a code, and comes by post.
    """
    require_another(actor, about=letter.people)
    if isinstance(letter.text, vault.Unreadable):
        return
    audit.record(
        "letter.opened", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk),
        reason=letter.kind, reference=reference,
    )  # fmt: skip


def in_hand(numbers: Iterable[Any]) -> set[tuple[str, str]]:
    """Return which members of staff, (kind, id), opened one of these letters or marked it as posted; by the audit."""
    found = audit.doers(["letter.opened", "letter.posted"], [(Letter.vault_label, pk) for pk in numbers], kind="staff")
    return {("staff", who) for _, _, who in found}


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter. Raises CannotSendAgain when it was not waiting for that,
    AboutYourself for the person whom it is for.

    What follows for a request that it is about, `privacy.requests.posting` does. Raises LinkLost.
    """
    require_another(actor, about=letter.people)
    require_whole(letter, now=now)
    with transaction.atomic():
        posted = Letter.objects.filter(pk=letter.pk, sent_at=None, stopped_at=None, by=Letter.By.POST).update(
            sent_at=now
        )
        if not posted:
            raise CannotSendAgain
        credentials.end_only([letter.pk], now)
        audit.record(
            "letter.posted", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )
