"""A request that ended before anything was done for it: nothing of its plan is told as if it were to come or had been
done."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from accounts.models import Customer
from privacy.requests import services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import PRIVACY, filed
from tests.factories import NOW, an_order, as_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

STAYS = ("stay until what is open between us is finished", "After that they are due to go", "due to go")


def shown(about: Request) -> str:
    out = io.StringIO()
    call_command("request_show", about.reference, stdout=out)
    return out.getvalue()


def test_what_a_removal_that_was_taken_back_planned_is_told_as_what_did_not_happen(alice: Customer) -> None:
    an_order(alice)
    factories.communication(alice)
    about = filed(alice)
    services.make_plan(about, actor=as_customer(alice), now=NOW)
    browser = pages.signed_in(alice.subject.users.get(), again=True)
    desk = pages.signed_in(factories.staff(roles=("privacy",)))
    here, there = f"/privacy/requests/{about.pk}/", f"/admin/privacy/request/{about.pk}/change/"

    planned = pages.read(browser.get(here))
    assert "Your login and its e-mail address would stay until" in planned
    assert "Plan made, waits for your confirmation" in planned
    assert "waits for you: look at the plan and confirm it" in pages.read(browser.get("/account/"))
    held = pages.read(browser.get("/privacy/held/"))
    assert "would be erased" in held and "would be kept" in held and "Kept until, as planned" in held
    assert "to be erased" in shown(about) and "to be kept until" in shown(about) and "to do" in shown(about)
    page = pages.read(desk.get(there))
    assert "To be erased" in page and "To be kept" in page and "or earlier once what is open is finished" in page

    services.withdraw(about, actor=as_customer(alice), now=NOW)
    ended = pages.read(browser.get(here))
    assert "Nothing was removed because of this request." in ended
    assert "Taken back" in ended and "Withdrawn" not in ended, "the word of what we hold"
    assert not any(one in ended for one in STAYS)
    held = pages.read(browser.get("/privacy/held/"))
    assert "was to be erased; the request ended before" in held and "was to be kept; the request ended before" in held
    assert "would be" not in held and ">to be erased" not in held
    assert "A removal by this plan leaves keyed block token" in held, "as what a plan said, not as what stands"
    said = shown(about)
    assert "was to be erased; the request ended before" in said and "not done" in said
    assert ": to be erased" not in said and ": kept until" not in said and "to do" not in said
    page = pages.read(desk.get(there))
    assert "Was to be erased" in page and "Was to be kept" in page and "Nothing was done" in page
    assert "Goes: its key is destroyed" not in page


def test_a_copy_that_is_refused_is_not_said_to_have_been_given(alice: Customer) -> None:
    about = filed(alice, "access")
    services.make_plan(about, actor=as_customer(alice), now=NOW)
    assert "given in the copy" not in shown(about).replace("to be given in the copy", "")
    services.withdraw(about, actor=PRIVACY, now=NOW)
    assert "was to be given in the copy; the request ended before" in shown(about)
    held = pages.read(pages.signed_in(alice.subject.users.get()).get("/privacy/held/"))
    assert "was to be given in the copy; the request ended before" in held


def test_a_copy_that_nobody_confirmed_is_not_called_confirmed() -> None:
    removal, copy = Request(kind="erasure", state="confirmed"), Request(kind="access", state="confirmed")
    for one in (removal, copy):
        assert one.stands() == one.get_state_display() == "about to be carried out"


def test_each_state_has_the_same_words_at_the_desk_and_for_its_person() -> None:
    for state in State:
        for kind in ("access", "erasure"):
            one = Request(kind=kind, state=state)
            assert one.stands().replace("your", "the person's") == one.get_state_display(), (state, kind)
    asked = Request(kind="erasure", state="confirmed")
    asked.needs_second = True
    assert asked.stands() == asked.get_state_display() == "a second member of our staff has to look at it"
    assert Request(kind="erasure", state="parked").stands() == "parked until our staff have looked at it"
    assert Request(kind="deletion", state="received").stands() == "our staff have to look at it"
