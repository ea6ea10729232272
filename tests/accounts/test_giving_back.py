"""A login that was taken is given back by three things together: the old mailbox, a call-back, and a second person."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import models
from django.test import Client
from django.urls import reverse

from accounts import (
    contact_links,
    factor,
    giving_back,
    in_hand,
    in_other_hands,
    notices,
    objections,
    reach,
    told_of_joinings,
)
from accounts import services as people
from accounts.models import Address, ContactLink, ContactPoint, Customer, Session, User
from privacy import audit, vault
from privacy.gate import Actor
from privacy.letters import given, queue
from privacy.letters.models import Letter
from privacy.requests import proof
from privacy.requests.models import SecondLook
from tests import factories, pages
from tests.asked import as_customer, called, taken_in
from tests.factories import PASSWORD, an_order

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("at_now")]
OLD, THIEF = "alice@example.com", "thief@elsewhere.example"
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
PHONE = "978-555-0123"
DAY = timedelta(days=1)


@pytest.fixture
def alice(db: None) -> Customer:
    user = factories.login("alice", OLD, subject=factories.subject())
    since = NOW - timedelta(days=30)
    return factories.customer(
        "Alice", "Archer", email="alice@work.example", phone=PHONE, user=user, contact_since=since
    )


def staff(name: str, **more: Any) -> User:
    return factories.staff(name, f"{name}@ilt.example", **({"roles": ("privacy",)} | more))


def letters(kind: str) -> list[tuple[str, str]]:
    with vault.internal():
        return [
            (str(one.to), str(given(one)[0])) for one in Letter.objects.filter(kind=kind).order_by("queued_at", "pk")
        ]


def taken(customer: Customer, to: str = THIEF, *, left: str = OLD, at: datetime = NOW) -> ContactPoint:
    """Somebody signed in as the owner changes the address; the earlier one and the contact are told."""
    user = customer.user
    EmailAddress.objects.get(user=user).delete()
    EmailAddress.objects.create(user=user, email=to, verified=True, primary=True)
    notices.login_changed(user, customer, told=[left, "alice@work.example"], left=[left], now=at)
    return point(customer)


def point(customer: Customer) -> ContactPoint:
    return ContactPoint.objects.get(customer=customer, channel="login")


def object_from(address: str) -> None:
    text = [text for to, text in letters("contact_not_me") if to == address][-1]
    Client().post(re.findall(r"https?://[^/]+(/account/contact/not-me/[^/\s]+/)", text)[0])


def address_of(user: User) -> str:
    with vault.internal():
        return str(EmailAddress.objects.get(user=user).email)


def steps_of(browser: Client, one: ContactPoint) -> list[str]:
    return re.findall(r"/step/(\w+)/", browser.get(f"/admin/accounts/contactpoint/{one.pk}/change/").content.decode())


WAITED = NOW + giving_back.OWNER_HAS


def owner_told(at: datetime = NOW) -> None:
    factories.went_out(Letter.objects.filter(kind=objections.BACK_PROPOSED, sent_at=None), at)


def form(said: proof.Callback) -> dict[str, str]:
    (first, first_said), (second, second_said) = said.facts
    return {
        "number": said.number, "first_fact": first, "first_said": first_said, "second_fact": second,
        "second_said": second_said, "mailbox": OLD,
    }  # fmt: skip


def test_a_login_that_was_taken_is_given_back_and_whoever_had_it_is_out(alice: Customer) -> None:
    user = alice.user
    thief = pages.signed_in(user)
    factor.enrol(user)
    said = called(alice)
    one = taken(alice)
    object_from(OLD)
    page = f"/admin/accounts/contactpoint/{one.pk}"
    pat, mona = pages.signed_in(staff("pat")), pages.signed_in(staff("mona", roles=(), is_superuser=True))
    assert steps_of(pat, one) == ["propose", "back", "code"]
    assert pages.decide(pat, f"{page}/step/back/", form(said)).status_code == 302
    assert address_of(user) == THIEF and thief.get("/account/").status_code == 200, "nothing is given back yet"
    assert steps_of(pat, one) == []
    pages.decide(pat, f"{page}/step/give/")
    assert address_of(user) == THIEF, "not by who proposed it"
    assert "somebody objects to the changed login address" in mona.get("/admin/").content.decode()
    assert steps_of(mona, one) == ["give"]
    pages.decide(mona, f"{page}/step/confirm/")
    assert reach.is_login_disputed(alice.subject_id), "giving back was proposed, not to leave it as it is"
    owner_told()
    with time_machine.travel(WAITED, tick=False):
        mona = pages.signed_in(User.objects.named("mona").get())
        assert pages.decide(mona, f"{page}/step/give/").status_code == 302

    assert address_of(user) == OLD and EmailAddress.objects.get(user=user).verified
    assert thief.get("/account/").status_code == 302 and not Session.objects.filter(user=user).exists()
    assert not Authenticator.objects.filter(user=user).exists()
    tried = Client()
    for name in ("alice", OLD, THIEF):
        tried.post(reverse("account_login"), {"login": name, "password": PASSWORD})
        assert "_auth_user_id" not in tried.session
    assert not reach.is_login_disputed(alice.subject_id)
    again = "by two people of our staff: it is again the one of before"
    told = [(to, text) for to, text in letters("contact_not_me") if again in text]
    assert sorted(to for to, _ in told) == ["alice@work.example", THIEF]
    assert ["You no longer sign in with this one." in text for to, text in told if to == THIEF] == [True]
    ((to, text),) = letters("login_given_back")
    assert to == OLD and OLD not in text and THIEF not in text
    owner = Client()
    new = owner.get(re.findall(r"https?://[^/]+(/accounts/password/reset/key/\S+)", text)[0]).url
    owner.post(new, {"password1": "another good long password", "password2": "another good long password"})
    back = Client()
    back.post(reverse("account_login"), {"login": OLD, "password": "another good long password"})
    assert back.get("/account/").status_code == 200
    done = audit.history(record=(User.vault_label, user.pk)).filter(action="login.given_back")
    assert list(done.values_list("actor_kind", "fields", "reason")) == [("staff", ["email"], "")]


def proposed(alice: Customer, by: User | None = None) -> ContactPoint:
    said = called(alice)
    one = taken(alice)
    object_from(OLD)
    giving_back.propose(one, said, mailbox=OLD, actor=(by or staff("pat")).as_actor(), now=NOW)
    owner_told()
    return point(alice)


def test_without_the_old_mailbox_nothing_is_given_back(alice: Customer) -> None:
    """A contact objects, or staff write down that the person did: neither is the mailbox that the login had."""
    said, one, pat = called(alice), taken(alice), staff("pat")
    with pytest.raises(objections.NotProposed):
        giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW)
    object_from("alice@work.example")
    objections.object_to(one, actor=staff("sam", roles=("sales",)).as_actor(), now=NOW)
    assert reach.is_login_disputed(alice.subject_id), "control"
    with pytest.raises(giving_back.CannotGiveBack, match="has not objected by the link"):
        giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW)
    assert steps_of(pages.signed_in(pat), one) == ["propose"]


@pytest.mark.parametrize("wrong", ["number", "fact", "new number"])
def test_without_the_call_back_nothing_is_given_back(alice: Customer, wrong: str) -> None:
    said = called(alice)
    one = taken(alice)
    object_from(OLD)
    later = NOW + timedelta(days=20)
    if wrong == "number":
        said = proof.Callback("978-555-0100", said.facts)
    elif wrong == "fact":
        said = proof.Callback(said.number, (said.facts[0], ("order_total", "2026-11 1.00")))
    else:  # whoever has the login entered a number after the change, and waited until it counts
        ContactPoint.objects.filter(customer=alice, channel="phone").update(came="person", since=NOW)
    pat = pages.signed_in(staff("pat"))
    with time_machine.travel(later, tick=False):
        pat = pages.signed_in(User.objects.named("pat").get())
        answer = pages.decide(pat, f"/admin/accounts/contactpoint/{one.pk}/step/back/", form(said))
        assert answer.status_code == 401 and "Nothing was proposed" in answer.content.decode()
        assert audit.history(subject=alice.subject_id).filter(action="request.proof_refused").count() == 1
        assert not objections.is_end_proposed(point(alice), now=later)


def test_who_may_not_propose_and_who_may_not_confirm(alice: Customer) -> None:
    said, one = called(alice), taken(alice)
    object_from(OLD)
    with pytest.raises(objections.NotProposed):
        giving_back.propose(one, said, mailbox=OLD, actor=staff("sam", roles=("sales",)).as_actor(), now=NOW)
    pat, pia = staff("pat"), staff("pia")
    giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW)
    for who, when in ((pat, NOW), (User.objects.named("sam").get(), NOW), (pia, NOW + in_hand.PROPOSAL_LIVES)):
        with pytest.raises(objections.NotProposed):
            giving_back.give_back(one, actor=who.as_actor(), now=when)
    objections.object_to(one, actor=pat.as_actor(), now=NOW)
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=pia.as_actor(), now=NOW)  # another objection has come
    giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW)
    owner_told()
    giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    assert address_of(alice.user) == OLD


def test_an_address_that_is_another_logins_by_now_takes_nothing_from_it(alice: Customer) -> None:
    one = proposed(alice)
    bob = factories.login("bob", OLD)
    with pytest.raises(giving_back.CannotGiveBack, match="another login's by now"):
        giving_back.give_back(one, actor=staff("pia").as_actor(), now=WAITED)
    assert (address_of(alice.user), address_of(bob)) == (THIEF, OLD)


def between(alice: Customer) -> ContactPoint:
    """Somebody changed the address once more, a day later."""
    with time_machine.travel(NOW + DAY, tick=False):
        return taken(alice, left="between@elsewhere.example", at=NOW + DAY)


def operator() -> Actor:
    return Actor("operator", "login_dispute", None, frozenset(), "login")


def test_of_two_changes_it_goes_to_the_mailbox_that_the_person_names(alice: Customer) -> None:
    """Whoever took it changed the address twice before the person objected, and objects from the one between."""
    said = called(alice)
    taken(alice, "between@elsewhere.example")
    one = between(alice)
    with time_machine.travel(NOW + DAY, tick=False):
        object_from(OLD)
        object_from("between@elsewhere.example")
    pat, pia = staff("pat"), staff("pia")
    with pytest.raises(giving_back.CannotGiveBack, match="that the person named"):
        giving_back.propose(one, said, mailbox=THIEF, actor=pat.as_actor(), now=NOW + DAY)
    assert "back" in steps_of(pages.signed_in(pat), one)
    giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW + DAY)
    owner_told(NOW + DAY)
    with time_machine.travel(WAITED + DAY, tick=False):
        assert steps_of(pages.signed_in(User.objects.named("pia").get()), one) == []
        assert "to a mailbox of before an earlier change" in command()
        with pytest.raises(objections.NotProposed, match="An operator confirms this"):
            giving_back.give_back(one, actor=pia.as_actor(), now=WAITED + DAY)
        assert address_of(alice.user) == THIEF
        command(alice.reference, "--confirm", "give_back")
    assert address_of(alice.user) == OLD


def test_to_the_mailbox_of_before_an_earlier_change_nothing_leads_that_came_after_it(alice: Customer) -> None:
    """A number, a place: what was entered between the two changes is whoever's had the login then."""
    said = called(alice)
    taken(alice, "between@elsewhere.example")
    phone(alice, "978-555-0999", NOW + timedelta(hours=1))
    factories.address(alice, street="1 Thief Street", country="US", came="person", since=NOW + timedelta(hours=1))
    later, bad = NOW + timedelta(days=40), proof.Callback("978-555-0999", said.facts)
    pat, rob = staff("pat").as_actor(), staff("rob").as_actor()
    with time_machine.travel(later, tick=False):
        one = taken(alice, left="between@elsewhere.example", at=later)
        object_from(OLD)
        assert reach.counts(alice, "phone", now=later), "control: for anything else it counts"
        with pytest.raises(proof.ProofRefused):
            giving_back.propose(one, bad, mailbox=OLD, actor=pat, now=later)
        with pytest.raises(giving_back.CannotGiveBack, match="No postal address"):
            giving_back.post_code(one, actor=rob, now=later)
        object_from("between@elsewhere.example")
        giving_back.post_code(one, actor=rob, now=later)
        posted = letters("login_code")[-1][1]
        assert "1 Thief Street" in posted, "control: against the last change it was there before"
        code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", posted)[0]
        factories.went_out(Letter.objects.filter(kind="login_code"), later)
        with pytest.raises(proof.ProofRefused):
            giving_back.propose(one, None, mailbox=OLD, code=code, actor=pat, now=later)
        home = factories.address(alice, street="17 Quince Row", country="US", since=NOW - timedelta(days=30))
        giving_back.post_code(one, actor=rob, now=later + DAY)
        posted = letters("login_code")[-1][1]
        assert "17 Quince Row" in posted and reach.counts(home, "post", now=later)
        code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", posted)[0]
        factories.went_out(Letter.objects.filter(kind="login_code"), later + DAY)
        giving_back.propose(one, None, mailbox=OLD, code=code, actor=pat, now=later + DAY)
        assert giving_back.needs_operator(point(alice))


