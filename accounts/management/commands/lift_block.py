"""`lift_block`: let a person come in again who was erased, or another one whom the block hits."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import blocked
from privacy import gate


def _stdin(text: str) -> str:
    if text != "-":  # a command line can be seen by others
        raise ArgumentTypeError("the address comes on standard input: --email -")
    return text


class Command(BaseCommand):
    help = (
        "Lifts the block that an erasure left on a customer number or an e-mail address, so that an import takes it in again. Be sure "
        "first that it is another person, or that the person wants to be a customer again. The audit says that and why, never whose. "
        "--dry-run changes nothing. Exit codes: 0 done, 1 no such block, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        of = parser.add_mutually_exclusive_group(required=True)
        of.add_argument("--customer", metavar="NUMBER", help="the customer number, letter by letter")
        of.add_argument("--email", type=_stdin, metavar="-", help="- reads the address from standard input")
        parser.add_argument(
            "--reason", required=True, choices=blocked.Why.values, help="; ".join(map(": ".join, blocked.Why.choices))
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print {lifted, until, dry_run}")

    def handle(self, *args: Any, reason: str, dry_run: bool, **options: Any) -> None:
        kind, value = blocked.NUMBER, options["customer"]
        if options["email"]:
            kind, value = blocked.ADDRESS, sys.stdin.readline().strip()
            if not value:
                raise CommandError("No address came from standard input.", returncode=1)
        if not value:
            raise CommandError("The customer number is empty.", returncode=2)
        try:
            day = blocked.until(kind, value)
            if not dry_run:
                actor = gate.Actor("operator", "lift_block", None, frozenset(), "import")
                blocked.lift(kind, value, why=reason, actor=actor, now=timezone.now())
        except blocked.NoBlock:
            raise CommandError("Nothing is blocked by this today.", returncode=1) from None
        if options["json"]:
            until = day.isoformat() if day else None
            self.stdout.write(json.dumps({"lifted": not dry_run, "until": until, "dry_run": dry_run}))
            return
        ends = f"It would have ended on {day:%-d %B %Y}." if day else "It had no end."
        if dry_run:
            ends = f"It ends on {day:%-d %B %Y}." if day else "It has no end."
            self.stdout.write(f"The block would be lifted. {ends} Nothing was changed: this was a dry run.")
        else:
            self.stdout.write(f"The block is lifted. {ends}")
