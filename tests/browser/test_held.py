"""What we hold, who looked and the copy in a real browser: no part of life is longer than two screens before it
folds."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from accounts.models import Customer
from orders.models import Order
from privacy.gate import log
from privacy.gate.system import system
from tests.browser.site import Site
from tests.browser.test_errands import come_in
from tests.browser.visitor import NARROW, PLAIN, WIDE, Visitor
from tests.factories import CAROL, an_order

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TWO_SCREENS = 1600  # px, of a telephone that shows 800
SOLD = date(2026, 11, 2)


def many_orders(customer: Customer, count: int) -> None:
    with system("demo", kind="operator"):
        for _ in range(count):
            an_order(customer, SOLD, invoiced=SOLD, shipped=SOLD, paid=SOLD)


def looked_at(customer: Customer) -> None:
    """Let carol open each order of the customer: each is an occasion of its own."""
    opened = [
        log.Opening(
            CAROL, ("subject", customer.subject_id), {"orders.order/fulfilment": [order.pk]}, "open order", order.number
        )
        for order in Order.objects.filter(customer=customer)
    ]
    log.write(opened, now=timezone.now())


@pytest.mark.parametrize("dimension", [WIDE, NARROW, PLAIN], ids=lambda one: one.name)
def test_no_part_of_life_is_longer_than_two_screens_before_it_folds(site: Site, visitor: Visitor) -> None:
    come_in(visitor, "alice")
    visitor.open("/privacy/held/", "what we hold")
    many_orders(site.customer("alice"), 30)
    visitor.open("/privacy/held/", "what we hold, with many orders")
    heights = visitor.page.eval_on_selector_all(
        "section.life", "all => all.map(one => [one.querySelector('h2').id, one.offsetHeight])"
    )
    assert len(heights) >= 5
    assert [one for one in heights if one[1] > TWO_SCREENS] == []
    looked_at(site.customer("alice"))
    visitor.open("/privacy/openings/", "who looked, often")
    above = visitor.page.locator("main table").first
    assert above.locator("tbody tr").count() == 6 and above.evaluate("one => one.offsetHeight") <= TWO_SCREENS
    assert "more lines of this page" in visitor.page.locator("main details.record > summary").first.inner_text()


@pytest.mark.parametrize("dimension", [WIDE, NARROW], ids=lambda one: one.name)
def test_an_order_unfolds_by_the_keyboard_with_everything_inside(site: Site, visitor: Visitor) -> None:
    come_in(visitor, "alice")
    visitor.open("/privacy/held/")
    summary = visitor.page.locator("section.life[aria-labelledby=orders] summary").first
    summary.focus()
    visitor.page.keyboard.press("Enter")
    visitor.look("what we hold, an order unfolded")
    assert "USD" in visitor.page.locator("section.life[aria-labelledby=orders] details[open] table").first.inner_text()
    visitor.open("/privacy/openings/", "who looked")
