"""Who can write to the main database, and has neither key ring nor key store, gets nobody else's
data by a request of his own.

Each attack is what such a person can do: rows changed past the services. Beside it stands what the same rows do
untouched.
"""

from __future__ import annotations

import html
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections, models
from django.test.utils import CaptureQueriesContext

from accounts import claim, joining, upgrades
from accounts.models import Communication, Customer
from orders.models import Order
from privacy import vault
from privacy.admin.filing import subject_of
from privacy.audit.models import AuditEvent
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import (
    bound,
    contradictions,
    execute,
    export,
    filing,
    grounds,
    history,
    links,
    proving,
    reading,
    rebound,
    second,
    services,
    sight,
    waits,
)
from privacy.requests.models import Export, OneTimeLink, Request, RequestEvent, SecondLook
from privacy.requests.proving import identify_into
from privacy.requests.sight import NotYours
from privacy.requests.states import State
from privacy.retention.models import Decision
from privacy.vault.keystore import once
from privacy.vault.models import DataKey, Once
from tests import factories, pages, roles
from tests.asked import NOW, PRIVACY, TODAY, Clock, confirmed, filed, run, taken_in
from tests.factories import an_order, as_customer
from tests.journeys.everybody import undone
from tests.privacy.requests.test_who_is_the_person import carried_out
from tests.shapes import shaped

pytestmark = pytest.mark.django_db(databases="__all__")

COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
LATER = NOW + timedelta(hours=1)


def planted(request: Request, **columns: Any) -> None:
    """Write into the row of a request as somebody who holds the main database's password."""
    assert models.QuerySet(Request).filter(pk=request.pk).update(**columns) == 1


def copy_of(request: Request, customer: Customer) -> str:
    """Return all that stands in the copy that this person fetches."""
    _, chunks = export.fetch(request, actor=as_customer(customer), now=LATER)
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


def stands(record: Any) -> bool:
    """Say whether the data of a record can still be read."""
    return DataKey.objects.filter(record=record.pk, destroyed_at=None).exists()


def test_a_request_that_nobody_touched_is_carried_out_at_every_step(alice: Customer, bob: Customer) -> None:
    for customer in (alice, bob):
        request = filed(customer, "access")
        run(request)
        assert bound.is_ours(request) and request.state == State.REPLIED
        assert (customer.first_name in copy_of(request, customer)) is True
    removal = confirmed(bob)
    run(removal)
    assert removal.state == State.CLOSED and bound.is_ours(removal)
    assert list(bound.doubted()) == []


def test_a_step_asks_the_table_once_whose_a_request_is_and_who_comes_after_it_anew(bob: Customer) -> None:
    his = filed(bob, "access")
    with CaptureQueriesContext(connections["default"]) as queries, bound.asked_once(his):
        assert queries.captured_queries == []  # a step that only waits asks nothing
        assert bound.is_ours(his)
        asked = len(queries)
        bound.require(his)
        assert bound.is_ours(his) and len(queries) == asked
        history.event(his, history.NOTED, actor=PRIVACY, now=LATER)  # signed at once, for who reads it otherwise
        assert bound.is_bound(his.pk)
    planted(his, identity="in_person")
    with bound.asked_once(his):
        with pytest.raises(bound.NotOurs):
            bound.require(his)
        history.event(his, history.NOTED, actor=PRIVACY, now=LATER)
    assert not bound.is_ours(his)  # what did not fit before is not signed


@pytest.mark.parametrize("columns", ["subject_id", "owner_id", "subject_id owner_id"])
def test_ones_own_request_made_about_somebody_else_makes_no_copy(alice: Customer, bob: Customer, columns: str) -> None:
    his = filed(bob, "access")
    planted(his, **dict.fromkeys(columns.split(), alice.subject_id))
    assert run(his) == "retry"
    assert (his.last_error, Export.objects.count()) == ("NotOurs", 0)
    for _ in range(execute.MOST_ATTEMPTS):
        execute.advance(his.pk, now=NOW + timedelta(days=_ + 1))
    his.refresh_from_db()
    assert his.state == State.PARKED
    with pytest.raises(history.NotAllowed, match="does not say what the site wrote"):
        services.resume(his, actor=PRIVACY, now=LATER)
    planted(his, subject_id=bob.subject_id, owner_id=bob.subject_id)
    with pytest.raises(history.NotAllowed, match="does not say what the site wrote"):
        services.resume(his, actor=PRIVACY, now=LATER)  # it was parked as it stood: an operator seals it
    call_command("seal_requests", request=his.reference)
    services.resume(his, actor=PRIVACY, now=LATER + timedelta(days=20))
    run(his, Clock(LATER + timedelta(days=20)))
    assert Export.objects.get().request == his


