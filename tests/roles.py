"""Being the application's database role in a test, with exactly what `grant_roles` gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction

from ilt_site.management.commands.grant_roles import grant


def _name(alias: str) -> str:
    return f"ilt_tried_on_{alias}_{os.getpid()}"  # of this process, as its databases are: roles are the server's


#: Who may do what with each table, sequence and column.
_RIGHTS = """
    SELECT md5(string_agg(c.oid || coalesce(c.relacl::text, ''), ' ' ORDER BY c.oid)),
        (SELECT md5(string_agg(a.attrelid || ' ' || a.attnum || a.attacl::text, ' ' ORDER BY a.attrelid, a.attnum))
         FROM pg_attribute a WHERE a.attacl IS NOT NULL)
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
"""
_given: dict[str, object] = {}  # by alias: the rights as they were when the role had just got its own


def make(alias: str) -> None:
    """Make the role of one database and give it its rights, once for all tests of this process: to do so writes to the
    row of every table in PostgreSQL's own catalogue, which takes long, and its housekeeping writes there as well."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"CREATE ROLE {_name(alias)}")
        grant(alias, _name(alias))
        _given[alias] = _rights(cursor)


def _rights(cursor: Any) -> object:
    cursor.execute(_RIGHTS)
    return cursor.fetchone()


@contextmanager
def app_role(alias: str = "default") -> Iterator[None]:
    """Be the application role until the end of the block, in one transaction."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        if _rights(cursor) != _given[alias]:  # a test went back to an old migration: what comes again has no rights
            grant(alias, _name(alias))
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


@contextmanager
def otherwise(table: str, column: str, number: object, to: str) -> Iterator[None]:
    """Let a column of a row say something else for a while, as the application role may write it."""
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT quote_nullable({column}::text) FROM {table} WHERE id = %s", [number])
        (before,) = cursor.fetchone()
    assert run(f"UPDATE {table} SET {column} = {to} WHERE id = '{number}'") == [1]
    yield
    assert run(f"UPDATE {table} SET {column} = {before} WHERE id = '{number}'") == [1]
