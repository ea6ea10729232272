"""Being the application's database role in a test, with exactly what `grant_roles` gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from ilt_site.management.commands.grant_roles import grant


def _name(alias: str) -> str:
    return f"ilt_tried_on_{alias}_{os.getpid()}"  # of this process, as its databases are: roles are the server's


def make(alias: str) -> None:
    """Make the role of one database and give it its rights, once and for all tests of this process: to do so writes to
    the row of every table in PostgreSQL's own catalogue, which its housekeeping writes to as well."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"CREATE ROLE {_name(alias)}")
    grant(alias, _name(alias))


@contextmanager
def app_role(alias: str = "default") -> Iterator[None]:
    """Be the application role until the end of the block, in one transaction."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {_name(alias)}")
        yield
        cursor.execute("RESET ROLE")


def run(*statements: str, alias: str = "default") -> list[int]:
    """Run statements as the application role; return how many rows each changed."""
    with app_role(alias), connections[alias].cursor() as cursor:
        changed = []
        for statement in statements:
            cursor.execute(statement)
            changed.append(cursor.rowcount)
    return changed
