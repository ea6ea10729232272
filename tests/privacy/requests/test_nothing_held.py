"""A stranger known under no name is told that nothing is held: by link or by post, and never while
anything carries the address."""

from __future__ import annotations

import re

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import Communication, Customer
from privacy import vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import filing, history, posting, proof, services, sight
from privacy.requests.models import Request
from privacy.requests.nothing import SomethingHeld
from privacy.requests.states import State
from privacy.subjects import Subject
from privacy.vault.models import DataKey
from tests import factories, pages
from tests.asked import ANYBODY, NOW, PRIVACY, TODAY, taken_in
from tests.factories import an_order

pytestmark = pytest.mark.django_db
STRANGER = "sid@post.example"


def asked(email: str = STRANGER, kind: str = "access") -> Request:
    filing.ask(kind=kind, email=email, actor=ANYBODY, now=NOW)
    return Request.objects.get(kind=kind)


def kinds(request: Request) -> list[str]:
    return list(request.letters.order_by("queued_at", "pk").values_list("kind", flat=True))


def said(request: Request, kind: str) -> str:
    with vault.internal():
        letter = request.letters.get(kind=kind)
        given = letter.credentials or {}
        return str(letter.text) + str(given.get("link", ""))


def path_of_link(request: Request) -> str:
    found = re.search(r"/privacy/link/[\w-]+/", said(request, "link_identity"))
    assert found
    return found[0]


def by_letter(name: str = "Sid Stranger") -> Request:
    return taken_in(
        "access", None, channel="mail", name=name, postal="Sid Stranger\n1 Nowhere Lane\nSalem MA 01970", actor=PRIVACY
    )


