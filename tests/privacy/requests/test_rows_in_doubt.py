"""What somebody wrote into the row of a request, if only for a minute, sends, ends, gives and asks nothing: a request
in doubt counts as an open one at which somebody has to look (privacy.requests.doubt)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Customer
from privacy import letters, vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import (
    addresses,
    answer,
    bound,
    contradictions,
    deadline,
    execute,
    export,
    given_out,
    history,
    questions,
    second,
    services,
    waits,
)
from privacy.requests.models import Export, Request, SecondLook
from privacy.requests.states import State
from privacy.sweep import arming, nightly, second_letter
from privacy.work.broken import Findings
from tests import factories, roles
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, Clock, as_customer, confirmed, filed, run, with_letters
from tests.factories import an_order
from tests.privacy.requests.test_second_person import COLLEAGUE, confirm, file_by_staff

pytestmark = [pytest.mark.django_db(databases="__all__")]

ALICE, BOB = "alice@example.com", "bob@example.com"
JANUARY_2028 = date(2028, 1, 1)


def write(request: Request, columns: str) -> None:
    """Write into the row of a request past the program, with the rights of the application."""
    assert roles.run(f"UPDATE privacy_request SET {columns} WHERE id = '{request.pk}'") == [1]
    request.refresh_from_db()


def plant(like: Request, **columns: str) -> Request:
    """Put a row like that of a request beside it, with these columns in SQL, as the application could."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'privacy_request'")
        names = [name for (name,) in cursor.fetchall()]
    here = {"id": "gen_random_uuid()", "reference": "'PR-2026-XXXX-XX'", "mac": "''", "step": "''"}
    here |= {"sealed_request_file": "NULL", "next_action_at": "NULL", "outcome_code_hash": "''"} | columns
    listed, values = ", ".join(names), ", ".join(here.get(name, name) for name in names)
    assert roles.run(
        f"INSERT INTO privacy_request ({listed}) SELECT {values} FROM privacy_request WHERE id = '{like.pk}'"
    ) == [1]
    return Request.objects.get(reference="PR-2026-XXXX-XX")


def swept(on: date | None = None) -> Any:
    arming.arm(actor=OPERATOR)
    with system("sweep"):
        return nightly.sweep(on=on, dry_run=False, actor=OPERATOR)


def found(report: Any) -> list[tuple[str, str, str]]:
    return [(one.step, one.record, one.error) for one in report.findings]


# What is sent ---------------------------------------------------------------------------------------------------------


def test_by_night_no_letter_about_a_request_in_doubt_is_written(
    alice: Customer, bob: Customer, settings: Any, outbox: list[EmailMessage]
) -> None:
    """P10: of what was removed later, and of a day that came while something is open."""
    settings.DEMO = True
    day = date(2020, 5, 10)
    an_order(alice, date(2020, 5, 2), invoiced=day, shipped=day, paid=day)
    an_order(alice, date(2020, 5, 2), invoiced=day, shipped=day)
    request = confirmed(alice)
    run(request)
    assert request.state == State.CLOSED
    write(request, f"subject_id = '{bob.subject_id}', state = 'withdrawn'")
    outbox.clear()
    report = swept(JANUARY_2028)
    with_letters(datetime(2028, 1, 2, tzinfo=NOW.tzinfo))
    assert outbox == []
    assert found(report) == [("move", str(request.pk), "NotOurs")]
    assert report.erased == 0, "what the person may be asking about stays"
    write(request, f"subject_id = '{alice.subject_id}', state = 'closed'")
    swept(JANUARY_2028)
    with_letters(datetime(2028, 1, 3, tzinfo=NOW.tzinfo))
    assert {to for one in outbox for to in one.to} == {ALICE} and outbox, "the control, a night later"
    roles.run(f"DELETE FROM privacy_letter WHERE kind = '{second_letter.KIND}'")  # as if the night had broken off
    write(request, f"subject_id = '{bob.subject_id}'")
    findings = Findings()
    with system("sweep"):
        assert second_letter.write(on=JANUARY_2028, now=timezone.now(), findings=findings) == 0
    assert [(one.step, one.record, one.error) for one in findings] == [("tell", str(request.pk), "NotOurs")]


