"""`import_customers FILE`: take in customers from a CSV file."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import accounted, columnmap, imports
from accounts.csvfile import Problem
from privacy import gate
from privacy.gate.system import system
from privacy.work import progress


class Command(BaseCommand):
    help = (
        "Takes in customers from a CSV file: all or nothing, or with --skip-bad all good lines. Creates customers and "
        "their addresses; a record on file that differs is reported and not changed, somebody who was erased is not "
        "brought back. --map takes in the files of other programs. --dry-run writes nothing. "
        "Exit codes: 0 done, 1 bad data, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        ready = ", ".join(columnmap.ready(imports.MAPS))
        parser.add_argument("file", help="UTF-8, comma, with a header line of: " + ",".join(imports.COLUMNS))
        parser.add_argument(
            "--map", metavar="MAP", help=f"what the columns of another program are: a TOML file, or one of: {ready}"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument("--skip-bad", action="store_true", help="leave out bad lines instead of refusing the file")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = None
        if named := options["map"]:
            try:
                by = columnmap.load(named, folder=imports.MAPS, columns=imports.COLUMNS)
            except columnmap.MapRefused as refused:
                raise CommandError(str(refused), returncode=2) from None
        with system("import", kind="operator"), progress.shown(self.stderr, options["verbosity"]):
            try:
                report = imports.import_customers(
                    options["file"],
                    actor=gate.current(),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                    by=by,
                )
            except Problem as whole_file:
                report = imports.Report(errors=[whole_file])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            for problem in report.errors:
                self.stderr.write(str(problem))
            is_refused = bool(report.errors) and not options["skip_bad"]
            for line in _told(report, dry_run=options["dry_run"], is_refused=is_refused):
                self.stdout.write(line)
        if report.errors and not (options["skip_bad"] and (report.is_written or options["dry_run"])):
            raise SystemExit(1)


def _told(report: imports.Report, *, dry_run: bool, is_refused: bool) -> list[str]:
    """Return the report for a reader: what became of each line, and what to look at.

    A file with errors is refused as a whole unless the bad lines are skipped, by a dry run as
    well: both say the same of it.
    """
    if report.errors and not report.lines:
        return ["Nothing was taken in: the file as a whole cannot be used."]
    rest = (
        (report.repeated, "a customer who stands above once more"),
        (report.empty, "empty"),
        (report.continued, "the rest of a field that is not read, such as a note of several lines"),
    )
    if is_refused:
        parts: tuple[tuple[int, str], ...] = (
            (report.bad, "something is wrong with it: all reasons are listed"),
            (report.good, "could be taken in"),
        )
        return [
            "Nothing would be taken in." if dry_run else "Nothing was taken in.",
            *accounted.table(report.lines, (*parts, *rest)),
            *accounted.legend((one.column for one in report.errors), report.called),
            *(["Mend the file, or take in the good lines with --skip-bad."] if report.good else []),
        ]
    parts = (
        (report.created, "would be created" if dry_run else "created"),
        (report.unchanged, "on file already, the same"),
        (report.differs, "on file already, different: what is on file stays"),
        (report.blocked, "left out: the person was erased (each is named below)"),
        (report.bad, "left out: something is wrong with it"),
    )
    told = accounted.table(report.lines, (*parts, *rest))
    told += [f"Line {one['line']} differs in: {', '.join(one['columns'])}." for one in report.differing]
    told += [f"Left out: {one}" for one in report.blocked_lines]
    told += [f"Notice: {notice}" for notice in report.notices]
    told += [_shared(one) for one in report.shared]
    if report.since_today:
        told.append(f"Without a day in the file: {report.since_today}. They count as customers since today.")
    if report.consent_without_proof:
        told.append(
            f"Yes to marketing: {report.consent_without_proof}. Without proof that is no consent, and none is stored."
        )
    told += accounted.legend(
        (
            *(one.column for one in (*report.errors, *report.blocked_lines, *report.notices)),
            *(column for one in report.differing for column in one["columns"]),
            *("email" for _ in report.shared[:1]),
        ),
        report.called,
    )
    if report.columns_missing:
        told.append(f"Columns of the map that the file does not have: {', '.join(report.columns_missing)}.")
    if report.columns_left_out:
        told.append(f"Columns that were not read: {', '.join(report.columns_left_out)}.")
    return told


def _shared(one: dict[str, Any]) -> str:
    where = []
    if one["lines"]:
        where.append(f"on line {', '.join(map(str, one['lines']))}")
    if one["on_file"]:
        where.append("on file with another customer")
    return f"Notice: Line {one['line']}, email: The address stands {' and '.join(where)}, too; it identifies nobody."