@pytest.mark.parametrize("named", ["older@example.com", OLD])
def test_a_mailbox_that_the_person_had_left_before_gets_nothing_from_staff(alice: Customer, named: str) -> None:
    """She had changed it herself; its reader has such a link, too, and uses it first."""
    said = called(alice)
    taken(alice, OLD, left="older@example.com")
    with time_machine.travel(NOW + DAY, tick=False):
        one = taken(alice, at=NOW + DAY)
        object_from("older@example.com")
        object_from(OLD)
    pat, pia = staff("pat").as_actor(), staff("pia").as_actor()
    giving_back.propose(one, said, mailbox=named, actor=pat, now=NOW + DAY)
    owner_told(NOW + DAY)
    if named != OLD:
        with pytest.raises(objections.NotProposed, match="An operator confirms this"):
            giving_back.give_back(one, actor=pia, now=WAITED + DAY)
        assert address_of(alice.user) == THIEF
        return
    giving_back.give_back(one, actor=pia, now=WAITED + DAY)
    assert address_of(alice.user) == OLD


def test_a_link_of_an_earlier_change_that_somebody_planted_is_no_way_back(alice: Customer) -> None:
    """That the address was this login's before is told by a link that the site made: another one says nothing."""
    said = called(alice)
    taken(alice, OLD, left="older@example.com")
    with time_machine.travel(NOW + DAY, tick=False):
        one = taken(alice, at=NOW + DAY)
        object_from("older@example.com")
    used = ContactLink.objects.get(point=one, used_at__isnull=False)
    mac = used.mac
    ContactLink.objects.filter(pk=used.pk).update(mac="0" * 64)
    with pytest.raises(giving_back.CannotGiveBack, match="has not objected by the link"):
        giving_back.propose(one, said, mailbox="older@example.com", actor=staff("pat").as_actor(), now=NOW + DAY)
    ContactLink.objects.filter(pk=used.pk).update(mac=mac)
    pat = User.objects.named("pat").get().as_actor()
    giving_back.propose(one, said, mailbox="older@example.com", actor=pat, now=NOW + DAY)
    owner_told(NOW + DAY)
    giving_back.give_back(one, actor=operator(), now=WAITED + DAY)
    assert address_of(alice.user) == "older@example.com", "control"


