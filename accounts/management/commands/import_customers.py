"""`import_customers FILE`: take in customers from a CSV file."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts import imports
from accounts.csvfile import Problem
from privacy import gate, progress
from privacy.gate.system import system


class Command(BaseCommand):
    help = (
        "Takes in customers from a CSV file: all or nothing, or with --skip-bad all good lines. Creates customers and "
        "their addresses; a record on file that differs is reported and not changed, somebody who was erased is not "
        "brought back. --dry-run writes nothing. "
        "Exit codes: 0 done, 1 bad data, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="UTF-8, comma, with the header line: " + ",".join(imports.COLUMNS))
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument("--skip-bad", action="store_true", help="leave out bad lines instead of refusing the file")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with system("import", kind="operator"), progress.shown(self.stderr, options["verbosity"]):
            try:
                report = imports.import_customers(
                    options["file"],
                    actor=gate.current(),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                )
            except Problem as whole_file:
                report = imports.Report(errors=[whole_file])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            for problem in report.errors:
                self.stderr.write(str(problem))
            self.stdout.write(_sentence(report, dry_run=options["dry_run"]))
        if report.errors and not (options["skip_bad"] and (report.is_written or options["dry_run"])):
            raise SystemExit(1)


def _sentence(report: imports.Report, *, dry_run: bool) -> str:
    if report.errors and not report.is_written and not dry_run:
        return f"Nothing was taken in: {len(report.errors)} lines are bad."
    would = "would be " if dry_run else ""
    parts = [
        f"{report.created} {would}created",
        f"{report.unchanged} unchanged",
        f"{report.differs} differ and stay as they are",
        f"{report.blocked} blocked because they were erased",
    ]
    if report.errors:
        parts.append(f"{len(report.errors)} left out as bad")
    sentence = ", ".join(parts) + "."
    for one in report.differing:
        sentence += f"\nLine {one['line']} differs in: {', '.join(one['columns'])}."
    if report.consent_without_proof:
        sentence += f"\n{report.consent_without_proof} said yes to marketing: without proof that is no consent."
    return sentence