def test_what_ends_a_request_in_doubt_is_told_to_whom_the_key_store_says_it_is(
    alice: Customer, bob: Customer, outbox: list[EmailMessage]
) -> None:
    request = confirm(file_by_staff(alice))
    with_letters(NOW + timedelta(minutes=1))
    write(request, f"subject_id = '{bob.subject_id}'")
    outbox.clear()
    for does in (
        lambda: deadline.extend(request, reason="complex", words="It takes time.", actor=PRIVACY, now=NOW),
        lambda: second.decide(request, "go_on", actor=COLLEAGUE, now=NOW),
    ):
        with pytest.raises(history.NotAllowed, match="does not say what the site wrote"):
            does()
    second.decide(request, "end", words="We know her voice, and it was not hers.", actor=COLLEAGUE, now=NOW)
    with_letters(NOW + timedelta(minutes=2))
    assert {to for one in outbox for to in one.to} == {ALICE} and outbox
    assert set(Letter.objects.filter(request=request, kind="refused").values_list("subject", flat=True)) == {
        alice.subject_id
    }


# What is given --------------------------------------------------------------------------------------------------------


def test_a_planted_removal_lets_no_old_mailbox_count(alice: Customer) -> None:
    request = filed(alice, "access")
    assert not addresses.is_erased(alice.subject_id)
    plant(request, kind="'erasure'", state="'executing'", subject_id="NULL")
    assert not addresses.is_erased(alice.subject_id), "it is in doubt: never called erased"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM privacy_subject WHERE id = %s", [str(alice.subject_id)])
        cursor.execute("UPDATE privacy_request SET subject_id = NULL WHERE id = %s", [str(request.pk)])
        assert not bound.is_ours(request), "the key store knows the name that the audit has for its owner"
        assert "the row names nobody, and by the key store its owner is on file" in contradictions.of(request.pk)
        transaction.set_rollback(True)
    assert bound.is_ours(request), "the control"


# What is asked --------------------------------------------------------------------------------------------------------


def test_no_question_ends_by_a_state_that_somebody_wrote(alice: Customer) -> None:
    request = confirm(file_by_staff(alice))
    before = set(questions.of(request).open)
    write(request, "state = 'refused'")
    assert waits.end_left_over(actor=ANYBODY, now=NOW) == 0 and waits.left_over().count() == 0
    assert second.waiting().count() == 1, "it stays at the desk"
    write(request, "state = 'confirmed'")
    assert set(questions.of(request).open) == before != set() and bound.is_ours(request)


def test_a_question_that_ended_before_its_request_is_told_to_who_seals_it(alice: Customer) -> None:
    """What an earlier version did: the event and its line in the audit are the site's, the end before them is not."""
    request = confirm(file_by_staff(alice))
    waits.end_questions(request, request.second_looks.filter(decided_at=None), actor=ANYBODY, now=NOW)
    assert "a question to a second person ended before the request did" in contradictions.of(request.pk)
    assert "a question to a second person that ended and nobody answered: evidence" in contradictions.besides(
        request.pk
    )
    other = confirm(file_by_staff(factories.a_customer()))
    services.withdraw(other, actor=OPERATOR, now=NOW)
    assert contradictions.of(other.pk) == [], "the control"


def test_a_state_that_stands_there_for_a_minute_spares_no_question(alice: Customer) -> None:
    """Staff join, somebody objects to a contact, the login is given back: what was asked is asked about."""
    for step, does in enumerate(
        (
            lambda: waits.people_joined(alice.subject_id, actor=PRIVACY, now=NOW),
            lambda: waits.login_given_back(alice.subject_id, since=NOW - timedelta(days=1), actor=PRIVACY, now=NOW),
        )
    ):
        request = filed(alice, ("access", "erasure")[step])
        write(request, "state = 'withdrawn'")
        does()
        assert waits.is_undecided(request), step