def named(name: str, kind: str = "access") -> Request:
    return taken_in(kind, None, channel="mail", name=name, email=STRANGER, actor=PRIVACY)


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_name_that_comes_later_with_the_same_address_counts(alice: Customer, kind: str) -> None:
    with time_machine.travel(NOW, tick=False):
        request = asked()
        path = path_of_link(request)
        later = named("Alice Archer", kind)
        assert (later == request) is (kind == "access")
        page = Client().post(path, follow=True).text
        assert "We hold nothing about you" not in page
        assert "nothing_held" not in kinds(request)
        with pytest.raises(SomethingHeld):
            services.say_nothing_held(request, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert request.state == State.RECEIVED


def test_another_name_by_the_same_address_is_another_request(alice: Customer) -> None:
    assert named("Sid Stranger") != named("Alice Archer")
    assert named("Sid  Stranger") == Request.objects.order_by("filed_at", "pk").first()


@pytest.mark.parametrize("typed", ["alice@ｅxample.com", "alice@exam\u00adple.com"])
def test_a_spelling_that_mail_takes_for_the_address_on_file_is_not_told_that_nothing_is_held(
    alice: Customer, typed: str
) -> None:
    request = taken_in("access", None, channel="mail", email=typed, actor=PRIVACY)
    assert kinds(request) == ["not_identified"]
    with pytest.raises(SomethingHeld):
        services.say_nothing_held(request, actor=PRIVACY, now=NOW)


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_who_reads_the_mailbox_is_told_that_nothing_carries_the_address(alice: Customer, kind: str) -> None:
    people = Subject.objects.count()
    with time_machine.travel(NOW, tick=False):
        request = asked(kind=kind)
        assert kinds(request) == ["link_identity"]
        browser = Client()
        path = path_of_link(request)
        browser.get(path)
        request.refresh_from_db()
        assert request.state == State.RECEIVED, "looking does nothing"
        assert "We hold nothing about you" in pages.check(browser.post(path))
    request.refresh_from_db()
    assert (request.state, request.subject_id, request.is_identified) == (State.CLOSED, None, False)
    answer = said(request, "nothing_held")
    assert "No account, customer, order, return or message carries the address." in answer
    assert ("there is nothing to remove" in answer) is (kind == "erasure")
    assert "Alice" not in answer and Subject.objects.count() == people, "no profile is made of who asks"


@pytest.mark.parametrize("where", ["message", "order", "login", "customer"])
def test_while_anything_carries_the_address_nobody_hears_that_nothing_is_held(alice: Customer, where: str) -> None:
    if where == "message":
        factories.communication(alice, email=STRANGER, contact_name="Bob Baker", body="For Mrs Archer.")
    elif where == "order":
        an_order(alice, email=STRANGER)
    elif where == "login":
        user = factories.login("sid", STRANGER, subject=factories.subject())
        EmailAddress.objects.filter(user=user).update(verified=False)
    else:
        factories.customer("Ann", "Other", email=STRANGER, came="person")
    request = asked()
    assert "nothing_held" not in kinds(request)
    if request.subject_id is None:
        assert kinds(request) == ["not_identified"]
        with pytest.raises(SomethingHeld):
            services.say_nothing_held(request, actor=PRIVACY, now=NOW)
        assert request.state == State.RECEIVED


def test_what_came_after_the_link_was_sent_is_not_passed_over(alice: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = asked()
        path = path_of_link(request)
        factories.communication(alice, email=STRANGER, contact_name="Bob Baker", body="For Mrs Archer.")
        text = pages.check(Client().post(path))
    assert "We look again" in text and "Alice" not in text
    request.refresh_from_db()
    assert request.state == State.RECEIVED and sorted(kinds(request)) == ["link_identity", "not_identified"]


def test_a_letter_of_somebody_known_under_no_name_is_answered_by_post(alice: Customer) -> None:
    people, messages = Subject.objects.count(), Communication.objects.count()
    request = by_letter()
    assert kinds(request) == ["not_identified"] and "signing in" not in said(request, "not_identified")
    assert not request.events.filter(kind="identity_asked").exists(), "it lies here"
    with time_machine.travel(NOW, tick=False):
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        step = f"/admin/privacy/request/{request.pk}/step/nothing/"
        assert "is answered: nothing is held" in pat.post(step, {}, follow=True).text
    request.refresh_from_db()
    assert request.state == State.CLOSED and Communication.objects.count() == messages
    waiting = Letter.objects.get(request=request, by="post", sent_at=None, stopped_at=None)
    assert waiting.kind == "nothing_held"
    text = said(request, "nothing_held")
    assert text.startswith("Sid Stranger\n1 Nowhere Lane\nSalem MA 01970\n\n") and "No customer" in text
    assert not re.search(r"log in|click|/privacy/", text)
    posting.mark_posted(waiting, actor=Actor("staff", "pia", None, frozenset({"privacy"}), "admin"), now=NOW)
    assert Subject.objects.count() == people + 1, "pat's own"


def test_to_no_address_and_of_a_file_that_cannot_be_opened_nothing_is_said(alice: Customer) -> None:
    request, at = by_letter(), {"actor": PRIVACY, "now": NOW}
    letter = request.letters.get()
    Letter.objects.filter(pk=letter.pk).update(sent_at=NOW)
    letter.refresh_from_db()
    posting.came_back(letter, **at)
    with pytest.raises(history.NotAllowed, match="no address"):
        services.say_nothing_held(request, **at)
    DataKey.objects.filter(record=request.pk).delete()
    with pytest.raises(SomethingHeld, match="cannot be opened"):
        services.say_nothing_held(request, **at)


def test_a_namesake_stands_before_it(alice: Customer) -> None:
    request = by_letter("Alice Archer")
    with pytest.raises(SomethingHeld):
        services.say_nothing_held(request, actor=PRIVACY, now=NOW)
    with pytest.raises(sight.NotYours):
        services.say_nothing_held(by_letter(), actor=ANYBODY, now=NOW)


@pytest.mark.parametrize("channel", ["mail", "phone"])
def test_no_letter_of_the_program_itself_tells_whether_a_name_is_on_file(alice: Customer, channel: str) -> None:
    """Somebody gives the own mailbox and somebody's name. Control: without a name the address
    alone is looked at, as ever."""
    texts = []
    for number, name in enumerate(("Alice Archer", "Nora Nowhere", "")):
        request = taken_in("access", None, channel=channel, name=name, email=f"sid{number}@post.example", actor=PRIVACY)
        if not name:
            assert kinds(request) == ["link_identity"]
            continue
        assert kinds(request) == ["not_identified"] and not request.links.exists()
        texts.append(said(request, "not_identified").replace(request.reference, ""))
        if name == "Nora Nowhere":
            services.say_nothing_held(request, actor=PRIVACY, now=NOW)
            assert "No customer and no company of ours has the name." in said(request, "nothing_held")
        else:
            with pytest.raises(SomethingHeld):
                services.say_nothing_held(request, actor=PRIVACY, now=NOW)
    assert texts[0] == texts[1]


def test_a_name_alone_is_no_request_and_one_that_was_matched_is_not_answered_so(alice: Customer) -> None:
    with pytest.raises(proof.BadRequest, match="a name and a postal address"):
        filing.file(
            filing.Receipt(kind="access", subject=None, channel="mail", received_on=TODAY, name="Sid"),
            actor=PRIVACY,
            now=NOW,
        )
    request = asked("alice@example.com")
    with pytest.raises(history.NotAllowed, match="matched with somebody"):
        services.say_nothing_held(request, actor=PRIVACY, now=NOW)
