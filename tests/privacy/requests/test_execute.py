"""Carrying out: in order, once, for the confirmed plan only, whatever dies on the way."""

from __future__ import annotations

import dataclasses
import threading
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

from accounts.models import Address, Communication, Customer, FreightAccount, LoginAddress, Session, User
from orders.models import Order
from privacy import audit, gate, people, vault
from privacy.gate.log import CHAINS, AccessEntry
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import (
    assessment,
    bound,
    erasure,
    execute,
    export,
    filing,
    outcome,
    procedures,
    reading,
    services,
    sight,
)
from privacy.requests.models import Export, Request, RequestEvent
from privacy.requests.states import State
from privacy.retention import holds
from privacy.retention.models import Decision
from privacy.subjects import Subject
from privacy.vault.models import DataKey, Tombstone
from privacy.work import checkpoints
from tests import factories
from tests import people as fixtures
from tests.asked import NOW, OPERATOR, Clock, confirmed, filed, run, with_letters
from tests.beginnings import beginning
from tests.factories import an_order, an_rma, as_customer


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it."""


def kill_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next process that reaches the checkpoint die there."""

    def reach(reached: str, request: UUID | None = None) -> None:
        if reached == name:
            monkeypatch.undo()
            raise Killed

    monkeypatch.setattr(checkpoints, "reach", reach)


class Asked(NamedTuple):
    """A confirmed removal of alice's, who has an order that goes and one that stays."""

    alice: Customer
    old_order: Order
    kept_order: Order
    request: Request


@beginning
def asked() -> Asked:
    alice = fixtures.an_alice()
    old, kept = fixtures.an_old_order(alice), fixtures.a_kept_order(alice)
    return Asked(alice, old, kept, confirmed(alice))


def test_an_erasure_leaves_the_file_and_the_block_token_and_nothing_else(alice, bob, old_order, outbox) -> None:
    subject = alice.subject_id
    request = confirmed(alice)
    run(request)

    assert request.state == State.CLOSED
    assert not Subject.objects.filter(pk=subject).exists()
    assert not User.objects.exists() and not LoginAddress.objects.exists() and not Session.objects.exists()
    assert list(Customer.objects.values_list("pk", flat=True)) == [bob.pk]
    assert list(Address.objects.values_list("customer", flat=True)) == [bob.pk]
    assert not FreightAccount.objects.exists() and not Communication.objects.exists()
    order = Order.objects.get(pk=old_order.pk)
    assert order.customer_id is None and order.sealed_order is None and order.sealed_fulfilment is None
    assert order.lines.count() == 1, "what was sold stays for statistics"
    assert vault.blocks.is_blocked("email", "ALICE@example.com")
    assert vault.blocks.is_blocked("customer_ref", alice.reference)
    assert not vault.blocks.is_blocked("email", "bob@example.com")
    assert Tombstone.objects.filter(reference=request.reference).count() == 1
    assert [m.subject for m in outbox].count("Your data was removed") == 1
    # Neither database names the person any more, the log of accesses and the file included.
    assert not AccessEntry.objects.filter(whose__subject_id=subject).exists()
    live = DataKey.objects.filter(owner_id=subject, destroyed_at=None)
    assert not live.exists()
    assert not Letter.objects.exclude(sealed_letter=None).exists()
    with system("demo"):
        assert Customer.objects.get(pk=bob.pk).first_name == "Bob"


@pytest.mark.django_db(transaction=True)
def test_an_erasure_is_followed_by_signed_checkpoints_of_both_logs(alice, bob, settings, tmp_path, outbox) -> None:
    settings.CHECKPOINT_DIR = tmp_path / "checkpoints"
    with gate.acting(factories.acting_as(bob)):
        assert Customer.objects.get(pk=bob.pk).first_name == "Bob"
    request = confirmed(alice)
    run(request)

    assert request.state == State.CLOSED
    executed = audit.AuditEvent.objects.get(action="request.executed", reference=request.reference)
    signed = {chain.name: audit.seals.checkpoints(chain)[-1]["position"] for chain in CHAINS}
    assert signed["audit"] >= audit.AuditLink.objects.get(event_id=executed.pk).position
    assert signed["access"] >= 1


