"""`login_dispute`: what is objected to about changed login addresses, and an operator as the second person."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import giving_back, objections
from accounts.models import ContactPoint
from privacy import gate


class Command(BaseCommand):
    help = (
        "Lists the disputes about changed login addresses, the oldest first; with a customer number and --confirm it does, as the second "
        "person, what one of the privacy team has proposed within 7 days: the dispute ends, or the login is given back to the "
        "mailbox that objects. Where that one objected only after the address was changed once more, nobody else confirms it. Be sure first how we know it. An operator proposes nothing. --dry-run changes nothing. Exit codes: "
        "0 done, 1 no such dispute, 2 usage, 3 refused by rule."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="CUSTOMER", nargs="?", help="customer number")
        parser.add_argument(
            "--confirm", choices=["end", "give_back"], help="what was proposed, so that nothing else is done"
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print {disputes, confirmed, dry_run}")

    def handle(self, *args: Any, number: str | None, confirm: str | None, dry_run: bool, **options: Any) -> None:
        if bool(number) != bool(confirm) or (dry_run and not confirm):
            raise CommandError("A customer number and --confirm belong together, --dry-run to both.", returncode=2)
        if number and confirm:
            self._confirm(number, confirm, dry_run, as_json=options["json"])
            return
        now, found = timezone.now(), objections.disputed_logins()
        if options["json"]:
            disputes = [_as_json(one, now) for one in found]
            self.stdout.write(json.dumps({"disputes": disputes, "confirmed": "", "dry_run": False}))
            return
        for one in found:
            days = _days(one, now)
            also = ", to a mailbox of before an earlier change" if giving_back.needs_operator(one) else ""
            self.stdout.write(
                f"{one.customer.reference}: open for {days} day{'' if days == 1 else 's'}, {self._proposed(one)}{also}."
            )
            for line in self._known(one):
                self.stdout.write(f"  {line}")
        if not found:
            self.stdout.write("Nobody objects to a changed login address.")

    def _proposed(self, point: ContactPoint) -> str:
        proposal = _proposal(point)
        return f"proposed: {proposal}" if proposal else "nothing proposed"

    def _known(self, point: ContactPoint) -> list[str]:
        """Return what the page says as well: how the person was proved, and when the present address objected."""
        is_back = objections.is_end_proposed(point, now=timezone.now()) and point.gives_back
        how = (
            [f"The person was proved {giving_back.how_proved(point) or '(how is not written down)'}."]
            if is_back
            else []
        )
        at = [timezone.localtime(one.used_at) for one in objections.owner_objects(point) if one.used_at]
        return how + [
            f"On {day:%-d %B %Y, %H:%M %Z} it was the present address of the login that objected to giving it back."
            for day in at
        ]

    def _confirm(self, number: str, confirm: str, dry_run: bool, *, as_json: bool) -> None:
        point = objections.disputed_logins().filter(customer__reference=number).first()
        if point is None:
            raise CommandError("No login with this customer number is disputed.", returncode=1)
        if _proposal(point) != confirm:
            raise CommandError(f"That is not what waits here: {self._proposed(point)}.", returncode=3)
        actor, now = gate.Actor("operator", "login_dispute", None, frozenset(), "login"), timezone.now()
        gives_back = confirm == "give_back"
        try:
            if dry_run:
                if gives_back:
                    giving_back.check(point, now=now)
                said = "would be given back" if gives_back else "would stay as it is, and the dispute would end"
                text = f"The login {said}. Nothing was changed: this was a dry run."
            elif gives_back:
                giving_back.give_back(point, actor=actor, now=now)
                text = "The login is given back. A link to choose a new password goes to its earlier address."
            else:
                objections.settle(point, actor=actor, now=now)
                text = "The dispute is ended, and the mailbox that objected is told."
        except (giving_back.CannotGiveBack, objections.NotProposed) as error:
            raise CommandError(str(error), returncode=3) from None
        whole = {"disputes": [], "confirmed": "" if dry_run else confirm, "dry_run": dry_run}
        self.stdout.write(json.dumps(whole) if as_json else text)


def _proposal(point: ContactPoint) -> str:
    """Return what waits for the second person: end, give_back, or "" where nothing does."""
    if not objections.is_end_proposed(point, now=timezone.now()):
        return ""
    return "give_back" if point.gives_back else "end"


def _days(point: ContactPoint, now: datetime) -> int:
    return (timezone.localdate(now) - timezone.localdate(point.disputed_at)).days


def _as_json(point: ContactPoint, now: datetime) -> dict[str, Any]:
    """Return one dispute in the shape of docs/schemas/login_dispute.json."""
    proposal = _proposal(point)
    objected = [one.used_at.isoformat() for one in objections.owner_objects(point) if one.used_at]
    return {
        "customer": point.customer.reference,
        "since": point.disputed_at.isoformat(),
        "days": _days(point, now),
        "proposed": proposal,
        "needs_operator": giving_back.needs_operator(point),
        "proved": (giving_back.how_proved(point) or "") if proposal == "give_back" else "",
        "objected_at": objected,
    }
