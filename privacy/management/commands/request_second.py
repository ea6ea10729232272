"""Decide as the second person about a request, or list what waits for one."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy.calendar import undated
from privacy.gate.system import system, system_actor
from privacy.management.one_request import named
from privacy.requests import excess, listing, proof, reading, second, sight
from privacy.requests.history import NotAllowed
from privacy.requests.models import SecondLook


class Command(BaseCommand):
    help = (
        "Lists the requests that wait for a second person; with a reference and --decision it decides: go_on carries the request "
        "on, end refuses it, or destroys its copy, and writes to the person, also of what had gone out before. A proposed refusal is decided by refuse or answer; the list prints its evidence. An operator decides about nothing that an operator filed. --dry-run changes nothing. Exit codes: 0 done, "
        "1 no such request or bad data, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="REF", nargs="?", help="reference of the request")
        parser.add_argument("--decision", choices=SecondLook.Outcome.values, help="what the second person decides")
        parser.add_argument("--words", choices=["-"], help="- reads from standard input why it ends, for the person")
        parser.add_argument("--dry-run", action="store_true", help="with --decision: change nothing")
        parser.add_argument("--json", action="store_true", help="print it in codes, for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["reference"]) != bool(options["decision"]):
            raise CommandError("A reference and --decision belong together.", returncode=2)
        if options["dry_run"] and not options["decision"]:
            raise CommandError("--dry-run belongs to --decision.", returncode=2)
        if options["reference"]:
            words = sys.stdin.read() if options["words"] else ""
            self._decide(options["reference"], options["decision"], words, is_dry=options["dry_run"])
        looks = list(undated.each(second.waiting()))
        if options["reference"]:
            request = reading.find(options["reference"])
            if options["json"]:
                self.stdout.write(json.dumps(reading.show(request)))
            else:
                self.stdout.write(f"{request.reference}: {listing.told(request)}.")
                if options["dry_run"]:
                    word = SecondLook.Outcome(options["decision"]).label
                    self.stdout.write(f"It can be decided so: {word}. Nothing was changed: this was a dry run.")
            return
        found = [
            {
                "reference": one.request.reference,
                "kind": one.request.kind,
                "why": one.why,
                "asked_at": one.asked_at.isoformat(),
                "due_on": one.request.due_on.isoformat(),
            }
            for one in looks
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"waiting": found}))
            return
        for one in looks:
            self.stdout.write(
                f"{one.request.reference}: {one.request.title}, answer by {undated.said(one.request.due_on, '%-d %B %Y')}: {one.get_why_display()}"
            )
            if one.why == SecondLook.Why.EXCESSIVE:
                with system(
                    one.request.procedure.purpose, subject=one.request.owner_id, kind="operator", id="request_second"
                ):
                    said = excess.proposed(one.request)
                self.stdout.write(f"  Reason: {said.get('ground', 'not readable')}")
                self.stdout.write(f"  Evidence: {said.get('evidence', 'not readable')}")
        if not found:
            self.stdout.write("Nothing waits for a second person.")

    def _decide(self, reference: str, decision: str, words: str, *, is_dry: bool) -> None:
        request = named(reference)
        purpose = request.procedure.purpose
        actor = system_actor(purpose, kind="operator", id="request_second")
        try:
            with system(purpose, subject=request.owner_id, kind="operator", id="request_second"):
                if decision in (SecondLook.Outcome.REFUSE, SecondLook.Outcome.ANSWER):
                    excess.decide(request, decision, actor=actor, now=timezone.now(), is_dry=is_dry)
                    return
                second.decide(request, decision, words=words, actor=actor, now=timezone.now(), is_dry=is_dry)
        except proof.BadRequest as error:
            raise CommandError(str(error), returncode=1) from None
        except (sight.NotYours, NotAllowed) as error:
            raise CommandError(str(error), returncode=3) from None
