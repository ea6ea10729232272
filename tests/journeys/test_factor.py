"""A session of staff that began with the password alone opens nothing at any URL, once its owner has enrolled."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts import factor
from tests.journeys import doors
from tests.journeys.doors import House
from tests.journeys.everybody import Canary
from tests.journeys.test_url_table import TABLE

pytestmark = [pytest.mark.django_db, pytest.mark.journey]

AGAIN = "/accounts/2fa/reauthenticate/"
OPEN = {AGAIN, "/accounts/logout/", "/health/", "/health/live/", "/metrics/"}


def doors_of_staff() -> list[Any]:
    """Every line of the table but where a code is shown, the way out, and what machines ask."""
    return [row for row in TABLE if row.pattern not in OPEN]


@pytest.mark.parametrize("name", ["carol", "erin", "pat"])
def test_a_borrowed_session_opens_no_url_of_staff(house: House, name: str, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True
    user = getattr(house.world, name)
    factor.enrol(user)
    rows, wrong = doors_of_staff(), []
    assert sum(row.pattern.startswith("/admin/") for row in rows) > 40
    for row in rows:
        for method in ("GET", "POST"):
            outcome, shown = doors.knock(house.browser(name), method, house.path(row))
            if AGAIN not in shown or outcome != ">" or house.world.bob.seen_in(shown):
                wrong.append(f"{method} {row.pattern}: {outcome}")
    assert wrong == []


def test_with_the_factor_every_url_answers_as_the_table_says(house: House, settings: Any) -> None:
    """The control: it is the factor that is missing, not the right."""
    settings.STAFF_SECOND_FACTOR = True
    pat = house.world.pat
    factor.enrol(pat)
    proved = house.browser("pat")
    cache.clear()
    assert proved.post(AGAIN, {"code": factor.code(pat, now=timezone.now())[0]}).status_code == 302
    wrong: list[str] = []
    seen: set[Canary] = set()
    for row in doors_of_staff():
        if not row.pattern.startswith("/admin/"):
            continue
        browser = house.browser("pat")
        browser.cookies = SimpleCookie(proved.cookies)
        outcome, shown = doors.knock(browser, "GET", house.path(row))
        if outcome != row.outcomes["pat"].rstrip("*"):
            wrong.append(f"{row.pattern}: {outcome}")
        seen |= house.world.bob.seen_in(shown)
    assert wrong == [] and len(seen) > 10
