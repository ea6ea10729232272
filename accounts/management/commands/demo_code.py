"""`demo_code`: what the authenticator app of one of the demo's staff would show (`./run code carol`)."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import factor
from accounts.models import User


class Command(BaseCommand):
    help = (
        "Prints the sign-in code of a login at this moment; in a demo only, where nobody has a phone with the secret. "
        "Changes nothing. Exit codes: 0 done, 1 no such login or no second factor, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="user name of a member of the demo's staff")
        parser.add_argument("--json", action="store_true", help="print {code, seconds}")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "Codes are printed in a demo only; elsewhere an authenticator app shows them.", returncode=3
            )
        user = User.objects.named(username).first()
        if user is None:
            raise CommandError("There is no login with this user name.", returncode=1)
        try:
            code, seconds = factor.code(user, now=timezone.now())
        except factor.NotEnrolled as error:
            raise CommandError(str(error), returncode=1) from None
        if options["json"]:
            self.stdout.write(json.dumps({"code": code, "seconds": seconds + factor.PERIOD}))
            return
        self.stdout.write(code)
        self.stderr.write(f"It works once, for the next {seconds + factor.PERIOD} seconds.")
