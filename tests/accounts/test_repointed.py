"""Who can write to the main database alone, and lets a row of their own name somebody else for a moment, is nobody
there.

Whose a row is, its key says, which lies in the key store. Each attack stands beside what the same rows do untouched.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connections, models
from django.test.utils import CaptureQueriesContext

from accounts import candidates, claim, giving_back, people, reach
from accounts.models import Address, ClaimReview, Communication, Customer
from accounts.reach import Reach
from privacy import gate, vault
from privacy.gate.system import system
from privacy.requests import addresses, links, proving, went_to
from privacy.requests.models import Export, Request, SecondLook
from tests import factories
from tests.asked import run
from tests.factories import NOW
from tests.privacy.requests.test_who_is_the_person import ask, carried_out, copy_of, link_for

pytestmark = pytest.mark.django_db(databases="__all__")
ALICE, BOB, SHARED = "alice@example.com", "bob@example.com", "home@example.com"


def written(row: models.Model, **columns: Any) -> None:
    """Write into a row as somebody who holds the main database's password."""
    assert models.QuerySet(type(row)).filter(pk=row.pk).update(**columns) == 1


def a_bob(**data: Any) -> Customer:
    return factories.customer("Bob", "Baker", **{"email": BOB, "phone": "978-555-0199"} | data)


@pytest.fixture
def alice(db: None) -> Customer:
    customer = factories.customer()
    factories.communication(customer, heading="About my sensor", body="Alice asks about a filter.")
    return customer


@pytest.fixture
def bob(db: None) -> Customer:
    return a_bob()


# The journey ----------------------------------------------------------------------------------------------------------


