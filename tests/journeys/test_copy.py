"""The copy holds every value of the file about the person, nothing of anybody else, and all of Art. 15(1)."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import Customer
from orders.models import Order
from privacy import gate
from privacy.requests import export
from tests import files
from tests.journeys import asking, importing

pytestmark = pytest.mark.django_db

PERSON = ("title", "first_name", "last_name", "email", "phone", "street", "street2", "city", "postal_code")
SHIP = ("ship_street", "ship_street2", "ship_city", "ship_postal_code", "placed_on", "shipped_on", "order_number")


@pytest.fixture
def everybody() -> None:
    importing.customers()
    importing.orders()


def copy_for(customer: Customer) -> zipfile.ZipFile:
    request = asking.ask(customer, "access")
    actor = gate.Actor("customer", "alice", customer.subject_id, frozenset({"customer"}), "own data")
    with gate.acting(actor):
        _, chunks = export.fetch(request, actor=actor, now=asking.NOW + timedelta(hours=1))
        return zipfile.ZipFile(io.BytesIO(b"".join(chunks)))


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [] if value is None else [str(value)]


def test_the_copy_is_whole_and_only_about_this_person(everybody: None) -> None:
    by_customer: dict[str, list[dict[str, str]]] = {}
    for row in files.rows(files.ORDERS):
        by_customer.setdefault(row["customer_ref"], []).append(row)
    people = files.rows(files.CUSTOMERS)
    # The person with the most orders, a contact of a company with a card on file, and one in
    # another alphabet's accents.
    chosen = [
        max(people, key=lambda row: len(by_customer.get(row["customer_ref"], []))),
        next(
            row
            for row in people
            if row["company"] and any(o["card_number"] for o in by_customer.get(row["customer_ref"], []))
        ),
        next(row for row in people if not row["first_name"].isascii() and row["customer_ref"] in by_customer),
    ]
    for row in chosen:
        archive = copy_for(Customer.objects.get(reference=row["customer_ref"]))
        data = json.loads(archive.read("data.json"))
        found = set(texts(data))
        own = [row[name] for name in PERSON if row[name]] + [row["customer_ref"], row["since"]]
        for order in by_customer[row["customer_ref"]]:
            own += [order[name] for name in SHIP if order[name]]
        missing = [place for place, value in enumerate(own) if value not in found]
        assert missing == []
        amounts = {text for text in found if re.fullmatch(r"-?\d+(\.\d+)?", text)}
        assert {Decimal(order["total"]) for order in by_customer[row["customer_ref"]]} <= {
            Decimal(one) for one in amounts
        }
        every_byte = b"\n".join(archive.read(name) for name in archive.namelist()).decode()
        for other in people:
            if other["customer_ref"] != row["customer_ref"]:
                assert other["customer_ref"] not in every_byte
                assert other["email"] not in every_byte
        cards = {order["card_number"] for order in by_customer[row["customer_ref"]]} - {""}
        assert not any(card in every_byte for card in cards)


def test_the_page_has_each_point_of_article_15(everybody: None) -> None:
    customer = Order.objects.exclude(customer__company=None).order_by("number").first().customer
    page = copy_for(customer).read("index.html").decode()
    parts = re.split(r'<h3 id="[a-z]+">\(([a-h])\) ', page)
    sections = {
        letter: re.sub(r"<[^>]+>", " ", text.split("<h3")[0]).lower()
        for letter, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert sorted(sections) == list("abcdefgh")
    for letter, words in {
        "a": ["deliver", "billing"],
        "b": ["address", "numbers that stand for you"],
        "c": ["carrier", "payment"],
        "d": ["31 december", "order"],
        "e": ["correct", "remov", "restrict", "object"],
        "f": ["complain"],
        "g": ["you", "ourselves"],
        "h": ["no other decision", "profile"],
    }.items():
        assert [word for word in words if word not in sections[letter]] == [], letter
    assert "<script" not in page


def test_the_tables_are_safe_to_open_in_a_spreadsheet(everybody: None) -> None:
    customer = Customer.objects.get(reference="C-1001")
    archive = copy_for(customer)
    tables = [name for name in archive.namelist() if name.endswith(".csv")]
    assert tables
    for name in tables:
        for row in csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))):
            assert not any(cell[:1] in "=+@\t\r" for cell in row if cell)
