#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys
from pathlib import Path

# Of our own commands these need no key, or are how a right ring and databases get there.
WITHOUT_DATA = {"keyring", "prepare", "grant_roles", "retention_schedule", "data_map"}


def refuse_as_root(arguments: list[str]) -> None:
    """Stop (3, refused by rule) a command whose files the services could not write: root's, where STATE_DIR is another's."""
    if os.geteuid() != 0 or not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return
    from privacy import owner

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


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        refuse_as_root(sys.argv[1:])
        refuse_foreign_parts(sys.argv[1:])
        refuse_in_maintenance(sys.argv[1:])
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except ImproperlyConfigured as problem:
        sys.exit(f"{problem}")
    except BrokenPipeError:  # the reader has read enough (`| head`); what Python still holds goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def refuse_foreign_parts(arguments: list[str]) -> None:
    """Let no command of ours read or seal with a key ring that is not that of the databases. Raises ImproperlyConfigured."""
    here = Path(__file__).parent
    folders = [*here.glob("*/management/commands"), *here.glob("*/*/management/commands")]
    ours = {path.stem for folder in folders for path in folder.glob("*.py")} - WITHOUT_DATA
    if ours.intersection(arguments[:1]) and not {"-h", "--help"} & set(arguments):
        import django

        django.setup()
        from ilt_site import startup

        startup.refuse_foreign_parts()


if __name__ == "__main__":
    main()
