"""Whole stories in a real browser, on a wide screen, on a narrow one at night, and without JavaScript.

Every page on the way is looked at: axe-core, the content policy, the width, title and heading; at the end what the
pages are made of goes through the Nu HTML checker in one call.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser

from accounts import factor
from accounts.models import Customer, User
from privacy import vault
from privacy.letters import given
from privacy.models import Letter
from privacy.requests.models import Request
from tests import factories
from tests.browser import checker
from tests.browser.site import Site
from tests.browser.visitor import AXE, AXE_SHA256, DIMENSIONS, NARROW, WIDE, Findings, Visitor
from tests.factories import an_order, an_rma, moved

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

each_dimension = pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda one: one.name)
ADDRESS = "nora.lindgren@post.example"


@pytest.fixture
def nora(site: Site) -> Customer:
    """A customer on file who has no login yet, with two orders and a return."""
    customer = factories.customer("Nora", "Lindgren", email=ADDRESS)
    factories.address(customer, street="5 Lighthouse Lane", city="Rockport", postal_code="01966")
    names = {"ship_name": "Nora Lindgren", "ship_street": "5 Lighthouse Lane", "email": ADDRESS}
    day = factories.TODAY.replace
    an_order(customer, day(year=2017), invoiced=day(year=2017), shipped=day(year=2017), paid=day(year=2017), **names)
    an_order(customer, day(year=2024), invoiced=day(year=2024), shipped=day(year=2024), paid=day(year=2024), **names)
    # Taken back, so that nothing is open: an open return would keep the login until it is finished.
    moved(an_rma(customer, serial="ILT2400-7701"), "cancelled", reason="by_request")
    return customer


def last_letter(to: str) -> str:
    """Return the text of the newest letter to an address."""
    with vault.internal():
        found = [str(given(one)[0]) for one in Letter.objects.order_by("queued_at", "pk") if str(one.to) == to]
    return found[-1]


def link_in(text: str) -> str:
    """Return the path of the first link in a letter."""
    return re.findall(r"https?://[^/\s]+(/\S+)", text)[0]


def code_in(text: str) -> str:
    """Return the code in a letter that confirms an address."""
    return re.findall(r"[A-Z]{4}-[A-Z]{4}", text)[0]


def sign_in(visitor: Visitor, login: str) -> None:
    visitor.fill(login=login, password=factories.PASSWORD)
    visitor.press("Sign in")


@each_dimension
def test_from_sign_up_to_an_erasure_and_a_login_that_is_refused(
    site: Site, visitor: Visitor, nora: Customer, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.open("/", "front page")
    visitor.open("/accounts/signup/", "sign-up")
    visitor.fill(username="nora", email=ADDRESS, password1="short")
    visitor.press("Create", "sign-up, refused")
    visitor.fill(username="nora", email=ADDRESS, password1=factories.PASSWORD)
    visitor.press("Create", "sign-up, type the code")
    visitor.fill(code="WRON-GONE")
    visitor.press("Confirm", "sign-up, wrong code", status=401)
    visitor.fill(code=code_in(last_letter(ADDRESS)))
    visitor.press("Confirm", "signed in after confirming")
    visitor.open("/account/", "account")
    visitor.open("/account/claim/")
    if "reauthenticate" in page.url:
        visitor.fill(password=factories.PASSWORD)
        visitor.follow("main button[type=submit]", "claim")
    visitor.press("Join it")
    assert Customer.objects.get(pk=nora.pk).user == User.objects.named("nora").get(), "the earlier orders are joined"
    visitor.open("/orders/", "orders")
    visitor.follow("tbody a", "order")
    visitor.open("/rma/", "returns")
    visitor.follow("tbody a", "return")
    visitor.open("/privacy/", "privacy")
    visitor.open("/privacy/held/", "what we hold")
    visitor.open("/privacy/held/orders.order/", "what we hold, one kind")

    visitor.open("/privacy/requests/new/access/")
    if "reauthenticate" in page.url:
        visitor.look("enter the password again")
        visitor.fill(password=factories.PASSWORD)
        visitor.follow("main button[type=submit]", "ask for a copy")
    visitor.press("Ask for the copy", "copy is being made")
    site.work()
    about = Request.objects.get(kind="access", subject_id=User.objects.named("nora").get().subject_id)
    visitor.open(f"/privacy/requests/{about.pk}/", "copy is ready")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the copy").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "copy")
    visitor.open(f"file://{tmp_path}/copy/index.html", "the copy, opened")
    assert "Lighthouse Lane" in visitor.text()
    site.work()

    visitor.open("/privacy/requests/new/erasure/", "ask for removal")
    visitor.press("Show me what would happen", "removal planned")
    assert "2017" in visitor.text() and "2024" in visitor.text()
    visitor.press("Remove my data as shown", "removal confirmed")
    reference = Request.objects.get(kind="erasure", state="confirmed").reference
    code = re.search(r"Outcome code (\S+)", visitor.text())
    assert code and reference in visitor.text()
    site.work()
    visitor.open("/privacy/requests/", "signed out by the removal")
    assert "/accounts/login/" in page.url

    visitor.open("/privacy/outcome/", "outcome, form")
    visitor.fill(reference=reference, code=code[1])
    visitor.press("Show the outcome", "outcome")
    assert "2024" in visitor.text(), "what stays is named"
    visitor.open("/accounts/login/")
    visitor.fill(login=ADDRESS, password=factories.PASSWORD)
    visitor.press("Sign in", "sign in, refused", status=401)
    assert "/accounts/login/" in page.url


@each_dimension
def test_staff_search_a_record_and_read_why_a_field_is_covered(site: Site, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/")
    sign_in(visitor, "carol")
    carol = User.objects.named("carol").get()
    visitor.fill(code=factor.code(carol, now=timezone.now())[0])
    visitor.press("Sign in", "back office, code")
    visitor.open("/admin/", "back office")
    assert "written to the access log" in visitor.text()
    visitor.open("/admin/accounts/customer/", "back office, customers")
    page.fill("#record-q", "vogel")
    visitor.follow(".record-search button[type=submit]", "back office, customers found")
    assert "1 found" in visitor.text()
    visitor.follow("#result_list tbody th a", "back office, why a record is opened")
    page.check("input[value=claim]")
    visitor.press("Open the record", "back office, customer")
    assert page.locator("td", has_text="••••").count() == 1, "the tax number is covered"
    assert "Covered: your role does not need this. It is open to accounting and privacy." in visitor.text()
    visitor.open("/admin/orders/order/", "back office, orders")
    visitor.follow("#result_list tbody th a", "back office, order")
    visitor.follow("#logout-form button")


def test_the_nu_checker_finds_no_error_in_what_was_seen(findings: Findings) -> None:
    assert checker.errors(findings.bodies) == []
    assert len(findings.bodies) > 90, "run the whole file"


WRONG_BY_DAY = """<!doctype html><html lang=en><title>A page that was made</title><style>
    html { color-scheme: light dark }
    @media (min-width: 1000px) { p { width: 1500px } }
    @media (prefers-color-scheme: light) { p { color: #eee; background: #fff } }
</style><main><h1>Made</h1><p>Too pale and too wide, and that by day on a wide screen only.</p></main>"""


def test_a_page_is_looked_at_in_each_dimension(browser: Browser) -> None:
    visitor = Visitor(browser, "about:", NARROW, Findings(), [WIDE])
    visitor.page.set_content(WRONG_BY_DAY)
    visitor.look("made")
    wide, pale = visitor.wrong
    assert wide.startswith("made (1280 px, light): needs 15")
    assert pale.startswith("made (1280 px, light): color-contrast: p ")
    visitor.look("made, again")  # gone back to the narrow one
    assert len(visitor.wrong) == 4 and visitor.page.viewport_size == {"width": 360, "height": 800}
    visitor.context.close()


RAGGED = """<!doctype html><html lang=en><title>A page that was made</title><main><h1>Made</h1><form>
    <p><label><input type=radio name=even> One</label></p><p><label><input type=radio name=even> Two</label></p>
    <p><label><input type=radio name=odd> One</label></p>
    <p><label><input type=radio name=odd style="margin-left: 5rem"> Two</label></p>
    <div class=form-row><label style="font-size: 2rem" for=x>State</label><div class=readonly>open</div></div>
    </form></main>"""


def test_answers_that_do_not_stand_under_each_other_and_labels_that_are_too_large_are_seen(browser: Browser) -> None:
    visitor = Visitor(browser, "about:", NARROW, Findings())
    visitor.page.set_content(RAGGED)
    visitor.look("made")
    found = [one for one in visitor.wrong if "answers" in one or "labels" in one]
    assert [one.rpartition("): ")[2] for one in found] == [
        "has answers of several sizes or edges: odd",
        "has labels larger than what they label: ['State']",
    ]
    visitor.context.close()


def test_axe_is_the_one_that_was_published() -> None:
    text = AXE.read_bytes()
    assert text.startswith(b"/*! axe v4.14.1\n") and b"Mozilla Public" in text[:400]
    assert hashlib.sha256(text).hexdigest() == AXE_SHA256
