"""alice asks, bob is the stranger whose records must not move; what alice ordered, and what was mailed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from django.core import mail

from accounts.models import Customer
from orders.models import Order
from tests import factories
from tests.factories import an_order


@pytest.fixture
def at_now() -> Iterator[None]:
    """The clock stands at NOW."""
    with time_machine.travel(factories.NOW, tick=False):
        yield


@pytest.fixture
def quiet(settings: Any, tmp_path: Any) -> None:
    """Copies in a folder of the test; nobody listens at the broker: the tables are the truth."""
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def alice(db: None) -> Customer:
    return an_alice()


def an_alice() -> Customer:
    """The customer, with a login, an address, a freight account and a message."""
    user = factories.login("alice", "alice@example.com", subject=factories.subject())
    customer = factories.customer("Alice", "Archer", email="alice@example.com", user=user, country="DE")
    factories.address(customer, street="17 Quince Row", city="Gloucester")
    factories.freight_account(customer, number="FA-77-1234")
    factories.communication(customer, heading="About my sensor", body="Alice asks about a filter.")
    return customer


@pytest.fixture
def bob(db: None) -> Customer:
    customer = factories.customer("Bob", "Baker", email="bob@example.com")
    factories.address(customer, street="4 Stranger Street")
    return customer


@pytest.fixture
def old_order(alice: Customer) -> Order:
    return an_old_order(alice)


def an_old_order(customer: Customer) -> Order:
    """Outlived its period: invoiced in 2017."""
    return an_order(
        customer, date(2017, 5, 2), invoiced=date(2017, 5, 10), shipped=date(2017, 5, 10), paid=date(2017, 5, 10)
    )


@pytest.fixture
def kept_order(alice: Customer) -> Order:
    return a_kept_order(alice)


def a_kept_order(customer: Customer) -> Order:
    """Kept until the end of 2031: invoiced in 2024."""
    return an_order(
        customer, date(2024, 5, 2), invoiced=date(2024, 5, 10), shipped=date(2024, 5, 10), paid=date(2024, 5, 10)
    )


@pytest.fixture
def outbox() -> Iterator[list[Any]]:
    mail.outbox = []
    return mail.outbox
