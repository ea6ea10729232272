"""Being the application's database role in a test, with exactly what `grant_roles` gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from ilt_site.management.commands.grant_roles import grant


@contextmanager
def app_role(alias: str = "default") -> Iterator[None]:
    """Be the application role until the end of the block, in one transaction; no role is left behind."""
    role = f"ilt_tried_on_{alias}"
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        grant(alias, role)
        cursor.execute(f"SET LOCAL ROLE {role}")
        yield
        cursor.execute("RESET ROLE")
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


def run(*statements: str, alias: str = "default") -> list[int]:
    """Run statements as the application role; return how many rows each changed."""
    with app_role(alias), connections[alias].cursor() as cursor:
        changed = []
        for statement in statements:
            cursor.execute(statement)
            changed.append(cursor.rowcount)
    return changed
