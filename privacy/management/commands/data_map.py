"""Print the data map: what is held about people, why, where it came from, who gets it."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from privacy import datamap
from privacy.files import regular

DONE, BAD, USAGE = 0, 1, 2


class Command(BaseCommand):
    help = "Print the data map as JSON or as a page; writes nothing but --out FILE. Exit codes: 0 done, 1 the file cannot be written, 2 usage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--format", choices=("json", "md"), default="md", help="data for programs, or a page")
        which.add_argument(
            "--json", dest="format", action="store_const", const="json", help="the same as --format json"
        )
        parser.add_argument("--out", metavar="FILE", help="write to FILE instead of standard output")
        parser.add_argument(
            "--check", action="store_true", help="with --out: change nothing, exit 1 when FILE is not up to date"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"] and not options["out"]:
            self.stderr.write("--check needs --out FILE.")
            sys.exit(USAGE)
        if options["format"] == "json":
            text = json.dumps(datamap.as_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        else:
            text = datamap.as_markdown()
        if not options["out"]:
            self.stdout.write(text, ending="")
            return
        path = Path(options["out"])
        try:
            if options["check"]:
                if not path.exists() or regular.text(path) != text:
                    self.stderr.write("The file is not up to date: write it with `data_map --out`.")
                    sys.exit(BAD)
                return
            _replace(path, text)
        except OSError as error:
            self.stderr.write(f"The file cannot be read or written: {error.strerror}.")
            sys.exit(BAD)


def _replace(path: Path, text: str) -> None:
    """Write the whole file or leave the old one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
