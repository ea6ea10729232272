"""Show how a request stands: decisions, steps, dates; no personal data."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from privacy.calendar import company_day
from privacy.requests import services
from privacy.requests.models import Request


class Command(BaseCommand):
    help = "Shows a request: state, dates, decisions, steps. Changes nothing. Exit codes: 0 done, 1 no such request, 2 usage."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="REF")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, reference: str, **options: Any) -> None:
        try:
            request = services.find(reference)
        except Request.DoesNotExist:
            raise CommandError("No request has this reference.", returncode=1) from None
        shown = services.show(request)
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"{shown['reference']}: {request.get_kind_display()}, {request.get_state_display()}")
        self.stdout.write(
            f"received {shown['received_on']}, answer by {shown['due_on']}, at the latest {shown['legal_due_on']}"
            + (f"; without the pause by {shown['unpaused_due_on']}" if shown["unpaused_due_on"] else "")
        )
        self.stdout.write(f"identity: {request.get_identity_display()}")
        for record in shown["decisions"]:
            for datum in record["data"]:
                until = f" until {datum['until']}" if datum["until"] else ""
                if datum["done_at"]:
                    until = f", erased on {company_day(datetime.fromisoformat(datum['done_at']))}"
                self.stdout.write(
                    f"  {record['label']} {record['record'] or ''} {datum['name']}: {datum['action']} {datum['code']}{until}"
                )
        for step in shown["steps"]:
            self.stdout.write(f"  step {step['name']}: {step['done_at'] or 'to do'}, tried {step['attempts']} times")
