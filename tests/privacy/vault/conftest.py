"""What the vault's tests need: their tables, an open or a shut guard, a unit of work, statements counted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from privacy.vault import unit
from tests.privacy.vault.models import TABLES, Person
from tests.privacy.vault.watching import Asked, Count


@pytest.fixture(scope="package", autouse=True)
def _tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the app and the tables of these tests, and take both away again for the tests of others."""
    config = AppConfig("tests.privacy.vault", sys.modules["tests.privacy.vault"])
    config.label, config.apps = "vault_tests", apps
    config.models = apps.all_models["vault_tests"]
    apps.app_configs["vault_tests"] = config
    apps.clear_cache()
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in TABLES:
            editor.create_model(model)
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in reversed(TABLES):
            editor.delete_model(model)
    del apps.app_configs["vault_tests"]
    apps.clear_cache()


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Let the guard open everything, and see what it was asked."""
    recorder = Asked()
    before = unit.set_guard(recorder)
    yield recorder
    unit.set_guard(before)


@pytest.fixture(autouse=True)
def _no_unit_leaks() -> Iterator[None]:
    """Fail a test that leaves a unit of work open: the next one would read what it should not."""
    yield
    assert unit.current() is None


@pytest.fixture
def work(asked: Asked) -> Iterator[unit.Unit]:
    """A unit of work in which everything may be opened."""
    opened = unit.begin()
    yield opened
    unit.end(opened)


@pytest.fixture
def key_queries() -> Count:
    """Capture the statements that reach the key store."""
    return lambda: CaptureQueriesContext(connections["keystore"])


@pytest.fixture
def alice(db: None) -> Person:
    """A stored customer, opened by nobody."""
    made = Person.objects.create(
        number="A-1", name="Alice Smith", email="alice@x.example", phone="+1 978 555 0100", note="calls on Mondays"
    )
    return Person.objects.get(pk=made.pk)


@pytest.fixture
def bob(db: None) -> Person:
    """The stranger."""
    made = Person.objects.create(number="B-1", name="Bob Stone", email="bob@x.example", note="fax only")
    return Person.objects.get(pk=made.pk)


@pytest.fixture
def subprocess_environment() -> dict[str, str]:
    """The environment of another process that works on the databases of this test run."""

    def url(alias: str) -> str:
        found = connections[alias].settings_dict
        return f"postgres://{found['USER']}:{found['PASSWORD']}@{found['HOST']}:{found['PORT']}/{found['NAME']}"

    return {
        **os.environ,
        "DATABASE_URL": url("default"),
        "KEYSTORE_DATABASE_URL": url("keystore"),
        "DJANGO_SETTINGS_MODULE": "ilt_site.settings",
        "PYTHONPATH": str(settings.BASE_DIR),
    }
