"""A contact that changes hands: who is told, and what the new address can do before and after."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import corrections, reach, services
from accounts.models import ContactLink, ContactPoint, Customer, User
from privacy import vault
from privacy.audit import AuditEvent
from privacy.letters import given
from privacy.letters.models import Letter
from tests import factories, pages
from tests.accounts.test_reach import carol, point
from tests.factories import NOW, PASSWORD

pytestmark = pytest.mark.django_db(databases="__all__")

LOGIN, OLD, NEW = "login@example.com", "old@example.com", "mallory@example.com"
EDIT = "/account/details/edit/"


@pytest.fixture
def alice() -> User:
    return factories.login(email=LOGIN)


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice, email=OLD)


def form(**changed: str) -> dict[str, str]:
    return {
        "title": "", "first_name": "Alice", "last_name": "Archer", "email": OLD, "phone": "978-555-0123",
        "region": "MA", "country": "US", **changed,
    }  # fmt: skip


def sent() -> list[tuple[str, str, str]]:
    """Kind, recipient and text of the letters in the outbox, oldest first."""
    with vault.internal():
        return [(one.kind, str(one.to), str(given(one)[0])) for one in Letter.objects.order_by("queued_at", "pk")]


def link_to(address: str, kind: str) -> str:
    """The path of the link in the last letter of a kind to an address."""
    text = [text for one, to, text in sent() if (one, to) == (kind, address)][-1]
    return re.findall(r"https?://[^/\s]+(/account/contact/\S+)", text)[0]


# With a session for a minute ------------------------------------------------------------------------------------------


def test_a_borrowed_session_changes_no_contact_without_the_password(alice: User, customer: Customer) -> None:
    """B1: he sits at her desk for a minute. The positive control: with the password the same POST is taken."""
    borrowed = pages.signed_in(alice)
    for path, data in ((EDIT, form(email=NEW, phone="617 555 0199")), ("/account/addresses/new/", {"street": "1 Oak"})):
        assert borrowed.post(path, data).url.startswith(reverse("account_reauthenticate"))
    assert (Letter.objects.count(), customer.addresses.count()) == (0, 0)
    assert point(customer).came == "created"
    pages.signed_in(alice, again=True).post(EDIT, form(email=NEW))
    assert point(customer).came == "person"


def test_with_the_password_every_older_address_is_told_and_the_new_one_counts_for_nothing_yet(
    alice: User, customer: Customer
) -> None:
    pages.signed_in(alice, again=True).post(EDIT, form(email=NEW))
    assert [letter[:2] for letter in sent()] == [
        ("contact_not_me", OLD), ("contact_not_me", LOGIN), ("contact_confirm", NEW),
    ]  # fmt: skip
    assert all(NEW not in text for kind, _, text in sent() if kind == "contact_not_me")
    later = timezone.now() + timedelta(days=99)
    assert reach.of(NEW, now=later) == reach.Reach()
    assert not reach.counts(customer, "email", now=later)
    with vault.internal():
        assert reach.answer_address(alice.subject_id, now=later) == LOGIN


def test_a_new_address_is_used_for_orders_and_returns_at_once(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email=NEW))
    assert f'value="{NEW}"' in browser.get("/rma/new/").content.decode()


# The confirmation -----------------------------------------------------------------------------------------------------


@pytest.fixture
def changed(alice: User, customer: Customer) -> Client:
    """alice's browser after she entered a new address."""
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email="new@example.com"))
    return browser


def test_the_link_confirms_once_by_post_in_her_own_login(changed: Client, customer: Customer) -> None:
    path = link_to("new@example.com", "contact_confirm")
    assert "Confirm the address" in pages.check(changed.get(path))
    assert point(customer).confirmed_at is None
    assert changed.post(path).url == reverse("account_details")
    assert reach.counts(customer, "email", now=timezone.now())
    assert reach.of("new@example.com", now=timezone.now()).whole == (customer.subject_id,)
    assert changed.post(path).status_code == 403


def test_whoever_has_the_mistyped_mailbox_confirms_nothing(changed: Client, customer: Customer) -> None:
    path = link_to("new@example.com", "contact_confirm")
    assert Client().post(path).status_code == 302
    bob = pages.signed_in(factories.login("bob", "bob@example.com"))
    assert bob.post(path).status_code == 403
    assert point(customer).confirmed_at is None
    changed.post(path)
    assert point(customer).confirmed_at is not None


def test_a_link_about_an_address_that_was_replaced_confirms_nothing(changed: Client, customer: Customer) -> None:
    path = link_to("new@example.com", "contact_confirm")
    changed.post(EDIT, form(email="newer@example.com"))
    assert changed.post(path).status_code == 403
    assert point(customer).confirmed_at is None


