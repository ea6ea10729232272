"""A service lets no role of staff write what the access matrix does not let that role write."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orders import services as orders
from privacy import gate
from privacy.gate import Actor, matrix
from privacy.vault.models import DataKey
from rma import serials
from rma import services as rmas
from tests.factories import (
    BILL,
    CONTACT,
    SHIP,
    TASK,
    a_customer,
    a_product,
    an_instrument,
    an_order,
    an_rma,
    moved,
    noon,
)

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 2)
NOW = noon(DAY + timedelta(days=20))
CARD = orders.Card(token="tok_1Nx7aaBbCc", brand="Visa", last_four="4242", expiry="09/2031")
RESULTS = [{"quantity": "illuminance", "unit": "lx", "nominal": 100, "as_found": "101.3", "as_left": "100.1"}]

Act = Callable[[Actor], Any]


def placing() -> Act:
    alice, items = a_customer(), [orders.Item(a_product(), 1)]
    return lambda by: orders.place_order(
        customer=alice, items=items, channel="phone", ship=SHIP, bill=BILL, actor=by, now=NOW
    )


def opening() -> Act:
    alice, instrument = a_customer(), an_instrument()
    return lambda by: rmas.open_rma(
        customer=alice, instrument=instrument, service="repair", channel="phone", contact=CONTACT, fault="Dark.",
        actor=by, now=NOW,
    )  # fmt: skip


def invoicing() -> Act:
    order = an_order(a_customer())
    return lambda by: orders.invoice(order, actor=by, now=NOW)


def paying() -> Act:
    order = an_order(a_customer(), invoiced=DAY)
    return lambda by: orders.mark_paid(order, card=CARD, actor=by, now=NOW)


def shipping() -> Act:
    order = an_order(a_customer())
    return lambda by: orders.ship(order, actor=by, now=NOW)


def cancelling() -> Act:
    order = an_order(a_customer())
    return lambda by: orders.cancel(order, actor=by, now=NOW)


def transferring() -> Act:
    instrument, bob = an_rma(a_customer()).instrument, a_customer()
    return lambda by: rmas.transfer(instrument, customer=bob, actor=by, now=NOW)


def quoting() -> Act:
    rma = moved(an_rma(a_customer()), "authorised", "received")
    return lambda by: rmas.transition(rma, "quoted", quote=480, actor=by, now=NOW)


def noting() -> Act:
    rma = an_rma(a_customer())
    return lambda by: rmas.add_note(rma, text="Please send the charger, too.", actor=by, now=NOW)


def certifying() -> Act:
    rma = moved(an_rma(a_customer()), "authorised", "received", "in_service", "verified")
    return lambda by: rmas.issue_certificate(
        rma, procedure="ILT-CP-102", calibrated_on=DAY + timedelta(days=5), results=RESULTS, actor=by, now=NOW
    )


def settling() -> Act:
    instrument, typed = serials.named(typed="behind the label", model_name="ILT2400")
    rma = rmas.open_rma(
        customer=a_customer(), instrument=instrument, service="repair", channel="web", contact=CONTACT,
        serial_typed=typed, actor=TASK, now=noon(DAY),
    )  # fmt: skip
    return lambda by: serials.settle(rma, serial="ILT2400-7777", actor=by, now=NOW)


ACTS: dict[str, Callable[[], Act]] = {
    "orders.services.place_order": placing,
    "orders.services.invoice": invoicing,
    "orders.services.mark_paid": paying,
    "orders.services.ship": shipping,
    "orders.services.cancel": cancelling,
    "rma.services.transfer": transferring,
    "rma.services.open_rma": opening,
    "rma.services.transition": quoting,
    "rma.services.add_note": noting,
    "rma.services.issue_certificate": certifying,
    "rma.serials.settle": settling,
}


def permitted(module: ModuleType) -> dict[str, set[str]]:
    """Return the roles that each function of a module lets pass, as its source names them."""
    found: dict[str, set[str]] = {}
    for function in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(function, ast.FunctionDef):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "permit":
                    roles = {str(one.value) for one in call.args[1:] if isinstance(one, ast.Constant)}
                    found[f"{module.__name__}.{function.name}"] = roles
    return found


PERMITTED = permitted(orders) | permitted(rmas) | permitted(serials)


def test_each_service_that_lets_a_role_pass_is_tried_here() -> None:
    assert set(ACTS) == set(PERMITTED) and all(PERMITTED.values())


@pytest.mark.parametrize(("name", "role"), sorted((name, role) for name, roles in PERMITTED.items() for role in roles))
def test_a_role_writes_nothing_by_a_service_that_the_matrix_does_not_let_it_write(name: str, role: str) -> None:
    act = ACTS[name]()
    before = set(DataKey.objects.values_list("pk", flat=True))
    carol = Actor("staff", "carol", None, frozenset({role}), "test")
    with gate.acting(carol):
        act(carol)
    keys = DataKey.objects.exclude(pk__in=before).exclude(label__startswith="vault.")  # the access log's own
    written = set(keys.values_list("label", "envelope"))
    writes = {(label, envelope) for label, envelope in matrix.matrix().writes[role]}
    assert written <= writes
    if name in ("orders.services.place_order", "rma.services.open_rma", "rma.services.add_note"):
        assert written, "the control: something was sealed"
