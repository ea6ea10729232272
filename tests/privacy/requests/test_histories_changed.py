"""A history in which a word was changed, past the triggers, fits the keyed hash of its request no more; one that was
put back together with its row is held against the audit before anything is done, given or shown by it (missed,
doubt.require)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Customer
from privacy import vault
from privacy.requests import (
    bound,
    contradictions,
    doubt,
    execute,
    export,
    in_doubt,
    second,
    services,
    sight,
    waits,
)
from privacy.requests.models import Request, RequestEvent, SecondLook
from privacy.requests.states import State
from tests import databases
from tests.asked import ANYBODY, NOW, PRIVACY, Clock, as_customer, confirmed, filed, run
from tests.privacy.requests.test_second_person import by_link, confirm, not_me_token, with_two_mailboxes

pytestmark = pytest.mark.django_db(databases="__all__")

CHANGES = (
    "kind = 'identity_asked'",
    "state = 'closed'",
    "step = 'letter'",
    '"on" = "on" - 1',
    "\"on\" = '0044-03-15 BC'",
    "at = at + interval '1 microsecond'",
    "at = 'infinity'",
    "actor_kind = 'staff'",
    "actor_id = 'pat'",
    'detail = detail || \'{"why": "late"}\'',
)


@contextmanager
def without_triggers() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET session_replication_role")


def done(statement: str) -> int:
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount


def test_a_word_of_an_event_that_is_another_is_noticed_and_one_put_back_is_not(alice: Customer) -> None:
    removal = confirmed(alice)
    first = removal.events.order_by("pk").first()
    assert first is not None
    was = RequestEvent.objects.filter(pk=first.pk).values().get()
    for change in CHANGES:
        with databases.unchecked("privacy_requestevent"):
            assert done(f"UPDATE privacy_requestevent SET {change} WHERE id = {first.pk}") == 1
            assert not bound.is_ours(removal), change
            assert list(bound.doubted()) == [removal.pk]
            with without_triggers():
                RequestEvent.objects.filter(pk=first.pk).update(**was)
        assert bound.is_ours(removal), change
    assert run(removal, Clock()) and removal.state == State.CLOSED, "the control"


def test_a_question_that_was_made_into_another_event_lets_nothing_go_on(alice: Customer) -> None:
    removal = confirmed(alice)
    waits.ask(removal, SecondLook.Why.NOT_ME, actor=ANYBODY, now=NOW)
    assert execute.advance(removal.pk, now=NOW) == "waiting", "the control"
    mine = f"request_id = '{removal.pk}'"
    done(f"UPDATE privacy_requestevent SET kind = 'identity_asked' WHERE {mine} AND kind = 'second_asked'")
    SecondLook.objects.all().delete()
    for _ in range(3):
        execute.advance(removal.pk, now=NOW + timedelta(days=2))
    removal.refresh_from_db()
    assert removal.state in (State.CONFIRMED, State.PARKED) and not vault.keys.is_destroyed(alice.pk, "account")
    missed = "the audit tells more often than its history that a second person was asked"
    assert missed in contradictions.of(removal.pk)
    bound.seal([removal.pk])  # as an operator does who does not see it
    assert bound.is_ours(removal)
    with pytest.raises(bound.NotOurs):
        doubt.require(removal)


@pytest.mark.parametrize("kind", ["erasure", "access"])
def test_a_request_that_was_taken_back_stays_so_when_row_and_history_are_put_back(alice: Customer, kind: str) -> None:
    request = confirmed(alice) if kind == "erasure" else filed(alice, kind)
    last = request.events.order_by("pk").last()
    assert last is not None
    before = Request.objects.filter(pk=request.pk).values("state", "closed_at", "step", "next_action_at", "mac").get()
    services.withdraw(request, actor=as_customer(alice), now=NOW + timedelta(seconds=5))
    assert done(f"DELETE FROM privacy_requestevent WHERE request_id = '{request.pk}' AND id > {last.pk}")
    Request.objects.filter(pk=request.pk).update(**before)
    request.refresh_from_db()
    assert bound.is_ours(request), "the row of before fits the history of before"
    for hours in range(0, 60, 2):
        execute.advance(request.pk, now=NOW + timedelta(hours=hours))
    request.refresh_from_db()
    assert (request.state, request.last_error) == (State.PARKED, "NotOurs")
    assert not vault.keys.is_destroyed(alice.pk, "account") and not request.exports.exists()
    assert "the audit tells more often than its history that it was withdrawn" in contradictions.of(request.pk)
    again = filed(alice, kind, now=NOW + timedelta(days=3))
    assert again.pk != request.pk and again.is_open, "who asks again is not swallowed by it"


def test_a_copy_is_given_to_nobody_of_whose_request_somebody_said_that_it_was_not_them(alice: Customer) -> None:
    """Said after the copy was made; then question, events and row are put back as they were."""
    with_two_mailboxes(alice)
    request = confirm(by_link("access"))
    token = not_me_token(request)
    run(request, Clock(NOW))
    request.refresh_from_db()
    at, later = NOW + timedelta(minutes=5), NOW + timedelta(minutes=10)
    fetched(request, later)  # before it was said: something has gone out
    last = request.events.order_by("-pk").values_list("pk", flat=True)[0]
    request.refresh_from_db()
    mac = request.mac
    assert not in_doubt.among(Request.objects.all()).exists() and not second.possible_breaches().exists(), "the control"
    second.say_not_me(token, now=at)
    assert done(f"DELETE FROM privacy_requestevent WHERE request_id = '{request.pk}' AND id > {last}")
    done(f"DELETE FROM privacy_secondlook WHERE request_id = '{request.pk}'")
    Request.objects.filter(pk=request.pk).update(mac=mac)
    request.refresh_from_db()
    assert bound.is_ours(request) and not waits.is_undecided(request), "the row of before fits the history of before"
    for gives in (
        lambda: sight.acting_as(request),
        lambda: export.fetch(request, actor=as_customer(alice), now=later),
        lambda: sight.require_sight(request, as_customer(alice)),
    ):
        with pytest.raises(sight.Doubted):
            gives()
    with pytest.raises(export.NoCopy):
        export.fetch(request, actor=PRIVACY, now=later)
    assert export.left(request, now=later) == []
    assert doubt.asking([alice.subject_id], states=()) == {alice.subject_id}
    assert doubt.of_person(alice.subject_id) == {request.pk} == doubt.among([request.pk])
    execute.advance(request.pk, now=NOW + timedelta(days=20))
    request.refresh_from_db()
    assert (request.state, request.last_error) == (State.REPLIED, "NotOurs"), "it does not close"
    assert list(in_doubt.among(Request.objects.all())) == [request] == list(second.possible_breaches())
    assert second.breach_known_since(request) == at
    told = io.StringIO()
    with pytest.raises(CommandError):
        call_command("seal_requests", request=request.reference, stdout=told)
    assert (
        "the audit tells more often than its history that the person said that it was somebody else" in told.getvalue()
    )
    assert "Sealed as they stand: 0." in told.getvalue() and "in order" not in told.getvalue()
    second.assess_breach(request, is_breach=False, actor=PRIVACY, now=later)
    assert not second.possible_breaches().exists()


def fetched(request: Request, at: datetime) -> int:
    return len(b"".join(export.fetch(request, actor=sight.acting_as(request), now=at)[1]))
