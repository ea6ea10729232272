"""Read the last letters of a demo, which has no mail server: links to verify an address, codes, answers.

Here a letter goes out by being printed: its links and codes are shown once, then their key is destroyed.
"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy import letters, vault
from privacy.calendar import undated
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.letters.stopping import UNPRINTED
from privacy.requests import writing
from privacy.work.broken import Findings, require_own

MOST = 10_000


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MOST:
        raise ArgumentTypeError(f"it is a number from 1 to {MOST:,}")
    return int(text)


class Command(BaseCommand):
    help = "Prints the last letters of the sealed outbox, newest last; in a demo only. A mail's links and codes are printed once: afterwards they are destroyed, as after a sending, and with them the text where it answers a removal that is closed. Exit codes: 0 done, 2 usage, 3 refused by rule."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--last", type=_number, default=3, metavar="N", help="how many letters; 3 when left out")
        parser.add_argument("--json", action="store_true", help="print {letters}")

    def handle(self, *args: Any, last: int, **options: Any) -> None:
        as_json, shown = options["json"], []
        if not settings.DEMO:
            raise CommandError(
                "Letters are printed in a demo only; elsewhere they are sent, or read by the privacy team.",
                returncode=3,
            )
        with system("letter", kind="operator"):
            found = list(reversed(list(undated.each(Letter.objects.order_by("-queued_at", "-id")[:last]))))
            if not found and not as_json:
                self.stdout.write("There is no letter.\n")
            for letter in found:
                by_mail = letter.by == Letter.By.EMAIL
                # A letter for the post is given by the page that prints it.
                to, headline, text = letter.to, letter.headline, letters.given(letter)[0] if by_mail else letter.text
                is_readable = not isinstance(text, vault.Unreadable)
                if as_json:
                    shown.append((letter, _as_json(letter, to, headline, text)))
                    continue
                if not is_readable:
                    why = burned(letter, text.at) if isinstance(text, vault.Erased) else text
                    self.stdout.write(f"[{letter.kind}] {why}\n{'-' * 72}")
                    continue
                self.stdout.write(f"[{letter.kind}] to {to or 'the post'}: {headline}\n\n{text}\n{'-' * 72}")
                self._count_as_sent(letter)
            if as_json:
                self.stdout.write(json.dumps({"letters": [one for _, one in shown]}))
                for letter, one in shown:
                    if one["readable"]:
                        self._count_as_sent(letter)

    def _count_as_sent(self, letter: Letter) -> None:
        """Destroy what a mail gave, once it is printed: here that is its sending."""
        if letter.by == Letter.By.EMAIL and letters.is_read_by_outbox():
            self.stdout.flush()
            try:
                writing.printed(letter, now=timezone.now())
            except Exception as error:  # this letter's row cannot be marked: the others are printed all the same
                require_own(error)
                Findings().note("print", Letter.vault_label, letter.pk, error)


def burned(letter: Letter, at: datetime | None) -> str:
    """Return what is said of a letter whose text was destroyed at that moment."""
    if letter.stopped_at is not None or letter.sent_at is None:
        when = "without having been sent"
    elif letter.by == Letter.By.POST:
        when = "after it was posted"
    elif not letters.is_read_by_outbox():
        when = "after it was sent"
    elif at is None or at - UNPRINTED >= letter.queued_at:
        when = "when its time was over, printed or not"
    elif writing.answers_a_removal(letter):
        when = "after it was printed, which is its sending here"
    else:
        when = (
            "before its time, printed or not, with what it belonged to: a removal came, or a sign-up was not confirmed"
        )
    return f"What this letter said was burned {when}; its row stays as proof that it was written."


def _as_json(letter: Letter, to: Any, headline: Any, text: Any) -> dict[str, Any]:
    """Return one letter in the shape of docs/schemas/outbox.json."""
    is_readable = not isinstance(text, vault.Unreadable)
    return {
        "kind": letter.kind,
        "by": letter.by,
        "queued_at": letter.queued_at.isoformat(),
        "sent_at": letter.sent_at.isoformat() if letter.sent_at else None,
        "readable": is_readable,
        "burned": isinstance(text, vault.Erased),
        "to": str(to) if is_readable else "",
        "headline": str(headline) if is_readable else "",
        "text": str(text) if is_readable else "",
    }