def test_the_present_owner_is_told_before_and_stops_it_for_the_second_person(alice: Customer) -> None:
    said, one = called(alice), proposed(alice)
    ((to, text),) = letters("login_back_proposed")
    assert to == THIEF and OLD not in text and "Nothing was changed yet" in text
    pat, pia = User.objects.named("pat").get(), staff("pia")
    with pytest.raises(giving_back.CannotGiveBack, match="72 hours"):
        giving_back.give_back(one, actor=pia.as_actor(), now=WAITED - timedelta(seconds=1))
    Client().post(re.findall(r"https?://[^/]+(/account/contact/not-me/[^/\s]+/)", text)[0])
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    page = pages.signed_in(pat).get(f"/admin/accounts/contactpoint/{one.pk}/step/back/").content.decode()
    assert "it was the present address of the login that objected" in page
    giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=NOW)
    assert sorted("not-me" in text for _, text in letters("login_back_proposed")) == [False, True], "once"
    with pytest.raises(giving_back.CannotGiveBack, match="has not been sent yet"):
        giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    owner_told()
    giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    assert address_of(alice.user) == OLD


@pytest.mark.parametrize("what", ["number", "place", "fact"])
def test_what_was_entered_while_the_login_was_in_other_hands_undoes_nothing(alice: Customer, what: str) -> None:
    """Who took the login entered it, and waited; measured against the giving back it would have been there before."""
    said, one = called(alice), taken(alice)
    bad = proof.Callback("978-555-0999", said.facts)
    entered = NOW + DAY
    if what == "number":
        phone(alice, "978-555-0999", entered)
    elif what == "place":
        factories.address(alice, street="1 Thief Street", country="US", came="person", since=entered)
    else:
        order = an_order(alice, entered.date())
        bad = proof.Callback(PHONE, (("order_number", order.number), ("order_total", f"2026-11 {order.total:.2f}")))
    after = NOW + timedelta(days=20)
    pat, pia, rita = staff("pat").as_actor(), staff("pia").as_actor(), staff("rita").as_actor()
    with time_machine.travel(after, tick=False):
        object_from(OLD)
        home = factories.address(alice, street="17 Quince Row", country="US", since=NOW - timedelta(days=30))
        giving_back.post_code(one, actor=rita, now=after)
        posted = letters("login_code")[-1][1]
        code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", posted)[0]
        factories.went_out(Letter.objects.filter(kind="login_code"), after)
        giving_back.propose(one, None, mailbox=OLD, code=code, actor=pat, now=after)
        owner_told(after)
    given_at = after + giving_back.OWNER_HAS
    with time_machine.travel(given_at, tick=False):
        giving_back.give_back(one, actor=pia, now=given_at)
        Address.objects.filter(pk=home.pk).delete()
        object_from(THIEF)
        if what == "place":
            with pytest.raises(giving_back.CannotGiveBack, match="No postal address"):
                giving_back.post_code(one, actor=rita, now=given_at)
            return
        with pytest.raises((proof.ProofRefused, proof.Incomplete)):
            giving_back.propose(one, bad, mailbox=THIEF, actor=rita, now=given_at)
        assert not objections.is_end_proposed(point(alice), now=given_at)
    assert address_of(alice.user) == OLD


