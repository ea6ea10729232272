"""The page of a request and the outcome by code say what has become of it, and nothing that has not."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Customer
from privacy import vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import export, history, listing, second, services, sight, waits
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import State
from tests import factories, pages, roles
from tests.asked import NOW, PRIVACY, TODAY, confirmed, filed, refused_by_two, run, taken_in, with_letters
from tests.factories import as_customer
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

MANAGER = Actor("staff", "mia", None, frozenset({"manager"}), "admin")


def outcome_page(request: Request, code: str, *, now: timedelta = timedelta(minutes=1), status: int = 200) -> str:
    with time_machine.travel(NOW + now, tick=False):
        answer = Client().post("/privacy/outcome/", {"reference": request.reference, "code": code})
        text = pages.check(answer, status=status)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def own_page(customer: Customer, request: Request) -> str:
    browser = pages.signed_in(customer.subject.users.get(), again=True)
    return " ".join(re.sub(r"<[^>]+>", " ", browser.get(f"/privacy/requests/{request.pk}/").text).split())


def both(customer: Customer, request: Request, code: str) -> list[str]:
    return [own_page(customer, request), outcome_page(request, code)]


def test_a_planned_removal_says_what_would_go_and_that_it_waits_for_the_person(alice: Customer) -> None:
    request = filed(alice)
    code = factories.code_of(request)
    services.make_plan(request, actor=PRIVACY, now=NOW)
    for text in both(alice, request, code):
        assert "What would go" in text and "What was removed" not in text
        assert "Your confirmation is needed" in text


def test_a_confirmed_removal_that_waits_says_what_would_go_and_until_when_it_waits(alice: Customer) -> None:
    with vault.internal():
        alice.email = "alice@work.example"
        alice.save(update_fields=["email"])
    request = taken_in("erasure", alice.subject_id, channel="mail", identity="staff", actor=PRIVACY)
    code = factories.code_of(request)
    plan = services.make_plan(request, actor=PRIVACY, now=NOW)
    services.confirm(request, plan.hash, actor=sight.acting_as(request), now=NOW)
    for text in both(alice, request, code):
        assert "What would go" in text and "What was removed" not in text
        assert "A second member of our staff looks at it first" in text
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    assert waits.ends_at(request, now=NOW) == NOW + timedelta(hours=72)
    for text in both(alice, request, code):
        assert "What would go" in text and "There is time to object" in text and "23 November 2026" in text


def test_a_removal_taken_back_says_that_nothing_was_removed(alice: Customer) -> None:
    request = filed(alice)
    code = factories.code_of(request)
    services.make_plan(request, actor=PRIVACY, now=NOW)
    services.withdraw(request, actor=sight.acting_as(request), now=NOW)
    for text in both(alice, request, code):
        assert "Nothing was removed because of this request." in text
        assert "What was removed" not in text and "What stays" not in text and "Keys destroyed" not in text
        assert "What the removal itself" not in text


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_refusal_gives_its_reason_on_both_pages(alice: Customer, kind: str) -> None:
    request = filed(alice, kind)
    code = factories.code_of(request)
    refused_by_two(request, "You asked nine times.")
    for text in both(alice, request, code):
        assert "Why we do not do it You asked nine times. (Art. 12(5) GDPR)" in text
        assert f"Nothing was {'given' if kind == 'access' else 'removed'} because of this request." in text
        assert "What was removed" not in text and "What the copy holds" not in text


def test_a_refusal_after_the_plan_keeps_nothing_of_the_plan_on_the_page(alice: Customer) -> None:
    request = confirmed(alice)
    refused_by_two(request, "You asked nine times.")
    text = own_page(alice, request)
    assert "You asked nine times." in text and "What was removed" not in text and "What would go" not in text


def test_a_refusal_of_an_earlier_version_points_to_its_letter(alice: Customer) -> None:
    request = filed(alice)
    refused_by_two(request, "You asked nine times.")
    request = Request.objects.get(pk=request.pk)
    with vault.internal():
        request.outcome = {"format": 1}
        request.save(update_fields=["outcome"])
    assert "The reason stands in the letter that we wrote to you." in own_page(alice, request)


def test_a_copy_that_is_not_made_yet_is_not_called_made(alice: Customer) -> None:
    request = confirmed(alice, "access")
    assert request.state == State.CONFIRMED
    text = own_page(alice, request)
    assert "What the copy will hold" in text and "What the copy holds" not in text


def test_a_browser_that_is_signed_in_is_told_where_the_copy_is(alice: Customer) -> None:
    request = filed(alice, "access")
    there = {"reference": request.reference, "code": factories.code_of(request)}
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    services.confirm(request, made.hash, actor=as_customer(alice), now=NOW)
    run(request)
    bob = pages.signed_in(factories.login("bob", "bob@example.com", subject=factories.subject()), again=True)
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        text = bob.post("/privacy/outcome/", there).text
        assert "sign out and open this page again" in text and "Fetch" not in text
        assert "sign out and open this page again" not in Client().post("/privacy/outcome/", there).text


def test_the_stranger_reads_no_reason(alice: Customer, client: Client) -> None:
    request = filed(alice)
    refused_by_two(request, "You asked nine times.")
    bob = pages.signed_in(factories.login("bob", "bob@example.com", subject=factories.subject()), again=True)
    assert bob.get(f"/privacy/requests/{request.pk}/").status_code == 404
    answer = client.post("/privacy/outcome/", {"reference": request.reference, "code": "0000-0000-0000"})
    assert answer.status_code == 401 and "nine times" not in answer.text


# Every end, on both pages ---------------------------------------------------------------------------------------------


def fetched(request: Request) -> None:
    export.Export.objects.filter(request=request).update(downloads=1)


def not_them(request: Request, *, words: str = "The voice was another one.") -> None:
    waits.ask(request, SecondLook.Why.NOT_ME, actor=PRIVACY, now=NOW)
    second.decide(request, "end", words=words, actor=MANAGER, now=NOW)


def made(request: Request) -> None:
    plan = services.make_plan(request, actor=sight.acting_as(request), now=NOW)
    services.confirm(request, plan.hash, actor=sight.acting_as(request), now=NOW)
    run(request)


def expired(request: Request) -> None:
    services.make_plan(request, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    services.expire_into(request, actor=PRIVACY, now=NOW)


def second_after_it_was_fetched(request: Request) -> None:
    fetched(request)
    not_them(request)


def destroyed_by_the_person(request: Request) -> None:
    export.destroy(request, actor=sight.acting_as(request), now=NOW)


def over(request: Request) -> None:
    export.expire(now=NOW + timedelta(days=8))


def nobody_decided(request: Request) -> None:
    waits.ask(request, SecondLook.Why.NOT_ME, actor=PRIVACY, now=NOW - timedelta(days=40))
    request.refresh_from_db()
    request.due_on = TODAY
    request.save(update_fields=["due_on"])
    history.event(request, "extended", actor=None, now=NOW, on=TODAY)
    assert second.last_day(request, actor=PRIVACY, now=NOW)


NOT_SHOWN = "decided that it was not shown that it was you who asked."
ENDS = {
    ("access", "withdrawn"): (
        lambda one: services.withdraw(one, actor=sight.acting_as(one), now=NOW),
        ["The request was taken back", "Nothing was given because of this request."],
    ),
    ("access", "refused"): (
        lambda one: services.refuse(one, ground="You asked nine times.", authority="", actor=PRIVACY, now=NOW),
        ["Why we do not do it You asked nine times.", "Nothing was given because of this request."],
    ),
    ("erasure", "expired"): (
        expired,
        ["The request has ended without an answer from you The plan was not confirmed in time.", "Nothing was removed"],
    ),
    ("erasure", "second person before"): (
        not_them,
        ["Why we do not do it A second member", NOT_SHOWN, "The voice was another one.", "Nothing was removed"],
    ),
    ("access", "nobody decided"): (
        nobody_decided,
        ["Why we do not do it", "none had decided by the day", "Nothing was given"],
    ),
}
ENDS_OF_A_COPY = (
    (
        not_them,
        [
            "It was not shown that it was you who asked",
            NOT_SHOWN,
            "No copy had been fetched.",
            "The copy has been destroyed:",
        ],
    ),
    (
        second_after_it_was_fetched,
        [NOT_SHOWN, "A copy had been fetched before that, once.", "The copy has been destroyed:"],
    ),
    (destroyed_by_the_person, ["The copy has been destroyed before its seven days were over"]),
    (over, ["The copy has been destroyed: its seven days are over."]),
)


def test_who_was_asked_to_show_it_and_who_could_not_be_are_told_so(alice: Customer) -> None:
    asked_for = [taken_in(kind, alice.subject_id, channel="mail", actor=PRIVACY) for kind in ("access", "erasure")]
    Letter.objects.filter(request=asked_for[1]).update(next_attempt_at=None)  # given up
    with_letters(NOW)
    browser = pages.signed_in(alice.user, again=True)
    for request, said in zip(
        asked_for, ("to show that it is you who is asking, and heard", "had no way to ask"), strict=True
    ):
        services.expire_into(request, actor=PRIVACY, now=NOW)
        assert said in pages.read(browser.get(f"/privacy/requests/{request.pk}/"))


@pytest.mark.parametrize(("kind", "name"), ENDS)
def test_every_end_is_told_on_both_pages(alice: Customer, kind: str, name: str) -> None:
    """What one page tells the other tells, too: also that a second person ended it, and what became of a copy."""
    request = filed(alice, kind)
    code = factories.code_of(request)
    end, said = ENDS[kind, name]
    end(request)
    tells(alice, request, code, said)


@pytest.mark.usefixtures("quiet")
def test_every_end_of_a_copy_is_told_on_both_pages(alice: Customer) -> None:
    """As above; the copy is made once for them."""
    request = filed(alice, "access")
    code = factories.code_of(request)
    made(request)
    for end, said in ENDS_OF_A_COPY:
        with undone():
            end(Request.objects.get(pk=request.pk))
            tells(alice, request, code, said)


def tells(alice: Customer, request: Request, code: str, said: list[str]) -> None:
    request.refresh_from_db()
    for text in both(alice, request, code):
        for one in said:
            assert one in text, (one, text)
        assert ("Nothing was" in text) == any(one.startswith("Nothing was") for one in said)


def test_that_it_was_not_the_person_is_told_after_a_removal_too(alice: Customer) -> None:
    request = filed(alice)
    code = factories.code_of(request)
    made(request)
    not_them(request)
    text = outcome_page(request, code)
    assert "It was not shown that it was you who asked" in text and "cannot be brought back" in text


def test_a_request_whose_file_has_ended_says_so_and_is_not_called_unreadable_for_the_moment(alice: Customer) -> None:
    request = filed(alice, "access")
    made(request)
    Request.objects.filter(pk=request.pk).update(sealed_request_file=None)
    vault.keys.destroy([(request.pk, "request_file")], now=NOW)
    text = own_page(alice, request)
    assert "is no longer on file: we kept it as proof, and that time is over" in text
    assert "cannot be read at this moment" not in text


def test_decisions_that_are_not_those_of_the_plan_are_told_to_the_person_to_staff_and_operator(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says that somebody has to look; none that it cannot be read for the moment or that the code is wrong."""
    factories.an_order(alice)  # it is open, so that the login stays
    request = filed(alice)
    code = factories.code_of(request)
    made(request)
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    desk, somebody = f"/admin/privacy/request/{request.pk}/change/", "Somebody has to look at this request."
    call_command("seal_requests")
    assert "doubted: 0." in capsys.readouterr().out and somebody not in read(pat, desk)
    roles.run(f"DELETE FROM privacy_decision WHERE request_id = '{request.pk}'")
    for text in (own_page(alice, request), outcome_page(request, code, status=409)):
        assert "A member of our staff has to look" in text and "is not the plan that this website made of it" in text
        assert f"Your reference is {request.reference}" in text
        assert "cannot be read at this moment" not in text and "There is no outcome for this reference" not in text
    text = read(pat, desk)
    assert somebody in text and "not those of the plan in its sealed file" in text and "cannot be opened" not in text
    for options in ({}, {"request": request.reference}):
        with pytest.raises(CommandError):
            call_command("seal_requests", **options)
        told = capsys.readouterr().out
        assert request.reference in told and "there are not as many decisions as its plan" in told
        assert "is in order" not in told
    Request.objects.filter(pk=request.pk).update(mac="")
    text = read(pat, desk)
    assert somebody in text and "is not what this program wrote into it" in text


