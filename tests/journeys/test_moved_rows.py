"""Who can write to the main database gets no key of another person by hanging a row on somebody
else and letting the site go on.

Whose a record is, the key store says. Each attack changes rows past the services; beside it stands
what the same does untouched.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import models

from accounts import claim, joinable, joining, keys_follow
from accounts import services as services_of_accounts
from accounts.models import ClaimReview, Communication, Customer, Joining, User
from orders.models import Order
from privacy import gate, vault
from privacy.vault.models import DataKey
from tests import factories
from tests.accounts.test_joining import COLLEAGUE, a_look, join
from tests.asked import PRIVACY
from tests.factories import NOW, an_order

pytestmark = pytest.mark.django_db(databases="__all__")

ADDRESS = "bob@example.com"


def owner(record: Any) -> tuple[str, UUID | None]:
    """Return whose the keys of a record are."""
    (found,) = set(DataKey.objects.filter(record=record.pk, destroyed_at=None).values_list("owner_kind", "owner_id"))
    return found


def moved(row: Any, **columns: Any) -> None:
    """Write into a row as somebody who holds the main database's password."""
    assert models.QuerySet(type(row)).filter(pk=row.pk).update(**columns) == 1


@pytest.fixture
def alice() -> Customer:
    return factories.customer("Alice", "Archer", email="alice@example.com")


@pytest.fixture
def bob() -> User:
    """He signed up, and controls his address."""
    return factories.login("bob", ADDRESS)


def test_a_customer_number_said_to_be_somebody_elses_does_not_make_the_login_that_person(
    alice: Customer, bob: User
) -> None:
    his = factories.customer("Bob", "Baker", email=ADDRESS)
    own, before = his.subject_id, bob.subject_id
    moved(his, subject_id=alice.subject_id)
    assert claim.joinable(bob, ADDRESS, now=NOW) is None
    assert claim.attempt(bob, ADDRESS, actor=bob.as_actor(), now=NOW) is None
    bob = User.objects.get(pk=bob.pk)
    assert bob.subject_id == before and owner(alice) == ("subject", alice.subject_id)
    assert not ClaimReview.objects.exists()
    moved(his, subject_id=own)
    assert claim.attempt(bob, ADDRESS, actor=bob.as_actor(), now=NOW) == his
    assert owner(bob) == owner(his) == ("subject", own)


def test_staff_do_not_link_a_login_to_a_customer_number_said_to_be_somebody_elses(alice: Customer, bob: User) -> None:
    his = factories.customer("Bob", "Baker", email=ADDRESS, came="staff", since=NOW.replace(year=2025))
    review = ClaimReview.objects.create(user=bob, customer=his, reason="entered", opened_at=NOW)
    own = his.subject_id
    moved(his, subject_id=alice.subject_id)
    with pytest.raises(claim.NotNow, match="another person's"):
        claim.propose(review, how="callback", actor=PRIVACY, now=NOW)
    moved(his, subject_id=own)
    with pytest.raises(claim.NotNow) as told:
        claim.propose(review, how="callback", actor=PRIVACY, now=NOW)
    assert "another person's" not in str(told.value)


def test_a_record_of_somebody_else_said_to_be_nobodys_is_not_joined(alice: Customer, bob: User) -> None:
    hers = factories.communication(alice, email=ADDRESS, body="Alice asks.")
    own = factories.communication(email=ADDRESS, body="Bob asks.")
    moved(hers, subject_id=own.subject_id, customer=None)
    look = a_look(bob)
    with pytest.raises(joinable.NotPossible, match="somebody else's"):
        join(look, hers)
    assert owner(hers) == ("subject", alice.subject_id)
    moved(hers, subject_id=alice.subject_id, customer=alice)
    look = join(look, own)
    assert look.outcome == Joining.Outcome.JOINED and owner(own) == ("subject", bob.subject_id)


def _killed(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    """Let a process be killed between the two databases."""

    class Killed(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(keys_follow, "settle", die)
        with pytest.raises(Killed):
            work()


def test_what_is_hung_on_a_joined_number_before_the_keys_follow_keeps_its_key(
    alice: Customer, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = factories.customer("Bob", "Baker", email=ADDRESS, came="staff")
    his, hers = an_order(guest), an_order(alice)
    look = a_look(bob)
    seen = joining.preview(look, [], [guest.subject_id], now=NOW).fingerprint
    joining.join(look, [], people=[guest.subject_id], reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    _killed(monkeypatch, lambda: joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW))
    moved(hers, customer=guest)
    assert keys_follow.settle_all() == 1
    assert owner(hers) == ("subject", alice.subject_id)
    assert owner(his) == owner(guest) == ("subject", bob.subject_id)


def test_what_was_joined_goes_to_nobody_but_the_person_whatever_its_row_says_meanwhile(
    alice: Customer, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = factories.customer("Bob", "Baker", email=ADDRESS, came="staff")
    former = guest.subject_id
    his = an_order(guest)
    look = a_look(bob)
    seen = joining.preview(look, [], [former], now=NOW).fingerprint
    joining.join(look, [], people=[former], reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    _killed(monkeypatch, lambda: joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW))
    moved(guest, subject_id=alice.subject_id)
    keys_follow.settle_all()
    assert owner(his) == owner(guest) == ("subject", former)
    moved(guest, subject_id=bob.subject_id)
    Joining.objects.get().bind()
    keys_follow.settle(look)
    assert owner(his) == owner(guest) == ("subject", bob.subject_id)
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert owner(his) == owner(guest) == ("subject", former)


def test_writing_into_a_record_that_was_hung_on_ones_own_number_gives_it_no_new_key(alice: Customer, bob: User) -> None:
    his = factories.customer("Bob", "Baker", email=ADDRESS, user=bob, subject=bob.subject)
    hers = factories.communication(alice, body="Alice asks.")
    moved(hers, subject_id=bob.subject_id, customer=his)
    row = Communication.objects.get(pk=hers.pk)
    with vault.internal():
        row.heading = "Changed"
        with pytest.raises(vault.RecordElsewhere):
            row.save()
    assert owner(hers) == ("subject", alice.subject_id)
    with gate.acting(bob.as_actor()):
        assert not Communication.objects.get(pk=hers.pk).body
    moved(hers, subject_id=alice.subject_id, customer=alice)
    with vault.internal():
        row = Communication.objects.get(pk=hers.pk)
        row.heading = "Changed"
        row.save()
    assert owner(hers) == ("subject", alice.subject_id)


def test_staff_who_correct_an_order_that_was_hung_on_somebody_else_are_refused(alice: Customer, bob: User) -> None:
    his = factories.customer("Bob", "Baker", email=ADDRESS, user=bob, subject=bob.subject)
    hers = an_order(alice)
    moved(hers, customer=his)
    row = Order.objects.get(pk=hers.pk)
    row.notes = "Ring once."
    with pytest.raises(vault.RecordElsewhere):
        row.save()
    assert owner(hers) == ("subject", alice.subject_id)
    assert services_of_accounts  # the services save in the same way
