"""What an operator types, taken as it is typed: no shortened option, and an option that does not exist is named
first."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management import BaseCommand, CommandParser


def parser_of(command: BaseCommand, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
    """Return the parser of a command: it takes no shortened option, and says in one sentence what was typed wrong.

    The usage, which argparse prints above that, is what --help is for.
    """
    parser = type(command).create_parser(command, prog_name, subcommand, allow_abbrev=False, **options)
    parser.print_usage = lambda file=None: None  # type: ignore[method-assign]
    return parser


def refuse_unknown(parser: ArgumentParser, words: Sequence[str]) -> None:
    """End with one sentence and code 2 at an option that the parser does not have, before it misses any other.

    Otherwise a mistyped option is told as a missing one, or its value as a wrong command.
    """
    known = parser._option_string_actions
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if word.startswith("--") and name not in known:
            parser.error(f"there is no option {name}")
