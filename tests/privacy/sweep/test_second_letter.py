"""The second letter: what had to be kept is erased, and the person who asked is told, once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pytest
from django.test import Client

from accounts.models import Customer
from orders import services as orders
from orders.models import Order
from privacy import gate, vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import codes, outcome, reading, services, sight
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import decided, holds
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly, second_letter
from privacy.sweep.report import SweepReport
from rma.models import RMA
from tests import pages, people
from tests.asked import NOW, OPERATOR, TODAY, confirmed, filed, run, with_letters
from tests.beginnings import beginning
from tests.factories import an_order, an_rma, moved
from tests.journeys.everybody import undone

LAST_DAY, FIRST_DAY = date(2027, 12, 31), date(2028, 1, 1)
SOON = date(2026, 12, 1)


@pytest.fixture(autouse=True)
def _any_day(settings: Any, db: None) -> None:
    settings.DEMO = True
    arming.arm(actor=OPERATOR)


def old(customer: Customer) -> Order:
    """An order whose invoice is kept until the end of 2027; the file of a request made now is kept for longer."""
    day = date(2020, 5, 10)
    return an_order(customer, date(2020, 5, 2), invoiced=day, shipped=day, paid=day)


class Answered(NamedTuple):
    """A removal of alice's that was carried out, and her order of 2020, which stayed."""

    alice: Customer
    order: Order
    request: Request


@beginning
def answered() -> Answered:
    alice = people.an_alice()
    order = old(alice)
    return Answered(alice, order, erased(alice))


def swept(on: date) -> SweepReport:
    with system("sweep"):
        return nightly.sweep(on=on, dry_run=False, actor=OPERATOR)


def second_letters(request: Request) -> list[Letter]:
    return list(Letter.objects.filter(request=request, kind=second_letter.KIND).order_by("queued_at", "id"))


def erased(customer: Customer) -> Request:
    request = confirmed(customer)
    run(request)
    assert request.state == State.CLOSED
    return request


def test_at_the_day_that_was_told_the_rest_goes_and_the_person_is_told(answered: Answered, bob, outbox) -> None:
    _, order_of_2020, request = answered
    old(bob)
    swept(LAST_DAY)
    assert not second_letters(request)
    swept(FIRST_DAY)
    swept(FIRST_DAY)
    swept(date(2028, 1, 2))
    (letter,) = second_letters(request)
    with system("letter"):
        assert letter.to == "alice@example.com"
        assert letter.headline == "The rest of your data was removed"
        for text in (letter.text, pages.read(letter.html)):
            assert f"Order {order_of_2020.number}" in text
            assert "Nothing that we told you we had to keep is kept any longer." in text
            assert "Freight account" not in text, "what the first letter said is not said again"
    assert Letter.objects.filter(kind=second_letter.KIND).count() == 1, "bob asked for nothing"

    outbox.clear()
    with_letters(datetime(2028, 1, 2, tzinfo=UTC))
    assert [(one.to, one.subject) for one in outbox] == [(["alice@example.com"], "The rest of your data was removed")]
    swept(date(2028, 1, 3))
    letter.refresh_from_db()
    assert letter.sealed_letter is None and vault.keys.is_destroyed(letter.pk, "letter")
    assert len(second_letters(request)) == 1


def test_the_outcome_shows_what_ended_as_done(answered: Answered, client: Client) -> None:
    request = answered.request
    code = codes.new_code()
    hashed = codes.hash_of_code(request, code)
    Request.objects.filter(pk=request.pk).update(outcome_code_hash=hashed)
    before = client.post("/privacy/outcome/", {"reference": request.reference, "code": code})
    assert "Stays until 31 December 2027" in pages.read(before)
    swept(FIRST_DAY)
    request.refresh_from_db()
    after = pages.read(client.post("/privacy/outcome/", {"reference": request.reference, "code": code}))
    assert "Stays until" not in after
    assert "when the reason to keep it had ended" in after
    fates = [x for record in reading.show(request)["decisions"] for x in record["data"] if x["envelope"] == "order"]
    assert {(x["action"], bool(x["done_at"])) for x in fates} == {("keep", True)}


def test_a_lifted_hold_lets_the_erasure_go_on_and_the_letter_says_what_still_stays(alice) -> None:
    order_of_2020 = old(alice)
    holds.place("orders.order", order_of_2020.pk, reason="claim", actor=OPERATOR, now=NOW)
    request = erased(alice)
    swept(SOON)
    assert not second_letters(request)
    holds.lift("orders.order", order_of_2020.pk, actor=OPERATOR, now=NOW)
    swept(SOON)
    (letter,) = second_letters(request)
    with system("letter"):
        assert letter.headline == "More of your data was removed"
        assert "Until: 31 December 2027" in letter.text
    swept(FIRST_DAY)
    with system("letter"):
        assert [one.headline for one in second_letters(request)] == [
            "More of your data was removed",
            "The rest of your data was removed",
        ]


def test_a_closed_return_keeps_no_phone_and_no_address_after_a_request(alice: Customer, bob: Customer) -> None:
    states = ("authorised", "received", "cancelled", "shipped_back", "closed")
    sent_back, never_came, bobs = an_rma(alice), moved(an_rma(alice), "cancelled"), an_rma(bob)
    sent_back, bobs = moved(sent_back, *states), moved(bobs, *states)
    erased(alice)
    for rma in (sent_back, never_came):
        for envelope in ("rma", "rma_note"):
            assert vault.keys.is_destroyed(rma.pk, envelope), envelope
        rma.refresh_from_db()
        assert rma.instrument_id and rma.closed_on, "the history of the instrument stays with its serial number"
    assert not vault.keys.is_destroyed(bobs.pk, "rma")


