"""Asking for the password once more (design 5): what was sent without it is never done by somebody's typing it
later."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode

from accounts import factor
from accounts.models import Customer, User
from privacy import registers
from privacy.letters.models import Letter
from privacy.models import Request
from privacy.requests import services
from privacy.requests.states import State
from tests import factories, pages

pytestmark = pytest.mark.django_db

AGAIN = "/accounts/reauthenticate/"
PASSWORD = {"password": factories.PASSWORD}
ORIGIN = "http://testserver"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def alice() -> User:
    user = factories.login()
    factories.customer(user=user)
    return user


@pytest.fixture
def session(alice: User) -> Client:
    """Alice's browser, and whoever has a copy of its cookie: signed in, the password not typed lately."""
    return pages.signed_in(alice)


@pytest.fixture
def planned(alice: User) -> Request:
    """A removal of alice's that she looked at and left; the browser in which she did is another one."""
    answer = pages.signed_in(alice, again=True).post("/privacy/requests/new/erasure/", follow=True)
    assert "What goes" in answer.text
    about = Request.objects.get()
    services.make_plan(about, actor=alice.as_actor(), now=factories.NOW)
    return about


def again_for(path: str) -> str:
    return f"{AGAIN}?{urlencode({'next': path})}"


def typed_for(browser: Client, path: str) -> Any:
    """Open a page as its owner does, be asked for the password and type it; return the answer to that."""
    asked = browser.get(path)
    assert asked.headers["Location"].startswith(AGAIN)
    return browser.post(AGAIN, {**PASSWORD, "next": path})


def test_a_removal_sent_without_the_password_is_not_confirmed_by_looking_at_it(
    session: Client, planned: Request
) -> None:
    """Finding 1: a copy of the cookie sends the confirmation, the owner types the password only to look."""
    path = f"/privacy/requests/{planned.pk}/confirm/"
    assert session.post(path, {"plan_hash": planned.plan_hash}).headers["Location"].startswith(AGAIN)
    answer = typed_for(session, path)
    assert (answer.status_code, answer.headers["Location"]) == (302, path)
    text = pages.check(session.get(path))
    planned.refresh_from_db()
    assert (planned.state, planned.confirmed_hash) == (State.PLANNED, "")
    # Control: the same browser confirms what it is shown now, and its answer is no refusal.
    shown = re.findall(r'name="plan_hash" value="([0-9a-f]{64})"', text)
    assert "is confirmed" in pages.check(session.post(path, {"plan_hash": shown[0]}))
    planned.refresh_from_db()
    assert planned.state == State.CONFIRMED


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_request_sent_without_the_password_does_not_file_itself(session: Client, kind: str) -> None:
    path = f"/privacy/requests/new/{kind}/"
    session.post(path)
    assert typed_for(session, path).headers["Location"] == path
    pages.check(session.get(path))
    assert Request.objects.count() == 0
    session.post(path)
    assert Request.objects.get().kind == kind


def test_records_are_not_joined_by_who_only_looks(session: Client, alice: User) -> None:
    earlier = factories.customer(email="alice@example.com")
    session.post("/account/claim/")
    assert typed_for(session, "/account/claim/").headers["Location"] == "/account/claim/"
    assert Customer.objects.get(pk=earlier.pk).user_id is None
    assert "Join it" in pages.check(session.get("/account/claim/")), "control: there is something to join"


def test_the_undertaking_is_not_signed_by_who_only_looks() -> None:
    carol = factories.staff(acknowledged=False)
    browser, path = pages.signed_in(carol), "/account/confidentiality/"
    browser.post(path)
    assert typed_for(browser, path).headers["Location"] == path
    assert registers.Acknowledgement.objects.count() == 0
    browser.post(path)
    assert registers.Acknowledgement.objects.get().subject_id == carol.subject_id


def test_an_address_is_not_added_by_who_types_the_password(session: Client) -> None:
    path = "/accounts/email/"
    data = {"action_add": "", "email": "thief@example.org"}
    assert session.post(path, data, headers={"referer": ORIGIN + path}).headers["Location"] == again_for(path)
    assert session.post(AGAIN, {**PASSWORD, "next": path}).headers["Location"] == path
    assert Letter.objects.count() == 0
    session.post(path, data)
    assert Letter.objects.get().kind == "email_confirmation"


def test_what_an_older_release_left_in_a_session_is_not_done_either(session: Client, planned: Request) -> None:
    path = f"/privacy/requests/{planned.pk}/confirm/"
    kept = session.session
    kept["account_reauthentication_state"] = {
        "request": {"path": path, "path_info": path, "method": "POST", "GET": "", "POST": f"plan_hash={planned.plan_hash}",
                    "scheme": "http"}
    }  # fmt: skip
    kept.save()
    assert typed_for(session, path).headers["Location"] == path
    planned.refresh_from_db()
    assert planned.state == State.PLANNED
    assert "account_reauthentication_state" not in session.session


def test_nothing_of_what_was_sent_stays_in_the_session(session: Client) -> None:
    session.post("/privacy/requests/new/access/", {"note": "Marblehead"})
    assert "Marblehead" not in str(dict(session.session))