# What ends ------------------------------------------------------------------------------------------------------------


def test_what_somebody_asks_about_stays_though_the_row_says_that_it_ended(alice: Customer, settings: Any) -> None:
    settings.DEMO = True
    day = date(2017, 5, 10)
    order = an_order(alice, date(2017, 5, 2), invoiced=day, shipped=day, paid=day)
    request = filed(alice, "access")
    write(request, "state = 'withdrawn'")
    assert swept().kept == 1 and not vault.keys.is_destroyed(order.pk, "order")
    write(request, "state = 'identity'")
    assert bound.is_ours(request)
    services.withdraw(request, actor=OPERATOR, now=NOW)
    swept()
    assert vault.keys.is_destroyed(order.pk, "order"), "the control"


def test_a_letter_is_burned_only_where_the_audit_tells_that_it_went_out(bob: Customer) -> None:
    request = filed(bob, "access")
    (letter,) = Letter.objects.filter(request=request)
    roles.run("UPDATE privacy_letter SET kind = 'rest_erased', sent_at = now()")
    swept()
    assert not vault.keys.is_destroyed(letter.pk, "letter")
    Letter.objects.filter(pk=letter.pk).update(sent_at=None)
    with_letters(NOW + timedelta(minutes=1))
    swept()
    assert vault.keys.is_destroyed(letter.pk, "letter"), "the control"


def test_the_file_of_a_request_ends_by_the_day_in_its_history(alice: Customer) -> None:
    request = filed(alice, "access")
    services.withdraw(request, actor=OPERATOR, now=NOW)
    write(request, "closed_at = closed_at - interval '20 years'")
    assert bound.is_ours(request)
    report = swept()
    assert not vault.keys.is_destroyed(request.pk, "request_file")
    assert found(report) == [("end", str(request.pk), "NotOurs")]


# Who asks -------------------------------------------------------------------------------------------------------------


def test_a_planted_request_swallows_nobodys_own(alice: Customer, bob: Customer) -> None:
    like = filed(alice)
    planted = plant(like, subject_id=f"'{bob.subject_id}'", owner_id=f"'{bob.subject_id}'", state="'planned'")
    request = filed(bob)
    assert request.pk != planted.pk and bound.is_ours(request) and request.subject_id == bob.subject_id
    assert filed(bob).pk == request.pk, "the next receipt is one more of it"
    # His own, in doubt, is still his: a receipt more for it, and nothing is done before somebody has looked.
    write(request, "step = 'close'")
    assert filed(bob).pk == request.pk and not bound.is_ours(request)


# Copies and answers ---------------------------------------------------------------------------------------------------


def made(customer: Customer, clock: Clock) -> Request:
    """A request for a copy that staff took in, and whose copy is made."""
    request = confirm(file_by_staff(customer, kind="access"))
    second.decide(request, "go_on", actor=OPERATOR, now=NOW)
    run(request, clock)
    assert request.state == State.REPLIED and export.live(request) is not None
    return request


def test_how_often_a_copy_was_fetched_the_audit_tells(alice: Customer) -> None:
    """Art. 33, 34: what had gone out is told, whatever the row of the copy says."""
    request = made(alice, at := Clock())
    roles.run("UPDATE privacy_export SET downloads = 1")
    execute.run(request.pk, clock=at, pause=lambda: None)
    request.refresh_from_db()
    assert request.state == State.REPLIED and not given_out.is_fetched(request)
    roles.run("UPDATE privacy_export SET downloads = 0")
    assert len(b"".join(export.fetch(request, actor=as_customer(alice), now=at())[1])) > 1000
    roles.run("DELETE FROM privacy_export")
    assert given_out.times(request) == 1 and second.gone_out(request) == second.FETCHED
    assert waits.login_given_back(alice.subject_id, since=NOW, actor=PRIVACY, now=at())[1] == 1
    waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=at())
    second.decide(request, "end", actor=OPERATOR, now=at())
    assert list(second.possible_breaches()) == [request]


