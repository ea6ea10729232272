"""The databases take nothing that the program could not read back: no column is without its CHECK."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connections, transaction

from ilt_site import bounds
from privacy.sweep.models import SweepState
from tests import factories, roles
from tests.asked import filed

pytestmark = pytest.mark.django_db
OURS = ("accounts_", "orders_", "privacy_", "rma_")
COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('date', 'timestamp with time zone', 'timestamp without time zone', 'jsonb')
    AND table_name <> 'django_migrations'
"""
NESTED = f"{'[' * 200}{']' * 200}"


def test_no_column_of_days_or_of_json_is_without_its_check() -> None:
    """Of whatever table: one that comes later, and one that Django knows nothing of."""
    checked, columns = _checked("keystore")
    assert len(columns) > 10 and columns - checked == set()
    checked, columns = _checked("default")
    assert len(columns) > 100 and columns - checked == set()
    counted = {("privacy_request", "version"), ("privacy_request", "attempts"), ("privacy_letter", "attempts")}
    assert counted <= checked


def _checked(alias: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the columns of a database that have a CHECK of ours, and those of days or JSON."""
    with connections[alias].cursor() as cursor:
        cursor.execute(bounds.CHECKS)
        checked = {
            (table, column)
            for table, name, columns in cursor.fetchall()
            if name.startswith(bounds.PREFIX) or name.endswith(bounds.OWN)
            for column in columns
        }
        cursor.execute(COLUMNS)
        return checked, {(table, column) for table, column, _ in cursor.fetchall()}


def test_what_is_missing_is_made_what_nothing_asks_for_goes_and_the_rest_stays() -> None:
    for alias, table, name in (
        ("default", "privacy_hold", "readable_privacy_hold_placed_at"),
        ("keystore", "vault_tombstone", "readable_vault_tombstone_at"),
    ):
        assert bounds.settle(alias) == []
        with connections[alias].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO readable_gone")
        assert bounds.settle(alias) == ["readable_gone", name]
        assert bounds.settle(alias) == []


WRONG = (
    ("privacy_request", "next_action_at", "'2026-11-20'", ("'0044-03-15 BC'", "'infinity'", "'20000-01-01'")),
    ("privacy_request", "due_on", "'9999-12-31'", ("'0044-03-15 BC'", "'-infinity'", "'20000-01-01'")),
    ("privacy_request", "version", "1000000000", ("2147483647",)),
    ("privacy_letter", "attempts", "20", ("2147483647", "-1")),
    ("privacy_request", "tries", "'{\"day\": [1]}'", ("'5'", "'[]'", "'{\"a\": 1e5000}'", f"'{{\"a\": {NESTED}}}'")),
    ("privacy_sweep_state", "last_report", "'{}'", ("'[]'", "'{\"a\": [-1e400]}'")),
)


def test_a_row_that_could_not_be_read_is_refused() -> None:
    filed(factories.customer(), "access")
    SweepState.objects.create()
    for table, column, right, wrong in WRONG:
        for value in wrong:
            with pytest.raises(IntegrityError, match=f"{table}_{column}"), transaction.atomic():
                roles.run(f"UPDATE {table} SET {column} = {value}")
        assert roles.run(f"UPDATE {table} SET {column} = {right}") == [1], column


LINE = "INSERT INTO vault_tombstone (kind, at, counts, content) VALUES ('keys', {at}, '{counts}', '{content}')"
RIGHT_LINE = {"at": "now()", "counts": "{}", "content": "{}"}


def test_the_key_store_refuses_what_could_not_be_read_from_its_own_role() -> None:
    """A line of the ledger could be taken away by nobody afterwards."""
    factories.customer()
    for column, wrong in (
        ("at", ("'20000-01-01'", "'0044-03-15 BC'", "'infinity'")),
        ("counts", ("[5]", "7", '{"keys": 1e5000}')),
        ("content", ("[1]", f'{{"a": {NESTED}}}')),
    ):
        for value in wrong:
            with pytest.raises(IntegrityError, match=f"readable_vault_tombstone_{column}"):
                roles.run(LINE.format(**RIGHT_LINE | {column: value}), alias="keystore")
    for column in ("doubted_at", "created_at"):
        with pytest.raises(IntegrityError, match=f"readable_vault_datakey_{column}"):
            roles.run(f"UPDATE vault_datakey SET {column} = '20000-01-01'", alias="keystore")
    with pytest.raises(IntegrityError, match="readable_vault_datakey_destroyed_at"):
        roles.run("UPDATE vault_datakey SET wrapped = NULL, destroyed_at = 'infinity'", alias="keystore")
    assert roles.run(LINE.format(**RIGHT_LINE), alias="keystore") == [1]
