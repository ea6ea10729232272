"""What carries a person's address is named by kind and count, never opened, and joined to nobody by itself."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts import candidates, communications, corrections, reach
from accounts.models import Communication, ContactPoint, Customer, User
from orders.models import Order
from privacy import datamap, people, vault
from privacy.gate import AccessEntry
from privacy.letters.models import Letter
from privacy.requests import execute, export, services
from privacy.requests.models import Request
from privacy.vault import Exact, SealedModel
from privacy.vault.index import token
from privacy.vault.models import Token
from tests import factories, pages
from tests.asked import taken_in
from tests.factories import CONTACT, NOW, TODAY, an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

ADDRESS = "alice@example.com"


@pytest.fixture
def alice() -> User:
    return factories.login()


def bob() -> Customer:
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")


def found(user: User) -> set[tuple[str, Any]]:
    return {(one.label, one.pk) for one in candidates.of(user.subject_id, now=NOW)}


def key_of(record: Any) -> tuple[str, Any]:
    return record.vault_label, record.pk


def an_order_with(email: str, customer: Customer | None = None, **data: Any) -> Order:
    return an_order(customer or bob(), **{"email": email, "phone": "", **data})


# What is found --------------------------------------------------------------------------------------------------------


def test_messages_orders_returns_and_contacts_with_the_address_are_candidates(alice: User) -> None:
    message = factories.communication(email="ALICE@example.com")
    order = an_order_with(ADDRESS)
    rma = an_rma(bob(), contact={**CONTACT, "email": ADDRESS})
    contact = factories.customer("A.", "Archer", company=factories.company(), phone="")
    an_order_with("eve@example.com")
    factories.communication(email="eve@example.com")
    assert found(alice) == {key_of(one) for one in (message, order, rma, contact)}


def test_what_is_the_persons_own_is_no_candidate(alice: User) -> None:
    own = factories.customer(user=alice)
    an_order_with(ADDRESS, own)
    factories.communication(own, email=ADDRESS)
    assert found(alice) == set()
    assert candidates.records_with(ADDRESS), "the positive control: they carry it"


def test_an_address_that_the_login_has_not_verified_finds_nothing() -> None:
    factories.communication(email=ADDRESS)
    assert found(factories.login(verified=False)) == set()
    assert len(found(factories.login("anna", ADDRESS))) == 1


def test_a_phone_leads_to_candidates_for_staff_that_the_person_is_not_told(alice: User) -> None:
    factories.customer(user=alice, email="")
    order = an_order_with("", phone="(978) 555-0123")
    (one,) = candidates.of(alice.subject_id, now=NOW)
    assert (one.pk, one.channel, one.field) == (order.pk, "phone", "phone")
    assert candidates.told(alice.subject_id, TODAY) == []


def test_a_phone_on_a_message_or_of_a_sole_trader_leads_there_and_a_companys_switchboard_does_not(alice: User) -> None:
    factories.customer(user=alice, email="")
    message = factories.communication(phone="+1 978 555 0123")
    factories.company(phone="978-555-0123")
    trader = factories.company("Dana Trades", phone="978.555.0123", is_sole_trader=True, subject=factories.subject())
    assert found(alice) == {key_of(message), key_of(trader)}
    assert candidates.told(alice.subject_id, TODAY) == []


@pytest.mark.parametrize(("came", "is_found"), [("person", False), ("staff", False), ("created", True)])
def test_a_phone_that_the_person_typed_leads_nowhere_however_long_it_waits(came: str, is_found: bool) -> None:
    """Bob types Alice's number into his own account: her orders are no candidates of his, today or in a month."""
    stranger = factories.login("bob", "bob@example.com")
    since = NOW - timedelta(days=30)
    his = factories.customer("Bob", "Baker", email="", user=stranger, came=came, contact_since=since)
    hers = an_order_with(ADDRESS, factories.customer(phone=""), phone="978-555-0123")
    assert reach.counts(his, "phone", now=NOW) is (came != "staff"), "a call-back may use it, in either case"
    assert found(stranger) == ({key_of(hers)} if is_found else set())


