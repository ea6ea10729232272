"""What the commands about one request share: it is named by its reference, as people type it."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from privacy.requests import reading
from privacy.requests.models import Request


class RequestCommand(BaseCommand):
    """A command about the request with reference REF; with --json it says what it says for a program."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="REF", help="reference of the request, as in PR-2026-7K3M-9Q")
        parser.add_argument("--json", action="store_true", help="print it in codes, for a program")


def named(reference: str) -> Request:
    """Return the request with this reference. Raises CommandError, with exit code 1, where there is none."""
    try:
        return reading.find(reference)
    except Request.DoesNotExist:
        raise CommandError("No request has this reference.", returncode=1) from None
