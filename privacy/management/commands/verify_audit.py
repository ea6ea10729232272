"""Compute the audit log again and name what does not agree."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from privacy import audit, progress

INTACT, WRONG = 0, 1


class Command(BaseCommand):
    help = (
        "Verifies the audit log: every event, the chain, the signed checkpoints; names the first that does not fit. "
        "Changes nothing. Exit codes: 0 intact, 1 not, 2 usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with progress.shown(self.stderr, options["verbosity"]):
            report = audit.verify(now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            for finding in report.findings:
                self.stdout.write(f"{finding}.")
            if report.wrong > len(report.findings):
                self.stdout.write(f"... and {report.wrong - len(report.findings)} more.")
            self.stdout.write(
                f"{report.events} events, {report.links} links, {report.checkpoints} checkpoints: "
                + (
                    "intact."
                    if report.is_intact
                    else f"{report.wrong} wrong, the first at event {report.first_bad or 'unknown'}."
                )
            )
        if not report.is_intact:
            sys.exit(WRONG)
