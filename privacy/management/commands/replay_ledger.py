"""After a restore: erase again what was erased since the backup, until all three places of the ledger agree."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from privacy.gate.system import system, system_actor
from privacy.restore import maintenance, replay, signed_file
from privacy.work import counted, progress


class Command(BaseCommand):
    help = (
        "After a backup was restored: destroys again the keys that were destroyed since, ends again the records that "
        "were erased since, closes the requests that were carried out, and ends all sessions. Names the records whose "
        "correction was lost with the backup. The site serves nothing until this has run; it may be killed and run "
        "again, and changes nothing when all is well. It cannot bring back anything. Exit codes: 0 done, 1 a database "
        "or file failed, 2 usage, 3 refused (the signed file is missing or changed; another run is at it)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what would be done; change nothing")
        parser.add_argument(
            "--new-file", action="store_true", help="give the signed file up: put it aside and begin a new one"
        )
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")

    def handle(self, *args: Any, dry_run: bool, new_file: bool, **options: Any) -> None:
        actor = system_actor("sweep", kind="operator")
        try:
            with replay.alone() as alone, system("sweep", kind="operator"):
                if not alone:
                    raise CommandError("Another replay, or the task that follows the ledger, is at it.", returncode=3)
                with progress.shown(self.stderr, options["verbosity"]):
                    report = replay.replay(actor=actor, now=timezone.now(), dry_run=dry_run, new_file=new_file)
        except replay.FileOutOfReach as error:
            raise CommandError(f"{error} Nothing was done.", returncode=3) from None
        except replay.FileRefused as error:
            text = f"{error} Put the file back from its copy; if there is none, run this again with --new-file."
            raise CommandError(text, returncode=3) from None
        except (signed_file.FileBroken, DatabaseError) as error:
            text = (
                f"A database or the signed file failed ({type(error).__name__}); run this again, what was done stays."
            )
            raise CommandError(text, returncode=1) from None
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, **report.as_dict()}))
        else:
            self._say(report, dry_run)
        if report.uncopied:
            raise CommandError(
                "Lines that could not be copied into the main database, because another row has their number, or a row "
                f"that they end or they themselves cannot be read, or the program did not write them: {len(report.uncopied)}. "
                "`verify_audit` names such rows and lines (ledger_copy, ledger_line); docs/runbook.md says what to do.",
                returncode=1,
            )

    def _say(self, report: replay.Report, dry_run: bool) -> None:
        for code in report.problems:
            self.stdout.write(maintenance.SENTENCES[code])
        self.stdout.write(
            f"Key store: {counted.of(report.key_lines, 'missing line')}, {counted.of(report.keys, 'key')} alive again.\n"
            f"Main database: {counted.of(report.main_lines, 'missing line')}, "
            f"{counted.of(report.records, 'envelope')} that stood again, "
            f"{counted.of(len(report.requests), 'request')} open again or unknown.\n"
            f"Signed file: {counted.of(report.filed, 'line')} added."
        )
        for name in report.requests:
            self.stdout.write(f"  closed again: {name}")
        for one in report.corrections:
            self.stdout.write(f"  correction lost, enter it again: {one['label']} {one['record']} ({one['envelope']})")
        if report.lost_keys:
            self.stdout.write(
                f"Newer than the key store, so that nobody can read them: {counted.of(report.lost_keys, 'envelope')}."
            )
        for one in report.lost:
            self.stdout.write(f"  lost: {one['label']} {one['record']} ({one['envelope']})")
        for entry in report.uncopied:
            self.stdout.write(f"  not copied: {entry}")
        if dry_run:
            self.stdout.write("Nothing was changed: this was a dry run.")
