"""Plan, confirmation, and the other ways to end."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, timedelta

import pytest
from django.db import transaction

from privacy import gate, letters
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import bound, execute, history, outcome, proof, proving, reading, services, sight
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import TRANSITIONS, State
from privacy.vault.models import DataKey
from tests import factories
from tests.asked import (
    ANYBODY,
    NOW,
    OPERATOR,
    PRIVACY,
    confirmed,
    filed,
    refused_by_two,
    run,
    taken_in,
)
from tests.factories import an_order, an_rma, as_customer


def texts(request: Request, kind: str) -> list[str]:
    with system("letter"):
        return [letters.given(letter)[0] for letter in Letter.objects.filter(request=request, kind=kind)]


# Plan and confirmation


def test_a_plan_says_for_each_record_what_happens_and_why(alice, bob, old_order, kept_order) -> None:
    request = filed(alice)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    shown = reading.show(request)
    fates = {
        (d["label"], d["record"], x["envelope"]): (x["action"], x["code"], x["until"])
        for d in shown["decisions"]
        for x in d["data"]
    }
    assert fates["orders.order", str(old_order.pk), "order"][0] == "erase"
    assert fates["orders.order", str(kept_order.pk), "order"] == ("keep", "KEEP_LI", "2031-12-31")
    assert fates["accounts.customer", str(alice.pk), "account"][:2] == ("erase", "ERASE")
    assert str(bob.pk) not in str(shown)
    assert [one.name for one in made.leftovers] == ["request_file", "block_token"]
    assert "17(3)(b)" not in str(shown), "US law is no legal obligation of the EU"


def test_planning_twice_changes_nothing(alice, kept_order) -> None:
    request = filed(alice)
    first = services.make_plan(request, actor=as_customer(alice), now=NOW)
    ids = list(request.decisions.values_list("pk", flat=True))
    second = services.make_plan(request, actor=as_customer(alice), now=NOW + timedelta(minutes=5))
    assert first.hash == second.hash and list(request.decisions.values_list("pk", flat=True)) == ids


def test_another_hash_confirms_nothing(alice) -> None:
    request = filed(alice)
    services.make_plan(request, actor=as_customer(alice), now=NOW)
    with pytest.raises(services.PlanChanged):
        services.confirm(request, "0" * 64, actor=as_customer(alice), now=NOW)
    request.refresh_from_db()
    assert request.state == State.PLANNED and request.confirmed_hash == ""


def test_what_is_confirmed_is_shown_again_and_confirmed_once(alice) -> None:
    request, me = confirmed(alice), as_customer(alice)
    events = request.events.count()
    assert services.make_plan(request, actor=me, now=NOW).hash == request.confirmed_hash
    assert services.confirm(request, request.confirmed_hash, actor=me, now=NOW) == request
    assert (request.state, request.events.count()) == (State.CONFIRMED, events)


def test_a_plan_that_changed_must_be_confirmed_again(alice) -> None:
    request = filed(alice)
    seen = services.make_plan(request, actor=as_customer(alice), now=NOW)
    an_order(alice, date(2026, 11, 19))
    with pytest.raises(services.PlanChanged) as changed:
        services.confirm(request, seen.hash, actor=as_customer(alice), now=NOW)
    request.refresh_from_db()
    assert request.plan_hash == changed.value.plan.hash != seen.hash
    services.confirm(request, changed.value.plan.hash, actor=as_customer(alice), now=NOW)
    request.refresh_from_db()
    assert request.state == State.CONFIRMED


def test_a_change_after_the_confirmation_goes_back_to_the_person(alice) -> None:
    request = confirmed(alice)
    an_order(alice, date(2026, 11, 19))
    run(request)
    assert request.state == State.PLANNED and request.confirmed_hash == ""
    assert len(texts(request, "plan_changed")) == 1
    with gate.acting(as_customer(alice)):
        alice.refresh_from_db()
        assert alice.first_name == "Alice", "nothing was removed"


def test_open_matters_are_said_before(alice) -> None:
    an_rma(alice)
    an_order(alice, date(2026, 11, 2), invoiced=date(2026, 11, 3))
    made = services.make_plan(filed(alice), actor=as_customer(alice), now=NOW)
    assert len(made.warnings) >= 2


def test_bob_neither_plans_nor_confirms_nor_withdraws_for_alice(alice, bob) -> None:
    request = filed(alice)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    for act in (
        lambda who: services.make_plan(request, actor=who, now=NOW),
        lambda who: services.confirm(request, made.hash, actor=who, now=NOW),
        lambda who: services.withdraw(request, actor=who, now=NOW),
        lambda who: services.refuse(request, ground="x", authority="", actor=who, now=NOW),
        lambda who: services.resume(request, actor=who, now=NOW),
        lambda who: reading.lines(request, actor=who, now=NOW),
        lambda who: proving.identify(request, "staff", subject=bob.subject_id, actor=who, now=NOW),
    ):
        for who in (as_customer(bob), ANYBODY):
            with pytest.raises(sight.NotYours):
                act(who)


def test_without_proof_nothing_is_planned(alice) -> None:
    request = taken_in("erasure", alice.subject_id, channel="phone", actor=OPERATOR)
    with pytest.raises(services.NotIdentified):
        services.make_plan(request, actor=OPERATOR, now=NOW)
    with pytest.raises(services.NotIdentified):
        services.confirm(request, "0" * 64, actor=OPERATOR, now=NOW)


def test_who_is_proved_has_no_other_open_request_of_the_kind_and_no_row_in_doubt_is_given_to_anybody(
    alice, bob
) -> None:
    stranger = taken_in("access", None, channel="mail", email="old@example.com", actor=OPERATOR)
    filed(alice, "access")
    with pytest.raises(history.NotAllowed, match="add the receipt there"):
        proving.identify(stranger, "in_person", subject=alice.subject_id, actor=PRIVACY, now=NOW)
    Request.objects.filter(pk=stranger.pk).update(due_on=date(2030, 1, 1))
    with pytest.raises(history.NotAllowed, match="does not say what the site wrote"):
        proving.identify(stranger, "in_person", subject=bob.subject_id, actor=PRIVACY, now=NOW)
    stranger.refresh_from_db()
    assert (stranger.subject_id, stranger.state) == (None, State.RECEIVED)


def test_a_note_is_of_staff_has_words_and_is_not_endless(alice) -> None:
    request, pat = filed(alice), factories.staff("pat", roles=("privacy",)).as_actor()
    for who, text, error in (
        (as_customer(alice), "Mine.", sight.NotYours),
        (pat, "  ", proof.BadRequest),
        (pat, "a" * 15_000, None),
        (pat, "b" * 6_000, proof.BadRequest),
    ):
        with pytest.raises(error) if error else nullcontext():
            services.add_note(request, text=text, actor=who, now=NOW)
    request.refresh_from_db()
    with system("letter"):
        assert str(request.note).endswith("a" * 15_000)


# Other ends


def test_it_can_be_taken_back_until_it_starts(alice) -> None:
    request = confirmed(alice)
    services.withdraw(request, actor=as_customer(alice), now=NOW)
    assert request.state == State.WITHDRAWN and request.next_action_at is None
    assert execute.advance(request.pk, now=NOW) == "idle"
    assert len(texts(request, "withdrawn")) == 1


def test_it_cannot_be_taken_back_after_it_started(alice) -> None:
    request = confirmed(alice)
    assert execute.advance(request.pk, now=NOW) == "wait_for_access"
    request.refresh_from_db()
    assert request.state == State.EXECUTING
    with pytest.raises(history.NotAllowed):
        services.withdraw(request, actor=as_customer(alice), now=NOW)


def test_a_refusal_says_why_and_where_to_complain(alice) -> None:
    request = filed(alice)
    with pytest.raises(proof.BadRequest):
        services.refuse(request, ground=" ", authority="", actor=PRIVACY, now=NOW)
    refused_by_two(request, "The request is manifestly unfounded.")
    (text,) = texts(request, "refused")
    assert "manifestly unfounded" in text and "Art. 12(5)" in text and "data protection authority" in text


def test_a_refusal_is_told_by_its_letter_where_the_file_of_the_request_cannot_be_opened(alice) -> None:
    request = filed(alice)
    DataKey.objects.filter(record=request.pk).delete()
    services.refuse(request, ground="It is none.", authority="", actor=PRIVACY, now=NOW)
    assert request.state == State.REFUSED
    (text,) = texts(request, "refused")
    assert "It is none." in text
    with pytest.raises(outcome.FileUnreadable), system("letter"):
        outcome.read(Request.objects.get())


def test_every_state_and_only_the_table_can_be_reached(alice) -> None:
    request = filed(alice)
    for before in State:
        for after in State:
            Request.objects.filter(pk=request.pk).update(state=before)
            bound.seal([request.pk])
            request.refresh_from_db()
            if after in TRANSITIONS[before]:
                history.move(request, after, actor=None, now=NOW)
                assert request.state == after
            else:
                with pytest.raises(history.NotAllowed):
                    history.move(request, after, actor=None, now=NOW)


def test_events_are_append_only(alice) -> None:
    event = filed(alice).events.first()
    for change in (lambda: RequestEvent.objects.filter(pk=event.pk).update(kind="x"), lambda: event.delete()):
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            change()
