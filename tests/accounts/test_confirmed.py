"""Who can write to the main database alone confirms no address: what an address proves, the site itself has seen
confirmed.

Each door is tried with the row that was written into allauth's table, and with one of which the site saw it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from accounts import candidates, claim, confirmed, people, reach, unconfirmed, upgrades, vouching
from accounts.models import Customer, LoginAddress, User
from accounts.reach import Reach
from privacy import vault
from privacy.letters.models import Letter
from privacy.vault.keystore import once
from privacy.vault.models import DataKey, Once
from tests import factories
from tests.factories import NOW
from tests.privacy.requests.test_who_is_the_person import ask, link_for

pytestmark = pytest.mark.django_db(databases="__all__")
ALICE, MALLORY = "alice@example.com", "mallory@example.com"


def written(sql: str, *values: Any) -> None:
    """Do as somebody does who holds the main database's password."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        assert cursor.rowcount == 1


def said_to_be_confirmed(user: User) -> None:
    written("UPDATE account_emailaddress SET verified = true WHERE user_id = %s", user.pk)


@pytest.fixture
def mallory(db: None) -> User:
    """A sign-up with somebody else's address, whose code nobody ever typed."""
    return factories.login("mallory", ALICE, verified=False)


@pytest.fixture(params=["planted", "seen"])
def is_seen(request: pytest.FixtureRequest) -> bool:
    """Whether the site saw the address confirmed, or only the table says so."""
    return bool(request.param == "seen")


@pytest.fixture
def login(is_seen: bool, db: None) -> User:
    user = factories.login("mallory", ALICE, verified=is_seen)
    if not is_seen:
        said_to_be_confirmed(user)
    assert EmailAddress.objects.filter(user=user, verified=True).exists()
    return user


def test_an_address_that_only_the_table_says_is_confirmed_opens_no_file(
    login: User, is_seen: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="accounts.confirmed"):
        assert reach.of(ALICE, now=NOW) == (Reach(whole=(login.subject_id,)) if is_seen else Reach())
    assert ("the site did not" in caplog.text) is not is_seen and ALICE not in caplog.text
    record = LoginAddress.objects.get()
    assert reach.counts(record, "email", now=NOW) is is_seen
    with vault.internal():
        assert people.others(login.subject_id, "") == ([ALICE] if is_seen else [])
        assert people.answer_address(login.subject_id, NOW) == (ALICE if is_seen else "")
        assert people.address(login.subject_id) == (ALICE if is_seen else "")
        assert people.on_file(login.subject_id, ALICE, NOW) == (ALICE if is_seen else "")
    assert people.logins_with(ALICE) == ([login.pk] if is_seen else [])
    assert (link_for(ask(ALICE)) is not None) is is_seen


def test_no_candidate_is_found_by_it(login: User, is_seen: bool) -> None:
    message = factories.communication(email=ALICE, contact_name="Alice Archer")
    assert [one.pk for one in candidates.of(login.subject_id, now=NOW)] == ([message.pk] if is_seen else [])


def test_no_customer_number_is_taken_over_by_it(login: User, is_seen: bool) -> None:
    alice = factories.customer(email=ALICE)
    assert claim._has_proved(login, alice) is is_seen
    browser = Client()
    browser.force_login(login)
    answer = browser.get(reverse("account_claim"))
    browser.post(answer.url, {"password": factories.PASSWORD})
    browser.post(reverse("account_claim"))
    assert (Customer.objects.get(pk=alice.pk).user_id == login.pk) is is_seen


def test_no_letter_with_a_key_goes_there(login: User, is_seen: bool) -> None:
    assert vouching.reached([login], ALICE) == ([login] if is_seen else [])
    Client().post(reverse("account_reset_password"), {"email": ALICE})
    assert Letter.objects.filter(kind="password_reset_key").exists() is is_seen
    assert not mail.outbox


def test_a_contact_is_not_the_logins_own_by_it(login: User, is_seen: bool) -> None:
    customer = factories.customer("Mallory", "Moss", email="other@example.com", user=login, subject=login.subject)
    point = reach.entered(customer, "email", ALICE, came="staff", now=NOW)
    assert point is not None and (point.came == "login") is is_seen


@pytest.mark.parametrize("how", ["user", "handle"])
def test_an_address_of_somebody_that_was_hung_on_another_login_counts_for_none_of_them(how: str) -> None:
    alice, other = factories.login(), factories.login("mallory", MALLORY)
    assert reach.of(ALICE, now=NOW).whole == (alice.subject_id,), "control"
    (hers,) = EmailAddress.objects.filter(user=alice)
    if how == "user":
        written('UPDATE account_emailaddress SET user_id = %s, "primary" = false WHERE id = %s', other.pk, hers.pk)
    else:
        written("DELETE FROM account_emailaddress WHERE id = %s", hers.pk)
        written("UPDATE account_emailaddress SET email = %s WHERE user_id = %s", hers.__dict__["email"], other.pk)
    written("UPDATE accounts_loginaddress SET user_id = %s WHERE id = %s", other.pk, confirmed.number_of(hers))
    assert reach.of(ALICE, now=NOW) == Reach() and people.logins_with(ALICE) == []
    assert vouching.reached([alice, other], ALICE) == []


