"""`seal_requests`: name the requests whose row does not say what the site wrote, and seal one after looking."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from privacy import audit, gate
from privacy.requests import bound, decided, services
from privacy.requests.models import Request


class Command(BaseCommand):
    help = (
        "Names the privacy requests whose row does not say what the site wrote: nothing is done for them and no copy of theirs "
        "is given out. Look first who changed them (docs/runbook.md). --request seals one as it stands, with its copies; --all "
        "seals all: after a restore from a backup of an older version only. One that its own history or the key store contradicts "
        "is named with that and stays doubted: put its row right first. Exit codes: 0 nothing is doubted any more, 1 requests are doubted or there is no such request, "
        "2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--request", metavar="REFERENCE", help="seal this request")
        which.add_argument("--all", action="store_true", help="seal all as they stand")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(bound.doubted())
        if options["request"]:
            try:
                request = services.find(options["request"])
            except Request.DoesNotExist:
                raise CommandError("There is no request with this reference.", returncode=1) from None
            found = [one for one in found if one == request.pk]
            if not found:
                self.stdout.write("This request is in order. Nothing was changed.")
        if options["request"] or options["all"]:
            self._seal(found)
        left = list(bound.doubted())
        for one in Request.objects.filter(pk__in=left).order_by("reference"):
            self.stdout.write(f"{one.reference}: {one.kind}, {one.state}, identity: {one.identity}, scope: {one.scope}")
            for why in bound.contradictions(one.pk) or [
                "the row was changed past the program; its history fits it as it stands"
            ]:
                self.stdout.write(f"  {why}")
        self.stdout.write(f"Requests that are doubted: {len(left)}.")
        if left:
            raise CommandError("Look at them before you seal any.", returncode=1)

    def _seal(self, found: list[Any]) -> None:
        actor, now = gate.Actor("operator", "seal_requests", None, frozenset(), "erasure"), timezone.now()
        found = [one for one in found if not bound.contradictions(one)]
        with transaction.atomic():
            bound.seal(found)
            decided.seal(found)
            for one in Request.objects.filter(pk__in=found).order_by("reference"):
                audit.record(
                    "request.sealed", actor=actor, now=now, subject=one.subject_id, reference=one.reference,
                    record=(Request.vault_label, one.pk),
                )  # fmt: skip
        self.stdout.write(f"Sealed as they stand: {len(found)}.")
