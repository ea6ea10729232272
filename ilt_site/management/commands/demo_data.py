"""Load the invented demo company, on the launcher's own servers only."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from ilt_site import demo
from privacy import gate
from privacy.gate.system import system_actor

REFUSED = 3


class Command(BaseCommand):
    help = (
        "Loads a small invented company once, on the launcher's own servers only, and prints one-time passwords; a second "
        "time it makes new passwords for the logins that nobody has used yet, and nothing else. Exit codes: 0 done, 2 usage, 3 refused: not a demo."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the logins as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            actor = system_actor("demo", kind="operator")
            with gate.acting(actor):
                loaded = demo.load(actor=actor, now=timezone.now())
        except demo.NotADemo as refusal:
            self.stderr.write(str(refusal))
            raise SystemExit(REFUSED) from None
        logins = [{"role": one.role, "username": one.username, "password": one.password} for one in loaded.logins]
        if options["json"]:
            self.stdout.write(json.dumps({"created": loaded.created, "logins": logins, "in_use": loaded.in_use}))
            return
        self.stdout.write("The demo company is loaded." if loaded.created else "The demo company was loaded before.")
        if logins:
            self.stdout.write("One-time passwords (to be changed at the first login):")
        for one in logins:
            self.stdout.write(f"  {one['role']:<11} {one['username']:<7} {one['password']}")
        for username in loaded.in_use:
            self.stdout.write(f"{username} has chosen a password of their own.")
