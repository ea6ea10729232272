"""Send one letter through the outbox, to see whether letters arrive."""

from __future__ import annotations

import json
import sys
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy import letters
from privacy.gate.system import system
from privacy.letters.models import Letter

FAILED, USAGE, REFUSED = 1, 2, 3


class Command(BaseCommand):
    help = (
        "Sends one letter to ADDRESS through the sealed outbox, at once, and says what the mail server answered; `-` reads the "
        "address from standard input. What the letter said is destroyed afterwards. Exit codes: 0 the mail server took it, "
        "1 it did not, 2 usage, 3 no mail server is named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", metavar="ADDRESS", help="where the letter goes; - reads it from standard input")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
            raise CommandError("EMAIL_URL names no mail server: no letter can leave.", returncode=REFUSED)
        address = (sys.stdin.readline() if address == "-" else address).strip()
        if not address:  # it would be a letter to be posted
            raise CommandError("That is not an e-mail address.", returncode=USAGE)
        now = timezone.now()
        with system("letter", kind="operator"):
            try:
                letter = letters.queue("mail_check", to=address, context={}, key=f"mail-check:{uuid4()}", now=now)
            except ValidationError:
                raise CommandError("That is not an e-mail address.", returncode=USAGE) from None
            went = letters.send(letter.pk, now=now)
            error = Letter.objects.values_list("last_error", flat=True).get(pk=letter.pk)
            letters.burn(Letter.objects.filter(pk=letter.pk), now=now)
        if options["json"]:
            self.stdout.write(json.dumps({"sent": went, "error": error}))
        if not went:
            raise CommandError(
                f"The mail server did not take the letter: {error or 'it is being tried'}.", returncode=FAILED
            )
        if not options["json"]:
            self.stdout.write("The mail server took the letter. Look whether it arrives, and whether as spam.")
