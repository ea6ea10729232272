#!/usr/bin/env python
"""Django's command line for this project."""

import io
import os
import sys
from pathlib import Path
from typing import Any

# Of our own commands these need no key, or are how a right ring and databases get there.
WITHOUT_DATA = {"keyring", "prepare", "grant_roles", "retention_schedule", "data_map"}

# Of our own commands this one says what Django's of the same name says, and in colours.
COLOURED = {"migrate"}


def open_what_is_closed() -> None:
    """Give a command that was started with a closed standard input or output an empty one, and let it read nothing but
    text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  until the end
    if isinstance(sys.stdin, io.TextIOWrapper):  # some locales let pass what is no text
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")


def refuse_what_is_no_text(arguments: list[str]) -> None:
    """Stop (2, usage) where an argument is no text: no number, name or option of ours is written so."""
    if any("\udc80" <= letter <= "\udcff" for word in arguments for letter in word):
        print("An argument is not UTF-8.", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def reads_a_stream(error: UnicodeDecodeError) -> bool:
    """Say whether the error comes from reading: a person's file or typing, no fault of the program."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and "codecs" in place.tb_frame.f_code.co_filename


def command_line(argv: list[str]) -> None:
    """Run Django's command line: one sentence and 2 for whatever is typed wrong, the command's name too."""
    from django.core.management import BaseCommand, CommandParser, ManagementUtility

    from ilt_site import arguments, terminal

    class Utility(ManagementUtility):
        def fetch_command(self, subcommand: str) -> BaseCommand:
            try:
                command = super().fetch_command(subcommand)
            except SystemExit:  # it said that there is none
                sys.exit(2)

            def create_parser(prog_name: str, subcommand: str, **options: Any) -> CommandParser:
                parser = arguments.parser_of(command, prog_name, subcommand, **options)
                if subcommand == argv[1]:
                    arguments.refuse_unknown(parser, argv[2:])
                return parser

            command.create_parser = create_parser  # type: ignore[method-assign]
            if subcommand in commands_of_ours() - COLOURED:
                command.stdout, command.stderr = terminal.Safe(sys.stdout), terminal.Safe(sys.stderr)
                command.stderr.style_func = command.style.ERROR
            return command

    Utility(argv).execute()


def refuse_as_root(arguments: list[str]) -> None:
    """Stop (3, refused by rule) a command whose files the services could not write: root's, where STATE_DIR is
    another's."""
    if os.geteuid() != 0 or not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return
    from privacy.files import owner

    if reason := owner.refusal(arguments[0]):
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(3)


def refuse_in_maintenance(arguments: list[str]) -> None:
    """Stop (3, refused by rule) a command that must wait until a restored database has caught up with the ledger."""
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return
    import django

    django.setup()
    from ilt_site import maintenance

    if reason := maintenance.refusal(arguments[0]):
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(3)


def let_go_of_closed_pipes() -> None:
    """Throw away what the command has still to say where its reader has gone (`| head -1`): Python would complain at
    its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import InterfaceError, OperationalError

    open_what_is_closed()
    try:
        refuse_what_is_no_text(sys.argv[1:])
        refuse_as_root(sys.argv[1:])
        refuse_foreign_parts(sys.argv[1:])
        refuse_in_maintenance(sys.argv[1:])
        command_line(sys.argv)
        sys.stdout.flush()
    except ImproperlyConfigured as problem:
        sys.exit(f"{problem}")
    except (OperationalError, InterfaceError):  # its text names the server
        sys.exit("A database does not answer, or ended the work: run the command again when it is back.")
    except UnicodeDecodeError as error:
        if not reads_a_stream(error):
            raise
        sys.exit("What was read from standard input, or from a file that was named, is not UTF-8.")
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:  # the reader has read enough
        sys.exit(1)
    finally:
        let_go_of_closed_pipes()


def commands_of_ours() -> set[str]:
    """Return the names of the commands of this product's apps."""
    here = Path(__file__).parent
    folders = [*here.glob("*/management/commands"), *here.glob("*/*/management/commands")]
    return {path.stem for folder in folders for path in folder.glob("*.py")}


def refuse_foreign_parts(arguments: list[str]) -> None:
    """Let no command of ours read or seal with a key ring that is not that of the databases.
    Raises ImproperlyConfigured."""
    ours = commands_of_ours() - WITHOUT_DATA
    if ours.intersection(arguments[:1]) and not {"-h", "--help"} & set(arguments):
        import django

        django.setup()
        from ilt_site import startup

        startup.refuse_foreign_parts()


if __name__ == "__main__":
    main()
