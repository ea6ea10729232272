"""Alice's orders: hers and nobody else's, readable, and at the same cost however many there are."""

from datetime import date

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import Customer, User
from orders import services
from orders.models import Order, Payment
from privacy import vault
from tests import factories, pages
from tests.asked import outlived
from tests.factories import TASK, an_order, noon

pytestmark = pytest.mark.django_db

CARD = services.Card("tok_alice_2026", "Visa", "4242", "09/2027")


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice)


@pytest.fixture
def bob() -> User:
    return factories.login("bob", "bob@example.com")


@pytest.mark.parametrize("path", ["/orders/", "/orders/01890000-0000-7000-8000-000000000000/"])
def test_orders_need_a_login(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


def test_the_list_shows_number_day_state_and_total(alice: User, customer: Customer) -> None:
    order = an_order(customer, invoiced=date(2026, 11, 3))
    text = pages.check(pages.signed_in(alice).get("/orders/"))
    for part in (order.number, "2 November 2026", "Placed", "Not paid yet", "USD 1,495.00"):
        assert part in text


def test_somebody_without_orders_is_told_how_to_connect_earlier_ones(alice: User) -> None:
    text = pages.check(pages.signed_in(alice).get("/orders/"))
    assert "no orders under this account" in text and "/account/claim/" in text


def test_an_order_shows_lines_invoice_payment_and_delivery(alice: User, customer: Customer) -> None:
    order = an_order(customer, invoiced=date(2026, 11, 3), shipped=date(2026, 11, 4), paid=date(2026, 11, 5), card=CARD)
    text = pages.check(pages.signed_in(alice).get(f"/orders/{order.pk}/"))
    invoice = order.invoices.get()
    for part in ("Product ILT2400-A", invoice.number, "Visa ending in", "4242", "14 Harbor View Road", "Ring twice."):
        assert part in text
    assert CARD.token not in text and CARD.expiry not in text


def test_the_day_of_payment_is_not_given_as_the_day_of_the_refund(alice: User, customer: Customer) -> None:
    order = an_order(customer, invoiced=date(2026, 11, 3), paid=date(2026, 11, 5), card=CARD)
    services.cancel(order, actor=TASK, now=noon(date(2026, 11, 9)))
    text = pages.check(pages.signed_in(alice).get(f"/orders/{order.pk}/"))
    assert "refunded; it was paid on 5 November 2026." in " ".join(text.split())
    assert "refunded on" not in text


def test_bob_gets_404_for_an_order_of_alice_as_for_one_that_does_not_exist(bob: User, customer: Customer) -> None:
    order = an_order(customer)
    browser = pages.signed_in(bob)
    hers = browser.get(f"/orders/{order.pk}/")
    nobodys = browser.get("/orders/01890000-0000-7000-8000-000000000000/")
    assert pages.check(hers, status=404) == pages.check(nobodys, status=404)


def test_an_order_cannot_be_changed_here(alice: User, customer: Customer) -> None:
    order = an_order(customer)
    assert pages.signed_in(alice).post(f"/orders/{order.pk}/").status_code == 405


def test_what_was_removed_is_said_to_be_removed(alice: User, customer: Customer) -> None:
    order = an_order(customer)
    vault.keys.destroy([(order.pk, "fulfilment")], now=noon(date(2026, 11, 6)))
    text = pages.check(pages.signed_in(alice).get(f"/orders/{order.pk}/"))
    assert "erased on " in text
    assert "Ring twice." not in text


def test_bobs_values_stay_masked_even_if_the_page_forgets_to_narrow(
    bob: User, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = an_order(customer)
    monkeypatch.setattr(Order.objects.__class__, "for_subject", lambda self, subject: self.all())
    text = pages.check(pages.signed_in(bob).get(f"/orders/{order.pk}/"))
    assert "this page may not show it" in text
    assert "Harbor View" not in text and "Ring twice" not in text


def queries(browser: Client, path: str) -> int:
    browser.get(path)  # first use of the process: content types, session keys
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        assert browser.get(path).status_code == 200
    return len(main) + len(keys)


def test_a_list_of_30_orders_costs_as_many_queries_as_a_list_of_one(alice: User, customer: Customer) -> None:
    an_order(customer)
    browser = pages.signed_in(alice)
    one = queries(browser, "/orders/")
    for _ in range(29):
        an_order(customer)
    assert queries(browser, "/orders/") == one
    assert "Page 1 of 2" in browser.get("/orders/").text
    assert "page 2" in pages.title(browser.get("/orders/?page=2"))


def test_an_order_of_30_lines_costs_as_many_queries_as_one_of_a_line(alice: User, customer: Customer) -> None:
    small = an_order(customer, invoiced=date(2026, 11, 3), paid=date(2026, 11, 4), card=CARD)
    large = an_order(
        customer,
        invoiced=date(2026, 11, 3),
        paid=date(2026, 11, 4),
        card=CARD,
        items=[(f"SKU-{n}", 1) for n in range(30)],
    )
    assert Payment.objects.filter(order=large).exists()
    browser = pages.signed_in(alice)
    assert queries(browser, f"/orders/{small.pk}/") == queries(browser, f"/orders/{large.pk}/")


def test_of_a_card_whose_data_were_erased_the_order_says_when_and_why(alice: User, customer: Customer) -> None:
    day = date(2026, 11, 4)
    order = an_order(customer, invoiced=day, shipped=day, paid=day, card=CARD)
    before = " ".join(strip_tags(pages.signed_in(alice).get(f"/orders/{order.pk}/").text).split())
    assert "Visa ending in 4242" in before and "erased on" not in before
    outlived(order.payments.get(), "payment")
    after = " ".join(strip_tags(pages.check(pages.signed_in(alice).get(f"/orders/{order.pk}/"))).split())
    assert "4242" not in after
    assert "Token, last four digits and expiry of the card: erased on 20 November 2026, by period." in after
