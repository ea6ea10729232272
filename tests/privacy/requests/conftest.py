"""alice asks, bob is the stranger whose records must not move, carol is staff."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from accounts.models import Customer
from orders.models import Order
from privacy.gate import Actor
from privacy.requests import excess, execute, proof, services, writing
from privacy.requests.models import Request
from tests import factories
from tests.orders.factories import an_order, as_customer

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
OPERATOR = Actor("operator", "erasure", None, frozenset({"system:erasure"}), "erasure")
PRIVACY = Actor("staff", "carol", None, frozenset({"privacy"}), "admin")
ANYBODY = Actor("anonymous", None, None, frozenset(), "web")


@pytest.fixture(autouse=True)
def _quiet(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies in a folder of the test; nobody listens at the broker: the tables are the truth."""
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def alice(db: None) -> Customer:
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
    """Outlived its period: invoiced in 2017."""
    return an_order(
        alice, date(2017, 5, 2), invoiced=date(2017, 5, 10), shipped=date(2017, 5, 10), paid=date(2017, 5, 10)
    )


@pytest.fixture
def kept_order(alice: Customer) -> Order:
    """Kept until the end of 2031: invoiced in 2024."""
    return an_order(
        alice, date(2024, 5, 2), invoiced=date(2024, 5, 10), shipped=date(2024, 5, 10), paid=date(2024, 5, 10)
    )


def called(customer: Customer, number: str = "978-555-0123") -> proof.Callback:
    """What a member of staff heard who called the person back: two facts of an order made for it."""
    order = an_order(customer)
    return proof.Callback(number, (("order_number", order.number), ("order_total", f"2026-11 {order.total:.2f}")))


def filed(customer: Customer, kind: str = "erasure", *, now: datetime = NOW, **data: Any) -> Request:
    """A request whose identity the portal proved."""
    data = {"channel": "web", "received_on": TODAY, "identity": "login"} | data
    return services.file(kind=kind, subject=customer.subject_id, actor=as_customer(customer), now=now, **data)


def confirmed(customer: Customer, kind: str = "erasure", *, now: datetime = NOW) -> Request:
    request = filed(customer, kind, now=now)
    actor = as_customer(customer)
    made = services.make_plan(request, actor=actor, now=now)
    services.confirm(request, made.hash, actor=actor, now=now)
    request.refresh_from_db()
    return request


class Clock:
    """A clock that goes on a second at each look."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def run(request: Request, clock: Clock | None = None) -> str:
    """Do what workers do until nothing is left to do now: steps, letters, steps."""
    clock = clock or Clock()
    word = ""
    for _ in range(5):
        # A connection that is just being closed may still hold the request.
        word = execute.run(request.pk, clock=clock, pause=lambda: time.sleep(0.02), rounds=500)
        with_letters(clock())
        clock.now += timedelta(seconds=20)
        request.refresh_from_db()
        if word == "idle" or request.step not in ("close",):
            break
    return word


def with_letters(now: datetime) -> int:
    from privacy.gate.system import system

    with system("letter"):
        return writing.send_due(now=now)


@pytest.fixture
def outbox() -> Iterator[list[Any]]:
    mail.outbox = []
    return mail.outbox


def refused_by_two(request: Request, ground: str) -> None:
    """Refuse a request as excessive: carol proposes it, an operator agrees."""
    excess.propose(request, ground=ground, evidence="Nine letters in nine days.", actor=PRIVACY, now=NOW)
    excess.decide(request, "refuse", actor=OPERATOR, now=NOW)
    request.refresh_from_db()
