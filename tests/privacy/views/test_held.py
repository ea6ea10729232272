"""What we hold is read by people: by part of life, in words, each record with what stands inside of it."""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import countries
from accounts.models import Customer, User
from orders.models import OrderLine
from privacy import datamap, vault
from privacy.datamap import Life
from rma import services as rmas
from rma.models import RMA
from tests import factories, pages
from tests.factories import TASK, a_product, an_order, an_rma, moved, noon

pytestmark = pytest.mark.django_db
UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SINCE = date(2026, 11, 2)


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice)


@pytest.fixture
def hers(alice: User, customer: Customer) -> Client:
    return pages.signed_in(alice, again=True)


def read(browser: Client, path: str = "/privacy/held/") -> str:
    return re.sub(r"\s*(</?d[dt]>)\s*", r"\1", " ".join(pages.check(browser.get(path)).split()))


def visible(text: str) -> str:
    """What the main part of a page says, without its tags."""
    main = text.split("<main", 1)[1].split("</main>", 1)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def a_rich_life(customer: Customer) -> None:
    """An order with everything inside, a return with a certificate, messages, a company's data, a request."""
    order = an_order(customer, SINCE, invoiced=SINCE, shipped=SINCE, paid=SINCE)
    rma = moved(an_rma(customer, SINCE, serial="ILT2400-0007"), "authorised", "in_transit", "received", on=SINCE)
    rma = moved(rma, "in_service", "verified", on=SINCE)
    rmas.issue_certificate(
        rma,
        procedure="ILT-CP-101",
        calibrated_on=SINCE,
        results=[{"quantity": "dark_current", "unit": "pA", "as_found": "2.1", "as_left": "1.9", "uncertainty": "0.1"}],
        actor=TASK,
        now=noon(SINCE),
    )
    factories.address(customer)
    factories.communication(customer)
    factories.freight_account(customer)
    assert order.number


def test_records_are_grouped_by_part_of_life_in_the_order_of_the_data_map(hers: Client, customer: Customer) -> None:
    a_rich_life(customer)
    hers.post("/privacy/requests/new/access/")
    text = read(hers)
    places = [text.index(f'<h2 id="{life.value}">') for life in Life]
    assert places == sorted(places)


def test_lines_invoice_and_payment_stand_inside_of_their_order(hers: Client, customer: Customer) -> None:
    a_rich_life(customer)
    text = read(hers)
    order = text[text.index('<h2 id="orders">') : text.index('<h2 id="returns">')]
    assert order.count('<details class="record">') == 1
    for part in (
        '<caption class="part">Line</caption>',
        "Invoice",
        "Payment",
        "USD 1,495.00",
        "2 November 2026",
        "Complete",
    ):
        assert part in order, part
    returned = text[text.index('<h2 id="returns">') : text.index('<h2 id="messages">')]
    for part in ("ILT2400-0007", "Calibration certificate", "Dark current: as found 2.1 pA, as left 1.9 pA"):
        assert part in returned, part


def test_nothing_on_the_page_is_written_for_programs(hers: Client, customer: Customer) -> None:
    a_rich_life(customer)
    hers.post("/privacy/requests/new/access/")
    said = visible(read(hers))
    assert not UUIDS.findall(said)
    for label in (one.label for one in datamap.declarations()):
        assert f" {label} " not in said, label
    for form in (
        r"\{'",
        r"\{\"",
        r"\bNone\b",
        r"\d\d:\d\d:\d\d",
        r"\d{4}-\d\d-\d\d",
        r"\.0000\b",
        r"\bTrue\b|\bFalse\b",
        "_",
    ):
        assert not re.search(form, said), (form, re.findall(f".{{40}}{form}.{{40}}", said)[:3])


def test_countries_are_said_in_words(hers: Client, customer: Customer) -> None:
    an_order(customer, SINCE, ship_country="DE")
    text = read(hers)
    assert "<br>Germany</dd>" in text and f"<br>{countries.name_of('US')}</dd>" in text
    assert not re.search(r">(DE|US)</dd>", text)


def test_an_address_is_read_as_one_block_and_says_once_that_it_was_erased(hers: Client, customer: Customer) -> None:
    order = an_order(customer, SINCE, ship_country="DE")
    text = read(hers)
    block = "Alice Whitfield<br>14 Harbor View Road<br>Gloucester MA 01930<br>Germany"
    assert f"<dt>Delivery to</dt><dd>{block}</dd>" in text
    assert "<dt>Street for delivery</dt>" not in text
    vault.keys.destroy([(order.pk, "fulfilment")], now=factories.NOW)
    text = read(hers)
    assert text.count("erased on") == 1
    assert re.search(r"<dt>Delivery and contact of an order</dt><dd>erased on [^<]*</dd>", text)
    assert "<dt>Country of delivery</dt><dd>Germany</dd>" in text and "<dt>Delivery to</dt>" not in text
    assert "<dt>Delivery notes</dt>" not in text
    vault.keys.destroy([(order.pk, "order")], now=factories.NOW)
    text = read(hers)
    assert re.search(r"<dt>Names and address on an invoice</dt><dd>erased on [^<]*</dd>", text)
    assert "<dt>Country on the invoice</dt><dd>United States</dd>" in text and "<dt>On the invoice</dt>" not in text
    assert "<dt>Total</dt>" in text, "the order itself is not erased, and not called so"


