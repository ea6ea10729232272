"""What retention learns of people's records, and what it decides."""

from datetime import date
from typing import Any

import pytest

from accounts import facts
from accounts.models import Communication, Customer, User
from privacy import datamap
from privacy.facts import Facts
from privacy.retention import assess, rules
from tests import factories

pytestmark = pytest.mark.django_db(databases="__all__")

TODAY = date(2026, 11, 22)


def verdicts(found: Facts, today: date = TODAY, *, asked: bool = False) -> dict[str, tuple[str, str, date | None]]:
    judged = assess.assess(found, rules.load(), set(), today, asked=asked)
    return {one.envelope: (one.action, one.code, one.until) for one in judged}


def facts_of(record: Any) -> Facts:
    stored = type(record).objects.get(pk=record.pk)
    declared = datamap.for_model(type(record)).facts
    assert declared is not None
    return declared(stored)


def test_an_account_lasts_36_months_after_its_last_use_and_no_longer() -> None:
    alice = factories.customer(last_active_on=date(2023, 11, 22))
    found = facts_of(alice)
    assert found.title == f"Customer {alice.reference}"
    assert found.data["account"][:2] == ("Title", "First name")
    assert verdicts(found)["account"][0] == "keep"
    assert verdicts(found, date(2026, 11, 23))["account"][0] == "erase"
    assert verdicts(found, asked=True)["account"][0] == "erase"


def test_an_address_lasts_as_long_as_its_customer() -> None:
    alice = factories.customer(last_active_on=date(2020, 1, 1))
    assert verdicts(facts_of(factories.address(alice)))["account"][0] == "erase"


def test_a_login_in_use_keeps_its_address_and_staff_keep_theirs() -> None:
    user = factories.login()
    User.objects.update(created_at=factories.NOW.replace(year=2020), last_login=factories.NOW.replace(year=2020))
    assert verdicts(facts_of(user))["account"][0] == "erase"
    assert verdicts(facts_of(user.login_addresses.get()))["account"][0] == "erase"
    factories.customer(user=user, last_active_on=date(2026, 1, 1))
    assert verdicts(facts_of(User.objects.get()))["account"][0] == "keep"
    Customer.objects.all().delete()
    user.is_staff = True
    user.save()
    assert verdicts(facts_of(User.objects.get()), asked=True)["account"][1] == "KEEP_CONTRACT"


def test_an_ssn_that_a_certificate_relies_on_stays_until_the_fourth_year_ends() -> None:
    number = factories.ssn(factories.customer(), has_certificate=True, last_used_on=date(2024, 5, 1))
    assert verdicts(facts_of(number), asked=True)["ssn"] == ("keep", "KEEP_LI", date(2028, 12, 31))


def test_an_ssn_without_certificate_goes_at_once_when_asked() -> None:
    number = factories.ssn(factories.customer(), last_used_on=date(2024, 5, 1))
    assert verdicts(facts_of(number))["ssn"][2] == date(2028, 12, 31)
    assert verdicts(facts_of(number), asked=True)["ssn"][0] == "erase"


def test_a_freight_account_lasts_24_months_after_the_last_shipment() -> None:
    alice = factories.customer()
    account = factories.freight_account(alice, added_on=date(2020, 1, 1), last_shipment_on=date(2024, 11, 22))
    assert verdicts(facts_of(account))["freight_account"][0] == "keep"
    assert verdicts(facts_of(account), date(2026, 11, 23))["freight_account"][0] == "erase"


def test_a_message_counts_from_its_closure_and_a_reply_with_it() -> None:
    alice = factories.customer()
    first = factories.communication(alice, received_on=date(2020, 1, 1), last_message_on=date(2020, 2, 1))
    reply = factories.communication(
        alice, in_reply_to=first, received_on=date(2020, 2, 1), last_message_on=date(2020, 2, 1)
    )
    Communication.objects.filter(pk=first.pk).update(closed_on=date(2023, 11, 22))
    for message in (first, reply):
        assert verdicts(facts_of(message))["support"][0] == "keep"
        assert verdicts(facts_of(message), date(2026, 11, 23))["support"][0] == "erase"


def test_a_sole_trader_is_a_person_and_a_firm_is_none() -> None:
    firm = factories.company()
    trader = factories.company("Ann Lamp", is_sole_trader=True, subject=factories.subject())
    assert (facts_of(firm).party, facts_of(trader).party) == ("company", "person")
    assert verdicts(facts_of(firm), asked=True)["company"][0] == "keep"
    assert verdicts(facts_of(trader), asked=True)["company"][0] == "erase"


def test_what_ended_is_no_longer_held() -> None:
    alice = factories.customer()
    Customer.objects.update(sealed_account=None)
    assert facts_of(alice).data == {}


def test_the_sweep_finds_by_index_exactly_what_has_ended() -> None:
    quiet = factories.customer(last_active_on=date(2020, 1, 1))
    factories.customer("Bob", email="bob@example.com", last_active_on=date(2026, 1, 1))
    old = factories.address(quiet)
    assert list(facts.customers(TODAY)) == [quiet]
    assert list(facts.addresses(TODAY)) == [old]
    user = factories.login()
    assert not facts.users(TODAY).exists()
    User.objects.update(created_at=factories.NOW.replace(year=2020))
    assert list(facts.users(TODAY)) == [user]
    assert list(facts.login_addresses(TODAY)) == list(user.login_addresses.all())
    Customer.objects.filter(pk=quiet.pk).update(user=user, last_active_on=date(2026, 1, 1))
    assert not facts.users(TODAY).exists()


def test_an_erased_customer_is_known_again_by_reference_and_address() -> None:
    from privacy import vault

    alice = factories.customer()
    with vault.internal():
        keys = datamap.for_model(Customer).block_keys(Customer.objects.get())
    assert keys == [("customer_ref", alice.reference), ("email", "alice@example.com")]
    assert datamap.for_model(Customer).block_keys(Customer.objects.get()) == [("customer_ref", alice.reference)]
