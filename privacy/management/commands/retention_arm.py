"""Let the nightly sweep erase from now on; --off lets it only count."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from privacy.gate.system import system, system_actor
from privacy.retention import rules
from privacy.sweep import arming, nightly
from privacy.work import counted


class Command(BaseCommand):
    help = (
        "Arms the sweep: from now on it erases every night what has outlived its reason. Look at `retention_sweep "
        "--dry-run` first. Also says, after a jump of the clock, that the clock is right. Erases nothing itself. "
        "Exit codes: 0 done, 1 the schedule cannot be used, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--off", action="store_true", help="disarm")
        parser.add_argument("--json", action="store_true", help="print {armed, armed_at, cap}")

    def handle(self, *args: Any, off: bool, **options: Any) -> None:
        if not off and (problems := rules.problems()):
            raise CommandError(problems[0], returncode=1)
        actor = system_actor("sweep", kind="operator")
        with system("sweep", kind="operator"):
            state = arming.disarm(actor=actor) if off else arming.arm(actor=actor)
        if options["json"]:
            armed_at = state.armed_at.isoformat() if state.armed_at else None
            self.stdout.write(json.dumps({"armed": bool(state.armed_at), "armed_at": armed_at, "cap": nightly.cap()}))
        elif state.armed_at:
            self.stdout.write(
                f"Armed. At most {counted.of(nightly.cap(), 'person', 'people')} a night, and whatever people were told would end."
            )
        else:
            self.stdout.write("Not armed: the sweep only counts.")
