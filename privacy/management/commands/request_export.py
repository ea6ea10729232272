"""Write the finished copy of a request to a file, for somebody who cannot fetch it in the portal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from privacy.gate.system import system, system_actor
from privacy.management.one_request import RequestCommand, named
from privacy.requests import export
from privacy.vault import stream
from privacy.work import progress


class Command(RequestCommand):
    help = (
        "Writes the finished copy to a new file that only you can read; never overwrites. Counts as fetched: audited, in the "
        "person's access log, and a request that waits for nothing else is closed. Exit codes: 0 done, 1 bad data, 2 usage, 3 refused by rule "
        "(no copy yet, expired, file exists)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--out", metavar="FILE", type=Path, required=True, help="the new file, which must not be there yet"
        )

    def handle(self, *args: Any, reference: str, out: Path, **options: Any) -> None:
        request = named(reference)
        try:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise CommandError("The file exists; it is not overwritten.", returncode=3) from None
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error.strerror}.", returncode=1) from None
        size, is_whole = 0, False
        try:
            with os.fdopen(descriptor, "wb") as file:
                purpose = request.procedure.purpose
                actor = system_actor(purpose, subject=request.owner_id, kind="operator")
                with system(purpose, subject=request.owner_id, kind="operator"):
                    _, chunks = export.fetch(request, actor=actor, now=timezone.now(), via="command")
                with progress.shown(self.stderr, options["verbosity"]):
                    for chunk in chunks:
                        size += file.write(chunk)
                        file.flush()  # asked for more, the copy counts as fetched after its last piece
                        progress.tell("bytes written", size)
            is_whole = True
        except (export.CopyDamaged, stream.StreamDamaged):
            raise CommandError(
                "The copy cannot be written: its file is damaged, or is there no more. Where its request waits for it a "
                "new one is made: type this again in some minutes.",
                returncode=1,
            ) from None
        except export.NoCopy:
            raise CommandError(
                "There is no copy to write: not made yet, expired, or destroyed.", returncode=3
            ) from None
        except OSError as error:  # a full disk
            raise CommandError(
                f"The copy cannot be read, or the file not be written, to its end: {error.strerror}. Nothing of it was left.",
                returncode=1,
            ) from None
        finally:
            if not is_whole:
                out.unlink(missing_ok=True)
        if options["json"]:
            self.stdout.write(json.dumps({"reference": request.reference, "bytes": size}))
        else:
            self.stdout.write(f"{request.reference}: {size} bytes written.")
