"""What letters ask, promise and tell is so: who still has to act, where a new link comes from,
until when, what was removed."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import letters, vault
from privacy.letters.models import Letter
from privacy.requests import clock, execute, filing, links, posting, proving, services, sight, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, TODAY, Clock, filed, run, taken_in
from tests.factories import an_order, as_customer

pytestmark = pytest.mark.django_db


def texts(request: Request, kind: str) -> list[str]:
    with vault.internal():
        return [
            letters.given(one)[0]
            for one in Letter.objects.filter(request=request, kind=kind).order_by("queued_at", "id")
        ]


def token(text: str) -> str:
    found = re.search(r"/privacy/link/([\w-]+)/", text)
    assert found
    return found[1]


def ask(kind: str = "erasure", email: str = "dora@example.com", now: datetime = NOW) -> Request:
    filing.ask(kind=kind, email=email, actor=ANYBODY, now=now)
    return Request.objects.get(kind=kind)


def planned(request: Request, now: datetime = NOW) -> Request:
    """Prove it by the mailed link and let the plan be made."""
    proving.redeem(token(texts(request, "link_identity")[-1]), now=now)
    execute.run(request.pk, clock=lambda: now, pause=lambda: None, rounds=5)
    request.refresh_from_db()
    return request


@pytest.fixture
def dora(db: None) -> Customer:
    """She has no login."""
    customer = factories.customer("Dora", "Doe", email="dora@example.com", country="DE")
    factories.address(customer, street="4 Quay", city="Kiel")
    return customer


@pytest.fixture
def mute(db: None) -> Customer:
    """No e-mail of this person is on file, but a postal address that counts."""
    customer = factories.customer("Mia", "Mute", email="", country="DE")
    factories.address(customer, street="9 Quiet Lane", city="Kiel")
    return customer


# "Ask for a new one" gives one ----------------------------------------------------------------------------------------


def test_who_has_no_login_asks_again_and_gets_a_new_link_to_the_plan(dora: Customer) -> None:
    request = planned(ask())
    spent = token(texts(request, "link_result")[0])
    later = NOW + timedelta(days=10)
    with pytest.raises(links.LinkRefused):
        proving.redeem(spent, now=later)
    assert ask(now=later) == request, "the same request, asked for once more"
    again = texts(request, "link_result")
    assert len(again) == 2 and "Nothing happens before you confirm it." in again[1]
    found, code = proving.redeem(token(again[1]), now=later)
    assert (found, code) == (request, "")
    services.confirm(found, found.plan_hash, actor=sight.acting_as(found), now=later)
    run(found, Clock(later))
    assert found.state == State.CLOSED


def test_who_asks_again_for_a_copy_that_waits_gets_a_new_link_to_it(dora: Customer) -> None:
    request = planned(ask("access"))
    run(request)
    assert request.state == State.REPLIED
    later = NOW + timedelta(days=3)
    ask("access", now=later)
    assert proving.redeem(token(texts(request, "link_result")[-1]), now=later) == (request, "")


def test_one_link_an_hour_goes_out_and_a_stranger_gets_none(dora: Customer) -> None:
    request = planned(ask())
    for minutes in (1, 30, 59):
        ask(now=NOW + timedelta(minutes=minutes))
    assert len(texts(request, "link_result")) == 1, "the one that offered the plan"
    filing.ask(kind="erasure", email="bob@stranger.example", actor=ANYBODY, now=NOW + timedelta(days=2))
    assert len(texts(request, "link_result")) == 1
    for number in range(9):
        again = NOW + timedelta(days=2, hours=2 * number)
        filing.ask(kind="erasure", email="dora@example.com", actor=ANYBODY, now=again)
    assert len(texts(request, "link_result")) <= 1 + 2 * letters.MOST_A_DAY


def test_a_mailbox_alone_never_gets_at_what_was_asked_by_login(alice: Customer) -> None:
    request = filed(alice)
    services.make_plan(request, actor=PRIVACY, now=NOW)
    filing.ask(kind="erasure", email="alice@example.com", actor=ANYBODY, now=NOW + timedelta(days=2))
    assert not OneTimeLink.objects.filter(request=request).exists()
    assert "sign in at" in texts(request, "acknowledgement")[-1]


def test_staff_who_note_the_question_again_send_the_link_too(dora: Customer) -> None:
    request = planned(ask())
    filing.file(
        filing.Receipt(kind="erasure", subject=dora.subject_id, channel="phone", received_on=TODAY),
        actor=PRIVACY,
        now=NOW + timedelta(days=9),
    )
    assert len(texts(request, "link_result")) == 2


# Who still has to act -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["login", "link", "callback"])
def test_the_acknowledgement_of_a_removal_says_that_the_plan_must_be_confirmed(
    alice: Customer, dora: Customer, how: str
) -> None:
    if how == "login":
        request = filed(alice)
    elif how == "link":
        request = planned(ask())
    else:
        request = taken_in("erasure", dora.subject_id, channel="phone", identity=how, actor=OPERATOR)
    (text,) = texts(request, "acknowledgement")
    assert "othing more is needed from you" not in text
    assert "You still have to look at the plan, what goes and what stays, and confirm it" in text
    assert "Nothing is removed before you have seen" in text
    assert ("we know that it is you. You still" in text) is (how in ("login", "link"))
    assert ("sign in at" in text) is (how == "login") and ("we send a link to it" in text) is (how != "login")


def test_once_it_is_confirmed_or_for_a_copy_nothing_more_is_needed(alice: Customer) -> None:
    copy = filed(alice, "access")
    assert "we know that it is you. Nothing more is needed from you." in texts(copy, "acknowledgement")[0]
    request = filed(alice)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    services.confirm(request, made.hash, actor=as_customer(alice), now=NOW)
    filed(alice, now=NOW + timedelta(hours=1))
    after = texts(request, "acknowledgement")[1]
    assert "we know that it is you. Nothing more is needed from you." in after
    assert "Nothing is removed before you have seen" not in after


# Whom no e-mail reaches -----------------------------------------------------------------------------------------------


def by_letter(customer: Customer, now: datetime = NOW) -> Request:
    return taken_in("access", customer.subject_id, channel="mail", received_on=TODAY, actor=PRIVACY, now=now)


def test_whom_no_email_reaches_is_asked_by_post(mute: Customer) -> None:
    request = by_letter(mute)
    letter = Letter.objects.get(request=request)
    assert (letter.kind, letter.by) == ("acknowledgement", "post")
    (text,) = texts(request, "acknowledgement")
    assert text.startswith("Mia Mute\n9 Quiet Lane\n")
    for part in ("Received: 20 November 2026", "a letter with a code", "we call you back", "ends on 20 December 2026"):
        assert part in text
    assert "the link we send" not in text and "outcome code:" not in text
    by_letter(mute, NOW + timedelta(days=1))
    assert Letter.objects.filter(request=request).count() == 1, "asked once"


def test_an_address_of_several_or_one_entered_today_is_asked_by_post_too(db: None) -> None:
    several = [factories.customer(one, "Doe", email="info@firm.example") for one in ("Ann", "Ben")]
    lately = factories.customer("Lea", "Late", email="lea@example.com", came="person")
    for customer in (several[0], lately):
        request = by_letter(customer)
        assert [(one.kind, one.by) for one in Letter.objects.filter(request=request)] == [("acknowledgement", "post")]


@pytest.mark.parametrize("is_posted", [True, False])
def test_the_end_says_whether_the_person_was_asked(mute: Customer, is_posted: bool) -> None:
    """Without a postal address there was no way to ask; where there is one, it does not end before it was asked."""
    request = by_letter(mute if is_posted else factories.customer("Nora", "Nowhere", email="", country="DE"))
    if is_posted:
        posting.mark_posted(Letter.objects.get(request=request), actor=PRIVACY, now=NOW)
    execute.advance(request.pk, now=clock.answer_from(request.due_on))
    request.refresh_from_db()
    assert request.state == State.EXPIRED
    (text,) = texts(request, "expired")
    assert ("We asked you to show that it is you who is asking, and heard nothing." in text) is is_posted
    assert ("we had no way to ask you" in text) is not is_posted


# Until when -----------------------------------------------------------------------------------------------------------


def test_a_posted_code_works_until_the_request_ends(mute: Customer) -> None:
    now = datetime(2026, 11, 29, 15, 0, tzinfo=NOW.tzinfo)
    request = taken_in("access", mute.subject_id, channel="mail", received_on=date(2026, 11, 13), actor=PRIVACY)
    proving.post_code(request, subject=mute.subject_id, actor=PRIVACY, now=now)
    (text,) = texts(request, "posted_code")
    assert "It works once, until 13 December 2026 12:00 (EST)." in text
    link = OneTimeLink.objects.get(purpose="posted")
    assert link.expires_at == clock.answer_from(date(2026, 12, 13))


def test_a_link_to_the_plan_works_until_the_request_ends(dora: Customer) -> None:
    request = planned(ask())
    later = datetime.combine(date(2026, 12, 18), NOW.timetz())
    ask(now=later)
    link = OneTimeLink.objects.filter(request=request, purpose="result").latest("created_at")
    assert link.expires_at == clock.answer_from(date(2026, 12, 20))


def test_where_there_is_more_time_a_code_has_its_thirty_days(mute: Customer) -> None:
    request = taken_in("access", mute.subject_id, channel="mail", received_on=date(2026, 10, 30), actor=PRIVACY)
    proving.post_code(request, subject=mute.subject_id, actor=PRIVACY, now=NOW)
    assert OneTimeLink.objects.get(request=request).expires_at == NOW + timedelta(days=30)


def test_more_time_says_how_to_act_in_it(dora: Customer) -> None:
    request = taken_in("erasure", dora.subject_id, channel="mail", received_on=date(2026, 10, 30), actor=OPERATOR)
    execute.advance(request.pk, now=clock.answer_from(request.due_on))
    (text,) = texts(request, "extended")
    assert "ask for a new link where you asked, sign in, or call us" in text and "earlier letter" not in text


def test_staff_and_the_person_read_that_the_day_is_over(alice: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        answer = carol.post(
            "/admin/privacy/request/add/",
            {
                "kind": "access", "customer_number": alice.reference, "channel": "mail", "received_on": "2026-10-01",
                "asked_by": "self", "identity": "pending", "email": "", "name": "", "note": "",
            },
            follow=True,
        )  # fmt: skip
        request = Request.objects.get()
        assert f"{request.reference}: answer due on 1 November 2026, overdue by 19 days." in answer.text
        browser = pages.signed_in(alice.subject.users.get(), again=True)
        text = browser.get(f"/privacy/requests/{request.pk}/").text
        assert "We had to answer by" in text and "That day is over; we answer as soon as we can." in text


# What was removed -----------------------------------------------------------------------------------------------------


def answer(customer: Customer) -> Letter:
    request = taken_in("erasure", customer.subject_id, identity="login", actor=as_customer(customer))
    made = services.make_plan(request, actor=as_customer(customer), now=NOW)
    services.confirm(request, made.hash, actor=as_customer(customer), now=NOW)
    while execute.advance(request.pk, now=NOW) not in ("letter", "idle", "parked", "retry"):
        pass
    return Letter.objects.get(request=request, kind="erasure_done")


def test_where_something_is_kept_only_the_keys_to_what_was_removed_are_called_destroyed(alice: Customer) -> None:
    an_order(alice, date(2024, 5, 2), invoiced=date(2024, 5, 10), shipped=date(2024, 5, 10), paid=date(2024, 5, 10))
    with vault.internal():
        letter = answer(alice)
        for part in (letter.text, pages.read(letter.html)):
            assert "Kept for now" in part
            assert (
                "the keys to all of it that tells who you are have been destroyed" in part
                and "the keys to your data" not in part
            )
        assert letter.headline == "Your data was removed; what we must keep"


def test_where_nothing_could_be_removed_no_key_is_called_destroyed(alice: Customer) -> None:
    request = filed(alice)
    context = {
        "erased": [], "kept": [{"title": "Order 1", "data": ["name"], "sentence": "A claim.", "ground": "", "authority": "Law."}],
        "backups_until": TODAY, "done_on": NOW,
    }  # fmt: skip
    letter = writing.queue("erasure_done", to="a@example.com", context=context, key="t", request=request, now=NOW)
    with vault.internal():
        assert letter.headline == "Nothing could be removed now: what we must keep"
        for part in (letter.text, pages.read(letter.html)):
            assert "There was nothing that could be removed now." in part
            assert "destroyed" not in part and "data was removed" not in part
