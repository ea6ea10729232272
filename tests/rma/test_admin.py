"""Returns at the desk: each step offers the reasons that it can have, and says what it did in words of the desk."""

from __future__ import annotations

import re
from datetime import date

import pytest

from rma import services
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
