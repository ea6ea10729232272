"""What a joining moved is written down, and an undo puts it back exactly."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import claim, joining
from accounts.joinable import NotPossible
from accounts.models import Communication, Customer, Joined, Joining, User
from orders.models import Order, Payment
from privacy import gate
from privacy.gate import AccessEntry
from privacy.gate.log import AccessName
from privacy.letters.models import Letter
from privacy.requests import services
from privacy.subjects import Subject
from privacy.vault.models import DataKey
from rma.models import RMA
from tests import factories
from tests.accounts.test_joining import ADDRESS, a_look, join, keys_name_the_owner
from tests.asked import PRIVACY, taken_in
from tests.factories import NOW, an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")


def everywhere() -> dict[str, Any]:
    """Whose everything is: every link to a person or customer number, and the owner of every key."""
    links = {
        (model._meta.label, column, str(pk)): value
        for model, column in [
            *claim.links(),
            (Order, "customer_id"),
            (RMA, "customer_id"),
            (Communication, "customer_id"),
        ]
        if model
        not in (
            Joined,
            Joining,
            AccessName,
            Letter,
        )  # letters are about the joining; whose they are is tested with the undo
        for pk, value in model._base_manager.values_list("pk", column)
    }
    keys = {
        (key.record, key.envelope): (key.owner_kind, key.owner_id) for key in DataKey.objects.filter(destroyed_at=None)
    }
    return {"links": links, "keys": keys, "people": dict(Subject.objects.values_list("pk", "created_at"))}


def test_undo_puts_everything_back_exactly(alice: User, bob: Customer) -> None:
    factories.customer(user=alice, email="")
    contact = factories.customer("A.", "Archer", company=factories.company())
    an_rma(contact)
    factories.tax_identifier(contact)
    messages = [factories.communication(email=ADDRESS) for _ in range(2)]
    order = an_order(bob, email=ADDRESS)
    Payment.objects.create(order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
    an_order(bob, email="bob@example.com")
    with gate.acting(PRIVACY):
        assert Communication.objects.get(pk=messages[0].pk).email
    look = a_look(alice)
    before, seen = everywhere(), dict(AccessEntry.objects.values_list("pk", "whose__subject_id"))
    look = join(look, *messages, order, contact)
    after = everywhere()
    assert before != after
    look = joining.undo(look, actor=PRIVACY, now=NOW)
    back = everywhere()
    # Names that the audit gave to people meanwhile are new; they belong to them.
    new = {key: owner for key, owner in back["keys"].items() if key not in before["keys"]}
    letters = set(Letter.objects.filter(kind__in=["joined", "records_joined"]).values_list("pk", "subject"))
    assert {subject for _, subject in letters} == {alice.subject_id, bob.subject_id}, "the contact has alice's address"
    for (record, envelope), owner in new.items():
        assert owner == ("subject", record) if envelope == "pseudonym" else (record, owner[1]) in letters
    assert {key: owner for key, owner in back["keys"].items() if key not in new} == before["keys"]
    assert (back["links"], back["people"]) == (before["links"], before["people"])
    assert dict(AccessEntry.objects.values_list("pk", "whose__subject_id")) == seen
    assert (look.outcome, look.moved, look.is_settled) == ("undone", {}, True)
    keys_name_the_owner()


def test_undo_of_what_was_erased_since_is_refused_and_changes_nothing(alice: User) -> None:
    one, two = (factories.communication(email=ADDRESS) for _ in range(2))
    look = join(a_look(alice), one, two)
    Communication.objects.get(pk=one.pk).delete()
    before = everywhere()
    with pytest.raises(NotPossible, match="erased or joined with somebody else"):
        joining.undo(look, actor=PRIVACY, now=NOW)
    assert everywhere() == before


def test_undo_after_a_removal_is_refused(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    look = join(a_look(alice), message)
    request = taken_in("erasure", alice.subject_id, identity="login", actor=alice.as_actor())
    plan = services.make_plan(request, actor=alice.as_actor(), now=NOW)
    services.confirm(request, plan.hash, actor=alice.as_actor(), now=NOW)
    with pytest.raises(NotPossible, match="removal"):
        joining.undo(look, actor=PRIVACY, now=NOW)


def test_undo_after_a_later_joining_is_refused_where_it_is_not_the_same_any_more(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    look = join(a_look(alice), order)
    claim.merge(
        bob.subject_id, factories.customer("Bea", "Baker", email="bea@example.com").subject_id, actor=None, now=NOW
    )
    joining.undo(look, actor=PRIVACY, now=NOW)  # bob's customer number is still there, with his new self
    assert Order.objects.get().customer_id == bob.pk
    keys_name_the_owner()
    message = factories.communication(factories.customer("Eve", "Eden", email="eve@example.com"), email=ADDRESS)
    look = join(a_look(alice), message)
    claim.merge(message.subject_id, alice.subject_id, actor=None, now=NOW)
    with pytest.raises(NotPossible, match="gone, or was joined"):
        joining.undo(look, actor=PRIVACY, now=NOW)


def test_an_undo_after_the_person_was_joined_with_another_still_knows_its_own(alice: User, bob: Customer) -> None:
    message = factories.communication(email=ADDRESS)
    look = join(a_look(alice), message)
    other = factories.login("alice2", "alice2@example.com")
    claim.merge(alice.subject_id, other.subject_id, actor=None, now=NOW)
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert Communication.objects.get().subject_id == message.subject_id
    keys_name_the_owner()
