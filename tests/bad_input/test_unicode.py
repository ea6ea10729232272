"""Text from all over Unicode, and what is not text at all (B4): no 500.

Whose mailbox a look-alike address reaches is shown in tests/accounts/test_lookalikes.py."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.bad_input.forms import Form, Sender
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

TEXTS = {
    "NUL": "Al\x00ice",
    "a lone surrogate": "Al\ud800ice",
    "a reversed surrogate pair": "\udc00\ud800",
    "right-to-left override": "\u202ecilA\u202c",
    "four bytes": "𝒜𝓁𝒾𝒸𝑒 👩🏽‍🔬 \U0010ffff",
    "a thousand accents": "e" + "\u0301" * 1000,
    "zero width": "A\u200bl\u200di\u2060ce\ufeff",
    "line separators": "Al\u2028ic\u2029e\x85",
    "control characters": "\x01\x07\x08\x1b[31m\x7f",
    "not a character": "\ufffe\uffff\U0001fffe",
    "look-alikes": "Аlісе",
    "only white space": "\u00a0\u3000\u2003",
    "an e-mail of accents": "e\u0301" * 60 + "@example.com",
    "digits of another script": "٤١١١ ١١١١ ١١١١ ١١١١",
}
PLACES = ("/privacy/link/{}/", "/privacy/held/{}/", "/privacy/requests/new/{}/", "/rma/certificates/{}/",
          "/accounts/password/reset/key/1-{}/", "/admin/orders/order/{}/change/",
          "/admin/privacy/request/{}/step/refuse/", "/admin/autocomplete/?term={}", "/orders/?page={}",
          "/accounts/login/?next={}", "/admin/orders/order/?p={}", "/admin/orders/order/?o={}", "/{}")  # fmt: skip


def test_no_text_in_any_field_of_any_form_is_an_error_of_ours(house: House, every_form: list[Form]) -> None:
    each = tries(1, len(TEXTS))
    texts = list(TEXTS.values())
    with Sender(house) as sender:
        turn = 0
        for form in every_form:
            for name in form.free:
                for text in (texts[(turn + one) % len(texts)] for one in range(each)):
                    with undone():
                        assert sender.post(form, {name: text}).status_code < 500 or sender.failed, (form, name)
                turn += each
            for text in texts if each == len(texts) else texts[turn % len(texts) :][:2]:
                with undone():
                    sender.post(form, dict.fromkeys(form.free, text))
    assert not sender.failed, "\n".join(sender.failed)
    report("B4", "answers of 5xx to Unicode in form fields", 0, n=sender.count, goal="0")


def test_no_text_in_an_address_of_a_page_is_an_error_of_ours(house: House) -> None:
    with Sender(house) as sender:
        for place in PLACES:
            for text in TEXTS.values():
                written = quote(text.encode("utf-8", "surrogatepass"), safe="")
                by = "pat" if place.startswith("/admin/") else "bob"
                assert sender.get(by, place.format(written)).status_code < 500, (place, text)
        for raw in ("%00", "%C0%AF", "%ff", "%ED%A0%80", "%2e%2e%2f"):
            for place in PLACES:
                assert sender.get("pat" if place.startswith("/admin/") else "bob", place.format(raw)).status_code < 500
    assert not sender.failed, "\n".join(sender.failed)
    report("B4", "answers of 5xx to Unicode in addresses of pages", 0, n=sender.count, goal="0")
