"""Run the two import commands as an operator does, and take a fingerprint of both databases."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from tests import files

SCHEMAS = Path(settings.BASE_DIR) / "docs" / "schemas"
# What a run without any effect on people's records may still write: who opened what (to compare),
# and the session of nobody.
LOGS = {"privacy_access_entry"}


def customers(path: Path = files.CUSTOMERS, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `import_customers`; return the exit code and the report."""
    return command("import_customers", str(path), *options)


def orders(path: Path = files.ORDERS, lines: Path = files.LINES, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `import_orders`; return the exit code and the report."""
    done = command("import_orders", str(path), "--lines", str(lines), *options)
    counted()
    return done


def counted() -> None:
    """Count our tables, as autovacuum does within a minute of a commit, which a test does not make."""
    for connection in connections.all():
        with connection.cursor() as cursor:
            cursor.execute("SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'")
            cursor.execute(f"ANALYZE {cursor.fetchone()[0]}")


def command(name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with `--json`; return its exit code and what it printed."""
    out = io.StringIO()
    code = 0
    try:
        call_command(name, *arguments, "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as stop:
        code = int(stop.code or 0)
    report = json.loads(out.getvalue())
    jsonschema.validate(report, json.loads((SCHEMAS / f"{name}.json").read_text()))
    return code, report


def fingerprint(without: set[str] = LOGS) -> dict[str, str]:
    """Return one hash per table of both databases: every byte of every row."""
    found: dict[str, str] = {}
    for alias in ("default", "keystore"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            rows: dict[str, list[str]] = {table: [] for (table,) in cursor.fetchall() if table not in without}
            # One statement for all tables takes half the time of one each, and a walk asks hundreds of times.
            cursor.execute(" UNION ALL ".join(f"SELECT '{table}', t::text FROM \"{table}\" t" for table in rows))
            for table, row in cursor:
                rows[table].append(row)
        for table, texts in rows.items():
            found[f"{alias}.{table}"] = hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()
    return found
