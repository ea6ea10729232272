"""Whoever asks for a removal while something is open reads on each page that the login stays until it is finished."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from accounts.models import Customer, User
from orders import services as orders
from privacy.gate.system import system
from privacy.requests.models import Request
from privacy.sweep import arming, nightly
from tests import factories, pages
from tests.asked import NOW, OPERATOR, TODAY, filed, run
from tests.factories import TASK, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

STAYS = "Your login and its e-mail address stay until what is open between us is finished."
COPY_NOW, COPY_READY = "Ask for a copy now", "A copy of your data is ready"


def swept(on: date) -> None:
    with system("sweep"):
        nightly.sweep(on=on, dry_run=False, actor=OPERATOR)


def removal(customer: Customer) -> tuple[Request, str, str]:
    """Ask for a removal in the portal and confirm it; return it, the page of its plan, and the page after that."""
    browser = pages.signed_in(customer.subject.users.get(), again=True)
    browser.post("/privacy/requests/new/erasure/")
    about = Request.objects.get(kind="erasure")
    here = f"/privacy/requests/{about.pk}/"
    plan = browser.get(f"{here}confirm/")
    done = browser.post(f"{here}confirm/", {"plan_hash": plan.context["plan"].hash})
    return about, pages.read(plan), pages.read(done)


def test_with_an_open_order_plan_confirmation_request_and_account_say_that_the_login_stays(alice: Customer) -> None:
    user = alice.subject.users.get()
    an_order(alice)
    assert STAYS not in pages.read(pages.signed_in(user).get("/account/"))
    about, plan, done = removal(alice)
    assert STAYS in plan and STAYS in done
    run(about)
    assert User.objects.filter(pk=user.pk).exists()
    browser = pages.signed_in(user, again=True)
    account = pages.read(browser.get("/account/"))
    assert STAYS in account and about.reference in account
    assert STAYS in pages.read(browser.get(f"/privacy/requests/{about.pk}/"))
    bob = pages.signed_in(factories.login("bob", "bob@example.com"))
    assert STAYS not in pages.read(bob.get("/account/"))


def test_the_login_goes_in_the_night_after_what_was_open_is_finished(alice: Customer, settings: Any) -> None:
    settings.DEMO = True
    arming.arm(actor=OPERATOR)
    user, order = alice.subject.users.get(), an_order(alice, invoiced=TODAY, shipped=TODAY)
    about, _, _ = removal(alice)
    run(about)
    swept(TODAY + timedelta(days=1))
    assert User.objects.filter(pk=user.pk).exists()
    orders.mark_paid(order, actor=TASK, now=NOW)
    swept(TODAY + timedelta(days=2))
    assert not User.objects.filter(pk=user.pk).exists()


def test_with_nothing_open_no_page_says_so(alice: Customer) -> None:
    _, plan, done = removal(alice)
    assert STAYS not in plan and STAYS not in done


def test_who_has_a_copy_is_not_told_to_ask_for_one(alice: Customer) -> None:
    browser = pages.signed_in(alice.subject.users.get(), again=True)
    first = pages.read(browser.get("/privacy/requests/new/erasure/"))
    assert COPY_READY not in first and "Take a copy" in first
    run(filed(alice, "access"))
    assert COPY_READY in pages.read(browser.get("/privacy/requests/new/erasure/"))
    _, plan, _ = removal(alice)
    assert COPY_READY in plan and COPY_NOW not in plan