def test_a_proposal_that_nobody_made_gives_nothing_back(alice: Customer) -> None:
    one = taken(alice)
    object_from(OLD)
    link = ContactLink.objects.get(point=one, used_at__isnull=False)
    planted = {"end_proposed_at": NOW, "end_proposed_by": "staff/pat", "gives_back": True, "back_link": link.pk}
    ContactPoint.objects.filter(pk=one.pk).update(**planted)
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=staff("pia").as_actor(), now=WAITED)
    ContactPoint.objects.filter(pk=one.pk).update(gives_back=False, back_link=None)
    with pytest.raises(objections.NotProposed):
        objections.settle(one, actor=User.objects.named("pia").get().as_actor(), now=WAITED)
    objections.propose_end(one, actor=staff("pat").as_actor(), now=NOW)
    ContactPoint.objects.filter(pk=one.pk).update(gives_back=True, back_link=link.pk)
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=User.objects.named("pia").get().as_actor(), now=WAITED)
    assert address_of(alice.user) == THIEF and reach.is_login_disputed(alice.subject_id)


def test_nothing_counts_that_came_by_the_login_meanwhile(alice: Customer) -> None:
    """Contacts, requests and links of the time between: the thief asks for a copy by the address
    that he entered and confirmed."""
    long_ago = NOW - timedelta(days=31)
    before = taken_in(
        "erasure",
        alice.subject_id,
        received_on=long_ago.date(),
        identity="login",
        actor=as_customer(alice),
        now=long_ago,
    )
    said, one = called(alice), taken(alice)
    then = NOW + timedelta(hours=1)
    phone(alice, "978-555-0999", then)
    evil = "evil@elsewhere.example"
    alice.refresh_from_db()
    alice.email = evil
    with vault.internal():
        alice.save()
    ContactPoint.objects.filter(customer=alice, channel="email").update(came="person", since=then, confirmed_at=then)
    with time_machine.travel(then, tick=False):
        asked = taken_in(
            "access", alice.subject_id, received_on=NOW.date(), identity="login", actor=as_customer(alice), now=then
        )
    assert reach.of(evil, now=WAITED).whole == (alice.subject_id,), "control"
    object_from(OLD)
    SecondLook.objects.all().delete()  # as if somebody had agreed before
    said = proof.Callback(PHONE, said.facts)
    code_place = factories.address(alice, street="17 Quince Row", country="US", since=NOW - timedelta(days=30))
    pat, pia = staff("pat").as_actor(), staff("pia").as_actor()
    giving_back.post_code(one, actor=staff("rita").as_actor(), now=then)
    code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", letters("login_code")[-1][1])[0]
    Letter.objects.filter(kind="login_code").update(sent_at=then)
    with pytest.raises(proof.ProofRefused):  # its row alone says that it was posted
        giving_back.propose(one, None, mailbox=OLD, code=code, actor=pat, now=then)
    factories.went_out(Letter.objects.filter(kind="login_code"), then)
    giving_back.propose(one, None, mailbox=OLD, code=code, actor=pat, now=then)
    owner_told(then)
    given_at = then + giving_back.OWNER_HAS
    with time_machine.travel(given_at, tick=False):
        giving_back.give_back(one, actor=pia, now=given_at)
    assert reach.of(evil, now=given_at + timedelta(days=20)).whole == ()
    later = given_at + timedelta(days=20)
    assert not reach.counts(alice, "phone", now=later) and not reach.counts(alice, "email", now=later)
    assert reach.counts(code_place, "post", now=later), "control: what was there before counts"
    assert list(SecondLook.objects.values_list("request", "why")) == [(asked.pk, "disputed")]
    assert before.pk != asked.pk and reach.is_disputed(alice.subject_id)
    ((_, text),) = letters("login_given_back")
    assert "looked at them: e-mail addresses (1), phone numbers (1). Requests" in text
    assert "Requests about your data that were made or proved since that day (1) wait" in text


BEFORE = in_other_hands.BEFORE_THE_CHANGE