def test_what_must_stay_stays_with_its_customer_number_and_goes_with_the_last_record(asked: Asked) -> None:
    alice, _, kept_order, request = asked
    subject = alice.subject_id
    run(request)

    assert request.state == State.CLOSED and request.subject_id == subject
    order = Order.objects.get(pk=kept_order.pk)
    assert order.sealed_order is not None and order.sealed_fulfilment is None and order.customer_id == alice.pk
    shell = Customer.objects.get(pk=alice.pk)
    assert shell.sealed_account is None and shell.user_id is None
    assert not User.objects.exists(), "the login goes at once"
    pinned = Decision.objects.get(record_id=kept_order.pk, envelope="order")
    assert (pinned.pinned, pinned.done_at, pinned.until) == (True, None, date(2031, 12, 31))
    with system("sweep"):
        assert order.invoice_name == "Alice Whitfield"
        assert isinstance(order.ship_street, vault.Unreadable) or order.ship_street == ""


def test_when_the_last_kept_record_ends_the_shell_and_the_person_go_too(asked: Asked) -> None:
    alice, _, kept_order, request = asked
    subject = alice.subject_id
    run(request)
    last = [assessment.verdict_of(one) for one in Decision.objects.filter(pinned=True, done_at=None)]
    ending = [dataclasses.replace(one, action="erase") for one in last]
    then = NOW + timedelta(days=366 * 6)

    erasure.erase_records(ending, request=None, actor=OPERATOR, now=then)
    erasure.erase_records(ending, request=None, actor=OPERATOR, now=then)

    assert not Subject.objects.filter(pk=subject).exists() and not Customer.objects.exists()
    order = Order.objects.get(pk=kept_order.pk)
    assert (order.customer_id, order.sealed_order) == (None, None)
    assert not Decision.objects.filter(pinned=True, done_at=None).exists()
    request.refresh_from_db()
    assert request.subject_id is None and request.owner_id != subject
    with gate.acting(sight.acting_as(request)):
        assert request.requester_email == "alice@example.com", "the file can still be opened by its code"
    assert audit.history().filter(action="subject.erased").count() == 1


def test_each_step_is_done_once_and_in_order(asked: Asked) -> None:
    request = asked.request
    run(request)
    done = list(request.events.filter(kind="step").values_list("step", flat=True))
    assert done == [one for one in procedures.get("erasure").order() if one != "plan"]
    states = [e.kind for e in request.events.all() if e.kind in State.values]
    assert states == [
        "received", "identity", "planned", "confirmed", "executing", "executed", "replied", "closed",
    ]  # fmt: skip
    assert execute.advance(request.pk, now=NOW + timedelta(days=1)) == "idle"


@pytest.mark.parametrize("checkpoint", [*procedures.get("erasure").order()[1:], "between_commits"])
def test_killed_anywhere_it_is_finished_once(asked: Asked, checkpoint, monkeypatch, outbox) -> None:
    _, old_order, _, request = asked
    kill_at(checkpoint, monkeypatch)
    clock = Clock()
    with pytest.raises(Killed):
        for _ in range(30):
            execute.advance(request.pk, now=clock())
            with_letters(clock())
            clock.now += timedelta(seconds=20)
    clock.now += timedelta(minutes=5)
    run(request, clock)

    assert request.state == State.CLOSED
    shown = reading.show(request)
    assert shown["attempts"] >= 2
    assert all(s["done_at"] for s in shown["steps"])
    assert len([m for m in outbox if m.subject.startswith("Your data was removed")]) == 1
    assert Tombstone.objects.filter(reference=request.reference).count() == 1
    steps = list(RequestEvent.objects.filter(request=request, kind="step").values_list("step", flat=True))
    assert len(steps) == len(set(steps))
    erased = audit.history(reference=request.reference).filter(action="record.erased")
    assert erased.count() == len({e.record for e in erased})
    assert Order.objects.get(pk=old_order.pk).sealed_order is None
    assert not request.decisions.filter(action="erase", done_at=None).exists()


@pytest.mark.parametrize("checkpoint", procedures.get("access").order())
def test_a_copy_whose_worker_was_killed_is_made_once(alice, checkpoint, monkeypatch, outbox) -> None:
    request = filed(alice, "access")
    kill_at(checkpoint, monkeypatch)
    clock = Clock()
    with pytest.raises(Killed):
        for _ in range(30):
            execute.advance(request.pk, now=clock())
            with_letters(clock())
            clock.now += timedelta(days=8 if request.events.filter(kind="replied").exists() else 0, seconds=20)
    clock.now += timedelta(minutes=5)
    run(request, clock)
    assert request.state in (State.REPLIED, State.CLOSED)
    assert Export.objects.count() == 1 == request.letters.filter(kind="copy_ready").count()
    assert reading.show(request)["attempts"] >= 2
    assert len([m for m in outbox if m.subject == "Your copy is ready"]) == 1


