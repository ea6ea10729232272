"""What a signed-in person can make is limited, for each person by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from privacy.models import Request
from rma.models import RMA, RMANote
from tests import factories, pages
from tests.factories import an_rma
from tests.rma.test_views import ANSWERS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def few(settings: Any) -> None:
    """Two of each kind, per hour."""
    names = ("privacy_request", "rma_open", "rma_message")
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, **dict.fromkeys(names, "2/h/user")}


def people() -> tuple[Client, Client, RMA]:
    alice = factories.customer(user=factories.login("alice", "alice@example.com"))
    bob = factories.customer("Bob", "Baker", email="bob@example.com", user=factories.login("bob", "bob@example.com"))
    return pages.signed_in(alice.user, again=True), pages.signed_in(bob.user, again=True), an_rma(alice)


def test_messages_are_limited_for_each_person(few: None) -> None:
    alice, _, rma = people()
    answers = [alice.post(f"/rma/{rma.pk}/message/", {"text": "Any news?"}).status_code for _ in range(3)]
    assert answers == [302, 302, 429]
    assert RMANote.objects.filter(rma=rma).count() == 2


def test_returns_are_limited_for_each_person(few: None) -> None:
    alice, bob, _ = people()
    before = RMA.objects.count()

    def opened(browser: Client, number: int) -> int:
        data = {**ANSWERS, "serial": f"ILT2400-{number:05d}", "stage": "send"}
        return browser.post("/rma/new/", data).status_code

    assert [opened(alice, number) for number in range(3)] == [302, 302, 429]
    assert opened(bob, 7) == 302
    assert RMA.objects.count() == before + 3


def test_requests_are_limited_for_each_person(few: None) -> None:
    alice, bob, _ = people()
    answers = [alice.post("/privacy/requests/new/access/").status_code for _ in range(3)]
    assert answers == [302, 302, 429]
    assert "Nothing was changed" in pages.check(alice.post("/privacy/requests/new/access/"), status=429)
    assert bob.post("/privacy/requests/new/access/").status_code == 302
    assert Request.objects.count() == 2


def test_the_limits_are_those_that_the_documents_name(settings: Any) -> None:
    named = {name: settings.ACCOUNT_RATE_LIMITS[name] for name in ("privacy_request", "rma_open", "rma_message")}
    assert named == {"privacy_request": "20/h/user", "rma_open": "50/d/user", "rma_message": "120/h/user"}