def test_the_password_leads_back_to_the_page_of_the_button_and_says_that_nothing_was_done(
    session: Client, alice: User
) -> None:
    """A page that only takes a POST cannot be shown: the one on which its button stands is."""
    address = factories.address(Customer.objects.get(user=alice))
    remove = f"/account/addresses/{address.pk}/remove/"
    asked = session.post(remove, headers={"referer": f"{ORIGIN}/account/details/"})
    assert asked.headers["Location"] == again_for("/account/details/")
    assert "Nothing has been done yet" in session.get(asked.headers["Location"]).text
    answer = session.post(AGAIN, {**PASSWORD, "next": "/account/details/"})
    assert answer.headers["Location"] == "/account/details/"
    assert session.post(remove).headers["Location"] == "/account/details/"
    assert not Customer.objects.get(user=alice).addresses.exists()


@pytest.mark.parametrize("path", ["/account/details/edit/", "/account/addresses/new/"])
def test_a_form_asks_for_the_password_before_it_is_filled_in_for_nothing_sent_is_kept(
    session: Client, path: str
) -> None:
    assert session.get(path).headers["Location"] == again_for(path)
    assert typed_for(session, path).headers["Location"] == path
    pages.check(session.get(path))


@pytest.mark.parametrize("said", ["", "https://evil.example/account/", "http://testserver.evil.example/", "nonsense"])
def test_only_a_page_of_ours_is_led_back_to(session: Client, said: str) -> None:
    asked = session.post("/privacy/requests/new/access/", headers={"referer": said})
    assert asked.headers["Location"] == again_for("/account/")


@pytest.mark.parametrize("label", ["privacy.request", "privacy.requestevent"])
def test_the_hash_of_a_plan_stands_on_no_page_without_the_password(
    session: Client, planned: Request, label: str
) -> None:
    for path in ("/privacy/held/", f"/privacy/held/{label}/", f"/privacy/requests/{planned.pk}/"):
        text = pages.check(session.get(path))
        assert "removal" in text.lower() or "Privacy request" in text or "History of a request" in text
        assert planned.plan_hash and planned.plan_hash not in text


def test_a_removal_is_not_taken_back_without_the_password(session: Client, alice: User, planned: Request) -> None:
    """Finding 10: whoever has a copy of the cookie undoes what the owner asked for."""
    path = f"/privacy/requests/{planned.pk}/withdraw/"
    assert session.post(path).headers["Location"].startswith(AGAIN)
    planned.refresh_from_db()
    assert planned.state == State.PLANNED
    pages.signed_in(alice, again=True).post(path)
    planned.refresh_from_db()
    assert planned.state == State.WITHDRAWN


def copy_of(browser: Client) -> Client:
    """A browser with a copy of this one's cookie."""
    copy = Client()
    copy.cookies[settings.SESSION_COOKIE_NAME] = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return copy


def test_a_copy_of_the_cookie_gains_nothing_by_what_its_owner_shows(session: Client, alice: User) -> None:
    """The five minutes belong to the browser that typed: by password, code of the app, and recovery code."""

    def is_out(copy: Client) -> bool:
        return copy.get("/account/").headers.get("Location", "").startswith("/accounts/login/")

    copy = copy_of(session)
    assert not is_out(copy), "control: it is signed in"
    asked = session.get("/privacy/requests/new/access/").headers["Location"]
    assert session.post(asked, {"password": "wrong wrong wrong"}).status_code == 401
    assert not is_out(copy), "control: what is refused changes nothing"
    assert session.post(asked, {**PASSWORD, "next": "/privacy/requests/new/access/"}).status_code == 302
    assert session.get("/privacy/requests/new/access/").status_code == 200
    assert is_out(copy)
    copy.post("/privacy/requests/new/access/")
    copy.post("/accounts/email/", {"action_add": "", "email": "thief@example.org"})
    assert not Request.objects.exists() and not Letter.objects.exists()
    # So by the app of a second factor and by a recovery code; enrolment: tests/accounts/test_factor.py.
    factor.enrol(alice)
    recovery = RecoveryCodes.activate(alice).get_unused_codes()[0]
    for code in (factor.code(alice, now=timezone.now())[0], recovery):
        copy = copy_of(session)
        answer = session.post("/accounts/2fa/reauthenticate/", {"code": code})
        assert answer.status_code == 302 and session.get("/account/").status_code == 200
        assert is_out(copy)


def test_guessing_at_the_change_of_the_password_counts_with_the_other_tries(session: Client, alice: User) -> None:
    wrong = {"oldpassword": "wrong wrong wrong", "password1": "another good long password",
             "password2": "another good long password"}  # fmt: skip
    change = "/accounts/password/change/"
    assert [session.post(change, wrong).status_code for _ in range(3)] == [401, 401, 401]
    assert [session.post(AGAIN, {"password": "wrong wrong wrong"}).status_code for _ in range(3)] == [401, 401, 429]
    refused = session.post(change, {**wrong, "oldpassword": factories.PASSWORD})
    assert refused.status_code == 429 and "Too many failed login attempts" in refused.text
    cache.clear()
    assert session.post(change, {**wrong, "oldpassword": factories.PASSWORD}).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("another good long password")