def test_after_a_kill_between_the_two_commits_the_rows_already_read_erased(asked: Asked, monkeypatch) -> None:
    alice, _, _, request = asked
    kill_at("between_commits", monkeypatch)
    with pytest.raises(Killed):
        for _ in range(10):
            execute.advance(request.pk, now=NOW)
    with system("demo"):
        row = Customer.objects.get(pk=alice.pk)
        assert row.sealed_account is not None
        assert isinstance(row.first_name, vault.Erased)


def test_a_message_proves_nothing(alice) -> None:
    request = filed(alice)
    services.make_plan(request, actor=as_customer(alice), now=NOW)
    for step in procedures.get("erasure").order():
        assert (
            execute.advance(request.pk, now=NOW, step=step, version=request.version) == "stale" or step == request.step
        )
    # Even a row that says "erase" does not make it so: the site did not write it. Nor does one that an operator signed:
    # the confirmation is looked at in the table.
    Request.objects.filter(pk=request.pk).update(step="erase")
    for error in ("NotOurs", "NotConfirmed"):
        Request.objects.filter(pk=request.pk).update(next_action_at=NOW)
        assert execute.advance(request.pk, now=NOW) == "retry"
        request.refresh_from_db()
        assert request.last_error == error
        bound.seal([request.pk])
    with gate.acting(as_customer(alice)):
        assert Customer.objects.get(pk=alice.pk).first_name == "Alice"


def test_an_old_message_does_nothing(asked: Asked) -> None:
    request = asked.request
    step, version = request.step, request.version
    assert execute.advance(request.pk, now=NOW, step=step, version=version) == "wait_for_access"
    assert execute.advance(request.pk, now=NOW, step=step, version=version) == "stale"
    assert request.events.filter(kind="step").count() == 1


def test_an_erasure_waits_for_the_copy_and_the_copy_shows_what_was_there(alice) -> None:
    erasure = confirmed(alice)
    access = filed(alice, "access")
    clock = Clock()
    assert execute.run(erasure.pk, clock=clock, pause=lambda: None) == "waiting"
    run(access, clock)
    assert access.state == State.REPLIED and Export.objects.get().deleted_at is None
    run(erasure, clock)
    assert erasure.state == State.CLOSED, "it does not wait until the copy is fetched"
    access.refresh_from_db()
    _, chunks = export.fetch(access, actor=sight.acting_as(access), now=clock())
    assert b"".join(chunks)[:2] == b"PK"
    run(access, clock)
    assert access.state == State.CLOSED


def test_a_strangers_unproved_question_holds_nothing_up(alice) -> None:
    filing.ask(kind="access", email="alice@example.com", actor=gate.ANONYMOUS, now=NOW)
    request = confirmed(alice)
    run(request)
    assert request.state == State.CLOSED


def test_a_hold_placed_after_the_confirmation_is_kept_back(asked: Asked) -> None:
    _, old_order, _, request = asked
    for _ in range(4):  # up to and with the block tokens: the plan was looked at for the last time
        execute.advance(request.pk, now=NOW)
    holds.place("orders.order", old_order.pk, reason="claim", actor=OPERATOR, now=NOW)
    run(request)
    assert request.state == State.CLOSED
    assert Order.objects.get(pk=old_order.pk).sealed_order is not None
    held = request.decisions.get(record_id=old_order.pk, envelope="order")
    assert (held.action, held.code, held.pinned, held.until) == ("keep", "KEEP_CLAIMS", True, None)
    with system("erasure", subject=request.owner_id):
        kept = outcome.lines(request, today=NOW.date())["kept"]
    assert f"Order {old_order.number}" in {one["title"] for one in kept}


def test_an_open_return_keeps_its_contact_and_the_rest_goes(alice) -> None:
    rma = an_rma(alice)
    request = confirmed(alice)
    run(request)
    rma.refresh_from_db()
    assert request.state == State.CLOSED and rma.sealed_rma is not None
    assert not FreightAccount.objects.filter(customer=alice).exists()


def test_it_is_parked_after_ten_failures_and_goes_on_by_a_persons_decision(asked: Asked, monkeypatch) -> None:
    request = asked.request
    known = people.ask()
    broken = dataclasses.replace(known, sign_out=lambda *_: 1 / 0)
    monkeypatch.setattr(people, "_people", broken)
    clock = Clock()
    words = []
    for _ in range(12):
        words.append(execute.advance(request.pk, now=clock()))
        clock.now += timedelta(hours=2)
    request.refresh_from_db()
    assert words == ["wait_for_access", *["retry"] * 9, "parked", "idle"]
    assert (request.state, request.attempts, request.last_error) == (State.PARKED, 10, "ZeroDivisionError")
    assert audit.history(reference=request.reference).filter(action="request.parked").count() == 1
    monkeypatch.undo()
    services.resume(request, actor=OPERATOR, now=clock())
    run(request, clock)
    assert request.state == State.CLOSED


