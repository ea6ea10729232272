"""The portal in a real browser, with JavaScript switched off: it works, it fits, and the content policy stops nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, sync_playwright

from accounts.models import Customer
from tests import factories
from tests.orders.factories import an_order, an_rma

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PUBLIC = ["/", "/accounts/login/", "/accounts/signup/", "/privacy/", "/privacy/ask/", "/privacy/outcome/", "/nothing/"]
OWN = ["/account/", "/account/details/", "/account/details/edit/", "/orders/", "/rma/", "/rma/new/", "/privacy/held/",
       "/privacy/openings/", "/privacy/requests/", "/accounts/email/", "/accounts/2fa/"]  # fmt: skip


@pytest.fixture
def customer(transactional_db: None) -> Customer:
    """Alice with a login, an order and a return, made before the browser starts."""
    customer = factories.customer(user=factories.login())
    factories.address(customer)
    an_order(customer)
    an_rma(customer)
    return customer


def wrong_with(page: Page, path: str) -> list[str]:
    """Return what is wrong with a page on a narrow and on a wide screen."""
    found = []
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        needed = page.evaluate("document.documentElement.scrollWidth")
        if needed > width:
            found.append(f"{path} needs {needed} px at {width}")
    if page.evaluate("getComputedStyle(document.querySelector('.masthead')).backgroundColor") == "rgba(0, 0, 0, 0)":
        found.append(f"{path} came without its style sheet")
    return found


def test_every_page_fits_a_small_screen_and_breaks_no_rule_of_the_content_policy(
    live_server, chromium: str, customer: Customer
) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_context(java_script_enabled=False).new_page()
        console: list[str] = []
        elsewhere: list[str] = []
        page.on(
            "console",
            lambda message: console.append(message.text) if "Content Security Policy" in message.text else None,
        )
        page.on(
            "request",
            lambda one: elsewhere.append(one.url) if not one.url.startswith((live_server.url, "data:")) else None,
        )
        wrong = []
        for path in PUBLIC:
            page.goto(live_server.url + path)
            wrong += wrong_with(page, path)
        page.goto(live_server.url + "/accounts/login/")
        page.fill("[name=login]", "alice")
        page.fill("[name=password]", factories.PASSWORD)
        page.click("main button[type=submit]")
        assert page.url == live_server.url + "/account/"
        for path in OWN:
            page.goto(live_server.url + path)
            wrong += wrong_with(page, path)
        for path in ("/orders/", "/rma/"):
            page.goto(live_server.url + path)
            page.click("tbody a")
            wrong += wrong_with(page, page.url)
        browser.close()
    assert wrong == []
    assert console == []
    assert elsewhere == [], "nothing is loaded from another site"


def test_a_removal_is_planned_and_taken_back_without_a_script(live_server, chromium: str, customer: Customer) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(live_server.url + "/privacy/requests/new/erasure/")
        page.fill("[name=login]", "alice")
        page.fill("[name=password]", factories.PASSWORD)
        page.click("main button[type=submit]")
        page.fill("[name=password]", factories.PASSWORD)  # once more
        page.click("main button[type=submit]")
        page.click("text=Show me what would happen")
        assert page.title().startswith("What would be removed")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the main content"
        page.click("text=Take the request back")
        assert page.locator("text=Nothing was done.").count() == 1
        browser.close()
