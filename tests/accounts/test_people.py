"""What requests ask about people."""

import pytest
from allauth.account.models import EmailAddress

from accounts import people
from privacy import gate
from privacy.gate import AccessEntry
from privacy.people import ask
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")


def test_the_functions_are_ask() -> None:
    assert ask().reach is people.opened_by


def test_an_address_opens_the_file_of_login_and_contact_and_of_no_writer_of_a_message() -> None:
    user = factories.login(email="info@firm.example")
    alice = factories.customer(email="Info@firm.example")
    factories.communication(email="info@firm.example")
    factories.communication(alice, email="bob@example.com")
    assert set(people.opened_by("INFO@firm.example", NOW).whole) == {user.subject_id, alice.subject_id}
    assert people.opened_by("bob@example.com", NOW).whole == () == people.opened_by("nobody@example.com", NOW).whole
    assert not AccessEntry.objects.exists()


def test_an_unverified_address_leads_to_nobody() -> None:
    mallory = factories.login("mallory", "mallory@example.com")
    EmailAddress.objects.create(user=mallory, email="alice@example.com")
    assert people.opened_by("alice@example.com", NOW).whole == ()


def test_the_verified_address_of_the_login_comes_before_the_one_on_file() -> None:
    user = factories.login(email="login@example.com")
    alice = factories.customer(user=user, email="file@example.com")
    with gate.acting(user.as_actor()):
        assert people.address(alice.subject_id) == "login@example.com"
        assert people.name(alice.subject_id) == "Alice Archer"


def test_without_a_right_there_is_no_address_and_no_name() -> None:
    alice = factories.customer()
    bob = factories.customer("Bob", email="bob@example.com")
    with gate.acting(factories.acting_as(bob)):
        assert (people.address(alice.subject_id), people.name(alice.subject_id)) == ("", "")


def test_somebody_without_a_login_has_none() -> None:
    alice = factories.customer()
    assert not people.has_login(alice.subject_id)
    assert people.has_login(factories.login().subject_id)
    assert people.sign_out(alice.subject_id) == 0


def test_a_person_with_an_accent_in_the_address_can_be_written_to() -> None:
    from privacy import letters

    alice = factories.customer("François", "Ferrier", email="françois1@example.com")
    assert people.opened_by("FRANÇOIS1@example.com", NOW).whole == (alice.subject_id,)
    letter = letters.queue(
        "link_identity", to="françois1@example.com", context={"link": "x", "name": ""}, key="k", now=NOW
    )
    assert letter.by == letter.By.EMAIL
