"""Read the last letters of a demo, which has no mail server: links to verify an address, codes, answers.

Here a letter goes out by being printed: its links and codes are shown once, then their key is destroyed.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy import vault
from privacy.gate.system import system
from privacy.requests import letters
from privacy.requests.models import Letter

MOST = 10_000


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MOST:
        raise ArgumentTypeError(f"it is a number from 1 to {MOST:,}")
    return int(text)


class Command(BaseCommand):
    help = "Prints the last letters of the sealed outbox, newest last; in a demo only. A mail's links and codes are printed once: afterwards they are destroyed, as after a sending, and with them the text where it answers a removal that is closed. Exit codes: 0 done, 2 usage, 3 refused by rule."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--last", type=_number, default=3, metavar="N")

    def handle(self, *args: Any, last: int, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "Letters are printed in a demo only; elsewhere they are sent, or read by the privacy team.",
                returncode=3,
            )
        with system("letter", kind="operator"):
            found = list(reversed(Letter.objects.order_by("-queued_at", "-id")[:last]))
            if not found:
                self.stdout.write("There is no letter.\n")
            for letter in found:
                by_mail = letter.by == Letter.By.EMAIL
                # A letter for the post is given by the page that prints it.
                to, headline, text = letter.to, letter.headline, letters.given(letter)[0] if by_mail else letter.text
                if isinstance(text, vault.Unreadable):
                    is_erased = isinstance(text, vault.Erased)
                    why = (
                        "What this letter said was erased; its row stays as proof that it was written."
                        if is_erased
                        else text
                    )
                    self.stdout.write(f"[{letter.kind}] {why}\n{'-' * 72}")
                    continue
                self.stdout.write(f"[{letter.kind}] to {to or 'the post'}: {headline}\n\n{text}\n{'-' * 72}")
                if by_mail and letters.is_read_by_outbox():
                    self.stdout.flush()
                    letters.printed(letter, now=timezone.now())