def test_it_is_parked_when_ten_workers_were_killed_at_it_and_told_nobody(asked: Asked, monkeypatch) -> None:
    request, clock = asked.request, Clock()
    for _ in range(execute.MOST_ATTEMPTS):
        kill_at("wait_for_access", monkeypatch)
        with pytest.raises(Killed):  # once the lease of the one before is over
            execute.run(request.pk, clock=clock, pause=lambda: setattr(clock, "now", clock.now + timedelta(hours=2)))
    clock.now += timedelta(hours=2)
    assert execute.advance(request.pk, now=clock()) == "parked"
    request.refresh_from_db()
    assert (request.state, request.attempts, request.last_error) == (State.PARKED, execute.MOST_ATTEMPTS, "")


@pytest.mark.django_db(transaction=True)
def test_what_others_do_between_the_lease_and_the_step_costs_no_step(alice) -> None:
    """Another worker holds the row, a statement takes too long meanwhile, and the person takes the request back."""
    request = confirmed(alice)
    other = connection.copy()
    between: list[Any] = []

    def leased(execute: Any, sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        if sql.startswith('UPDATE "privacy_request"') and '"tries"' in sql and between:
            transaction.on_commit(between.pop())
        return done

    def hold() -> None:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM privacy_request WHERE id = %s FOR UPDATE", [request.pk])

    words, clock = [], Clock()
    try:
        for limit, act in (
            ("SET lock_timeout = '20ms'", hold),
            ("SET statement_timeout = '20ms'", hold),
            ("RESET ALL", lambda: services.withdraw(request, actor=as_customer(alice), now=clock())),
        ):
            between.append(act)
            with connection.cursor() as cursor:
                cursor.execute(limit)
            with connection.execute_wrapper(leased):
                words.append(execute.advance(request.pk, now=clock()))
            other.rollback()
            with connection.cursor() as cursor:
                cursor.execute("RESET ALL")
            clock.now += timedelta(hours=2)
    finally:
        other.close()
    assert words == ["busy", "retry", "stale"] and not between
    request.refresh_from_db()
    assert (request.state, request.last_error, request.tries) == (State.WITHDRAWN, "", {"wait_for_access": 3})


def test_everybody_is_signed_out_and_waiting_mail_stops(alice, client: Any) -> None:
    from privacy import letters

    client.force_login(alice.user)
    assert Session.objects.exists()
    letters.queue_message(_message("alice@example.com"), "other:1", now=NOW, subject=alice.subject_id)
    request = confirmed(alice)
    for _ in range(3):
        execute.advance(request.pk, now=NOW)
    assert not Session.objects.exists()
    other = Letter.objects.get(key="other:1")
    assert other.stopped_at is not None and other.sealed_letter is None and other.sent_at is None


def test_the_copy_of_a_company_contact_and_its_erasure_leave_the_company(db) -> None:
    firm = factories.company("Lumen Works")
    anna = factories.customer("Anna", "Agent", email="anna@lumen.example", company=firm)
    an_order(anna, date(2024, 5, 2), invoiced=date(2024, 5, 10), shipped=date(2024, 5, 10), paid=date(2024, 5, 10))
    request = confirmed(anna)
    run(request)
    firm.refresh_from_db()
    assert request.state == State.CLOSED and firm.sealed_company is not None


def _message(to: str) -> Any:
    from django.core.mail import EmailMultiAlternatives

    return EmailMultiAlternatives("News", "Text", to=[to])


@pytest.mark.django_db(transaction=True)
def test_four_workers_at_once_do_each_step_once(alice, old_order, kept_order) -> None:
    request = confirmed(alice)
    clock, gate_ = Clock(), threading.Barrier(4)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            gate_.wait()
            for _ in range(60):
                execute.advance(request.pk, now=clock())
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    run(request, clock)
    assert request.state == State.CLOSED
    steps = list(request.events.filter(kind="step").values_list("step", flat=True))
    assert len(steps) == len(set(steps)) == len(procedures.get("erasure").order()) - 1
    assert Letter.objects.filter(request=request, kind="erasure_done").count() == 1
    assert Tombstone.objects.filter(kind="request").count() == 1
    assert connection.in_atomic_block is False


@pytest.mark.django_db(transaction=True)
def test_sixteen_filings_at_once_are_one_request(alice) -> None:
    barrier, made = threading.Barrier(16), []

    def work() -> None:
        try:
            barrier.wait()
            made.append(filed(alice).pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 16 and len(set(made)) == 1
    assert Request.objects.count() == 1
    assert RequestEvent.objects.filter(kind="received").count() == 16
