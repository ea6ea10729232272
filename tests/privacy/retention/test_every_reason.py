"""Every reason of the schedule is one that a record of the product can have: what can never apply is not in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from orders import services as orders
from orders.models import Order, Payment
from privacy import datamap, letters, registers
from privacy.facts import FLAGS, Facts
from privacy.letters.models import Letter
from privacy.models import HeldValue
from privacy.requests.models import Request
from privacy.retention import rules
from rma.services import add_note
from tests import factories
from tests.asked import NOW, TODAY, facts_of, filed
from tests.factories import DAN, TASK, an_order, an_rma, moved, noon

pytestmark = pytest.mark.django_db(databases="__all__")

SCHEDULE = rules.load(rules.HERE, overlays=("DE8", "OSS10", "OFAC10"))
DAY = date(2026, 11, 5)
CARD = orders.Card("tok_alice_2026", "Visa", "4242", "09/2027")
CAME = ("authorised", "received", "cancelled", "shipped_back", "closed")
#: What no row tells the facts of: a file, or a key without one. Their modules end them by the schedule's period.
WITHOUT_FACTS = {"export", "pseudonym"}


def _people() -> None:
    """Make people of every kind, with what the back office can file of each."""
    factories.staff()
    firm = factories.company()
    for state in ("open", "unpaid", "paid", "return"):
        trader = factories.subject()
        factories.company(f"Lamp {state}", is_sole_trader=True, subject=trader)
        for customer in (
            factories.customer(
                "Alice", email=f"alice-{state}@example.com", subject=trader, country="IR" if state == "paid" else "DE"
            ),
            factories.customer("Bob", email=f"bob-{state}@example.com", company=firm, country="FR"),
        ):
            _matters(customer, state)
            factories.address(customer)
            factories.tax_identifier(customer, last_used_on=TODAY, has_certificate=state == "paid")
            factories.freight_account(customer)
            factories.communication(customer)
            factories.communication(customer, is_order_related=True)
    alice = factories.customer("Alice", email="alice-ssn@example.com")
    factories.ssn(alice)
    factories.ssn(factories.customer("Alma", email="alma@example.com"), has_certificate=True)
    factories.communication(None)


def _matters(customer: Any, state: str) -> None:
    """Take orders and a return of this customer to where they can stand."""
    if state == "return":
        rma = an_rma(customer)
        add_note(rma, text="Hello", actor=DAN, now=noon(DAY))
        return
    paid = DAY if state == "paid" else None
    done = None if state == "open" else DAY
    country = customer.country
    order = an_order(
        customer, invoiced=done, shipped=done, paid=paid, card=CARD if paid else None, ship_country=country
    )
    if not paid:
        _charge(order)
    if state == "paid":
        orders.cancel(an_order(customer), actor=TASK, now=noon(DAY))
        for states in (CAME, ("cancelled",)):
            rma = an_rma(customer)
            add_note(rma, text="Hello", actor=DAN, now=noon(DAY))
            moved(rma, *states)


def _charge(order: Order) -> None:
    """As an import brings an order that is to be paid by card."""
    Payment.objects.create(order=order, method=Payment.Method.CARD, amount=order.total, last_four="1111")


def _requests_and_registers() -> None:
    """Make requests and letters that are open and done, a signature, and what a hold kept."""
    alice = factories.customer("Alice", email="alice-asks@example.com")
    filed(alice, kind="access")
    done = filed(factories.customer("Bob", email="bob-asks@example.com"), kind="access")
    Request.objects.filter(pk=done.pk).update(state="closed", closed_at=NOW)
    for key in ("waits", "sent"):
        letters.queue(
            "account_ending", to="alice@example.com", context={"ends_after": DAY, "days": 30, "has_login": False},
            key=key, now=NOW, subject=alice.subject_id,
            credentials={"link": "https://ilt.example/x/0123456789abcdef"},
        )  # fmt: skip
    Letter.objects.filter(key="sent").update(sent_at=NOW)
    registers.sign(
        subject=factories.subject().pk, kind="training", version="1", actor=None, now=NOW, signed_on=TODAY,
        expires_on=date(2027, 1, 1),
    )  # fmt: skip
    HeldValue.objects.create(
        label="accounts.customer", record_id=alice.pk, of_envelope="account", subject_id=alice.subject_id, kept_at=NOW,
        was={"phone": "978-555-0123"},
    )  # fmt: skip


@pytest.fixture
def known(settings: Any, tmp_path: Any) -> list[Facts]:
    """What the product knows of each record that was made, with the flags of the person's other records."""
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    _people()
    _requests_and_registers()
    return [
        one
        for declaration in datamap.declarations()
        if declaration.facts is not None
        for one in facts_of(_rows(declaration))
    ]


def _rows(declaration: Any) -> Iterator[Any]:
    rows = declaration.model._default_manager.order_by("pk")
    return iter(rows.select_related(*declaration.related) if declaration.related else rows)


def test_every_reason_and_every_flag_of_it_is_one_that_a_record_can_have(known: list[Facts]) -> None:
    never = []
    envelopes = {name for one in datamap.declarations() if one.facts for name in one.envelopes()}
    for name in sorted(envelopes):
        records = [one for one in known if name in one.data]
        for reason in SCHEDULE.reasons(name):
            reached = [one for one in records if reason.applies_to(one)]
            for flag in sorted(reason.when) or [""]:
                if not any(not flag or flag in one.flags for one in reached):
                    never.append(f"{name}: {reason.name} {flag}".strip())
    assert never == []


def test_every_start_of_a_period_is_a_day_that_some_record_has(known: list[Facts]) -> None:
    envelopes = {name for one in datamap.declarations() if one.facts for name in one.envelopes()}
    for name in sorted(envelopes):
        for reason in SCHEDULE.reasons(name):
            reached = [one for one in known if name in one.data and reason.applies_to(one)]
            assert any(reason.started_on(one) for one in reached), f"{name}: {reason.name} begins on no day"


def test_a_class_is_of_an_envelope_that_exists_or_of_a_store() -> None:
    envelopes = {name for one in datamap.declarations() if one.facts for name in one.envelopes()}
    classes = {name for name, rule in SCHEDULE.classes.items() if not rule.is_store}
    assert classes - envelopes == WITHOUT_FACTS


def test_no_flag_is_known_that_nothing_reads() -> None:
    read = {flag for name in SCHEDULE.classes for one in SCHEDULE.reasons(name) for flag in one.when | one.unless}
    assert FLAGS - read == {"broken"}, "of a broken record the assessment itself speaks"
