"""Each database gets its own tables, and the key store walks through no other app's migrations."""

import pytest
from django.apps import apps
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from ilt_site.routers import KEYSTORE_APP

pytestmark = pytest.mark.django_db


def applied(alias: str) -> set[str]:
    return {app for app, _ in MigrationRecorder(connections[alias]).applied_migrations()}


def test_the_key_store_applies_the_vaults_migrations_only() -> None:
    assert applied("keystore") == {KEYSTORE_APP}
    assert {"privacy", "accounts", "orders", "rma"} <= applied("default")


def test_the_key_store_has_the_vaults_tables_and_no_other() -> None:
    vault = {model._meta.db_table for model in apps.get_app_config(KEYSTORE_APP).get_models()}
    with connections["keystore"].cursor() as cursor:
        assert set(connections["keystore"].introspection.table_names(cursor)) == vault | {"django_migrations"}
    with connections["default"].cursor() as cursor:
        assert not vault & set(connections["default"].introspection.table_names(cursor))
