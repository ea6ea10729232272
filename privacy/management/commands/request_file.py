"""File a request that reached us by phone, fax, e-mail, mail or in person."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy.calendar import company_day
from privacy.gate.system import system, system_actor
from privacy.requests import addresses, filing, numbered, procedures, proof, reading
from privacy.requests.models import Request
from privacy.requests.procedure import Door
from privacy.requests.states import Channel
from privacy.typed import mailbox

PROOFS = [one.value for one in Request.Identity if one not in filing.WITNESSED_HERE]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a day is written like 2026-12-31") from None


def _stdin(text: str) -> str:
    if text != "-":
        raise ArgumentTypeError(
            "an address is read from standard input only: --email - (a command line can be seen by others)"
        )
    return text


def _check(email: str) -> None:
    """Raise CommandError with the code of a wrong argument where what came on standard input is no
    address; it is not repeated."""
    if not email:
        raise CommandError("No address came from standard input.", returncode=1)
    try:
        mailbox.validate(email)
    except ValidationError as error:
        refused = error.code == "refused"
        raise CommandError(error.messages[0] if refused else "That is not an e-mail address.", returncode=2) from None


class Command(BaseCommand):
    help = (
        "Files a request on behalf of a person: writes the request, its clock and an acknowledgement to the person; adds the "
        "receipt to a request of the same kind that is still open. Once identity is proved it is carried out by itself; one "
        "whose plan has to be confirmed, such as an erasure, waits for request_run. Exit codes: 0 done, 1 bad data, 2 usage (an "
        "address that is none), 3 refused by rule."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = [one.kind for one in procedures.rights(Door.STAFF)]
        parser.add_argument("--kind", choices=kinds, required=True, help="what is asked for")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--customer", metavar="REF", help="number of the customer, or of an order or return of theirs")
        who.add_argument("--email", type=_stdin, metavar="-", help="read the address from standard input")
        parser.add_argument("--channel", choices=Channel.values, required=True, help="how it reached us")
        parser.add_argument(
            "--received-on", type=_day, metavar="DATE", help="day of receipt, never later than today (default: today)"
        )
        parser.add_argument(
            "--asked-by",
            choices=Request.AskedBy.values,
            default=Request.AskedBy.SELF.value,
            help="the person, or an agent for them (default: self)",
        )
        parser.add_argument(
            "--identity", choices=PROOFS, default=Request.Identity.PENDING.value, help="how identity was proved"
        )
        parser.add_argument("--json", action="store_true", help="print the request in codes, for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        email = sys.stdin.readline().strip() if options["email"] else ""
        if options["email"]:
            _check(email)
        purpose = procedures.get(options["kind"]).purpose
        actor = system_actor(purpose, kind="operator")
        try:
            number = options["customer"]
            subject = numbered.subject_of(number) if number else addresses.only_subject_of(email, now=now)
            with system(purpose, kind="operator"):
                request, _ = filing.file(
                    filing.Receipt(
                        kind=options["kind"],
                        subject=subject,
                        channel=options["channel"],
                        received_on=options["received_on"] or company_day(now),
                        asked_by=options["asked_by"],
                        identity=options["identity"],
                        email=email,
                    ),
                    actor=actor,
                    now=now,
                )
        except proof.BadRequest as error:
            raise CommandError(str(error), returncode=1) from None
        shown = {
            name: value
            for name, value in reading.show(request).items()
            if name
            in (
                "reference",
                "kind",
                "state",
                "received_on",
                "due_on",
                "legal_due_on",
                "identity",
                "channel",
                "asked_by",
            )
        }
        if options["json"]:
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write(
                f"{request.reference}: {request.title}, received on {request.received_on:%-d %B %Y}, "
                f"answer by {request.due_on:%-d %B %Y}; identity: {request.get_identity_display()}."
            )
