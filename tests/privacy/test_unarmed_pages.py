"""As long as nobody has armed the sweep no page promises that data ends by itself (design 12, to 4)."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import Customer
from privacy.retention import arming
from tests import factories, pages
from tests.orders.factories import an_order

pytestmark = pytest.mark.django_db
PROMISED = re.compile(
    r"(on|at) (that|its) da(y|te) it goes by itself|goes by itself on its date|removes data each night|goes with the next night",
    re.I,
)
NOT_YET = re.compile(r"not switched on")
PATHS = ("/", "/privacy/", "/privacy/held/", "/privacy/requests/new/erasure/")


@pytest.fixture
def hers() -> Client:
    alice = factories.login()
    customer: Customer = factories.customer(user=alice)
    an_order(customer=customer)
    return pages.signed_in(alice, again=True)


@pytest.mark.parametrize("path", PATHS)
def test_no_page_promises_what_does_not_run(hers: Client, path: str) -> None:
    text = hers.get(path).content.decode()
    assert not PROMISED.search(text), PROMISED.search(text)
    assert NOT_YET.search(text)


@pytest.mark.parametrize("path", PATHS)
def test_once_it_is_armed_each_page_says_so(hers: Client, path: str) -> None:
    arming.arm(actor=None)
    text = hers.get(path).content.decode()
    assert PROMISED.search(text)
    assert not NOT_YET.search(text)


def test_the_plan_promises_nothing_that_does_not_run(hers: Client) -> None:
    text = hers.post("/privacy/requests/new/erasure/", follow=True).content.decode()
    assert "What stays, why and until when" in text and NOT_YET.search(text)
    assert "On its date each of these goes by itself" not in text
