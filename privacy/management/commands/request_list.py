"""List the privacy requests: which are open, and which are overdue; no personal data."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from privacy.calendar import company_day, undated
from privacy.requests import listing, procedures
from privacy.requests.models import Request
from privacy.requests.states import WAITS_FOR_SECOND, State
from privacy.work import progress


class Command(BaseCommand):
    help = (
        "Lists the requests that are open, the most urgent first, with the days by which each is overdue. Changes nothing, and names "
        "nobody. Exit codes: 0 done, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        for name, text in (
            (listing.Which.OVERDUE, "those open after the day to answer by"),
            (listing.Which.SOON, "those due within 7 days, and the overdue ones"),
            (listing.Which.ENDED, "those that have ended"),
            (listing.Which.ALL, "those that are open and those that have ended"),
        ):
            which.add_argument(f"--{name}", dest="which", action="store_const", const=name.value, help=text)
        parser.set_defaults(which=listing.Which.OPEN.value)
        parser.add_argument("--kind", choices=list(procedures.TABLE), help="only those that ask for this")
        parser.add_argument("--state", choices=State.values, help="only those in this state")
        parser.add_argument("--json", action="store_true", help="print {requests, overdue}")

    def handle(self, *args: Any, which: str, **options: Any) -> None:
        with undated.leniently():  # the others are listed all the same
            self._handle(which, options)

    def _handle(self, which: str, options: dict[str, Any]) -> None:
        today = company_day(timezone.now())
        wanted = {name: options[name] for name in ("kind", "state") if options[name]}
        requests = listing.narrowed(Request.objects.filter(**wanted), which, today=today)
        found = []
        with progress.shown(self.stderr, options["verbosity"]):
            for one, shown in listing.rows(requests, today=today):
                found.append(shown)
                progress.tell("requests listed", len(found))
                if not options["json"]:
                    self.stdout.write(_line(one, shown))
        overdue = sum(1 for one in found if one["days_overdue"])
        if options["json"]:
            self.stdout.write(json.dumps({"requests": found, "overdue": overdue}))
        else:
            self.stdout.write(f"Requests: {len(found)}. Overdue: {overdue}.")


def _line(request: Request, shown: dict[str, Any]) -> str:
    """Return one line: reference, what is asked, how it stands, until when."""
    said = [f"{request.reference}: {request.title}, {request.get_state_display()}"]
    if days := shown["days_overdue"]:
        said.append(
            f"overdue by {days} day{'' if days == 1 else 's'}, was to be answered by {request.due_on:%-d %B %Y}"
        )
    elif request.is_open and undated.is_none(request.due_on):
        said.append(f"answer by: {undated.SENTENCE}")
    elif request.is_open:
        said.append(f"answer by {request.due_on:%-d %B %Y}")
    if shown["needs_second_person"] and WAITS_FOR_SECOND not in said[0]:
        said.append("waits for a second person")
    if request.is_open and not shown["identified"]:
        said.append("it is not proved yet who asks")
    return "; ".join(said)