def test_an_address_that_was_changed_on_a_record_makes_no_candidate(alice: User) -> None:
    """Sales write Bob's address on somebody's message; the message that he wrote is the positive control."""
    stranger = factories.login("bob", "bob@example.com")
    hers, his = factories.communication(email="eve@example.com"), factories.communication(email="bob@example.com")
    carol = factories.staff(roles=("sales",)).as_actor()
    corrections.correct(hers, {"email": "bob@example.com"}, actor=carol, now=NOW)
    corrections.correct(his, {"contact_name": "Bob B."}, actor=carol, now=NOW)
    assert found(stranger) == {key_of(his)}
    assert candidates.told(stranger.subject_id, TODAY) == [("message", 1)]


def test_a_record_whose_address_was_changed_is_still_found_by_its_phone(alice: User) -> None:
    factories.customer(user=alice, email="")
    message = factories.communication(email="eve@example.com", phone="978-555-0123")
    carol = factories.staff(roles=("sales",)).as_actor()
    corrections.correct(message, {"email": ADDRESS}, actor=carol, now=NOW)
    assert [(one.pk, one.channel) for one in candidates.of(alice.subject_id, now=NOW)] == [(message.pk, "phone")]


def test_a_changed_contact_of_a_customer_is_one_as_soon_as_it_counts(alice: User) -> None:
    theirs = bob()
    corrections.correct(
        theirs, {"email": ADDRESS}, reason="person", actor=factories.staff(roles=("sales",)).as_actor(), now=NOW
    )
    assert found(alice) == set()
    ContactPoint.objects.filter(customer=theirs, channel="email").update(confirmed_at=NOW)
    assert found(alice) == {key_of(theirs)}


def test_a_record_that_matches_twice_is_there_once_by_its_address(alice: User) -> None:
    factories.customer(user=alice)
    an_order_with(ADDRESS, phone="978-555-0123")
    (one,) = candidates.of(alice.subject_id, now=NOW)
    assert one.channel == "email"


def test_the_other_spelling_of_a_domain_is_found_also_by_a_token_of_before() -> None:
    alice = factories.login(email="alice@bücher.example")
    message = factories.communication(email="alice@xn--bcher-kva.example")
    assert found(alice) == {key_of(message)}
    before = token("communication.email", "email.2", "alice@xn--bcher-kva.example")
    assert Token.objects.filter(record=message.pk).update(value=before) == 1
    assert found(alice) == {key_of(message)}


def test_an_erased_record_is_none(alice: User, now: Any) -> None:
    from privacy.vault.keystore import keys

    message = factories.communication(email=ADDRESS)
    keys.destroy([(message.pk, "support")], now=now)
    assert found(alice) == set()


# Every index, without a list ------------------------------------------------------------------------------------------


def test_every_declared_index_of_addresses_and_phones_is_searched() -> None:
    searched = {one.index.blind.field for one in candidates._indexes()}
    declared = {
        (declaration.label, blind.field)
        for declaration in datamap.declarations()
        if issubclass(declaration.model, SealedModel)
        for field in declaration.model._meta.private_fields
        for blind in getattr(field, "blind", ())
        if isinstance(blind, Exact) and blind.normaliser in ("email", "phone")
    }
    assert searched == {
        "communication.email", "order.email", "rma.email", "customer.email",
        "communication.phone", "order.phone", "rma.phone", "customer.phone", "company.phone",
    }  # fmt: skip
    assert {name for label, name in declared if label not in candidates.NEVER} == searched
    assert {label for label, _ in declared} > candidates.NEVER


