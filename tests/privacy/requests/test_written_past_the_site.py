"""What somebody writes with the rights of the application, past the program, ends no wait, signs nothing and is called
done nowhere. Beside each attack stands what the same rows do untouched."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models

from accounts import upgrades
from accounts.models import Customer
from privacy import vault
from privacy.admin.correspondence import CameBack
from privacy.calendar import company_day, undated
from privacy.gate import Actor
from privacy.requests import (
    bound,
    clock,
    contradictions,
    deadline,
    execute,
    history,
    longer,
    outcome,
    planned,
    rebound,
    second,
    waits,
    writing,
)
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import State
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.vault.keystore import once
from privacy.vault.models import DataKey, Once
from tests import databases, roles
from tests.asked import NOW, TODAY, Clock, confirmed, filed, run, taken_in
from tests.factories import an_order
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db(databases="__all__")

ANYBODY = Actor("anonymous", None, None, frozenset(), "web")
LONG_AGO = date(2024, 5, 10)
PLANNED = "a decision about orders.order, order, is not as its plan in the sealed file has it"
LATER = NOW + timedelta(hours=1)


def stands(record: Any) -> bool:
    return DataKey.objects.filter(record=record.pk, destroyed_at=None).exists()


def written(request: Request, columns: str) -> None:
    """Write into the row of a request with the rights of the application."""
    assert roles.run(f"UPDATE privacy_request SET {columns} WHERE id = '{request.pk}'") == [1]


def event_planted(request: Request, kind: str, step: str = "", detail: str = "{}") -> None:
    """Append an event to the history of a request with the rights of the application; one whose detail is no table as
    an earlier version took it."""
    with nullcontext() if detail.startswith("{") else databases.unchecked("privacy_requestevent"):
        roles.run(
            'INSERT INTO privacy_requestevent (request_id, at, "on", kind, state, step, actor_kind, actor_id, detail)'
            f" SELECT request_id, at, \"on\", '{kind}', state, '{step}', actor_kind, actor_id, '{detail}'"
            f" FROM privacy_requestevent WHERE request_id = '{request.pk}' ORDER BY id DESC LIMIT 1"
        )


def noon_of(request: Request) -> datetime:
    """Return when on the due day a request is answered."""
    return clock.answer_from(history.due_dates(request).due_on)


def test_a_due_day_that_was_brought_forward_lets_no_removal_pass_the_copy_that_was_asked_for(alice: Customer) -> None:
    filed(alice, "access")
    removal = confirmed(alice)
    assert execute.advance(removal.pk, now=NOW) == "waiting"
    written(removal, f"due_on = '{TODAY}', next_action_at = '{NOW.isoformat()}'")
    assert execute.advance(removal.pk, now=LATER) == "retry" and stands(alice)
    removal.refresh_from_db()
    assert (removal.last_error, removal.state) == ("NotOurs", State.CONFIRMED)
    written(removal, f"due_on = '{history.due_dates(removal).due_on}', next_action_at = '{NOW.isoformat()}'")
    assert execute.advance(removal.pk, now=noon_of(removal)) == "wait_for_access", "the control"


def test_a_row_of_the_copy_that_was_asked_for_lets_no_removal_pass_it(alice: Customer) -> None:
    copy = filed(alice, "access")
    removal = confirmed(alice)
    before = (
        models.QuerySet(Request).filter(pk=copy.pk).values("subject_id", "owner_id", "state", "identity_at", "kind")
    )
    (was,) = before
    for columns in (
        "subject_id = null",
        "subject_id = null, owner_id = null",
        "state = 'closed'",
        "identity_at = null",
        "kind = 'correction'",
    ):
        written(copy, columns)
        written(removal, f"next_action_at = '{NOW.isoformat()}'")
        assert execute.advance(removal.pk, now=LATER) == "waiting" and stands(alice), columns
        assert list(bound.doubted()) == [copy.pk] and bound.is_ours(removal), columns
        before.update(**was)
    written(copy, "subject_id = null")
    assert contradictions.of(copy.pk) == ["the row names nobody, and its owner is on file"]
    waits.contact_disputed(alice.subject_id, actor=ANYBODY, now=NOW)
    before.update(**was)
    assert bound.is_ours(copy) and list(bound.doubted()) == [], "the control"
    written(removal, f"next_action_at = '{NOW.isoformat()}'")
    assert execute.advance(removal.pk, now=noon_of(removal)) == "wait_for_access", "the control"


def test_a_due_day_that_was_brought_forward_ends_nothing(alice: Customer) -> None:
    asked = taken_in("erasure", alice.subject_id, email="alice@example.com", actor=ANYBODY)
    for columns in (f"due_on = '{TODAY}'", "country = 'US', region = 'CA'"):
        before = models.QuerySet(Request).filter(pk=asked.pk).values("due_on", "country", "region").get()
        written(asked, f"{columns}, next_action_at = '{NOW.isoformat()}'")
        assert not bound.is_ours(asked)
        execute.advance(asked.pk, now=NOW + timedelta(hours=12))
        asked.refresh_from_db()
        assert asked.is_open
        models.QuerySet(Request).filter(pk=asked.pk).update(**before, next_action_at=NOW)
        assert bound.is_ours(asked)
    later = noon_of(asked) + timedelta(days=1)
    execute.advance(asked.pk, now=later)
    asked.refresh_from_db()
    assert asked.state == State.EXPIRED and company_day(later) > asked.due_on, "the control"


def test_an_event_of_any_kind_that_the_site_did_not_write_is_seen(alice: Customer) -> None:
    removal = confirmed(alice)
    for kind in ("parked", "step", "identity_asked", "told_elsewhere", "letter_returned", "extended"):
        removal.refresh_from_db()
        assert bound.is_ours(removal), "the control"
        with undone():
            event_planted(removal, kind)
            assert not bound.is_ours(removal), kind
            assert run(removal) == "retry" and stands(alice), kind


def test_a_planted_step_is_called_done_nowhere_and_does_not_stop_the_real_one_once_an_operator_has_looked(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = confirmed(alice)
    event_planted(removal, "step", "erase")
    assert run(removal) == "retry" and stands(alice)
    call_command("request_show", removal.reference, "--json")
    steps = {one["name"]: one["done_at"] for one in json.loads(capsys.readouterr().out)["steps"]}
    assert steps["erase"] is None and steps["plan"] is not None
    call_command("seal_requests", request=removal.reference)
    assert bound.is_ours(removal)
    removal.refresh_from_db()
    run(removal, Clock(LATER + timedelta(days=1)))
    assert removal.state == State.CLOSED and not stands(alice)


def test_an_end_of_a_question_that_the_audit_does_not_tell_of_and_a_due_day_that_does_not_follow_are_not_signed(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = confirmed(alice)
    waits.ask(removal, SecondLook.Why.EVIDENCE, actor=ANYBODY, now=NOW)
    was = models.QuerySet(Request).filter(pk=removal.pk).values("due_on", "asked_by", "identity_at").get()
    event_planted(removal, "second_ended")
    event_planted(removal, "refusal_decided")
    roles.run(f"UPDATE privacy_secondlook SET decided_at = now() WHERE request_id = '{removal.pk}'")
    written(removal, f"due_on = '{TODAY}', asked_by = 'authority', identity_at = identity_at - interval '1 day'")
    with pytest.raises(CommandError):
        call_command("seal_requests", request=removal.reference)
    assert "Sealed as they stand: 0." in capsys.readouterr().out and not bound.is_ours(removal)
    assert contradictions.of(removal.pk) == [
        "a question to a second person ended before the request did",
        "its history says more often than the audit that a question to a second person ended",
        "its history says more often than the audit that a second person decided about its refusal",
        "its history says that identity was proved at another time",
        "by its history it was asked by 'self'",
        f"by its history it is due on {was['due_on']:%-d %B %Y}, by its row on {TODAY:%-d %B %Y}",
    ]
    models.QuerySet(Request).filter(pk=removal.pk).update(**was)
    assert len(contradictions.of(removal.pk)) == 3


def test_what_is_held_against_nothing_is_named_beside_the_row(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = filed(alice)
    run(asked)
    assert contradictions.of(asked.pk) == []
    for kind in ("told_elsewhere", "told_elsewhere", "zzz\x1b[2J"):
        event_planted(asked, kind)
    event_planted(asked, "step", "erase")  # while it waits for the person
    written(asked, "country = 'US', region = 'CA'")
    call_command("request_show", asked.reference, "--json")
    steps = {one["name"]: one["done_at"] for one in json.loads(capsys.readouterr().out)["steps"]}
    assert asked.step == "confirm" and steps["erase"] is None and steps["plan"] is not None
    day = f"{TODAY:%-d %B %Y}"
    assert contradictions.besides(asked.pk) == [
        "a step in its history that it has not reached: erase",
        f"in its history, and in no line of the audit: planned, {day}",
        f"in its history, and in no line of the audit: told_elsewhere, {day}, {day}",
        f"in its history, and in no line of the audit: 'zzz\\x1b[2J', {day}",
        "held against nothing: scope whole, country US, region CA",
    ]
    call_command("seal_requests", request=asked.reference)
    capsys.readouterr()
    call_command("request_show", asked.reference, "--json")
    steps = {one["name"]: one["done_at"] for one in json.loads(capsys.readouterr().out)["steps"]}
    assert steps["erase"] is None and steps["plan"] is not None


def test_an_event_that_names_anything_stops_neither_a_list_nor_the_command(
    alice: Customer, bob: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    an_order(alice, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO, paid=LONG_AGO)
    removal, his, asked = confirmed(alice), confirmed(bob), filed(bob, "access")
    run(removal)
    (kept,) = removal.decisions.filter(pinned=True).values_list("pk", flat=True)[:1]
    told = dict(Decision.objects.filter(pk=kept).values_list("pk", "until"))[kept]
    assert list(longer.untold()) == []
    detail = json.dumps({"decision": kept, "told": told and told.isoformat(), "code": "KEEP_LAW"})
    event_planted(removal, "nobody_told", detail=detail)
    assert list(longer.untold()) == [removal], "the control: found by the number of its decision"
    for detail in (
        json.dumps({"decision": "x", "told": told and told.isoformat()}),
        "[]",
        '"x"',
        '{"letter": "x", "by": "post"}',
        "null",
    ):
        for kind in ("nobody_told", "day_came", "notice_written", "letter_returned", "received"):
            event_planted(removal, kind, detail=detail)
    event_planted(removal, "received", detail='{"asked_by": ["x"]}')
    event_planted(removal, "told_elsewhere", detail='{"count": -3}')
    assert list(longer.untold()) == [removal]
    assert deadline._reason_written(removal) == "" and writing.returned(removal, "post") == []
    assert CameBack.letters(removal).count() == removal.letters.filter(sent_at__isnull=False).count()
    written(his, "region = 'CA'")
    with databases.unchecked("privacy_request"):
        written(removal, "due_on = '0044-03-15 BC', closed_at = '0044-03-15 BC'")
        written(asked, "due_on = '0044-03-15 BC', identity_at = '0044-03-15 BC'")
    other = '{"id": "01a22cfe-0000-7000-8000-000000000000", "reference": "PR-2026-0000-00", "subject_id": null}'
    roles.run(  # one without a history
        f"INSERT INTO privacy_request SELECT (jsonb_populate_record(r, '{other}')).* FROM privacy_request r"
        f" WHERE id = '{his.pk}'"
    )
    with pytest.raises(CommandError):
        call_command("seal_requests", all=True)
    said = capsys.readouterr().out
    assert f"{removal.reference}: " in said and "the date in its row cannot be read" in said and bound.is_ours(his)
    assert (
        "PR-2026-0000-00: " in said and "  it could not be looked at (" in said and "Sealed as they stand: 1." in said
    )
    assert {removal.pk, asked.pk} < set(bound.doubted()) and not bound.is_ours(asked)
    call_command("request_list", which="all")
    said = capsys.readouterr().out
    assert "Requests: 4." in said and f"{asked.reference}: " in said and f"answer by: {undated.SENTENCE}" in said


def test_rows_of_before_are_signed_once_where_their_history_supports_them(alice: Customer, bob: Customer) -> None:
    hers, his = confirmed(alice), confirmed(bob)

    def of_before(request: Request, say: Any) -> None:
        row = bound.row_of(request.pk)
        assert row is not None
        models.QuerySet(Request).filter(pk=request.pk).update(mac=vault.mac_of(*say(row)))

    for step, say in (
        (once.STEPS, rebound._said_without_step),
        (once.HISTORIES, rebound._said_of_stages),
        (once.EVENTS, rebound._said_of_count),
    ):
        models.QuerySet(Request).filter(pk=his.pk).update(step="tombstone")
        for one in (hers, his):
            of_before(one, say)
            assert not bound.is_ours(one)
        Once.objects.filter(step=step).delete()
        upgrades.bind_rows(now=NOW)
        assert bound.is_ours(hers)
        if step == once.STEPS:
            assert not bound.is_ours(his), "nobody has done what comes before that step"
        of_before(hers, say)
        upgrades.bind_rows(now=NOW)
        assert not bound.is_ours(hers), "never again"
        bound.sign(hers.pk)
    due_on = history.due_dates(hers).due_on
    for forged in (TODAY, due_on):
        models.QuerySet(Request).filter(pk=hers.pk).update(due_on=forged)
        of_before(hers, rebound._said_of_stages)
        Once.objects.filter(step=once.HISTORIES).delete()
        upgrades.bind_rows(now=NOW)
        assert bound.is_ours(hers) == (forged == due_on), "a due date that does not follow is not signed"


def test_decisions_of_before_are_signed_once_where_the_keys_do_not_contradict_them(
    alice: Customer, bob: Customer
) -> None:
    for one in (alice, bob):
        an_order(one, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO, paid=LONG_AGO)
        run(confirmed(one))
    ended, forged = (Decision.objects.filter(request__owner_id=one.subject_id, pinned=True) for one in (alice, bob))
    forged.update(done_at=NOW)
    for one in Decision.objects.all():
        Decision.objects.filter(pk=one.pk).update(mac=vault.mac_of(*decided._said_before(one)))
    assert decided.ours(Decision.objects.all()) == []
    Once.objects.filter(step=once.ENDS).delete()
    upgrades.bind_rows(now=NOW)
    assert set(Decision.objects.all()) - set(decided.ours(Decision.objects.all())) == set(forged) != set()
    assert ended.exists()


def test_what_decisions_of_before_tell_is_signed_once_where_the_plan_names_those_data(
    alice: Customer, bob: Customer
) -> None:
    removals = [confirmed(one) for one in (alice, bob)]
    forged = Decision.objects.filter(request=removals[1]).first()
    assert forged is not None
    for one in Decision.objects.all():
        Decision.objects.filter(pk=one.pk).update(mac=vault.mac_of(*decided._said_of_end(one)))
    Decision.objects.filter(pk=forged.pk).update(data=["nothing: see https://example.net/"])
    assert decided.ours(Decision.objects.all()) == [] and any(map(decided.was_ours, Decision.objects.all()))
    decided.change(Decision.objects.filter(pk=forged.pk), pinned=True)
    forged.refresh_from_db()
    assert not forged.pinned, "nothing is written into one that the site did not write"
    for request in removals:
        everything = set(request.decisions.values_list("pk", flat=True))
        with undone():
            vault.keys.destroy([(request.pk, bound.ENVELOPE)], now=NOW)
            assert planned.worded(request.pk) == planned.placed(request.pk) == everything, "no plan is left"
        with undone():
            models.QuerySet(Request).filter(pk=request.pk).update(sealed_request_file=None)
            assert planned.worded(request.pk) == planned.placed(request.pk) == set(), "it was taken away"
    Once.objects.filter(step=once.WORDS).delete()
    upgrades.bind_rows(now=NOW)
    assert set(Decision.objects.all()) - set(decided.ours(Decision.objects.all())) == {forged}


WRITTEN = (
    ("UPDATE privacy_decision SET until = '2026-11-21' WHERE action = 'keep'", PLANNED),
    ("UPDATE privacy_decision SET action = 'erase' WHERE action = 'keep'", PLANNED),
    ("UPDATE privacy_decision SET pinned = true WHERE action = 'keep'", PLANNED),
    ("UPDATE privacy_decision SET data = '[\"nothing: see https://example.net/\"]' WHERE action = 'keep'", PLANNED),
    ("UPDATE privacy_decision SET ground = 'see https://example.net/' WHERE action = 'keep'", PLANNED),
    (
        "UPDATE privacy_decision SET done_at = now() WHERE action = 'erase'",
        "a decision says that data has ended, and the key store has its key",
    ),
    (
        "DELETE FROM privacy_decision WHERE action = 'keep'; UPDATE privacy_decision SET mac = ''",
        "there are not as many decisions as its plan in the sealed file has",
    ),
)


def test_a_decision_that_was_written_past_the_site_is_not_signed_with_its_request(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    an_order(alice, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO, paid=LONG_AGO)
    removal = confirmed(alice)
    before = list(Decision.objects.filter(request=removal).order_by("pk").values())
    for statement, said in WRITTEN:
        with undone():
            roles.run(statement)
            event_planted(removal, "letter_returned")
            with pytest.raises(CommandError):
                call_command("seal_requests", request=removal.reference)
            told = capsys.readouterr().out
            assert f"  {said}\n" in told and "Sealed as they stand: 0." in told, statement
            assert not bound.is_ours(removal), statement
            Decision.objects.filter(request=removal).delete()
            Decision.objects.bulk_create(Decision(**one) for one in before)
            Decision.objects.filter(request=removal).update(mac="")
            call_command("seal_requests", request=removal.reference)
            assert bound.is_ours(removal), "the control"
            assert len(decided.ours(removal.decisions.all())) == len(before), "the control"
            capsys.readouterr()


def removal_at(customer: Customer, step: str) -> Request:
    """Return a removal of a customer with an order that law keeps, run until before this step."""
    an_order(customer, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO, paid=LONG_AGO)
    removal = confirmed(customer)
    while removal.step != step:
        assert execute.advance(removal.pk, now=NOW) == removal.step
        removal.refresh_from_db()
    return removal


@pytest.mark.parametrize(
    ("step", "statements"),
    [
        ("wait_for_access", ["DELETE FROM privacy_decision WHERE {his} AND action = 'erase'"]),
        (
            "erase",
            [
                "DELETE FROM privacy_decision WHERE {his} AND action = 'erase'",
                "DELETE FROM privacy_decision WHERE {his}",
                "UPDATE privacy_decision SET request_id = '{other}' WHERE {his} AND action = 'erase'",
                "UPDATE privacy_decision SET action = 'keep', pinned = true WHERE {his} AND action = 'erase'",
            ],
        ),
        ("tombstone", ["DELETE FROM privacy_decision WHERE {his} AND action = 'keep'"]),
        (
            "letter",
            [
                "DELETE FROM privacy_decision WHERE {his} AND action = 'erase'",
                "UPDATE privacy_decision SET data = '[\"nothing: see https://example.net/\"]' WHERE {his} AND action = 'erase'",
                "UPDATE privacy_decision SET authority = 'https://example.net/' WHERE {his} AND action = 'keep'",
            ],
        ),
    ],
    ids=["before it begins", "when data end", "before the proof", "before the answer"],
)
def test_a_removal_whose_decisions_were_taken_away_is_neither_carried_out_nor_answered(
    alice: Customer, bob: Customer, step: str, statements: list[str]
) -> None:
    removal, other = removal_at(alice, step), filed(bob)
    before = list(Decision.objects.filter(request=removal).order_by("pk").values())
    then = NOW
    for statement in statements:
        roles.run(statement.format(his=f"request_id = '{removal.pk}'", other=other.pk))
        assert bound.is_ours(removal), "its row is not changed"
        then += timedelta(hours=6)
        assert execute.advance(removal.pk, now=then) == "retry"
        removal.refresh_from_db()
        assert (removal.last_error, removal.step) == ("NotOurs", step)
        assert stands(alice) == (step in ("wait_for_access", "erase"))
        if Decision.objects.filter(request=removal).count() < len(before):
            assert "there are not as many decisions as its plan in the sealed file has" in contradictions.of(removal.pk)
            with vault.internal(), pytest.raises(outcome.NotAsPlanned):
                outcome.lines(removal, today=TODAY)
        Decision.objects.filter(pk__in=[one["id"] for one in before]).delete()
        Decision.objects.bulk_create(Decision(**one) for one in before)
    run(removal, Clock(then + timedelta(hours=6)))
    assert removal.state == State.CLOSED and not stands(alice), "the control"


def test_a_decision_that_names_no_record_is_asked_of_the_keys_by_the_record_of_its_plan(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = removal_at(alice, "erase")
    records = dict(removal.decisions.filter(action="erase").values_list("pk", "record_id"))
    roles.run("UPDATE privacy_decision SET record_id = NULL, done_at = now() WHERE action = 'erase'")
    event_planted(removal, "letter_returned")
    with pytest.raises(CommandError):
        call_command("seal_requests", request=removal.reference)
    told = capsys.readouterr().out
    assert "  a decision says that data has ended, and the key store has its key\n" in told
    assert not bound.is_ours(removal)
    bound.seal([removal.pk])
    decided.seal([removal.pk])  # as an operator does who does not see it
    assert run(removal) == "retry" and removal.last_error == "NotOurs" and stands(alice)
    for pk, record in records.items():
        Decision.objects.filter(pk=pk).update(record_id=record, done_at=None)
    decided.seal([removal.pk])
    assert contradictions.of(removal.pk) == []
    run(removal, Clock(LATER))
    assert removal.state == State.CLOSED and not stands(alice), "the control"
    assert contradictions.of(removal.pk) == []


def test_without_the_plan_in_the_file_no_removal_is_called_carried_out(alice: Customer) -> None:
    removal = removal_at(alice, "tombstone")
    DataKey.objects.filter(record=removal.pk).delete()
    assert run(removal) == "retry"
    assert (removal.step, removal.last_error) == ("tombstone", planned.PlanUnreadable.__name__)


def test_a_decision_of_before_that_names_no_record_is_signed_once_where_plan_and_keys_prove_it(
    alice: Customer, bob: Customer
) -> None:
    ended, forged = removal_at(alice, "tombstone"), removal_at(bob, "erase")
    records = {one.pk: planned.record_of(one, verdict) for one, verdict in planned.require(ended)}
    lost, theirs = (Decision.objects.filter(request=one, action="erase") for one in (ended, forged))
    for one in [*lost, *theirs]:
        mac = vault.mac_of(*decided._said_before(one, records.get(one.pk)))
        Decision.objects.filter(pk=one.pk).update(mac=mac, record_id=None, done_at=NOW)
    assert lost and decided.ours(lost.all()) == decided.ours(theirs.all()) == []

    def signed() -> tuple[set[bool], set[bool]]:
        Once.objects.filter(step=once.FORGOTTEN).delete()
        upgrades.bind_rows(now=NOW)
        return set(map(decided.is_ours, lost.all())), set(map(decided.is_ours, theirs.all()))

    assert signed() == ({True}, {False})
    for request in (ended, forged):  # a plan of before names no records
        with vault.internal():
            file = request.outcome
        for verdict in file["plan"]["verdicts"]:
            del verdict["of"]
        request.outcome = file
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column
        request.decisions.filter(record_id=None).update(mac="")
    said = [one for one in contradictions.of(forged.pk) if one.startswith("a decision about ")]
    assert len(said) == theirs.count(), "which data of hers ended nobody can tell"
    assert signed() == ({True}, {False})
    assert run(forged, Clock(LATER)) == "retry" and stands(bob)


def test_what_the_audit_does_not_tell_is_not_signed_with_a_request(alice: Customer) -> None:
    removal = filed(alice)
    run(removal)
    event_planted(removal, "second_decided")
    event_planted(removal, "extended")
    models.QuerySet(Request).filter(pk=removal.pk).update(confirmed_hash=removal.plan_hash)
    event_planted(removal, "confirmed")
    assert contradictions.of(removal.pk) == [
        "the audit does not tell that this plan was confirmed",
        "its history says more often than the audit that a second person decided",
        "its history says more often than the audit that the deadline was extended",
        "its history says more often than the audit that a plan was confirmed",
        f"by its history it is due on {history.due_dates(removal).due_on:%-d %B %Y}, by its row on {removal.due_on:%-d %B %Y}",
    ]
    for detail in ("[]", '{"identity": ["link"], "count": "x"}'):  # stops neither command nor page
        event_planted(removal, "identity", detail=detail)
        event_planted(removal, "told_elsewhere", detail=detail)
        event_planted(removal, "confirmed", detail=detail)
        event_planted(removal, "second_asked", detail=detail)
    assert second.agreed(removal) == "" and second.asked_when(removal) == []
    assert len(contradictions.of(removal.pk)) == 6 and waits.ends_at(removal, now=NOW) is None
    models.QuerySet(Request).filter(pk=removal.pk).update(identity="link")
    removal.refresh_from_db()
    assert waits.ends_at(removal, now=NOW) is None
    control = confirmed(alice, "access")
    assert contradictions.of(control.pk) == []
