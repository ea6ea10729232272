""" "This was not me": what an objection to a contact does, and who ends it."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import corrections, in_hand, objections, reach
from accounts.models import ContactPoint, Customer, User
from privacy.audit import AuditEvent
from privacy.letters.models import Letter
from privacy.requests import waits
from privacy.requests.models import Request
from tests import factories, pages
from tests.accounts.test_notices import EDIT, LOGIN, NEW, OLD, form, link_to, sent
from tests.accounts.test_reach import carol, point
from tests.factories import NOW
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def alice() -> User:
    return factories.login(email=LOGIN)


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice, email=OLD)


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


@pytest.mark.parametrize("is_disputed", [True, False])
def test_the_reader_of_the_old_mailbox_neither_silences_the_confirmed_one_nor_acts_alone(
    alice: User, customer: Customer, is_disputed: bool
) -> None:
    browser = pages.signed_in(alice, again=True)
    browser.post(EDIT, form(email="new@example.com"))
    browser.post(link_to("new@example.com", "contact_confirm"))
    if is_disputed:
        Client().post(link_to(OLD, "contact_not_me"))
    now = timezone.now()
    assert reach.counts(customer, "email", now=now) and reach.of("new@example.com", now=now).whole
    assert not reach.of(OLD, now=now).whole
    for kind in ("access", "erasure"):
        with undone():  # neither request knows of the other
            request = asked(LOGIN, kind)
            assert [to for letter, to, _ in sent() if letter == "told_elsewhere"] == ["new@example.com"], kind
            assert waits.is_undecided(request) is is_disputed, kind
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
    factories.went_out(Letter.objects.all(), NOW)
    before = len(notices_to(OLD)), len(notices_to(LOGIN))
    objections.settle(point(customer), actor=pia, now=settled)
    (told,), (also,) = notices_to(OLD)[before[0] :], notices_to(LOGIN)[before[1] :]
    assert links_in(told) == [] and "http" not in told and "call us" in told
    with time_machine.travel(settled, tick=False):
        for link in (first, second_link):
            assert Client().post(link).status_code == 403
        assert point(customer).disputed_at is None
        factories.went_out(Letter.objects.filter(sent_at=None), settled)
        assert reach.counts(customer, "email", now=settled + timedelta(days=14))
        assert not reach.counts(customer, "email", now=settled + timedelta(days=13))
        assert Client().post(links_in(also)[0]).status_code == 200, "who has not objected yet may do so"
        assert point(customer).disputed_at == settled


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
    factories.went_out(Letter.objects.all(), timezone.now())
    client.post(link_to(OLD, "contact_not_me"))
    assert reach.of(NEW, now=timezone.now() + timedelta(days=15)) == reach.Reach()