def given_back(alice: Customer, said: proof.Callback | None = None, code: str = "") -> datetime:
    """The change of NOW is undone by two people; return when."""
    object_from(OLD)
    giving_back.propose(point(alice), said, mailbox=OLD, code=code, actor=staff("pat").as_actor(), now=NOW)
    owner_told()
    with time_machine.travel(WAITED, tick=False):
        giving_back.give_back(point(alice), actor=staff("pia").as_actor(), now=WAITED)
    return WAITED


def mailed(alice: Customer, email: str, at: datetime) -> None:
    """Whoever is signed in enters another contact address, and confirms it by its link."""
    alice.refresh_from_db()
    alice.email = email
    with vault.internal():
        alice.save()
    ContactPoint.objects.filter(customer=alice, channel="email").update(came="person", since=at, confirmed_at=at)


@pytest.mark.parametrize(("before", "opens"), [(timedelta(seconds=3), False), (BEFORE, False), (BEFORE + DAY, True)])
def test_a_contact_that_was_confirmed_before_the_login_was_changed_opens_nothing_after_it_is_given_back(
    alice: Customer, before: timedelta, opens: bool
) -> None:
    """Whoever took the login confirms a contact first and changes the address last. What is older is the person's
    own."""
    mine = "evil@elsewhere.example"
    said = called(alice)
    mailed(alice, mine, NOW - before)
    taken(alice)
    later = given_back(alice, said) + timedelta(days=20)
    assert bool(reach.of(mine, now=later).whole) == opens
    assert reach.is_disputed(alice.subject_id) is not opens
    ((_, text),) = letters("login_given_back")
    assert ("e-mail addresses (1)" in text) is not opens
    assert ("no contact that is on file was entered or confirmed since 21 October 2026" in text) == opens


def test_what_the_person_vouches_for_is_taken_out_of_the_dispute_by_the_privacy_team(alice: Customer) -> None:
    said = called(alice)
    mailed(alice, "new@work.example", NOW - DAY)
    taken(alice)
    later = given_back(alice, said)
    seen = objections.shown(objections.disputed_contacts(alice))
    assert objections.settle_contacts(alice, seen=seen, actor=staff("rita").as_actor(), now=later) == 1
    assert not reach.is_disputed(alice.subject_id)
    assert letters("contact_confirm") or letters("contact_not_me"), "it counts as newly entered"


@pytest.mark.parametrize("came", ["person", "staff"])
def test_a_number_that_the_login_entered_before_it_was_changed_undoes_no_giving_back(
    alice: Customer, came: str
) -> None:
    """Typed ten seconds before: fourteen days later it would call whoever took the login. What
    staff wrote down is not theirs."""
    said = called(alice)
    phone(alice, "978-555-0999", NOW - timedelta(seconds=10))
    ContactPoint.objects.filter(customer=alice, channel="phone").update(came=came)
    factories.address(alice, street="1 Thief Street", country="US", came="person", since=NOW - timedelta(days=20))
    one = taken(alice)
    object_from(OLD)
    with pytest.raises(giving_back.CannotGiveBack, match="No postal address"):
        giving_back.post_code(one, actor=staff("rob").as_actor(), now=NOW)
    later = NOW + timedelta(days=20)
    theirs = proof.Callback("978-555-0999", said.facts)
    ContactPoint.objects.filter(customer=alice, channel="phone", came="staff").update(confirmed_at=NOW - DAY)
    with time_machine.travel(later, tick=False):
        assert reach.counts(alice, "phone", now=later), (
            "it counts for anything else as long as nobody gave the login back"
        )
        if came == "staff":
            giving_back.propose(one, theirs, mailbox=OLD, actor=staff("pat").as_actor(), now=later)
            return
        with pytest.raises(proof.ProofRefused):
            giving_back.propose(one, theirs, mailbox=OLD, actor=staff("pat").as_actor(), now=later)


@pytest.mark.parametrize("before", [DAY, BEFORE + DAY])
def test_what_was_joined_with_the_login_before_it_was_changed_is_looked_at(alice: Customer, before: timedelta) -> None:
    other = factories.customer("Alice", "Archer", email="alice@third.example").subject_id
    told_of_joinings.joined(alice.subject_id, (other,), whole=True, now=NOW - before)
    said = called(alice)
    taken(alice)
    later = given_back(alice, said)
    assert told_of_joinings.joined_by(alice.subject_id, later) == ([""] if before == DAY else [])
    assert ("What was joined to you with the account since that day (1)" in letters("login_given_back")[0][1]) == (
        before == DAY
    )
    if before == DAY:
        told_of_joinings.settle_joined(alice.subject_id, actor=staff("rita").as_actor(), now=later)
        assert told_of_joinings.joined_by(alice.subject_id, later) == [], "control: the privacy team ends it"


def test_what_was_asked_with_the_login_before_it_was_changed_waits_for_a_second_person(alice: Customer) -> None:
    yesterday = NOW - DAY
    with time_machine.travel(yesterday, tick=False):
        asked = taken_in(
            "access",
            alice.subject_id,
            received_on=yesterday.date(),
            identity="login",
            actor=as_customer(alice),
            now=yesterday,
        )
    said = called(alice)
    taken(alice)
    object_from(OLD)
    SecondLook.objects.all().delete()  # as if somebody had agreed before
    giving_back.propose(point(alice), said, mailbox=OLD, actor=staff("pat").as_actor(), now=NOW)
    owner_told()
    with time_machine.travel(WAITED, tick=False):
        giving_back.give_back(point(alice), actor=staff("pia").as_actor(), now=WAITED)
    assert list(SecondLook.objects.values_list("request", "why")) == [(asked.pk, "disputed")]


def phone(customer: Customer, number: str, since: datetime) -> None:
    """The person (or whoever is signed in) enters another telephone number."""
    customer.refresh_from_db()
    customer.phone = number
    with vault.internal():
        customer.save()
    ContactPoint.objects.filter(customer=customer, channel="phone").update(came="person", since=since)


