"""What fell asleep is woken, once at a time, and nothing waits for the broker."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app

from privacy import tasks
from privacy.requests import broker, execute, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests.asked import NOW, TODAY, Clock, confirmed, filed, run
from tests.factories import as_customer


@pytest.fixture
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would have gone to the broker."""
    found: list[tuple[Any, ...]] = []
    settings.CELERY_BROKER_URL = "memory://"

    def send(name: str, message: tuple[Any, ...] = (), **options: Any) -> None:
        found.append(message if name == broker.ADVANCE else ("letters", *message))

    monkeypatch.setattr(current_app, "send_task", send)
    return found


def test_what_is_woken_by_name_is_a_task() -> None:
    assert (tasks.advance.name, tasks.send_letters.name) == (broker.ADVANCE, broker.SEND_LETTERS)


def test_a_filing_tells_a_worker_after_its_commit(alice, sent, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        request = filed(alice)
        assert sent == []
    assert sent == [(str(request.pk), "plan", request.version)]


def test_a_message_names_nobody(alice, sent, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        filed(alice)
    assert "alice" not in str(sent)


def test_the_lease_doubles_up_to_an_hour() -> None:
    assert [broker.lease(n).total_seconds() for n in (0, 1, 2, 3, 7, 8, 50)] == [30, 30, 60, 120, 1920, 3600, 3600]


def test_a_lost_message_is_sent_again_when_its_lease_is_over(alice, sent, django_capture_on_commit_callbacks) -> None:
    request = confirmed(alice)
    with django_capture_on_commit_callbacks(execute=True):
        assert broker.poll(now=NOW) == 1
        assert broker.poll(now=NOW + timedelta(seconds=5)) == 0, "leased"
        assert broker.poll(now=NOW + timedelta(seconds=31)) == 1
    assert [m[0] for m in sent] == [str(request.pk)] * 2
    first, second = sent
    assert execute.advance(request.pk, now=NOW, step=first[1], version=first[2]) == "stale"
    assert execute.advance(request.pk, now=NOW, step=second[1], version=second[2]) == "wait_for_access"


def test_after_an_outage_all_that_is_due_is_sent_at_once(alice, bob, sent, django_capture_on_commit_callbacks) -> None:
    waiting = [confirmed(alice), filed(bob), filed(bob, kind="access")]
    assert Request.objects.filter(next_action_at__lte=NOW).count() == 3
    with django_capture_on_commit_callbacks(execute=True):
        assert broker.poll(now=NOW, limit=2) == 3
    assert sorted(m[0] for m in sent) == sorted(str(request.pk) for request in waiting)


def test_a_message_is_good_for_one_try(alice, sent, django_capture_on_commit_callbacks) -> None:
    request = confirmed(alice)
    with django_capture_on_commit_callbacks(execute=True):
        broker.poll(now=NOW)
    message = {"step": sent[0][1], "version": sent[0][2]}
    assert execute.advance(request.pk, now=NOW, **message) == "wait_for_access"
    assert execute.advance(request.pk, now=NOW, **message) == "stale"


def test_what_is_over_is_left_alone(alice, sent) -> None:
    request = confirmed(alice)
    assert execute.run(request.pk, clock=Clock(), pause=lambda: None, rounds=1) == "wait_for_access"
    run(request)
    assert request.state == State.CLOSED
    assert broker.poll(now=NOW + timedelta(days=100)) == 0


def test_a_broker_that_is_down_or_dumb_costs_a_filing_nothing(
    alice, settings, monkeypatch, django_capture_on_commit_callbacks
) -> None:
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)  # takes the connection and never answers, like a Redis that was stopped
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: pytest.fail("the broker does not answer"))
    started = time.monotonic()
    assert broker.answers() is False
    assert time.monotonic() - started < 1
    with django_capture_on_commit_callbacks(execute=True):
        request = filed(alice)
    listener.close()
    assert broker.answers() is False
    assert Request.objects.get().next_action_at == NOW and request.reference


def test_a_broker_that_fails_in_the_middle_does_not_fail_the_filing(
    alice, settings, monkeypatch, django_capture_on_commit_callbacks
) -> None:
    settings.CELERY_BROKER_URL = "memory://"

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(current_app, "send_task", fail)
    with django_capture_on_commit_callbacks(execute=True):
        assert filed(alice).reference


def test_the_tasks_do_it_all_by_themselves(alice, old_order, sent, outbox) -> None:
    request = confirmed(alice)
    for _ in range(40):
        Request.objects.filter(pk=request.pk, next_action_at__isnull=False).update(next_action_at=NOW)
        tasks.poll()
        request.refresh_from_db()
        if not request.is_open:
            break
        tasks.advance(str(request.pk), request.step, request.version)
        tasks.send_letters()
    assert request.state == State.CLOSED
    assert any("removed" in m.subject for m in outbox)


@pytest.mark.parametrize(
    "task",
    [
        tasks.poll,
        tasks.send_letters,
        tasks.expire_exports,
        tasks.seal_audit,
        tasks.checkpoint_audit,
        tasks.collect_keys,
        tasks.sweep,
    ],
)
def test_every_task_runs_twice_without_harm(alice, task, settings, tmp_path) -> None:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    request = filed(alice)
    task()
    task()
    request.refresh_from_db()
    assert request.is_open and request.received_on == TODAY


def test_it_is_answered_in_time_or_somebody_is_told(alice) -> None:
    request = filed(alice)
    services.make_plan(request, actor=as_customer(alice), now=NOW)
    clock = Clock(NOW + timedelta(days=45))
    execute.run(request.pk, clock=clock, pause=lambda: None)
    request.refresh_from_db()
    assert request.state == State.EXPIRED, "a plan nobody confirmed ends, and the person is told"
    assert request.letters.filter(kind="expired").count() == 1
