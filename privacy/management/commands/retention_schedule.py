"""Print the retention schedule in force, for people or programs; docs/retention.md is its output."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from privacy.retention import rules, schedule_page


class Command(BaseCommand):
    help = "Prints the retention schedule in force, for people or programs. Changes nothing. Exit codes: 0 done, 1 the schedule cannot be used, 2 usage."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--format", choices=("md", "json"), default="md", help="a page, or data for programs")
        which.add_argument(
            "--json", dest="format", action="store_const", const="json", help="the same as --format json"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            schedule = rules.load()
        except rules.ScheduleError as error:
            raise CommandError(str(error), returncode=1) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps(schedule_page.as_json(schedule), ensure_ascii=False, indent=2))
        else:
            self.stdout.write(schedule_page.as_markdown(schedule), ending="")
