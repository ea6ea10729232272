"""Renew the key ring, so that what was erased opens nowhere any more, not even from the servers' own files."""

from __future__ import annotations

import json
import shlex
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from privacy import audit
from privacy.gate.system import system_actor
from privacy.vault import renewal
from privacy.vault.results import VaultError
from privacy.work import counted

BAD_DATA, USAGE, REFUSED = 1, 2, 3


class Command(BaseCommand):
    help = (
        "Write a new version of the key ring to KEY_RING_FILE and KEY_RING_COPY, wrap every data key again, take a backup of\n"
        "the key store with KEYSTORE_BACKUP, open it with the new ring, and take the old version away. Backups of the key\n"
        "store made before cannot be opened afterwards. May be killed and started again. A timer runs it each night with\n"
        "--if-due: it then does something once a week, and only after a destruction of keys.\n"
        "Exit codes: 0 done or not due, 1 a file, the backup or the key store failed, 2 usage, 3 refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument(
            "--if-due", action="store_true", help="do nothing unless a week has passed since it is needed"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say whether it is due, and since when")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.KEY_RING_FILE or not settings.KEY_RING_COPY:
            if options["if_due"]:
                if options["json"]:
                    self._say(options, {"due": False, "waiting_since": None, "renewed_at": None, "by_hand": True})
                    return
                self.stdout.write("KEY_RING_COPY is not set: the ring is rotated by hand (docs/runbook.md).")
                return
            raise CommandError("Set KEY_RING_FILE and KEY_RING_COPY first (docs/keys.md).", returncode=USAGE)
        now = timezone.now()
        try:
            need = renewal.need()
            due = need.is_due(now)
            if options["dry_run"] or (options["if_due"] and not due):
                self._say(options, {"due": due, "waiting_since": need.oldest, "renewed_at": need.renewed_at})
                return
            done = renewal.renew(
                file=Path(settings.KEY_RING_FILE),
                copy=Path(settings.KEY_RING_COPY),
                backup=shlex.split(settings.KEYSTORE_BACKUP),
                now=now,
                told=lambda text: self.stderr.write(text) if options["verbosity"] > 1 else None,
            )
        except renewal.RenewalRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        except VaultError as error:
            raise CommandError(str(error), returncode=BAD_DATA) from None
        except DatabaseError:
            raise CommandError(
                "The key store failed. Start again: it goes on where it stopped.", returncode=BAD_DATA
            ) from None
        audit.record(
            "ring.renewed",
            actor=system_actor("sweep", kind="operator"),
            now=now,
            reason=f"version {done.version}, {counted.of(done.wrapped, 'key')}, {done.opened} opened",
        )
        self._say(options, done.as_dict())

    def _say(self, options: dict[str, Any], result: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result, default=str))
        else:
            self.stdout.write("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in result.items()))
