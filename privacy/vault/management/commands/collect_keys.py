"""End the data keys that no row names any more."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from privacy.vault.keystore.collect import CAP, collect
from privacy.work import progress

BAD_DATA = 1


class Command(BaseCommand):
    help = (
        "Destroy data keys that no row names (left by a crash between two commits, or by a deleted row), and the old "
        "keys of finished corrections. A key is only marked at the first look, and destroyed at a second one: an hour or more later "
        "where its row names another key, a week later where no row names any. What is destroyed cannot be brought back, from a backup "
        f"of the main database either: where more than {CAP} keys without any row are due at once, none of them is destroyed without "
        "--beyond-cap, since a row that somebody deleted looks the same. --dry-run changes nothing. Exit codes: 0 done, 1 a database "
        "failed, 2 usage, 4 done, but for broken records that a person must mend."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument(
            "--beyond-cap",
            action="store_true",
            help="destroy what is due, however many: you know why their rows are gone",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with progress.shown(self.stderr, options["verbosity"]):
                report = collect(dry_run=options["dry_run"], beyond_cap=options["beyond_cap"]).as_dict()
        except DatabaseError:
            raise CommandError("A database cannot be reached; nothing is half-done.", returncode=BAD_DATA) from None
        if options["json"]:
            self.stdout.write(json.dumps({**report, "dry_run": options["dry_run"]}))
        else:
            self.stdout.write(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.items()))
        if report["stopped_by_cap"]:
            self.stderr.write(
                f"{report['stopped_by_cap']} keys are due whose rows are gone, more than {CAP}: none of them was destroyed. If their "
                "rows should be there, restore them first; if not, --beyond-cap destroys them."
            )
        if report["broken"]:
            raise CommandError("The keys of broken records were left as they are; the log names them.", returncode=4)
