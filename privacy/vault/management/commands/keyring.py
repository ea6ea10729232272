"""Make, extend, look at and shorten the ring of key-encryption keys."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from privacy.files import owner
from privacy.vault import ring as rings
from privacy.vault.keystore import identity, rotate
from privacy.work import counted

BAD_DATA, USAGE, REFUSED = 1, 2, 3


class Command(BaseCommand):
    help = (
        "init: write a new ring to a file of mode 0600 (never overwrites). add: add a version, which new data keys "
        "use from then on (the file changes, no data). status: show versions and how many data keys hang on each "
        "(changes nothing). retire N: take version N out of the file for good, refused while a data key needs it; with --dry-run "
        "it only says whether it could. Exit codes: 0 done, 1 file or key store failed, 2 usage, 3 refused."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        actions = ["init", "add", "status", "retire"]
        parser.add_argument("action", choices=actions, help="what is done with the ring")
        parser.add_argument("version", nargs="?", type=int, help="the version to retire")
        parser.add_argument("--file", help="the ring's file; KEY_RING_FILE when left out")
        parser.add_argument("--dry-run", action="store_true", help="with retire: say what would go, change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"] or settings.KEY_RING_FILE
        if not name:
            raise CommandError("Name the ring's file with --file or KEY_RING_FILE.", returncode=USAGE)
        if (options["action"] == "retire") != (options["version"] is not None):
            raise CommandError("retire needs a version; the other actions take none.", returncode=USAGE)
        if options["dry_run"] and options["action"] != "retire":
            raise CommandError("--dry-run goes with retire only.", returncode=USAGE)
        self.is_dry_run = options["dry_run"]
        try:
            result = getattr(self, options["action"])(Path(name), options["version"])
        except rings.RingRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error.strerror}.", returncode=BAD_DATA) from None
        except DatabaseError:
            raise CommandError("The key store cannot be reached, or was not migrated.", returncode=BAD_DATA) from None
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write("\n".join(f"{key}: {_said(value)}" for key, value in result.items()))

    def init(self, path: Path, version: None) -> dict[str, Any]:
        ring = rings.new()
        rings.write(path, ring, new_file=True)
        owner.hand_over(path)
        return {"installation": str(ring.installation), "current": ring.current, "versions": list(ring.versions)}

    def add(self, path: Path, version: None) -> dict[str, Any]:
        ring = rings.read(path).added()
        rings.write(path, ring)
        return {"current": ring.current, "versions": list(ring.versions), "next": "rotate_keys, then keyring retire"}

    def status(self, path: Path, version: None) -> dict[str, Any]:
        ring = rings.read(path)
        keys = rotate.waiting()
        return {
            "installation": str(ring.installation),
            "current": ring.current,
            "versions": list(ring.versions),
            "keys": {str(kek): count for kek, count in keys.items()},
            "missing": sorted(set(keys) - set(ring.versions)),
            "problems": identity.verify(),
        }

    def retire(self, path: Path, version: int) -> dict[str, Any]:
        ring = rings.read(path)
        shorter = ring.without(version)
        left = rotate.waiting().get(version, 0)
        if not left and not self.is_dry_run and version == ring.versions[0]:
            left = rotate.close(shorter.versions[0])
        if left:
            keys = counted.of(left, "key")
            raise CommandError(f"Version {version} is needed by {keys}: run rotate_keys first.", returncode=REFUSED)
        if not self.is_dry_run:
            rings.write(path, shorter)
        done = "would_retire" if self.is_dry_run else "retired"
        return {"current": shorter.current, "versions": list(shorter.versions), done: version}


def _said(value: Any) -> str:
    """Return a result in words: "142 of version 1", "1, 2", "none"."""
    if isinstance(value, dict):
        return ", ".join(f"{count} of version {version}" for version, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
