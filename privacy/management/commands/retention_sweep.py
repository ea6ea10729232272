"""End what has outlived its reason; with --dry-run only count it."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from privacy import datamap
from privacy.gate.system import system, system_actor
from privacy.restore import revived
from privacy.retention.rules import ScheduleError
from privacy.sweep import arming, nightly
from privacy.sweep.report import SweepReport
from privacy.work import counted, progress
from privacy.work.broken import NAMED

FIRST_YEAR = 1900  # the longest periods end in years that a calendar has


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a day is written like 2026-12-31") from None
    if day.year < FIRST_YEAR:
        raise ArgumentTypeError(f"no day before {FIRST_YEAR} is judged by")
    return day


class Command(BaseCommand):
    help = (
        "Ends the records that have outlived their reason by the retention schedule: erases for good, warns people whose "
        "account ends soon, and tells those whose kept data have ended. With --dry-run it changes nothing. Exit codes: 0 done, 1 the "
        "schedule cannot be used, 2 usage, 3 refused (not armed, clock jumped, future day, already running), 4 done, but for "
        "broken records that a person must mend."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--on", type=_day, metavar="DATE", help="the day to judge by; a future one only with --dry-run"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, erase nothing")
        parser.add_argument(
            "--json", action="store_true", help="print {on, due, erased, kept, stopped_by_cap, broken, findings}"
        )

    def handle(self, *args: Any, on: date | None, dry_run: bool, **options: Any) -> None:
        actor = system_actor("sweep", kind="operator")
        try:
            with system("sweep", kind="operator"), progress.shown(self.stderr, options["verbosity"]):
                report = nightly.sweep(on=on, dry_run=dry_run, actor=actor, also=revived.note)
        except ScheduleError as error:
            raise CommandError(str(error), returncode=1) from None
        except arming.SweepRefused as error:
            raise CommandError(str(error), returncode=3) from None
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
            return self._finish(report)
        self.stdout.write(f"On {report.on:%-d %B %Y}: {report.due} due, {report.erased} erased.")
        self.stdout.write(f"  {report.kept} kept: a hold, an open request, or a warning not old enough.")
        self.stdout.write(
            f"  {report.stopped_by_cap} left for another night by the cap; {counted.of(report.warned, 'person', 'people')} warned."
        )
        for label, count in sorted(report.due_by_label.items()):
            self.stdout.write(f"  {datamap.for_label(label).title}: {count} due")
        if dry_run:
            self.stdout.write("Nothing was erased: this was a dry run.")
        for one in report.findings[:NAMED]:
            self.stdout.write(f"  broken: {one.label} {one.record} ({one.step}: {one.error})")
        return self._finish(report)

    def _finish(self, report: SweepReport) -> None:
        """Raise CommandError with code 4 when records were left that a person must mend."""
        if report.broken:
            raise CommandError(
                f"Left as found: {counted.of(report.broken, 'broken record')}; all others were looked at.",
                returncode=4,
            )
