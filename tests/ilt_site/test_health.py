"""Health and numbers: little for strangers, enough for staff and for an alarm."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from ilt_site import health
from privacy import audit
from privacy.audit import AuditEvent
from privacy.gate.system import system

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ask_anew() -> None:
    health._all.until = health._live.until = 0.0


def test_without_a_worker_a_stranger_reads_not_ok_and_nothing_else(client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.content) == (503, b"not ok\n")


def test_a_load_balancer_may_send_people_here_without_a_worker(client: Client) -> None:
    response = client.get("/health/live/")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_answers_are_kept_for_some_seconds_so_that_asking_costs_little(client: Client) -> None:
    asked: list[int] = []

    def wanted() -> dict[str, Any]:
        asked.append(1)
        return health._databases()

    answers = health.Answers(wanted)
    assert [answers.get(), answers.get(), len(asked)] == [{"database": "ok", "key store": "ok"}] * 2 + [1]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_only_reading_is_allowed(client: Client, method: str) -> None:
    assert getattr(client, method)("/health/").status_code == 405


def test_metrics_are_for_this_machine_when_there_is_no_token(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics/").status_code == 200
    assert client.get("/metrics/", REMOTE_ADDR="203.0.113.7").status_code == 404
    assert client.get("/metrics/", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 404


def test_metrics_with_a_token_want_it_from_everybody(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "token"
    assert client.get("/metrics/").status_code == 404
    assert client.get("/metrics/", headers={"authorization": "Bearer tokem"}).status_code == 404
    assert (
        client.get("/metrics/", headers={"authorization": "Bearer token"}, REMOTE_ADDR="203.0.113.7").status_code == 200
    )


def gauges(now: Any) -> dict[str, float]:
    return {family.name: family.samples[0].value for family in health.Gauges(now).collect()}


def test_an_audit_event_that_nobody_sealed_shows_after_a_minute(now: Any) -> None:
    with system("sweep"):
        audit.record("test.done", actor=None, now=now)
    assert AuditEvent.objects.count() == 1
    assert gauges(now + timedelta(seconds=59))["ilt_audit_unsealed"] == 0
    assert gauges(now + timedelta(seconds=61))["ilt_audit_unsealed"] == 1


def test_an_empty_installation_has_nothing_overdue(now: Any) -> None:
    assert set(gauges(now).values()) == {0.0}
