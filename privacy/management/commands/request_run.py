"""Confirm the plan of a request and carry it out."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from privacy.calendar import company_day
from privacy.gate.system import system, system_actor
from privacy.management.one_request import RequestCommand, named
from privacy.requests import assessment, execute, history, listing, procedures, reading, services, waits, writing
from privacy.requests.models import Request
from privacy.requests.states import State

AFTER_A_FAILURE = {
    "retry": "it is tried again",
    "parked": "it is not tried again before somebody of the privacy team has resumed the request",
}


class Command(RequestCommand):
    help = (
        "Confirms the plan of a request (--plan HASH: exactly this one; --yes: the one it has now) and carries it out in this "
        "process, with or without a worker: does what is asked, such as making the copy or erasing for good, and answers the person. With --dry-run it says what would be done and changes nothing. Exit codes: 0 done, 1 it failed, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--yes", action="store_true", help="confirm the plan as it is now")
        which.add_argument(
            "--dry-run", action="store_true", help="show the plan as it is now; confirm and change nothing"
        )
        which.add_argument("--plan", metavar="HASH", help="confirm only if the plan still has this hash")
        parser.add_argument("--queue", action="store_true", help="confirm only; leave the rest to the workers")

    def handle(self, *args: Any, reference: str, **options: Any) -> None:
        request = named(reference)
        if not request.is_open:
            raise CommandError(f"This request is {listing.told(request)}: nothing is left to do.", returncode=3)
        if not request.procedure.is_known:
            raise CommandError(services.UNKNOWN, returncode=3)
        if options["dry_run"]:
            self._say(request)
            return
        self._confirm(request, options["plan"])
        word = "" if options["queue"] else self._run(request)
        request.refresh_from_db()
        if options["json"]:
            self.stdout.write(json.dumps(reading.show(request)))
        else:
            self.stdout.write(f"{request.reference}: {listing.told(request)}.")
        if word in ("retry", "parked"):
            raise CommandError(
                f"The step {request.step} failed ({request.last_error}); {AFTER_A_FAILURE[word]}.", returncode=1
            )
        if not options["queue"] and request.state == State.PLANNED:
            raise CommandError("The plan has changed meanwhile; look at it and confirm again.", returncode=3)
        if not options["queue"] and request.state == State.CONFIRMED:
            raise CommandError(f"Confirmed. {self._waits(request)}", returncode=3)

    def _waits(self, request: Request) -> str:
        now = timezone.now()
        if waits.is_undecided(request):
            return "It waits for a second person (request_second); after that it goes on by itself, or ends."
        until = waits.ends_at(request, now=now)
        if until is not None and until > now:
            end = timezone.localtime(until)
            return f"The person's other addresses have until {end:%-d %B %Y, %H:%M %Z} to object; then it is carried out by itself."
        others = [procedures.of(kind) for kind in request.procedure.waits_for]
        return (
            " ".join(str(one.words.waits_for_it) for one in others if one.words.waits_for_it) or "It goes on by itself."
        )

    def _say(self, request: Request) -> None:
        with system(request.procedure.purpose, subject=request.owner_id, kind="operator"):
            made = assessment.plan_for(request, today=company_day(timezone.now()))
        for line in (*map(str, made.warnings), *made.summary()):
            self.stdout.write(line)
        self.stdout.write(f"Plan {made.hash}. Nothing was changed: this was a dry run.")

    def _confirm(self, request: Request, wanted: str | None) -> None:
        purpose = request.procedure.purpose
        actor = system_actor(purpose, kind="operator")
        going_on = request.state in (State.CONFIRMED, State.EXECUTING, State.EXECUTED, State.REPLIED)
        try:
            with system(purpose, subject=request.owner_id, kind="operator"):
                if going_on and wanted in (None, request.confirmed_hash):
                    return
                digest = wanted or services.make_plan(request, actor=actor, now=timezone.now()).hash
                services.confirm(request, digest, actor=actor, now=timezone.now())
        except (services.NotIdentified, history.NotAllowed, services.PlanChanged) as error:
            raise CommandError(str(error), returncode=3) from None

    def _run(self, request: Request) -> str:
        word = execute.run(request.pk, clock=timezone.now, pause=lambda: time.sleep(0.2))
        request.refresh_from_db(fields=["step", "state"])
        if word == "waiting" and request.step == procedures.CLOSE.name:
            with system("letter", kind="operator"):
                writing.send_due(now=timezone.now())
            word = execute.run(request.pk, clock=timezone.now, pause=lambda: time.sleep(0.2))
        return word
