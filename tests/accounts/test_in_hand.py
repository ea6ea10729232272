"""Who of the staff had a contact in hand neither posts the notice about it nor ends an objection to it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import corrections, in_hand, objections, reach, services
from accounts.models import Customer, User
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import second
from tests import factories, pages
from tests.accounts.test_notices import LOGIN, NEW, OLD
from tests.accounts.test_reach import carol, point
from tests.asked import taken_in
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def alice() -> User:
    return factories.login(email=LOGIN)


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice, email=OLD)


def test_one_clerk_gives_himself_no_file_by_an_own_entry_and_decides_nothing_about_it() -> None:
    """Pat enters the address, ticks the notice off and decides about the removal: three people do that now."""
    alice = factories.customer(email="")
    factories.address(alice)
    pat, pia, petra = (factories.staff(n, f"{n}@ilt.example", roles=("privacy",)) for n in ("pat", "pia", "petra"))
    corrections.correct(alice, {"email": NEW}, actor=pat.as_actor(), now=NOW, reason="by staff")
    step = f"/admin/accounts/customer/{alice.pk}/step/post/"
    answer = pages.signed_in(pat).post(step)
    assert "Somebody else posts the notice" in answer.content.decode()
    assert Letter.objects.get().sent_at is None
    assert not reach.counts(alice, "email", now=timezone.now() + timedelta(days=99))
    assert pages.signed_in(pia).post(step).status_code == 302, "the positive control"
    later = timezone.now() + timedelta(days=15)
    assert reach.of(NEW, now=later).by_staff_entry == {alice.subject_id}
    request = taken_in(
        "erasure", alice.subject_id, channel="phone", identity="staff", actor=petra.as_actor(), now=later
    )
    mona = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
    rose = factories.staff("rose", "rose@ilt.example", roles=("privacy",)).as_actor()
    may = [second.may_decide(request, who) for who in (pat.as_actor(), pia.as_actor(), petra.as_actor(), mona, rose)]
    assert may == [False, False, False, True, True]


def test_whoever_ended_a_dispute_does_not_post_the_new_notice_about_it() -> None:
    alice = factories.customer(email="")
    factories.address(alice)
    pia, petra = (factories.staff(name, f"{name}@ilt.example", roles=("privacy",)) for name in ("pia", "petra"))
    desk = carol()
    corrections.correct(alice, {"email": NEW}, actor=desk, now=NOW, reason="by staff")
    objections.object_to(point(alice), actor=desk, now=NOW)
    Letter.objects.update(stopped_at=NOW)
    objections.settle(point(alice), actor=pia.as_actor(), now=NOW)
    letter = in_hand.to_post(alice)
    assert letter is not None
    with pytest.raises(in_hand.OwnEntry):
        in_hand.mark_posted(letter, actor=pia.as_actor(), now=NOW)
    in_hand.mark_posted(letter, actor=petra.as_actor(), now=NOW)
    letter.refresh_from_db()
    assert letter.sent_at == NOW


def test_who_changed_a_name_or_a_region_had_no_contact_in_hand(customer: Customer) -> None:
    pat = factories.staff("pat", "pat@ilt.example", roles=("privacy",))
    corrections.correct(customer, {"first_name": "Alicia"}, actor=pat.as_actor(), now=NOW)
    assert in_hand.had_contacts(customer.subject_id) == set()
    place = services.add_address(
        customer, purpose="billing", country="US", actor=pat.as_actor(), now=NOW,
        street="9 Oak Street", city="Salem", region="MA", postal_code="01970",
    )  # fmt: skip
    assert in_hand.had_contacts(customer.subject_id) == {f"staff/{pat.pk}"}, f"{place} is a contact"
