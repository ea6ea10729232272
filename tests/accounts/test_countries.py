"""Only ISO 3166-1 codes come in, at every door; what earlier versions took in is put right where it is certain."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import models

from accounts import corrections, countries, services, upgrades, validators
from accounts.forms import AddressForm
from accounts.models import Address, Customer
from ilt_site.management.commands import prepare
from privacy.audit.models import AuditEvent
from privacy.gate import Actor
from privacy.requests import bound
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import OPERATOR, filed
from tests.factories import NOW, an_order

# The codes that look right and are none: what the European Union writes, reserved, dissolved, of nobody.
NONE_OF_THEM = ("UK", "EL", "XK", "AN", "SU", "ZZ", "de", "USA", "Germany", "", "D", "ＤＥ")


def test_the_list_is_the_standards() -> None:
    assert len(countries.NAMES) == 249 and {"AX", "BQ", "RE", "SS"} <= set(countries.NAMES)
    assert countries.CHOICES[0] == ("", "Choose a country")
    assert dict(countries.CHOICES[1:]) == countries.NAMES


@pytest.mark.parametrize("code", NONE_OF_THEM)
def test_a_code_of_no_country_is_refused(code: str) -> None:
    with pytest.raises(ValidationError):
        validators.validate_country(code)


def test_every_code_of_the_list_is_taken_and_found_by_code_and_by_name() -> None:
    for code, name in countries.NAMES.items():
        validators.validate_country(code)
        assert (countries.find(code.lower()), countries.find(name)) == (code, code)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("UK", "Use the two-letter code GB for United Kingdom."),
        ("EL", "Use the two-letter code GR for Greece."),
        ("de", "Use the two-letter code DE for Germany."),
        ("Deutschland", "Use the two-letter code DE for Germany."),
        ("turkey", "Use the two-letter code TR for Türkiye."),
        ("Cote d’Ivoire", "Use the two-letter code CI for Côte d'Ivoire."),
        ("United States of America", "Use the two-letter code US for United States."),
        ("USA", "Use the two-letter code US for United States."),
        ("XK", "Use the two-letter code of a country (ISO 3166-1)."),
        ("Nowhere", "Use the two-letter code of a country (ISO 3166-1)."),
    ],
)
def test_what_is_spelt_otherwise_is_told_the_code(written: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validators.validate_country(written)
    assert refused.value.messages == [says]


@pytest.mark.parametrize("code", ["UK", "EL", "ZZ"])
def test_every_door_refuses_it(db: None, code: str) -> None:
    alice = factories.customer("Alice", "Archer", country="DE")
    erin = Actor("staff", "erin", None, frozenset({"sales", "accounting"}), "work")
    place = {"street": "1 Quay", "city": "Kiel"}
    doors = (
        lambda: services.create_customer(actor=erin, now=NOW, since=NOW.date(), last_name="Bell", country=code),
        lambda: corrections.correct(alice, {"country": code}, actor=erin, now=NOW),
        lambda: services.add_address(alice, purpose="shipping", country=code, actor=erin, now=NOW, **place),
        lambda: services.set_tax_identifier(alice, kind="tax_id", value="X-1", country=code, actor=erin, now=NOW),
    )
    for door in doors:
        with pytest.raises(ValidationError):
            door()
    form = AddressForm({"purpose": "shipping", "country": code, **place})
    assert not form.is_valid() and "country" in form.errors
    alice.refresh_from_db()
    assert alice.country == "DE" and not Address.objects.exists()


def test_every_column_of_a_country_is_known_by_its_validator() -> None:
    found = {(model._meta.label_lower, name) for model, name in upgrades.country_columns()}
    assert found == {
        ("accounts.company", "country"),
        ("accounts.customer", "country"),
        ("accounts.address", "country"),
        ("accounts.taxidentifier", "country"),
        ("orders.order", "ship_country"),
        ("orders.order", "invoice_country"),
        ("rma.rma", "return_country"),
        ("privacy.request", "country"),
    }


def of_before(record: Any, **codes: str) -> Any:
    """Put codes where earlier versions took them in."""
    models.QuerySet(type(record)).filter(pk=record.pk).update(**codes)
    if isinstance(record, Request):
        bound.sign(record.pk)
    return record


def test_what_is_certain_is_put_right_once_and_the_rest_is_named(db: None) -> None:
    alice = of_before(factories.customer("Alice", "Archer"), country="UK")
    bob = of_before(factories.customer("Bob", "Baker", email="bob@example.com"), country="ZZ")
    firm = of_before(factories.company(), country="el")
    address = of_before(factories.address(alice), country="de")
    order = of_before(an_order(alice), ship_country="UK", invoice_country="EL")
    asked = of_before(filed(alice), country="UK")
    assert [one.id for one in upgrades.countries_left(databases=["default"])] == ["accounts.W003"]

    assert upgrades.settle_countries(actor=OPERATOR, now=NOW) == 6
    assert upgrades.settle_countries(actor=OPERATOR, now=NOW) == 0

    for record in (alice, bob, firm, address, order, asked):
        record.refresh_from_db()
    assert (alice.country, bob.country, firm.country, address.country) == ("GB", "ZZ", "GR", "DE")
    assert (order.ship_country, order.invoice_country, asked.country) == ("GB", "GR", "GB")
    assert bound.is_ours(asked), "whose law it is stands under the keyed hash"
    noted = AuditEvent.objects.filter(action="countries.settled").order_by("pk")
    assert noted.count() == 6
    assert [(one.subject, one.reason) for one in noted if one.fields == ["orders.order.ship_country"]] == [
        ("", "UK became GB in 1 rows")
    ]
    assert upgrades.misspelt_countries() == [(Customer, "country", bob.pk, "ZZ")]
    (left,) = upgrades.countries_left(databases=["default"])
    assert "customers (country)." in left.msg
    of_before(bob, country="SE")
    assert upgrades.countries_left(databases=["default"]) == []


@pytest.mark.django_db(databases="__all__")
def test_prepare_says_how_many_it_put_right_and_how_many_are_left_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "call_command", lambda *args, **options: None)
    sure = of_before(factories.customer("Alice", "Archer"), country="EL")
    of_before(factories.customer("Bob", "Baker", email="bob@example.com"), country="AN")
    err = StringIO()
    call_command("prepare", stderr=err)
    assert "Countries put right: 1.\n" in err.getvalue()
    assert "1 country on file is none of ISO 3166-1. `countries` lists them, and takes the right one." in err.getvalue()
    sure.refresh_from_db()
    assert sure.country == "GR"


def listed(*words: str) -> str:
    out = StringIO()
    call_command("countries", *words, stdout=out)
    return out.getvalue()


def refused(*words: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as error:
        listed(*words)
    return error.value.returncode, str(error.value)


@pytest.mark.django_db(databases="__all__")
def test_an_operator_reads_which_countries_are_none_and_chooses_them_one_by_one() -> None:
    alice = factories.customer("Alice", "Archer", country="DE")
    address = of_before(factories.address(alice), country="XK")
    order = of_before(an_order(alice), ship_country="ZZ", invoice_country="ZZ")
    asked = of_before(filed(alice), country="AN")
    *lines, count = listed().splitlines()
    assert set(lines) == {
        f"accounts.address {address.pk}: XK in country",
        f"orders.order {order.pk}: ZZ in ship_country",
        f"orders.order {order.pk}: ZZ in invoice_country",
        f"privacy.request {asked.pk}: AN in country",
    }
    assert count == "4 countries on file are none of ISO 3166-1."
    number = ("orders.order", str(order.pk))
    assert "would be put" in listed(*number, "--to", "BR", "--dry-run")
    assert len(upgrades.misspelt_countries()) == 4, "a dry run changes nothing"
    assert listed(*number, "--to", "BR") == f"BR is put in ship_country, invoice_country of orders.order {order.pk}.\n"
    listed("privacy.request", str(asked.pk), "--to", "BR")
    listed("accounts.address", str(address.pk), "--to", "GR")
    for record in (address, order, asked):
        record.refresh_from_db()
    assert (address.country, order.ship_country, order.invoice_country, asked.country) == ("GR", "BR", "BR", "BR")
    assert bound.is_ours(asked) and listed() == "Every country on file is one.\n"
    event = AuditEvent.objects.filter(action="country.chosen").latest("pk")
    assert (event.actor_kind, event.reason) == ("operator", "XK became GR")
    assert AuditEvent.objects.filter(action="request.recounted").exists(), "Brazil gives 15 days"


@pytest.mark.django_db(databases="__all__")
def test_a_contact_that_is_read_by_the_country_counts_as_entered_when_an_operator_chooses_it() -> None:
    alice = of_before(factories.customer("Alice", "Archer", phone="978 555 0101"), country="ZZ")
    address = of_before(factories.address(alice), country="ZZ")
    listed("accounts.customer", str(alice.pk), "--to", "IN")
    listed("accounts.address", str(address.pk), "--to", "IN")
    came = dict(alice.contact_points.values_list("channel", "came"))
    assert came == {"email": "created", "phone": "staff", "post": "staff"}
    abroad = of_before(
        factories.customer("Bob", "Brown", email="bob@example.com", phone="+1 978 555 0101"), country="ZZ"
    )
    listed("accounts.customer", str(abroad.pk), "--to", "IN")
    assert {one.came for one in abroad.contact_points.all()} == {"created"}, "it says its country itself"


@pytest.mark.django_db(databases="__all__")
def test_a_country_that_is_one_is_not_changed_by_the_command_and_none_that_is_none_comes_in() -> None:
    alice = factories.customer("Alice", "Archer", country="DE")
    bob = of_before(factories.customer("Bob", "Baker", email="bob@example.com"), country="ZZ")
    assert refused("accounts.customer", str(alice.pk), "--to", "FR")[0] == 1
    assert refused("accounts.customer", "7", "--to", "FR")[0] == 1
    assert refused("no.such", str(bob.pk), "--to", "FR")[0] == 1
    assert refused("accounts.customer", str(bob.pk), "--to", "UK") == (
        2,
        "Use the two-letter code GB for United Kingdom.",
    )
    for words in (("accounts.customer",), ("accounts.customer", str(bob.pk)), ("--to", "FR"), ("--dry-run",)):
        assert refused(*words)[0] == 2
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.country, bob.country) == ("DE", "ZZ")


def test_the_back_office_lists_those_whose_country_is_to_be_chosen(db: None) -> None:
    alice = factories.customer("Alice", "Archer", country="DE")
    of_before(factories.address(alice), country="XK")
    bob = of_before(factories.customer("Bob", "Baker", email="bob@example.com"), country="ZZ")
    factories.customer("Carl", "Cole", email="carl@example.com", country="FR")
    order = of_before(an_order(alice), ship_country="ZZ")
    an_order(alice)
    browser = pages.signed_in(factories.staff())
    text = browser.get("/admin/accounts/customer/?country=none").text
    assert (alice.reference in text, bob.reference in text, text.count("field-reference")) == (True, True, 2)
    assert "is none, to be put right" in text
    text = browser.get("/admin/orders/order/?country=none").text
    assert order.number in text and text.count("field-number") == 1
    for path in ("accounts/company", "rma/rma"):
        assert browser.get(f"/admin/{path}/?country=none").status_code == 200
