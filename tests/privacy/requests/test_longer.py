"""A day that was told ends no open matter: it moves with a letter that says why, and with nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from accounts.models import Customer
from orders import services as orders
from orders.models import Order
from privacy import audit, gate, vault
from privacy.gate import matrix
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import history, longer, outcome, posting, services, sight, writing
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import decided, due, holds
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly, second_letter
from privacy.sweep.report import SweepReport
from privacy.work.broken import Findings
from rma.models import RMA
from tests import factories, pages, people
from tests.asked import NOW, OPERATOR, PRIVACY, Clock, confirmed, filed, run, with_letters
from tests.beginnings import beginning
from tests.factories import TASK, an_order, an_rma, as_customer, moved

LAST_DAY, FIRST_DAY, LATER = date(2033, 12, 31), date(2034, 1, 1), date(2041, 12, 31)
NEXT = FIRST_DAY + timedelta(days=1)
#: A day that was told and comes while the file of the request is there.
SOON, AFTER_SOON, LATEST = date(2026, 12, 31), date(2027, 1, 1), date(2033, 12, 31)


@pytest.fixture(autouse=True)
def _any_day(settings: Any, db: None) -> None:
    settings.DEMO = True
    arming.arm(actor=OPERATOR)


def unpaid(customer: Customer) -> Order:
    day = date(2026, 11, 5)
    return an_order(customer, date(2026, 11, 2), invoiced=day, shipped=day)


def erased(customer: Customer) -> Request:
    """A removal that was carried out."""
    request = confirmed(customer)
    answered(request)
    assert request.state == State.CLOSED
    return request


class Kept(NamedTuple):
    """A removal of a person's that was carried out, and what stays of them because of one order."""

    person: Customer
    order: Order
    request: Request


@beginning
def unfinished() -> Kept:
    """Her order is not paid."""
    alice = people.an_alice()
    order = unpaid(alice)
    return Kept(alice, order, erased(alice))


@beginning
def finished() -> Kept:
    """Her order is paid, and its records are kept for their period."""
    alice, day = people.an_alice(), date(2026, 11, 5)
    order = an_order(alice, day, invoiced=day, shipped=day, paid=day)
    return Kept(alice, order, erased(alice))


@beginning
def of_nora() -> Kept:
    """No mail and no post reaches her, and her order is not paid."""
    nora = factories.customer("Nora", "Nowhere", email="")
    order = unpaid(nora)
    return Kept(nora, order, erased(nora))


def a_mia() -> Customer:
    """Only post reaches her."""
    mia = factories.customer("Mia", "Mute", email="")
    factories.address(mia)
    return mia


@beginning
def of_mia() -> Kept:
    """Her order is not paid."""
    mia = a_mia()
    order = unpaid(mia)
    return Kept(mia, order, erased(mia))


def tell(request: Request, until: date) -> None:
    """Let the person have been told this day of all that was kept."""
    decided.change(Decision.objects.filter(request=request, pinned=True), until=until)


def answered(request: Request) -> None:
    run(request)
    for one in Letter.objects.filter(request=request, by=Letter.By.POST, sent_at=None, stopped_at=None):
        posting.mark_posted(one, actor=PRIVACY, now=NOW)
        run(request, Clock(NOW + timedelta(hours=1)))


def swept(on: date, *, dry_run: bool = False) -> SweepReport:
    with system("sweep"):
        return nightly.sweep(on=on, dry_run=dry_run, actor=OPERATOR)


def told(request: Request) -> list[Letter]:
    return list(Letter.objects.filter(request=request, kind=longer.KIND).order_by("queued_at", "id"))


def texts(letter: Letter) -> tuple[str, str]:
    with system("letter"):
        return letter.text, pages.read(letter.html)


def decision(request: Request, order: Order, envelope: str) -> Decision:
    return Decision.objects.get(request=request, record_id=order.pk, envelope=envelope)


def is_there(record: Any, envelope: str) -> bool:
    return not vault.keys.is_destroyed(record.pk, envelope)


