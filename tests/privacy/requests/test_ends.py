"""The sweep and the task that follows the ledger may end the same records: whichever comes first, the audit tells it
once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from accounts import logins
from accounts.models import Communication, Customer, User
from orders.models import Order
from privacy import audit, letters, vault
from privacy.audit.models import AuditEvent
from privacy.letters import sending
from privacy.letters.models import Letter
from privacy.requests import assessment, erasure, execute
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.restore import replay
from privacy.retention import restriction
from privacy.retention.verdict import Verdict
from privacy.subjects import Subject
from privacy.sweep import arming
from tests import factories
from tests.asked import NOW, OPERATOR, TODAY, confirmed
from tests.factories import a_customer, an_order
from tests.orders.test_import_race import Other, until_somebody_waits

PAST = date(2017, 5, 10)
KINDS = ("accounts.communication", "orders.order")
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _file(settings: Any, tmp_path: Any) -> None:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")


class Lost(Exception):
    """PostgreSQL was restarted between the two commits."""


def records() -> list[Verdict]:
    """Three orders and two messages whose reasons have ended; bob's stay."""
    alice, bob = a_customer("C-1"), a_customer("C-2")
    for _ in range(3):
        an_order(alice, PAST, invoiced=PAST, shipped=PAST, paid=PAST)
    factories.communication(alice)
    factories.communication(alice)
    factories.communication(bob)
    found = assessment.assess_all(alice.subject_id, today=TODAY, asked=True)
    return [one for one in found if one.label in KINDS]


def by_sweep(verdicts: list[Verdict]) -> None:
    erasure.erase_records(verdicts, request=None, actor=OPERATOR, now=NOW)


def by_ledger(_: list[Verdict]) -> None:
    replay.follow(actor=OPERATOR, now=NOW)


def lose(verdicts: list[Verdict]) -> None:
    """Destroy the keys as a sweep does, whose transaction on the main database is lost then."""
    with pytest.raises(Lost), transaction.atomic():
        by_sweep(verdicts)
        raise Lost
    pairs = {(one.record_id, one.envelope) for one in verdicts}
    assert vault.keys.destroyed(sorted(pairs)) == pairs
    assert not AuditEvent.objects.filter(action="record.erased").exists()


def told() -> Counter[str]:
    return Counter(AuditEvent.objects.filter(action="record.erased").values_list("record", flat=True))


def once(verdicts: list[Verdict]) -> Counter[str]:
    return Counter({audit.encoding.record_hash(*one): 1 for one in {(one.label, one.record_id) for one in verdicts}})


def is_ended(verdicts: list[Verdict]) -> bool:
    ids: set[UUID] = {one.record_id for one in verdicts}
    left = Order.objects.filter(pk__in=ids).values_list("sealed_order", "sealed_fulfilment", "customer_id")
    return set(left) == {(None, None, None)} and not Communication.objects.filter(pk__in=ids).exists()


ORDERS = pytest.mark.parametrize(
    ("first", "then"), [(by_sweep, by_ledger), (by_ledger, by_sweep)], ids=["sweep, ledger", "ledger, sweep"]
)


@ORDERS
def test_after_a_lost_transaction_each_end_is_told_once_by_whoever_comes_first(
    first: Callable[..., None], then: Callable[..., None]
) -> None:
    verdicts = records()
    lose(verdicts)
    first(verdicts)
    then(verdicts)
    assert is_ended(verdicts)
    assert told() == once(verdicts)
    assert Communication.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@ORDERS
def test_after_a_lost_transaction_two_who_end_the_same_at_once_tell_it_once(
    first: Callable[..., None], then: Callable[..., None]
) -> None:
    verdicts = records()
    lose(verdicts)
    with transaction.atomic():
        first(verdicts)
        other = Other(lambda: then(verdicts))
        assert until_somebody_waits(other)
    other.result()
    assert is_ended(verdicts)
    assert told() == once(verdicts)


def test_an_end_that_was_told_of_a_part_is_told_of_the_rest_and_no_more() -> None:
    verdicts = [one for one in records() if one.label == "orders.order"]
    for envelope in ("fulfilment", "fulfilment", "order"):
        by_sweep([one for one in verdicts if one.envelope == envelope])
    by_sweep(verdicts)
    names = {envelope: sorted({n for one in verdicts if one.envelope == envelope for n in one.data})
             for envelope in ("fulfilment", "order")}  # fmt: skip
    events = AuditEvent.objects.filter(action="record.erased", label="orders.order").order_by("pk")
    assert Counter(len(one.fields) for one in events) == {
        len(names["fulfilment"]): len(verdicts) // 2, len(names["order"]): len(verdicts) // 2,
    }  # fmt: skip