def test_a_step_at_the_desk_whose_record_is_somebody_elses_says_what_to_do(alice: Customer, bob: Customer) -> None:
    his = filed(bob, "access")
    planted(his, owner_id=alice.subject_id)
    pat = pages.signed_in(factories.staff("pat", roles=("privacy",)), again=True)
    data = {"ground": "It asks for what we do not hold.", "authority": next(iter(grounds.of(his)))}
    answer = pat.post(f"/admin/privacy/request/{his.pk}/step/refuse/", data)
    said = html.unescape(pages.read(answer))
    assert answer.status_code == 400
    assert "somebody else's than its row says. Nothing was done" in said and "A request that is doubted" in said
    his.refresh_from_db()
    assert his.state != State.REFUSED


def test_what_decides_about_a_request_stands_under_its_hash(bob: Customer) -> None:
    his = filed(bob, "access")
    before = columns_of(his)
    for columns in (
        {"scope": "records"},
        {"kind": "erasure"},
        {"channel": "phone"},
        {"asked_by": "agent"},
        {"identity": "in_person"},
        {"identity_at": NOW - timedelta(days=1)},
        {"plan_hash": "0" * 64},
        {"confirmed_hash": "0" * 64, "plan_hash": "0" * 64},
        {"reference": "PR-2026-0000-00"},
        {"state": "closed"},
        {"mac": ""},
    ):
        assert bound.is_ours(his) and list(bound.doubted()) == []
        planted(his, **columns)
        assert not bound.is_ours(his), columns
        assert list(bound.doubted()) == [his.pk], columns
        planted(his, **before)


def test_who_is_asking_is_not_proved_by_what_somebody_wrote_into_the_row(alice: Customer) -> None:
    asked = taken_in(
        "erasure", alice.subject_id, email="alice@example.com", actor=Actor("anonymous", None, None, frozenset(), "web")
    )
    planted(asked, identity="login", identity_at=NOW, state="identity", step="plan", next_action_at=NOW)
    assert run(asked) == "retry" and asked.last_error == "NotOurs"
    assert stands(alice)


def test_ones_own_confirmed_removal_made_about_somebody_else_removes_nothing(alice: Customer, bob: Customer) -> None:
    his = confirmed(bob)
    planted(his, subject_id=alice.subject_id, owner_id=alice.subject_id)
    assert run(his) == "retry" and his.last_error == "NotOurs"
    assert stands(alice)
    planted(his, subject_id=bob.subject_id, owner_id=bob.subject_id)
    run(his, Clock(NOW + timedelta(days=1)))
    assert his.state == State.CLOSED and stands(alice) and not stands(bob)


def test_a_decision_about_somebody_elses_record_removes_nothing_of_it(alice: Customer, bob: Customer) -> None:
    his = confirmed(bob)
    assert execute.advance(his.pk, now=NOW) == "wait_for_access"
    one = Decision.objects.filter(request=his, action="erase", label="accounts.customer").get()
    assert Decision.objects.filter(pk=one.pk).update(record_id=alice.pk) == 1
    assert run(his, Clock(NOW + timedelta(minutes=5))) == "retry" and his.last_error == "NotOurs"
    assert stands(alice)
    assert Decision.objects.filter(pk=one.pk).update(record_id=bob.pk) == 1
    run(his, Clock(NOW + timedelta(days=1)))
    assert his.state == State.CLOSED and stands(alice) and not stands(bob)


def test_ones_own_removal_stops_at_a_decision_that_somebody_wrote(bob: Customer) -> None:
    """Else who asked for it could have removed what law keeps."""
    his = confirmed(bob)
    assert execute.advance(his.pk, now=NOW) == "wait_for_access"
    one = Decision.objects.filter(request=his, action="erase", label="accounts.customer").get()
    for columns in ({"code": "ERASE_X"}, {"until": TODAY}, {"overdue": True}, {"mac": ""}):
        before = {name: getattr(one, name) for name in columns}
        assert Decision.objects.filter(pk=one.pk).update(**columns) == 1
        assert run(his, Clock(NOW + timedelta(minutes=5))) == "retry" and his.last_error == "NotOurs", columns
        assert stands(bob)
        assert Decision.objects.filter(pk=one.pk).update(**before) == 1
        planted(his, next_action_at=NOW, last_error="", attempts=0)
    run(his, Clock(NOW + timedelta(days=1)))
    assert his.state == State.CLOSED and not stands(bob), "control"


