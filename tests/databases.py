"""A pair of databases for each test process, copied from the prepared ones, and put back after what a test has
committed; and what one test has committed kept for the next."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests import roles

#: Every table that has pages on the disk: one that was never written to, or truncated since, has none.
WRITTEN = """
    SELECT quote_ident(relname), pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0 ORDER BY 1
"""
#: The sequences of the columns of all other tables than those named.
SEQUENCES = """
    SELECT quote_ident(s.relname) FROM pg_class s
    JOIN pg_depend d ON d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S' AND quote_ident(t.relname) <> ALL (%s)
"""
LARGE = 1 << 20  # bytes from which a table is truncated: below that, to delete a few rows is ten times as fast

_prepared: dict[str, dict[str, str]] = {}


def copy() -> None:
    """Give this process a copy of each prepared database; it ends with the servers."""
    suffix = str(os.getpid())  # a second pytest on the same servers makes its own
    for connection in connections.all():
        connection.creation.clone_test_db(suffix, verbosity=0)
        name = connection.creation.get_test_db_clone_settings(suffix)["NAME"]
        settings.DATABASES[connection.alias]["NAME"] = connection.settings_dict["NAME"] = name
        _prepared[connection.alias] = _contents(connection)
        roles.make(connection.alias)


def put_back(alias: str, *, count_anew: bool = False) -> None:
    """Empty whatever was written since the database was copied; what was prepared must stand there unchanged.

    With `count_anew` rows get their numbers from the beginning again, for who compares two databases row by row.

    The test connection is a superuser's; in the `replica` role neither the append-only triggers nor foreign keys fire.
    They are in force during the tests themselves. Raises AssertionError when a test changed what was prepared.
    """
    connection = connections[alias]
    prepared = _prepared[alias]
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        written = [(table, size) for table, size in cursor.fetchall() if table not in prepared]
        if written:
            statements = [
                f"TRUNCATE {table} CASCADE" if size > LARGE else f"DELETE FROM {table}" for table, size in written
            ]
            cursor.execute(
                "; ".join(["SET session_replication_role = replica", *statements, "RESET session_replication_role"])
            )
        if count_anew:
            cursor.execute(SEQUENCES, [list(prepared)])
            for (sequence,) in cursor.fetchall():
                cursor.execute(f"ALTER SEQUENCE {sequence} RESTART")
    assert _contents(connection, list(prepared)) == prepared, "a test changed what the migrations had made"


@contextmanager
def unchecked(*tables: str, alias: str = "default") -> Iterator[None]:
    """Let these tables of a database take what no CHECK of theirs lets in: rows of before it, or the work of who
    owns the database. Afterwards they take none again."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'c' AND conrelid = ANY (%s::regclass[])",
            [list(tables)],
        )
        checks = cursor.fetchall()
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # a table of which a key is still to be looked at is not altered
        for table, name, _ in checks:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        try:
            yield
        finally:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table, name, told in checks:
                cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {told.removesuffix(' NOT VALID')} NOT VALID")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")


Kept = dict[str, dict[str, str]]  # by alias and table: its rows, as COPY writes them


def keep() -> Kept:
    """Return the rows that were committed since the databases were copied, to be brought back after a `put_back`.

    For what several tests begin with and takes long to make. Numbers are not kept: sequences go on counting.
    """
    return {connection.alias: _rows(connection) for connection in connections.all()}


def _rows(connection: BaseDatabaseWrapper) -> dict[str, str]:
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        for table in [table for table, _ in cursor.fetchall() if table not in _prepared[connection.alias]]:
            text = io.StringIO()
            cursor.copy_expert(f"COPY {table} TO STDOUT", text)
            if text.tell():
                found[table] = text.getvalue()
    return found


def bring_back(kept: Kept) -> None:
    """Write the kept rows into the databases, which must be as they were prepared; neither triggers nor foreign keys
    fire."""
    for alias, tables in kept.items():
        with connections[alias].cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            for table, text in tables.items():
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(text))
            cursor.execute("RESET session_replication_role")


def _contents(connection: BaseDatabaseWrapper, tables: list[str] | None = None) -> dict[str, str]:
    """Return a digest of the rows of each of the tables; without names of all that have any."""
    found = {}
    with connection.cursor() as cursor:
        if tables is None:
            cursor.execute(WRITTEN)
            tables = [table for table, _ in cursor.fetchall()]
        for table in tables:
            # A test that goes back to an old migration and forth again applies it at another time, under another
            # number.
            row = "one.app || one.name" if table == "django_migrations" else "one::text"
            cursor.execute(f"SELECT md5(string_agg({row}, ' ' ORDER BY {row})) FROM {table} one")
            found[table] = cursor.fetchone()[0]
    return found


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Hold a table of the key store as a migration does that changes it, longer than this process waits."""
    other = connections["keystore"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as holding, connections["keystore"].cursor() as cursor:
            holding.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            cursor.execute("SET lock_timeout = '20ms'")
            yield
            cursor.execute("RESET lock_timeout")
    finally:
        other.close()
