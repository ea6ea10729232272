"""End the data keys that no row names any more."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from privacy import progress
from privacy.vault.collect import collect

BAD_DATA = 1


class Command(BaseCommand):
    help = (
        "Destroy data keys that no row names (left by a crash between two commits, or by a deleted row), and the old "
        "keys of finished corrections. An orphan is only marked at the first look and destroyed at a second one, an "
        "hour or more later. What is destroyed cannot be brought back; --dry-run changes nothing. Exit codes: 0 done, 1 a database failed, 2 usage, "
        "4 done, but for broken records that a person must mend."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with progress.shown(self.stderr, options["verbosity"]):
                report = collect(dry_run=options["dry_run"]).as_dict()
        except DatabaseError:
            raise CommandError("A database cannot be reached; nothing is half-done.", returncode=BAD_DATA) from None
        if options["json"]:
            self.stdout.write(json.dumps({**report, "dry_run": options["dry_run"]}))
        else:
            self.stdout.write(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.items()))
        if report["broken"]:
            raise CommandError("The keys of broken records were left as they are; the log names them.", returncode=4)
