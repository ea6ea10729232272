"""What can be done to people's records: one transaction, one event, rights asked, nothing taken in that must not be."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction

from accounts import correspondence, services
from accounts.models import Communication, Customer, TaxIdentifier
from privacy import gate, vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.vault.models import DataKey, Token
from tests import factories
from tests.factories import NOW, TODAY

pytestmark = pytest.mark.django_db(databases="__all__")


def carol(*roles: str) -> Actor:
    return Actor("staff", "carol", None, frozenset(roles), "work")


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def opened(record: Any, name: str) -> Any:
    with vault.internal():
        return getattr(type(record).objects.get(pk=record.pk), name)


def write(**data: Any) -> Communication:
    data = {"department": "support", "channel": "fax", "received_on": TODAY, "body": "Which filter?"} | data
    return correspondence.record_communication(actor=carol("service"), now=NOW, **data)


def test_a_day_is_that_of_the_company_and_not_of_greenwich() -> None:
    evening = datetime(2026, 11, 20, 22, 0, tzinfo=ZoneInfo("America/New_York"))
    company = services.create_company(actor=carol("sales"), now=evening.astimezone(UTC), name="Ann Lamp Repair")
    assert company.last_active_on == date(2026, 11, 20)


def test_a_customer_gets_a_subject_and_a_number_that_tells_nothing() -> None:
    one = services.create_customer(
        actor=carol("sales"),
        now=NOW,
        since=TODAY,
        channel="phone",
        first_name="Alice",
        last_name="Archer",
        country="US",
    )
    assert one.subject_id is not None
    assert one.reference[0] == "C"
    assert len(one.reference) == 10
    assert opened(one, "first_name") == "Alice"
    assert actions() == ["customer.created"]
    assert AuditEvent.objects.get().fields == ["country", "first_name", "last_name"]


def test_the_contact_of_a_company_is_one_by_its_company() -> None:
    company = factories.company()
    one = services.create_customer(actor=carol("sales"), now=NOW, since=TODAY, company=company, last_name="Archer")
    assert one.kind == Customer.Kind.CONTACT


def test_service_may_not_create_customers_and_a_customer_no_other() -> None:
    for actor in (carol("service"), factories.acting_as(factories.customer()), None):
        with pytest.raises(PermissionDenied):
            services.create_customer(actor=actor, now=NOW, since=TODAY, last_name="Archer")
    assert Customer.objects.count() == 1
    assert actions() == []


def test_a_login_gets_its_customer_when_it_needs_one_and_only_once() -> None:
    user = factories.login()
    first = services.customer_of(user, actor=user.as_actor(), now=NOW, today=TODAY)
    assert services.customer_of(user, actor=user.as_actor(), now=NOW, today=TODAY) == first
    assert first.subject_id == user.subject_id


# --- removing --------------------------------------------------------------------------------------------------------


def test_removing_an_address_takes_its_key_with_it(django_capture_on_commit_callbacks: Any) -> None:
    alice = factories.customer()
    address = factories.address(alice)
    record = address.pk
    with django_capture_on_commit_callbacks(execute=True):
        services.remove(address, actor=factories.acting_as(alice), now=NOW)
    assert DataKey.objects.get(record=record).wrapped is None
    assert actions() == ["record.removed"]


# --- tax identifiers -------------------------------------------------------------------------------------------------


def set_number(customer: Customer, actor: Actor, **data: Any) -> TaxIdentifier:
    data = {"kind": "tax_id", "value": "04-2103594", "country": "US"} | data
    return services.set_tax_identifier(customer, actor=actor, now=NOW, **data)


def test_a_vat_number_and_a_tax_id_are_kept_once_each() -> None:
    alice = factories.customer()
    for value in ("DE136695976", "DE 136 695 976"):
        set_number(alice, carol("accounting"), kind="vat", value=value, country="DE")
    set_number(alice, carol("accounting"))
    assert TaxIdentifier.objects.count() == 2
    assert TaxIdentifier.objects.find("tax_identifier.value", "de-136695976").count() == 1


@pytest.mark.parametrize(
    "data",
    [
        {"used_as_tax_id": False, "reason": "no_ein"},
        {"used_as_tax_id": True, "reason": ""},
        {"used_as_tax_id": True, "reason": "because"},
        {"used_as_tax_id": True, "reason": "no_ein", "country": "DE"},
        {"used_as_tax_id": True, "reason": "no_ein", "value": "000-12-3456"},
    ],
)
def test_an_ssn_is_taken_only_as_tax_id_and_with_a_reason(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        set_number(factories.customer(), carol("accounting"), **({"kind": "ssn", "value": "536-90-4399"} | data))
    assert "536" not in " ".join(refused.value.messages)
    assert not TaxIdentifier.objects.exists()


def test_an_ssn_is_in_an_envelope_of_its_own_without_index() -> None:
    alice = factories.customer()
    number = set_number(
        alice, carol("accounting"), kind="ssn", value="536-90-4399", used_as_tax_id=True, reason="no_ein"
    )
    assert (number.sealed_tax_identifier, bool(number.sealed_ssn)) == (None, True)
    assert not Token.objects.filter(record=number.pk).exists()
    assert opened(number, "ssn") == "536-90-4399"


def test_an_ssn_does_not_slip_in_as_a_tax_id_or_in_a_note() -> None:
    alice = factories.customer()
    with pytest.raises(ValidationError):
        set_number(alice, carol("accounting"), value="536-90-4399")
    with pytest.raises(ValidationError):
        write(body="my ssn is 536-90-4399")


def test_other_departments_neither_set_nor_see_an_ssn() -> None:
    alice = factories.customer()
    for role in ("sales", "service"):
        with pytest.raises(PermissionDenied):
            set_number(alice, carol(role), kind="ssn", value="536-90-4399", used_as_tax_id=True, reason="no_ein")
    number = factories.ssn(alice)
    with gate.acting(carol("sales", "service")):
        assert isinstance(TaxIdentifier.objects.get(pk=number.pk).ssn, vault.Masked)


def test_the_database_itself_refuses_an_ssn_without_flag_or_reason() -> None:
    number = factories.ssn(factories.customer())
    for change in ({"used_as_tax_id": False}, {"reason": ""}, {"kind": "tax_id"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            TaxIdentifier.objects.filter(pk=number.pk).update(**change)


def test_a_canary_ssn_is_not_in_the_row() -> None:
    factories.ssn(factories.customer())
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM accounts_taxidentifier t")
        row = cursor.fetchone()[0]
    assert "4399" not in row
    assert b"4399".hex() not in row


# --- freight accounts, companies -------------------------------------------------------------------------------------


def test_a_freight_account_is_kept_but_no_card_number_in_its_place() -> None:
    alice = factories.customer()
    account = services.add_freight_account(
        alice, number="10-4020-000676", added_on=TODAY, actor=carol("sales"), now=NOW, carrier="Parcel Express"
    )
    assert opened(account, "number") == "10-4020-000676"
    with pytest.raises(ValidationError):
        services.add_freight_account(alice, number="4111 1111 1111 1111", added_on=TODAY, actor=carol("sales"), now=NOW)


def test_a_company_is_no_person_but_a_sole_trader_is() -> None:
    firm = services.create_company(actor=carol("sales"), now=NOW, name="Lumen Works")
    trader = services.create_company(actor=carol("sales"), now=NOW, name="Ann Lamp Repair", is_sole_trader=True)
    assert (firm.subject_id, firm.vault_owner()) == (None, ("company", firm.pk))
    assert trader.vault_owner() == ("subject", trader.subject_id)