def test_a_keyed_hash_of_another_row_is_none(mallory: User) -> None:
    factories.login("trudy", MALLORY)
    written(
        "UPDATE accounts_loginaddress SET mac = (SELECT mac FROM accounts_loginaddress WHERE mac <> '') WHERE user_id = %s",
        mallory.pk,
    )
    said_to_be_confirmed(mallory)
    assert reach.of(ALICE, now=NOW) == Reach()


# Keys -----------------------------------------------------------------------------------------------------------------


def owner_of(record: LoginAddress) -> Any:
    return DataKey.objects.get(record=record.pk, destroyed_at=None).owner_id


def planted_beside(record: LoginAddress, user: User, *, verified: bool) -> EmailAddress:
    written(
        'INSERT INTO account_emailaddress (user_id, email, verified, "primary") VALUES (%s, %s, %s, false)',
        user.pk, f"h1.{record.pk.hex}", verified,
    )  # fmt: skip
    return EmailAddress.objects.get(user=user, primary=False)


def test_saving_a_row_that_only_the_table_says_is_confirmed_gives_nobody_the_key(mallory: User) -> None:
    """Somebody signed up with an address; it stands as confirmed for another login, whose row the site then saves."""
    trudy = factories.login("trudy", MALLORY)
    record = LoginAddress.objects.get(user=mallory)
    planted_beside(record, trudy, verified=True).save()
    assert owner_of(record) == mallory.subject_id and not confirmed.is_of(record.pk, trudy.pk)
    assert reach.of(ALICE, now=NOW) == Reach()


def test_what_its_owner_leaves_behind_is_no_heirs() -> None:
    """The owner confirms another address; a planted row says that the earlier one is somebody else's, too."""
    alice, trudy = factories.login(), factories.login("trudy", MALLORY)
    record = LoginAddress.objects.get(user=alice)
    planted_beside(record, trudy, verified=False)
    EmailAddress.objects.get(user=alice).delete()
    assert not LoginAddress.objects.filter(pk=record.pk).exists()
    assert trudy.subject_id not in DataKey.objects.filter(record=record.pk).values_list("owner_id", flat=True)


def test_a_confirmed_login_is_not_ended_as_a_sign_up_because_the_table_says_so() -> None:
    alice = factories.login()
    written("UPDATE account_emailaddress SET verified = false WHERE user_id = %s", alice.pk)
    late = NOW + timedelta(days=9)
    assert unconfirmed.sign_ups().filter(pk=alice.pk).exists(), "control: the table does"
    assert unconfirmed.end_lapsed(actor=None, now=late) == 0 and User.objects.filter(pk=alice.pk).exists()
    waiting = factories.login("mallory", MALLORY, verified=False)
    assert unconfirmed.end_lapsed(actor=None, now=late) == 1 and not User.objects.filter(pk=waiting.pk).exists()


# Upgrade --------------------------------------------------------------------------------------------------------------


def test_the_addresses_of_before_are_bound_once_and_none_whose_key_is_anothers() -> None:
    alice, bob = factories.login(), factories.login("bob", "bob@example.com")
    models.QuerySet(LoginAddress).update(mac="")
    written("UPDATE accounts_loginaddress SET user_id = %s WHERE user_id = %s", alice.pk, bob.pk)
    written('UPDATE account_emailaddress SET user_id = %s, "primary" = false WHERE user_id = %s', alice.pk, bob.pk)
    assert reach.of(ALICE, now=NOW) == Reach()
    Once.objects.filter(step=once.ADDRESSES).delete()
    upgrades.bind_rows(now=NOW)
    assert reach.of(ALICE, now=NOW).whole == (alice.subject_id,)
    assert reach.of("bob@example.com", now=NOW) == Reach()
    models.QuerySet(LoginAddress).update(mac="")
    upgrades.bind_rows(now=NOW)
    assert reach.of(ALICE, now=NOW) == Reach(), "a second time would make valid what was planted meanwhile"
    vouching.vouch_again(alice, keep_password=True, actor=None, now=NOW)
    assert reach.of(ALICE, now=NOW).whole == (alice.subject_id,), "an operator looked"


def test_an_operator_reads_which_addresses_are_doubted_and_lets_one_count(mallory: User) -> None:
    def command(*args: str) -> tuple[int, str]:
        out = StringIO()
        try:
            call_command("seal_logins", *args, stdout=out)
        except CommandError as error:
            return error.returncode, out.getvalue()
        return 0, out.getvalue()

    assert command() == (0, "Logins that are doubted: 0.\n")
    said_to_be_confirmed(mallory)
    code, text = command()
    assert code == 1 and f"{mallory.pk}: the table says that its address is confirmed" in text and ALICE not in text
    assert command("--login", str(mallory.pk))[0] == 0
    assert reach.of(ALICE, now=NOW).whole == (mallory.subject_id,) and mallory.has_usable_password()
    assert command()[0] == 0


def test_a_code_that_is_typed_confirms_the_address(client: Client) -> None:
    from tests.accounts.test_login import sign_up, verify

    sign_up(client)
    user = User.objects.get()
    record = LoginAddress.objects.get()
    assert not confirmed.is_of(record.pk, user.pk)
    verify(client)
    assert confirmed.is_of(record.pk, user.pk) and confirmed.rows(user_id=user.pk)
