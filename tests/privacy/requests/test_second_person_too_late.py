"""What a second person decides after something has gone out: it is said, the person is told, and the breach is
assessed."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest
import time_machine
from django.test import Client

from accounts import logins
from accounts.models import Customer
from privacy import audit, gate, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import execute, export, history, second, services, sight, waits
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import State
from tests import factories, pages, people
from tests.asked import NOW, PRIVACY, TODAY, Clock, filed, run, with_letters
from tests.beginnings import beginning
from tests.factories import as_customer
from tests.privacy.requests.test_second_person import (
    COLLEAGUE,
    OTHER,
    PAGE,
    by_link,
    confirm,
    not_me_token,
    with_two_mailboxes,
)
from tests.privacy.requests.test_second_person import two_mailboxes as two_mailboxes  # a fixture

pytestmark = pytest.mark.django_db
HERS = "alice@example.com"
LATER = NOW + timedelta(hours=73)  # the time to object is over


class Asked(NamedTuple):
    """A request of alice's by link, and the token in her other mailbox."""

    alice: Customer
    request: Request
    token: str


@beginning
def removal() -> Asked:
    """She has confirmed the plan."""
    alice = with_two_mailboxes(people.an_alice())
    request = confirm(by_link())
    return Asked(alice, request, not_me_token(request))


def asked_copy() -> Asked:
    alice = with_two_mailboxes(people.an_alice())
    request = confirm(by_link("access"))
    return Asked(alice, request, not_me_token(request))


@beginning
def copy() -> Asked:
    return asked_copy()


@beginning
def given_out() -> Asked:
    """The copy was fetched before the other mailbox is read."""
    alice, request, token = asked_copy()
    run(request, Clock(NOW))
    fetch(request)
    return Asked(alice, request, token)


def fetch(request: Request) -> list[bytes]:
    _, chunks = export.fetch(request, actor=sight.acting_as(request), now=NOW)
    return list(chunks)


def said_not_me(token: str) -> str:
    with time_machine.travel(NOW, tick=False):
        return pages.check(Client().post(f"/privacy/link/{token}/"))


def told(request: Request, kind: str = "not_you") -> dict[str, str]:
    with vault.internal():
        return {one.to: one.text for one in Letter.objects.filter(request=request, kind=kind)}


def team() -> Client:
    return pages.signed_in(factories.staff(roles=("privacy",)))


def mona() -> Client:
    user, _ = logins.create_staff(
        username="mona", email="mona@ilt.example", roles=[], is_manager=True, acknowledged_on=TODAY, version="1",
        actor=None, now=NOW, password=factories.PASSWORD,
    )  # fmt: skip
    return pages.signed_in(user)


# "This was not me" says what has gone out -----------------------------------------------------------------------------


def test_after_the_copy_was_fetched_nobody_is_told_that_nothing_is_given(given_out: Asked) -> None:
    text = said_not_me(given_out.token)
    assert (
        "The copy had been fetched, at least in part, before you told us." in text
        and "is not given again until" in text
    )
    assert "nothing is given to anybody" not in text


def test_who_reads_the_outcome_meanwhile_is_not_told_to_be_signed_in(two_mailboxes: Customer) -> None:
    request = filed(two_mailboxes, "access")
    code = factories.code_of(request)
    run(request, Clock(NOW))
    waits.ask(request, SecondLook.Why.NOT_ME, actor=PRIVACY, now=NOW)
    with time_machine.travel(NOW, tick=False):
        text = pages.check(Client().post("/privacy/outcome/", {"reference": request.reference, "code": code}))
    assert "A second member of our staff looks at it first" in text
    assert "This browser is signed in" not in text and "Download the copy" not in text


def test_a_copy_that_waits_unfetched_stands_still(copy: Asked) -> None:
    _, request, token = copy
    run(request, Clock(NOW))
    assert request.state == State.REPLIED
    assert "The request stands still" in said_not_me(token)
    with pytest.raises(export.NoCopy):
        fetch(request)


@pytest.mark.parametrize("end", ["withdraw", "refuse"])
def test_of_a_request_that_ended_with_nothing_done_it_says_so(removal: Asked, end: str) -> None:
    _, request, token = removal
    if end == "withdraw":
        services.withdraw(request, actor=sight.acting_as(request), now=NOW)
    else:
        services.refuse(request, ground="No.", authority="", actor=PRIVACY, now=NOW)
    assert "Nothing was given to anybody or removed because of it." in said_not_me(token)


def test_of_a_removal_that_was_carried_out_it_says_so(removal: Asked) -> None:
    _, request, token = removal
    with_letters(NOW)
    run(request, Clock(LATER))
    assert request.state == State.CLOSED
    assert "The removal was already being carried out, or had been." in said_not_me(token)


# The decision ---------------------------------------------------------------------------------------------------------


def test_who_decides_sees_what_has_gone_out_and_the_person_is_told_at_every_address(given_out: Asked) -> None:
    _, request, token = given_out
    with time_machine.travel(NOW, tick=False):
        said_not_me(token)
        look = SecondLook.objects.get(request=request)
        browser = mona()
        page = browser.get(f"{PAGE}{look.pk}/change/").text
        assert "The copy was fetched once." in page
        help_text = pages.read(browser.get(f"{PAGE}{look.pk}/step/decide/"))
        assert "Covered: your role does not need this." in help_text and "Archer" not in help_text
        assert "Already given or removed</dt><dd>The copy was fetched once.</dd>" in help_text
        assert f"<dd>{request.reference}, copy of the data</dd>" in help_text
        answer = pages.decide(
            browser, f"{PAGE}{look.pk}/step/decide/", {"outcome": "end", "words": ""}, follow=True
        ).text
        assert f"{request.reference}: The copy had been fetched before. The person is told" in answer
        assert "nothing is done for it" not in answer
    letters = told(request)
    assert set(letters) == {HERS, OTHER}
    for text in letters.values():
        assert "decided that it was not shown that it was you who asked" in text and second.UNSURE in text
        assert "A copy of data about you had been fetched before that, once." in text
        assert request.reference in text and "Archer" not in text
    assert export.live(request) is None


