"""A telephone number comes in as it is typed, by form, desk and file, and is found in whatever spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from accounts import people, spoiled
from accounts.forms import ContactForm
from accounts.models import Customer
from privacy import vault
from privacy.admin.proving import CalledBack
from rma.forms import NewRMAForm
from tests import factories
from tests.accounts.test_imports import ALICE, file_of, take
from tests.factories import NOW

MOBILE = "+4915112345009"  # with the check digit of a card
SPELT = [MOBILE, "0049 1511 2345009", "+49 (0)1511/2345009", "\u202a+49 1511 2345009\u202c", "01511\u00a02345009 #3"]
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize("form", [ContactForm, NewRMAForm])
def test_forms_take_every_spelling_and_no_card_number(form: type) -> None:
    field = form.base_fields["phone"]
    for spelt in SPELT:
        assert field.clean(spelt) == spelt.strip("\u202a\u202c")
    for wrong in (CARD, f"+{CARD}", f"{MOBILE} {CARD}", "1.97882E+09"):
        with pytest.raises(ValidationError):
            field.clean(wrong)


def test_the_desk_takes_them_on_every_record_and_as_the_number_that_was_called() -> None:
    field = Customer._meta.get_field("phone")
    for spelt in SPELT:
        assert field.clean(spelt, None) == field.formfield().clean(spelt) == spelt.strip("\u202a\u202c")
    called = CalledBack.base_fields["number"]  # type: ignore[attr-defined]
    assert called.clean(MOBILE) == MOBILE
    with pytest.raises(ValidationError):
        called.clean(CARD)


def test_what_a_spreadsheet_made_of_a_number_is_said_in_one_sentence() -> None:
    for wrong in ("4.93E+12", "1,97882E+09", "4.93151E+12"):
        with pytest.raises(ValidationError) as refused:
            Customer._meta.get_field("phone").clean(wrong, None)
        assert refused.value.messages == [spoiled.DIGITS_GONE]


@pytest.mark.django_db(databases="__all__")
def test_numbers_of_a_file_come_in_as_they_are_and_are_found_in_every_spelling(tmp_path: Path) -> None:
    rows = [
        ALICE | {"customer_ref": f"DE{place}", "email": f"p{place}@post.example", "country": "DE", "phone": spelt}
        for place, spelt in enumerate(SPELT)
    ]
    report = take(file_of(tmp_path, *rows))
    assert (report.created, report.errors) == (len(SPELT), [])
    for spelt in SPELT:
        found = Customer.objects.find("customer.phone", spelt)
        assert set(found.values_list("reference", flat=True)) == {row["customer_ref"] for row in rows}, spelt
    assert not Customer.objects.find("customer.phone", "+49 1511 2345008")
    with vault.internal():
        assert {one.phone for one in Customer.objects.all()} == {spelt.strip("\u202a\u202c") for spelt in SPELT}


@pytest.mark.django_db(databases="__all__")
def test_a_card_number_in_the_columns_of_numbers_is_refused_as_before(tmp_path: Path) -> None:
    for column in ("phone", "customer_ref", "email", "street"):
        value = "4111111111111111@post.example" if column == "email" else CARD.replace(" ", "")
        report = take(file_of(tmp_path, ALICE | {column: value}))
        assert (column, True) in [(one.column, "payment card number" in one.reason) for one in report.errors]
    # and so is a mobile number anywhere else
    assert [one.column for one in take(file_of(tmp_path, ALICE | {"street": MOBILE})).errors] == ["street"]


@pytest.mark.django_db(databases="__all__")
def test_thirteen_digits_are_the_number_of_a_customer(tmp_path: Path) -> None:
    report = take(file_of(tmp_path, ALICE | {"customer_ref": "5712345678903"}))
    assert (report.created, report.errors) == (1, [])
    assert Customer.objects.get().reference == "5712345678903"


@pytest.mark.django_db(databases="__all__")
def test_a_call_back_to_another_country_is_none_to_the_number_on_file() -> None:
    bob = factories.customer("Bob", email="bob@post.example", phone="01511 2345009", country="DE")
    for number, is_on_file in (("+49 1511 2345009", True), ("0151 12345009", True), ("+43 1511 2345009", False)):
        assert people.called(bob.subject_id, number, NOW) is is_on_file, number
