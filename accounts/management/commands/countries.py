"""`countries`: records whose country is none of ISO 3166-1, and the country that somebody found out for one of them."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import country_choice, upgrades
from privacy import gate


class Command(BaseCommand):
    help = (
        "Lists the records whose country is no code of ISO 3166-1, so that nobody can say which law counts for the person; with a "
        "record, its number and --to it puts that country there, which the audit notes, and counts the days of open requests anew. A "
        "country that is one is not changed. Ask the person, or look at the order. --dry-run changes nothing. Exit codes: 0 done, 1 no "
        "such record, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("record", nargs="?", help="kind of record, as the list names it: accounts.address")
        parser.add_argument("number", nargs="?", help="its number, as the list names it")
        parser.add_argument("--to", metavar="CODE", help="the country's two-letter code")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print {countries, changed, dry_run}")

    def handle(
        self, *args: Any, record: str | None, number: str | None, to: str | None, dry_run: bool, **options: Any
    ) -> None:
        if len({bool(record), bool(number), bool(to)}) > 1 or (dry_run and not to):
            raise CommandError("A record, its number and --to belong together, --dry-run to them.", returncode=2)
        if record and number and to:
            self._choose(record, number, to, dry_run, as_json=options["json"])
            return
        found = upgrades.misspelt_countries()
        if options["json"]:
            rows = [
                {"record": model._meta.label_lower, "number": str(pk), "column": name, "code": code}
                for model, name, pk, code in found
            ]
            self.stdout.write(json.dumps({"countries": rows, "changed": [], "dry_run": False}))
            return
        for model, name, pk, code in found:
            self.stdout.write(f"{model._meta.label_lower} {pk}: {code} in {name}")
        self.stdout.write(country_choice.said(len(found)))

    def _choose(self, record: str, number: str, to: str, dry_run: bool, *, as_json: bool) -> None:
        actor = gate.Actor("operator", "countries", None, frozenset(), "upgrade")
        try:
            done = country_choice.choose(record, number, to, actor=actor, now=timezone.now(), is_dry=dry_run)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from None
        except country_choice.NothingToChoose as error:
            raise CommandError(str(error), returncode=1) from None
        if as_json:
            self.stdout.write(json.dumps({"countries": [], "changed": list(done), "dry_run": dry_run}))
            return
        would = "would be put" if dry_run else "is put"
        self.stdout.write(f"{to} {would} in {', '.join(done)} of {record.lower()} {number}.")