def test_a_link_to_somebody_elses_record_gives_no_number(hers: Client, customer: Customer) -> None:
    bobs = an_order(factories.customer("Bob", "Baker", email="bob@example.com"), SINCE)
    hers_too = an_order(customer, SINCE)
    theirs, own = an_rma(customer, SINCE), an_rma(customer, SINCE)
    type(theirs).objects.filter(pk=theirs.pk).update(order=bobs)
    type(own).objects.filter(pk=own.pk).update(order=hers_too)
    text = read(hers)
    assert f"<dt>With which order it was bought</dt><dd>{hers_too.number}</dd>" in text
    assert bobs.number not in text


def queries(browser: Client, path: str = "/privacy/held/") -> tuple[int, int]:
    browser.get(path)
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        assert browser.get(path).status_code == 200
    return len(main), len(keys)


def test_with_a_dozen_orders_more_it_costs_what_it_costs_with_one(hers: Client, customer: Customer) -> None:
    a_rich_life(customer)
    for _ in range(3):  # looking leaves entries in the log of who looked, which is held as well
        hers.get("/privacy/held/")
    one = queries(hers)
    for _ in range(12):
        an_order(customer, SINCE, invoiced=SINCE, shipped=SINCE, paid=SINCE)
    assert queries(hers) == one
    assert one[1] <= 7, "one question about all keys of the page, and few about whose a login and its person are"


def test_the_newest_are_chosen_before_anything_is_read_with_them(hers: Client, customer: Customer) -> None:
    for day in range(1, 15):
        order = an_order(customer, date(2026, 9, day))
        RMA.objects.filter(pk=an_rma(customer, date(2026, 9, day)).pk).update(order=order)
    for path, few in (("/privacy/held/", "LIMIT 3"), ("/privacy/held/rma.rma/?page=2", "LIMIT 4 OFFSET 10")):
        hers.get(path)
        with CaptureQueriesContext(connections["default"]) as main:
            text = read(hers, path)
        (of_returns,) = [one["sql"] for one in main if one["sql"].startswith('SELECT "rma_rma"')]
        chosen = of_returns.partition(" IN (SELECT ")[2]
        assert few in chosen and 'JOIN "orders_order"' not in chosen, of_returns
        assert 'JOIN "orders_order"' in of_returns.partition(" IN (SELECT ")[0]
        numbers = list(RMA.objects.order_by("-opened_on", "-pk").values_list("number", flat=True))
        shown, others = (numbers[:3], numbers[3:]) if few == "LIMIT 3" else (numbers[10:], numbers[:10])
        places = [text.index(number) for number in shown]
        assert places == sorted(places) and not [number for number in others if number in text]


def test_the_page_of_one_kind_costs_the_same_on_every_page(hers: Client, customer: Customer) -> None:
    for _ in range(11):
        an_order(customer, SINCE, invoiced=SINCE, shipped=SINCE, paid=SINCE)
    path = "/privacy/held/orders.order/"
    ten, eleventh = queries(hers, path), queries(hers, f"{path}?page=2")
    assert ten == eleventh


def test_of_very_many_lines_the_page_shows_some_and_leads_to_all(hers: Client, customer: Customer) -> None:
    order = an_order(customer, SINCE)
    product = a_product()
    OrderLine.objects.bulk_create(
        OrderLine(order=order, position=at, product=product, description=f"Thing {at}", quantity=1, unit_price=1)
        for at in range(2, 61)
    )
    text = read(hers)
    assert "Thing 20" in text and "Thing 21" not in text
    assert "All lines of orders (60 here)" in text
    assert "Thing 2" in read(hers, "/privacy/held/orders.orderline/?page=2")


def test_the_newest_orders_come_first(hers: Client, customer: Customer) -> None:
    made = [an_order(customer, date(2026, month, 2)).number for month in (3, 9, 1, 7)]
    text = read(hers)
    assert made[2] not in text, "the oldest of four is on a page of its own"
    assert text.index(made[1]) < text.index(made[3]) < text.index(made[0])


def test_everything_that_leads_to_a_person_has_its_part_of_life(db: Any) -> None:
    for one in datamap.declarations():
        assert (one.life is None) == (one.subject_path is None), one.label


def test_a_stranger_reads_none_of_it(customer: Customer) -> None:
    a_rich_life(customer)
    text = visible(read(pages.signed_in(factories.login("bob", "bob@example.com"), again=True)))
    assert "ILT2400-0007" not in text and "Archer" not in text and isinstance(customer.pk, UUID)
