"""What staff join is told to every address on file, may be objected to, and gives nobody a file by login alone for 14
days."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
import time_machine
from django.test import Client

from accounts import claim, joining, told_of_joinings
from accounts.models import ClaimReview, Customer, Joined, Joining, User
from privacy import vault
from privacy.audit.models import AuditEvent
from privacy.gate import MANAGER, Actor
from privacy.letters import given
from privacy.letters.models import Letter
from privacy.requests import filing, proving, second, services, waits
from privacy.requests.models import Request, SecondLook
from privacy.subjects import Subject
from tests import factories, pages
from tests.accounts.test_joining import COLLEAGUE, _end, a_look, join
from tests.asked import ANYBODY, PRIVACY, taken_in
from tests.factories import NOW, TODAY, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

ADDRESS = "alice@example.com"
MONA = Actor("staff", "mona", None, frozenset({MANAGER}), "admin")
WAIT = timedelta(days=14)


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    """An order of his carries alice's address: the pretext."""
    bob = factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")
    an_order(bob, email=ADDRESS)
    return bob


@pytest.fixture
def joined(alice: User, bob: Customer) -> Joining:
    return join(a_look(alice), people=[bob.subject_id], reason="written")


def letters(kind: str) -> dict[str, str]:
    with vault.internal():
        return {str(one.to): str(given(one)[0]) for one in Letter.objects.filter(kind=kind)}


def link_to(email: str, kind: str = "joined") -> str:
    return re.findall(r"https?://[^/\s]+(/account/contact/not-me/\S+)", letters(kind)[email])[0]


def by_login(user: User, kind: str = "erasure", now: datetime = NOW) -> Request:
    return taken_in(kind, user.subject_id, received_on=TODAY, identity="login", actor=user.as_actor(), now=now)


def whys(request: Request) -> list[str]:
    return list(SecondLook.objects.filter(request=request, decided_at=None).values_list("why", flat=True))


# Fourteen days --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_for_14_days_after_two_people_were_joined_a_request_by_login_needs_the_second_person(
    alice: User, joined: Joining, kind: str
) -> None:
    alice.refresh_from_db()
    assert whys(by_login(alice, kind, NOW + WAIT - timedelta(seconds=1))) == ["joined"]


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_after_14_days_and_without_a_joining_it_does_not(alice: User, bob: Customer, kind: str) -> None:
    asked = by_login(alice, kind)
    assert whys(asked) == []
    services.withdraw(asked, actor=PRIVACY, now=NOW)
    join(a_look(alice), people=[bob.subject_id], reason="written")
    alice.refresh_from_db()
    assert whys(by_login(alice, kind, NOW + WAIT)) == []


@pytest.mark.parametrize("email", [ADDRESS, "bob@example.com"])
def test_so_does_one_by_a_link_to_an_address_of_either_side(joined: Joining, email: str) -> None:
    filing.ask(kind="access", email=email, actor=ANYBODY, now=NOW)
    with vault.internal():
        text = given(Letter.objects.get(kind="link_identity"))[0]
    request, _ = proving.redeem(re.search(r"/privacy/link/([\w-]+)/", text)[1], now=NOW)
    assert whys(request) == ["joined"]


def test_a_request_that_was_open_when_the_people_were_joined_waits_for_the_second_person(
    alice: User, bob: Customer
) -> None:
    asked = by_login(alice, "access")
    assert whys(asked) == []
    join(a_look(alice), people=[bob.subject_id], reason="written")
    assert whys(asked) == ["joined"]


def test_whoever_proposed_the_joining_is_no_second_person_for_what_follows_from_it(
    alice: User, joined: Joining
) -> None:
    alice.refresh_from_db()
    asked = by_login(alice)
    assert [second.may_decide(asked, who) for who in (PRIVACY, COLLEAGUE, MONA)] == [False, True, True]
    second.decide(asked, "go_on", actor=MONA, now=NOW)
    assert not waits.is_undecided(asked)


def test_the_person_reads_that_a_second_member_of_staff_has_to_look(alice: User, joined: Joining) -> None:
    alice.refresh_from_db()
    asked = by_login(alice, "access")
    assert "second" in pages.check(pages.signed_in(alice).get(f"/privacy/requests/{asked.pk}/"))


def test_a_login_linked_to_a_customer_by_staff_is_a_joining_too(alice: User) -> None:
    contact = factories.customer("A.", "Archer", company=factories.company())
    claim.attempt(alice, ADDRESS, actor=alice.as_actor(), now=NOW)
    review = ClaimReview.objects.get()
    claim.propose(review, how="callback", actor=PRIVACY, now=NOW)
    claim.confirm(review, actor=COLLEAGUE, now=NOW)
    alice.refresh_from_db()
    assert alice.subject_id == contact.subject_id
    asked = by_login(alice)
    assert whys(asked) == ["joined"]
    assert not second.may_decide(asked, PRIVACY)


