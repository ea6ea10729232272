"""The main database takes nothing that the program could not read back: no column is without its CHECK."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

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
    with connection.cursor() as cursor:
        cursor.execute(bounds.CHECKS)
        checked = {
            (table, column)
            for table, name, columns in cursor.fetchall()
            if name.startswith(bounds.PREFIX) or name.endswith(bounds.OWN)
            for column in columns
        }
        cursor.execute(COLUMNS)
        columns = {(table, column) for table, column, _ in cursor.fetchall()}
    assert len(columns) > 100 and columns - checked == set()
    counted = {("privacy_request", "version"), ("privacy_request", "attempts"), ("privacy_letter", "attempts")}
    assert counted <= checked


def test_what_is_missing_is_made_what_nothing_asks_for_goes_and_the_rest_stays() -> None:
    assert bounds.settle() == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE privacy_hold RENAME CONSTRAINT readable_privacy_hold_placed_at TO readable_gone")
    assert bounds.settle() == ["readable_gone", "readable_privacy_hold_placed_at"]
    assert bounds.settle() == []


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