def test_a_link_that_is_too_old_confirms_nothing(changed: Client, customer: Customer) -> None:
    ContactLink.objects.update(expires_at=timezone.now())
    assert changed.post(link_to("new@example.com", "contact_confirm")).status_code == 403


def test_the_page_says_what_waits_and_sends_the_link_again(changed: Client, customer: Customer) -> None:
    first = link_to("new@example.com", "contact_confirm")
    assert "Waits for confirmation since" in pages.check(changed.get("/account/details/"))
    assert "Send the link again" in changed.get("/account/details/").text
    assert "less than ten minutes ago" in pages.check(changed.post("/account/contact/send/", follow=True))
    ContactLink.objects.filter(purpose="confirm").update(at=timezone.now() - timedelta(hours=1))
    ContactPoint.objects.update(since=timezone.now() - timedelta(hours=1))
    assert "We have sent a link" in pages.check(changed.post("/account/contact/send/", follow=True))
    second = link_to("new@example.com", "contact_confirm")
    assert changed.post(first).status_code == 403
    changed.post(second)
    assert "Waits for confirmation" not in pages.check(changed.get("/account/details/"))
    assert "nothing to confirm" in pages.check(changed.post("/account/contact/send/", follow=True))


def test_a_link_to_the_earlier_address_keeps_none_back_from_the_one_that_staff_entered(
    changed: Client, customer: Customer
) -> None:
    corrections.correct(customer, {"email": NEW}, actor=carol(), now=timezone.now(), reason="by staff")
    details = pages.check(changed.get("/account/details/"))
    assert "Send a link" in details and "Send the link again" not in details
    assert "We have sent a link" in pages.check(changed.post("/account/contact/send/", follow=True))
    text = next(text for kind, to, text in sent() if (kind, to) == ("contact_confirm", NEW))
    assert "Our staff entered this address" in text and "Somebody who is signed in to your account here" not in text
    assert "Send the link again" in changed.get("/account/details/").text


def test_a_new_phone_number_is_said_to_be_for_calling_back_and_for_nothing_else(
    alice: User, customer: Customer
) -> None:
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(phone="617 555 0199"))
    details = pages.check(browser.get("/account/details/"))
    assert "Used for calling you back about a request from" in details
    assert "Used for copies" not in details and "Waits for confirmation" not in details


# By staff -------------------------------------------------------------------------------------------------------------


def test_what_staff_enter_is_told_to_the_older_address_and_counts_14_days_after_that_went_out() -> None:
    alice = factories.customer(email=OLD)
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert [letter[:2] for letter in sent()] == [("contact_not_me", OLD)]
    assert not reach.counts(alice, "email", now=NOW + timedelta(days=99)), "the letter has not gone out"
    Letter.objects.update(sent_at=NOW - timedelta(days=30))
    assert not reach.counts(alice, "email", now=NOW + timedelta(days=99)), "its row alone says that it went out"
    factories.went_out(Letter.objects.all(), NOW)
    due = NOW + timedelta(days=14)
    assert reach.of(NEW, now=due - timedelta(seconds=1)) == reach.Reach()
    assert reach.of(NEW, now=due).by_staff_entry == {alice.subject_id}


def test_staff_change_a_contact_with_a_reason_only(customer: Customer) -> None:
    desk = pages.signed_in(factories.staff(roles=("sales",)))
    page = f"/admin/accounts/customer/{customer.pk}/change/"
    answer = desk.post(page, form(email=NEW))
    assert "Say why the e-mail address or phone number changes." in answer.content.decode()
    assert point(customer).came == "created"
    assert desk.post(page, form(first_name="Alicia")).status_code == 302, "a name needs none"
    assert desk.post(page, form(email=NEW, change_reason="asked by phone")).status_code == 302
    assert point(customer).came == "staff"
    assert AuditEvent.objects.filter(action="record.corrected").latest("id").reason == "asked by phone"
    assert "e-mail: by our staff, or a later import" in desk.get(page).content.decode()


def test_without_an_older_address_the_notice_goes_by_post_where_one_counts() -> None:
    alice = factories.customer(email="")
    factories.address(alice)
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    ((kind, to, text),) = sent()
    assert (kind, to, NEW in text, "http" in text) == ("contact_posted", "", False, False)
    assert text.startswith("Alice Archer\n12 Elm Street\nSalem MA 01970\nUnited States\n\n")
    assert not reach.counts(alice, "email", now=NOW + timedelta(days=99))
    step = f"/admin/accounts/customer/{alice.pk}/step/post/"
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    shown = pages.read(pat.get(step))
    assert "<address>Alice Archer<br>12 Elm Street<br>Salem MA 01970<br>United States</address>" in shown
    assert '<p class="step-help screen-only">Print this page' in shown, "what is for staff is not printed"
    assert AuditEvent.objects.filter(action="letter.opened", reason="contact_posted").count() == 1
    assert "Notices to post" in pat.get("/admin/").content.decode()
    pat.post(step)
    assert Letter.objects.get().sent_at is not None
    assert reach.counts(alice, "email", now=timezone.now() + timedelta(days=14))
    assert not reach.counts(alice, "email", now=timezone.now() + timedelta(days=13))


