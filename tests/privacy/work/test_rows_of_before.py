"""A row of before its CHECKs, or one that the owner of the database wrote, can be neither read nor written: whatever
works for all people goes past it."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from django.core.management import call_command
from django.db import connection, models

from accounts import keys_follow, vouching
from accounts.models import Customer, Joining
from privacy.calendar import undated
from privacy.gate.system import system
from privacy.letters import credentials, sending
from privacy.letters.models import Letter
from privacy.requests import broker, waits
from privacy.requests.models import Export, Request, SecondLook
from privacy.retention import holds, in_force
from privacy.sweep import arming, nightly, notices
from privacy.sweep.models import EndNotice
from tests import databases
from tests.asked import ANYBODY, NOW, OPERATOR, TODAY, Clock, confirmed, facts_of, filed, run
from tests.factories import TASK, staff
from tests.privacy.work.test_broken import bought, is_readable, spoil

BC = "0044-03-15 BC"
GREATEST = "2147483647"
pytestmark = pytest.mark.django_db


def spoilt(record: models.Model, **columns: str) -> None:
    """Write it into the row, whose table takes no such thing afterwards: the row cannot be written, either."""
    table = record._meta.db_table
    with databases.unchecked(table), connection.cursor() as cursor:
        for column, value in columns.items():
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, str(record.pk)])


def printed(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out, stderr=out)
    return out.getvalue()


def test_a_request_that_cannot_be_leased_keeps_nobody_waiting(
    alice: Customer, bob: Customer, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    """It stands before all others each time."""
    sent: list[Any] = []
    monkeypatch.setattr(broker, "answers", lambda: True)
    monkeypatch.setattr(current_app, "send_task", lambda name, message=(), **_: sent.append(message[0]))
    bad, sound = confirmed(alice), confirmed(bob)
    spoil(bad, next_action_at=BC)
    with django_capture_on_commit_callbacks(execute=True):
        assert broker.poll(now=NOW, limit=1) == 2
    assert sent == [str(bad.pk), str(sound.pk)], "the day is written anew"
    sent.clear()
    Request.objects.filter(pk=bad.pk).update(next_action_at=NOW - timedelta(days=1))
    spoilt(bad, version=GREATEST)
    with django_capture_on_commit_callbacks(execute=True):
        assert broker.poll(now=NOW + timedelta(days=1), limit=1) == 1
    assert sent == [str(sound.pk)]


def test_a_letter_that_can_be_neither_sent_nor_put_off_takes_nobodys_turn(alice: Customer, bob: Customer) -> None:
    for customer in (alice, bob):
        filed(customer, "access")
    hers, his = (Letter.objects.filter(subject=one.subject_id) for one in (alice, bob))
    hers.update(next_attempt_at=NOW - timedelta(days=1))
    bad = hers.get()
    spoilt(bad, attempts=GREATEST)
    with system("letter"):
        sending.send_due(now=NOW, limit=1)
    assert hers.filter(next_attempt_at__gt=NOW, attempts=sending.MOST_ATTEMPTS + 1, sent_at=None).exists()

    hers.update(next_attempt_at=NOW - timedelta(days=1))
    spoilt(bad, queued_at=BC)
    with system("letter"):
        sending.send_due(now=NOW, limit=1)
    assert hers.filter(next_attempt_at__lt=NOW, sent_at=None).exists() and not his.filter(sent_at=None).exists()


def test_a_letter_that_cannot_be_written_lets_the_others_be_reported_and_end(alice: Customer, bob: Customer) -> None:
    for customer in (alice, bob):
        filed(customer, "access")
    hers, his = (Letter.objects.filter(subject=one.subject_id) for one in (alice, bob))
    Letter.objects.update(sending_at=NOW - timedelta(days=1), credentials_until=NOW)
    spoilt(hers.get(), queued_at=BC)
    assert sending.report_interrupted(now=NOW) == 1
    assert his.filter(last_error="interrupted").exists() and hers.filter(last_error="").exists()
    assert credentials.end_lapsed(now=NOW) == his.filter(sealed_credentials=None).count() == 1


def test_a_warning_that_cannot_be_read_stops_no_night_and_has_warned_nobody(alice: Customer, bob: Customer) -> None:
    orders = [bought(one, 2015) for one in (alice, bob)]
    hers, his = (
        EndNotice.objects.create(subject_id=one.subject_id, given_on=TODAY + timedelta(days=7)) for one in (alice, bob)
    )
    letter = {"subject_id": alice.subject_id, "kind": notices.KIND, "by": "post", "queued_at": NOW, "sent_at": NOW}
    for one in (hers, his):
        Letter.objects.create(key=f"{notices.KIND}:{one.pk}", **letter)
    notices.bind_told(now=NOW)
    spoilt(hers, given_on=BC)
    arming.arm(actor=TASK)
    report = nightly.sweep(on=date(2026, 12, 1), dry_run=False, actor=TASK)
    assert not any(map(is_readable, orders))
    assert {(one.step, one.record) for one in report.findings} == {("told", str(hers.pk))}
    assert EndNotice.objects.get(pk=his.pk).told_on == TODAY
    found = facts_of(Customer.objects.all())
    assert notices.unwritten(found) == {alice.subject_id}


def test_a_joining_that_cannot_be_read_lets_the_others_be_settled(
    alice: Customer, bob: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    made = [Joining.objects.create(subject_id=one.subject_id, opened_at=NOW, is_settled=False) for one in (alice, bob)]
    spoilt(made[0], opened_at=BC)
    made[1].outcome = Joining.Outcome.JOINED
    made[1].bind().save()
    assert keys_follow.settle_all() == 1
    assert Joining.objects.values_list("is_settled", flat=True).get(pk=made[1].pk)


def test_a_copy_whose_end_cannot_be_read_is_destroyed_and_stops_no_removal(alice: Customer) -> None:
    removal = confirmed(alice)
    planted = Export.objects.create(request=removal, path=f"{0:032x}.sealed", expires_at=NOW, built_at=NOW)
    spoil(planted, expires_at="20000-01-01")
    assert run(removal, Clock()) == "idle" and removal.state == "closed"
    assert Export.objects.filter(pk=planted.pk, deleted_at__isnull=False).exists()


def test_commands_list_such_rows_and_say_so(alice: Customer, bob: Customer, settings: Any) -> None:
    settings.DEMO = True
    order = bought(alice, 2024)
    spoilt(holds.place("orders.order", order.pk, reason="claim", actor=OPERATOR, now=NOW), placed_at=BC)
    assert f"since {undated.SENTENCE}; {in_force.IN_DOUBT}\nHolds in force: 1." in printed("hold", "--list")
    assert '"placed_at": "9999-' in printed("hold", "--list", "--json")

    asked = filed(bob)
    waits.ask(asked, SecondLook.Why.LATE, actor=ANYBODY, now=NOW)
    spoilt(SecondLook.objects.get(), asked_at=BC)
    spoilt(asked, due_on=BC, filed_at=BC)
    assert f"{asked.reference}: " in (said := printed("request_second")) and undated.SENTENCE in said

    spoilt(asked, tries="5")
    assert f"Answer by {undated.SENTENCE}" in printed("request_show", asked.reference)
    assert '"attempts": 0' in printed("request_show", asked.reference, "--json")

    for letter in Letter.objects.all():
        spoilt(letter, queued_at=BC)
    assert printed("outbox", "--last", "50").count("[acknowledgement]") == Letter.objects.count()

    carol = staff(roles=("sales",))
    spoilt(carol, created_at=BC)
    assert [one.pk for one in vouching.doubted()] in ([], [carol.pk])