def test_an_unpaid_invoice_outlives_the_day_that_was_told_and_the_person_is_written_why(
    unfinished: Kept, bob: Customer
) -> None:
    alice, order, request = unfinished
    bobs = unpaid(bob)
    assert decision(request, order, "fulfilment").until == LAST_DAY
    swept(LAST_DAY)
    assert not told(request)
    report = swept(FIRST_DAY)
    assert (report.erased, report.broken) == (0, 0) and report.kept > 0
    assert is_there(order, "fulfilment") and is_there(order, "order") and is_there(alice, "account")
    for envelope in ("fulfilment", "order"):
        one = decision(request, order, envelope)
        assert (one.code, one.until, one.done_at) == ("KEEP_CONTRACT", LATER, None), envelope
    (letter,) = told(request)
    for text in texts(letter):
        assert f"Order {order.number}" in text and "is not yet shipped, not yet invoiced or not yet paid" in text
        assert "We had told you: 31 December 2033" in text
        assert "Until: 31 December 2041, or earlier once what is open is finished" in text
        assert due.OPEN_ARMED in text
        assert bobs.number not in text
    assert Letter.objects.filter(kind=longer.KIND).count() == 1, "bob asked for nothing"
    assert is_there(bobs, "order") and is_there(bobs, "fulfilment")


def test_the_day_is_told_once_and_what_it_was_stands_in_the_events_of_the_request(unfinished: Kept) -> None:
    _, order, request = unfinished
    early = decision(request, order, "order")
    for day in (FIRST_DAY, FIRST_DAY, NEXT):
        swept(day)
    assert len(told(request)) == 1
    number = decision(request, order, "order").pk
    kept = request.events.filter(kind=history.DAY_CAME).values_list("detail", flat=True)
    assert {
        "decision": number, "envelope": "order", "told": "2033-12-31", "until": "2041-12-31", "code": "KEEP_CONTRACT",
    } in kept  # fmt: skip
    assert len({one["decision"] for one in kept}) == len(kept)
    assert audit.history(reference=request.reference).filter(action="request.day_came").count() == 1
    early.save()  # put back with its keyed hash of before: the day that was told last is told and written again
    swept(NEXT + timedelta(days=1))
    assert len(told(request)) == 2 and decision(request, order, "order").until == LATER


def written(on: date) -> int:
    with system("sweep"):
        return longer.write(on=on, actor=OPERATOR, now=NOW, findings=Findings())


def test_of_what_is_gone_finished_or_ended_otherwise_no_day_moves(unfinished: Kept) -> None:
    alice, order, request = unfinished
    tell(request, until=SOON)
    orders.mark_paid(order, actor=TASK, now=NOW)
    decided.change(Decision.objects.filter(record_id=alice.pk), record_id=uuid4())
    decided.change(Decision.objects.filter(record_id=order.pk, envelope="order"), envelope="payment")
    assert written(AFTER_SOON) == 0 and not told(request)
    assert not request.events.filter(kind__in=(history.DAY_CAME, history.NOBODY_TOLD)).exists()


def test_an_address_of_old_that_is_none_moves_no_day_and_the_team_reads_it(unfinished: Kept) -> None:
    _, order, request = unfinished
    with vault.internal():
        request.requester_email = "alice at example.com"
        request.save(update_fields=["requester_email"])
    tell(request, until=SOON)
    assert written(AFTER_SOON) == 0 and not told(request)
    assert list(longer.untold()) == [request] and decision(request, order, "order").until == SOON


def test_what_was_open_goes_in_the_night_after_it_was_finished(unfinished: Kept) -> None:
    alice, order, request = unfinished
    tell(request, until=SOON)
    swept(AFTER_SOON)
    assert decision(request, order, "order").until == LATEST
    orders.mark_paid(order, actor=TASK, now=NOW)
    swept(AFTER_SOON + timedelta(days=1))
    assert not is_there(order, "fulfilment") and not is_there(alice, "account")
    (letter,) = Letter.objects.filter(request=request, kind=second_letter.KIND)
    assert f"Order {order.number}" in texts(letter)[0]