def test_a_record_in_which_nothing_was_ever_entered_is_told_of_once() -> None:
    verdicts = records()
    Communication.objects.filter(pk__in=[one.record_id for one in verdicts]).update(sealed_support=None)
    by_sweep(verdicts)
    by_sweep(verdicts)
    assert told() == once(verdicts)


@pytest.mark.django_db(transaction=True)
def test_two_who_end_the_same_person_at_once_tell_it_once() -> None:
    nobody = factories.subject()
    ended: list[bool] = []

    def end() -> None:
        ended.append(erasure.end_shells(nobody.pk, actor=OPERATOR, now=NOW))

    with transaction.atomic():
        end()
        other = Other(end)
        assert until_somebody_waits(other)
    other.result()
    assert ended == [True, True]
    assert not Subject.objects.filter(pk=nobody.pk).exists()
    assert AuditEvent.objects.filter(action="subject.erased").count() == 1


# Whatever else is told of something that another worker may have done -------------------------------------------------


def an_interrupted_letter() -> tuple[str, Callable[[], Any]]:
    letter = letters.queue("expired", to="alice@example.com", context={}, key="one", now=NOW)
    Letter.objects.filter(pk=letter.pk).update(sending_at=NOW)
    return "letter.interrupted", lambda: sending.report_interrupted(now=NOW + timedelta(hours=1))


def a_letter_whose_code_has_lapsed() -> tuple[str, Callable[[], Any]]:
    letter = letters.queue("expired", to="alice@example.com", context={}, key="one", now=NOW)
    return "letter.lapsed", transaction.atomic(lambda: letters.end_credentials([letter.pk], now=NOW))


def a_login_of_staff() -> tuple[str, Callable[[], Any]]:
    carol = factories.staff()
    return "login.ended", lambda: logins.end_staff(User.objects.get(pk=carol.pk), actor=OPERATOR, now=NOW)


def an_armed_sweep() -> tuple[str, Callable[[], Any]]:
    arming.arm(actor=OPERATOR)
    return "retention.disarmed", lambda: arming.disarm(actor=OPERATOR)


def a_restriction_that_nothing_asks_for() -> tuple[str, Callable[[], Any]]:
    order = an_order(a_customer(), PAST)
    vault.keys.restrict({(order.pk, "order"): "order:2031-12-31"})
    return "record.released", lambda: restriction.settle("orders.order", [order.pk], actor=OPERATOR, now=NOW)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "make",
    [
        an_interrupted_letter,
        a_letter_whose_code_has_lapsed,
        a_login_of_staff,
        an_armed_sweep,
        a_restriction_that_nothing_asks_for,
    ],
    ids=lambda make: make.__name__,
)
def test_two_who_do_the_same_at_once_tell_it_once(make: Callable[[], tuple[str, Callable[[], Any]]]) -> None:
    action, do = make()
    with transaction.atomic():
        do()
        other = Other(do)
        until_somebody_waits(other)
    other.result()
    assert AuditEvent.objects.filter(action=action).count() == 1


def test_a_restriction_whose_end_a_killed_worker_told_is_lifted_and_not_told_again() -> None:
    action, settle = a_restriction_that_nothing_asks_for()
    settle()  # killed between its commit and the lifting: a test's transaction never commits
    assert settle() == 1, "it is still to be lifted"
    assert AuditEvent.objects.filter(action=action).count() == 1


def test_a_request_that_another_worker_has_parked_is_not_parked_again(alice: Customer) -> None:
    request = confirmed(alice)
    Request.objects.filter(pk=request.pk).update(attempts=execute.MOST_ATTEMPTS)
    assert [execute._failed(request.pk, "Broken", NOW) for _ in range(2)] == ["parked", "parked"]
    request.refresh_from_db()
    assert (request.state, request.parked_from) == (State.PARKED, State.CONFIRMED)
    assert audit.history(reference=request.reference).filter(action="request.parked").count() == 1
