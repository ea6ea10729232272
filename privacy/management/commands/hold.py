"""Place, lift and list legal holds on records."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from privacy import called
from privacy.calendar import undated
from privacy.gate.system import system, system_actor
from privacy.retention import holds, in_force
from privacy.retention.models import Hold


class Command(BaseCommand):
    help = (
        "Puts one record under a legal hold, for a reason: an order, RMA or customer by its number, or any record by its "
        "UUID. Nothing of it is erased until the hold is lifted; then what waited is erased by the next sweep, where it is "
        "armed. Exit codes: 0 done, 1 no such record or bad data, 2 usage (no reason, too), 3 refused (several records of "
        "that name, nothing to lift)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "record", nargs="?", metavar="REF|RECORD", help="number people call it by, or UUID of the record"
        )
        parser.add_argument(
            "--reason",
            choices=Hold.Reason.values,
            help="; ".join(f"{name}: {text}" for name, text in Hold.Reason.choices),
        )
        parser.add_argument("--case", default=None, metavar="NUMBER", help="number of the case outside; no names")
        parser.add_argument(
            "--lift", action="store_true", help="lift the holds on the record (only that of --case, if given)"
        )
        parser.add_argument("--list", action="store_true", help="list the holds in force (of one record, if given)")
        parser.add_argument(
            "--json", action="store_true", help="print {holds}: those in force on the record, or on all"
        )

    def handle(self, *args: Any, record: str | None, lift: bool, **options: Any) -> None:
        if options["list"] and lift:
            raise CommandError("Either --list or --lift.", returncode=2)
        if record is None and not options["list"]:
            raise CommandError("Say which record: its number, or its UUID.", returncode=2)
        if (options["list"] or lift) and options["reason"]:
            raise CommandError("--reason belongs to a new hold: leave it out.", returncode=2)
        if not options["list"] and not lift and not options["reason"]:
            reasons = ", ".join(Hold.Reason.values)
            raise CommandError(f"Say why: --reason with one of {reasons}.", returncode=2)
        try:
            found = holds.find(record) if record is not None else None
            if options["list"] or found is None:
                self._list(found, as_json=options["json"])
                return
            actor, now = system_actor("sweep", kind="operator"), timezone.now()
            with system("sweep", kind="operator"):
                if lift:
                    count = holds.lift(
                        found.declaration.label, found.record_id, reference=options["case"], actor=actor, now=now
                    )
                else:
                    holds.place(
                        found.declaration.label,
                        found.record_id,
                        reason=options["reason"],
                        reference=options["case"] or "",
                        actor=actor,
                        now=now,
                    )
        except (holds.RecordNotFound, holds.BadHold) as error:
            raise CommandError(str(error), returncode=1) from None
        except (holds.ReferenceNotUnique, holds.NothingOnHold) as error:
            raise CommandError(str(error), returncode=3) from None
        if options["json"]:
            self._list(found, as_json=True)
        elif lift:
            self.stdout.write(f"{count} lifted. What waited for it is erased by the next sweep, where it is armed.")
        else:
            self.stdout.write(f"{_name(found)} is on hold: nothing of it is erased until the hold is lifted.")

    def _list(self, found: holds.Found | None, *, as_json: bool) -> None:
        holds_now = Hold.objects.filter(lifted_at__isnull=True)
        if found is not None:
            holds_now = holds_now.filter(label=found.declaration.label, record_id=found.record_id)
        rows = list(undated.each(holds_now))
        doubted = in_force.doubtful(rows)
        lost = in_force.lost(None if found is None else [(found.declaration.label, found.record_id)])
        standing = [*rows, *lost]
        gone = {one.pk for one in lost}
        names = called.names((one.label, one.record_id) for one in standing)
        shown = [
            {
                "record": str(one.record_id),
                "label": one.label,
                "name": names[one.label, one.record_id],
                "reason": one.reason,
                "case": one.reference,
                "placed_at": one.placed_at.isoformat(),
                "placed_by": one.placed_by,
                "in_doubt": one.pk in doubted,
                "row_is_gone": one.pk in gone,
            }
            for one in standing
        ]
        if as_json:
            self.stdout.write(json.dumps({"holds": shown}))
            return
        for hold in standing:
            case = f", case {hold.reference}" if hold.reference else ""
            since = undated.said(hold.placed_at, "%-d %B %Y, %H:%M %Z")
            name = names[hold.label, hold.record_id]
            doubt = f"; {in_force.IN_DOUBT}" if hold.pk in doubted else ""
            doubt = f"; {in_force.LOST}" if hold.pk in gone else doubt
            self.stdout.write(f"{name}: {hold.get_reason_display()}{case}; since {since}{doubt}")
        self.stdout.write(f"Holds in force: {len(standing)}.")


def _name(found: holds.Found) -> str:
    key = (found.declaration.label, found.record_id)
    return called.names([key])[key]