def test_on_the_day_that_was_told_what_is_finished_goes_and_what_is_open_stays(alice: Customer) -> None:
    day = date(2026, 11, 5)
    finished, order = an_order(alice, day, invoiced=day, shipped=day, paid=day), unpaid(alice)
    request = erased(alice)
    swept(FIRST_DAY)
    assert not is_there(finished, "order") and is_there(order, "order")
    assert finished.number not in texts(told(request)[0])[0]


def test_an_open_return_outlives_it_and_opens_to_those_who_work_on_it(alice: Customer) -> None:
    rma = moved(an_rma(alice), "authorised", "received")
    request = erased(alice)
    tell(request, until=SOON)
    swept(AFTER_SOON)
    assert is_there(rma, "rma") and is_there(alice, "account")
    assert RMA.objects.get(pk=rma.pk).restriction("rma") == "open_rma"
    assert "This return is not finished" in texts(told(request)[0])[0]


def test_before_the_letter_a_page_names_no_new_day(unfinished: Kept) -> None:
    _, order, request = unfinished
    tell(request, until=SOON)
    with gate.acting(sight.acting_as(request)):
        kept = outcome.lines(request, today=AFTER_SOON)["kept"]
        assert {one["until"] for one in kept if order.number in one["title"]} == {None}
        assert all(one["sentence"] not in (outcome.ENDED, outcome.GONE) for one in kept)
    swept(AFTER_SOON)
    with gate.acting(sight.acting_as(request)):
        kept = outcome.lines(request, today=AFTER_SOON)["kept"]
        assert {one["until"] for one in kept if order.number in one["title"]} == {LATEST}


def test_a_hold_on_the_day_is_told_once_and_what_was_due_goes_when_it_is_lifted(finished: Kept) -> None:
    _, order, request = finished
    holds.place("orders.order", order.pk, reason="claim", actor=PRIVACY, now=NOW)
    for day in (FIRST_DAY, NEXT):
        swept(day)
        assert is_there(order, "order")
    (letter,) = told(request)
    for text in texts(letter):
        assert "It may be needed for a legal claim" in text and "Until: the legal claim is settled" in text
    assert decision(request, order, "order").until == LAST_DAY, "what was told stands"
    holds.lift("orders.order", order.pk, actor=PRIVACY, now=NOW)
    swept(NEXT)
    assert not is_there(order, "order")


def test_another_request_that_waits_on_the_day_is_told_and_answered_first(finished: Kept) -> None:
    alice, order, request = finished
    copy = filed(alice, "access")
    swept(FIRST_DAY)
    assert is_there(order, "order")
    (letter,) = told(request)
    for text in texts(letter):
        assert longer.UNANSWERED in text and "Until: what is said here is settled" in text
    services.withdraw(copy, actor=as_customer(alice), now=NOW)
    swept(NEXT)
    assert not is_there(order, "order") and len(told(request)) == 1


def test_a_day_does_not_move_where_nobody_can_be_told(of_nora: Kept) -> None:
    _, order, request = of_nora
    vault.keys.destroy([(request.pk, "request_file")], now=NOW)  # it has outlived its own reason
    for day in (FIRST_DAY, NEXT):
        swept(day)
    assert not told(request) and not request.events.filter(kind=history.DAY_CAME).exists()
    assert is_there(order, "order") and decision(request, order, "order").until == LAST_DAY
    noted = [
        one["decision"] for one in request.events.filter(kind=history.NOBODY_TOLD).values_list("detail", flat=True)
    ]
    assert noted and len(noted) == len(set(noted)), "noted once for each, however many nights go by"
    assert list(longer.untold()) == [request], "the privacy team reads it among its work"
    orders.mark_paid(order, actor=TASK, now=NOW)
    swept(NEXT)
    assert not is_there(order, "order"), "the day that was told is over, and nothing is open"
    assert not longer.untold().exists()


def test_who_can_be_told_after_all_leaves_the_list(of_nora: Kept) -> None:
    nora, _, request = of_nora
    vault.keys.destroy([(request.pk, "request_file")], now=NOW)
    swept(FIRST_DAY)
    assert list(longer.untold()) == [request]
    factories.address(nora, street="9 Found Lane")
    nora.contact_points.update(since=NOW - timedelta(days=400))
    swept(NEXT)
    assert len(told(request)) == 1 and not longer.untold().exists()