def test_a_closed_return_goes_after_a_request_and_the_person_is_told(alice) -> None:
    rma = an_rma(alice)
    request = erased(alice)
    swept(SOON)
    assert not second_letters(request)
    RMA.objects.filter(pk=rma.pk).update(state="closed", closed_on=date(2026, 11, 30))
    swept(SOON)
    (letter,) = second_letters(request)
    with system("letter"):
        assert letter.headline == "The rest of your data was removed"
        assert f"{rma.number}" in letter.text


def test_a_second_letter_gives_the_reasons_of_its_day_and_none_that_has_ended(alice: Customer, bob: Customer) -> None:
    day = date(2026, 11, 5)
    order = an_order(alice, date(2026, 11, 2), invoiced=day, shipped=day)
    an_order(bob, date(2026, 11, 2), invoiced=day, shipped=day)
    request = erased(alice)
    with gate.acting(sight.acting_as(request)):
        kept = outcome.lines(request, today=TODAY)["kept"]
    assert {one["code"] for one in kept} == {"KEEP_CONTRACT"}
    orders.mark_paid(order, actor=OPERATOR, now=NOW)
    with gate.acting(sight.acting_as(request)):
        kept = outcome.lines(request, today=TODAY)["kept"]
    ended = {one["sentence"] for one in kept if one["title"] != f"Order {order.number}"}
    assert ended == {outcome.ENDED}, "paid today: the pages say so before the sweep of the night"
    swept(SOON)
    (letter,) = second_letters(request)
    with system("letter"):
        for text in (letter.text, pages.read(letter.html)):
            assert f"Order {order.number}" in text
            assert "31 December 2033" in text
            assert "not finished" not in text and "not yet paid" not in text, "it is paid"


def test_a_run_that_broke_off_before_its_letters_is_made_good_by_the_next(answered: Answered, monkeypatch) -> None:
    request = answered.request

    class Killed(BaseException):
        pass

    def die(**_: Any) -> int:
        raise Killed

    monkeypatch.setattr(second_letter, "write", die)
    with pytest.raises(Killed):
        swept(FIRST_DAY)
    monkeypatch.undo()
    assert not second_letters(request)
    swept(date(2028, 1, 2))
    assert len(second_letters(request)) == 1


def test_without_an_address_or_with_a_file_that_ended_there_is_no_letter(answered: Answered, bob) -> None:
    order = old(bob)
    hers, his = answered.request, erased(bob)
    vault.keys.destroy([(his.pk, "request_file")], now=NOW)
    for address in ("", "alice, by phone"):  # what an earlier version took without a look
        with undone():
            with system("erasure", subject=hers.owner_id):
                one = Request.objects.get(pk=hers.pk)
                one.requester_email = address
                one.save()
            assert {one.record for one in swept(FIRST_DAY).findings} == {str(his.pk)}
            assert Order.objects.get(pk=order.pk).sealed_order is None
            assert not Letter.objects.filter(kind=second_letter.KIND).exists()


def test_what_a_second_request_ends_is_told_by_its_own_answer(answered: Answered) -> None:
    alice, order_of_2020, first = answered
    day = date(2017, 1, 2)
    Order.objects.filter(pk=order_of_2020.pk).update(placed_on=day, invoiced_on=day, paid_on=day, shipped_on=day)
    second = filed(alice, email="alice@example.com")
    made = services.make_plan(second, actor=OPERATOR, now=NOW)
    services.confirm(second, made.hash, actor=OPERATOR, now=NOW)
    run(second)
    assert not first.decisions.filter(pinned=True, done_at=None).exists()
    swept(SOON)
    assert not second_letters(first) and not second_letters(second)


def test_the_first_answer_does_not_change(answered: Answered) -> None:
    request = answered.request
    with gate.acting(sight.acting_as(request)):
        found = outcome.lines(request, today=TODAY)
    assert {one["action"] for one in found["erased"]} == {"erase"}
    assert {one["code"] for one in found["kept"]} == {"KEEP_LI"}


def test_what_was_put_back_as_it_was_before_it_was_binding_is_told_all_the_same(alice: Customer) -> None:
    old(alice)
    request = confirmed(alice)
    kept = Decision.objects.filter(request=request, action="keep")
    early = dict(kept.values_list("pk", "mac"))
    run(request)

    def told() -> int:
        with system("erasure", subject=request.owner_id):
            return len(outcome.lines(Request.objects.get(pk=request.pk), today=TODAY)["kept"])

    assert told() == len(early) > 0
    for pk, mac in early.items():
        Decision.objects.filter(pk=pk).update(pinned=False, mac=mac)
    assert len(decided.ours(kept)) == len(early), "control: each has its keyed hash of before"
    with pytest.raises(outcome.NotAsPlanned):
        told()
    report = swept(FIRST_DAY)
    assert len([one for one in report.findings if (one.step, one.error) == ("decision", "NotOurs")]) == len(early)
    assert len(second_letters(request)) == 1 and not kept.filter(done_at=None).exists()
    assert not swept(date(2028, 1, 2)).findings