@pytest.mark.parametrize(("days", "is_undone"), [(13, True), (14, False)])
def test_it_is_undone_by_the_same_way_within_fourteen_days(alice: Customer, days: int, is_undone: bool) -> None:
    said, one = called(alice), proposed(alice)
    pat, pia = User.objects.named("pat").get(), staff("pia")
    with time_machine.travel(WAITED, tick=False):
        giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    later = WAITED + timedelta(days=days)
    with time_machine.travel(later, tick=False):
        object_from(THIEF)
        if not is_undone:
            with pytest.raises(giving_back.CannotGiveBack, match="more than 14 days ago"):
                giving_back.propose(one, said, mailbox=OLD, actor=pat.as_actor(), now=later)
            return
        giving_back.propose(one, said, mailbox=THIEF, actor=pat.as_actor(), now=later)
        owner_told(later)
        giving_back.give_back(one, actor=pia.as_actor(), now=later + giving_back.OWNER_HAS)
    assert address_of(alice.user) == THIEF


def test_a_login_of_staff_is_not_given_back_here(alice: Customer) -> None:
    said, one = called(alice), taken(alice)
    object_from(OLD)
    alice.user.is_staff = True
    alice.user.save(update_fields=["is_staff"])
    with pytest.raises(giving_back.CannotGiveBack, match="login of staff"):
        giving_back.propose(one, said, mailbox=OLD, actor=staff("pat").as_actor(), now=NOW)


# Whose login it is ----------------------------------------------------------------------------------------------------


def written(row: models.Model, **columns: Any) -> None:
    """Write into a row as somebody who holds the main database's password."""
    assert models.QuerySet(type(row)).filter(pk=row.pk).update(**columns) == 1


@pytest.fixture
def bob(db: None) -> Customer:
    user = factories.login("bob", "bob@example.com", subject=factories.subject())
    return factories.customer("Bob", "Baker", email="bob@work.example", phone="978-555-0199", user=user)


def swapped(one: Customer, other: Customer) -> None:
    """Let the customer number of the one name the login of the other."""
    login = other.user_id
    written(other, user_id=None)
    written(one, user_id=login)


@pytest.mark.parametrize("also", [{}, {"subject_id": "bob"}])
def test_a_customer_number_that_names_somebody_elses_login_when_it_is_confirmed_gives_nobody_that_login(
    alice: Customer, bob: Customer, also: dict[str, Any]
) -> None:
    """Everything is true: her own login, changed by herself. Only when the second person clicks
    the row names another login."""
    one, pia = proposed(alice), staff("pia").as_actor()
    own = {"user_id": alice.user_id, "subject_id": alice.subject_id}
    his = bob.user_id
    swapped(alice, bob)
    if also:
        written(alice, subject_id=bob.subject_id)
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=pia, now=WAITED)
    with pytest.raises(giving_back.CannotGiveBack, match="not one person's"):
        giving_back.check(one, now=WAITED)
    assert address_of(User.objects.get(pk=his)) == "bob@example.com"
    written(alice, **own)
    written(bob, user_id=his)
    giving_back.give_back(one, actor=pia, now=WAITED)
    assert address_of(alice.user) == OLD, "control: the rows as they were"


def test_for_somebody_elses_login_nothing_is_proposed_and_no_code_is_written(alice: Customer, bob: Customer) -> None:
    said, one = called(alice), taken(alice)
    factories.address(alice, street="17 Quince Row", country="US", since=NOW - timedelta(days=40))
    object_from(OLD)
    login, pat = alice.user_id, staff("pat").as_actor()
    swapped(alice, bob)
    with pytest.raises(giving_back.CannotGiveBack, match="not one person's"):
        giving_back.propose(one, said, mailbox=OLD, actor=pat, now=NOW)
    with pytest.raises(giving_back.CannotGiveBack, match="not one person's"):
        giving_back.post_code(one, actor=pat, now=NOW)
    written(alice, user_id=login)
    giving_back.post_code(one, actor=pat, now=NOW)
    giving_back.propose(one, said, mailbox=OLD, actor=pat, now=NOW)


def test_a_login_that_is_linked_to_somebody_elses_customer_number_does_nothing_there(
    alice: Customer, bob: Customer
) -> None:
    """Nothing is confirmed, asked, entered or kept under it; its own number, linked as before, does all of it."""
    ContactPoint.objects.filter(customer=bob, channel="email").update(came="person")
    user, browser = bob.user, pages.signed_in(bob.user, again=True)
    notices.send_again(user, actor=user.as_actor(), now=NOW)
    token = re.findall(r"/account/contact/confirm/([^/\s]+)/", letters("contact_confirm")[0][1])[0]
    thief = alice.user
    swapped(bob, alice)
    with pytest.raises(contact_links.LinkRefused):
        contact_links.confirm(token, user=thief, actor=thief.as_actor(), now=NOW)
    with pytest.raises(reach.NotTheirs):
        notices.send_again(thief, actor=thief.as_actor(), now=NOW)
    with pytest.raises(reach.NotTheirs):
        people.customer_of(thief, actor=thief.as_actor(), now=NOW, today=NOW.date())
    assert pages.signed_in(thief, again=True).get("/account/details/edit/").status_code == 403
    written(bob, user_id=user.pk)
    assert browser.get("/account/details/edit/").status_code == 200
    contact_links.confirm(token, user=user, actor=user.as_actor(), now=NOW)
    assert people.customer_of(user, actor=user.as_actor(), now=NOW, today=NOW.date()) == bob


