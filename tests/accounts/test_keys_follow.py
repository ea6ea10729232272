"""The keys of what was joined go to whom the records name, and to nobody else, whatever a row says by now."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import claim, joining, keys_follow, upgrades
from accounts.joinable import NotPossible
from accounts.models import Communication, Customer, Joining, User
from orders.models import Order
from privacy import gate, vault
from privacy.vault.models import DataKey, Once
from tests import factories
from tests.accounts.test_joining import ADDRESS, a_look, join, keys_name_the_owner
from tests.asked import PRIVACY
from tests.factories import NOW, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")


def test_killed_between_the_databases_nothing_opens_for_the_wrong_person_and_a_worker_finishes(
    alice: User, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = an_order(bob, email=ADDRESS)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(vault.keys, "hand_over", killed)
        with pytest.raises(KeyboardInterrupt):
            join(a_look(alice), order)
    assert Order.objects.get().customer.subject_id == alice.subject_id
    with gate.acting(alice.as_actor()):
        assert isinstance(Order.objects.for_subject(alice.subject_id).get().email, vault.Unreadable)
    assert not Order.objects.for_subject(bob.subject_id).exists()
    assert keys_follow.settle_all() == 1
    keys_name_the_owner()
    with gate.acting(alice.as_actor()):
        assert Order.objects.get().email == ADDRESS
    assert keys_follow.settle_all() == 0


def owner_of(record: Any) -> Any:
    return DataKey.objects.filter(record=record.pk).order_by().values_list("owner_id", flat=True).distinct().get()


def test_a_planted_joining_gives_nobody_a_key_and_is_not_undone(alice: User, bob: Customer) -> None:
    order, mallory = an_order(bob), factories.customer("Mallory", "Moss", email="mallory@example.com")
    Order._base_manager.filter(pk=order.pk).update(customer=mallory)
    links = [["orders.Order", "customer_id", str(bob.pk), str(mallory.pk), [str(order.pk)]]]
    planted = Joining.objects.create(
        subject=mallory.subject, asked_by="staff", opened_at=NOW, outcome="joined", decided_at=NOW,
        moved={"links": links, "people": []}, is_settled=False,
    )  # fmt: skip
    true = joining_left_unsettled(alice)

    assert keys_follow.settle_all() == 1, "the true one, which stands behind it"

    assert owner_of(order) == bob.subject_id
    assert owner_of(true) == alice.subject_id
    for work in (lambda: keys_follow.settle(planted), lambda: joining.undo(planted, actor=PRIVACY, now=NOW)):
        with pytest.raises(NotPossible, match="not say what the site wrote"):
            work()
    assert owner_of(order) == bob.subject_id
    assert Order._base_manager.get(pk=order.pk).customer_id == mallory.pk

    planted.bind().save()
    assert keys_follow.settle_all() == 1
    assert owner_of(order) == mallory.subject_id, "what the hash keeps out"


def joining_left_unsettled(user: User) -> Communication:
    """Leave a joining as a killed process does; return the message that it moved."""
    message = factories.communication(email=ADDRESS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys_follow, "settle", lambda one: one)
        join(a_look(user), message)
    assert owner_of(message) == message.subject_id != user.subject_id
    return message


@pytest.mark.parametrize("change", ["subject", "outcome", "moved", "is_settled"])
def test_a_true_joining_that_somebody_changed_moves_no_key(alice: User, bob: Customer, change: str) -> None:
    message, his = factories.communication(email=ADDRESS), an_order(bob)
    look = join(a_look(alice), message)
    changes: dict[str, Any] = {
        "subject": {"subject": bob.subject},
        "outcome": {"outcome": "undone"},
        "moved": {"moved": {"links": [["orders.Order", "customer_id", None, None, [str(his.pk)]]], "people": []}},
        "is_settled": {},
    }
    Communication.objects.filter(pk=message.pk).update(subject=bob.subject)
    Joining.objects.filter(pk=look.pk).update(**changes[change], is_settled=False)
    assert keys_follow.settle_all() == 0
    with pytest.raises(NotPossible):
        joining.undo(look, actor=PRIVACY, now=NOW)
    assert (owner_of(message), owner_of(his)) == (alice.subject_id, bob.subject_id)


def test_a_joining_goes_with_its_person_to_another_and_back_and_still_says_what_the_site_wrote(
    alice: User, bob: Customer
) -> None:
    message = factories.communication(email="bob@example.com")
    his = join(joining.ask(bob.subject_id, actor=PRIVACY, now=NOW), message)
    an_order(bob, email=ADDRESS)
    look = join(a_look(alice), people=[bob.subject_id], reason="written")
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (alice.subject_id, True)
    joining.undo(look, actor=PRIVACY, now=NOW)
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (bob.subject_id, True)
    Joining.objects.filter(pk=his.pk).update(moved={"links": [], "people": []})
    claim.merge(bob.subject_id, alice.subject_id, actor=None, now=NOW)
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (alice.subject_id, False), "one that was changed stays so"


def test_joinings_of_before_are_bound_once_and_are_undone_then(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    writer = message.subject_id
    look = join(a_look(alice), message)
    Joining.objects.update(mac="")
    with pytest.raises(NotPossible, match="not say what the site wrote"):
        joining.undo(look, actor=PRIVACY, now=NOW)
    Once.objects.all().delete()
    upgrades.bind_rows(now=NOW)
    assert Joining.objects.get().is_bound
    Joining.objects.update(mac="")
    upgrades.bind_rows(now=NOW)
    assert not Joining.objects.get().is_bound, "never a second time"
    look.bind().save()
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert Communication.objects.get().subject_id == owner_of(message) == writer