def test_the_outcome_names_the_days_until_which_its_file_and_the_token_stay(alice: Customer) -> None:
    request = filed(alice)
    code = factories.code_of(request)
    made(request)
    text = outcome_page(request, code)
    left = text[text.index("What the removal itself left") :]
    assert len(re.findall(r", until \d+ \w+ 20\d\d\.", left)) == 2


def test_what_has_ended_tells_the_day_on_which_it_did_and_no_day_to_answer_by(alice: Customer) -> None:
    request = filed(alice, "access")
    code = factories.code_of(request)
    for text in both(alice, request, code):
        assert "We answer by" in text and "Ended" not in text
    services.withdraw(request, actor=as_customer(alice), now=NOW)
    for text in both(alice, request, code):
        assert "Ended 20 November 2026" in text and "nswer by" not in text and "answered by" not in text
    browser = pages.signed_in(alice.subject.users.get())
    row = " ".join(re.sub(r"<[^>]+>", " ", browser.get("/privacy/requests/").text).split())
    assert "ended 20 November 2026" in row and "by 20 December 2026" not in row


def test_what_is_answered_is_not_under_way_nor_late_while_its_copy_waits_to_be_fetched(alice: Customer) -> None:
    """Nobody has made a claim by asking, either: its file is kept as proof."""
    request = filed(alice, "access")
    code = factories.code_of(request)
    browser = pages.signed_in(alice.subject.users.get(), again=True)
    assert "(copy of the data): identity proved. We answer by 20 December 2026" in read(browser, "/account/")
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    assert request.reference in read(pat, "/admin/")
    made(request)
    run(request)
    request.refresh_from_db()
    assert request.state == State.REPLIED and request.is_open
    for text in both(alice, request, code):
        assert "The answer has gone out." in text and "nswer by" not in text
    assert ": answered." in read(browser, "/account/") and "nswer by" not in read(browser, "/account/")
    row = read(browser, "/privacy/requests/")
    assert "answered" in row and "by 20 December 2026" not in row
    assert request.reference not in read(pat, "/admin/"), "it is no work of theirs"
    listed = read(pat, "/admin/privacy/request/")
    assert f"{request.reference} copy of the data answered" in listed and "identity proved, or being proved" in listed
    held = read(browser, "/privacy/held/")
    assert f"Request {request.reference}" in held and "legal claim is settled" not in held
    late = listing.narrowed(Request.objects.all(), "overdue", today=TODAY + timedelta(days=60))
    assert not late.exists() and [
        row["days_overdue"] for _, row in listing.rows(Request.objects.all(), today=TODAY + timedelta(days=60))
    ] == [0]


