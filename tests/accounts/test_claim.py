"""Only one exact match with a private person is taken over by itself; everything else waits for staff."""

from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse

from accounts import claim, services
from accounts.models import ClaimReview, ContactPoint, Customer, User
from orders.models import Order
from privacy import gate
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.subjects import Subject
from privacy.vault.models import DataKey
from rma.models import RMA
from tests import factories, pages
from tests.factories import NOW, an_order, an_rma

pytestmark = pytest.mark.django_db(databases="__all__")

ADDRESS = "alice@example.com"
PAT = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
MONA = Actor("staff", "mona", None, frozenset({"manager"}), "admin")


def attempt(user: User, email: str = ADDRESS) -> Customer | None:
    return claim.attempt(user, email, actor=user.as_actor(), now=NOW)


def accept(review: ClaimReview, *, how: str = "callback") -> None:
    """Pat of the privacy team proposes, and mona, a manager, confirms."""
    claim.propose(review, how=how, actor=PAT, now=NOW)
    claim.confirm(review, actor=MONA, now=NOW)


def owners_of(*records: UUID) -> set[UUID]:
    return set(DataKey.objects.filter(record__in=records).values_list("owner_id", flat=True))


def test_one_exact_match_is_linked_and_two_subjects_become_one() -> None:
    alice = factories.customer(email="Alice@Example.com")
    address = factories.address(alice)
    user = factories.login()
    before, into = user.subject_id, alice.subject_id
    assert attempt(user) == alice
    user = User.objects.get()
    alice = Customer.objects.get()
    assert (alice.user, user.subject_id) == (user, into)
    assert owners_of(alice.pk, address.pk, user.pk, user.login_addresses.get().pk) == {into}
    assert not Subject.objects.filter(pk=before).exists()
    assert not ClaimReview.objects.exists()
    with gate.acting(user.as_actor()):
        assert (Customer.objects.get().first_name, User.objects.get().username) == ("Alice", "alice")


def test_a_login_whose_changed_address_somebody_objects_to_takes_over_no_customer_number() -> None:
    """Else whoever has the login could hang it on a customer number of their own, and nobody could give it back."""
    factories.customer(email=ADDRESS)
    user = factories.login()
    own = factories.customer("Alice", "Archer", email="other@example.com", user=user, subject=user.subject)
    point = ContactPoint.objects.create(
        customer=own, channel="login", came="person", since=NOW, confirmed_at=NOW, disputed_at=NOW
    )
    assert attempt(user) is None and claim.joinable(user, ADDRESS, now=NOW) is None
    own.refresh_from_db()
    assert own.user == user and not ClaimReview.objects.exists()
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=None)
    assert attempt(user) is not None, "control"


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_verifying_an_address_on_file_joins_nothing_until_the_person_does(client: Any) -> None:
    from tests.accounts.test_login import sign_up, verify

    alice = factories.customer(email="canary.alice@example.com")
    factories.address(alice)
    sign_up(client)
    verify(client)
    assert Customer.objects.get().user_id is None
    ask = client.get(reverse("account_claim"))
    page = client.get(client.post(ask["Location"], {"password": factories.PASSWORD})["Location"])
    assert "1 address, 1 customer record." in pages.read(page)
    assert "Alice" not in page.content.decode()
    client.post(reverse("account_claim"))
    assert Customer.objects.get(pk=alice.pk).user == User.objects.get()


def test_joining_asks_for_the_password_again(client: Any) -> None:
    factories.customer()
    client.force_login(factories.login())
    for answer in (client.get(reverse("account_claim")), client.post(reverse("account_claim"))):
        assert answer.url.startswith(reverse("account_reauthenticate"))
    assert Customer.objects.get().user_id is None
    client.post(answer.url, {"password": factories.PASSWORD})
    assert Customer.objects.get().user_id is None, "typing the password does not do what was sent before"
    client.post(reverse("account_claim"))
    assert Customer.objects.get().user == User.objects.get()


def test_records_that_staff_decide_about_look_like_none(client: Any) -> None:
    user = factories.login()
    client.post(reverse("account_login"), {"login": "alice", "password": factories.PASSWORD})
    nothing = client.get(reverse("account_claim")).content
    factories.customer("Dana")
    factories.customer("Marcus")
    token = b'csrfmiddlewaretoken" value="'
    assert client.get(reverse("account_claim")).content.split(token)[0] == nothing.split(token)[0]
    assert user.subject_id not in Customer.objects.values_list("subject_id", flat=True)


@pytest.mark.parametrize(("came", "linked"), [("created", True), ("login", True), ("staff", False), ("earlier", False)])
def test_an_address_that_somebody_entered_is_joined_by_staff_only(came: str, linked: bool) -> None:
    factories.customer(came=came, contact_since=NOW.replace(year=2020))
    assert (attempt(factories.login()) is not None) is linked
    assert [one.reason for one in ClaimReview.objects.all()] == ([] if linked else ["entered"])


def test_bob_with_another_address_gets_nothing() -> None:
    factories.customer()
    bob = factories.login("bob", "bob@example.com")
    assert attempt(bob, "bob@example.com") is None
    assert (Customer.objects.get().user_id, ClaimReview.objects.count()) == (None, 0)


def test_the_contact_of_a_company_is_decided_by_staff() -> None:
    contact = factories.customer(company=factories.company())
    user = factories.login()
    assert attempt(user) is None
    review = ClaimReview.objects.get()
    assert (review.customer, review.reason, review.outcome) == (contact, "contact", "open")
    assert Customer.objects.get().user_id is None


