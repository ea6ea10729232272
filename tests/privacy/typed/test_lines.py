"""One line is one line: no field of one line takes a line break in, by whatever door."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts import services
from accounts.imports import COLUMNS, import_customers
from accounts.models import Address, Customer
from orders.importfile import LINE_COLUMNS, ORDER_COLUMNS
from orders.imports import import_orders
from orders.models import Order
from privacy import datamap, vault
from privacy.gate import Actor
from privacy.typed.lines import LineField, on_one_line, one_line
from privacy.vault import EncryptedTextField
from tests import factories
from tests.factories import TASK, a_customer
from tests.orders.test_imports import LINE, NOW, ORDER

BREAKS = ["\n", "\r", "\r\n", "\t", "\v", "\f", "\x00", "\x1b", "\x1c", "\x7f", "\x85", "\u2028", "\u2029"]
HIDDEN = [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200b", "\u2060", "\ufeff"]
OPERATOR = Actor("operator", "test", None, frozenset({"system:import"}), "import")


@pytest.mark.parametrize("char", [*BREAKS, *HIDDEN])
def test_every_line_of_every_model_refuses_every_break(char: str) -> None:
    lines = [
        field
        for model in datamap.installed_models()
        for field in [*model._meta.private_fields, *model._meta.concrete_fields]
        if isinstance(field, LineField) or (isinstance(field, EncryptedTextField) and field.is_line)
    ]
    assert len(lines) > 60
    for field in lines:
        with pytest.raises(ValidationError):
            field.run_validators(f"Unit 5{char}Ben Second")
        assert one_line in field.validators, field


def test_one_line_takes_what_people_write() -> None:
    for text in (
        'Ångström 3" (left) · naïve',
        "李小龍",
        "محمد",
        "Unit 5, \u200fFlat 3",
        "a\u00a0b",
        "O’Brien–Smith",
        "می\u200cخواهم",
        "क्\u200dष",
    ):
        one_line(text)
        assert on_one_line(text) == text


def test_a_text_of_before_loses_what_is_hidden_in_it() -> None:
    assert on_one_line("\ufeffAl\u200bice\u202e Archer\nSecond") == "Alice Archer Second"


@pytest.mark.parametrize("char", ["\n", "\u2028", "\x85"])
def test_the_vault_seals_no_break_in_one_line_even_past_the_validators(db: None, char: str) -> None:
    customer = a_customer()
    with vault.internal(), pytest.raises(ValidationError):
        Address.objects.create(customer=customer, street=f"Unit 5{char}Ben Second", country="US")
    with vault.internal(), pytest.raises(ValidationError):
        Address.objects.bulk_create([Address(customer=customer, street=f"Unit 5{char}Ben Second", country="US")])
    assert not Address.objects.exists()
    customer.last_name = f"Archer{char}Second"
    with vault.internal(), pytest.raises(ValidationError):
        customer.save()
    message = factories.communication(customer, body=f"Two lines{char}are right here.")
    with vault.internal():
        assert char in message.body


def test_a_service_refuses_a_line_break(db: None) -> None:
    with pytest.raises(ValidationError):
        services.create_customer(actor=OPERATOR, now=factories.NOW, since=factories.NOW.date(), last_name="A\u2028B")
    assert not Customer.objects.exists()


def quoted(path: Path, columns: tuple[str, ...], *rows: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


PERSON = dict.fromkeys(COLUMNS, "") | {
    "last_name": "Person", "street": "1 Main St", "city": "Peabody", "region": "MA", "postal_code": "01960",
    "country": "US", "marketing_opt_in": "no", "since": "2026-01-15",
}  # fmt: skip
STRAY = """\
FXQ0,,,Zoe,Zero,zoe@example.com,,1 Main St,,Peabody,MA,01960,US,no,2026-01-15
FXQ1,,,Ada,First,ada@example.com,,"Unit 5,,Peabody,MA,01960,US,no,2026-01-15
FXQ2,,,Cy,Third,cy@example.com,,2 Main St,,Peabody,MA,01960,US,no,2026-01-15
FXQ3,,,Ben,Second,ben.second@example.com,978-555-0142,Flat 3",,Peabody,MA,01960,US,no,2026-01-15
FXQ4,,,Dee,Fourth,dee@example.com,,3 Main St,,Peabody,MA,01960,US,no,2026-01-15
"""


@pytest.mark.django_db(databases="__all__")
def test_a_stray_quote_puts_nobodys_data_into_anybodys_street(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(",".join(COLUMNS) + "\n" + STRAY)
    refused = import_customers(path, actor=OPERATOR, now=NOW)
    assert [(one.line, one.column) for one in refused.errors] == [(3, ""), (5, "")]
    assert not Customer.objects.exists()
    report = import_customers(path, actor=OPERATOR, now=NOW, skip_bad=True)
    assert (report.created, len(report.errors)) == (3, 2)
    with vault.internal():
        assert sorted(str(one.street) for one in Address.objects.all()) == ["1 Main St", "2 Main St", "3 Main St"]


@pytest.mark.parametrize("char", ["\n", "\r\n", "\u2028", "\x85", "\v", "\x1e"])
@pytest.mark.django_db(databases="__all__")
def test_no_column_of_an_import_takes_a_line_break(tmp_path: Path, char: str) -> None:
    for column in COLUMNS:
        row = PERSON | {"customer_ref": "FX1"}
        path = quoted(tmp_path / "c.csv", COLUMNS, row | {column: f"{row[column]}{char}Second"})
        assert import_customers(path, actor=OPERATOR, now=NOW).errors, column
    customer = a_customer(ORDER["customer_ref"])
    for columns, of_orders in ((ORDER_COLUMNS, True), (LINE_COLUMNS, False)):
        for column in columns:
            order, line = dict(ORDER), dict(LINE)
            (order if of_orders else line)[column] += f"{char}Second"
            report = import_orders(
                quoted(tmp_path / "o.csv", ORDER_COLUMNS, order), quoted(tmp_path / "l.csv", LINE_COLUMNS, line),
                actor=TASK, now=NOW,
            )  # fmt: skip
            assert report.errors and not report.is_written, column
    assert Customer.objects.get() == customer
    assert not Order.objects.exists()


@pytest.mark.django_db(databases="__all__")
def test_an_import_leaves_out_what_cannot_be_seen_and_says_where(tmp_path: Path) -> None:
    row = PERSON | {
        "customer_ref": "FX1",
        "first_name": "Wi\u200bdth",
        "last_name": "\u202eZero",
        "city": "Peabody\u2060",
    }
    report = import_customers(quoted(tmp_path / "c.csv", COLUMNS, row), actor=OPERATOR, now=NOW)
    assert [(one.line, one.column) for one in report.notices] == [(2, "first_name"), (2, "last_name"), (2, "city")]
    with vault.internal():
        customer = Customer.objects.get()
        assert (customer.first_name, customer.last_name, customer.addresses.get().city) == ("Width", "Zero", "Peabody")


def test_a_form_refuses_a_line_break_with_a_sentence(db: None, client: Any) -> None:
    from accounts.forms import AddressForm

    form = AddressForm({"purpose": "billing", "street": "Unit 5\u2028Ben", "city": "Salem", "country": "US"})
    assert not form.is_valid()
    assert "This is one line" in str(form.errors["street"])
