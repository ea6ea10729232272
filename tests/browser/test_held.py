"""What we hold, who looked and the copy in a real browser: no part of life is longer than two screens before it
folds."""

from __future__ import annotations

from datetime import date

import pytest

from accounts.models import Customer
from privacy.gate.system import system
from tests.browser.site import Site
from tests.browser.test_errands import come_in
from tests.browser.visitor import NARROW, PLAIN, WIDE, Visitor
from tests.factories import an_order

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TWO_SCREENS = 1600  # px, of a telephone that shows 800
SOLD = date(2026, 11, 2)


def many_orders(customer: Customer, count: int) -> None:
    with system("demo", kind="operator"):
        for _ in range(count):
            an_order(customer, SOLD, invoiced=SOLD, shipped=SOLD, paid=SOLD)


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
