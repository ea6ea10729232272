"""A removal that staff confirm for a person whom no e-mail reaches: told first, and not by one member of staff
alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from accounts.models import Customer
from accounts.users import User
from privacy import audit
from privacy.letters.models import Letter
from privacy.requests import history, posting, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, TODAY, run, taken_in
from tests.privacy.requests.test_by_post import dora

__all__ = ["dora"]
pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def pat(db: None) -> User:
    return factories.staff("pat", "pat@ilt.example", roles=("privacy",))


@pytest.fixture
def pia(db: None) -> User:
    return factories.staff("pia", "pia@ilt.example", roles=("privacy",))


def planned(customer: Customer, by: User) -> Request:
    request = taken_in("erasure", customer.subject_id, channel="in_person", identity="in_person", actor=by.as_actor())
    run(request)
    return request


def plan_of(request: Request) -> Letter:
    return Letter.objects.get(request=request, kind="plan_ready")


def test_who_filed_a_request_ticks_off_none_of_its_letters_where_there_is_another_one(
    dora: Customer, pat: User, pia: User
) -> None:
    request = planned(dora, pat)
    for letter in Letter.objects.filter(request=request, by="post", sent_at=None, stopped_at=None):
        with pytest.raises(history.NotAllowed, match="somebody else of the privacy team posts"):
            posting.mark_posted(letter, actor=pat.as_actor(), now=NOW)
    posting.mark_posted(plan_of(request), actor=pia.as_actor(), now=NOW)
    assert plan_of(request).sent_at == NOW


def test_who_is_alone_in_the_team_ticks_off_what_nobody_else_can(dora: Customer, pat: User, pia: User) -> None:
    pia.set_roles(("sales",))
    request = planned(dora, pat)
    posting.mark_posted(plan_of(request), actor=pat.as_actor(), now=NOW)
    assert plan_of(request).sent_at == NOW


def test_staff_confirm_for_the_person_what_the_person_can_have_read(dora: Customer, pat: User, pia: User) -> None:
    request = planned(dora, pat)

    def confirm(days: int = 0, answered: int | None = None) -> Request:
        answered_on = None if answered is None else TODAY + answered * DAY
        now = NOW + days * DAY
        return services.confirm(
            request, request.plan_hash, actor=pat.as_actor(), now=now, answered_on=answered_on
        )  # fmt: skip

    for days, answered in ((0, None), (5, None), (5, 5)):
        with pytest.raises(history.NotAllowed, match="mark it as posted first"):
            confirm(days, answered)
    posting.mark_posted(plan_of(request), actor=pia.as_actor(), now=NOW + 2 * DAY)
    with pytest.raises(history.NotAllowed, match="was posted today"):
        confirm(2)
    for answered in (1, 4):
        with pytest.raises(history.NotAllowed, match="between 22 November 2026"):
            confirm(3, answered)
    request.refresh_from_db()
    assert request.state == State.PLANNED
    assert confirm(2, answered=2).state == State.CONFIRMED
    told = request.events.get(kind=State.CONFIRMED)
    assert told.detail["answered_on"] == "2026-11-22"
    assert audit.history(reference=request.reference).filter(action="request.confirmed").count() == 1


def test_the_day_after_the_letter_needs_no_day_of_the_answer(dora: Customer, pat: User, pia: User) -> None:
    request = planned(dora, pat)
    posting.mark_posted(plan_of(request), actor=pia.as_actor(), now=NOW)
    done = services.confirm(request, request.plan_hash, actor=pat.as_actor(), now=NOW + DAY)
    assert done.state == State.CONFIRMED


def test_the_page_says_why_and_takes_the_day(dora: Customer, pat: User, pia: User) -> None:
    request = planned(dora, pat)
    path = f"/admin/privacy/request/{request.pk}/step/confirm/"
    typed = {"plan_hash": request.plan_hash, "answered_on": "", "agreed": "phone"}
    with time_machine.travel(NOW, tick=False):
        browser = pages.signed_in(pia, again=True)
        assert "mark it as posted first" in browser.post(path, typed, follow=True).text
        posting.mark_posted(plan_of(request), actor=pia.as_actor(), now=NOW)
        assert "The letter with the plan was posted today" in browser.post(path, typed, follow=True).text
        browser.post(path, typed | {"answered_on": TODAY.isoformat()}, follow=True)
    request.refresh_from_db()
    assert request.state == State.CONFIRMED
