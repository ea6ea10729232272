"""Returns at the desk: each step offers the reasons that it can have, and says what it did in words of the desk."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.contrib import admin

from rma import services, states
from rma.admin import RMAAdmin
from rma.models import RMA
from tests import factories, pages
from tests.factories import DAN, a_customer, an_rma, moved, noon

pytestmark = pytest.mark.django_db


def offered(page: str) -> set[str]:
    return set(re.findall(r'<option value="(\w+)"', page))


def test_each_step_offers_the_reasons_that_it_can_have() -> None:
    dan, rma = pages.signed_in(factories.staff(roles=("service",))), an_rma(a_customer())
    base = f"/admin/rma/rma/{rma.pk}"
    assert offered(dan.get(f"{base}/step/rejected/").text) == {"not_ours", "no_service", "by_request"}
    assert 'name="reason"' not in dan.get(f"{base}/step/authorised/").text
    answer = dan.post(f"{base}/step/authorised/", follow=True)
    assert f"{rma.number}: authorised: waiting for the instrument." in answer.text
    assert "please send it" not in answer.text
    moved(rma, "received", "in_service")
    verified = dan.get(f"{base}/step/verified/").text
    assert 'name="reason"' not in verified and "No page of the back office issues the certificate" in verified
    moved(rma, "verified")
    assert offered(dan.get(f"{base}/step/in_service/").text) == {"failed_verification", "by_request"}


NEXT = {
    "requested": "Authorise the return",
    "authorised": "Mark as received and inspected",
    "in_transit": "Mark as received and inspected",
    "received": "Quote a price",
    "quoted": "",
    "approved": "Begin calibration or repair",
    "declined": "Mark as shipped back",
    "in_service": "Mark as done and verified",
    "verified": "Mark as shipped back",
    "on_hold": "",
    "beyond_repair": "Mark as shipped back",
    "shipped_back": "Close the return",
}


def test_what_is_usually_next_of_a_return_stands_out_in_every_state() -> None:
    dan, customer = factories.staff(roles=("service",)), a_customer()
    desk, rma = RMAAdmin(RMA, admin.site), an_rma(customer)
    assert set(NEXT) == {state for state, following in states.TABLE.items() if following} - {"cancelled"}
    for state, title in NEXT.items():
        rma.state = state
        offered = desk.steps(rma, dan.as_actor())
        assert offered, state
        found = desk.next_of(rma, offered)
        assert (offered[found].title if found else "") == title, state
    rma.state, rma.is_warranty = "received", True
    assert desk.next_of(rma, desk.steps(rma, dan.as_actor())) == "in_service", "nothing is quoted under warranty"
    rma.state, rma.is_serial_open = "received", True
    assert desk.next_of(rma, desk.steps(rma, dan.as_actor())) == "serial", "the instrument is here to be looked at"


def test_the_page_says_the_warranty_in_words_and_an_amount_with_its_currency_once() -> None:
    dan, rma = pages.signed_in(factories.staff(roles=("service",))), an_rma(a_customer())
    RMA.objects.filter(pk=rma.pk).update(quote=480, is_warranty=True)
    told = " ".join(re.sub(r"<[^>]+>", " ", dan.get(f"/admin/rma/rma/{rma.pk}/change/").text).split())
    assert "Under warranty: Yes" in told and "Quote: USD 480.00" in told and "480.00 USD" not in told


def test_no_door_takes_a_reason_that_contradicts_the_step() -> None:
    rma = moved(an_rma(a_customer()), "authorised", "received", "in_service")
    with pytest.raises(services.TransitionRefused, match="no reason for this step"):
        services.transition(
            rma, RMA.State.VERIFIED, actor=DAN, now=noon(date(2026, 11, 9)), reason="failed_verification"
        )
    moved(rma, "verified")
    again = services.transition(
        rma, RMA.State.IN_SERVICE, actor=DAN, now=noon(date(2026, 11, 9)), reason="failed_verification"
    )
    assert again.state == "in_service"