def theirs() -> Letter:
    """Any letter of the site to whoever attacks."""
    key = f"theirs-{Letter.objects.count()}"
    return queue("withdrawn", to="mal@evil.example", context={"request": None}, key=key, now=NOW)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_login_goes_to_no_other_mailbox_because_the_objection_names_another_letter(
    alice: Customer, when: str
) -> None:
    """The letter of the link that objected is exchanged: before somebody proposes it, or while it
    waits for the second person."""
    said, one = called(alice), taken(alice)
    object_from(OLD)
    link, pat, pia = ContactLink.objects.get(point=one, used_at__isnull=False), staff("pat").as_actor(), staff("pia")
    own = link.letter_id
    if when == "before":
        written(link, letter_id=theirs().pk)
        for mailbox in ("mal@evil.example", OLD):
            with pytest.raises(giving_back.CannotGiveBack, match="has not objected by the link"):
                giving_back.propose(one, said, mailbox=mailbox, actor=pat, now=NOW)
        written(link, letter_id=own)
    giving_back.propose(one, said, mailbox=OLD, actor=pat, now=NOW)
    owner_told()
    if when == "after":
        written(link, letter_id=theirs().pk)
        with pytest.raises(objections.NotProposed):
            giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
        assert address_of(alice.user) == THIEF and not letters("login_given_back")
        assert ContactLink.objects.get(pk=link.pk).went_to == "" and giving_back.goes_to(point(alice)) == ""
        written(link, letter_id=own)
    giving_back.give_back(one, actor=pia.as_actor(), now=WAITED)
    assert [to for to, _ in letters("login_given_back")] == [OLD], "control: the rows as they were"


def test_who_proposes_and_who_confirms_read_the_mailbox_masked(alice: Customer) -> None:
    said, one = called(alice), taken(alice)
    object_from(OLD)
    page = f"/admin/accounts/contactpoint/{one.pk}"
    pat, mona = pages.signed_in(staff("pat")), pages.signed_in(staff("mona"))
    assert "it goes to a••••@example.com" in pages.decide(pat, f"{page}/step/back/", form(said), follow=True).text
    seen = mona.get(f"{page}/step/give/").text
    assert "to give the login back to a••••@example.com; the person was proved" in seen and OLD not in seen


@pytest.mark.parametrize("how", ["kind", "letter", "gone"])
def test_the_present_owner_counts_as_told_by_the_letter_of_the_proposal_only(alice: Customer, how: str) -> None:
    one, pia = proposed(alice), staff("pia").as_actor()
    link = ContactLink.objects.get(point=one, letter__kind=objections.BACK_PROPOSED)
    sent = theirs()
    Letter.objects.filter(pk=sent.pk).update(kind=objections.BACK_PROPOSED, sent_at=NOW)
    kept = link.letter
    if how == "kind":
        written(kept, kind="withdrawn")
    elif how == "letter":
        written(link, letter_id=sent.pk)
    else:
        written(link, at=NOW - DAY)
    with pytest.raises(giving_back.CannotGiveBack, match="No letter tells the present address"):
        giving_back.give_back(one, actor=pia, now=WAITED)
    written(kept, kind=objections.BACK_PROPOSED)
    written(link, letter_id=kept.pk, at=NOW)
    giving_back.give_back(one, actor=pia, now=WAITED)
    assert address_of(alice.user) == OLD, "control"


def test_the_links_of_the_version_before_are_bound_to_their_letters_once(alice: Customer) -> None:
    one = taken(alice)
    object_from(OLD)
    links = list(ContactLink.objects.filter(point=one).order_by("pk"))
    for link in links:
        written(link, mac=vault.mac_of(*link._said()))
    planted = links[0]
    written(planted, mac="0" * 64)
    assert contact_links.bind_letters() == len(links) - 1 > 0 and contact_links.bind_letters() == 0
    assert [link.is_bound for link in ContactLink.objects.filter(point=one).order_by("pk")] == [
        link.pk != planted.pk for link in links
    ]


# A code by post -------------------------------------------------------------------------------------------------------


def test_who_cannot_be_called_reads_back_a_code_that_was_posted(alice: Customer) -> None:
    factories.address(alice, street="17 Quince Row", city="Gloucester", country="US", since=NOW - timedelta(days=30))
    ContactPoint.objects.filter(customer=alice, channel="phone").delete()
    one = taken(alice)
    object_from(OLD)
    page, desk = f"/admin/accounts/contactpoint/{one.pk}", f"/admin/accounts/customer/{alice.pk}/step/post/"
    users = {name: staff(name) for name in ("pat", "pia", "rita", "rob")}
    pat, pia, rob = (pages.signed_in(users[name]) for name in ("pat", "pia", "rob"))
    assert rob.post(f"{page}/step/code/").status_code == 302
    shown = opened(pia, desk)
    code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", shown)[0]
    assert "17 Quince Row" in shown and THIEF not in shown
    answer = pages.decide(pat, f"{page}/step/back/", {"code": code, "mailbox": OLD})
    assert answer.status_code == 401, "before the letter is marked as posted only who has it on the screen knows it"
    assert pia.post(desk).status_code == 302
    assert pages.decide(pat, f"{page}/step/back/", {"code": "0000-0000-0000", "mailbox": OLD}).status_code == 401
    assert pages.decide(pat, f"{page}/step/back/", {"code": code.lower(), "mailbox": OLD}).status_code == 302
    assert objections.is_end_proposed(point(alice), now=NOW) and point(alice).gives_back
    with pytest.raises(objections.NotProposed):
        giving_back.give_back(one, actor=users["pia"].as_actor(), now=WAITED)  # she had the code in hand
    owner_told()
    giving_back.give_back(one, actor=users["rita"].as_actor(), now=WAITED)
    assert address_of(alice.user) == OLD
    assert audit.history(subject=alice.subject_id).filter(action=proof.REFUSED).count() == 2