def test_a_finished_copy_is_given_out_for_no_other_request(alice: Customer, bob: Customer) -> None:
    hers, his = filed(alice, "access"), filed(bob, "access")
    for request in (hers, his):
        run(request)
    Export.objects.filter(request=his).update(deleted_at=NOW)
    assert Export.objects.filter(request=hers).update(request=his) == 1
    with pytest.raises(export.NoCopy):
        copy_of(his, bob)
    assert export.left(his, now=LATER) == []
    assert Export.objects.filter(request=his, deleted_at=None).update(request=hers) == 1
    assert "Archer" in copy_of(hers, alice) and len(export.left(hers, now=LATER)) == 1


def test_somebody_elses_request_made_ones_own_gives_out_no_copy_and_is_not_confirmed(
    alice: Customer, bob: Customer
) -> None:
    hers = filed(alice, "access")
    run(hers)
    removal = filed(alice)
    made = services.make_plan(removal, actor=as_customer(alice), now=NOW)
    for request in (hers, removal):
        planted(request, subject_id=bob.subject_id, owner_id=bob.subject_id)
        request.refresh_from_db()
    with pytest.raises(NotYours):
        copy_of(hers, bob)
    with pytest.raises(NotYours):
        services.confirm(removal, made.hash, actor=as_customer(bob), now=NOW)
    with pytest.raises(NotYours):
        sight.acting_as(hers)
    for request in (hers, removal):
        planted(request, subject_id=alice.subject_id, owner_id=alice.subject_id)
        request.refresh_from_db()
    assert "Archer" in copy_of(hers, alice)
    services.confirm(removal, made.hash, actor=as_customer(alice), now=NOW)


def test_ones_own_outcome_code_leads_to_nobody_elses_copy(alice: Customer, bob: Customer) -> None:
    hers, his = filed(alice, "access"), filed(bob, "access")
    code = factories.code_of(his)
    for request in (hers, his):
        run(request)
    assert reading.by_code(his.reference, code, now=LATER)["request"] == his
    planted(his, subject_id=None, owner_id=alice.subject_id)
    for reader in (None, alice.subject_id):
        with pytest.raises((NotYours, reading.CodeMoved)):
            reading.by_code(his.reference, code, now=LATER, reader=reader)
    his.refresh_from_db()
    assert export.left(his, now=LATER) == []


# An earlier row -------------------------------------------------------------------------------------------------------


def columns_of(request: Request) -> dict[str, Any]:
    names = [one.attname for one in Request._meta.concrete_fields if one.attname != "id"]
    return dict(models.QuerySet(Request).filter(pk=request.pk).values(*names).get())


def test_an_earlier_row_of_a_request_that_was_refused_is_not_carried_out(bob: Customer) -> None:
    his = confirmed(bob)
    before = columns_of(his)
    assert bound.is_ours(his)
    services.refuse(his, ground="It is not him.", authority="", actor=PRIVACY, now=NOW)
    planted(his, **before)
    assert not bound.is_ours(his)
    assert run(his) == "retry" and his.last_error == "NotOurs"
    assert stands(bob)


def test_a_row_from_before_two_people_were_joined_again_parted_is_nobodys(alice: Customer, bob: Customer) -> None:
    his = filed(bob, "access")
    run(his)
    before = columns_of(his)
    claim.merge(bob.subject_id, alice.subject_id, actor=None, now=NOW)
    his.refresh_from_db()
    assert his.owner_id == alice.subject_id and bound.is_ours(his), "it goes along"
    assert "Bob" in copy_of(his, alice)
    planted(his, **before | {"subject_id": None})
    assert not bound.is_ours(his), "the key store knows whose file it is"