def test_a_mailbox_shared_by_several_people_is_decided_by_staff() -> None:
    factories.customer("Alice")
    factories.customer("Ann", company=factories.company())
    assert attempt(factories.login()) is None
    assert set(ClaimReview.objects.values_list("reason", flat=True)) == {"several"}
    assert ClaimReview.objects.count() == 2


def test_a_customer_who_has_a_login_is_not_taken_over() -> None:
    bob = factories.login("bob", "bob@example.com")
    factories.customer(user=bob)
    assert attempt(factories.login()) is None
    assert ClaimReview.objects.get().reason == "taken"
    assert Customer.objects.get().user == bob


def test_asking_twice_opens_one_review() -> None:
    factories.customer(company=factories.company())
    user = factories.login()
    attempt(user)
    attempt(user)
    assert ClaimReview.objects.count() == 1


def test_staff_link_a_login_that_they_know() -> None:
    contact = factories.customer(company=factories.company())
    user = factories.login()
    attempt(user)
    accept(ClaimReview.objects.get())
    contact.refresh_from_db()
    assert (contact.user, User.objects.get(pk=user.pk).subject_id) == (user, contact.subject_id)
    assert ClaimReview.objects.get().outcome == "accepted"
    with pytest.raises(claim.NotOpen):
        claim.refuse(ClaimReview.objects.get(), actor=PAT, now=NOW)


def test_a_refused_claim_changes_nothing() -> None:
    factories.customer(company=factories.company())
    user = factories.login()
    attempt(user)
    claim.refuse(ClaimReview.objects.get(), actor=PAT, now=NOW)
    assert Customer.objects.get().user_id is None
    assert list(AuditEvent.objects.filter(action__startswith="claim.").values_list("action", flat=True)) == [
        "claim.opened", "claim.refused",
    ]  # fmt: skip


def test_staff_never_become_customers_by_their_address() -> None:
    factories.customer(email="carol@ilt.example")
    assert attempt(factories.staff(), "carol@ilt.example") is None
    assert not ClaimReview.objects.exists()


def test_a_return_opened_first_is_no_obstacle_and_both_are_one_person() -> None:
    alice = factories.customer()
    earlier = an_order(alice)
    user = factories.login()
    own = services.customer_of(user, actor=user.as_actor(), now=NOW, today=factories.TODAY)
    opened = an_rma(own)
    assert attempt(user) == alice
    user, alice, own = User.objects.get(), Customer.objects.get(pk=alice.pk), Customer.objects.get(pk=own.pk)
    assert (alice.user, own.user, own.subject_id, user.subject_id) == (user, None, alice.subject_id, alice.subject_id)
    assert owners_of(alice.pk, own.pk, earlier.pk, opened.pk, user.pk) == {alice.subject_id}
    with gate.acting(user.as_actor()):
        assert Order.objects.for_subject(user.subject_id).get().pk == earlier.pk
        assert RMA.objects.for_subject(user.subject_id).get().contact_name
    assert attempt(user) is None, "nothing is left to connect"
    assert not ClaimReview.objects.exists()


def test_staff_join_a_login_that_opened_a_return_first_with_the_contact_on_file() -> None:
    contact = factories.customer(company=factories.company())
    user = factories.login()
    own = services.customer_of(user, actor=user.as_actor(), now=NOW, today=factories.TODAY)
    opened = an_rma(own)
    attempt(user)
    accept(ClaimReview.objects.get())
    assert {c.subject_id for c in Customer.objects.all()} == {contact.subject_id}
    assert owners_of(own.pk, opened.pk) == {contact.subject_id}


def test_somebody_whose_other_number_has_the_login_is_not_taken_over() -> None:
    bob = factories.login("bob", "bob@example.com")
    factories.customer(user=bob, email="bob@example.com")
    second = factories.customer(subject=bob.subject)
    assert attempt(factories.login()) is None
    assert ClaimReview.objects.get().reason == "taken"
    assert Customer.objects.get(pk=second.pk).subject_id == bob.subject_id


def test_sessions_and_messages_move_with_the_subject(client: Any) -> None:
    alice = factories.customer()
    user = factories.login()
    client.post(reverse("account_login"), {"login": "alice", "password": factories.PASSWORD})
    message = factories.communication(subject=user.subject)
    attempt(user)
    message.refresh_from_db()
    assert message.subject_id == alice.subject_id
    assert user.sessions.get().subject_id == alice.subject_id
    assert owners_of(message.pk) == {alice.subject_id}


def test_an_open_request_comes_first() -> None:
    from privacy.requests import filing

    alice = factories.customer()
    user = factories.login()
    filing.file(
        filing.Receipt(
            kind="erasure",
            subject=alice.subject_id,
            channel="phone",
            received_on=factories.TODAY,
            asked_by="self",
            identity="in_person",
        ),
        actor=factories.staff(roles=("privacy",)).as_actor(),
        now=NOW,
    )
    assert attempt(user) is None
    review = ClaimReview.objects.get()
    assert review.reason == "request"
    with pytest.raises(claim.NotOpen):
        accept(review)
    with pytest.raises(gate.Refused):
        claim.propose(review, how="facts", actor=factories.acting_as(alice), now=NOW)
    assert ClaimReview.objects.get().outcome == "open"


def test_the_access_log_of_the_login_moves_to_the_person() -> None:
    alice = factories.customer()
    user = factories.login()
    with gate.acting(user.as_actor()):
        assert User.objects.get().username == "alice"
    attempt(user)
    assert set(gate.AccessEntry.objects.values_list("whose__subject_id", flat=True)) == {alice.subject_id}
