"""One broken record is a finding; the sweep, plans, copies, keys, seals, requests and letters of all others go on.

Each test breaks one row behind the program's back, past every check, and looks at its neighbours.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
import time_machine
from billiard.exceptions import SoftTimeLimitExceeded
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, connection, models, transaction
from django.test import Client
from django.utils import timezone

from accounts import unconfirmed
from accounts.models import Customer, User
from orders.models import Order
from privacy import audit, letters, tasks, vault
from privacy.audit import AuditEvent, AuditLink
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import bound, broker, contradictions, execute, export, services, waits, writing
from privacy.requests.contents import NO_DAY
from privacy.requests.models import Export, Request, SecondLook
from privacy.requests.states import State
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly
from privacy.work import apart, broken
from tests.accounts.test_sign_up import sign_up
from tests.asked import NOW, Clock, confirmed, filed, run
from tests.factories import TASK, a_customer, an_order, as_customer

BEYOND = "20000-01-01"  # a day for the database, and for no calendar of ours


def spoil(record: models.Model, **columns: str) -> None:
    """Write into a row what no door of the program lets in."""
    table = record._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table])
        for (name,) in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for column, value in columns.items():
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, str(record.pk)])
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def bought(customer: Customer, year: int) -> Order:
    day = date(year, 6, 10)
    order = an_order(customer, day, invoiced=day, shipped=day, paid=day)
    Customer.objects.filter(pk=customer.pk).update(last_active_on=date(2026, 11, 1))
    return order


def is_readable(order: Order) -> bool:
    return not vault.keys.is_destroyed(order.pk, "order")


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


@pytest.fixture
def neighbours(db: None) -> list[Order]:
    """Three orders that are due, of three people."""
    return [bought(a_customer(), 2017) for _ in range(3)]


# The sweep -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [BEYOND, "9999-12-31"])
@pytest.mark.parametrize("column", ["shipped_on", "closed_on", "invoiced_on"])
def test_the_sweep_goes_past_a_broken_order_and_names_it(neighbours: list[Order], column: str, day: str) -> None:
    spoil(neighbours[1], **{column: day})
    arming.arm(actor=TASK)
    report = nightly.sweep(on=date(2026, 12, 1), dry_run=False, actor=TASK)
    assert [is_readable(order) for order in neighbours] == [False, True, False]
    assert (report.erased, report.broken) == (2, 1)
    assert {(one.label, one.record) for one in report.findings} == {("orders.order", str(neighbours[1].pk))}


def test_the_command_ends_with_4_and_names_the_record_and_nobody(neighbours: list[Order]) -> None:
    spoil(neighbours[0], shipped_on=BEYOND)
    arming.arm(actor=TASK)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Left as found: 1 broken record;") as ended:
        call_command("retention_sweep", "--on", "2026-12-01", "--json", stdout=out)
    assert ended.value.returncode == 4
    found = json.loads(out.getvalue())
    assert (found["erased"], found["broken"]) == (2, 1)
    assert str(neighbours[0].pk) in out.getvalue() and "Whitfield" not in out.getvalue()
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Left as found: 1 broken record;"):
        call_command("retention_sweep", "--on", "2026-12-01", stdout=out)
    named = [f"  broken: orders.order {neighbours[0].pk} ({one['step']}: {one['error']})" for one in found["findings"]]
    assert named and out.getvalue().splitlines()[-len(named) :] == named


def test_a_record_that_cannot_be_ended_leaves_the_others_of_its_batch(neighbours: list[Order]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON orders_order FOR EACH ROW "
            f"WHEN (OLD.id = '{neighbours[1].pk}') EXECUTE FUNCTION pg_temp.no()"
        )
    arming.arm(actor=TASK)
    report = nightly.sweep(on=date(2026, 12, 1), dry_run=False, actor=TASK)
    assert (report.erased, report.broken) == (2, 1)
    assert [Order.objects.get(pk=order.pk).sealed_order is None for order in neighbours] == [True, False, True]


def test_a_promise_about_a_broken_record_is_not_marked_kept(alice, kept_order) -> None:
    request = confirmed(alice)
    run(request)
    promised = Decision.objects.filter(record_id=kept_order.pk, pinned=True, done_at=None)
    assert promised.exists()
    spoil(kept_order, closed_on=BEYOND)
    promised.update(code="KEEP_CONTRACT")  # looked at every night
    arming.arm(actor=TASK)
    report = nightly.sweep(on=date(2026, 12, 1), dry_run=False, actor=TASK)
    assert report.broken == 1
    assert promised.exists()
    assert is_readable(kept_order)


# Copy and removal of the person herself ------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [BEYOND, "9999-12-31"])
def test_a_person_with_a_broken_record_gets_a_copy_with_everything_else(alice, old_order, kept_order, day: str) -> None:
    spoil(kept_order, shipped_on=day)
    request = filed(alice, "access")
    clock = Clock()
    run(request, clock)
    _, chunks = export.fetch(request, actor=as_customer(alice), now=clock())
    page = zipfile.ZipFile(io.BytesIO(b"".join(chunks))).read("index.html").decode()
    for value in ("Archer", "17 Quince Row", old_order.number, kept_order.number, "Ring twice."):
        assert value in page, value
    assert (NO_DAY if day == BEYOND else "31 December 9999") in page


@pytest.mark.parametrize("day", [BEYOND, "9999-12-31"])
def test_a_removal_ends_what_can_be_judged_and_the_rest_once_it_is_mended(
    alice, bob, old_order, kept_order, day: str
) -> None:
    spoil(old_order, shipped_on=day)
    request = confirmed(alice)
    run(request)
    request.refresh_from_db()
    assert request.state in (State.REPLIED, State.CLOSED), (request.step, request.last_error)
    assert vault.keys.is_destroyed(alice.pk, "account")
    assert is_readable(old_order), "nobody can say how long it must be kept"
    waiting = Decision.objects.get(record_id=old_order.pk, envelope="order")
    assert (waiting.action, waiting.until, waiting.pinned) == ("keep", None, True)
    Order.objects.filter(pk=old_order.pk).update(shipped_on=date(2017, 5, 10))
    arming.arm(actor=TASK)
    with system("sweep"):
        assert nightly.sweep(on=date(2026, 12, 1), dry_run=False, actor=TASK).broken == 0
    assert not is_readable(old_order)
    assert is_readable(kept_order)
    assert not vault.keys.is_destroyed(bob.pk, "account")


def test_the_plan_says_why_a_broken_record_stays(alice, old_order) -> None:
    spoil(old_order, shipped_on=BEYOND)
    request = filed(alice)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    kept = [one for one in made.kept if one.record_id == old_order.pk]
    assert {one.sentence for one in kept} and all(
        "A date in this record cannot be right" in one.sentence for one in kept
    )
    assert "1 record stays until what is said beside the record is settled; then it is due to go." in made.summary()


# Those who walk over everything --------------------------------------------------------------------------------------


def test_the_poller_wakes_the_others(
    alice, bob, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(broker, "answers", lambda: True)
    monkeypatch.setattr(current_app, "send_task", lambda name, message=(), **_: sent.append(message[0]))
    broken, sound = confirmed(alice), confirmed(bob)
    spoil(broken, legal_due_on=BEYOND)
    with django_capture_on_commit_callbacks(execute=True):
        assert broker.poll(now=NOW) == 2
    assert str(sound.pk) in sent


def test_a_request_that_cannot_be_read_is_parked_after_ten_tries_and_the_others_are_carried_out(alice, bob) -> None:
    broken, sound = confirmed(alice), confirmed(bob)
    spoil(broken, legal_due_on=BEYOND)
    now, words = NOW, []
    for _ in range(execute.MOST_ATTEMPTS + 1):  # a message of before may come once more
        words.append(execute.advance(broken.pk, now=now))
        now += timedelta(hours=2)
    assert words == ["retry"] * (execute.MOST_ATTEMPTS - 1) + ["parked", "parked"]
    row = Request.objects.filter(pk=broken.pk)
    assert row.values_list("state", "parked_from", "last_error").get() == ("parked", "confirmed", "ValueError")
    assert AuditEvent.objects.filter(action="request.parked").count() == 1
    assert bound.is_bound(broken.pk), "the site parked it"
    spoil(broken, legal_due_on=NOW.date())
    assert contradictions.of(broken.pk) == []
    run(sound)
    assert vault.keys.is_destroyed(bob.pk, "account")


def test_a_letter_that_cannot_be_read_does_not_stand_before_the_others(db: None, outbox: list[Any]) -> None:
    first, old, second = (
        letters.queue("account_ending", to=f"{name}@example.com", context={"name": name}, key=name, now=NOW)
        for name in ("alice", "carol", "bob")
    )
    Letter.objects.filter(pk__in=[old.pk, second.pk]).update(is_apart=False)  # of an earlier version
    for one in (first, old):
        spoil(one, queued_at=BEYOND)
    with system("letter"):
        assert writing.send_due(now=NOW) == 1
        assert writing.send_due(now=NOW + timedelta(minutes=5)) == 0
    assert [message.to for message in outbox] == [["bob@example.com"]]
    assert Letter.objects.filter(pk=first.pk).values_list("sent_at", "last_error").get() == (None, "ValueError")
    assert Letter.objects.get(pk=second.pk).sent_at == NOW
    assert list(Letter.objects.filter(is_apart=False).values_list("pk", flat=True)) == [old.pk]


def test_what_is_no_file_in_the_folder_of_copies_keeps_neither_a_copy_nor_a_request(
    alice, bob, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [filed(one, "access") for one in (alice, bob)]
    for one in requests:
        run(one)
    first, second = Export.objects.order_by("pk")
    there = export.folder()
    (there / first.path).unlink()
    (there / first.path).mkdir()
    (there / first.path / "x").touch()
    for name in ("a folder.sealed", "b pipe.sealed", "c link.sealed", "d file.sealed"):
        kind = name.split()[1].removesuffix(".sealed")
        {"folder": Path.mkdir, "pipe": os.mkfifo, "link": lambda to: to.symlink_to("/nonexistent"), "file": Path.touch}[
            kind
        ](there / name)
    for one in there.iterdir():
        os.utime(one, (0, 0), follow_symlinks=False)
    Request.objects.filter(pk=requests[0].pk).update(next_action_at=NOW)
    with time_machine.travel(NOW + timedelta(days=8), tick=False):
        assert tasks.poll() == 2
        assert tasks.expire_exports() == 0
    assert not Export.objects.filter(deleted_at=None).exists(), "a folder in its place keeps no copy"
    assert bound.have_ended([first.pk, second.pk])
    left = sorted(one.name for one in there.iterdir())
    assert left == sorted([first.path, "a folder.sealed", "b pipe.sealed", "c link.sealed"])
    said = [one.getMessage() for one in caplog.records if "copies.left" in one.getMessage()]
    assert len(said) == 4 and not any("pipe" in one or first.path in one for one in said), "once, and no names"


def test_a_part_of_a_run_that_fails_keeps_no_other_one_and_is_told() -> None:
    done: list[str] = []

    def fails() -> None:
        raise OSError("what stood in the file")

    with structlog.testing.capture_logs() as told, pytest.raises(OSError, match="stood in"):
        apart.each(first=lambda: done.append("first"), second=fails, third=lambda: done.append("third"))
    assert done == ["first", "third"]
    assert told == [{"event": "part.failed", "part": "second", "error": "OSError", "log_level": "error"}]
    with pytest.raises(OSError, match="stood in"):
        apart.each(OSError, second=fails, third=lambda: done.append("never"))
    assert done == ["first", "third"]


def test_a_question_and_a_sign_up_that_cannot_be_read_keep_no_other_one(alice, bob) -> None:
    asked = [filed(one, "access") for one in (alice, bob)]
    for one in asked:
        waits.ask(one, SecondLook.Why.JOINED, actor=None, now=NOW)
    bound.write(models.Q(), state=State.CLOSED)  # by the site: one that another program closed has not ended
    spoil(asked[0], legal_due_on=BEYOND)
    assert waits.end_left_over(actor=None, now=NOW) == 1 and not waits.is_undecided(asked[1])

    for name in ("carl", "dave"):
        sign_up(Client(), name, f"{name}@example.com")
    first, second = User.objects.filter(pk__in=unconfirmed.sign_ups()).order_by("pk")
    spoil(first, created_at="0044-03-15 BC")
    later = timezone.now() + timedelta(days=4)
    assert unconfirmed.end_lapsed(actor=None, now=later) >= 1
    assert not User.objects.filter(pk=second.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_the_sealer_goes_past_an_event_that_cannot_be_read_and_verify_names_it(settings: Any, tmp_path: Any) -> None:
    settings.CHECKPOINT_DIR = tmp_path / "checkpoints"
    for number in range(3):
        audit.record("order.corrected", actor=None, now=NOW, fields=[f"field_{number}"])
    broken = AuditEvent.objects.order_by("pk").values_list("pk", flat=True)[1]

    def found() -> list[tuple[str, int | str]]:
        return [(one.code, one.seq) for one in audit.verify(now=NOW + timedelta(seconds=10)).findings]

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE privacy_auditevent DROP CONSTRAINT audit_event_has_a_day")  # a line of before it
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE privacy_auditevent SET at = %s WHERE id = %s", [BEYOND, broken])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        assert found() == [("edited", broken)]
        assert audit.seal(now=NOW) == 3
        assert AuditLink.objects.count() == 3
        assert found() == [("edited", broken)]
        transaction.set_rollback(True)  # the tests that follow have the constraint


class _Held(Exception):
    pgcode = "55P03"  # lock_not_available


def test_only_what_fails_for_one_record_alone_is_handled_with_that_record() -> None:
    held = OperationalError("could not obtain lock on row")
    held.__cause__ = _Held()
    for one in (held, ValueError("a day beyond all calendars")):
        broken.require_own(one)
    for everybodys in (OperationalError("no server"), InterfaceError(), MemoryError(), SoftTimeLimitExceeded()):
        with pytest.raises(type(everybodys)):
            broken.require_own(everybodys)
