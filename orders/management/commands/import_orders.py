"""Take orders in from two CSV files that are one unit."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.csvfile import Problem
from orders import imports
from privacy import gate, progress
from privacy.gate.system import system

BAD_DATA, REFUSED = 1, 3


class Command(BaseCommand):
    help = (
        "Takes in orders from FILE and their lines from --lines FILE: all or nothing, or with --skip-bad all good orders. "
        "Creates orders; one on file that differs is reported and not changed. --dry-run writes nothing. Exit codes: "
        "0 done, 1 bad data, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="CSV file of orders")
        parser.add_argument("--lines", required=True, metavar="FILE", help="CSV file of order lines")
        parser.add_argument("--dry-run", action="store_true", help="check and compare, write nothing")
        parser.add_argument("--skip-bad", action="store_true", help="take in the good orders, leave out the bad ones")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when done, 1 for bad data (nothing written unless --skip-bad), 3 when refused."""
        try:
            with system("import", kind="operator"), progress.shown(self.stderr, options["verbosity"]):
                report = imports.import_orders(
                    options["file"],
                    options["lines"],
                    actor=gate.current(),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                )
        except Problem as problem:
            report = imports.Report(errors=[problem])
        except imports.ImportRefused as refusal:
            self.stderr.write(str(refusal))
            raise SystemExit(REFUSED) from None
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            self._tell(report)
        if report.errors and not (options["skip_bad"] and (report.is_written or report.dry_run)):
            raise SystemExit(BAD_DATA)

    def _tell(self, report: imports.Report) -> None:
        verb = "would be taken in" if report.dry_run else "taken in"
        for problem in report.errors:
            self.stderr.write(str(problem))
        if report.errors and not report.is_written and not report.dry_run:
            self.stderr.write("Nothing was taken in.")
            return
        self.stdout.write(
            f"{report.created} orders with {report.lines} lines {verb}; {report.unchanged} unchanged, "
            f"{report.differs} differ, {report.blocked} blocked (erased customers)."
        )
        for one in report.differing:
            self.stdout.write(f"Line {one['line']} differs from what is on file in: {', '.join(one['columns'])}.")
        if report.freight_accounts or report.freight_accounts_past:
            self.stdout.write(
                f"{report.freight_accounts} freight accounts {verb}, {report.freight_accounts_past} left out: past "
                "their period."
            )
        if report.subtotals_off:
            self.stdout.write(f"Notice: the amounts of {report.subtotals_off} orders do not add up.")
