"""Nobody's removal is confirmed or changed without their being told the plan: by a link, or in words, by post too."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import letters, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import clock, execute, posting, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, OPERATOR, PRIVACY, TODAY, Clock, confirmed, filed, taken_in
from tests.factories import an_order, as_customer

pytestmark = pytest.mark.django_db
MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
BLOCK = "Dora Double\n12 Elm Street\nSalem MA 01970\nUnited States\n\n"


@pytest.fixture
def dora(db: None) -> Customer:
    """A customer without an e-mail address and without a login."""
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    return customer


def asked(customer: Customer, how: str = "in_person", *, actor: Actor = PRIVACY, channel: str = "phone") -> Request:
    """A removal whose identity somebody stated for the person; its plan is made by a worker."""
    request = taken_in("erasure", customer.subject_id, channel=channel, identity=how, actor=actor)
    execute.run(request.pk, clock=Clock(), pause=lambda: None, rounds=20)
    request.refresh_from_db()
    return request


def text(request: Request, kind: str) -> str:
    with vault.internal():
        return str(letters.given(Letter.objects.get(request=request, kind=kind))[0])


def kinds(request: Request) -> set[str]:
    return set(Letter.objects.filter(request=request).values_list("kind", flat=True))


def test_whom_no_email_reaches_gets_the_plan_in_words_by_post(dora: Customer) -> None:
    request = asked(dora)
    assert request.state == State.PLANNED
    letter = Letter.objects.get(request=request, kind="plan_ready")
    assert (letter.by, letter.sent_at, letter.sealed_credentials) == (Letter.By.POST, None, None)
    said = text(request, "plan_ready")
    assert said.startswith(BLOCK)
    for part in (
        "What goes:",
        "- Customer",
        "What the removal itself leaves:",
        "sign here and post this letter back to us",
        "Or call us",
        request.reference,
    ):
        assert part in said, part
    assert "/privacy/link/" not in said and "log in" not in said
    assert "we post the plan to you as soon as it is made" in text(request, "acknowledgement")


def test_the_posted_plan_is_listed_printed_and_ticked_off_like_the_others(dora: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = asked(dora)
        carol = pages.signed_in(factories.staff("carol", roles=("privacy",)))
        front = carol.get("/admin/").text
        assert "Letters to post" in front and front.count(request.reference) == 3, (
            "as due, for the second person, and with letters to post"
        )
        step = f"/admin/privacy/request/{request.pk}/step/posted/"
        for letter in Letter.objects.filter(request=request, by="post"):
            carol.post(f"/admin/privacy/request/{request.pk}/why/", {"reason": "called"})
            shown = carol.get(f"/admin/privacy/request/{request.pk}/letter/{letter.pk}/").text
            assert "Dora Double" in shown and "12 Elm Street" in shown
            assert carol.post(step, {"letter": str(letter.pk)}).status_code == 302
        assert set(Letter.objects.filter(request=request).values_list("sent_at", flat=True)) == {NOW}
        assert carol.get("/admin/").text.count(request.reference) == 2


def test_time_to_answer_a_posted_plan_counts_from_the_day_it_was_ticked_off(dora: Customer) -> None:
    """On the due day it was not even posted, and the letter about more time is not either: it stays open, and
    overdue."""
    request = asked(dora)
    assert request.due_on == (TODAY + timedelta(days=30))
    execute.advance(request.pk, now=clock.answer_from(request.due_on))
    request.refresh_from_db()
    assert (request.state, request.due_on) == (State.PLANNED, TODAY + timedelta(days=30))
    assert "extended" in kinds(request), "it counts once it is ticked off"
    late = clock.answer_from(request.due_on) + timedelta(days=3)
    Request.objects.filter(pk=request.pk).update(next_action_at=late)
    execute.advance(request.pk, now=late)
    request.refresh_from_db()
    assert request.state == State.PLANNED, "nobody told her"
    posting.mark_posted(Letter.objects.get(request=request, kind="plan_ready"), actor=PRIVACY, now=late)
    for days, state in ((13, State.PLANNED), (15, State.EXPIRED)):
        Request.objects.filter(pk=request.pk).update(next_action_at=late)
        execute.advance(request.pk, now=late + timedelta(days=days))
        request.refresh_from_db()
        assert request.state == state, days


@pytest.mark.parametrize("actor", [PRIVACY, OPERATOR], ids=["staff", "operator"])
def test_what_somebody_else_confirmed_is_told_with_the_plan_and_when_it_starts(dora: Customer, actor: Actor) -> None:
    request = asked(dora, actor=actor)
    told = Letter.objects.get(request=request, kind="plan_ready")
    if actor is PRIVACY:
        posting.mark_posted(told, actor=PRIVACY, now=NOW)
    services.confirm(request, request.plan_hash, actor=actor, now=NOW, answered_on=TODAY)
    letter = Letter.objects.get(request=request, kind="plan_confirmed")
    assert letter.by == Letter.By.POST
    said = text(request, "plan_confirmed")
    assert said.startswith(BLOCK) and "What goes:" in said and "you may object" in said
    assert ("A member of our staff wrote down today that you confirm" in said) is (actor is PRIVACY)
    assert ("An operator of ours wrote down today that you confirm" in said) is (actor is OPERATOR)
    assert ("Before it starts, a second member of our staff looks at it" in said) is (actor is PRIVACY)
    assert ("It starts at once" in said) is (actor is OPERATOR)
    told.refresh_from_db()
    assert (told.stopped_at == NOW) is (actor is OPERATOR), "the plan that was to be confirmed is posted no more"


def test_it_goes_to_the_address_that_counts_with_a_link_to_the_request(db: None) -> None:
    customer = factories.customer("Dora", "Double", email="dora@example.com")
    request = asked(customer)
    assert "plan_ready" not in kinds(request) and "link_result" in kinds(request)
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=NOW)
    letter = Letter.objects.get(request=request, kind="plan_confirmed")
    with vault.internal():
        assert (letter.by, letter.to) == (Letter.By.EMAIL, "dora@example.com")
    assert "/privacy/link/" in text(request, "plan_confirmed")


def test_what_the_person_confirmed_is_told_by_the_page_alone(alice: Customer) -> None:
    request = confirmed(alice)
    assert not kinds(request) & {"plan_ready", "plan_confirmed"}


def test_a_plan_that_changed_is_told_in_words_where_no_email_and_no_login_leads_to_it(dora: Customer) -> None:
    request = asked(dora, actor=OPERATOR)
    services.confirm(request, request.plan_hash, actor=OPERATOR, now=NOW)
    an_order(customer=dora)
    execute.run(request.pk, clock=Clock(), pause=lambda: None, rounds=20)
    request.refresh_from_db()
    assert request.state == State.PLANNED
    said = text(request, "plan_changed")
    assert said.startswith(BLOCK) and "What stays:" in said and "log in" not in said


def test_staff_who_make_the_plan_before_the_worker_does_tell_it_too(dora: Customer) -> None:
    request = taken_in("erasure", dora.subject_id, channel="mail", identity="in_person", actor=PRIVACY)
    services.make_plan(request, actor=PRIVACY, now=NOW)
    services.make_plan(request, actor=PRIVACY, now=NOW)
    assert Letter.objects.filter(request=request, kind="plan_ready").count() == 1


def test_who_has_a_login_is_led_to_it(alice: Customer) -> None:
    request = filed(alice)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    services.confirm(request, made.hash, actor=PRIVACY, now=NOW)
    said = text(request, "plan_confirmed")
    assert "/privacy/requests/ after signing in" in said and "/privacy/link/" not in said
