"""Numbers for an alarm: right, for the one who may ask, and never about a person."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as project
from django.db import connection
from django.test import Client

from ilt_site import metrics
from privacy import audit
from privacy.audit import AUDIT, AuditEvent
from privacy.gate import Actor, log
from privacy.gate.log import CHAINS
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests.models import Request
from tests import factories
from tests.journeys import asking

pytestmark = pytest.mark.django_db


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
    return {family.name: family.samples[0].value for family in metrics.Gauges(now).collect()}


def test_an_audit_event_that_nobody_sealed_shows_after_a_minute(now: Any) -> None:
    with system("sweep"):
        audit.record("test.done", actor=None, now=now)
    assert AuditEvent.objects.count() == 1
    assert gauges(now + timedelta(seconds=59))["ilt_audit_unsealed"] == 0
    assert gauges(now + timedelta(seconds=61))["ilt_audit_unsealed"] == 1


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_a_forged_link_far_ahead_hides_no_row_that_nobody_sealed(now: Any, chain: audit.Chain) -> None:
    ahead: Any = 999_999_999
    if chain is AUDIT:
        audit.record("test.done", actor=None, now=now)
    else:
        carol = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin")
        log.write([log.Opening(carol, ("subject", uuid4()), {"accounts.customer/account": [uuid4()]})], now=now)
        ahead = UUID(int=2**128 - 1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        chain.links(
            position=2**63 - 1, event_id=ahead, row_hash="0", chain_hash="0", sealed_at=now, horizon=0
        ).save(force_insert=True)  # fmt: skip
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    found = gauges(now + timedelta(seconds=61))
    assert (found["ilt_audit_unsealed"], found["ilt_audit_unsealed_age_seconds"]) == (1, 61)
    assert gauges(now + timedelta(days=1, seconds=1))["ilt_audit_unsealed"] == 0, "verify_audit names what is older"


def test_an_empty_installation_has_nothing_overdue(now: Any) -> None:
    assert {name for name, value in gauges(now).items() if value} == {"ilt_broker_up"}


def test_metrics_without_a_token_are_for_the_addresses_allowed(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN, settings.METRICS_ALLOWED = "", ["10.1.0.0/16"]
    assert client.get("/metrics/", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics/", REMOTE_ADDR="10.2.2.3").status_code == 404
    assert client.get("/metrics/").status_code == 404


def test_requests_count_as_due_soon_then_as_overdue(now: Any) -> None:
    request = asking.ask(factories.customer(), "erasure")
    due = request.legal_due_on
    for day, name in (
        (due - timedelta(days=8), None),
        (due - timedelta(days=7), "soon"),
        (due, "soon"),
        (due + timedelta(days=1), "late"),
    ):
        at = now.replace(year=day.year, month=day.month, day=day.day)
        assert gauges(at)["ilt_requests_due_soon"] == (name == "soon"), day
        assert gauges(at)["ilt_requests_overdue"] == (name == "late"), day


def test_a_letter_that_was_given_up_is_counted_as_dead(now: Any) -> None:
    asking.ask(factories.customer(), "erasure")
    Letter.objects.update(sent_at=None, sending_at=None, next_attempt_at=None, last_error="SMTPRefused")
    found = gauges(now)
    assert found["ilt_outbox_dead_letters"] == found["ilt_outbox_letters"] == Letter.objects.count() > 0


def test_an_erasure_moves_the_ledger_and_a_parked_request_is_counted(now: Any) -> None:
    request = asking.erase(factories.customer())
    found = gauges(now)
    assert found["ilt_ledger_uncopied"] > 0
    Request.objects.filter(pk=request.pk).update(state="parked")
    assert gauges(now)["ilt_requests_parked"] == 1


def test_metrics_hold_nothing_about_a_person(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    request = asking.ask(alice, "erasure")
    page = client.get("/metrics/").content.decode()
    for value in ("Alice", "Archer", "alice@example.com", str(alice.pk), str(alice.subject_id), request.reference):
        assert value not in page


def test_the_runbook_names_every_gauge(now: Any) -> None:
    runbook = (project.BASE_DIR / "docs" / "runbook.md").read_text()
    assert [name for name in gauges(now) if name not in runbook] == []
