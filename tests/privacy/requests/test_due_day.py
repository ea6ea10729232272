"""Who has not shown who is asking, or not confirmed, is answered on the due day: more time, or an end with its
reason."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from accounts.models import Customer
from privacy import letters
from privacy.calendar import company_day
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import clock, deadline, execute, filing, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories
from tests.asked import NOW, OPERATOR, PRIVACY, TODAY, filed, taken_in
from tests.factories import an_order, as_customer
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db
LATER = "extended"
END = "expired"

#: Received, and what the person gets on which day; asked for on 20 November 2026 at ten in the company's morning.
DAYS = [
    (date(2026, 11, 20), [(END, date(2026, 12, 20))]),
    (date(2026, 11, 7), [(END, date(2026, 12, 7))]),
    (date(2026, 11, 4), [(END, date(2026, 12, 4))]),  # two weeks to the hour
    (date(2026, 11, 3), [(LATER, date(2026, 12, 3)), (END, date(2027, 2, 3))]),
    (date(2026, 10, 30), [(LATER, date(2026, 11, 30)), (END, date(2027, 1, 30))]),
    (date(2026, 10, 21), [(LATER, date(2026, 11, 21)), (END, date(2027, 1, 21))]),
    (date(2026, 10, 20), [(LATER, date(2026, 11, 20)), (END, date(2027, 1, 20))]),
    # The due day was over when we first could ask: no answer is in time any more, and two weeks are left to act.
    (date(2026, 10, 19), [(END, date(2026, 12, 4))]),
    (date(2026, 8, 14), [(END, date(2026, 12, 4))]),
    (date(2024, 1, 31), [(END, date(2026, 12, 4))]),
]
COUNTRIES = ["DE", "GB", "US", ""]  # one of each law


def person(country: str, email: str = "alice@example.com") -> Customer:
    return factories.customer("Alice", "Archer", email=email, country=country)


def by_letter(customer: Customer, received_on: date, **more: str) -> Request:
    return taken_in("erasure", customer.subject_id, channel="mail", received_on=received_on, **more, actor=OPERATOR)


def lived(request: Request, *, until: datetime = NOW + timedelta(days=150)) -> list[tuple[str, date]]:
    """Wake the request whenever it wants to be, as the poller does; return the answers, each with its day."""
    now = NOW
    for _ in range(20):
        request.refresh_from_db()
        if request.next_action_at is None or request.next_action_at > until:
            break
        now = max(now, request.next_action_at)
        execute.advance(request.pk, now=now)
    answers = Letter.objects.filter(request=request, kind__in=(LATER, END)).order_by("queued_at", "id")
    return [(one.kind, company_day(one.queued_at)) for one in answers]


def is_in_time(answers: list[tuple[str, date]], due_on: date) -> bool:
    """The last answer before the due date in force, which an extension moves, comes on it at the latest."""
    return answers[0][1] <= due_on


Life = tuple[list[tuple[str, date]], str, str, bool]


def in_each_country(received_on: date, **more: str) -> dict[str, Life]:
    """Return by country what a person of there is answered, how the request ends, the plan that was confirmed, and
    whether the first answer was in time exactly where that was still possible."""
    found: dict[str, Life] = {}
    for country in COUNTRIES:
        request = by_letter(person(country, f"alice-{country.lower()}@example.com"), received_on, **more)
        due_on, answers = request.due_on, lived(request)
        is_right = bool(answers) and is_in_time(answers, due_on) == (due_on >= TODAY)
        found[country] = answers, request.state, request.confirmed_hash, is_right
    return found


@pytest.mark.parametrize(("received_on", "answers"), DAYS, ids=lambda one: str(one) if isinstance(one, date) else "")
def test_whose_identity_is_not_proved(received_on: date, answers: list[tuple[str, date]]) -> None:
    assert in_each_country(received_on) == dict.fromkeys(COUNTRIES, (answers, State.EXPIRED, "", True))


@pytest.mark.parametrize(("received_on", "answers"), DAYS, ids=lambda one: str(one) if isinstance(one, date) else "")
def test_who_does_not_confirm_the_plan(received_on: date, answers: list[tuple[str, date]]) -> None:
    assert in_each_country(received_on, identity="in_person") == dict.fromkeys(
        COUNTRIES, (answers, State.EXPIRED, "", True)
    )


def test_a_due_day_on_a_week_end_is_over_and_the_notice_still_in_time() -> None:
    """Received on 21 October, due on Saturday the 21st; written down on Sunday: the law's last day is Monday."""
    sunday = datetime(2026, 11, 22, 15, 0, tzinfo=NOW.tzinfo)
    alice = person("DE")
    request = taken_in(
        "erasure", alice.subject_id, channel="mail", received_on=date(2026, 10, 21), actor=OPERATOR, now=sunday
    )
    execute.advance(request.pk, now=sunday)
    assert Letter.objects.get(request=request, kind=LATER).queued_at == sunday
    request.refresh_from_db()
    assert request.next_action_at == clock.answer_from(date(2027, 1, 21))