@pytest.mark.parametrize("how", ["taken away", "answered"])
def test_a_question_to_a_second_person_is_not_answered_by_a_statement(alice: Customer, how: str) -> None:
    hers = taken_in("access", alice.subject_id, channel="mail", identity="staff", actor=PRIVACY)
    assert waits.is_undecided(hers)
    looks = SecondLook.objects.filter(request=hers)
    if how == "taken away":
        looks.delete()
    else:
        looks.update(decided_at=NOW, outcome="go_on", decided_kind="staff", decided_by="pat")
    assert waits.is_undecided(hers)
    run(hers)
    assert not Export.objects.exists()
    RequestEvent.objects.create(
        request=hers, at=NOW, on=TODAY, kind="second_decided", state=hers.state, actor_kind="staff", actor_id="pat"
    )
    assert not bound.is_ours(hers), "a planted event breaks the row"


def test_the_second_persons_own_answer_lets_it_go_on(alice: Customer) -> None:
    hers = taken_in("access", alice.subject_id, channel="mail", identity="staff", actor=PRIVACY)
    run(hers)
    second.decide(hers, "go_on", actor=COLLEAGUE, now=NOW)
    assert not waits.is_undecided(hers)
    run(hers, Clock(LATER))
    assert Export.objects.get().request == hers


# Records that were moved by a statement -------------------------------------------------------------------------------


def test_somebody_elses_order_hung_on_ones_own_number_is_not_in_ones_copy(
    alice: Customer, bob: Customer, old_order: Order
) -> None:
    his = filed(bob, "access")
    assert Order.objects.filter(pk=old_order.pk).update(customer=bob) == 1
    assert run(his) == "retry"
    assert (his.last_error, Export.objects.count()) == ("NotOurs", 0)
    assert Order.objects.filter(pk=old_order.pk).update(customer=alice) == 1
    run(his, Clock(NOW + timedelta(days=1)))
    assert "Whitfield" not in copy_of(his, bob)


def test_somebody_elses_order_hung_on_ones_own_number_is_not_removed_with_ones_own(
    alice: Customer, bob: Customer, old_order: Order
) -> None:
    assert Order.objects.filter(pk=old_order.pk).update(customer=bob) == 1
    his = confirmed(bob)
    assert Decision.objects.filter(request=his, record_id=old_order.pk, action="erase").exists()
    assert run(his) == "retry" and his.last_error == "NotOurs"
    assert stands(old_order)


def test_what_is_nobodys_is_not_in_ones_copy_by_a_changed_row(bob: Customer) -> None:
    letter = factories.communication(None, subject=None, email="gina@example.com", body="Gina writes.")
    assert DataKey.objects.filter(record=letter.pk).values_list("owner_kind", flat=True)[0] == "none"
    his = filed(bob, "access")
    assert Communication.objects.filter(pk=letter.pk).update(subject=bob.subject) == 1
    assert run(his) == "retry" and his.last_error == "NotOurs"
    assert Communication.objects.filter(pk=letter.pk).update(subject=None) == 1
    run(his, Clock(NOW + timedelta(days=1)))
    assert "Gina" not in copy_of(his, bob)


# People joined, and the upgrade ---------------------------------------------------------------------------------------


def test_a_request_goes_with_its_person_to_another_and_back(alice: Customer, bob: Customer) -> None:
    his = filed(bob, "access")
    services.withdraw(his, actor=as_customer(bob), now=NOW)
    message = factories.communication(bob, email="alice@example.com")
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    seen = joining.preview(look, [], [bob.subject_id], now=NOW).fingerprint
    joining.join(look, [], people=[bob.subject_id], reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    look = joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW)
    his.refresh_from_db()
    assert his.owner_id == alice.subject_id and bound.is_ours(his)
    joining.undo(look, actor=PRIVACY, now=NOW)
    his.refresh_from_db()
    message.refresh_from_db()
    assert his.owner_id == bob.subject_id and bound.is_ours(his)
    planted(his, identity_at=None)
    assert bound.carry([his.pk], bob.subject_id) == 1
    assert not bound.is_ours(his), "one that was changed stays so"