def test_the_privacy_team_finds_a_possible_breach_and_notes_what_became_of_it(given_out: Asked) -> None:
    alice, request, token = given_out
    with time_machine.travel(NOW, tick=False):
        said_not_me(token)
        carol = team()
        assert "Possible breaches" not in carol.get("/admin/").text
        second.decide(request, "end", actor=COLLEAGUE, now=NOW)
        front = carol.get("/admin/").text
        assert "Possible breaches to assess" in front and f"{request.reference}: copy of the data, not shown" in front
        assert audit.history(reference=request.reference).get(action="request.possible_breach").reason == "fetched"
        for stranger in (as_customer(alice), Actor("staff", "sam", None, frozenset({"sales"}), "admin")):
            with pytest.raises(sight.NotYours):
                second.assess_breach(request, is_breach=False, actor=stranger, now=NOW)
        path = f"/admin/privacy/request/{request.pk}/step/breach/"
        assert "Art. 33" in carol.get(path).text
        assert "is in the audit" in carol.post(path, {"found": "breach"}, follow=True).text
        assert "Possible breaches" not in carol.get("/admin/").text
    assert audit.history(reference=request.reference).get(action="request.breach_assessed").reason == "breach"
    with pytest.raises(history.NotAllowed):
        second.assess_breach(request, is_breach=True, actor=PRIVACY, now=NOW)


@pytest.mark.parametrize("outcome", ["go_on", "end"])
def test_where_nothing_had_gone_out_there_is_no_breach(copy: Asked, outcome: str) -> None:
    _, request, token = copy
    run(request, Clock(NOW))
    second.say_not_me(token, now=NOW)
    second.decide(request, outcome, actor=COLLEAGUE, now=NOW)
    assert not second.possible_breaches().exists()
    texts = list(told(request).values())
    assert len(texts) == (2 if outcome == "end" else 0)
    assert all("The copy had been made and had not been fetched. It is destroyed." in text for text in texts)


def test_the_letter_about_a_removal_goes_out_before_what_it_says_is_destroyed(removal: Asked) -> None:
    _, request, token = removal
    with_letters(NOW)
    while request.step != "close":
        execute.advance(request.pk, now=LATER)
        request.refresh_from_db()
    second.say_not_me(token, now=LATER)
    with time_machine.travel(LATER, tick=False):
        look = SecondLook.objects.get(request=request)
        assert "The removal was begun or carried out." in mona().get(f"{PAGE}{look.pk}/change/").text
    second.decide(request, "end", actor=COLLEAGUE, now=LATER)
    assert run(request, Clock(LATER)) and request.state == State.CLOSED
    sent = Letter.objects.filter(request=request, kind="not_you")
    assert sent.exists() and not sent.filter(sent_at=None).exists()
    assert second.possible_breaches().get().pk == request.pk


def test_the_page_of_the_person_says_why_the_copy_is_gone(given_out: Asked) -> None:
    alice, request, token = given_out
    second.say_not_me(token, now=NOW)
    with time_machine.travel(NOW, tick=False):
        browser = pages.signed_in(alice.subject.users.get(), again=True)
        text = pages.read(browser.get(f"/privacy/requests/{request.pk}/"))
        assert "The copy has been fetched, at least in part. It is not given again before they have decided" in text
        second.decide(request, "end", actor=COLLEAGUE, now=NOW)
        text = pages.read(browser.get(f"/privacy/requests/{request.pk}/"))
        assert "a second member of our staff decided that it was not shown that it was you who asked." in text
        assert "its seven days are over" not in text


# A question ends with its request -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["withdraw", "refuse"])
def test_an_open_question_ends_with_the_request_and_is_decided_no_more(removal: Asked, end: str) -> None:
    _, request, token = removal
    second.say_not_me(token, now=NOW)
    if end == "withdraw":
        services.withdraw(request, actor=sight.acting_as(request), now=NOW)
    else:
        services.refuse(request, ground="No.", authority="", actor=PRIVACY, now=NOW)
    assert not second.waiting().exists() and not waits.is_undecided(request)
    with pytest.raises(history.NotAllowed):
        second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    look = SecondLook.objects.get(request=request)
    assert (look.outcome, look.decided_at) == ("", NOW)
    with time_machine.travel(NOW, tick=False):
        assert "None: it ended with the request" in team().get(f"{PAGE}{look.pk}/change/").text


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("go_on", " had ended before; your"), ("end", " had ended before, and nothing had been given or removed; your")],
)
def test_a_word_after_the_end_is_noted_and_nothing_is_said_to_go_on(removal: Asked, outcome: str, said: str) -> None:
    _, request, token = removal
    with time_machine.travel(NOW, tick=False):
        services.withdraw(request, actor=sight.acting_as(request), now=NOW)
        second.say_not_me(token, now=NOW)
        look = SecondLook.objects.get(request=request)
        answer = pages.decide(
            mona(), f"{PAGE}{look.pk}/step/decide/", {"outcome": outcome, "words": ""}, follow=True
        ).text
        assert (
            f"{request.reference}{said} decision is noted." in answer
            and "goes on" not in answer.split("messages")[-1][:400]
        )
        carol = team()
        shown = [request.reference in carol.get(f"{PAGE}?state={state}").text for state in ("open", "decided")]
        assert shown == [False, True]
    assert not gate.current() and not told(request)