def test_once_the_file_of_the_request_is_gone_the_letter_goes_to_the_address_on_file(unfinished: Kept) -> None:
    request = unfinished.request
    vault.keys.destroy([(request.pk, "request_file")], now=NOW)
    swept(FIRST_DAY)
    (letter,) = told(request)
    with system("letter"):
        assert letter.to == "alice@example.com"


@pytest.mark.parametrize("is_file_gone", [False, True])
def test_whom_no_mail_reaches_is_told_by_post(of_mia: Kept, is_file_gone: bool) -> None:
    request = of_mia.request
    if is_file_gone:
        vault.keys.destroy([(request.pk, "request_file")], now=NOW)
    swept(FIRST_DAY)
    (letter,) = told(request)
    assert letter.by == Letter.By.POST and texts(letter)[0].startswith("Mia Mute\n12 Elm Street\nSalem MA 01970\n")


def test_the_letter_is_burned_once_it_has_gone_out(unfinished: Kept, outbox: list[Any]) -> None:
    request = unfinished.request
    swept(FIRST_DAY)
    outbox.clear()
    with_letters(NOW + timedelta(days=4000))
    assert [one.subject for one in outbox] == ["A day that we told you has come, and something is still open"]
    Letter.objects.filter(request=request).update(queued_at=NOW)
    swept(NEXT)
    (letter,) = told(request)
    assert letter.sealed_letter is None and vault.keys.is_destroyed(letter.pk, "letter")


def test_a_run_that_dies_while_it_writes_moves_no_day_and_the_next_one_does(
    unfinished: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, order, request = unfinished

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    for where, name in ((writing, "queue"), (history, "event"), (audit, "record")):
        monkeypatch.setattr(where, name, die)
        with pytest.raises(Killed):
            swept(FIRST_DAY)
        monkeypatch.undo()
        assert not told(request) and not request.events.filter(kind=history.DAY_CAME).exists()
        assert decision(request, order, "order").until == LAST_DAY and is_there(order, "order")
    swept(FIRST_DAY)
    assert len(told(request)) == 1 and decision(request, order, "order").until == LATER


def test_a_dry_run_counts_what_stays_and_moves_and_writes_nothing(unfinished: Kept) -> None:
    _, order, request = unfinished
    report = swept(FIRST_DAY, dry_run=True)
    assert report.kept > 0 and not told(request)
    assert decision(request, order, "order").until == LAST_DAY


def test_of_two_requests_about_one_order_the_earlier_day_counts(finished: Kept) -> None:
    alice, order, first = finished
    second = filed(alice, email="alice@example.com")
    made = services.make_plan(second, actor=OPERATOR, now=NOW)
    services.confirm(second, made.hash, actor=OPERATOR, now=NOW)
    answered(second)
    assert second.state == State.CLOSED
    decided.change(Decision.objects.filter(request=first, record_id=order.pk), until=date(2030, 12, 31))
    swept(date(2031, 1, 1))
    assert not is_there(order, "order")
    assert not Decision.objects.filter(record_id=order.pk, pinned=True, done_at=None).exists()


def test_roles_that_an_open_matter_needs_are_those_of_before(unfinished: Kept) -> None:
    _, order, request = unfinished
    before = Order.objects.get(pk=order.pk).restriction("fulfilment")
    decided.change(Decision.objects.filter(request=request, record_id=order.pk), until=date(2026, 11, 1))
    swept(date(2026, 12, 1))
    after = Order.objects.get(pk=order.pk).restriction("fulfilment")
    assert matrix.kept_for(after) == matrix.kept_for(before) and "unpaid" in after


def test_while_the_answer_itself_has_not_gone_out_no_letter_says_that_something_stays() -> None:
    mia = a_mia()
    order = unpaid(mia)
    request = confirmed(mia)
    run(request)
    assert request.state == State.EXECUTED
    swept(FIRST_DAY)
    assert not told(request) and is_there(order, "order")
    answered(request)
    swept(NEXT)
    assert len(told(request)) == 1