def test_requests_of_before_are_signed_once_and_never_again(
    alice: Customer, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers, his = filed(alice, "access"), filed(bob, "access")
    run(hers)
    models.QuerySet(Request).update(mac="")
    Export.objects.update(mac="")
    assert not bound.is_ours(hers)
    monkeypatch.setattr(bound, "CHUNK", 1)
    assert list(bound.doubted()) == [hers.pk, his.pk], "all are looked at, however many are read at a time"
    Once.objects.filter(step=once.REQUESTS).delete()
    assert once.do(once.REQUESTS, rebound.bind_all, now=NOW) == 3
    assert bound.is_ours(hers) and bound.is_ours(his) and "Archer" in copy_of(hers, alice)
    planted(his, identity_at=NOW - timedelta(days=1), mac="")
    upgrades.bind_rows(now=NOW)
    assert not bound.is_ours(his) and once.is_done(once.REQUESTS)


def test_signing_many_takes_as_many_statements_as_signing_one(alice: Customer, bob: Customer) -> None:
    counts = []
    for number in (1, 2):
        for customer in (alice, bob)[:number]:
            request = filed(customer, "access")
            services.withdraw(request, actor=as_customer(customer), now=NOW)
        models.QuerySet(Request).update(mac="")
        with CaptureQueriesContext(connections["default"]) as found:
            rebound.bind_all()
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_an_operator_who_looked_seals_a_request_and_no_other(
    alice: Customer, bob: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    hers, his = filed(alice, "access"), filed(bob, "access")
    call_command("seal_requests")
    assert "Requests that are doubted: 0." in capsys.readouterr().out
    for request in (hers, his):
        planted(request, mac="")
    for which, number in (({"request": hers.reference}, 1), ({"all": True}, 2)):
        with pytest.raises(CommandError):
            call_command("seal_requests", dry_run=True, **which)
        said = capsys.readouterr().out
        assert f"Would be sealed as they stand: {number}." in said and "this was a dry run." in said
        assert not bound.is_ours(hers) and not bound.is_ours(his)
    assert not AuditEvent.objects.filter(action="request.sealed").exists()
    with pytest.raises(CommandError) as wrong:
        call_command("seal_requests", dry_run=True)
    assert wrong.value.returncode == 2
    with pytest.raises(CommandError):
        call_command("seal_requests", request=hers.reference)
    assert bound.is_ours(hers) and not bound.is_ours(his)
    assert his.reference in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("seal_requests", request=hers.reference)
    assert capsys.readouterr().out.startswith("This request is in order. Nothing was changed.\n")
    with pytest.raises(CommandError, match="There is no request with this reference") as unknown:
        call_command("seal_requests", request="PR-2026-0000-00")
    assert unknown.value.returncode == 1
    with pytest.raises(CommandError):
        call_command("seal_requests", all=True, dry_run=True, json=True)
    (told,) = shaped("seal_requests", json.loads(capsys.readouterr().out))["doubted"]
    assert (told["reference"], told["contradictions"]) == (his.reference, [])
    planted(hers, subject_id=None, owner_id=bob.subject_id)
    with pytest.raises(CommandError):
        call_command("seal_requests", all=True)
    assert bound.is_ours(his) and not bound.is_ours(hers), "whose file it is, no operator says"


def test_what_its_history_contradicts_is_named_and_not_sealed_as_it_stands(
    alice: Customer, bob: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = taken_in("access", alice.subject_id, channel="mail", actor=PRIVACY)
    planted(forged, identity="link", identity_at=NOW, state="confirmed", confirmed_hash="a" * 64, plan_hash="a" * 64)
    with pytest.raises(CommandError):
        call_command("seal_requests", request=forged.reference)
    said = capsys.readouterr().out
    for what in (
        "that it was ever confirmed",
        "that identity was proved",
        "that a plan was made",
        "that a plan was confirmed",
    ):
        assert f"  its history does not say {what}\n" in said
    assert "Sealed as they stand: 0." in said and not bound.is_ours(forged)
    planted(forged, identity="pending", identity_at=None, state="received", confirmed_hash="", plan_hash="", mac="")
    call_command("seal_requests", request=forged.reference)
    assert bound.is_ours(forged), "control"


def test_each_part_of_a_row_is_held_against_its_history_its_plan_and_its_steps(alice: Customer) -> None:
    removal, undone_before = confirmed(alice), "it is at a step before which this had to be done, and was not: "
    for columns, said in (
        ({"identity_at": None}, "the row says that identity was proved, and not when, or the other way round"),
        ({"plan_hash": "b" * 64}, "its plan in the sealed file is another than the row names"),
        ({"step": "nowhere"}, "this right has no such step"),
        ({"step": "block_tokens", "scope": "records"}, undone_before),  # a step that such a request never has
    ):
        with undone():
            planted(removal, **columns)
            assert any(one.startswith(said) for one in contradictions.of(removal.pk)), columns
    with undone():
        DataKey.objects.filter(record=removal.pk).delete()
        assert contradictions.of(removal.pk) == [], "of a file that has ended there is no plan"
    nobody = taken_in("access", None, channel="mail", email="nobody@example.com", name="Nora No", actor=PRIVACY)
    services.say_nothing_held(nobody, actor=PRIVACY, now=NOW)
    assert (nobody.state, contradictions.of(nobody.pk)) == (State.CLOSED, []), "it is answered without a step"


def test_who_had_no_part_is_a_second_person_of_a_row_that_names_nobody_and_lets_it_not_go_on(alice: Customer) -> None:
    request = filed(alice)
    waits.ask(request, SecondLook.Why.JOINED, actor=None, now=NOW)
    planted(request, owner_id=None, subject_id=None, identity_at=None)
    request.refresh_from_db()
    assert second.may_decide(request, COLLEAGUE)
    with pytest.raises(history.NotAllowed):
        second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)


def test_no_step_of_a_removal_is_passed_over_by_a_changed_row(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = confirmed(alice)
    for step in ("letter", "tombstone", "sign_out", "close", "erase"):
        planted(removal, step=step, next_action_at=NOW)
        assert execute.advance(removal.pk, now=LATER) == "retry", step
        removal.refresh_from_db()
        assert (removal.last_error, removal.state) == ("NotOurs", State.CONFIRMED) and stands(alice)
        with pytest.raises(CommandError):
            call_command("seal_requests", request=removal.reference)
        said = capsys.readouterr().out
        undone = "  it is at a step before which this had to be done, and was not: Copies that were asked for"
        assert f"{undone} are finished first\n" in said, step
        assert "Sealed as they stand: 0." in said
        planted(removal, step="wait_for_access", next_action_at=NOW, last_error="", attempts=0)
    run(removal)
    assert removal.state == State.CLOSED and not stands(alice), "the control"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"kind": "access"}, "by the audit it was filed as erasure"),
        ({"kind": "zzz"}, "this program knows no such right"),
        ({"channel": "mail"}, "by the audit it came by web"),
        ({"identity": "callback"}, "its history says that identity was proved in another way"),
        ({"reference": "PR-2026-0000-00"}, "by the audit it was filed under another reference"),
    ],
)
def test_what_it_was_filed_as_is_held_against_the_audit(
    alice: Customer, columns: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = filed(alice, "erasure")
    planted(removal, **columns)
    with pytest.raises(CommandError):
        call_command("seal_requests", all=True)
    told = capsys.readouterr().out
    assert f"  {said}\n" in told and "Sealed as they stand: 0." in told
    assert not bound.is_ours(removal) and stands(alice)


@pytest.mark.parametrize("more", [{}, {"record_id": None}], ids=["done", "done, and about no record"])
def test_what_a_column_calls_erased_is_asked_of_the_keys_before_anything_is_answered(
    alice: Customer, more: dict[str, None]
) -> None:
    removal = confirmed(alice)
    records = dict(removal.decisions.filter(action=Decision.Action.ERASE).values_list("pk", "record_id"))
    then = NOW
    for step, state in (("wait_for_access", State.CONFIRMED), ("erase", State.EXECUTING)):
        while removal.step != step:
            assert execute.advance(removal.pk, now=then) == removal.step
            removal.refresh_from_db()
        Decision.objects.filter(pk__in=records).update(done_at=NOW, **more)
        assert run(removal, Clock(then)) == "retry"
        removal.refresh_from_db()
        assert (removal.last_error, removal.step, removal.state) == ("NotOurs", step, state)
        assert stands(alice) and not Letter.objects.filter(kind="erasure_done").exists()
        for pk, record in records.items():
            Decision.objects.filter(pk=pk).update(done_at=None, record_id=record)
        then += timedelta(hours=1)
    assert execute.advance(removal.pk, now=then) == "erase" and not stands(alice), "the control"


@pytest.mark.parametrize("kind", ["second_decided", "extended", "address_changed", "received"])
def test_an_event_that_turns_up_below_the_last_is_seen(alice: Customer, kind: str) -> None:
    removal = confirmed(alice)
    last = removal.events.order_by("pk").last()
    assert last is not None and bound.is_ours(removal), "the control"
    with connections["default"].cursor() as cursor:  # a transaction that was left open has a smaller number
        cursor.execute(
            'INSERT INTO privacy_requestevent (id, request_id, at, "on", kind, state, step, actor_kind, actor_id, detail)'
            " OVERRIDING SYSTEM VALUE SELECT -1, request_id, at, \"on\", %s, state, '', actor_kind, actor_id, '{}'"
            " FROM privacy_requestevent WHERE id = %s",
            [kind, last.pk],
        )
    assert not bound.is_ours(removal)
    assert run(removal) == "retry" and stands(alice)


def test_the_last_link_is_not_called_removed_while_the_person_is_there(alice: Customer) -> None:
    removal = confirmed(alice)
    while removal.step != "unlink":
        execute.advance(removal.pk, now=NOW)
        removal.refresh_from_db()
    planted(removal, subject_id=None)
    assert execute.advance(removal.pk, now=NOW) == "retry"
    removal.refresh_from_db()
    assert (removal.last_error, removal.state) == ("NotOurs", State.EXECUTING)


def test_a_copy_hung_on_a_request_that_is_sealed_then_is_still_its_own_persons(alice: Customer, bob: Customer) -> None:
    hers, his = filed(alice, "access"), filed(bob, "access")
    run(hers)
    Export.objects.filter(request=hers).update(request_id=his.pk)
    planted(his, asked_by="authority")
    with pytest.raises(CommandError):
        call_command("seal_requests", request=his.reference)
    assert "a copy hangs on it that by the key store is another person's" in contradictions.of(his.pk)
    assert not bound.is_ours(his)
    bound.seal([his.pk])  # what an operator does who is told that its history fits
    assert bound.is_ours(his) and not bound.is_our_file(Export.objects.get()), "by the key store it is hers"
    with pytest.raises(export.NoCopy):
        copy_of(his, bob)
    assert export.left(his, now=LATER) == []
    Export.objects.update(request_id=hers.pk)
    bound.seal([hers.pk])
    assert "Archer" in copy_of(hers, alice), "the control"


def test_a_planted_line_of_the_audit_neither_makes_a_right_of_another_nor_stops_the_command(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = filed(alice, "erasure")
    for reason in ("access by phone", "x"):
        roles.run(
            "INSERT INTO privacy_auditevent (event, at, action, actor_kind, actor, role, purpose, subject, label, record,"
            " fields, reason, reference, encoding, mac) SELECT gen_random_uuid(), at, action, actor_kind, actor, role,"
            f" purpose, subject, label, record, fields, '{reason}', reference, encoding, repeat('0', 64)"
            " FROM privacy_auditevent"
            f" WHERE action = 'request.filed' AND reference = '{removal.reference}' LIMIT 1"
        )
    planted(removal, kind="access")
    with pytest.raises(CommandError):
        call_command("seal_requests", request=removal.reference)
    told = capsys.readouterr().out
    assert "  by the audit it was filed as erasure\n" in told and "Sealed as they stand: 0." in told


def test_the_next_step_of_requests_of_before_is_signed_once(alice: Customer, bob: Customer) -> None:
    hers, his = confirmed(alice), confirmed(bob)
    for one in (hers, his):
        row = bound.row_of(one.pk)
        assert row is not None
        planted(one, mac=vault.mac_of(*rebound._said_without_step(row)))
        assert not bound.is_ours(one)
    planted(his, confirmed_hash="a" * 64)
    Once.objects.filter(step=once.STEPS).delete()
    upgrades.bind_rows(now=NOW)
    assert bound.is_ours(hers) and not bound.is_ours(his) and once.is_done(once.STEPS)
    row = bound.row_of(hers.pk)
    assert row is not None
    planted(hers, mac=vault.mac_of(*rebound._said_without_step(row)))
    upgrades.bind_rows(now=NOW)
    assert not bound.is_ours(hers), "never again"


def test_a_link_leads_to_nobody_elses_request_by_a_changed_row(alice: Customer, bob: Customer) -> None:
    his = filed(bob, "access")
    run(his)
    token = links.make_link(his, OneTimeLink.Purpose.RESULT, to="", now=NOW)
    planted(his, subject_id=alice.subject_id, owner_id=alice.subject_id)
    about, _ = proving.redeem(token, now=NOW)
    with pytest.raises(NotYours):
        sight.acting_as(about)


# Records of a guest, and somebody's login -----------------------------------------------------------------------------

GWEN = "gwen@mail.example"


@pytest.fixture
def message(db: None) -> Communication:
    """What a guest wrote, who has no account."""
    return factories.communication(None, email=GWEN, contact_name="Gwen Guest", body="GWEN-SECRET")


def asked(kind: str, email: str = GWEN) -> Request:
    filing.ask(kind=kind, email=email, actor=waits.ANYBODY, now=NOW)
    return Request.objects.filter(kind=kind, scope="records").latest("pk")


def with_login(name: str = "bob") -> Customer:
    user = factories.login(name, f"{name}@example.com")
    return factories.customer("Bob", "Baker", email=f"{name}@example.com", user=user)


@pytest.mark.parametrize("is_touched", [True, False])
def test_a_later_request_about_records_is_nobodys_because_an_earlier_row_names_somebody(
    message: Communication, is_touched: bool
) -> None:
    """Whoever writes to the database and has a login lets the site sign that a guest's records are asked about by
    them."""
    mallory = with_login()
    first = asked("access")
    if is_touched:
        planted(first, subject_id=mallory.subject_id)
    later = asked("erasure")
    assert bound.is_ours(later) and later.owner_id == later.subject_id != mallory.subject_id
    assert (later.owner_id == first.owner_id) is not is_touched, "control: of an untouched one it is the same"


@pytest.mark.parametrize("what", ["customer", "order"])
def test_a_number_whose_row_names_somebody_else_leads_staff_to_nobody(
    alice: Customer, bob: Customer, what: str
) -> None:
    """By that number a request would be given to that person, with its key."""
    row = bob if what == "customer" else an_order(bob)
    number = row.reference if what == "customer" else row.number
    assert subject_of(number) == bob.subject_id, "control"
    column = {"subject_id": alice.subject_id} if what == "customer" else {"customer_id": alice.pk}
    models.QuerySet(type(row)).filter(pk=row.pk).update(**column)
    with pytest.raises(ValidationError, match="somebody else's than its row says"):
        subject_of(number)


@pytest.mark.parametrize("is_signed", [False, True])
def test_what_is_asked_with_a_login_is_no_part_of_a_request_about_records(
    message: Communication, is_signed: bool
) -> None:
    """Even where such a request names the login's person, and where the site had signed that."""
    mallory = with_login()
    guests = asked("erasure")
    planted(guests, subject_id=mallory.subject_id, **({"owner_id": mallory.subject_id} if is_signed else {}))
    if is_signed:
        bound.sign(guests.pk)
    his = filed(mallory, "erasure")
    assert his.pk != guests.pk and his.scope == "whole" and his.identity == "login"
    guests.refresh_from_db()
    assert (guests.identity, guests.state) == ("pending", "received")
    with pytest.raises(NotYours):
        sight.require_sight(guests, as_customer(mallory))
    with pytest.raises(NotYours):
        sight.acting_as(guests)
    with pytest.raises(history.NotAllowed, match="A login proves nothing"):
        identify_into(guests, "login", actor=as_customer(mallory), now=NOW)
    run(his)
    services.confirm(his, his.plan_hash, actor=as_customer(mallory), now=NOW)
    run(his)
    assert stands(message), "nothing of hers is removed by his own removal"


def test_the_guest_gets_the_own_records_removed_by_the_own_mailbox(message: Communication) -> None:
    request = carried_out(asked("erasure"))
    assert bound.is_ours(request) and not stands(message), "control"


def test_two_receipts_for_one_address_are_one_request_unless_somebody_wrote_into_the_first(
    message: Communication,
) -> None:
    first = asked("access")
    assert asked("access").pk == first.pk
    planted(first, owner_id=with_login().subject_id)
    assert asked("access").pk != first.pk


def test_what_is_compiled_once_reads_of_each_row_what_django_reads(alice: Customer, bob: Customer) -> None:
    """In every type: the keyed hash stands over what is read."""
    requests = [
        confirmed(alice),
        filed(bob, "access"),
        taken_in("access", None, channel="mail", email="nobody@example.com", actor=PRIVACY),
    ]
    for one in (*requests, Request(pk=vault.uuid7())):
        read, row = bound._rows().filter(pk=one.pk).first(), bound.row_of(one.pk)
        assert repr(read) == repr(row), "nothing of a request that is not there, and of no other one"
        if row is not None:
            assert bound.is_elsewhere(row) is (row["pk"] in bound._elsewhere([row])) is False
            his = {**row, "owner_id": factories.subject().pk}
            assert bound.is_elsewhere(his) is (one.pk in bound._elsewhere([his]))
    hers = bound.row_of(requests[0].pk)
    assert hers is not None and bound.is_elsewhere({**hers, "owner_id": bob.subject_id}), "control"
