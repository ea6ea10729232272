"""What a session of a login does while the second person confirms that the login is given back never outlives it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction

from accounts import acts, adapter, giving_back, objections, services
from accounts.models import ContactPoint, Customer, User
from privacy.letters.models import Letter
from privacy.requests.models import Request
from tests import factories, pages
from tests.accounts.test_giving_back import OLD, object_from, staff, taken
from tests.asked import called
from tests.factories import PASSWORD
from tests.privacy.vault.keystore.test_keys import race

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("at_now")]
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LATER = NOW + giving_back.OWNER_HAS
PLACE = {
    "purpose": "shipping", "street": "66 Thief Street", "city": "Lynn", "region": "MA", "postal_code": "01901", "country": "US",
}  # fmt: skip
NEW_PASSWORD = "Violet-Kettle-44-evil"


@pytest.fixture
def alice() -> Customer:
    """Her login was taken, and it is proposed to give it back to her."""
    user = factories.login("alice", OLD, subject=factories.subject())
    since = NOW - timedelta(days=30)
    made = factories.customer(
        "Alice", "Archer", email="alice@work.example", phone="978-555-0123", user=user, contact_since=since
    )
    said = called(made)
    with transaction.atomic():
        point = taken(made)
    object_from(OLD)
    giving_back.propose(point, said, mailbox=OLD, actor=staff("pat").as_actor(), now=NOW)
    factories.went_out(Letter.objects.filter(kind=objections.BACK_PROPOSED, sent_at=None), NOW)
    return made


def give_back(customer: Customer, by: User) -> None:
    point = ContactPoint.objects.get(customer=customer, channel="login")
    giving_back.give_back(point, actor=by.as_actor(), now=LATER)


def is_waited_for(done: threading.Event) -> bool:
    """Return whether a lock is waited for; False as soon as it is `done` without waiting."""
    for _ in range(400):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            if cursor.fetchone()[0]:
                return True
        if done.wait(0.02):
            return False
    return False


def meanwhile(customer: Customer, act: Callable[[], Any]) -> list[Any]:
    """Let `act` begin when the login is given back, and not yet for others to see; return its answer."""
    given, done, answers = threading.Event(), threading.Event(), []
    mona = staff("mona")

    def second_person() -> None:
        with transaction.atomic():
            give_back(customer, mona)
            given.set()
            is_waited_for(done)

    def thief() -> None:
        assert given.wait(20)
        try:
            answers.append(act())
        finally:
            done.set()

    raised = race(second_person, thief)
    assert raised[0] is None
    assert raised[1] is None or isinstance(raised[1], PermissionDenied), raised[1]
    return answers


DOORS: dict[str, tuple[str, dict[str, str]]] = {
    "address": ("/account/addresses/new/", PLACE),
    "contact": (
        "/account/details/edit/",
        {"first_name": "Alice", "last_name": "Archer", "email": "evil@elsewhere.example", "phone": "978-555-0666",
         "country": "US", "region": "MA"},
    ),
    "request": ("/privacy/requests/new/access/", {}),
    "password": (
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    ),
}  # fmt: skip


def left(customer: Customer) -> dict[str, int]:
    """Return what counts that came by the login: contacts nobody objects to, requests, and the thief's password."""
    user = User.objects.get(pk=customer.user_id)
    theirs = ContactPoint.objects.filter(customer=customer, came="person", disputed_at=None)
    return {
        "contacts": theirs.exclude(channel="login").count(),
        "requests": Request.objects.filter(subject_id=customer.subject_id).count(),
        "passwords": int(user.check_password(NEW_PASSWORD)),
    }


@pytest.mark.parametrize("door", DOORS)
def test_what_a_session_sends_while_its_login_is_given_back_is_not_taken_in(alice: Customer, door: str) -> None:
    path, data = DOORS[door]
    with time_machine.travel(LATER, tick=False):
        browser = pages.signed_in(alice.user, again=True)
        (answer,) = meanwhile(alice, lambda: browser.post(path, data))
        assert left(alice) == {"contacts": 0, "requests": 0, "passwords": 0}
        assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/")
        assert not User.objects.get(pk=alice.user_id).has_usable_password()


@pytest.mark.parametrize("door", DOORS)
def test_without_the_giving_back_each_of_them_is_taken_in(alice: Customer, door: str) -> None:
    """The control: the same act of the same session, a moment before."""
    path, data = DOORS[door]
    with time_machine.travel(LATER, tick=False):
        browser = pages.signed_in(alice.user, again=True)
        assert browser.post(path, data).status_code == 302
        assert sum(left(alice).values()) > 0


def test_what_a_session_had_begun_is_waited_for_and_disputed(alice: Customer) -> None:
    mona, done, begun = staff("mona"), threading.Event(), threading.Event()

    def thief() -> None:
        user = User.objects.get(pk=alice.user_id)
        with acts.of(user) as lets_in:
            assert lets_in
            begun.set()
            assert is_waited_for(done), "giving back waits for the act"
            services.add_address(alice, actor=user.as_actor(), now=LATER, **PLACE)

    def second_person() -> None:
        assert begun.wait(20)
        try:
            give_back(alice, mona)
        finally:
            done.set()

    with time_machine.travel(LATER, tick=False):
        assert race(thief, second_person) == [None, None]
    assert ContactPoint.objects.get(customer=alice, channel="post").disputed_at == LATER


def test_a_link_to_a_new_password_that_is_used_meanwhile_sets_none(alice: Customer) -> None:
    def sets() -> None:
        user = User.objects.get(pk=alice.user_id)
        adapter.AccountAdapter().set_password(user, NEW_PASSWORD)

    with time_machine.travel(LATER, tick=False):
        assert meanwhile(alice, sets) == []
        assert not User.objects.get(pk=alice.user_id).has_usable_password()
        assert EmailAddress.objects.filter(user=alice.user_id, email=OLD).exists()


def test_acts_of_one_login_do_not_wait_for_each_other(alice: Customer) -> None:
    both = threading.Barrier(2)

    def act() -> None:
        with acts.of(User.objects.get(pk=alice.user_id)):
            both.wait(20)

    assert race(act, act) == [None, None]
