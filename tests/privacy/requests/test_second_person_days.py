"""The second person and the due day: late is late, a question put too late is no refusal, and reasons are the true
ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from accounts.models import Customer
from privacy import vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import clock, deadline, execute, proving, second, services, sight, waits
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import State
from tests import factories
from tests.asked import NOW, OPERATOR, PRIVACY, TODAY, Clock, refused_by_two, run, taken_in

pytestmark = pytest.mark.django_db
MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
LONG_AGO = date(2026, 8, 14)


def person(country: str = "DE") -> Customer:
    return factories.customer("Alice", "Archer", email="alice@example.com", country=country)


def evidence(
    customer: Customer, kind: str, received_on: date, *, now: datetime = NOW, actor: Actor = PRIVACY
) -> Request:
    """Filed on written evidence by one member of staff, planned, and an erasure confirmed by the person."""
    request = taken_in(
        kind, customer.subject_id, channel="mail", received_on=received_on, identity="staff", actor=actor, now=now
    )
    execute.run(request.pk, clock=lambda: now, pause=lambda: None, rounds=5)
    request.refresh_from_db()
    if kind == "erasure":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
    return request


def worked(request: Request, now: datetime) -> str:
    run(request, Clock(now))
    request.refresh_from_db()
    return request.state


def text_of(request: Request, kind: str) -> str:
    with vault.internal():
        return Letter.objects.get(request=request, kind=kind).text


# Late is late ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_what_was_written_down_after_its_due_day_waits_for_the_second_person(kind: str) -> None:
    request = evidence(person(), kind, LONG_AGO)
    assert worked(request, NOW) == State.CONFIRMED
    assert worked(request, NOW + timedelta(days=20)) == State.CONFIRMED, "overdue, and never refused by itself"
    assert not Letter.objects.filter(request=request, kind="refused").exists()
    assert second.late(TODAY).filter(request=request).exists(), "it alarms"
    second.decide(request, "go_on", actor=MANAGER, now=NOW + timedelta(days=20))
    assert worked(request, NOW + timedelta(days=20)) in (State.CLOSED, State.REPLIED)


def test_the_acknowledgement_says_that_it_is_late_and_no_second_letter_says_it_again() -> None:
    request = evidence(person(), "access", LONG_AGO)
    worked(request, NOW + timedelta(days=2))
    assert "We had to answer by 14 September 2026, which is over" in text_of(request, "acknowledgement")
    assert not Letter.objects.filter(request=request, kind="late").exists()


@pytest.mark.parametrize(("days", "is_refused"), [(8, True), (7, True), (6, False), (0, False)])
def test_a_question_put_less_than_a_week_before_the_due_day_is_no_refusal(days: int, is_refused: bool) -> None:
    """Extended once already: identity, and with it the question, comes so many days before the last day."""
    request = taken_in("access", person().subject_id, channel="mail", actor=OPERATOR)
    deadline.extend(request, reason="number", words="You asked five times.", actor=PRIVACY, now=NOW)
    last = clock.expires_at(date(2027, 2, 20))
    asked = last - timedelta(days=days)
    proving.identify(request, "staff", subject=request.owner_id, actor=PRIVACY, now=asked)
    day = datetime.combine(date(2027, 2, 20), NOW.timetz())
    assert worked(request, max(asked, day)) == (State.REFUSED if is_refused else State.CONFIRMED)
    if is_refused:
        return
    assert not Letter.objects.filter(request=request, kind="late").exists(), "on the day itself it is not late"
    for _ in range(2):
        assert worked(request, day + timedelta(days=3)) == State.CONFIRMED
    text = text_of(request, "late")
    assert "We had to answer by 20 February 2027, and have not." in text
    assert "Your request is not refused" in text and request.reference in text
    second.decide(request, "go_on", actor=MANAGER, now=day + timedelta(days=3))
    assert worked(request, day + timedelta(days=3)) == State.REPLIED


# Reasons --------------------------------------------------------------------------------------------------------------


def test_more_time_says_that_the_second_person_is_waited_for() -> None:
    request = evidence(person(), "access", TODAY)
    worked(request, datetime.combine(request.due_on, NOW.timetz()))
    text = text_of(request, "extended")
    assert "because a second member of our staff has still to look at how it was shown" in text
    assert "That delay is ours, not yours" in text and "complex" not in text
    assert request.events.get(kind="extended").detail == {"reason": "second_person"}


@pytest.mark.parametrize(
    ("country", "rule"),
    [
        ("DE", " (Art. 12(6) GDPR)"),
        ("", " (Art. 12(6) GDPR)"),
        ("GB", " (Art. 12(6) UK GDPR)"),
        ("US", ""),
        ("CA", ""),
        ("AU", ""),
    ],
)
def test_a_refusal_names_the_rule_that_binds_towards_the_person(country: str, rule: str) -> None:
    request = evidence(person(country), "access", TODAY)
    second.decide(request, "end", actor=MANAGER, now=NOW)
    assert f"{second.UNSURE}{rule}\n" in text_of(request, "refused")


def test_a_refusal_of_the_last_day_says_that_nobody_had_decided() -> None:
    request = evidence(person("US"), "access", TODAY)
    worked(request, datetime.combine(request.due_on, NOW.timetz()))
    assert worked(request, datetime.combine(request.due_on, NOW.timetz())) == State.REFUSED
    text = text_of(request, "refused")
    assert "none had decided by the day on which we owe you an answer. That is our failing, not yours." in text
    assert second.UNSURE not in text and not waits.is_undecided(request)


def test_staff_refuse_by_the_rule_that_binds_towards_the_person() -> None:
    request = taken_in("access", person("GB").subject_id, channel="mail", actor=PRIVACY)
    refused_by_two(request, "It is excessive.")
    assert "It is excessive. (Art. 12(5) UK GDPR)" in text_of(request, "refused")


def test_a_written_proof_is_not_called_decided_before_it_is() -> None:
    request = evidence(person(), "erasure", TODAY)
    assert SecondLook.objects.get(request=request).decided_at is None
    assert "Our staff wrote down how it was shown that it is you (written evidence)." in text_of(
        request, "acknowledgement"
    )
    assert "we know that it is you" not in text_of(request, "acknowledgement"), "not before the second person"
    assert Request.Identity.STAFF.label == "written evidence"
