"""`login_dispute`: what is objected to about changed login addresses, and an operator as the second person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import giving_back, notices
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
        parser.add_argument("number", metavar="CUSTOMER", nargs="?")
        parser.add_argument(
            "--confirm", choices=["end", "give_back"], help="what was proposed, so that nothing else is done"
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *args: Any, number: str | None, confirm: str | None, dry_run: bool, **options: Any) -> None:
        if bool(number) != bool(confirm) or (dry_run and not confirm):
            raise CommandError("A customer number and --confirm belong together, --dry-run to both.", returncode=2)
        if number and confirm:
            self._confirm(number, confirm, dry_run)
            return
        now, found = timezone.now(), notices.disputed_logins()
        for one in found:
            days = (timezone.localdate(now) - timezone.localdate(one.disputed_at)).days
            also = ", to a mailbox of before an earlier change" if giving_back.needs_operator(one) else ""
            self.stdout.write(f"{one.customer.reference}: open for {days} day(s), {self._proposed(one)}{also}.")
            for line in self._known(one):
                self.stdout.write(f"  {line}")
        if not found:
            self.stdout.write("Nobody objects to a changed login address.")

    def _proposed(self, point: ContactPoint) -> str:
        if not notices.is_end_proposed(point, now=timezone.now()):
            return "nothing proposed"
        return "proposed: give_back" if point.gives_back else "proposed: end"

    def _known(self, point: ContactPoint) -> list[str]:
        """Return what the page says as well: how the person was proved, and when the present address objected."""
        is_back = notices.is_end_proposed(point, now=timezone.now()) and point.gives_back
        how = (
            [f"The person was proved {giving_back.how_proved(point) or '(how is not written down)'}."]
            if is_back
            else []
        )
        at = [timezone.localtime(one.used_at) for one in notices.owner_objects(point) if one.used_at]
        return how + [
            f"On {day:%-d %B %Y, %H:%M} it was the present address of the login that objected to giving it back."
            for day in at
        ]

    def _confirm(self, number: str, confirm: str, dry_run: bool) -> None:
        point = notices.disputed_logins().filter(customer__reference=number).first()
        if point is None:
            raise CommandError("No login with this customer number is disputed.", returncode=1)
        if self._proposed(point) != f"proposed: {confirm}":
            raise CommandError(f"That is not what waits here: {self._proposed(point)}.", returncode=3)
        actor, now = gate.Actor("operator", "login_dispute", None, frozenset(), "login"), timezone.now()
        gives_back = confirm == "give_back"
        try:
            if dry_run:
                if gives_back:
                    giving_back.check(point, now=now)
                said = "would be given back" if gives_back else "would stay as it is, and the dispute would end"
                self.stdout.write(f"The login {said}. Nothing was changed: this was a dry run.")
            elif gives_back:
                giving_back.give_back(point, actor=actor, now=now)
                self.stdout.write(
                    "The login is given back. A link to choose a new password goes to its earlier address."
                )
            else:
                notices.settle(point, actor=actor, now=now)
                self.stdout.write("The dispute is ended, and the mailbox that objected is told.")
        except (giving_back.CannotGiveBack, notices.NotProposed) as error:
            raise CommandError(str(error), returncode=3) from None
