"""Wrap all data keys again under the ring's current version."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from privacy.vault import ring as rings
from privacy.vault.keystore import rotate
from privacy.vault.results import VaultError
from privacy.work import counted, progress

MOST = 1_000_000
BAD_DATA, USAGE, REFUSED = 1, 2, 3


class Command(BaseCommand):
    help = (
        "Wrap every data key of an older ring version again under the current one. Changes the key store only, no "
        "data; may be killed and started again. Afterwards `keyring retire N` takes the old version out of the ring. Exit codes: "
        "0 done, 1 the key store or a key failed, 2 usage, 3 the ring is refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--chunk", type=int, default=rotate.CHUNK, help="keys in one transaction")
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["chunk"] <= MOST:
            raise CommandError(f"--chunk is a number from 1 to {MOST:,}.", returncode=USAGE)
        wrapped = 0
        try:
            current = rings.current().current
            left = sum(count for kek, count in rotate.waiting().items() if kek != current)
            if not options["dry_run"]:
                with progress.shown(self.stderr, options["verbosity"]):
                    for chunk in rotate.rotate(chunk=options["chunk"]):
                        wrapped += chunk.wrapped
                        progress.tell("keys wrapped again", wrapped, left)
                left = sum(count for kek, count in rotate.waiting().items() if kek != current)
        except rings.RingRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        except VaultError as error:
            raise CommandError(f"{error} Wrapped before: {counted.of(wrapped, 'key')}.", returncode=BAD_DATA) from None
        except DatabaseError:
            text = f"The key store failed. Wrapped before: {counted.of(wrapped, 'key')}. Start again."
            raise CommandError(text, returncode=BAD_DATA) from None
        result = {"current": current, "wrapped": wrapped, "left": left, "dry_run": options["dry_run"]}
        text = f"version {current}: {wrapped} wrapped, {left} left"
        self.stdout.write(json.dumps(result) if options["json"] else text)
