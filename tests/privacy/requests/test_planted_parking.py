"""That a request is parked stands under its keyed hash: who can write to the table opens no ended one again, stops no
running one unseen, and puts no such event into a history."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models

from accounts import upgrades
from accounts.models import Customer
from privacy import vault
from privacy.requests import bound, contradictions, execute, in_doubt, rebound, services, sight
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.vault.keystore import once
from privacy.vault.models import Once
from tests import roles
from tests.asked import NOW, PRIVACY, Clock, as_customer, confirmed, filed, run
from tests.factories import an_order
from tests.privacy.requests.test_rows_in_doubt import found, swept, write

pytestmark = [pytest.mark.django_db(databases="__all__")]


def parked(request: Request, error: str = "Broken") -> None:
    """Let a step fail for the last time, as the program parks a request."""
    Request.objects.filter(pk=request.pk).update(attempts=execute.MOST_ATTEMPTS)
    assert execute._failed(request.pk, error, NOW) == "parked"
    request.refresh_from_db()


def doubted() -> set[Request]:
    return set(in_doubt.among(Request.objects.all()))


def test_an_ended_request_that_somebody_calls_parked_is_in_doubt_and_swallows_nothing(
    alice: Customer, settings: Any
) -> None:
    settings.DEMO = True
    day = date(2017, 5, 10)
    removal = filed(alice, "erasure")
    services.withdraw(removal, actor=as_customer(alice), now=NOW)
    for stopped in ("withdrawn", "received"):
        assert bound.is_ours(removal) and not doubted(), "the control"
        write(removal, f"state = 'parked', parked_from = '{stopped}'")
        assert not bound.is_ours(removal) and doubted() == {removal}
        assert "it is parked, and the audit does not tell that" in contradictions.of(removal.pk)
        with pytest.raises(CommandError):
            call_command("seal_requests", request=removal.reference, stdout=(told := io.StringIO()))
        assert "Sealed as they stand: 0." in told.getvalue() and "in order" not in told.getvalue()
        with pytest.raises(sight.Doubted):
            sight.acting_as(removal)
        write(removal, "state = 'withdrawn', parked_from = ''")
    write(removal, "state = 'parked', parked_from = 'withdrawn'")
    assert "it is parked, and stopped where nothing goes on" in contradictions.of(removal.pk)
    again = filed(alice, "erasure", now=NOW + timedelta(days=10))
    assert again.pk != removal.pk and bound.is_ours(again) and again.is_open
    services.withdraw(again, actor=as_customer(alice), now=NOW + timedelta(days=10))
    an_order(alice, date(2017, 5, 2), invoiced=day, shipped=day, paid=day)
    report = swept()
    assert report.kept == 1 and report.erased == 0, "as beside every request in doubt, which the desk names"
    assert found(report) == []


def test_a_running_request_that_somebody_parks_and_lets_go_on_is_noticed_while_it_stands(alice: Customer) -> None:
    removal = confirmed(alice)
    write(removal, "state = 'parked', parked_from = 'confirmed'")
    assert not bound.is_ours(removal) and doubted() == {removal}
    with pytest.raises(sight.Doubted):  # and not "A request that is parked cannot be taken back"
        services.withdraw(removal, actor=as_customer(alice), now=NOW)
    write(removal, "state = 'confirmed', parked_from = ''")
    parked(removal)
    assert bound.is_ours(removal) and not doubted() and contradictions.of(removal.pk) == [], "parked by the program"
    write(removal, "state = 'confirmed', parked_from = ''")
    assert not bound.is_ours(removal), "nobody let it go on"
    assert "the audit tells that it was parked, and not that it went on" in contradictions.of(removal.pk)
    write(removal, "state = 'parked', parked_from = 'confirmed'")
    services.resume(removal, actor=PRIVACY, now=NOW)
    assert bound.is_ours(removal) and contradictions.of(removal.pk) == []
    run(removal, Clock())
    assert removal.state == State.CLOSED and not doubted()


def test_what_is_parked_before_it_has_begun_can_be_taken_back_and_refused_and_later_neither(
    alice: Customer, bob: Customer
) -> None:
    back, refused = confirmed(alice), confirmed(bob)
    for one in (back, refused):
        parked(one)
        assert one.can_withdraw
    services.withdraw(back, actor=as_customer(alice), now=NOW)
    services.refuse(refused, ground="Two people say that this is theirs.", authority="", actor=PRIVACY, now=NOW)
    for one, ended in ((back, State.WITHDRAWN), (refused, State.REFUSED)):
        one.refresh_from_db()
        assert (one.state, one.parked_from, one.is_open) == (ended, "", False)
        assert bound.is_ours(one) and contradictions.of(one.pk) == []
    begun = confirmed(alice)
    execute.advance(begun.pk, now=NOW)
    parked(begun)
    assert begun.parked_from == State.EXECUTING and not begun.can_withdraw
    with pytest.raises(services.NotAllowed):
        services.withdraw(begun, actor=as_customer(alice), now=NOW)
    with pytest.raises(services.NotAllowed):
        services.refuse(begun, ground="Too late.", authority="", actor=PRIVACY, now=NOW)


def test_an_event_that_a_request_was_parked_cannot_be_planted(alice: Customer) -> None:
    request = filed(alice, "access")
    assert roles.run(
        f"""INSERT INTO privacy_requestevent (request_id, at, "on", kind, state, step, actor_kind, actor_id, detail)
        VALUES ('{request.pk}', now(), '2026-11-20', 'parked', 'parked', 'unlink', 'staff', 'carol', '{{"step": "erase"}}')"""
    ) == [1]
    assert not bound.is_ours(request) and doubted() == {request}
    assert "its history says more often than the audit that it was parked" in contradictions.of(request.pk)


def test_whether_requests_of_before_are_parked_is_signed_once_where_the_audit_tells_it(
    alice: Customer, bob: Customer
) -> None:
    running, stopped, forged = confirmed(alice), filed(bob, "access"), filed(bob, "erasure")
    parked(stopped)
    services.withdraw(forged, actor=as_customer(bob), now=NOW)
    write(forged, "state = 'parked', parked_from = 'withdrawn'")

    def of_before() -> None:
        for one in (running, stopped, forged):
            row = bound.row_of(one.pk)
            assert row is not None
            models.QuerySet(Request).filter(pk=one.pk).update(mac=vault.mac_of(*rebound._said_of_stop(row)))

    of_before()
    assert not any(map(bound.is_ours, (running, stopped, forged)))
    Once.objects.filter(step=once.PARKED).delete()
    upgrades.bind_rows(now=NOW)
    assert [bound.is_ours(one) for one in (running, stopped, forged)] == [True, True, False]
    of_before()
    upgrades.bind_rows(now=NOW)
    assert not bound.is_ours(stopped), "never again"
