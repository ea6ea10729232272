"""`import_orders FILE --lines FILE`: take orders in from two CSV files that are one unit, or from one."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.utils import timezone

from accounts import accounted, columnmap
from accounts.columnmap import ColumnMap
from accounts.csvfile import Problem
from orders import importfile, imports
from privacy import gate
from privacy.gate.system import system
from privacy.work import counted, progress

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
            reason = "The map says that the file of orders has the lines, too: leave --lines out."
            if not options["lines"]:
                ready = ", ".join(columnmap.ready(imports.MAPS))
                reason = f"Give the file of lines (--lines FILE), or the map of a file that has them, too (--map FILE, or: {ready})."
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
            self._tell(report, is_refused=bool(report.errors) and not options["skip_bad"])
        if report.errors and not (options["skip_bad"] and (report.is_written or report.dry_run)):
            raise SystemExit(BAD_DATA)

    def _tell(self, report: imports.Report, *, is_refused: bool) -> None:
        verb = "would be taken in" if report.dry_run else "taken in"
        for problem in report.errors:
            self.stderr.write(str(problem))
        if report.errors and not report.of_orders.lines:
            self.stderr.write("Nothing was taken in: the files as a whole cannot be used.")
            return
        of = report.of_orders
        rest = (
            (of.further, "a further line of an order above"),
            (of.empty, "empty"),
            (of.continued, "the rest of a field that is not read, such as a note of several lines"),
        )
        known = (
            (report.unchanged, "on file already, the same"),
            (report.differs, "on file already, different: what is on file stays"),
            (report.blocked, "left out: the customer was erased (each is named below)"),
        )
        if is_refused:
            parts: tuple[tuple[int, str], ...] = (
                (of.bad, "left out: all reasons are listed"),
                (of.good, "could be taken in"),
                *known,
            )
            self.stderr.write("Nothing would be taken in." if report.dry_run else "Nothing was taken in.")
            for line in accounted.table(of.lines, (*parts, *rest)):
                self.stderr.write(line)
            self._name_known(report, self.stderr)
            for sentence in self._legend(report):
                self.stderr.write(sentence)
            if of.good:
                self.stderr.write("Mend the files, or take in the good orders with --skip-bad.")
            return
        parts = (
            (report.created, f"{verb}, with {counted.of(report.lines, 'line of an order', 'lines of orders')}"),
            *known,
            (of.bad, "left out whole: something is wrong with the order, or with a line of it"),
        )
        for line in accounted.table(of.lines, (*parts, *rest)):
            self.stdout.write(line)
        self._name_known(report, self.stdout)
        for notice in report.notices:
            self.stdout.write(f"Notice: {notice}")
        if report.freight_accounts or report.freight_accounts_past:
            self.stdout.write(
                f"{counted.of(report.freight_accounts, 'freight account')} {verb}, {report.freight_accounts_past} left out: past "
                "their period."
            )
        if report.subtotals_off:
            lines = ", ".join(map(str, report.off))
            self.stdout.write(
                f"Notice: the amounts of an order do not add up. Lines on which such orders begin: {lines}."
            )
        for sentence in self._legend(report):
            self.stdout.write(sentence)
        if report.columns_missing:
            self.stdout.write(f"Columns of the map that the file does not have: {', '.join(report.columns_missing)}.")
        if report.columns_left_out:
            self.stdout.write(f"Columns that were not read: {', '.join(report.columns_left_out)}.")

    @staticmethod
    def _legend(report: imports.Report) -> list[str]:
        told = (*report.errors, *report.blocked_lines, *report.notices)
        different = (column for one in report.differing for column in one["columns"])
        return accounted.legend((*(one.column for one in told), *different), report.called)

    @staticmethod
    def _name_known(report: imports.Report, out: OutputWrapper) -> None:
        """Name each line whose order is on file and differs, or whose customer was erased."""
        for one in report.differing:
            out.write(f"Line {one['line']} differs from what is on file in: {', '.join(one['columns'])}.")
        for left in report.blocked_lines:
            out.write(f"Left out: {left}")


def _map(named: str | None) -> ColumnMap | None:
    if not named:
        return None
    try:
        return columnmap.load(named, folder=imports.MAPS, columns=importfile.ALL_COLUMNS)
    except columnmap.MapRefused as refused:
        raise CommandError(str(refused), returncode=2) from None
