#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


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
        refuse_in_maintenance(sys.argv[1:])
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        sys.exit(f"{problem}")


if __name__ == "__main__":
    main()
