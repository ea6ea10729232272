"""Everybody at the doors of the product, as in the journeys, once for this folder; and every form behind those
doors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from ilt_site import health
from tests import factories
from tests.bad_input import forms
from tests.journeys.doors import House
from tests.journeys.home import at_home


@pytest.fixture(scope="package")
def _house(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with at_home(django_db_blocker, tmp_path_factory.mktemp("exports")) as made:
        yield made


@pytest.fixture
def house(_house: House, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Everybody at a fixed clock: each test undoes what it did, the end of the folder undoes everybody."""
    monkeypatch.setattr(health, "KEEP_SECONDS", 3600.0)  # no worker answers here: wait for that once
    with time_machine.travel(factories.NOW, tick=False):
        yield _house


@pytest.fixture
def every_form(house: House) -> list[forms.Form]:
    """Every form of the portal and of the back office, found by walking the URLs once."""
    if not hasattr(house, "forms"):
        house.forms = forms.walk(house)  # type: ignore[attr-defined]
    return house.forms  # type: ignore[attr-defined,no-any-return]