def test_who_had_the_letter_with_the_code_in_hand_proposes_nothing_by_it(alice: Customer) -> None:
    factories.address(alice, street="17 Quince Row", country="US", since=NOW - timedelta(days=30))
    one = taken(alice)
    object_from(OLD)
    page, desk = f"/admin/accounts/contactpoint/{one.pk}", f"/admin/accounts/customer/{alice.pk}/step/post/"
    names = ("rob", "pia", "sam", "pat", "mona")
    users = {name: staff(name) for name in names}
    rob, pia, sam, pat, mona = (pages.signed_in(users[name]) for name in names)
    rob.post(f"{page}/step/code/")
    code = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", opened(pia, desk))[0]
    assert sam.post(desk).status_code == 302
    for browser in (rob, pia, sam):
        answer = pages.decide(browser, f"{page}/step/back/", {"code": code, "mailbox": OLD})
        assert "know it without the person" in answer.text
        assert not objections.is_end_proposed(point(alice), now=NOW)
    assert not audit.history(subject=alice.subject_id).filter(action=proof.REFUSED).exists(), "nothing was compared"
    assert pages.decide(pat, f"{page}/step/back/", {"code": code, "mailbox": OLD}).status_code == 302, "control"
    said = mona.get(f"{page}/step/give/").text
    assert f"a member of staff (user {str(users['pat'].pk)[-12:]}) proposed to give the login back" in said
    assert "by the code of a letter to a postal address on file" in said
    assert "called the person back" not in said and "by a call-back: " not in said


def test_the_second_person_reads_that_there_was_a_call_back(alice: Customer) -> None:
    one = proposed(alice)
    said = pages.signed_in(staff("mona")).get(f"/admin/accounts/contactpoint/{one.pk}/step/give/").text
    assert "by a call-back: the number and two facts were compared" in said and "by the code of a letter" not in said


def opened(browser: Client, path: str) -> str:
    """Open a page of the back office, and say why where it asks."""
    answer = browser.get(path)
    if answer.status_code == 302:
        browser.post(answer.url, {"why": "asked", "reason": "asked"})
        answer = browser.get(path)
    return str(answer.content.decode())


def test_no_code_goes_to_an_address_that_was_entered_after_the_change(alice: Customer) -> None:
    factories.address(alice, street="1 Thief Street", country="US", came="person", since=NOW)
    one = taken(alice)
    object_from(OLD)
    with pytest.raises(giving_back.CannotGiveBack, match="No postal address"):
        giving_back.post_code(one, actor=staff("pat").as_actor(), now=NOW + timedelta(days=20))
    assert not Letter.objects.filter(kind="login_code").exists()


# The operator as the second person ------------------------------------------------------------------------------------


def command(*args: str) -> str:
    out = StringIO()
    call_command("login_dispute", *args, stdout=out)
    return out.getvalue()


def refused(*args: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        command(*args)
    return caught.value.returncode, str(caught.value)


def test_an_operator_confirms_in_a_company_with_one_clerk(alice: Customer) -> None:
    assert command() == "Nobody objects to a changed login address.\n"
    one = proposed(alice)
    number = alice.reference
    with time_machine.travel(NOW + timedelta(days=3), tick=False):
        said = command()
        assert said.startswith(f"{number}: open for 3 days, proposed: give_back.\n  The person was proved ")
        assert "how is not written down" not in said and said.count("\n") == 2
        assert refused(number, "--confirm", "end") == (3, "That is not what waits here: proposed: give_back.")
        assert "dry run" in command(number, "--confirm", "give_back", "--dry-run")
        assert address_of(alice.user) == THIEF and point(alice).disputed_at == one.disputed_at
        assert "The login is given back." in command(number, "--confirm", "give_back")
        assert address_of(alice.user) == OLD
    done = audit.history(record=(User.vault_label, alice.user_id)).filter(action="login.given_back")
    assert list(done.values_list("actor_kind", flat=True)) == ["operator"]
    assert refused(number, "--confirm", "give_back") == (1, "No login with this customer number is disputed.")


def test_an_operator_ends_a_dispute_that_a_clerk_has_proposed_to_end_and_proposes_none(alice: Customer) -> None:
    one, number = taken(alice), alice.reference
    object_from(OLD)
    assert command() == f"{number}: open for 0 days, nothing proposed.\n"
    assert refused(number, "--confirm", "end") == (3, "That is not what waits here: nothing proposed.")
    objections.propose_end(one, actor=staff("pat").as_actor(), now=NOW)
    assert "the dispute would end" in command(number, "--confirm", "end", "--dry-run")
    assert reach.is_login_disputed(alice.subject_id)
    assert "The dispute is ended" in command(number, "--confirm", "end")
    assert not reach.is_login_disputed(alice.subject_id) and address_of(alice.user) == THIEF


@pytest.mark.parametrize("args", [("C1",), ("--confirm", "end"), ("--dry-run",), ("C1", "--dry-run")])
def test_wrong_arguments_do_nothing(db: None, args: tuple[str, ...]) -> None:
    assert refused(*args)[0] == 2


def test_an_unknown_number_is_none(db: None) -> None:
    assert refused("C1", "--confirm", "end")[0] == 1


def test_the_front_page_says_how_long_a_dispute_is_open_and_alarms_after_a_week(alice: Customer) -> None:
    one = taken(alice)
    object_from(OLD)
    pat = staff("pat")
    for days, said in ((0, "today"), (1, "1 day"), (9, "9 days")):
        with time_machine.travel(NOW + timedelta(days=days), tick=False):
            browser = pages.signed_in(User.objects.get(pk=pat.pk))
            assert f"since 20 November 2026, {said}" in browser.get("/admin/").content.decode()
            assert said in browser.get(f"/admin/accounts/contactpoint/{one.pk}/change/").content.decode()
