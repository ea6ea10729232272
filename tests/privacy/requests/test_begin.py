"""What comes before the first step that carries a request out: of every right, also of one that has no step for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Customer
from orders.models import Order
from privacy.requests import execute, procedures, services
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request
from privacy.requests.procedure import Procedure
from privacy.requests.states import State
from privacy.retention.models import Decision
from privacy.vault.keystore import keys
from tests.asked import NOW, Clock, confirmed, filed, run
from tests.factories import an_order, as_customer

pytestmark = pytest.mark.django_db
KIND = "objection"


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Procedure:
    """A second right by which data end. It waits for no copy, and so has no step that says that it did."""
    settings.EXPORT_DIR = str(tmp_path / "exports")
    removal = procedures.get("erasure")
    steps = tuple(one for one in removal.steps if one.name not in ("wait_for_access", "sign_out", "stop_mail"))
    monkeypatch.setitem(procedures.TABLE, KIND, replace(removal, kind=KIND, steps=steps, waits_for=()))
    return procedures.TABLE[KIND]


def restricted(request: Request) -> dict[Any, str]:
    kept = Decision.objects.filter(request=request, action=Decision.Action.KEEP)
    found = keys.restrictions(kept.values_list("record_id", flat=True))
    return {pair: code for pair, code in found.items() if code}


@pytest.mark.parametrize("kind", ["erasure", KIND])
def test_what_any_right_keeps_is_bound_to_its_day_and_restricted(
    alice: Customer, kept_order: Order, second: Procedure, kind: str
) -> None:
    request = confirmed(alice, kind)
    run(request)
    assert request.state == State.CLOSED
    decisions = Decision.objects.filter(request=request, action=Decision.Action.KEEP)
    assert decisions and all(one.pinned for one in decisions)
    assert {one.envelope for one in decisions} <= {envelope for _, envelope in restricted(request)}
    assert not Decision.objects.filter(request=request, action=Decision.Action.ERASE, done_at=None).exists()


@pytest.mark.parametrize("kind", ["erasure", KIND])
def test_a_plan_that_changed_since_it_was_confirmed_goes_back_whichever_right_it_is(
    alice: Customer, second: Procedure, kind: str
) -> None:
    request = confirmed(alice, kind)
    order = an_order(alice)
    assert execute.advance(request.pk, now=NOW) == "ended"
    request.refresh_from_db()
    assert (request.state, request.confirmed_hash) == (State.PLANNED, "")
    assert request.decisions.filter(record_id=order.pk).exists()
    assert not request.decisions.filter(done_at__isnull=False).exists()


def test_once_its_first_step_has_begun_nobody_takes_it_back_whichever_right_it_is(
    alice: Customer, second: Procedure
) -> None:
    request = confirmed(alice, KIND)
    assert execute.advance(request.pk, now=NOW) == "block_tokens"
    request.refresh_from_db()
    assert request.state == State.EXECUTING
    with pytest.raises(NotAllowed):
        services.withdraw(request, actor=as_customer(alice), now=NOW)


def test_a_right_waits_for_those_that_its_entry_names_without_a_step_for_it(
    alice: Customer, second: Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(procedures.TABLE, KIND, replace(second, waits_for=("access",)))
    request, copy = confirmed(alice, KIND), filed(alice, "access")
    assert execute.advance(request.pk, now=NOW) == "waiting"
    request.refresh_from_db()
    assert request.state == State.CONFIRMED and not request.events.filter(kind="step", step="block_tokens").exists()
    run(copy, Clock())
    run(request, Clock(NOW + timedelta(minutes=10)))
    assert request.state == State.CLOSED
