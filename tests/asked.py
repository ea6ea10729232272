"""Requests in one line each, who works on them, and a clock that goes on: for the tests of what is asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import Customer
from privacy import datamap
from privacy.facts import Facts
from privacy.gate import Actor
from privacy.requests import erasure, excess, execute, filing, proof, services, writing
from privacy.requests.models import Request
from privacy.retention import rules
from privacy.retention.gather import with_flags
from privacy.retention.verdict import Verdict
from tests import factories
from tests.factories import an_order, as_customer

NOW, TODAY = factories.NOW, factories.TODAY
OPERATOR = Actor("operator", "erasure", None, frozenset({"system:erasure"}), "erasure")
PRIVACY = Actor("staff", "carol", None, frozenset({"privacy"}), "admin")
ANYBODY = Actor("anonymous", None, None, frozenset(), "web")


def called(customer: Customer, number: str = "978-555-0123") -> proof.Callback:
    """What a member of staff heard who called the person back: two facts of an order made for it."""
    order = an_order(customer)
    return proof.Callback(number, (("order_number", order.number), ("order_total", f"2026-11 {order.total:.2f}")))


def taken_in(kind: str, subject: UUID | None, *, actor: Actor, now: datetime = NOW, **data: Any) -> Request:
    """A request as this actor takes it in: by the portal and received on the day of `now`, unless said otherwise."""
    data = {"channel": "web", "received_on": timezone.localdate(now)} | data
    return filing.file(filing.Receipt(kind=kind, subject=subject, **data), actor=actor, now=now).request


def filed(customer: Customer, kind: str = "erasure", *, now: datetime = NOW, **data: Any) -> Request:
    """A request whose identity the portal proved."""
    data = {"received_on": TODAY, "identity": "login"} | data
    return taken_in(kind, customer.subject_id, actor=as_customer(customer), now=now, **data)


def confirmed(customer: Customer, kind: str = "erasure", *, now: datetime = NOW) -> Request:
    request = filed(customer, kind, now=now)
    actor = as_customer(customer)
    made = services.make_plan(request, actor=actor, now=now)
    services.confirm(request, made.hash, actor=actor, now=now)
    request.refresh_from_db()
    return request


def facts_of(rows: Iterable[Any]) -> list[Facts]:
    """Return what the rules may know of these rows of one kind."""
    found = [facts(row) for row in rows if (facts := datamap.for_model(type(row)).facts) is not None]
    return with_flags(found, rules.load())


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


def refused_by_two(request: Request, ground: str) -> None:
    """Refuse a request as excessive: carol proposes it, an operator agrees."""
    excess.propose(request, ground=ground, evidence="Nine letters in nine days.", actor=PRIVACY, now=NOW)
    excess.decide(request, "refuse", actor=OPERATOR, now=NOW)
    request.refresh_from_db()


def outlived(row: Any, envelope: str, now: datetime = NOW) -> None:
    """End one envelope of a record as the sweep does: without a request."""
    ends = Verdict(
        record_id=row.pk, label=datamap.for_model(type(row)).label, title="", envelope=envelope, data=(),
        action="erase", code="ERASE", ground="", authority="",
    )  # fmt: skip
    erasure.erase_records([ends], request=None, actor=OPERATOR, now=now)
