"""Questions to a second person are asked, answered and ended by the history that stands under the keyed hash: never by
what somebody wrote into their table, or into that of the copies (design 9)."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Communication, Customer
from privacy.requests import bound, clock, contradictions, execute, export, questions, second, waits
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import State
from tests import roles
from tests.asked import NOW, OPERATOR, Clock, as_customer, confirmed, filed, run
from tests.privacy.requests.test_changed_records import asked, open_questions, opened, own, renamed, token
from tests.privacy.requests.test_second_person import ANYBODY

pytestmark = [pytest.mark.django_db(databases="__all__")]
__all__ = ["own"]


def plant(request: Request, why: str, *, decided: str = "null", outcome: str = "") -> None:
    """Write a question, or an answered one, past the program, with the rights of the application."""
    roles.run(
        "INSERT INTO privacy_secondlook (request_id, why, asked_at, decided_at, outcome, decided_kind, decided_by)"
        f" VALUES ('{request.pk}', '{why}', '{NOW - timedelta(days=20)}', {decided}, '{outcome}', '', '')"
    )


def named() -> str:
    """Return what `seal_requests` says of the requests that it names."""
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("seal_requests", stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("at_now")
def test_a_planted_answer_spares_no_question(client: Client, own: list[Communication]) -> None:
    renamed(own[1], now=NOW - timedelta(days=1))
    request = asked("access")
    plant(request, "moved", decided="now()", outcome="go_on")
    opened(client, token(request))
    request.refresh_from_db()
    assert open_questions(request) == ["moved"] and waits.is_undecided(request)
    assert "an answer to one, of which its history does not tell: moved" in named()


def test_a_planted_question_refuses_nobody_and_is_named(alice: Customer) -> None:
    request = confirmed(alice)
    plant(request, "not_me")
    plant(request, "excessive")
    assert not waits.is_undecided(request) and not second.waiting().exists() and not second.open_looks(request)
    assert "of which its history does not tell: excessive" in (said := named()) and "does not tell: not_me" in said
    assert "changed past the program" not in said, "the row fits"
    assert bound.is_ours(request) and contradictions.of(request.pk) == []
    run(request, Clock(clock.answer_from(request.due_on)))
    assert request.state == State.CLOSED


def test_a_question_that_was_taken_away_is_answered_by_no_other_and_is_put_back(alice: Customer) -> None:
    request = confirmed(alice)
    for why in (SecondLook.Why.NOT_ME, SecondLook.Why.LATE):
        waits.ask(request, why, actor=ANYBODY, now=NOW)
    roles.run("DELETE FROM privacy_secondlook WHERE why = 'not_me'")
    assert "open by its history, and not in its table: 'not_me'" in named()
    second.decide(request, "go_on", actor=OPERATOR, now=NOW)
    assert waits.is_undecided(request) and not second.open_looks(request)
    execute.advance(request.pk, now=NOW)
    assert [one.why for one in second.open_looks(request)] == ["not_me"] and list(
        questions.unlike(Request.objects.all())
    ) == []
    roles.run("UPDATE privacy_secondlook SET decided_at = now(), outcome = 'go_on' WHERE why = 'not_me'")
    assert waits.is_undecided(request)
    with pytest.raises(CommandError):  # the answer that somebody wrote stays named
        call_command("seal_requests", "--request", request.reference, stdout=(out := StringIO()))
    assert "put back: 1." in out.getvalue() and [one.why for one in second.open_looks(request)] == ["not_me"]
    second.decide(request, "go_on", actor=OPERATOR, now=NOW)
    request.refresh_from_db()
    assert not waits.is_undecided(request)
    run(request)
    assert request.state == State.CLOSED


def test_a_copy_that_is_called_gone_ends_no_question_and_one_that_ended_is_open_while_a_copy_is_there(
    alice: Customer,
) -> None:
    request, at = filed(alice, "access"), Clock()
    run(request, at)
    b"".join(export.fetch(request, actor=as_customer(alice), now=at())[1])
    at.now += timedelta(minutes=10)
    run(request, at)
    assert request.state == State.CLOSED
    waits.ask(request, SecondLook.Why.MOVED, actor=ANYBODY, now=at())
    for column in ("deleted_at = now()", "built_at = null"):
        roles.run(f"UPDATE privacy_export SET {column}")
        assert waits.end_left_over(actor=OPERATOR, now=at()) == 0 and waits.is_undecided(request), column
    (copy,) = questions.copies()
    roles.run(f"UPDATE privacy_export SET id = '{alice.pk}'")  # the key leads to no row any more
    assert waits.end_left_over(actor=OPERATOR, now=at()) == 1 and not waits.is_undecided(request)
    roles.run(f"UPDATE privacy_export SET id = '{copy.pk}', deleted_at = null, built_at = now()")
    assert waits.is_undecided(request)
    with pytest.raises(export.NoCopy):
        export.fetch(request, actor=as_customer(alice), now=at())
