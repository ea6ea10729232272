"""A signed letter is a request: it does not end for want of a click, and two people confirm the plan in the person's
place."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import vault
from privacy.letters.models import Letter
from privacy.requests import clock, execute, history, offering, posting, second, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, PRIVACY, TODAY
from tests.privacy.requests.test_by_post import MANAGER
from tests.privacy.requests.test_offering import asked

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def dora(db: None) -> Customer:
    """No e-mail, no login; a postal address that counts."""
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    return customer


def plan(request: Request) -> Letter:
    return Letter.objects.get(request=request, kind="plan_ready")


def confirmed(request: Request, agreed: str, number: str = "", days: int = 1) -> Request:
    return services.confirm(
        request, request.plan_hash, agreed=agreed, number=number, actor=PRIVACY, now=NOW + days * DAY
    )


def test_the_letter_with_the_plan_has_its_number_above_the_signature(dora: Customer) -> None:
    request = asked(dora, channel="mail")
    with vault.internal():
        said = str(plan(request).text)
    number = offering.number_of(request, request.plan_hash)
    assert f"Plan {number}, reference {request.reference}\n\nDay and signature: ___" in said
    assert request.plan_hash not in said
    assert "does not end because you do not answer" in said and "the request ends" not in said


@pytest.mark.parametrize(("channel", "ends"), [("mail", False), ("fax", False), ("phone", True)])
def test_what_was_asked_in_writing_never_ends_for_want_of_an_answer(dora: Customer, channel: str, ends: bool) -> None:
    request = asked(dora, channel=channel)
    posting.mark_posted(plan(request), actor=PRIVACY, now=NOW)
    later = clock.answer_from(request.due_on) + DAY
    for days in (0, 40):
        Request.objects.filter(pk=request.pk).update(next_action_at=NOW)
        execute.advance(request.pk, now=later + days * DAY)
    request.refresh_from_db()
    assert request.state == (State.EXPIRED if ends else State.PLANNED)
    assert not Request.objects.filter(pk=request.pk, confirmed_hash__gt="").exists(), "nor is silence a yes"


def test_a_plan_that_came_back_signed_has_to_be_the_plan_that_is(dora: Customer) -> None:
    request = asked(dora, channel="mail")
    other = Request(pk=uuid.uuid4())
    for wrong in (
        "",
        "0000-0000",
        request.plan_hash[:8],
        request.plan_hash,
        offering.number_of(other, request.plan_hash),
    ):
        with pytest.raises(history.NotAllowed, match="number on the signed letter"):
            confirmed(request, "signed_plan", wrong)
    request.refresh_from_db()
    assert request.state == State.PLANNED
    posting.mark_posted(plan(request), actor=PRIVACY, now=NOW)
    confirmed(request, "signed_plan", offering.number_of(request, request.plan_hash).lower())
    request.refresh_from_db()
    assert request.state == State.CONFIRMED and second.agreed(request) == offering.AGREED["signed_plan"]
    assert [one.why for one in second.open_looks(request)] == ["confirmed", "stated"] or second.may_decide(
        request, MANAGER
    )
    assert not second.may_decide(request, PRIVACY)


def test_staff_confirm_only_a_plan_that_was_posted_and_an_answer_that_came_after_it(dora: Customer) -> None:
    request = asked(dora, channel="phone")

    def refused(words: str, agreed: str = "phone", answered_on: date | None = None) -> None:
        with pytest.raises(history.NotAllowed, match=words):
            services.confirm(request, request.plan_hash, agreed=agreed, answered_on=answered_on, actor=PRIVACY, now=NOW)

    refused("Say how", agreed="a nod")
    refused("mark it as posted first")
    posting.mark_posted(plan(request), actor=PRIVACY, now=NOW)
    refused("was posted today")
    for day in (TODAY - DAY, TODAY + DAY):
        refused("came between", answered_on=day)
    factories.an_order(dora)
    made = services.make_plan(request, actor=PRIVACY, now=NOW + DAY)
    anew = Letter.objects.get(request=request, kind="plan_ready", sent_at=None)
    with vault.internal():
        assert f"Plan {offering.number_of(request, made.hash)}" in anew.text, "who was told by post is told anew"


def test_a_signed_request_is_enough_two_weeks_after_the_plan_was_posted_and_not_before(dora: Customer) -> None:
    request = asked(dora, channel="mail")
    with pytest.raises(history.NotAllowed, match="waits to be posted"):
        confirmed(request, "signed_request", days=30)
    waiting = plan(request)
    for key, at in (("long ago", NOW - 30 * DAY), ("in years", NOW + 9000 * DAY), ("not yet", None)):
        Letter.objects.create(kind=waiting.kind, by="post", request=request, key=key, queued_at=NOW, sent_at=at)
    assert not history.was_told_by_post(request), "no line of the audit tells that one of them went out"
    posting.mark_posted(waiting, actor=PRIVACY, now=NOW)
    assert history.was_told_by_post(request) and history.asked_at(request) < NOW + DAY
    with pytest.raises(history.NotAllowed, match="time to answer"):
        confirmed(request, "signed_request", days=13)
    confirmed(request, "signed_request", days=14)
    request.refresh_from_db()
    assert request.state == State.CONFIRMED


def test_what_was_asked_by_telephone_is_no_signed_request(dora: Customer) -> None:
    request = asked(dora, channel="phone")
    posting.mark_posted(plan(request), actor=PRIVACY, now=NOW)
    with pytest.raises(history.NotAllowed, match="not asked by letter"):
        confirmed(request, "signed_request", days=30)


def test_the_page_asks_how_the_person_agreed_and_shows_it_to_the_second_person(dora: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = asked(dora, channel="mail")
        posting.mark_posted(plan(request), actor=PRIVACY, now=NOW)
        carol = pages.signed_in(factories.staff("carol", roles=("privacy",)))
        step = f"/admin/privacy/request/{request.pk}/step/confirm/"
        data = {"plan_hash": request.plan_hash, "answered_on": TODAY.isoformat()}
        number = offering.number_of(request, request.plan_hash).lower()
        for page in (step, step.replace("step/confirm", "change")):
            shown = carol.get(page).text.lower()
            assert request.plan_hash in shown, "control: the fingerprint of the plan does stand there"
            assert number not in shown and number.replace("-", "") not in shown, "the number stands in the letter alone"
        assert carol.post(step, data).status_code == 400, "not without saying how"
        assert "number on the signed letter" in carol.post(step, data | {"agreed": "signed_plan", "number": "1"}).text
        carol.post(step, data | {"agreed": "signed_plan", "number": offering.number_of(request, request.plan_hash)})
        request.refresh_from_db()
        assert request.state == State.CONFIRMED
        mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=("manager",)))
        look = request.second_looks.get(why="confirmed")
        assert (
            "The plan: the plan came back by post or fax, signed"
            in mona.get(f"/admin/privacy/secondlook/{look.pk}/change/").text
        )
