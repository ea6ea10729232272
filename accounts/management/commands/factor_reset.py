"""`factor_reset`: let somebody in again who lost the authenticator app and the recovery codes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import factor
from accounts.models import User
from privacy import gate

REASONS = ("lost", "broken", "stolen", "other")


class Command(BaseCommand):
    help = (
        "Takes the second factor and its recovery codes from a login and ends its sessions. Make sure first who asks: by a "
        "call to a number on file, or in person. The owner gets a letter; staff set up a new factor before the back office "
        "opens again. --dry-run changes nothing. Exit codes: 0 done, 1 no such login or no second factor, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="user name of the login")
        parser.add_argument("--reason", required=True, choices=REASONS, help="why; the audit keeps it")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print {reset, sessions, dry_run}")

    def handle(self, *args: Any, username: str, reason: str, dry_run: bool, **options: Any) -> None:
        user = User.objects.named(username).filter(is_active=True).first()
        if user is None:
            raise CommandError("There is no active login with this user name.", returncode=1)
        if not factor.is_enrolled(user):
            raise CommandError("This login has no second factor.", returncode=1)
        if dry_run and options["json"]:
            self.stdout.write(json.dumps({"reset": False, "sessions": 0, "dry_run": True}))
            return
        if dry_run:
            self.stdout.write("The second factor would be taken away. Nothing was changed: this was a dry run.")
            return
        actor = gate.Actor("operator", "factor_reset", None, frozenset(), "login")
        ended = factor.reset(user, reason=reason, actor=actor, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps({"reset": True, "sessions": ended, "dry_run": False}))
            return
        self.stdout.write(f"The second factor is taken away. Sessions ended: {ended}. A letter tells the owner.")
