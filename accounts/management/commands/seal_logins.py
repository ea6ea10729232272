"""`seal_logins`: name the logins whose row does not say what the site wrote, and vouch for one after looking."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import confirmed, vouching
from accounts.models import User
from privacy import gate
from privacy.calendar import undated


class Command(BaseCommand):
    help = (
        "Names the logins whose row does not say what the site wrote, by number, with their roles: they cannot sign in; "
        "and those whose address the table says is confirmed, and the site did not see it: it counts for nothing. Look "
        "first who changed them (docs/runbook.md). --login vouches for one as it stands: its sessions end and its password "
        "goes, unless --keep-password says that nobody touched it. --all vouches for all as they stand, passwords included: "
        "after a restore from a backup of an older version only. --dry-run says what would be done and changes nothing. Exit codes: 0 nothing is doubted any more, 1 logins are "
        "doubted or there is no such login, 2 usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--login", type=UUID, metavar="NUMBER", help="vouch for this login")
        which.add_argument("--all", action="store_true", help="vouch for all as they stand")
        parser.add_argument("--dry-run", action="store_true", help="with --login or --all: change nothing")
        parser.add_argument("--json", action="store_true", help="print {vouched, doubted, unseen_addresses, dry_run}")
        parser.add_argument("--keep-password", action="store_true", help="with --login: the password stays")

    def handle(self, *args: Any, **options: Any) -> None:
        actor, now = gate.Actor("operator", "seal_logins", None, frozenset(), "login"), timezone.now()
        if options["keep_password"] and options["login"] is None:
            raise CommandError("--keep-password belongs to --login.", returncode=2)
        is_dry = options["dry_run"]
        if is_dry and not options["all"] and options["login"] is None:
            raise CommandError("--dry-run belongs to --login or --all.", returncode=2)
        vouched = 0
        if options["all"]:
            vouched = len(list(vouching.doubted())) if is_dry else vouching.vouch_for_all(actor=actor, now=now)
            text = f"Logins that would be vouched for: {vouched}." if is_dry else f"Logins vouched for: {vouched}."
            if not options["json"]:
                self.stdout.write(text)
            if not is_dry:
                self._end(vouched, [], [], options)
                return
        if options["login"] is not None:
            user = next(undated.each(User.objects.with_roles().filter(pk=options["login"])), None)
            if user is None:
                raise CommandError("There is no login with this number.", returncode=1)
            if user.is_vouched and vouching.vouch_for_address(user, actor=actor, now=now, is_dry=is_dry):
                vouched, text = 1, f"The address of this login {'would count' if is_dry else 'counts'} as it stands."
            elif user.is_vouched:
                text = "This login is in order. Nothing was changed."
            elif is_dry:
                password = "stay" if options["keep_password"] else "go"
                vouched, text = 1, f"Would be vouched for as it stands: {_told(user)}; its password would {password}."
            else:
                vouching.vouch_again(user, keep_password=options["keep_password"], actor=actor, now=now)
                vouched, text = 1, f"Vouched for as it stands: {_told(user)}."
            if not options["json"]:
                self.stdout.write(text)
        self._end(vouched, list(vouching.doubted()), list(confirmed.doubted()), options)

    def _end(self, vouched: int, left: list[User], unseen: list[Any], options: dict[str, Any]) -> None:
        if options["json"]:
            doubted, is_dry = [_as_json(one) for one in left], options["dry_run"]
            whole = {"vouched": vouched, "doubted": doubted, "unseen_addresses": unseen, "dry_run": is_dry}
            self.stdout.write(json.dumps(whole, default=str))
        elif not options["all"] or left or unseen:
            self._tell(left, unseen)
        if options["dry_run"] and not options["json"]:
            self.stdout.write("Nothing was changed: this was a dry run.")
        if left or unseen:
            raise CommandError("Look at them before you vouch for any.", returncode=1)

    def _tell(self, left: list[User], unseen: list[Any]) -> None:
        for user in left:
            self.stdout.write(f"{user.pk}: {_told(user)}")
        self.stdout.write(f"Logins that are doubted: {len(left)}.")
        for one in unseen:
            self.stdout.write(f"{one}: the table says that its address is confirmed, and the site did not see it")


def _as_json(user: User) -> dict[str, Any]:
    """Return one login in the shape of docs/schemas/seal_logins.json."""
    return {
        "login": str(user.pk),
        "kind": "staff" if user.is_staff else "customer",
        "roles": _roles(user),
        "open": user.is_active,
        "since": f"{user.created_at:%Y-%m-%d}",
    }


def _roles(user: User) -> list[str]:
    return [*user.role_names, *(["manager"] if user.is_superuser else [])]


def _told(user: User) -> str:
    """Say what a login may do, without naming anybody."""
    kind = "staff" if user.is_staff else "customer"
    roles = ", ".join(_roles(user)) or "none"
    return f"{kind}, roles: {roles}, {'open' if user.is_active else 'closed'}, since {undated.said(user.created_at, '%-d %B %Y')}"