def test_a_copy_ends_by_no_row_before_its_week_and_no_request_closes_by_that(alice: Customer, bob: Customer) -> None:
    request = made(alice, at := Clock())
    copy = Export.objects.get(request=request)
    roles.run("UPDATE privacy_export SET expires_at = now() - interval '90 days'")
    assert export.expire(now=at()) == 0 and not bound.have_ended([copy.pk])
    with pytest.raises(bound.NotOurs):
        export.require_end(request, now=at())
    Export.objects.filter(pk=copy.pk).update(expires_at=copy.expires_at)
    export.delete(copy, now=at())  # as an earlier version did by such a row
    with pytest.raises(bound.NotOurs):
        export.require_end(request, now=at())
    export.require_end(request, now=copy.expires_at)
    other = made(bob, Clock())
    export.destroy(other, actor=PRIVACY, now=at())
    export.require_end(other, now=at())


def test_an_earlier_removal_leads_to_no_later_copy(alice: Customer) -> None:
    an_order(alice, date(2026, 11, 2), invoiced=date(2026, 11, 10), shipped=date(2026, 11, 10))  # the login stays
    before = filed(alice, "access")
    run(before)
    removal = confirmed(alice)
    run(removal, Clock(NOW + timedelta(hours=1)))
    assert removal.state == State.CLOSED
    run(filed(alice, "access", now=(later := NOW + timedelta(days=3))), Clock(later))
    write(removal, "closed_at = '2027-01-01'")
    assert [one.request for one in export.left(removal, now=later + timedelta(hours=1))] == [before]


def answering(customer: Customer, kind: str, clock: Clock) -> Letter:
    """The answer of a request, left in the outbox and not sent."""
    request = confirm(file_by_staff(customer, kind=kind))
    second.decide(request, "go_on", actor=OPERATOR, now=NOW)
    while request.step != "close":
        execute.advance(request.pk, now=clock())
        request.refresh_from_db()
    return Letter.objects.get(key=answer.key(request), sent_at=None)


def test_an_answer_that_lapsed_is_no_answer(alice: Customer, bob: Customer, outbox: list[EmailMessage]) -> None:
    """One that gives no link or code cannot lapse, whatever its row says; one that does is written anew."""
    word = answering(alice, "erasure", at := Clock())
    roles.run(f"UPDATE privacy_letter SET credentials_until = '2027-01-01' WHERE id = '{word.pk}'")
    assert word.request is not None
    run(word.request, at)
    assert word.request.state == State.CLOSED and letters.went_at([word.pk])
    word = answering(bob, "access", at := Clock())
    assert word.credentials_until is not None and word.request is not None, "bob has no login: it gives a link"
    roles.run(f"UPDATE privacy_letter SET credentials_until = '2026-11-20 15:00:00+00' WHERE id = '{word.pk}'")
    outbox.clear()
    at.now += timedelta(days=8)
    assert export.expire(now=at.now) == 1, "it waited longer than its copy lasts: another one is made"
    run(word.request, at)
    at.now += timedelta(minutes=20)
    run(word.request, at)
    anew = Letter.objects.get(key=answer.key(word.request))
    assert anew.pk != word.pk and letters.went_at([word.pk, anew.pk]).keys() == {anew.pk}
    assert vault.keys.is_destroyed(word.pk, "letter") and word.request.state == State.REPLIED
    assert "/privacy/link/" in outbox[-1].body and bound.is_ours(word.request)
    assert export.live(word.request) is not None
