"""The back office in a browser: nothing its security policy refuses and nothing wider than the window, on no page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from privacy.gate import Actor
from privacy.models import Letter
from privacy.requests import services
from privacy.retention import holds
from tests import factories, pages
from tests.orders.factories import an_order, an_rma

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PRIVACY = Actor("staff", "carol", None, frozenset({"privacy"}), "admin")
WINDOWS = ((1280, "light"), (390, "dark"))


@pytest.fixture
def browser(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # Playwright runs a loop of its own in this thread; the test's own queries are as synchronous as ever.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()


def paths() -> dict[str, list[str]]:
    """Return pages by role, each with something on it."""
    now = datetime.now(UTC)
    lumen = factories.company()
    dave = factories.customer("Dave", "Diaz", email="dave@lumen.example", company=lumen)
    factories.address(dave)
    factories.freight_account(dave)
    factories.tax_identifier(dave)
    order, rma, message = an_order(dave, invoiced=factories.TODAY), an_rma(dave), factories.communication(dave)
    about = services.file(
        kind="erasure", subject=dave.subject_id, channel="phone", received_on=now.date(), identity="callback", actor=PRIVACY, now=now
    )  # fmt: skip
    services.make_plan(about, actor=PRIVACY, now=now)
    hold = holds.place("orders.order", order.pk, reason="claim", reference="C-77", actor=PRIVACY, now=now)
    letter = Letter.objects.get(request=about)
    Letter.objects.filter(pk=letter.pk).update(by=Letter.By.POST, next_attempt_at=None)
    review = dave.claim_reviews.create(
        user=factories.login("eve", "dave@lumen.example"), reason="contact", opened_at=now
    )
    asked = f"privacy/request/{about.pk}"
    return {
        "privacy": [
            "", "privacy/request/", f"{asked}/change/", f"{asked}/step/confirm/", f"{asked}/step/hold/", f"{asked}/history/",
            f"{asked}/letter/{letter.pk}/", "privacy/request/add/", "privacy/hold/", f"privacy/hold/{hold.pk}/change/",
            "privacy/hold/add/", f"accounts/claimreview/{review.pk}/change/",
        ],
        "sales": [
            "", "accounts/customer/", f"accounts/customer/{dave.pk}/change/", "orders/order/", f"orders/order/{order.pk}/change/",
            "accounts/communication/add/", f"accounts/communication/{message.pk}/change/",
            f"accounts/company/{lumen.pk}/change/", "orders/product/", "orders/product/add/",
        ],
        "service": ["", "rma/rma/", f"rma/rma/{rma.pk}/change/", f"rma/rma/{rma.pk}/step/authorised/"],
        "accounting": [f"orders/order/{order.pk}/change/"],
    }  # fmt: skip


def test_no_page_breaks_the_security_policy_or_the_window(live_server: Any, browser: Any, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"  # nobody listens: the tables are the truth
    wrong: list[str] = []
    for role, found in paths().items():
        carol = pages.signed_in(factories.staff(f"carol-{role}", f"{role}@ilt.example", roles=(role,)))
        cookie = carol.cookies[settings.SESSION_COOKIE_NAME].value
        for width, scheme in WINDOWS:
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
            page = context.new_page()
            page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            for path in found:
                answer = page.goto(f"{live_server.url}/admin/{path}")
                assert answer is not None and answer.status == 200, path
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    wrong.append(f"{path} is wider than {width} pixels")
            context.close()
    assert wrong == []
