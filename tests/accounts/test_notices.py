"""A contact that changes hands: who is told, what the new address can do before and after, and "this was not me"."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import corrections, in_hand, objections, reach, services
from accounts.models import ContactLink, ContactPoint, Customer, User
from privacy import vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.letters import given
from privacy.letters.models import Letter
from privacy.requests import filing, second, waits
from privacy.requests.models import Request
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


# "This was not me" ----------------------------------------------------------------------------------------------------


def test_not_me_works_by_post_only_without_a_login_and_once(alice: User, customer: Customer) -> None:
    pages.signed_in(alice, again=True).post(EDIT, form(email=NEW))
    path, stranger = link_to(OLD, "contact_not_me"), Client()
    assert "This was not me" in pages.check(stranger.get(path))
    assert point(customer).disputed_at is None
    assert "we look into it" in pages.check(stranger.post(path))
    assert point(customer).disputed_at is not None
    assert "You told us already" in pages.check(stranger.post(path), status=403)
    unknown = pages.check(stranger.get("/account/contact/not-me/no-such-token/"), status=403)
    assert "call us or write to us" in unknown and "send a new one" not in unknown
    assert AuditEvent.objects.filter(action="contact.disputed").count() == 1


def test_a_disputed_address_is_not_confirmed_by_whoever_has_the_password(alice: User, customer: Customer) -> None:
    thief = pages.signed_in(alice, again=True)
    thief.post(EDIT, form(email=NEW))
    confirm = link_to(NEW, "contact_confirm")
    Client().post(link_to(OLD, "contact_not_me"))
    assert thief.post(confirm).status_code == 403
    thief.post(EDIT, form(email="mallory2@example.com"))
    assert thief.post(link_to("mallory2@example.com", "contact_confirm")).status_code == 403
    assert not reach.counts(customer, "email", now=timezone.now() + timedelta(days=99))


def asked(email: str, kind: str) -> Request:
    """Ask on the public page and use the mailed link there, as anybody who reads this mailbox can."""
    visitor = Client()
    assert visitor.post("/privacy/ask/", {"kind": kind, "email": email}).status_code == 302
    request = Request.objects.filter(kind=kind).latest("filed_at")
    text = [text for letter, to, text in sent() if (letter, to) == ("link_identity", email)][-1]
    assert visitor.post(re.findall(r"https?://[^/\s]+(/privacy/link/\S+)", text)[0]).status_code == 302
    request.refresh_from_db()
    return request


@pytest.mark.parametrize("kind", ["access", "erasure"])
@pytest.mark.parametrize("is_disputed", [True, False])
def test_the_reader_of_the_old_mailbox_neither_silences_the_confirmed_one_nor_acts_alone(
    alice: User, customer: Customer, kind: str, is_disputed: bool
) -> None:
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email="new@example.com"))
    browser.post(link_to("new@example.com", "contact_confirm"))
    if is_disputed:
        Client().post(link_to(OLD, "contact_not_me"))
    now = timezone.now()
    assert reach.counts(customer, "email", now=now) and reach.of("new@example.com", now=now).whole
    assert not reach.of(OLD, now=now).whole
    request = asked(LOGIN, kind)
    assert [to for letter, to, _ in sent() if letter == "told_elsewhere"] == ["new@example.com"]
    assert waits.is_undecided(request) is is_disputed
    assert list(request.second_looks.values_list("why", flat=True)) == (["disputed"] if is_disputed else [])
    assert (waits.ends_at(request, now=now) is not None) is (kind == "erasure"), "the 72 hours stay"


def test_an_objection_after_the_link_was_used_asks_the_second_person_as_well(alice: User, customer: Customer) -> None:
    pages.signed_in(alice, again=True).post(EDIT, form(email=NEW))
    request = asked(LOGIN, "erasure")
    assert not waits.is_undecided(request)
    Client().post(link_to(OLD, "contact_not_me"))
    assert waits.is_undecided(request)


def test_a_dispute_of_a_confirmed_address_is_a_task_and_its_end_keeps_the_confirmation(
    alice: User, customer: Customer
) -> None:
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email="new@example.com"))
    browser.post(link_to("new@example.com", "contact_confirm"))
    Client().post(link_to(OLD, "contact_not_me"))
    assert "a second person checks" in pages.check(browser.get("/account/details/"))
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    assert "e-mail said to be somebody else" in pat.get("/admin/").content.decode()
    assert "confirmed with the password" in pat.get(f"/admin/accounts/customer/{customer.pk}/change/").content.decode()
    pages.decide(pat, f"/admin/accounts/customer/{customer.pk}/step/settle/")
    assert point(customer).disputed_at is None and point(customer).confirmed_at is not None
    assert not waits.is_undecided(asked(LOGIN, "access"))
    ((to, text),) = [(to, text) for kind, to, text in sent() if kind == "contact_settled"]
    assert to == OLD and "entered, changed or took out the e-mail address" in text and "new@example.com" not in text
    assert "http" not in text and "Two people" not in text


def test_no_act_of_the_login_ends_a_dispute_about_a_contact(alice: User, customer: Customer) -> None:
    """Entering the login's own address as contact wiped the objection, without a line, and a
    removal by link asked nobody."""
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email="new@example.com"))
    Client().post(link_to(OLD, "contact_not_me"))
    for address in ("x@example.com", LOGIN, "", LOGIN):
        browser.post(EDIT, form(email=address))
        assert point(customer).disputed_at is not None
    assert reach.is_disputed(alice.subject_id) and reach.counts(customer, "email", now=timezone.now())
    assert AuditEvent.objects.filter(action="contact.settled").count() == 0
    request = asked(LOGIN, "erasure")
    assert list(request.second_looks.filter(decided_at=None).values_list("why", flat=True)) == ["disputed"]
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    step = f"/admin/accounts/customer/{customer.pk}/step/settle/"
    assert pages.decide(pat, step).status_code == 302, "the positive control: the privacy team ends it"
    assert not reach.is_disputed(alice.subject_id) and AuditEvent.objects.filter(action="contact.settled").count() == 1


def test_nor_does_removing_the_postal_address_to_which_somebody_objects(alice: User, customer: Customer) -> None:
    place = factories.address(customer)
    other = factories.address(customer, street="2 Other Street")
    objections.object_to(ContactPoint.objects.get(address=place), actor=carol(), now=NOW)
    browser = pages.signed_in(alice, again=True)
    for one in (place, other):
        assert browser.post(f"/account/addresses/{one.pk}/remove/").status_code == 302
    assert not customer.addresses.exists()
    left = customer.contact_points.get(channel="post")
    assert (left.came, left.disputed_at, left.address) == ("cleared", NOW, None), "and nothing is left of the other one"
    assert reach.is_disputed(alice.subject_id)
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    assert pages.decide(pat, f"/admin/accounts/customer/{customer.pk}/step/settle/").status_code == 302
    assert not reach.is_disputed(alice.subject_id)


def test_the_privacy_team_settles_a_dispute(customer: Customer) -> None:
    ContactPoint.objects.update(disputed_at=NOW)
    objections.settle(point(customer), actor=carol(), now=NOW)
    assert (point(customer).disputed_at, point(customer).came) == (None, "staff")
    assert AuditEvent.objects.filter(action="contact.settled").count() == 1


# By staff -------------------------------------------------------------------------------------------------------------


def test_what_staff_enter_is_told_to_the_older_address_and_counts_14_days_after_that_went_out() -> None:
    alice = factories.customer(email=OLD)
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert [letter[:2] for letter in sent()] == [("contact_not_me", OLD)]
    assert not reach.counts(alice, "email", now=NOW + timedelta(days=99)), "the letter has not gone out"
    Letter.objects.update(sent_at=NOW)
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
    request = filing.file(
        filing.Receipt(
            kind="erasure",
            subject=alice.subject_id,
            channel="phone",
            received_on=timezone.localdate(later),
            identity="staff",
        ),
        actor=petra.as_actor(),
        now=later,
    ).request
    mona = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
    rose = factories.staff("rose", "rose@ilt.example", roles=("privacy",)).as_actor()
    may = [second.may_decide(request, who) for who in (pat.as_actor(), pia.as_actor(), petra.as_actor(), mona, rose)]
    assert may == [False, False, False, True, True]


def test_whoever_entered_a_contact_does_not_end_the_dispute_about_it(customer: Customer) -> None:
    pat, pia = (factories.staff(name, f"{name}@ilt.example", roles=("privacy",)) for name in ("pat", "pia"))
    corrections.correct(customer, {"email": NEW}, actor=pat.as_actor(), now=NOW, reason="by staff")
    objections.object_to(point(customer), actor=carol(), now=NOW)
    step = f"/admin/accounts/customer/{customer.pk}/step/settle/"
    assert "Somebody else ends the dispute" in pages.decide(pages.signed_in(pat), step).content.decode()
    assert point(customer).disputed_at == NOW
    assert pages.decide(pages.signed_in(pia), step).status_code == 302
    assert point(customer).disputed_at is None
    assert in_hand.had_contacts(customer.subject_id) == {f"staff/{one.pk}" for one in (pat, pia)}


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


def notices_to(address: str) -> list[str]:
    return [text for kind, to, text in sent() if (kind, to) == ("contact_not_me", address)]


def links_in(text: str) -> list[str]:
    return re.findall(r"https?://[^/\s]+(/account/contact/not-me/\S+)", text)


def test_a_mailbox_that_objected_is_told_of_the_end_without_a_link_and_another_one_with_one(
    alice: User, customer: Customer
) -> None:
    """The reader of an old mailbox objected, round after round: each settling gave a new link and began the days
    again."""
    pia = factories.staff("pia", "pia@ilt.example", roles=("privacy",)).as_actor()
    desk = carol()
    corrections.correct(customer, {"email": "new@example.com"}, actor=desk, now=NOW, reason="by staff")
    corrections.correct(customer, {"email": NEW}, actor=desk, now=NOW, reason="by staff")
    first, second_link = (links_in(text)[0] for text in notices_to(OLD))
    with time_machine.travel(NOW, tick=False):
        assert Client().post(first).status_code == 200
        assert point(customer).disputed_at == NOW
    settled = NOW + timedelta(days=1)
    Letter.objects.update(sent_at=NOW)
    before = len(notices_to(OLD)), len(notices_to(LOGIN))
    objections.settle(point(customer), actor=pia, now=settled)
    (told,), (also,) = notices_to(OLD)[before[0] :], notices_to(LOGIN)[before[1] :]
    assert links_in(told) == [] and "http" not in told and "call us" in told
    with time_machine.travel(settled, tick=False):
        for link in (first, second_link):
            assert Client().post(link).status_code == 403
        assert point(customer).disputed_at is None
        Letter.objects.filter(sent_at=None).update(sent_at=settled)
        assert reach.counts(customer, "email", now=settled + timedelta(days=14))
        assert not reach.counts(customer, "email", now=settled + timedelta(days=13))
        assert Client().post(links_in(also)[0]).status_code == 200, "who has not objected yet may do so"
        assert point(customer).disputed_at == settled


def test_who_changed_a_name_or_a_region_had_no_contact_in_hand(customer: Customer) -> None:
    pat = factories.staff("pat", "pat@ilt.example", roles=("privacy",))
    corrections.correct(customer, {"first_name": "Alicia"}, actor=pat.as_actor(), now=NOW)
    assert in_hand.had_contacts(customer.subject_id) == set()
    place = services.add_address(
        customer, purpose="billing", country="US", actor=pat.as_actor(), now=NOW,
        street="9 Oak Street", city="Salem", region="MA", postal_code="01970",
    )  # fmt: skip
    assert in_hand.had_contacts(customer.subject_id) == {f"staff/{pat.pk}"}, f"{place} is a contact"


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


def test_a_dispute_waits_on_the_front_page_and_the_privacy_team_ends_it(customer: Customer) -> None:
    ContactPoint.objects.filter(customer=customer, channel="email").update(disputed_at=NOW)
    step = f"/admin/accounts/customer/{customer.pk}/step/settle/"
    desk = pages.signed_in(factories.staff(roles=("sales",)))
    assert "e-mail said to be somebody else" in desk.get("/admin/").content.decode()
    pages.decide(desk, step)
    assert point(customer).disputed_at is not None
    pages.decide(pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",))), step)
    assert point(customer).disputed_at is None


def test_not_me_keeps_out_what_staff_entered_for_a_stranger(client: Client) -> None:
    alice = factories.customer(email=OLD)
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=timezone.now(), reason="by staff")
    Letter.objects.update(sent_at=timezone.now())
    client.post(link_to(OLD, "contact_not_me"))
    assert reach.of(NEW, now=timezone.now() + timedelta(days=15)) == reach.Reach()


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
    Letter.objects.update(sent_at=timezone.now())
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
    Letter.objects.update(sent_at=NOW)
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
