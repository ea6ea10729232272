"""A region is the code of a state or province where there is a list, and sealed everywhere else (C6)."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from accounts import corrections, countries, regions, services
from accounts.models import Address, Communication, Company, Customer
from orders.models import Order
from privacy import datamap, gate, vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.requests import archive, contents
from rma.models import RMA
from tests import factories, pages
from tests.accounts.test_imports import ALICE, file_of, take
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")

US = "Enter a state or territory of the United States by its name or code, such as Massachusetts or MA, or leave this empty."


USA = countries.name_of("US")


def seen(answer: Any) -> str:
    """What a reader of the page sees."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def plain(model: Any) -> set[str]:
    """Everything of a table that can be read without a key, but its random numbers."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(t)::text FROM {model._meta.db_table} t")
        rows = [json.loads(row) for (row,) in cursor.fetchall()]
    return {str(value) for row in rows for value in row.values() if value}


def opened(record: Any) -> Any:
    with vault.internal():
        return type(record).objects.get(pk=record.pk).region


def as_sales() -> Actor:
    return factories.staff(f"carol{Customer.objects.count()}", "c@ilt.example").as_actor()


# What people type ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "typed", "code"),
    [
        ("US", "MA", "MA"),
        ("US", "ma", "MA"),
        ("US", "Massachusetts", "MA"),
        ("US", "  massachusetts ", "MA"),
        ("US", "mass", "MA"),
        ("US", "Mass.", "MA"),
        ("US", "US-MA", "MA"),
        ("US", "N.H.", "NH"),
        ("US", "W. Va.", "WV"),
        ("US", "Washington, D.C.", "DC"),
        ("US", "puerto rico", "PR"),
        ("US", "AE", "AE"),
        ("CA", "Québec", "QC"),
        ("CA", "quebec", "QC"),
        ("CA", "Île-du-Prince-Édouard", "PE"),
        ("CA", "Newfoundland & Labrador", "NL"),
        ("CA", "CA-ON", "ON"),
        ("AU", "new south wales", "NSW"),
        ("AU", "AU-TAS", "TAS"),
        ("US", "Bavaria", ""),
        ("US", "ON", ""),
        ("CA", "US-MA", ""),
        ("AU", "", ""),
        ("DE", "MA", ""),
        ("", "MA", ""),
        ("US", "M" * 10_000, ""),
    ],
)
def test_names_codes_and_usual_abbreviations_are_understood(country: str, typed: str, code: str) -> None:
    assert regions.code(country, typed) == code


def test_the_lists_are_complete_and_no_spelling_means_two_of_them() -> None:
    assert {country: len(codes) for country, codes in regions.CODES.items()} == {"US": 60, "CA": 13, "AU": 8}
    for country, table in regions._TABLES.items():
        keys = [
            {regions._key(one) for one in (*line.strip().split("|"), f"{country}-{line.strip().split('|')[0]}")}
            for line in table.split("\n")
            if line.strip()
        ]
        assert sum(map(len, keys)) == len(set().union(*keys))


# Where it stands ----------------------------------------------------------------------------------------------------


def test_a_state_stands_as_its_code_and_opens_without_a_key() -> None:
    alice = factories.customer(region="Massachusetts")
    assert Customer.objects.get(pk=alice.pk).region == "MA"
    assert "MA" in plain(Customer) and "Massachusetts" not in plain(Customer)


@pytest.mark.parametrize("kind", ["customer", "company", "address"])
def test_a_region_of_another_country_is_sealed_with_the_city(kind: str) -> None:
    make = {
        "customer": lambda: factories.customer(country="DE", region="Bayern bei Herrn Mayer"),
        "company": lambda: factories.company(country="DE", region="Bayern bei Herrn Mayer"),
        "address": lambda: factories.address(factories.customer(), country="DE", region="Bayern bei Herrn Mayer"),
    }
    record = make[kind]()
    assert not any("Bayern" in value for value in plain(type(record)))
    assert opened(record) == "Bayern bei Herrn Mayer"
    assert isinstance(type(record).objects.get(pk=record.pk).region, vault.Masked)
    city_of = {Company: "city", Address: "city", Customer: "last_name"}[type(record)]
    meta = type(record)._meta
    assert datamap.sealed_in(meta.get_field("region")) == datamap.sealed_in(meta.get_field(city_of))


def test_a_region_is_saved_read_and_copied_like_any_other_field() -> None:
    alice = factories.customer(country="DE", region="Bayern")
    with vault.internal():
        one = Customer.objects.only("region").get(pk=alice.pk)
        assert one.region == "Bayern"
        one.country = "US"
        one.region = "vermont"
        one.save(update_fields=["country", "region"])
        again = Customer.objects.get(pk=alice.pk)
        assert (again.region, again.state, again.last_name) == ("VT", "VT", "Archer")
        again.country, again.region = "GB", "Kent"
        Customer.objects.bulk_update([again], ["country", "region"])
        again = Customer.objects.get(pk=alice.pk)
        assert (again.region, again.state) == ("Kent", "")
        copied = factories.address(again, region="Mass").duplicate()
        assert copied.region == "MA"
        again.refresh_from_db()
        assert again.region == "Kent"
    assert "Kent" not in plain(Customer)


# Doors --------------------------------------------------------------------------------------------------------------


def test_a_correction_writes_the_code_and_says_nothing_new_for_another_spelling() -> None:
    alice, carol = factories.customer(), as_sales()
    with pytest.raises(corrections.NothingToCorrect):
        corrections.correct(alice, {"region": "massachusetts"}, actor=carol, now=NOW)
    assert corrections.correct(alice, {"region": "New Hampshire"}, actor=carol, now=NOW) == ("region",)
    assert Customer.objects.get(pk=alice.pk).region == "NH"


def test_a_state_that_the_country_has_not_is_refused_with_one_sentence() -> None:
    alice, carol = factories.customer(), as_sales()
    with pytest.raises(ValidationError) as refused:
        corrections.correct(alice, {"region": "Bavaria"}, actor=carol, now=NOW)
    assert refused.value.message_dict == {"region": [US]}
    assert Customer.objects.get(pk=alice.pk).region == "MA"


def test_another_country_looks_at_the_region_again() -> None:
    alice, carol = factories.customer(), as_sales()
    assert corrections.correct(alice, {"country": "DE"}, actor=carol, now=NOW) == ("country",)
    assert Customer.objects.get(pk=alice.pk).state == "" and opened(alice) == "MA"
    alice = Customer.objects.get(pk=alice.pk)
    assert corrections.correct(alice, {"region": "Bayern"}, actor=carol, now=NOW) == ("region",)
    alice = Customer.objects.get(pk=alice.pk)
    with pytest.raises(ValidationError) as refused:
        corrections.correct(alice, {"country": "US"}, actor=carol, now=NOW)
    assert refused.value.message_dict == {"region": [US]}
    alice = Customer.objects.get(pk=alice.pk)
    corrections.correct(alice, {"region": "Ontario", "country": "CA"}, actor=carol, now=NOW)
    assert Customer.objects.get(pk=alice.pk).region == "ON" and "Bayern" not in plain(Customer)


def test_another_field_is_corrected_beside_a_region_of_before_that_no_list_knows() -> None:
    alice = factories.customer(region="North Shore")
    assert opened(alice) == "North Shore"
    corrections.correct(Customer.objects.get(pk=alice.pk), {"last_name": "Bell"}, actor=as_sales(), now=NOW)
    assert opened(alice) == "North Shore"


def test_the_portal_takes_a_name_and_says_beside_the_field_what_it_does_not_know() -> None:
    alice = factories.login()
    factories.customer(user=alice)
    browser = pages.signed_in(alice, again=True)
    form = browser.get("/account/details/edit/").context["form"]
    given = {name: value for name, value in form.initial.items() if value}
    text = pages.check(browser.post("/account/details/edit/", {**given, "region": "Bavaria"}))
    assert f'<a href="#id_region">{US}</a>' in text
    text = pages.check(browser.post("/account/details/edit/", {**given, "region": "new hampshire"}, follow=True))
    assert "Corrected" in text and "New Hampshire" in text and ">NH<" not in text


def test_an_address_takes_a_name_and_the_person_sees_a_sealed_region() -> None:
    alice = factories.login()
    factories.customer(user=alice)
    browser = pages.signed_in(alice, again=True)
    new = {"purpose": "shipping", "street": "5 Pine Road", "city": "Salem"}
    text = pages.check(browser.post("/account/addresses/new/", {**new, "country": "CA", "region": "Bavaria"}))
    assert "Enter a province or territory of Canada by its name or code" in text
    browser.post("/account/addresses/new/", {**new, "country": "CA", "region": "québec"})
    browser.post("/account/addresses/new/", {**new, "country": "DE", "region": "Bayern"})
    text = pages.check(browser.get("/account/details/"))
    assert "QC" in text and "Bayern" in text
    assert "Bayern" not in plain(Address)


def test_staff_are_told_beside_the_field_and_may_leave_one_of_before() -> None:
    carol = pages.signed_in(factories.staff())
    old = factories.company(region="North Shore")
    page = reverse("admin:accounts_company_change", args=[old.pk])
    same = {"name": "Lumen Works", "street": "1 Main Street", "city": "Peabody", "country": "US"}
    text = carol.post(page, {**same, "region": "South Shore"}).text
    assert US in text
    for text, said in (
        ("4242 4242 4242 4242", "This looks like a card number."),
        ("••••", "This is a mask, not a value."),
    ):
        assert said in carol.post(page, {**same, "country": "DE", "region": text}).text
    assert carol.post(page, {**same, "region": "North Shore", "city": "Salem"}).status_code == 302
    with vault.internal():
        one = Company.objects.get(pk=old.pk)
        assert (one.city, one.region) == ("Salem", "North Shore")
    assert carol.post(page, {**same, "city": "Salem", "region": "vt"}).status_code == 302
    assert Company.objects.get(pk=old.pk).state == "VT"
    models.QuerySet(Company).filter(pk=old.pk).update(state="North Shore")
    assert carol.post(page, {**same, "city": "Salem"}).status_code == 302
    assert opened(Company.objects.get(pk=old.pk)) == ""
    assert carol.post(page, {**same, "city": "Salem", "region": "vt"}).status_code == 302
    assert "Vermont" in carol.get(reverse("admin:accounts_company_changelist")).text


def test_an_import_takes_names_compares_by_code_and_names_the_line_it_cannot_take(tmp_path: Path) -> None:
    row = ALICE | {"region": "Massachusetts", "company": "Optics LLC"}
    german = ALICE | {"customer_ref": "AW00000009", "country": "DE", "region": "Bayern", "email": "g@example.com"}
    assert take(file_of(tmp_path, row, german)).created == 2
    assert take(file_of(tmp_path, row, german)).unchanged == 2
    assert Address.objects.get(customer__reference="AW00000001").region == "MA"
    assert Company.objects.get().region == "MA"
    for model in (Customer, Company, Address):
        assert not {"Bayern", "Massachusetts"} & plain(model)
    report = take(file_of(tmp_path, row | {"customer_ref": "AW00000008", "region": "Bavaria"}))
    assert [str(one) for one in report.errors] == [f"Line 2, region: {US}"]


def test_a_copy_tells_the_region_once() -> None:
    alice = factories.customer()
    factories.address(alice, country="DE", region="Bayern")
    with gate.acting(factories.acting_as(alice)):
        found = [row.values for kind in contents.kinds(alice.subject_id) for row in contents.rows(kind, {})]
    told = [value for values in found for title, value in values.items() if title == "State or region"]
    assert sorted(told) == ["Bayern", "MA"]
    assert not any("Code of the state or region" in values for values in found)


def test_people_read_the_names_of_countries_and_states_and_programs_are_told_that_they_get_codes() -> None:
    alice = factories.customer(user=factories.login(), region="MA", country="US")
    factories.address(alice, country="AU", region="WA")
    order = factories.an_order(alice, ship_country="CA", ship_region="qc")
    rma = factories.an_rma(alice, contact={**factories.CONTACT, "return_region": "MA"})
    desk = pages.signed_in(factories.staff(roles=("sales", "service")))
    customer = seen(desk.get(reverse("admin:accounts_customer_change", args=[alice.pk])))
    assert "Western Australia" in customer and "Australia" in customer
    listed = seen(desk.get(reverse("admin:accounts_customer_changelist")))
    assert USA in listed and " US " not in listed
    for record, names in ((order, ("Quebec", "Canada")), (rma, ("Massachusetts", USA))):
        url = reverse(f"admin:{record._meta.label_lower.replace('.', '_')}_change", args=[record.pk])
        text = seen(desk.get(url))
        assert all(name in text for name in ("State or region", "Phone number", *names)), record
        assert not any(f" {code} " in text for code in ("US", "CA", "MA", "qc", "ISO")), record
    theirs = pages.signed_in(alice.user)
    assert "Massachusetts" in seen(theirs.get("/account/details/"))
    assert "State or region Massachusetts" in seen(theirs.get("/privacy/held/"))
    heads = {
        archive._head(one)
        for declaration in datamap.declarations()
        if declaration.life is not None
        for one in contents._columns(declaration)
        if one.code
    }
    assert "Country (code of ISO 3166-1)" in heads and len(heads) > 7


def test_one_thing_has_one_name() -> None:
    """A state or province, and a phone number, are called by one name in the data map and in every form and list."""
    for declaration in datamap.declarations():
        for name, datum in declaration.data.items():
            if name.rpartition("_")[2] == "region":
                assert datum.title.startswith("State or region"), (declaration.label, name)
            if name.rpartition("_")[2] == "phone":
                assert datum.title.startswith("Phone number"), (declaration.label, name)
            assert not re.search("telephone|province|switchboard", datum.title, re.IGNORECASE), datum.title
    for model in (Customer, Company, Address):
        assert model._meta.get_field("region").verbose_name == "state or region"
    for sealed in (Customer, Company, Communication, Order, RMA):
        assert sealed._meta.get_field("phone").verbose_name == "phone number"


def test_the_audit_names_the_field_and_no_value() -> None:
    carol = as_sales()
    services.create_customer(
        actor=carol, now=NOW, since=date(2026, 11, 1), last_name="Archer", country="DE", region="Bayern"
    )
    event = AuditEvent.objects.get(action="customer.created")
    assert event.fields == ["country", "last_name", "region"] and "Bayern" not in str(vars(event))


def test_a_page_without_a_right_shows_the_code_and_covers_the_rest() -> None:
    mary, bert = factories.company(region="Maine"), factories.company("Werk", country="DE", region="Bayern")
    assert Company.objects.get(pk=mary.pk).region == "ME"
    assert isinstance(Company.objects.get(pk=bert.pk).region, vault.Masked)
    assert Client().get("/account/details/").status_code == 302
