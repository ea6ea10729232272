"""What a transactional test has committed is gone before the next one, append-only or not, and comes back where it was
kept; what was prepared stays."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from accounts.models import Customer
from privacy import vault
from privacy.audit.models import AuditEvent
from privacy.vault.models import DataKey
from tests import databases, factories

pytestmark = pytest.mark.django_db(transaction=True)


def rows(alias: str) -> dict[str, int]:
    """Return how many rows stand in each table that has any."""
    found = {}
    with connections[alias].cursor() as cursor:
        for table in connections[alias].introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            if count := cursor.fetchone()[0]:
                found[table] = count
    return found


def test_what_was_committed_is_gone_and_the_rest_stands() -> None:
    before = {alias: rows(alias) for alias in connections}
    assert sorted(before["default"]) == ["auth_permission", "django_content_type", "django_migrations"]
    assert sorted(before["keystore"]) == ["django_migrations"]
    factories.customer(user=factories.login(verified=False))
    assert AuditEvent.objects.exists() and DataKey.objects.exists()
    assert {alias: rows(alias) for alias in connections} != before
    for alias in connections:
        databases.put_back(alias)
    assert {alias: rows(alias) for alias in connections} == before


def test_a_large_table_is_emptied_with_what_refers_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {alias: rows(alias) for alias in connections}
    factories.customer(user=factories.login())
    monkeypatch.setattr(databases, "LARGE", 0)
    for alias in connections:
        databases.put_back(alias)
    assert {alias: rows(alias) for alias in connections} == before


def test_what_was_kept_comes_back_row_by_row_and_opens_again() -> None:
    alice = factories.customer("Alice", "Archer", user=factories.login())
    kept = databases.keep()
    before = {alias: rows(alias) for alias in connections}
    factories.customer("Bob", "Baker")
    for alias in connections:
        databases.put_back(alias)
    assert not Customer.objects.exists()
    databases.bring_back(kept)
    assert {alias: rows(alias) for alias in connections} == before
    assert databases.keep() == kept
    with vault.internal():
        assert Customer.objects.get(pk=alice.pk).last_name == "Archer"
    factories.customer("Carl", "Carter")  # numbers go on where they were
    with connections["default"].cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)


def test_triggers_hold_again_afterwards() -> None:
    factories.customer()
    databases.put_back("default")
    with connections["default"].cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)


def test_a_test_that_changes_what_the_migrations_made_is_named() -> None:
    added = ContentType.objects.create(app_label="privacy", model="none of ours")
    with pytest.raises(AssertionError, match="a test changed what the migrations had made"):
        databases.put_back("default")
    added.delete()
    databases.put_back("default")
