"""The front page and the pages for what went wrong."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models.signals import post_save
from django.db.utils import ConnectionHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import Address, Session
from ilt_site import views
from tests import factories, pages


def test_the_front_page_is_public_and_leads_to_privacy_and_sign_in(client: Client, db: None) -> None:
    page = client.get("/")
    assert page.status_code == 200
    for path in ("/privacy/", "/privacy/ask/", "/privacy/outcome/", "/accounts/login/", "/accounts/signup/"):
        assert f'href="{path}"' in page.text


def test_a_page_has_no_script_no_inline_style_and_nothing_from_elsewhere(client: Client, db: None) -> None:
    text = client.get("/").text
    assert "<script" not in text and "<style" not in text
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r'(src|href)="(https?:)?//', text)


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (views.bad_request, 400),
        (views.permission_denied, 403),
        (views.page_not_found, 404),
        (views.server_error, 500),
        (views.csrf_failure, 403),
    ],
)
def test_an_error_page_needs_neither_database_nor_user(view, status: int) -> None:
    # No database fixture here: a query would fail the test.
    answer = view(RequestFactory().get("/"))
    assert answer.status_code == status
    assert answer["Cache-Control"] == "no-store"
    assert "International Light Technologies" in answer.text and "<h1>" in answer.text


@pytest.mark.django_db(databases="__all__")
def test_who_is_signed_out_while_an_address_is_stored_is_not_told_that_nothing_was() -> None:
    """The address stands; only then the session, gone by a sign-out in another window, cannot be written."""
    user = factories.login("alice", "alice@example.com", subject=factories.subject())
    factories.customer("Alice", "Archer", user=user)
    browser = pages.signed_in(user, again=True)
    place = {"street": "12 Elm Street", "city": "Salem", "region": "MA", "postal_code": "01970", "country": "US"}

    def signs_out(**_: Any) -> None:
        Session.objects.all().delete()

    post_save.connect(signs_out, sender=Address)
    try:
        answer = browser.post("/account/addresses/new/", {"purpose": "shipping", **place})
    finally:
        post_save.disconnect(signs_out, sender=Address)
    assert answer.status_code == 400 and Address.objects.count() == 1
    assert "You were signed out meanwhile" in answer.text and "Nothing was stored" not in answer.text
    assert "may have been taken in" in answer.text


def test_what_could_not_be_read_is_answered_with_nothing_stored(client: Client, db: None) -> None:
    """The control: what is too large is refused before any page is asked."""
    answer = client.post("/privacy/ask/", {f"field{number}": "x" for number in range(5000)})
    assert answer.status_code == 400 and "Nothing was stored and nothing was changed." in answer.text


def test_each_error_page_has_a_title_of_its_own() -> None:
    pages = [
        view(RequestFactory().get("/")).text
        for view in (
            views.bad_request,
            views.permission_denied,
            views.page_not_found,
            views.server_error,
            views.csrf_failure,
        )
    ]
    titles = [re.search(r"<title>(.*?)</title>", page, re.S)[1] for page in pages]
    assert len(set(titles)) == len(titles)


def test_a_form_that_did_not_come_from_this_site_has_no_effect(db: None) -> None:
    page = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "alice", "password": "x"})
    assert page.status_code == 403
    assert "out of date" in page.text


def answered(failing: Callable[[], object], expected: type[Exception]) -> HttpResponse:
    """Return the page for what `failing` raises, made where Django makes it."""
    try:
        failing()
    except expected:
        return views.server_error(RequestFactory().get("/"))
    pytest.fail("nothing failed")


def test_a_database_that_is_away_is_said_in_words_with_503(db: None) -> None:
    nowhere = {**connection.settings_dict, "HOST": "127.0.0.1", "PORT": "1"}  # nothing listens there
    away = ConnectionHandler({"default": nowhere})["default"]
    answer = answered(away.ensure_connection, OperationalError)
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "15", "no-store")
    assert "cannot be reached at this moment" in answer.text
    assert answer.text.count("<h1") == 1


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SET LOCAL statement_timeout = 1; SELECT pg_sleep(9)"])
def test_a_statement_that_fails_is_no_database_that_is_away(db: None, statement: str) -> None:
    def fail() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    assert answered(fail, DatabaseError).status_code == 500
