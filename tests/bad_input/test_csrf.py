"""Forms from elsewhere (B7). With each effect and its positive control:
tests/journeys/test_url_table.py; here every form."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.conf import settings as configured

from tests.bad_input.forms import Form
from tests.figures import report, tries
from tests.journeys import importing
from tests.journeys.doors import House
from tests.journeys.test_url_table import LOGS, TRACES, changed

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

OURS, THEIRS = "a" * 32, "b" * 32
ATTACKS: dict[str, tuple[str, dict[str, str]]] = {
    "no token": ("", {}),
    "the token of another session": (THEIRS, {}),
    "another origin": (OURS, {"origin": "https://evil.example"}),
    "a hidden origin": (OURS, {"origin": "null"}),
    "a token in the query": ("", {"query": OURS}),
}


def test_no_form_is_taken_from_elsewhere(house: House, every_form: list[Form]) -> None:
    before, wrong, count = importing.fingerprint(LOGS), [], 0
    for form in every_form:
        for title, (token, headers) in ATTACKS.items():
            query = headers.get("query", "")
            given = {name: value for name, value in headers.items() if name != "query"}
            browser = house.browser(form.by, enforce_csrf_checks=True, headers=given)
            browser.cookies[configured.CSRF_COOKIE_NAME] = OURS
            path = f"{form.path}{'&' if '?' in form.path else '?'}csrfmiddlewaretoken={query}" if query else form.path
            answer = browser.post(path, {**form.data, "csrfmiddlewaretoken": token})
            count += 1
            if answer.status_code != 403:
                wrong.append(f"{form}, {title}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert changed(before, importing.fingerprint(LOGS)) == []
    report("B7", "forms taken from elsewhere", 0, n=count, goal="0")


def test_no_form_has_an_effect_by_any_method_but_post(house: House, every_form: list[Form]) -> None:
    before, count = importing.fingerprint(TRACES), 0
    for form in every_form:
        query = urlencode({**form.data, "csrfmiddlewaretoken": OURS})
        for method in ("get", "delete", "head", "options", "put", "patch")[: tries(2, 6)]:
            answer = getattr(house.browser(form.by), method)(f"{form.path}{'&' if '?' in form.path else '?'}{query}")
            assert answer.status_code < 500, (form, method)
            count += 1
    tables = changed(before, importing.fingerprint(TRACES))
    assert tables == [], "something was done without a POST"
    report("B7", "effects of other methods than POST", 0, n=count, goal="0")
