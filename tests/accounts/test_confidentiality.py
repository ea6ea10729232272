"""Staff sign the confidentiality acknowledgement themselves; until then they see covers (P41)."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

import pytest
from django.conf import settings

from privacy import registers
from privacy.audit import AuditEvent
from tests import factories, pages

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

PAGE = "/account/confidentiality/"


def test_who_has_not_signed_is_led_to_the_text_signs_and_sees() -> None:
    dave = factories.customer("Dave", "Diaz")
    carol = factories.staff(acknowledged=False)
    browser = pages.signed_in(carol, again=True)
    covered = browser.get(f"/admin/accounts/customer/{dave.pk}/change/").text
    assert PAGE in covered and "Diaz" not in covered
    assert "No signature of yours is in force" in pages.check(browser.get(PAGE))
    assert registers.current(carol.subject_id, today=factories.TODAY) is None, "reading signs nothing"
    answer = browser.post(PAGE, follow=True)
    assert "It counts until 20 November 2027." in answer.text
    signed = registers.current(carol.subject_id, today=factories.TODAY)
    assert signed and (signed.version, signed.expires_on) == (registers.UNDERTAKING, date(2027, 11, 20))
    assert AuditEvent.objects.filter(action="acknowledgement.signed").count() == 1
    opened = browser.get(f"/admin/accounts/customer/{dave.pk}/change/").text
    assert "Diaz" in opened and PAGE not in opened


def test_it_is_signed_only_by_who_entered_the_password_just_now() -> None:
    carol = factories.staff(acknowledged=False)
    answer = pages.signed_in(carol).post(PAGE)
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert registers.current(carol.subject_id, today=factories.TODAY) is None


def test_customers_have_nothing_to_sign() -> None:
    browser = pages.signed_in(factories.login(), again=True)
    assert browser.get(PAGE).status_code == browser.post(PAGE).status_code == 404


def test_signing_twice_on_a_day_is_one_signature() -> None:
    carol = factories.staff(acknowledged=False)
    browser = pages.signed_in(carol, again=True)
    for _ in range(2):
        browser.post(PAGE)
    assert registers.Acknowledgement.objects.filter(subject_id=carol.subject_id).count() == 1
    assert "Signed on 20 November 2026" in browser.get(PAGE).text


def test_a_new_text_gets_a_new_version() -> None:
    template = Path(settings.BASE_DIR, "templates/accounts/_undertaking.html").read_text()
    text = " ".join(
        re.sub(r"\s*(</?\w+>)\s*", r" \1 ", re.sub(r"\{%.*?%\}", "", template)).split()
    )  # what is signed, however its lines are broken and translated
    assert (registers.UNDERTAKING, hashlib.sha256(text.encode()).hexdigest()) == (
        "2026",
        "8334527ded700852d1a70c51f19cad35bd69da293845264a31039ca495520b78",
    )
