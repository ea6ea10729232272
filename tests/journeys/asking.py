"""File and carry out requests as the privacy team does for people without a login."""

from __future__ import annotations

from datetime import UTC, datetime

from accounts.models import Customer
from privacy import gate
from privacy.gate.system import system
from privacy.requests import execute, second, services, sight, waits, writing
from privacy.requests.models import Request
from tests.asked import taken_in

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
PAT = gate.Actor(kind="staff", id="pat", subject=None, roles=frozenset({"privacy"}), purpose="admin")
OPERATOR = gate.Actor(
    kind="operator", id="request_file", subject=None, roles=frozenset({"system:erasure"}), purpose="erasure"
)
MONA = gate.Actor(kind="staff", id="mona", subject=None, roles=frozenset({gate.MANAGER}), purpose="admin")


def ask(customer: Customer, kind: str, now: datetime = NOW) -> Request:
    """File a request, identity shown in person, let mona agree as second person and the worker plan it."""
    with gate.acting(PAT):
        request = taken_in(kind, customer.subject_id, channel="in_person", identity="in_person", actor=PAT, now=now)
    if waits.is_undecided(request):
        second.decide(request, "go_on", actor=MONA, now=now)
    work(request, now)
    return request


def erase(customer: Customer, now: datetime = NOW) -> Request:
    """Ask for erasure, confirm the plan and carry it out to the end."""
    request = ask(customer, "erasure", now)
    with gate.acting(PAT):
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
    work(request, now)
    assert request.state == "closed", (request.state, request.step, request.last_error)
    return request


def work(request: Request, now: datetime = NOW) -> None:
    """Do what the workers do until nothing more is to be done now."""
    for _ in range(3):
        execute.run(request.pk, clock=lambda: now, pause=lambda: None)
        with system("letter"):
            writing.send_due(now=now)
    request.refresh_from_db()
