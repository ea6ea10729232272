"""`create_staff`: make a staff login; the first one of an installation comes from here."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import logins
from accounts.models import User
from privacy import gate, vault
from privacy.typed import mailbox


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a date is written as YYYY-MM-DD") from None


def _check(username: str, email: str) -> None:
    """Raise CommandError with the code of a wrong argument for what can be no user name or no address of anybody."""
    try:
        mailbox.validate(email)
        mailbox.validate_usual(email)
    except ValidationError as error:
        refused = error.code in ("unusual", "refused")
        raise CommandError(error.messages[0] if refused else "That is not an e-mail address.", returncode=2) from None
    try:
        for validate in User._meta.get_field("username").validators:
            validate(username)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages), returncode=2) from None


class Command(BaseCommand):
    help = (
        "Creates a staff login with its roles and prints a one-time password; with --acknowledged-on it also files the "
        "confidentiality acknowledgement, without which the login sees masks only. Changes no other login. Exit codes: "
        "0 done, 1 bad data (a name or an address that somebody has), 2 usage (an address or a name that is none)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", required=True, help="user name of the new login")
        parser.add_argument("--email", required=True, metavar="-", help="- reads the address from standard input")
        roles = sorted(gate.STAFF_ROLES)
        parser.add_argument("--role", action="append", default=[], choices=roles, help="a role; once for each")
        parser.add_argument(
            "--password", choices=["-"], help="- reads a password from standard input, after the address"
        )
        parser.add_argument("--manager", action="store_true", help="decides as second person; opens no data by that")
        parser.add_argument("--acknowledged-on", type=_day, help="day on which confidentiality was undertaken")
        parser.add_argument("--ack-version", help="version of the text that was signed")
        parser.add_argument("--json", action="store_true", help="print one JSON object, with the password")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["acknowledged_on"] is None) != (options["ack_version"] is None):
            raise CommandError("--acknowledged-on and --ack-version belong together.", returncode=2)
        if not options["username"].strip():
            raise CommandError("The user name is empty.", returncode=2)
        if not options["role"] and not options["manager"]:
            raise CommandError("Say --role, or --manager, or both.", returncode=2)
        # A command line can be seen by others and stays in the shell's history: what identifies a person comes by "-".
        email = sys.stdin.readline().strip() if options["email"] == "-" else options["email"]
        given = sys.stdin.readline().rstrip("\n") if options["password"] else ""
        if not email:
            raise CommandError("No address came from standard input.", returncode=1)
        if options["password"] and not given:
            raise CommandError("No password came from standard input.", returncode=1)
        _check(options["username"], email)
        try:
            user, password = logins.create_staff(
                username=options["username"],
                email=email,
                roles=options["role"],
                password=given,
                is_manager=options["manager"],
                acknowledged_on=options["acknowledged_on"],
                version=options["ack_version"] or "",
                actor=gate.Actor("operator", "create_staff", None, frozenset(), "staff"),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=1) from None
        except vault.ValueTaken:
            raise CommandError(
                "The user name or address is held by what was refused within the last hour: try again later.",
                returncode=1,
            ) from None
        if options["json"]:
            result = {
                "id": str(user.pk),
                "roles": sorted(options["role"]),
                "acknowledged": bool(options["acknowledged_on"]),
            }
            if not given:
                result["one_time_password"] = password
            self.stdout.write(json.dumps(result))
            return
        self.stdout.write("The login is made.")
        if not given:
            self.stdout.write(f"One-time password, to be changed at the first login: {password}")
        if options["acknowledged_on"] is None:
            self.stdout.write(
                "Until the confidentiality acknowledgement is on file (--acknowledged-on) it sees masks only."
            )