def test_a_customer_number_that_points_at_somebody_while_its_owner_asks_gets_no_link(
    alice: Customer, bob: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    written(bob, subject_id=alice.subject_id)
    with caplog.at_level(logging.ERROR, logger="accounts.reach"):
        request = ask(BOB)
    assert (request.subject_id, request.is_identified, link_for(request)) == (None, False, None)
    assert not Request.objects.filter(subject=alice.subject_id).exists()
    assert "names another person than its key does" in caplog.text and BOB not in caplog.text


def test_the_same_customer_number_untouched_gets_its_owner_the_own_copy(alice: Customer, bob: Customer) -> None:
    request = carried_out(ask(BOB))
    assert request.subject_id == bob.subject_id
    assert "Baker" in copy_of(request) and "Archer" not in copy_of(request)


def test_a_link_that_is_used_while_the_number_points_at_somebody_waits_for_the_second_person(
    alice: Customer, bob: Customer
) -> None:
    request = ask(BOB)
    token = link_for(request)
    assert token
    written(bob, subject_id=alice.subject_id)
    proving.redeem(token, now=NOW)
    written(bob, subject_id=bob.subject_id)
    run(request)
    assert [(one.why, one.decided_at) for one in SecondLook.objects.filter(request=request)] == [("moved", None)]
    assert request.subject_id == bob.subject_id and not Export.objects.exists()


def test_who_holds_the_link_of_a_request_acts_no_more_when_the_number_points_elsewhere(
    alice: Customer, bob: Customer
) -> None:
    request = ask(BOB)
    token = link_for(request)
    assert token
    link, stands = links.look(token, now=NOW), went_to.stands_on(token)
    assert went_to.counts_still(link, stands.key, now=NOW)
    written(bob, subject_id=alice.subject_id)
    assert not went_to.counts_still(link, stands.key, now=NOW)


def test_a_request_about_somebody_else_is_not_acted_on_by_a_number_that_points_there(
    alice: Customer, bob: Customer
) -> None:
    request = ask(ALICE)
    written(bob, subject_id=alice.subject_id)
    with vault.internal():
        assert people.on_file(alice.subject_id, BOB, NOW) == ""
        assert people.on_file(alice.subject_id, ALICE, NOW) == ALICE
        assert people.others(alice.subject_id, "") == [ALICE]
        written(alice, subject_id=None)
        assert people.answer_address(alice.subject_id, NOW) == ""
        assert people.address(alice.subject_id) == ""
        assert reach.counting(alice.subject_id, now=NOW) == []
    assert request.subject_id == alice.subject_id


# A login's address ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["user", "handle", "person"])
def test_the_address_of_a_login_that_points_at_another_login_leads_to_nobody(how: str) -> None:
    alice, bob = factories.login(), factories.login("bob", BOB)
    own = EmailAddress.objects.get(user=bob)
    assert reach.of(BOB, now=NOW) == Reach(whole=(bob.subject_id,))
    if how == "user":
        written(own, user_id=alice.pk, primary=False)
    elif how == "handle":
        written(own, verified=False)
        written(EmailAddress.objects.get(user=alice), email=own.__dict__["email"])
    else:
        written(bob, subject_id=alice.subject_id)
    # What the site has not seen confirmed is nobody's; of what it has, the key store says whose it is.
    assert reach.of(BOB, now=NOW) == Reach(is_shared=how == "person")
    with vault.internal():
        assert BOB not in people.others(alice.subject_id, "")
        assert people.answer_address(alice.subject_id, NOW) == ("" if how == "handle" else ALICE)
        assert people.address(alice.subject_id) == ("" if how == "handle" else ALICE)
    request = ask(BOB)
    assert (request.subject_id, link_for(request)) == (None, None)


def test_a_contact_is_not_the_logins_own_because_an_address_points_at_it(alice: Customer, bob: Customer) -> None:
    login, other = factories.login(subject=alice.subject), factories.login("bob", BOB, subject=bob.subject)
    for address, came in ((ALICE, "login"), (BOB, "staff")):
        EmailAddress.objects.filter(user=other).update(user=login, primary=False)
        entered = reach.entered(alice, "email", address, came="staff", now=NOW)
        assert entered is not None and entered.came == came


# What several share ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points_at", ["the other", "nobody"])
def test_an_address_of_two_stays_one_of_two_whatever_one_row_says(points_at: str) -> None:
    alice, bob = factories.customer(email=SHARED), a_bob(email=SHARED)
    assert reach.of(SHARED, now=NOW) == Reach(is_shared=True)
    written(bob, subject_id=alice.subject_id if points_at == "the other" else None)
    assert reach.of(SHARED, now=NOW) == Reach(is_shared=True)
    assert link_for(ask(SHARED)) is None


@pytest.mark.parametrize("whose", ["the other", "the login"])
def test_a_login_takes_over_nobody_because_one_of_two_points_elsewhere(whose: str) -> None:
    factories.customer(email=SHARED)
    second = a_bob(email=SHARED)
    login = factories.login("eve", SHARED)
    stranger = factories.subject()
    written(second, subject_id=login.subject_id if whose == "the login" else stranger.pk)
    with system("login"):
        assert claim.joinable(login, SHARED, now=NOW) is None
        assert claim.attempt(login, SHARED, actor=gate.current(), now=NOW) is None
    assert not Customer.objects.filter(user=login).exists() and not ClaimReview.objects.exists()


def test_a_login_takes_over_the_one_customer_of_its_address(alice: Customer) -> None:
    login = factories.login()
    assert claim.joinable(login, ALICE, now=NOW) == alice


# Call-back, post, records ---------------------------------------------------------------------------------------------


def test_a_telephone_number_of_a_row_that_points_at_somebody_calls_nobody_back(bob: Customer) -> None:
    alice = factories.customer(phone="")
    assert people.can_call(bob.subject_id, NOW) and people.called(bob.subject_id, bob.phone, NOW)
    assert giving_back._was_there_before(bob.subject_id, NOW + reach.WAIT, bob.phone)
    written(bob, subject_id=alice.subject_id)
    assert not people.called(alice.subject_id, "978-555-0199", NOW)
    assert not giving_back._was_there_before(alice.subject_id, NOW + reach.WAIT, "978-555-0199")
    assert people.can_call(alice.subject_id, NOW) is False


@pytest.mark.parametrize("what", ["customer", "address"])
def test_no_code_is_posted_to_a_place_that_points_at_somebody(alice: Customer, bob: Customer, what: str) -> None:
    place = factories.address(bob, street="4 Stranger Street")
    with vault.internal():
        assert "4 Stranger Street" in people.postal(bob.subject_id, NOW)
        if what == "customer":
            written(bob, subject_id=alice.subject_id)
        else:
            written(place, customer_id=alice.pk)
        assert people.postal(alice.subject_id, NOW) == []
        assert not reach.counts(Address.objects.get(pk=place.pk), "post", now=NOW)


def test_a_message_that_was_unhung_from_its_person_opens_for_nobody(alice: Customer) -> None:
    noted = factories.communication(alice, email=BOB, contact_name="Bob Baker")
    own = factories.communication(email=BOB, contact_name="Bob Baker")
    assert people.named(BOB) == []
    label = Communication.vault_label
    both = [(label, noted.pk), (label, own.pk)]
    written(noted, customer_id=None, subject_id=factories.subject().pk)
    assert people.named(BOB) == []
    assert people.still(BOB, both) == [(label, own.pk)]
    assert people.later(BOB, [(label, own.pk)]) == ([], [(label, noted.pk)])
    models.QuerySet(Communication).filter(pk=noted.pk).delete()
    assert people.named(BOB) == [(label, own.pk)]


def test_candidates_are_not_looked_for_by_an_address_of_somebody_elses_row(alice: Customer, bob: Customer) -> None:
    factories.communication(email=ALICE, contact_name="Alice Archer")
    assert len(candidates.of(alice.subject_id, now=NOW)) == 1
    written(alice, subject_id=bob.subject_id)
    assert candidates.of(bob.subject_id, now=NOW) == []


# How many queries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [1, 30])
def test_the_key_store_is_asked_once_for_any_number_of_rows(many: int) -> None:
    for _ in range(many):
        factories.customer(email=SHARED)
    with CaptureQueriesContext(connections["keystore"]) as asked:
        assert reach.of(SHARED, now=NOW).is_shared is (many > 1)
    assert len(asked) == 4  # two indexes, the keys that open what they name, and whose the keys are
    with CaptureQueriesContext(connections["keystore"]) as asked, CaptureQueriesContext(connections["default"]) as read:
        assert len(reach.that_count(Customer.objects.all(), "phone", now=NOW)) == many
    assert (len(asked), len(read)) == (1, 2)


def test_staff_finds_the_person_of_an_address_and_not_who_points_at_them(alice: Customer, bob: Customer) -> None:
    assert addresses.only_subject_of(BOB, now=NOW) == bob.subject_id
    written(bob, subject_id=alice.subject_id)
    assert addresses.only_subject_of(BOB, now=NOW) is None


# What is opened to be written to somebody -----------------------------------------------------------------------------


def test_the_name_of_a_customer_number_that_points_at_who_asks_stands_in_no_request_of_theirs(
    alice: Customer, bob: Customer
) -> None:
    def name_given(request: Request) -> str:
        with vault.internal():
            return str(Request.objects.get(pk=request.pk).requester_name)

    assert name_given(ask(BOB, "erasure")) == "Bob Baker", "control"
    was = alice.subject_id
    written(alice, subject_id=bob.subject_id)  # older than Bob's own: her name came first
    asked = ask(BOB, "access")
    written(alice, subject_id=was)
    assert name_given(asked) == "Bob Baker"


def test_no_envelope_and_no_greeting_bears_the_name_of_a_number_that_points_elsewhere(
    alice: Customer, bob: Customer
) -> None:
    assert bob.subject_id is not None and alice.subject_id is not None
    hers, his = factories.address(alice), factories.address(bob)
    written(alice, subject_id=bob.subject_id)
    hers, his = Address.objects.get(pk=hers.pk), Address.objects.get(pk=his.pk)
    with vault.internal():
        assert people.name(bob.subject_id) == "Bob Baker"
        assert people.lines_to(bob.subject_id, his)[0] == "Bob Baker", "control"
        assert people.lines_to(bob.subject_id, hers) == []
        assert people.name(alice.subject_id) == ""
