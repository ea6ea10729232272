"""Everybody at the doors of the product, made once for a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import override_settings

from ilt_site import health
from tests import factories
from tests.journeys import everybody
from tests.journeys.doors import House


@contextmanager
def at_home(django_db_blocker: Any, exports: Path) -> Iterator[House]:
    """Make everybody for as long as the block lasts, then undo them."""
    with django_db_blocker.unblock(), override_settings(EXPORT_DIR=str(exports)), everybody.undone():
        for connection in connections.all():  # a browser, or a busy machine, may leave the transaction idle for long
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = 0")
        with time_machine.travel(factories.NOW, tick=False):
            made = House(everybody.arrive())
        yield made


@pytest.fixture(scope="module")
def _house(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with at_home(django_db_blocker, tmp_path_factory.mktemp("exports")) as made:
        yield made


@pytest.fixture
def house(_house: House, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Everybody at a fixed clock: each test undoes what it did, the module's end undoes everybody."""
    monkeypatch.setattr(health, "KEEP_SECONDS", 3600.0)  # no worker answers here: wait for that once
    with time_machine.travel(factories.NOW, tick=False):
        yield _house
