"""With Tab, Enter and Space alone: sign in, have everything removed, sign out. What has the focus is always to be
seen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from privacy.requests.models import Request
from tests import factories
from tests.browser.site import Site
from tests.browser.visitor import WIDE, Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("dimension", [WIDE], ids=lambda one: one.name),
]

FOCUS = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const text = one.getAttribute("name") || one.textContent.trim().replace(/\\s+/g, " ");
    const seen = style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2;
    const box = one.getBoundingClientRect();
    return {text, seen: seen && box.width > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight};
}"""


def tab_to(page: Page, text: str) -> None:
    """Press Tab until what has that name or text has the focus; on the way every focus has to be visible."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["seen"], f"the focus on {focus['text']!r} cannot be seen"
        if focus["text"].startswith(text):
            return
    raise AssertionError(f"{text!r} cannot be reached by Tab on {page.url}")


def press(page: Page, text: str, key: str = "Enter") -> None:
    """Reach something by Tab and press it, and wait for the page it leads to."""
    tab_to(page, text)
    with page.expect_navigation():
        page.keyboard.press(key)


def test_what_cannot_be_undone_is_read_and_taken_back_or_done_without_a_mouse(site: Site, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/accounts/login/")
    visitor.fill(login="alice", password=factories.PASSWORD)
    visitor.press("Sign in")
    visitor.open("/privacy/requests/new/erasure/")
    visitor.fill(password=factories.PASSWORD)
    visitor.follow("main button[type=submit]")
    visitor.press("Show me what would happen")
    press(page, "Take the request back")
    assert "Nothing has been done yet." in visitor.text()
    press(page, "Back")
    assert Request.objects.get().is_open
    press(page, "Take the request back")
    press(page, "Take the request back", "Space")
    assert Request.objects.get().state == "withdrawn"


def test_a_group_of_answers_is_changed_without_a_mouse_and_nothing_typed_is_lost(site: Site, visitor: Visitor) -> None:
    page, typed = visitor.page, {"serial": "ILT2400-4711", "model_name": "ILT2400", "fault": "Reads low."}
    visitor.open("/accounts/login/")
    visitor.fill(login="alice", password=factories.PASSWORD)
    visitor.press("Sign in")
    visitor.open("/rma/new/")
    page.check("[name=service][value=repair]")
    visitor.fill(**typed)
    press(page, "stage")
    visitor.look("check your answers")
    page.go_back()
    assert {name: page.input_value(f"[name={name}]") for name in typed} == typed, "the browser's own way back"
    press(page, "stage")
    tab_to(page, "change")
    press(page, "change")
    assert page.evaluate("document.activeElement.textContent") == "Where it goes back to"
    visitor.look("change an answer")
    tab_to(page, "contact_name")
    assert {name: page.input_value(f"[name={name}]") for name in typed} == typed
    page.keyboard.type("Alice A. Archer")
    press(page, "stage")
    assert "Alice A. Archer" in visitor.text() and "Reads low." in visitor.text()


def test_everything_can_be_done_without_a_mouse(site: Site, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == {"text": "Skip to the main content", "seen": True}, "the skip link comes first"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    visitor.open("/")
    press(page, "Sign in")
    assert page.evaluate("document.activeElement.tagName") == "BODY", "nothing takes the focus away from the beginning"
    tab_to(page, "login")
    page.keyboard.type("alice")
    with visitor.expecting(401), page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert", (
        "the summary of errors has the focus"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.name") == "password", "its link leads to the field"
    page.keyboard.type(factories.PASSWORD)
    press(page, "Sign in", "Space")
    press(page, "Privacy")
    press(page, "Have it removed")
    assert "/reauthenticate/" in page.url
    tab_to(page, "password")
    page.keyboard.type(factories.PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    press(page, "Show me what would happen", "Space")
    press(page, "Remove my data as shown")
    assert Request.objects.get().state == "confirmed"
    press(page, "Sign out", "Space")
    visitor.open("/account/")
    assert "/accounts/login/" in page.url
