"""What may not be joined: what is no candidate, what an open request is about, what is of staff."""

from __future__ import annotations

import pytest

from accounts import candidates, joining
from accounts.joinable import NotPossible
from accounts.models import Communication, Customer, User
from orders.models import Order, Payment
from privacy import gate
from privacy.requests import filing
from privacy.requests.models import Request
from tests import factories
from tests.accounts.test_joining import ADDRESS, a_look, join
from tests.asked import ANYBODY, PRIVACY
from tests.factories import NOW, TODAY, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")


def test_what_stands_under_one_login_is_not_moved_to_another_by_whoever(alice: User) -> None:
    hers = an_order(factories.customer(user=alice), email=ADDRESS, phone="978-555-0123")
    stranger = factories.login("bob", "bob@example.com")
    factories.customer("Bob", "Baker", email="", user=stranger)  # the same telephone, from an import
    look = joining.ask(stranger.subject_id, actor=PRIVACY, now=NOW)
    assert (hers.vault_label, hers.pk) in {(one.label, one.pk) for one in candidates.of(stranger.subject_id, now=NOW)}
    with pytest.raises(NotPossible, match="Both have a login"):
        join(look, hers)
    assert list(Order.objects.for_subject(alice.subject_id)) == [hers]


def test_what_changed_since_the_preview_is_not_joined(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    look, keys = a_look(alice), [(Order.vault_label, order.pk)]
    seen = joining.preview(look, keys, now=NOW).fingerprint
    Payment.objects.create(order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
    with pytest.raises(NotPossible, match="changed since you looked"):
        joining.join(look, keys, reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    assert Order.objects.get().customer_id == bob.pk


def test_what_is_no_candidate_is_not_joined(alice: User, bob: Customer) -> None:
    his = an_order(bob, email="bob@example.com")
    look = a_look(alice)
    with pytest.raises(NotPossible, match="no candidate"):
        join(look, his)
    with pytest.raises(NotPossible, match="Choose"):
        join(look)
    with pytest.raises(NotPossible, match="same person"):
        join(look, people=[alice.subject_id])


@pytest.mark.parametrize("roles", [("sales",), ("service",), ("accounting",), ()])
def test_only_the_privacy_team_joins_and_undoes(alice: User, roles: tuple[str, ...]) -> None:
    message = factories.communication(email=ADDRESS)
    carol = factories.staff(roles=roles).as_actor()
    look = a_look(alice)
    for actor in (carol, alice.as_actor()):
        with pytest.raises(gate.Refused):
            join(look, message, actor=actor)
    look = join(look, message)
    with pytest.raises(gate.Refused):
        joining.undo(look, actor=carol, now=NOW)
    assert Communication.objects.get().subject_id == alice.subject_id


def test_an_open_request_of_the_other_person_comes_first(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    filing.file(
        filing.Receipt(kind="access", subject=bob.subject_id, channel="phone", received_on=TODAY),
        actor=PRIVACY,
        now=NOW,
    )
    with pytest.raises(NotPossible, match="open: it comes first"):
        join(a_look(alice), order)


def test_nothing_is_joined_to_the_stand_in_of_a_request_about_single_records(alice: User) -> None:
    factories.communication(email="eve@example.com", contact_name="Eve Eden")
    filing.ask(kind="access", email="eve@example.com", actor=ANYBODY, now=NOW)
    asked = Request.objects.get()
    assert asked.is_about_records and asked.subject_id
    with pytest.raises(NotPossible, match="one address"):
        joining.ask(asked.subject_id, actor=PRIVACY, now=NOW)
    with pytest.raises(NotPossible, match="one address"):
        join(a_look(alice), people=[asked.subject_id])


def test_records_of_staff_are_not_joined(alice: User) -> None:
    carol = factories.staff()
    with pytest.raises(NotPossible, match="staff"):
        join(a_look(alice), people=[carol.subject_id])
