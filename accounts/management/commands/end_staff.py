"""`end_staff`: close the login of somebody who leaves."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import logins
from privacy import gate


class Command(BaseCommand):
    help = (
        "Closes a staff login for good: takes its roles and password, ends its sessions. The row stays, so that logs go on "
        "naming the same number. Changes no other login. --dry-run says which roles would go and changes nothing. Exit "
        "codes: 0 done, 1 no such staff login, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", required=True, help="user name of the login")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print {roles, sessions, dry_run}")

    def handle(self, *args: Any, username: str, dry_run: bool, **options: Any) -> None:
        try:
            user = logins.staff_named(username)
        except logins.NoSuchStaff as error:
            raise CommandError(str(error), returncode=1) from None
        roles, ended = sorted(user.groups.values_list("name", flat=True)), 0
        if not dry_run:
            actor = gate.Actor("operator", "end_staff", None, frozenset(), "staff")
            ended = logins.end_staff(user, actor=actor, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps({"roles": roles, "sessions": ended, "dry_run": dry_run}))
            return
        self.stdout.write(f"Roles taken away: {', '.join(roles) or 'none'}. Sessions ended: {ended}.")
        if dry_run:
            self.stdout.write("Nothing was changed: this was a dry run.")