def test_what_the_person_joined_with_password_and_address_needs_nobody(alice: User) -> None:
    factories.customer()
    assert claim.attempt(alice, ADDRESS, actor=alice.as_actor(), now=NOW)
    alice.refresh_from_db()
    assert whys(by_login(alice)) == []
    assert list(letters("joined")) == [ADDRESS]


# Told, and "this was not me" ------------------------------------------------------------------------------------------


def test_both_sides_are_told_without_content_and_each_may_object_by_a_button(alice: User, joined: Joining) -> None:
    told = letters("joined")
    assert set(told) == {ADDRESS, "bob@example.com"}
    for text in told.values():
        assert "Alice" not in text and "Bob" not in text and "Archer" not in text
    path = link_to("bob@example.com")
    assert "Is what was joined not yours?" in pages.check(Client().get(path))
    assert Joined.objects.get().disputed_at is None, "opening it does nothing"
    assert "privacy team has been told" in pages.check(Client().post(path))
    assert Joined.objects.get().disputed_at == NOW
    for other in (path, link_to(ADDRESS)):
        pages.check(Client().post(other), status=403)
    assert AuditEvent.objects.filter(action="joining.disputed").count() == 1


def test_an_objection_stops_open_requests_and_later_ones_until_the_privacy_team_has_settled_it(
    alice: User, joined: Joining
) -> None:
    later = NOW + WAIT + timedelta(days=1)
    with time_machine.travel(later, tick=False):
        alice.refresh_from_db()
        asked = by_login(alice, "access", later)
        assert whys(asked) == []
        Client().post(link_to("bob@example.com"))
        assert whys(asked) == ["joined"]
        assert whys(by_login(alice, "erasure", later)) == ["joined"]
        assert told_of_joinings.settle_joined(alice.subject_id, actor=PRIVACY, now=later) == 0, (
            "PRIVACY had proposed it"
        )
        assert told_of_joinings.settle_joined(alice.subject_id, actor=COLLEAGUE, now=later) == 1
        assert told_of_joinings.joined_by(alice.subject_id, later) == []
        assert Client().post(link_to("bob@example.com")).status_code == 403, "once settled the link objects no more"
        assert told_of_joinings.joined_by(alice.subject_id, later) == []


def test_the_link_of_a_joining_works_for_60_days_and_not_after_an_undo(alice: User, joined: Joining) -> None:
    path = link_to("bob@example.com")
    with time_machine.travel(NOW + timedelta(days=60), tick=False):
        assert Client().post(path).status_code == 403
    joining.undo(joined, actor=PRIVACY, now=NOW)
    assert Client().post(path).status_code == 403
    alice.refresh_from_db()
    assert whys(by_login(alice)) == []


def test_an_objection_stands_on_the_front_page_and_is_ended_on_the_page_of_the_look(
    alice: User, joined: Joining
) -> None:
    Client().post(link_to("bob@example.com"))
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    assert "somebody objects to what was joined" in pat.get("/admin/").text
    step = f"/admin/accounts/joining/{joined.pk}/step/settle/"
    pages_step = pat.get(step)
    assert "End the objection" in pages_step.text
    assert pages.decide(pat, step).status_code == 302
    assert Joined.objects.get().disputed_at is None
    assert "somebody objects to what was joined" not in pat.get("/admin/").text


# Single records -------------------------------------------------------------------------------------------------------


def test_every_address_of_the_person_is_told_when_single_records_are_joined(alice: User) -> None:
    factories.customer(user=alice, email="alice@work.example")
    message = factories.communication(email=ADDRESS, body="canary")
    join(a_look(alice), message)
    told = letters("records_joined")
    assert set(told) == {ADDRESS, "alice@work.example"}
    for text in told.values():
        assert "canary" not in text and "This e-mail address belongs to that entry" in text
    alice.refresh_from_db()
    assert whys(by_login(alice)) == [], "one person's own records: nobody else's file is opened by them"


def test_and_so_is_whose_entry_they_stood_under(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    join(a_look(alice), order)
    told = letters("records_joined")
    assert set(told) == {ADDRESS, "bob@example.com"}
    assert "they do no longer" in told["bob@example.com"]
    assert "they do no longer" not in told[ADDRESS]


def test_an_objection_to_single_records_sends_a_request_by_login_to_the_second_person(
    alice: User, bob: Customer
) -> None:
    order = an_order(bob, email=ADDRESS)
    join(a_look(alice), order)
    Client().post(link_to("bob@example.com", "records_joined"))
    alice.refresh_from_db()
    asked = by_login(alice)
    assert whys(asked) == ["joined"]
    assert not second.may_decide(asked, PRIVACY)


def test_erasing_the_person_takes_the_word_of_the_joining_along(alice: User) -> None:
    join(a_look(alice), factories.communication(email=ADDRESS))
    assert Joined.objects.count() == 1
    _end(alice)
    assert (Joined.objects.count(), Subject.objects.filter(pk=alice.subject_id).count()) == (0, 0)
