"""What nobody proposed is confirmed by no second person: who can write to the main database proposes nothing by it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

from accounts import claim, joinable, joining, keys_follow, upgrades
from accounts.models import ClaimReview, Customer, Joining, User
from privacy.vault.keystore import once
from privacy.vault.models import DataKey, Once
from tests import factories
from tests.accounts.test_joining import COLLEAGUE, a_look
from tests.asked import PRIVACY
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    """A customer number that carries alice's address."""
    return factories.customer("Bob", "Baker", email="alice@example.com", came="staff", since=NOW.replace(year=2025))


def planted(row: Any, **columns: Any) -> None:
    assert models.QuerySet(type(row)).filter(pk=row.pk).update(**columns) == 1
    row.refresh_from_db()


def proposed(alice: User, bob: Customer) -> tuple[Joining, str]:
    look = a_look(alice)
    seen = joining.preview(look, [], [bob.subject_id], now=NOW).fingerprint
    look = joining.join(look, [], people=[bob.subject_id], reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    return look, seen


def test_a_joining_that_nobody_proposed_is_not_confirmed(alice: User, bob: Customer) -> None:
    look = a_look(alice)
    seen = joining.preview(look, [], [bob.subject_id], now=NOW).fingerprint
    said = {"records": [], "people": [str(bob.subject_id)], "reason": "facts"}
    planted(look, proposal=said, proposed_at=NOW, proposed_by="staff/carol")
    assert not joining.is_proposed(look, now=NOW)
    for work in (
        lambda: joining.proposed(look, now=NOW),
        lambda: joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW),
    ):
        with pytest.raises(joinable.NotPossible, match="Nothing that was proposed"):
            work()
    assert DataKey.objects.filter(record=bob.pk).values_list("owner_id", flat=True)[0] == bob.subject_id
    look, seen = proposed(alice, bob)
    assert joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW).outcome == Joining.Outcome.JOINED
    assert DataKey.objects.filter(record=bob.pk).values_list("owner_id", flat=True)[0] == alice.subject_id


@pytest.mark.parametrize("column", ["proposal", "proposed_by", "proposed_at", "subject_id"])
def test_a_proposal_that_somebody_changed_is_not_confirmed(alice: User, bob: Customer, column: str) -> None:
    look, seen = proposed(alice, bob)
    assert joining.is_proposed(look, now=NOW)
    changes: dict[str, Any] = {
        "proposal": {**look.proposal, "reason": "callback"},
        "proposed_by": "staff/pat",
        "proposed_at": NOW.replace(second=1),
        "subject_id": bob.subject_id,
    }
    before = getattr(look, column)
    planted(look, **{column: changes[column]})
    with pytest.raises(joinable.NotPossible):
        joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW.replace(minute=59))
    planted(look, **{column: before})
    assert joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW).outcome == Joining.Outcome.JOINED


def test_a_link_of_a_login_that_nobody_proposed_is_not_confirmed(alice: User, bob: Customer) -> None:
    review = ClaimReview.objects.create(user=alice, customer=bob, reason="entered", opened_at=NOW)
    planted(review, how="callback", proposed_at=NOW, proposed_by="carol")
    assert not claim.is_proposed(review, now=NOW)
    with pytest.raises(claim.NotNow, match="proposed first"):
        claim.confirm(review, actor=COLLEAGUE, now=NOW)
    planted(review, mac=review.bind().mac)
    assert claim.is_proposed(review, now=NOW)


def test_proposals_of_before_are_bound_once(alice: User, bob: Customer) -> None:
    look, _ = proposed(alice, bob)
    review = ClaimReview.objects.create(
        user=alice, customer=bob, reason="entered", opened_at=NOW, how="callback", proposed_at=NOW, proposed_by="carol"
    )
    planted(look, mac="")
    Once.objects.filter(step=once.PROPOSALS).delete()
    assert once.do(once.PROPOSALS, keys_follow.bind_proposals, now=NOW) == 2
    for row in (look, review):
        row.refresh_from_db()
        assert row.is_bound
        planted(row, mac="")
    upgrades.bind_rows(now=NOW)
    for row in (look, review):
        row.refresh_from_db()
        assert not row.is_bound
