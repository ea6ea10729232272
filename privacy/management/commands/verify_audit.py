"""Compute the audit log and the access log again and name what does not agree."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from privacy import audit
from privacy.audit.chains import AUDIT
from privacy.gate.log import CHAINS
from privacy.restore import replay, revived, signed
from privacy.work import counted, progress

INTACT, WRONG, BEHIND = 0, 1, 3


def _beside() -> Iterator[tuple[str, Any]]:
    """Yield what is found in the ledger of erasures, its copy, and the keys of whose end it tells."""
    yield from signed.others()
    yield from replay.unproved()
    yield from revived.told()


class Command(BaseCommand):
    help = (
        "Verifies the audit log and the log of who looked: every row, the chains, the signed checkpoints; names the first "
        "row that does not fit, and says when the sealer or the checkpoints are behind. Changes nothing. "
        "Exit codes: 0 intact, 1 not, 2 usage, 3 intact but behind."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with progress.shown(self.stderr, options["verbosity"]):
            reports = [
                audit.verify(now=timezone.now(), chain=chain, also=_beside() if chain is AUDIT else ())
                for chain in CHAINS
            ]
        is_intact = all(report.is_intact for report in reports)
        is_behind = any(report.behind for report in reports)
        if options["json"]:
            whole = {
                "format": 1,
                "intact": is_intact,
                "behind": is_behind,
                "logs": [report.as_json() for report in reports],
            }
            self.stdout.write(json.dumps(whole, indent=2))
        else:
            for report in reports:
                self._tell(report)
            for late in audit.late(reports):
                self.stdout.write(f"{late}.")
        if not is_intact:
            sys.exit(WRONG)
        if is_behind:
            sys.exit(BEHIND)

    def _tell(self, report: audit.Report) -> None:
        for finding in report.findings:
            self.stdout.write(f"{finding}.")
        if report.wrong > len(report.findings):
            self.stdout.write(f"... and {report.wrong - len(report.findings)} more.")
        noun = report.chain.noun
        said = (
            counted.of(report.events, noun),
            counted.of(report.links, "link"),
            counted.of(report.checkpoints, "checkpoint"),
        )
        counts = f"{', '.join(said)}: "
        bad = f"{report.wrong} wrong, the first at {noun} {report.first_bad or 'unknown'}."
        self.stdout.write(counts + ("intact." if report.is_intact else bad))
