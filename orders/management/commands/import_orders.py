"""`import_orders FILE --lines FILE`: take orders in from two CSV files that are one unit, or from one."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import columnmap
from accounts.columnmap import ColumnMap
from accounts.csvfile import Problem
from orders import importfile, imports
from privacy import gate, progress
from privacy.gate.system import system

BAD_DATA, REFUSED = 1, 3


class Command(BaseCommand):
    help = (
        "Takes in orders from FILE and their lines from --lines FILE, or from the same file where a map says so: all or nothing, "
        "or with --skip-bad all good orders, each whole. Creates orders, open, finished, cancelled or refunded; one on file that "
        "differs is reported and not changed. --map takes in the files of other programs. --dry-run writes nothing. Exit codes: "
        "0 done, 1 bad data, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        ready = ", ".join(columnmap.ready(imports.MAPS))
        parser.add_argument("file", help="CSV file of orders, with a header of: " + ",".join(importfile.ORDER_COLUMNS))
        parser.add_argument(
            "--lines",
            metavar="FILE",
            help="CSV file of their lines, with a header of: " + ",".join(importfile.LINE_COLUMNS),
        )
        parser.add_argument(
            "--map", metavar="MAP", help=f"what the columns of another program are: a TOML file, or one of: {ready}"
        )
        parser.add_argument("--dry-run", action="store_true", help="check and compare, write nothing")
        parser.add_argument("--skip-bad", action="store_true", help="take in the good orders, leave out the bad ones")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when done, 1 for bad data (nothing written unless --skip-bad), 3 when refused."""
        by = _map(options["map"])
        if bool(options["lines"]) == importfile.has_lines(by):
            reason = (
                "The map says that the file of orders has the lines, too." if by else "Give the lines: --lines FILE."
            )
            raise CommandError(reason, returncode=2)
        try:
            with system("import", kind="operator"), progress.shown(self.stderr, options["verbosity"]):
                report = imports.import_orders(
                    options["file"],
                    options["lines"],
                    actor=gate.current(),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                    by=by,
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
        if report.errors and not report.of_orders.lines:
            self.stderr.write("Nothing was taken in: the files as a whole cannot be used.")
            return
        if report.errors and not report.is_written and not report.dry_run:
            self.stderr.write(
                f"Nothing was taken in. {_counted(report.of_orders, [])}"
                + (" Mend the bad ones, or take in the good ones with --skip-bad." if report.of_orders.good else "")
            )
            return
        done = [
            f"{report.created} {verb}",
            f"{report.unchanged} unchanged",
            f"{report.differs} differ and stay as they are",
            f"{report.blocked} blocked (erased customers)",
        ]
        self.stdout.write(_counted(report.of_orders, done))
        self.stdout.write(f"{report.lines} lines of orders {verb}.")
        for one in report.differing:
            self.stdout.write(f"Line {one['line']} differs from what is on file in: {', '.join(one['columns'])}.")
        for notice in report.notices:
            self.stdout.write(f"Notice: {notice}")
        if report.freight_accounts or report.freight_accounts_past:
            self.stdout.write(
                f"{report.freight_accounts} freight accounts {verb}, {report.freight_accounts_past} left out: past "
                "their period."
            )
        if report.subtotals_off:
            self.stdout.write(f"Notice: the amounts of {report.subtotals_off} orders do not add up.")
        if report.columns_left_out:
            self.stdout.write(f"Columns that were not read: {', '.join(report.columns_left_out)}.")


def _map(named: str | None) -> ColumnMap | None:
    if not named:
        return None
    try:
        return columnmap.load(named, folder=imports.MAPS, columns=importfile.ALL_COLUMNS)
    except columnmap.MapRefused as refused:
        raise CommandError(str(refused), returncode=2) from None


def _counted(of: importfile.Counted, done: list[str]) -> str:
    """Return in a sentence what became of each line of the file of orders."""
    rest = ((of.good, "good"), (of.bad, "left out whole" if done else "bad"), (of.further, "further lines of an order above"),
            (of.empty, "empty"), (of.continued, "go on with a field that is not read"))  # fmt: skip
    parts = [*done, *(f"{count} {what}" for count, what in rest if count)]
    return f"Of {of.lines} lines: {', '.join(parts)}."
