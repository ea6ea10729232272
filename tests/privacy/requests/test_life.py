"""The life of requests in any order: a state machine against a model that knows the law and not the product (R1–R4).

Hypothesis files, proves, plans, confirms, withdraws, refuses, holds, buys, pays, delivers messages (twice, late, of
finished requests), kills workers, polls, sweeps and turns the clock forward and back, on a real PostgreSQL. After each
act: nothing lost, only the arrows of the design, nothing under duty or hold erased, each effect once, each due date as
the calendar says. At the end of each life everything that was confirmed is finished.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from accounts.models import Customer
from orders import services as orders
from orders.models import Order
from privacy import gate, vault
from privacy.gate.system import system
from privacy.models import Request
from privacy.requests import execute, outcome, sight
from privacy.sweep import arming, nightly
from privacy.vault.models import DataKey
from tests.asked import NOW, Clock, confirmed, run
from tests.factories import TASK, an_order
from tests.figures import report, tries
from tests.privacy.requests.life import Life, World
from tests.privacy.requests.life_model import Sold


@pytest.fixture
def world(alice: Customer, bob: Customer, old_order: Order, kept_order: Order, settings: Any) -> World:
    settings.DEMO = True  # the sweep goes to the day of the machine's clock; the guards go by the database's
    arming.arm(actor=TASK)
    paid = date(2024, 5, 10)
    bobs_order = an_order(bob, date(2024, 5, 2), invoiced=paid, shipped=paid, paid=paid)
    Customer.objects.filter(pk__in=[alice.pk, bob.pk]).update(last_active_on=NOW.date())
    old = date(2017, 5, 10)
    return World(
        alice,
        bob,
        {
            old_order.pk: Sold("alice", date(2017, 5, 2), old, old, old),
            kept_order.pk: Sold("alice", date(2024, 5, 2), paid, paid, paid),
            bobs_order.pk: Sold("bob", date(2024, 5, 2), paid, paid, paid),
        },
        bobs=set(DataKey.objects.filter(owner_id=bob.subject_id).values_list("record", flat=True)),
    )


def test_an_order_that_comes_while_the_erasure_runs_keeps_what_it_needs(world: World) -> None:
    """The plan was made, checked once more and begun; then somebody ordered by phone."""
    request = confirmed(world.alice)
    assert execute.advance(request.pk, now=NOW) == "wait_for_access"
    order = an_order(Customer.objects.get(pk=world.alice.pk), NOW.date())
    run(request, Clock())

    assert request.state == "closed"
    assert not vault.keys.is_destroyed(world.alice.pk, "account") and Order.objects.get(pk=order.pk).customer_id
    kept = request.decisions.get(label="accounts.customer", envelope="account")
    assert (kept.action, kept.code, kept.pinned, kept.done_at) == ("keep", "KEEP_CONTRACT", True, None)
    assert [one for one in outcome_of(request)["kept"] if one["id"] == kept.pk], "the answer says so"

    orders.cancel(order, actor=TASK, now=NOW)
    with system("sweep"):
        nightly.sweep(on=NOW.date(), dry_run=False, actor=TASK)
    assert vault.keys.is_destroyed(world.alice.pk, "account"), "and when it is finished the rest goes by itself"


def outcome_of(request: Request) -> dict[str, list[dict[str, Any]]]:
    with gate.acting(sight.acting_as(request)):
        return outcome.lines(request, today=NOW.date())


@pytest.mark.figure
def test_in_any_life_nothing_is_lost_doubled_or_wrongly_erased(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = tries(30, 400)
    run_state_machine_as_test(
        lambda: Life(world, monkeypatch),
        settings=settings(
            max_examples=lives, stateful_step_count=30, deadline=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    acts = Life.acts.total()
    assert Life.lives >= lives and Life.ended["erasure closed"] and Life.ended["access closed"], Life.ended
    print(f"{Life.lives} lives, {acts} acts: {dict(Life.acts)}; requests {dict(Life.ended)}")
    report("R1", "requests lost in generated lives", 0, n=Life.ended.total(), goal="0")
    report("R3", "effects doubled in generated lives", 0, n=acts, goal="0")
    report("R4", "wrongly erased in generated lives on PostgreSQL", 0, n=acts, goal="0")