def test_a_letter_of_long_ago_moves_the_day_of_what_is_open() -> None:
    alice = person("DE")
    request = by_letter(alice, TODAY)
    assert request.next_action_at == clock.answer_from(date(2026, 12, 20))
    by_letter(alice, date(2026, 11, 3))
    request.refresh_from_db()
    assert request.next_action_at == clock.answer_from(date(2026, 12, 3))
    assert lived(request) == [(LATER, date(2026, 12, 3)), (END, date(2027, 2, 3))]


def test_a_deadline_that_staff_extended_is_waited_for() -> None:
    request = by_letter(person("DE"), TODAY)
    deadline.extend(request, reason="number", words="You asked five times.", actor=PRIVACY, now=NOW)
    assert lived(request) == [(LATER, TODAY), (END, date(2027, 2, 20))]


@pytest.mark.parametrize(("country", "due_on"), [("GB", date(2027, 2, 20)), ("DE", None)])
def test_while_british_time_stands_for_the_identity_staff_may_extend_after_the_month(
    country: str, due_on: date | None
) -> None:
    request, after = by_letter(person(country), TODAY), NOW + timedelta(days=40)
    assert deadline.may_extend(request, now=after) is bool(due_on)
    assert deadline.is_too_late_to_extend(request, now=after) is not bool(due_on)
    if due_on:
        extended = deadline.extend(request, reason="number", words="You asked five times.", actor=PRIVACY, now=after)
        assert extended.due_on == due_on


def test_a_plan_that_is_ready_on_the_last_day_can_be_confirmed_in_the_longer_deadline() -> None:
    alice = person("GB")
    request = by_letter(alice, date(2026, 10, 21), identity="in_person")
    now = clock.answer_from(request.due_on) - timedelta(hours=1)
    services.make_plan(request, actor=OPERATOR, now=now)
    request.refresh_from_db()
    execute.advance(request.pk, now=request.next_action_at or now)
    request.refresh_from_db()
    assert (request.state, request.due_on) == (State.PLANNED, date(2027, 1, 21))
    with undone():  # no law knows a third deadline: who gets another plan on the last day is answered on it
        last = clock.answer_from(request.due_on)
        an_order(alice, date(2027, 1, 20))
        services.make_plan(request, actor=OPERATOR, now=last - timedelta(hours=1))
        assert request.events.filter(kind=State.PLANNED).count() == 2
        assert execute.advance(request.pk, now=last) == "ended"
        request.refresh_from_db()
        assert request.state == State.EXPIRED
    request.refresh_from_db()
    services.confirm(request, request.plan_hash, actor=OPERATOR, now=now + timedelta(days=20))
    request.refresh_from_db()
    assert request.state == State.CONFIRMED


def test_the_letters_say_the_day_or_that_it_is_over() -> None:
    def texts(kind: str) -> list[str]:
        with system("letter"):
            return [letters.given(one)[0] for one in Letter.objects.filter(kind=kind).order_by("queued_at", "id")]

    by_letter(person("DE"), date(2026, 8, 14))
    (text,) = texts("link_identity")
    assert "We had to answer by 14 September 2026, which is over, and answer as soon as we can." in text
    for name, day in (("nobody", TODAY), ("none", date(2026, 10, 30))):
        filing.file(
            filing.Receipt(
                kind="erasure", subject=None, email=f"{name}@example.com", name=name, channel="mail", received_on=day
            ),
            actor=OPERATOR,
            now=NOW,
        )
    first, second = texts("not_identified")
    assert "without your answer it ends on 20 December 2026." in first
    assert "without your answer it ends in two weeks at the earliest." in second


def test_the_reason_of_more_time_is_the_true_one() -> None:
    request = by_letter(person("DE"), date(2026, 10, 30))
    lived(request, until=clock.answer_from(request.due_on))
    with system("letter"):
        text = Letter.objects.get(request=request, kind=LATER).text
    assert "because we do not know yet who is asking, and asked you less than two weeks ago." in text
    assert "by 30 January 2027 at the latest" in text


def test_a_request_of_today_by_login_waits_a_month_for_its_confirmation(alice: Customer) -> None:
    request = filed(alice)
    services.make_plan(request, actor=as_customer(alice), now=NOW)
    assert lived(request) == [(END, date(2026, 12, 20))]
