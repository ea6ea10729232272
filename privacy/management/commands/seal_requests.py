"""`seal_requests`: name the requests whose row does not say what the site wrote, and seal one after looking."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from privacy import audit, gate
from privacy.calendar import undated
from privacy.requests import bound, contradictions, doubt, in_doubt, questions, reading, sight
from privacy.requests.models import Request
from privacy.retention import decided


class Command(BaseCommand):
    help = (
        "Names the privacy requests that are not as the site wrote them: the row, the history against the audit, the decisions "
        "against the plan in the sealed file, the questions to a second person, the place of the proof in the ledger. Nothing is "
        "done for them, and no copy of theirs is given out. Look first who changed them (docs/runbook.md). --request seals one as "
        "it stands, with its decisions and copies, where they fit its sealed file and the key store, and puts back a question that "
        "was taken away; --all seals all: after a restore from a backup of an older version only. One that its history, the audit "
        "or the key store contradicts stays doubted: put its row right first. --dry-run changes nothing. Exit codes: 0 nothing is "
        "doubted any more, 1 requests are doubted or there is no such request, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--request", metavar="REFERENCE", help="seal this request")
        which.add_argument("--all", action="store_true", help="seal all as they stand")
        parser.add_argument("--dry-run", action="store_true", help="with --request or --all: change nothing")
        parser.add_argument("--json", action="store_true", help="print {sealed, doubted, dry_run}")

    def handle(self, *args: Any, **options: Any) -> None:
        with undated.leniently():  # the one with a day that no calendar has is to be named
            self._handle(options)

    def _handle(self, options: dict[str, Any]) -> None:
        is_dry = options["dry_run"]
        if is_dry and not (options["request"] or options["all"]):
            raise CommandError("--dry-run belongs to --request or --all.", returncode=2)
        found, sealed = list(bound.doubted()), 0
        if options["request"]:
            try:
                request = reading.find(options["request"])
            except Request.DoesNotExist:
                raise CommandError("There is no request with this reference.", returncode=1) from None
            found = [one for one in found if one == request.pk]
            with transaction.atomic():
                locked = sight.locked(request)
                put_back = len(questions.lost(locked)) if is_dry else questions.put_back(locked)
            if put_back and not options["json"]:
                were = "would be" if is_dry else "were"
                self.stdout.write(f"Questions to a second person that {were} put back: {put_back}.")
            if not (put_back or found or contradictions.of(request.pk) or options["json"]):
                self.stdout.write("This request is in order. Nothing was changed.")
        if options["request"] or options["all"]:
            sealed = self._seal(found, is_dry=is_dry)
            if not options["json"]:
                self.stdout.write(f"{'Would be sealed' if is_dry else 'Sealed'} as they stand: {sealed}.")
        doubted = list(in_doubt.among(Request.objects.all()).order_by("reference"))
        if options["json"]:
            self.stdout.write(
                json.dumps({"sealed": sealed, "doubted": list(map(_as_json, doubted)), "dry_run": is_dry})
            )
        else:
            self._tell(doubted)
            if is_dry:
                self.stdout.write("Nothing was changed: this was a dry run.")
        if doubted:
            raise CommandError("Look at them before you seal any.", returncode=1)

    def _tell(self, doubted: list[Request]) -> None:
        for one in doubted:
            self.stdout.write(
                f"{one.reference}: {one.title}, by its row {one.get_state_display()}; who is asking: "
                f"{one.get_identity_display()}; it covers {one.get_scope_display()}"
            )
            found = contradictions.of(one.pk)
            if not (found or doubt.is_clear(one)):
                found = ["the row was changed past the program; its history fits it as it stands"]
            for why in found:
                self.stdout.write(f"  {why}")
            for what in contradictions.besides(one.pk):
                self.stdout.write(f"  beside the row: {what}")
        self.stdout.write(f"Requests that are doubted: {len(doubted)}.")

    def _seal(self, found: list[Any], *, is_dry: bool) -> int:
        """Seal those that nothing contradicts, each with an event of the audit; return how many. A dry run counts."""
        actor, now = gate.Actor("operator", "seal_requests", None, frozenset(), "seal"), timezone.now()
        found = [one for one in found if not contradictions.of(one)]
        if is_dry:
            return len(found)
        with transaction.atomic():
            bound.seal(found)
            decided.seal(found)
            for one in Request.objects.filter(pk__in=found).order_by("reference"):
                audit.record(
                    "request.sealed", actor=actor, now=now, subject=one.subject_id, reference=one.reference,
                    record=(Request.vault_label, one.pk), reason=f"{one.kind} by {one.channel}, {one.state}, next {one.step or 'nothing'}",
                )  # fmt: skip
        return len(found)


def _as_json(request: Request) -> dict[str, Any]:
    """Return one request in the shape of docs/schemas/seal_requests.json."""
    shown = {name: getattr(request, name) for name in ("reference", "kind", "state", "identity", "scope")}
    return {**shown, "contradictions": contradictions.of(request.pk), "besides": contradictions.besides(request.pk)}
