"""Show what a request would do to each record, before anything is done."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from privacy.gate.system import system, system_actor
from privacy.management.one_request import RequestCommand, named
from privacy.requests import history, plan, reading, services
from privacy.retention.verdict import Verdict, ends_when_finished


class Command(RequestCommand):
    help = (
        "Shows what a request would do to each record, and the hash of this plan; keeps the plan with the request and changes "
        "no record. Exit codes: 0 done, 1 no such request, 2 usage, 3 refused by rule."
    )

    def handle(self, *args: Any, reference: str, **options: Any) -> None:
        request = named(reference)
        try:
            purpose = request.procedure.purpose
            with system(purpose, subject=request.owner_id, kind="operator"):
                made = services.make_plan(request, actor=system_actor(purpose, kind="operator"), now=timezone.now())
        except (services.NotIdentified, history.NotAllowed) as error:
            raise CommandError(str(error), returncode=3) from None
        request.refresh_from_db()
        if options["json"]:
            shown = reading.show(request)
            written = plan.as_dict(made)
            self.stdout.write(
                json.dumps(
                    {
                        "reference": shown["reference"],
                        "kind": shown["kind"],
                        "state": shown["state"],
                        "plan_hash": made.hash,
                        "decisions": shown["decisions"],
                        "leftovers": written["leftovers"],
                        "warnings": written["warnings"],
                        "summary": made.summary(),
                    }
                )
            )
            return
        for verdict in made.verdicts:
            fate = "erased" if verdict.is_erased else f"kept until {_until(verdict)} ({verdict.authority})"
            self.stdout.write(f"{verdict.title}: {', '.join(verdict.data)}: {fate}")
        for line in (*map(str, made.warnings), *made.summary()):
            self.stdout.write(line)
        self.stdout.write(f"Plan {made.hash}")


def _until(verdict: Verdict) -> str:
    if not verdict.until:
        return "what holds it has ended"
    earlier = ", or earlier once what is open is finished" if ends_when_finished(verdict.code, verdict.sentence) else ""
    return f"{verdict.until:%-d %B %Y}{earlier}"
