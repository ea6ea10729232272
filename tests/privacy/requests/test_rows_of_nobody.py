"""Rows that lead to nobody, or that have no key, are held against the key store: who can write to the main database
alone makes no removal smaller and no end earlier by them, and keeps nothing (privacy.requests.whose)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from accounts import blocked
from accounts.models import Customer
from orders.models import Order, Payment
from privacy import audit, vault
from privacy.gate.system import system
from privacy.requests import execute, whose
from privacy.requests.models import Export, Request
from privacy.requests.result import LOOK_LATER
from privacy.requests.states import State
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly
from privacy.sweep.report import SweepReport
from privacy.vault.keystore.sql import cursor
from tests import roles
from tests.asked import NOW, OPERATOR, TODAY, Clock, confirmed, filed, outlived, run
from tests.factories import a_customer, an_order
from tests.people import an_old_order

pytestmark = pytest.mark.django_db

LATER = Clock(NOW + timedelta(hours=6))
ORDERS, CUSTOMERS = ("orders_order", "customer_id"), ("accounts_customer", "subject_id")
NUMBER = "SO-2026-999999"


@pytest.fixture(autouse=True)
def _quiet(quiet: None) -> None: ...


@contextmanager
def hung(place: tuple[str, str], row: Any, on: Any = None) -> Iterator[None]:
    """Let a row lead to somebody else, or to nobody, for a while, as who can write to the main database says."""
    table, column = place
    before = getattr(row, column)
    to = "NULL" if on is None else f"'{on}'"
    assert roles.run(f"UPDATE {table} SET {column} = {to} WHERE id = '{row.pk}'") == [1]
    yield
    assert roles.run(f"UPDATE {table} SET {column} = '{before}' WHERE id = '{row.pk}'") == [1]


def to_step(request: Request, name: str) -> None:
    while request.step != name:
        assert execute.advance(request.pk, now=NOW) in (request.step, "ended")
        request.refresh_from_db()


def stops(request: Request, at: str) -> bool:
    """Say whether the request stops there because something is not as the site wrote it; it may be tried again."""
    word = execute.advance(request.pk, now=NOW)
    request.refresh_from_db()
    Request.objects.filter(pk=request.pk).update(next_action_at=NOW)
    return (word, request.step, request.last_error) == ("retry", at, "NotOurs")


def plant(of: Order, customer: Customer) -> UUID:
    """Put an order that never was into the table: it is invoiced and not paid, and has no key."""
    with connection.cursor() as cur:
        cur.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'orders_order'")
        names = [name for (name,) in cur.fetchall()]
    number = uuid4()
    said = {"id": f"'{number}'", "number": f"'{NUMBER}'", "customer_id": f"'{customer.pk}'"}
    said |= {name: "NULL" for name in names if name.startswith("sealed_")}
    values = ", ".join(said.get(name, name) for name in names)
    roles.run(f"INSERT INTO orders_order ({', '.join(names)}) SELECT {values} FROM orders_order WHERE id = '{of.pk}'")
    return number


def unplant() -> None:
    assert roles.run(f"DELETE FROM orders_order WHERE number = '{NUMBER}'") == [1]


def test_a_removal_begins_when_all_that_the_key_store_has_of_the_person_is_in_its_plan(
    alice: Customer, bob: Customer
) -> None:
    order, his = an_order(alice), an_order(bob)
    with hung(CUSTOMERS, alice), hung(ORDERS, order):
        removal = confirmed(alice)
        assert stops(removal, "wait_for_access") and removal.state == State.CONFIRMED
    run(removal, LATER)
    assert removal.state == State.PLANNED, "with all of hers it is another plan"
    removal = confirmed(bob)
    with hung(ORDERS, his, alice.pk):
        assert execute.advance(removal.pk, now=NOW) == "ended", "another plan"
    removal = confirmed(bob)
    run(removal)
    assert removal.state == State.CLOSED, "the control"


def test_a_row_that_has_lost_its_link_by_itself_holds_nothing_up(alice: Customer, bob: Customer) -> None:
    """The payment of an order that has ended."""
    orders = [an_old_order(one) for one in (alice, bob)]
    payments = [
        Payment.objects.create(
            order=one, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030", charged_on=one.paid_on
        )
        for one in orders
    ]
    for one in orders:
        outlived(one, "fulfilment")
        outlived(one, "order")
    assert not Order.objects.exclude(customer=None).exists()
    hers = {(Payment.vault_label, payments[0].pk): alice.subject_id}
    assert whose.let_go(hers) == set(hers)
    roles.run(f"UPDATE orders_payment SET order_id = '{orders[1].pk}' WHERE id = '{payments[0].pk}'")
    assert whose.let_go(hers) == set() and whose.missing(alice.subject_id, list(hers)), "not her order"
    removal = confirmed(alice)
    assert stops(removal, "wait_for_access")
    roles.run(f"UPDATE orders_payment SET order_id = '{orders[0].pk}' WHERE id = '{payments[0].pk}'")
    run(removal)
    assert removal.state == State.CLOSED


def test_a_key_without_a_row_holds_nothing_up_where_a_write_that_was_rolled_back_may_have_left_it(
    alice: Customer,
) -> None:
    record = uuid4()
    vault.keys.make([vault.keys.Wanted(record, "order", Order.vault_label, ("subject", alice.subject_id))])
    mine = [(Order.vault_label, record)]
    assert whose.missing(alice.subject_id, mine) == []
    for column, found in (("created_at", mine), ("doubted_at", [])):
        with cursor() as cur:
            cur.execute(f"UPDATE vault_datakey SET {column} = now() - interval '1 day' WHERE record = %s", [record])
        assert whose.missing(alice.subject_id, mine) == found


def test_a_copy_is_not_made_while_a_row_of_the_person_leads_to_nobody(alice: Customer) -> None:
    order, request = an_order(alice), filed(alice, "access")
    to_step(request, "build_copy")
    with hung(ORDERS, order):
        assert stops(request, "build_copy") and not Export.objects.exists()
    to_step(request, "letter")
    assert Export.objects.filter(request=request).exists()


def test_neither_removal_nor_copy_leaves_out_what_a_row_does_not_hold_for_a_moment(alice: Customer) -> None:
    order = an_order(alice)
    for place in (("accounts_customer", "sealed_account", alice.pk), ("orders_order", "sealed_fulfilment", order.pk)):
        with roles.otherwise(*place, "NULL"):
            removal = confirmed(alice)
            assert stops(removal, "wait_for_access"), place
        run(removal, LATER)
        assert removal.state == State.PLANNED, "with all of hers it is another plan"
    copy = filed(alice, "access")
    to_step(copy, "build_copy")
    with roles.otherwise(*place, "NULL"):
        assert stops(copy, "build_copy") and not Export.objects.exists()
    to_step(copy, "letter")
    assert Export.objects.filter(request=copy).exists()


def test_what_a_write_that_was_rolled_back_may_have_left_is_waited_for(alice: Customer) -> None:
    """As a row that is away for a moment looks; the collector ends it within hours."""
    for ask, step in ((confirmed, "wait_for_access"), (lambda one: filed(one, "access"), "build_copy")):
        to_step(request := ask(alice), step)
        record = uuid4()
        vault.keys.make([vault.keys.Wanted(record, "order", Order.vault_label, ("subject", alice.subject_id))])
        assert execute.advance(request.pk, now=NOW) == "waiting"
        request.refresh_from_db()
        assert (request.step, request.next_action_at, request.last_error) == (step, NOW + LOOK_LATER, "")
        vault.keys.destroy([(record, "order")], now=NOW)
        assert execute.advance(request.pk, now=NOW + LOOK_LATER) == step


def test_fingerprints_are_left_of_the_person_and_of_nobody_else(alice: Customer, bob: Customer) -> None:
    with vault.internal():
        hers, his = (alice.reference, str(alice.email)), (bob.reference, str(bob.email))
    removal = confirmed(alice)
    to_step(removal, "block_tokens")
    with hung(CUSTOMERS, bob, alice.subject_id):
        assert stops(removal, "block_tokens")
    with hung(CUSTOMERS, alice):
        assert stops(removal, "block_tokens")
    assert not blocked.among([hers, his]).numbers
    to_step(removal, "erase")
    found = blocked.among([hers, his])
    assert (found.column(*hers), found.column(*his)) == ("customer_ref", "")


def test_an_order_that_never_was_keeps_nothing(alice: Customer, bob: Customer) -> None:
    day = date(2026, 11, 2)
    his = an_order(bob, day, invoiced=day, shipped=day)
    removal = confirmed(alice)
    to_step(removal, "erase")
    plant(his, alice)
    assert stops(removal, "erase")
    unplant()
    with hung(ORDERS, his, alice.pk):
        assert stops(removal, "erase"), "nor does somebody else's"
    run(removal)
    assert removal.state == State.CLOSED
    assert not Decision.objects.filter(request=removal, action=Decision.Action.KEEP).exists()

    # nor when the plan is made; one that the audit tells of does
    removal = confirmed(bob)
    run(removal)
    carol = a_customer()
    plant(his, carol)
    removal = confirmed(carol)
    assert stops(removal, "wait_for_access")
    planted = Order.objects.get(number=NUMBER)
    audit.record(
        "order.imported", actor=OPERATOR, now=NOW, subject=carol.subject_id, record=(Order.vault_label, planted.pk)
    )
    to_step(removal, "stop_mail")
    assert Decision.objects.filter(request=removal, code="KEEP_CONTRACT", pinned=True).exists()


def swept(on: date) -> SweepReport:
    with system("sweep"):
        return nightly.sweep(on=on, dry_run=False, actor=OPERATOR)


def test_by_night_nothing_ends_of_which_the_row_leads_to_nobody(alice: Customer, bob: Customer, settings: Any) -> None:
    """Neither what was asked about, nor an account of which nobody was warned."""
    settings.DEMO = True
    arming.arm(actor=OPERATOR)
    order = an_old_order(alice)
    filed(alice, "access")
    roles.run(f"UPDATE accounts_customer SET last_active_on = '2005-01-01', since = '2004-01-01' WHERE id = '{bob.pk}'")
    with hung(ORDERS, order), hung(CUSTOMERS, bob):
        report = swept(TODAY)
    strange = {("owner", "orders.order", str(order.pk)), ("owner", "accounts.customer", str(bob.pk))}
    assert {(one.step, one.label, one.record) for one in report.findings} >= strange
    assert (report.erased, report.warned) == (0, 0)
    assert vault.keys.living([(order.pk, "order"), (bob.pk, "account")]) == {(order.pk, "order"), (bob.pk, "account")}
    report = swept(TODAY + timedelta(days=1))
    assert (report.findings, report.erased, report.warned) == ([], 0, 1), "the control"
