"""Staff's search finds who is there, says when there are more, is written down, and tells the database nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from orders.models import Order
from privacy import gate
from privacy.admin import search
from privacy.audit import AuditEvent
from tests import factories
from tests.asked import PRIVACY
from tests.factories import a_customer, an_order, an_rma
from tests.privacy.admin.test_admin import COMPANY, CUSTOMER, MESSAGE, ORDER, RETURN, at_work, the_list

pytestmark = pytest.mark.django_db(databases="__all__")


def smiths(count: int) -> list[Customer]:
    """People of one last name with common first names; each is a person of their own."""
    made = [
        Customer(reference=f"S{n:06d}", first_name=("Alice", "Robert", "Maria")[n % 3], last_name="Smith",
                 subject=factories.subject(), since=date(2016, 1, 1))
        for n in range(count)
    ]  # fmt: skip
    Customer.objects.bulk_create(made)
    return made


def by_the_team(*args: Any, **more: Any) -> search.Found:
    """What the privacy team finds: nobody finds what they may not read."""
    with gate.acting(PRIVACY):
        return search.find(*args, **more)


def looked_for(browser: Any, text: str, names: str = CUSTOMER) -> Any:
    return browser.post(f"{the_list(names)}search/", {"q": text}, follow=True)


def test_a_person_is_found_among_a_thousand_of_the_same_last_name() -> None:
    wanted = a_customer("AW00029825", first_name="Zacharias", last_name="Smith")
    a_customer("AW00029826", first_name="Zacharias", last_name="Jones")
    smiths(1000)
    found = by_the_team(Customer, "Zacharias Smith")
    assert (found.ids, found.is_all) == ([wanted.pk], True)
    assert by_the_team(Customer, "smi zach").ids == [wanted.pk]
    order = an_order(wanted)
    assert by_the_team(Order, "zacharias smith", through=[("customer", Customer)]).ids == [order.pk]


@pytest.mark.parametrize(
    ("first", "last", "typed"),
    [
        ("Pat", "O'Brien", "obrien"),
        ("Ewa", "Łódź", "lodz"),
        ("", "王小明", "王"),
        ("Jens", "Sørensen", "jens sorensen"),
    ],
)
def test_a_clerk_finds_a_name_by_what_the_keyboard_has(
    first: str, last: str, typed: str, django_assert_num_queries: Any
) -> None:
    wanted = a_customer("AW00029825", first_name=first, last_name=last)
    a_customer("AW00029826", first_name="Bob", last_name="Marlow")
    with django_assert_num_queries(3, using="keystore"):
        assert by_the_team(Customer, typed).ids == [wanted.pk]


def test_more_than_are_shown_are_said_to_be_more() -> None:
    smiths(search.CAP)
    carol = at_work("sales")
    whole = looked_for(carol, "smith")
    assert f"{search.CAP} found." in whole.text
    a_customer("S9", first_name="Alice", last_name="Smith")
    more = looked_for(carol, "smith")
    assert f"More records match than the {search.CAP} that are shown" in more.text
    assert "found." not in more.text.partition('role="status"')[2].partition("</p>")[0]


@pytest.mark.parametrize("text", ["Whitfield", "alice@post.example", "+1 978 555 0101"])
def test_without_the_undertaking_nothing_is_searched(text: str) -> None:
    a_customer(email="alice@post.example", phone="+1 978 555 0101")
    before = looked_for(at_work("sales", acknowledged=False), text)
    assert "Sign the confidentiality acknowledgement first" in before.text
    assert 'class="found"' not in before.text
    assert not AuditEvent.objects.filter(action="records.searched").exists()
    assert "1 found." in looked_for(at_work("sales"), text).text


def test_each_search_is_in_the_audit_without_what_was_typed() -> None:
    alice = a_customer("AW00029825", email="alice@post.example", phone="+1 978 555 0101")
    order = an_order(alice)
    carol = at_work("sales")
    for text, names in (("Whitfield", CUSTOMER), ("alice@post.example", CUSTOMER), ("978 555 0101", CUSTOMER),
                        (order.number, ORDER), ("nobody", CUSTOMER)):  # fmt: skip
        looked_for(carol, text, names)
    events = AuditEvent.objects.filter(action="records.searched").order_by("pk")
    assert [(event.role, event.fields, event.reason) for event in events] == [
        ("sales", ["name"], "accounts.customer: 1 found"),
        ("sales", ["e-mail"], "accounts.customer: 1 found"),
        ("sales", ["phone"], "accounts.customer: 1 found"),
        ("sales", ["number"], "orders.order: 1 found"),
        ("sales", ["name"], "accounts.customer: 0 found"),
    ]
    assert len({event.actor for event in events}) == 1
    assert "Whitfield" not in str(list(events.values()))


TYPED = (
    "Whitfield", "Alice Whitfield", "alice@post.example", "9785550101", "978-555-0101", "+19785550101",
    "14 Harbor View Road", "O'Brien", "x' OR '1'='1",
)  # fmt: skip


@pytest.mark.parametrize("names", [CUSTOMER, ORDER, RETURN])
def test_what_identifies_somebody_stands_in_no_statement(names: str) -> None:
    alice = a_customer("AW00029825", email="alice@post.example", phone="978-555-0101")
    an_order(alice)
    an_rma(alice)
    carol = at_work("sales", "service")
    for text in TYPED:
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            looked_for(carol, text, names)
        asked = "\n".join(one["sql"] for one in [*main.captured_queries, *keys.captured_queries]).casefold()
        assert "vault_token" in asked, text
        for part in {text, *text.split()}:
            assert len(part) < 4 or part.casefold() not in asked, part


def test_a_switchboard_and_the_phone_on_a_message_are_found() -> None:
    company = factories.company(phone="+1 978 555 0140")
    factories.company("Other Works", phone="+1 978 555 0141")
    message = factories.communication(phone="+1 978 555 0142", contact_name="Dana Doe")
    factories.communication(phone="+1 978 555 0143")
    carol = at_work("sales")
    for names, text, record in ((COMPANY, "(978) 555-0140", company), (MESSAGE, "978.555.0142", message)):
        page = looked_for(carol, text, names).text
        assert "1 found." in page and str(record.pk) in page


def test_a_number_is_found_whole_or_by_its_beginning_and_a_serial_of_digits_too() -> None:
    alice = a_customer("AW00029825")
    returned = an_rma(alice, serial="20231234")
    carol = at_work("service", "sales")
    for text, names in (("AW00029825", CUSTOMER), ("aw000298", CUSTOMER), ("20231234", RETURN), ("202312", RETURN),
                        (returned.number, RETURN)):  # fmt: skip
        assert "1 found." in looked_for(carol, text, names).text, text
    assert "Nothing found" in looked_for(carol, "20239999", RETURN).text