def test_where_no_postal_address_counts_nobody_is_told_and_waiting_opens_nothing() -> None:
    alice = factories.customer(email="")
    factories.address(alice, came="staff", since=NOW - timedelta(days=13))
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert sent() == []
    assert not reach.counts(alice, "email", now=NOW + timedelta(days=99))


def test_somebody_who_calls_about_a_notice_is_heard_at_the_desk() -> None:
    alice = factories.customer(email=OLD)
    desk = pages.signed_in(factories.staff(roles=("sales",)))
    step = f"/admin/accounts/customer/{alice.pk}/step/dispute/"
    desk.post(step)
    assert point(alice).disputed_at is None, "nothing was entered that anybody could object to"
    page = f"/admin/accounts/customer/{alice.pk}/change/"
    desk.post(page, form(email=NEW, change_reason="asked by phone"))
    desk.post(step)
    assert point(alice).disputed_at is not None


def test_an_address_that_was_said_to_be_a_strangers_is_told_too_because_that_may_be_untrue() -> None:
    alice = factories.customer(email=OLD, came="staff")
    ContactPoint.objects.filter(customer=alice).update(disputed_at=NOW)
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert [letter[:2] for letter in sent()] == [("contact_not_me", OLD)]


@pytest.mark.parametrize("then", [{"email": NEW}, {"phone": "617 555 0199"}])
def test_emptying_a_contact_first_skips_neither_the_notice_nor_the_objection(then: dict[str, str]) -> None:
    alice = factories.customer(email=OLD)
    factories.address(alice)
    desk = pages.signed_in(factories.staff(roles=("sales",)))
    for changed in ({"email": ""}, {"email": "", **then}):
        page = f"/admin/accounts/customer/{alice.pk}/change/"
        assert desk.post(page, form(**changed, change_reason="asked by phone")).status_code == 302
    assert [letter[:2] for letter in sent()] == [("contact_not_me", OLD)] * 2, "told of both, and nothing posted"
    (channel,) = then
    assert not reach.counts(alice, channel, now=timezone.now() + timedelta(days=99)), "the letters have not gone out"
    factories.went_out(Letter.objects.all(), timezone.now())
    assert reach.counts(alice, channel, now=timezone.now() + timedelta(days=15)), "the control: told, and no objection"
    Client().post(link_to(OLD, "contact_not_me"))
    assert not reach.counts(alice, channel, now=timezone.now() + timedelta(days=99))


def test_a_number_that_staff_enter_is_posted_where_no_e_mail_counts() -> None:
    alice = factories.customer(email="", phone="")
    factories.address(alice)
    corrections.correct(alice, {"phone": "617 555 0199"}, actor=carol(), now=NOW, reason="by staff")
    ((kind, to, text),) = sent()
    assert (kind, to, "phone number that we hold" in text, "e-mail address that" in text) == (
        "contact_posted", "", True, False,
    )  # fmt: skip
    assert not reach.counts(alice, "phone", now=NOW + timedelta(days=99))
    factories.went_out(Letter.objects.all(), NOW)
    assert reach.counts(alice, "phone", now=NOW + timedelta(days=14))


def test_a_number_and_a_postal_address_are_told_as_well() -> None:
    alice = factories.customer(email=OLD)
    actor = factories.acting_as(alice)
    corrections.correct(alice, {"phone": "617 555 0199"}, actor=actor, now=NOW)
    place = services.add_address(alice, purpose="billing", country="US", street="1 Oak", actor=actor, now=NOW)
    corrections.correct(place, {"street": "2 Oak"}, actor=actor, now=NOW)
    corrections.correct(place, {"purpose": "shipping"}, actor=actor, now=NOW)
    assert [letter[:2] for letter in sent()] == [("contact_not_me", OLD)] * 3
    assert [re.findall("The (.+?) that we hold", text)[0] for _, _, text in sent()] == [
        "phone number", "postal address", "postal address",
    ]  # fmt: skip


def test_the_letters_go_with_an_erasure(customer: Customer, django_capture_on_commit_callbacks: Any) -> None:
    corrections.correct(customer, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert set(Letter.objects.values_list("subject", flat=True)) == {customer.subject_id}
    assert "token" not in " ".join(Letter.objects.values_list("key", flat=True))
    assert PASSWORD not in str(sent())