def test_a_new_index_is_searched_the_day_it_is_declared(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Communication._meta.get_field("address")
    monkeypatch.setattr(field, "blind", (Exact("communication.address", normaliser="phone"),))
    assert "communication.address" in {one.index.blind.field for one in candidates._indexes()}
    assert communications.Communication is Communication


# By address alone -----------------------------------------------------------------------------------------------------


def test_two_messages_by_one_writer_are_two_records_and_no_second_person() -> None:
    one, two = (factories.communication(email=ADDRESS) for _ in range(2))
    assert one.subject_id != two.subject_id
    order = an_order_with(ADDRESS)
    factories.customer()  # contact data is no record with the address
    factories.login()
    assert {(r.label, r.pk, r.subject) for r in candidates.records_with(ADDRESS)} == {
        (*key_of(one), one.subject_id), (*key_of(two), two.subject_id), (*key_of(order), order.customer.subject_id),
    }  # fmt: skip
    assert people.ask().named(ADDRESS) == [], "the order hangs on a customer: it points to a second person"
    order.delete()
    assert sorted(people.ask().named(ADDRESS)) == sorted([key_of(one), key_of(two)])


# What is said ---------------------------------------------------------------------------------------------------------


def test_the_person_is_told_kind_and_count_and_nothing_is_opened(alice: User) -> None:
    for _ in range(2):
        factories.communication(email=ADDRESS, body="canary in a message")
    order = an_order_with(ADDRESS)
    text = pages.check(pages.signed_in(alice).get("/privacy/held/"))
    assert "2 messages and 1 order carry an address of yours" in text
    assert "We hold no records about you" not in text
    assert "canary" not in text and order.number not in text
    assert set(AccessEntry.objects.values_list("whose__subject_id", flat=True)) <= {alice.subject_id}


def test_bob_is_told_nothing(alice: User) -> None:
    factories.communication(email=ADDRESS)
    theirs = factories.login("bob", "bob@example.com")
    assert "carries an address" not in pages.signed_in(theirs).get("/privacy/held/").text
    assert "carries an address" in pages.signed_in(alice).get("/privacy/held/").text


def filed(user: User, kind: str) -> Request:
    return taken_in(kind, user.subject_id, identity="login", actor=user.as_actor())


def test_the_plan_names_them_and_its_hash_does_not_change_by_them(alice: User) -> None:
    request = filed(alice, "erasure")
    before = services.make_plan(request, actor=alice.as_actor(), now=NOW)
    factories.communication(email=ADDRESS)
    after = services.make_plan(request, actor=alice.as_actor(), now=NOW)
    assert not any("address of yours" in line for line in before.summary())
    assert after.summary()[-1].startswith("1 message carries an address of yours, but is not joined to you")
    assert after.hash == before.hash


def test_the_answer_and_the_copy_never_say_nothing_while_one_stands(alice: User) -> None:
    factories.communication(email=ADDRESS)
    request = filed(alice, "access")
    while execute.run(request.pk, clock=lambda: NOW, pause=lambda: None) == "ended":
        pass
    with vault.internal():
        (text,) = [one.text for one in Letter.objects.filter(kind="copy_ready")]
    _, chunks = export.fetch(request, actor=alice.as_actor(), now=NOW)
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        page = archive.read("index.html").decode()
    for one in (text, page):
        assert "1 message carries an address of yours" in one and "We hold nothing" not in one


def test_the_persons_own_contact_data_are_read_once_and_not_looked_for_again(alice: User) -> None:
    factories.customer(user=alice)
    with CaptureQueriesContext(connections["default"]) as main:
        assert candidates.of(alice.subject_id, now=NOW) == []
    assert sum('FROM "accounts_customer"' in one["sql"] for one in main) == 1


def test_counting_them_takes_the_same_queries_for_one_and_for_thirty(alice: User) -> None:
    factories.customer(user=alice)

    def queries() -> int:
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            candidates.of(alice.subject_id, now=NOW)
        return len(main) + len(keys)

    theirs = bob()
    factories.communication(email=ADDRESS)
    an_order_with(ADDRESS, theirs)
    few = queries()
    for _ in range(29):
        factories.communication(email=ADDRESS)
        an_order_with(ADDRESS, theirs)
    assert queries() == few
    assert len(found(alice)) == 60