def test_what_waits_for_our_staff_is_said_to_wait_for_them(alice: Customer) -> None:
    """A request that is parked, or of which a second person has to be persuaded, is not under way."""
    request = taken_in("erasure", alice.subject_id, channel="mail", identity="staff", actor=PRIVACY)
    code = factories.code_of(request)
    plan = services.make_plan(request, actor=PRIVACY, now=NOW)
    services.confirm(request, plan.hash, actor=sight.acting_as(request), now=NOW)
    browser = pages.signed_in(alice.subject.users.get(), again=True)
    everywhere = ("/account/", "/privacy/requests/", f"/privacy/requests/{request.pk}/")
    said = "a second member of our staff has to look at it"
    for text in (*(read(browser, path) for path in everywhere), outcome_page(request, code)):
        assert said in text.replace("A second", "a second") and "under way" not in text and "bout to be" not in text
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    for path in everywhere:
        assert "bout to be carried out" in read(browser, path) and said not in read(browser, path)
    history.move(request, State.PARKED, actor=PRIVACY, now=NOW)
    for text in (*(read(browser, path) for path in everywhere), outcome_page(request, code)):
        assert "arked until our staff have looked at it" in text and "under way" not in text


def read(browser: Client, path: str) -> str:
    """Return what a page says."""
    return " ".join(re.sub(r"<[^>]+>", " ", browser.get(path).text).split())
