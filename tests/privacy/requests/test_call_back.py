"""A call-back is compared with what is on file: the number that was called, and two facts that the person named."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import Customer
from orders.models import Order
from privacy import audit
from privacy.gate import Actor
from privacy.requests import proof, proving, sight
from privacy.requests.models import Request
from privacy.requests.states import State
from rma.models import RMA
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, taken_in
from tests.factories import an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

NUMBER = "978-555-0123"
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")


@pytest.fixture
def order(alice: Customer) -> Order:
    return an_order(alice, date(2026, 3, 4), invoiced=date(2026, 3, 5))


@pytest.fixture
def rma(alice: Customer) -> RMA:
    return an_rma(alice, serial="ILT2400-0077")


def pending(customer: Customer, kind: str = "access") -> Request:
    return taken_in(kind, customer.subject_id, channel="phone", actor=PRIVACY)


def state(
    request: Request, *facts: tuple[str, str], number: str = NUMBER, now: Any = NOW, actor: Any = PRIVACY
) -> Request:
    assert request.subject_id
    said = proof.Callback(number, facts)
    return proving.identify(request, "callback", subject=request.subject_id, callback=said, actor=actor, now=now)[0]


def facts_of(order: Order, rma: RMA) -> dict[str, str]:
    return {
        "order_number": order.number,
        "order_total": f"2026-03 {order.total:,.2f}",
        "invoice_number": order.invoices.get().number,
        "rma_number": rma.number,
        "serial_number": "ilt2400-0077",
        "message_day": "2026-11-19",
    }


def tried() -> list[tuple[str, str]]:
    found = audit.AuditEvent.objects.filter(action__startswith="request.proof_").order_by("id")
    return list(found.values_list("action", "reason"))


@pytest.fixture
def facts(alice: Customer, order: Order, rma: RMA) -> dict[str, str]:
    factories.communication(alice, received_on=date(2026, 11, 19))
    return facts_of(order, rma)


KINDS = ["order_number", "order_total", "invoice_number", "rma_number", "serial_number", "message_day"]


def test_every_kind_of_fact_is_one_of_an_order_a_return_or_a_message(facts: dict[str, str]) -> None:
    assert sorted(name for name, _ in proof.kinds()) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_two_right_facts_prove_it_and_a_wrong_one_does_not(alice: Customer, facts: dict[str, str], kind: str) -> None:
    other = "rma_number" if kind != "rma_number" else "order_number"
    wrong = {"order_total": "2026-03 1.23", "message_day": "2026-11-18"}.get(kind, "SO-1999-000001")
    request = pending(alice)
    with pytest.raises(proof.ProofRefused):
        state(request, (kind, wrong), (other, facts[other]))
    request.refresh_from_db()
    assert request.state == State.RECEIVED
    state(request, (kind, facts[kind]), (other, facts[other]))
    request.refresh_from_db()
    assert request.state == State.IDENTITY
    both = ", ".join(sorted((kind, other)))
    assert tried() == [("request.proof_refused", f"callback: {both}"), ("request.proof_matched", f"callback: {both}")]


def test_the_facts_of_somebody_else_prove_nothing(alice: Customer, bob: Customer, facts: dict[str, str]) -> None:
    request = pending(bob)
    with pytest.raises(proof.ProofRefused):
        state(request, ("order_number", facts["order_number"]), ("rma_number", facts["rma_number"]))


@pytest.mark.parametrize("number", ["617-555-0199", "978-555-0124", "not a number"])
def test_another_number_than_the_one_on_file_proves_nothing(
    alice: Customer, facts: dict[str, str], number: str
) -> None:
    two = [(kind, facts[kind]) for kind in ("order_number", "rma_number")]
    with pytest.raises(proof.ProofRefused):
        state(pending(alice), *two, number=number)
    assert state(pending(alice), *two, number="+1 (978) 555 0123").is_identified, "in another spelling it is the same"


@pytest.mark.parametrize(
    "given",
    [
        (), (("order_number", "SO-1"),), (("order_number", "SO-1"), ("order_number", "SO-2")),
        (("order_number", "SO-1"), ("rma_number", " ")), (("order_number", "SO-1"), ("shoe_size", "44")),
        (("order_number", "SO-1"), ("", "44")),
    ],
)  # fmt: skip
def test_fewer_than_two_facts_of_two_known_kinds_are_none_and_count_as_no_try(
    alice: Customer, order: Order, given: Any
) -> None:
    with pytest.raises(proof.Incomplete):
        state(pending(alice), *given)
    with pytest.raises(proof.Incomplete):
        state(pending(alice), *given, number=" ")
    assert tried() == []


@pytest.mark.parametrize(
    "text",
    [
        "0000-01 5",
        "2026-13 5.00",
        "2026-03 1e9",
        "2026-03 NaN",
        "9999-12 999999999999",
        "x" * 60,
        "%_",
        "\x01",
        "²026-03 5",
    ],
)
def test_whatever_is_said_is_answered_with_one_sentence(alice: Customer, facts: dict[str, str], text: str) -> None:
    request = pending(alice)
    for kind in KINDS:
        if kind != "rma_number":
            with pytest.raises((proof.ProofRefused, proof.TooManyTries)):
                state(request, (kind, text), ("rma_number", facts["rma_number"]))
    assert not Request.objects.get(pk=request.pk).is_identified


def test_after_five_wrong_tries_nothing_is_compared_for_a_day_by_anybody_in_any_request(
    alice: Customer, facts: dict[str, str]
) -> None:
    right = [(kind, facts[kind]) for kind in ("order_number", "rma_number")]
    copy, removal = pending(alice), pending(alice, "erasure")
    for number in range(5):
        with pytest.raises(proof.ProofRefused):
            request, who = (copy, PRIVACY) if number % 2 else (removal, COLLEAGUE)
            state(request, ("order_number", f"SO-2026-{number:06d}"), right[1], actor=who)
    for request in (copy, removal):
        with pytest.raises(proof.TooManyTries):
            state(request, *right)
    assert state(copy, *right, now=NOW + timedelta(days=1)).is_identified


def test_wrong_codes_by_post_count_with_them(alice: Customer, facts: dict[str, str]) -> None:
    request = pending(alice)
    for _ in range(5):
        with pytest.raises(proof.ProofRefused):
            proving.identify(request, "post", subject=alice.subject_id, code="AAAA-BBBB-CCCC", actor=PRIVACY, now=NOW)
    with pytest.raises(proof.TooManyTries):
        proving.identify(request, "post", subject=alice.subject_id, code="AAAA-BBBB-CCCC", actor=PRIVACY, now=NOW)


def test_an_operator_is_believed_and_a_visitor_states_nothing(alice: Customer) -> None:
    with pytest.raises((proof.BadRequest, sight.NotYours)):
        proving.identify(pending(alice), "callback", subject=alice.subject_id, actor=ANYBODY, now=NOW)
    done, _ = proving.identify(pending(alice), "callback", subject=alice.subject_id, actor=OPERATOR, now=NOW)
    assert done.is_identified


# The page -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def carol() -> Client:
    return pages.signed_in(factories.staff(roles=("privacy",)))


def test_the_page_asks_for_the_two_facts_shows_no_right_value_and_can_be_counted(
    alice: Customer, carol: Client, facts: dict[str, str]
) -> None:
    request = pending(alice)
    path = f"/admin/privacy/request/{request.pk}/step/identity/"
    text = carol.get(f"{path}?how=callback").text
    assert "Number that you called" in text and "Serial number of an instrument sent in" in text
    said = {
        "how": "callback", "number": NUMBER, "first_fact": "order_number", "first_said": "SO-1999-000001",
        "second_fact": "rma_number", "second_said": facts["rma_number"],
    }  # fmt: skip
    assert carol.post(path, {"how": "callback"}).status_code == 400
    answers = [carol.post(path, said) for _ in range(6)]
    assert [one.status_code for one in answers] == [401] * 5 + [429]
    assert "are not what is on file of this person. Nothing is proved." in answers[0].text
    assert facts["order_number"] not in answers[0].text
    assert "for a day none is looked at" in answers[5].text
    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        carol = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        assert carol.post(path, {**said, "first_said": facts["order_number"]}).status_code == 302
    request.refresh_from_db()
    assert request.identity == "callback"


def test_no_fact_is_kept(alice: Customer, carol: Client, facts: dict[str, str]) -> None:
    request = pending(alice)
    state(request, ("serial_number", facts["serial_number"]), ("message_day", facts["message_day"]))
    kept = [
        *request.events.values_list("detail", flat=True),
        *audit.AuditEvent.objects.values_list("reason", flat=True),
    ]
    assert not [one for one in kept if "0077" in str(one).lower() or "2026-11-19" in str(one)]
