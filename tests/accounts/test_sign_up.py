"""Signing up with an address that is somebody else's: what the stranger gets, and what the owner of the mailbox can
do."""

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import factor, logins, unconfirmed, upgrades, witnessed
from accounts.models import Customer, LoginAddress, Session, User
from privacy import audit, vault
from privacy.audit.models import AuditEvent
from privacy.letters.models import Letter
from privacy.subjects import Subject
from privacy.vault.models import DataKey, Token
from tests import factories, pages
from tests.accounts.test_login import is_in, last_code, last_link, letters, log_in, sign_up, type_code
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ALICE, PAGE = "alice@example.com", "account_email_verification_sent"


@pytest.fixture
def mallory() -> Client:
    """Somebody who signed up with alice's address; alice is a customer without a login."""
    factories.customer(email=ALICE)
    browser = Client()
    sign_up(browser, "mallory", ALICE)
    return browser


def test_a_strangers_sign_up_gets_alice_a_letter_that_nothing_can_be_pressed_in(mallory: Client) -> None:
    """Pre-hijack (B3): alice does in good faith all that the letter offers; mallory's login must stay outside."""
    kind, to, text = letters()[-1]
    assert (kind, to) == ("email_confirmation_signup", ALICE)
    assert "http" not in text
    assert "mallory" in text, "she sees that the name is not hers"
    assert "join the orders and returns" in text
    assert "If you did not create this account, do nothing" in text
    alice = Client()
    assert type_code(alice, last_code()).status_code == 401, "her own browser asked for nothing"
    assert not is_in(mallory)
    log_in(mallory, "mallory")
    assert not is_in(mallory)
    assert not EmailAddress.objects.get().verified
    assert Customer.objects.get().user_id is None


def test_nothing_that_a_stranger_types_is_a_link_or_a_number_to_call_in_a_letter_to_somebody_else() -> None:
    """Finding 11: a domain as a user name stood in our letter to anybody, and mail programs made a link of it."""
    bait = (
        "www.claim-your-refund.example",
        "www\u2488example",
        "call-978-555-0199-now",
        "your-account-is-locked-write-to-us",
    )
    for number, name in enumerate((*bait, "mallory_2-b")):
        sign_up(Client(), name, f"victim{number}@example.com")
        kind, to, text = letters()[-1]
        assert (kind, to) == ("email_confirmation_signup", f"victim{number}@example.com")
        assert (name in text, "is left out here" in text) == ((True, False) if name == "mallory_2-b" else (False, True))
        assert text.count("http") == text.count(".example/") == 0
    for name in bait:  # of before, or confirmed since: so where the address is changed
        user = User.objects.named(name).get()
        EmailAddress.objects.filter(user=user).update(verified=True)
        browser = pages.signed_in(user, again=True)
        browser.post("/accounts/email/", {"action_add": "", "email": f"other{user.pk.hex[-6:]}@example.com"})
        kind, to, text = letters()[-1]
        assert kind == "email_confirmation" and to.startswith("other")
        assert name not in text and "is left out here" in text


def test_the_code_counts_in_the_browser_that_signed_up(mallory: Client) -> None:
    """The positive control: had alice read the code out to mallory, mallory would be in, and still not in her file."""
    type_code(mallory, last_code())
    assert is_in(mallory)
    assert EmailAddress.objects.get().verified
    assert Customer.objects.get().user_id is None


def test_the_code_counts_in_no_other_session_of_the_same_login(mallory: Client) -> None:
    first = last_code()
    cache.clear()
    second = Client()
    log_in(second, "mallory")
    assert last_code() != first
    assert type_code(second, first).status_code == 401
    assert not is_in(second)


def test_a_code_is_over_after_three_wrong_ones_or_a_quarter_of_an_hour(mallory: Client) -> None:
    code = last_code()
    for _ in range(3):
        answer = type_code(mallory, "WRON-GONE")
    assert answer.status_code == 401
    assert type_code(mallory, code).status_code == 401
    assert not is_in(mallory)
    cache.clear()
    log_in(mallory, "mallory")
    session = mallory.session
    session["account_email_verification_code"] = {**session["account_email_verification_code"], "at": 0}
    session.save()
    assert type_code(mallory, last_code()).status_code == 401
    assert not is_in(mallory)


def test_letters_with_a_code_to_one_address_are_limited(mallory: Client) -> None:
    before = len(letters())
    answers = [sign_up(Client(), f"mallory{number}", ALICE).status_code for number in range(3)]
    assert (answers, len(letters()) - before) == ([429, 429, 429], 0)


def test_a_reset_of_a_login_that_was_never_confirmed_gives_nothing_to_anybody(mallory: Client) -> None:
    alice = Client()
    answer = alice.post(reverse("account_reset_password"), {"email": ALICE})
    assert answer.url == reverse("account_reset_password_done")
    kind, to, text = letters()[-1]
    assert (kind, to) == ("unknown_account", ALICE)
    assert "/reset/key/" not in text


def test_a_new_password_ends_every_other_session_half_way_in() -> None:
    owner = factories.login("alice", ALICE)
    factor.enrol(owner)
    thief = Client()
    log_in(thief, "alice")
    assert thief.get(reverse("mfa_authenticate")).status_code == 200
    alice = Client()
    alice.post(reverse("account_reset_password"), {"email": ALICE})
    new = {"password1": "another good long password", "password2": "another good long password"}
    assert alice.post(alice.get(last_link()).url, new).status_code == 302
    assert thief.get(reverse("mfa_authenticate")).url.startswith(reverse("account_login"))
    assert Session.objects.filter(user=owner).count() == 0


def test_the_owner_of_an_address_signs_up_although_a_stranger_did_before(mallory: Client) -> None:
    """The stranger's login is gone with its code and its half-finished session."""
    code, before = last_code(), User.objects.get()
    gone = Subject.objects.get(pk=before.subject_id)
    cache.clear()
    alice = Client()
    assert sign_up(alice, "alice", ALICE).url == reverse(PAGE)
    assert letters()[-1][:2] == ("email_confirmation_signup", ALICE)
    assert not User.objects.filter(pk=before.pk).exists()
    assert not Subject.objects.filter(pk=gone.pk).exists()
    assert type_code(mallory, code).status_code == 401
    assert type_code(mallory, last_code()).status_code == 401
    assert log_in(mallory, "mallory").status_code == 401
    type_code(alice, last_code())
    assert is_in(alice)
    assert EmailAddress.objects.get().verified
    assert [one.reason for one in AuditEvent.objects.filter(action="account.unconfirmed")] == ["replaced"]


def test_what_was_replaced_leaves_no_key_token_or_letter_that_opens(mallory: Client) -> None:
    before = User.objects.get()
    address = LoginAddress.objects.get()
    cache.clear()
    sign_up(Client(), "alice", ALICE)
    old = [before.pk, address.pk]
    assert not DataKey.objects.filter(record__in=old, destroyed_at=None).exists()
    assert not Token.objects.filter(record__in=old).exists()
    assert not Letter.objects.filter(subject_id=before.subject_id).exists()
    opened = [to for _, to, _ in letters() if to == ALICE]
    assert len(opened) == 1, "the letter with the first code is burnt"


def test_the_same_name_is_free_in_the_browser_that_signed_up_and_a_typing_error_is_mended() -> None:
    alice = Client()
    sign_up(alice, "alice", "alcie@example.com")
    assert "username" in sign_up(Client(), "alice", "somebody@example.com").context["form"].errors
    assert sign_up(alice, "Alice", ALICE).url == reverse(PAGE)
    assert User.objects.count() == 1
    type_code(alice, last_code())
    assert is_in(alice)


def test_while_the_address_gets_no_further_code_nothing_is_replaced(mallory: Client) -> None:
    assert sign_up(Client(), "other", ALICE).status_code == 429
    type_code(mallory, last_code())
    assert is_in(mallory)


def test_a_confirmed_login_is_never_replaced() -> None:
    owner = factories.login("alice", ALICE)
    sign_up(Client(), "mallory", ALICE)
    assert list(User.objects.all()) == [owner]
    assert unconfirmed.end(owner.pk, reason="replaced", actor=None, now=timezone.now()) is False
    assert unconfirmed.end_lapsed(actor=None, now=timezone.now() + timedelta(days=99)) == 0


def columns_say_unconfirmed(user: User) -> None:
    """Do as somebody does who holds the main database's password: every column says that nobody
    ever confirmed or signed in."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE account_emailaddress SET verified = false WHERE user_id = %s", [user.pk])
        cursor.execute("UPDATE accounts_loginaddress SET mac = '' WHERE user_id = %s", [user.pk])
        cursor.execute(
            "UPDATE accounts_user SET last_login = NULL, created_at = created_at - interval '4 days' WHERE id = %s",
            [user.pk],
        )


@pytest.mark.parametrize("door", ["lapsed", "another signs up"])
def test_a_login_in_use_is_not_ended_whatever_the_columns_say(
    mallory: Client, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Control: a sign-up of which all columns say the same, and whose code nobody ever typed, does end."""
    waiting = User.objects.get()
    alice = Client()
    sign_up(alice, "zoe", "zoe@example.com")
    type_code(alice, last_code())
    login = User.objects.exclude(pk=waiting.pk).get()
    for user in (waiting, login):
        columns_say_unconfirmed(user)
    assert set(unconfirmed.sign_ups()) == {waiting, login}
    if door == "lapsed":
        assert unconfirmed.end_lapsed(actor=None, now=timezone.now()) == 1
    else:
        cache.clear()
        sign_up(Client(), "other", "zoe@example.com")
        sign_up(Client(), "ma11ory", ALICE)
    assert not User.objects.filter(pk=waiting.pk).exists()
    assert User.objects.get(pk=login.pk).last_login is None and is_in(alice)
    assert DataKey.objects.get(record=login.pk).destroyed_at is None
    assert DataKey.objects.get(record=login.login_addresses.get().pk).destroyed_at is None
    assert "only the tables say" in caplog.text and "zoe" not in caplog.text


def test_a_sign_up_that_is_said_to_be_another_persons_ends_nothing_of_theirs(mallory: Client) -> None:
    """The row of a sign-up that really waits is turned to the person, and the address, of a login."""
    waiting, owner = User.objects.get(), factories.login("zoe", "zoe@example.com")
    witnessed.confirm(owner, actor=None, now=factories.NOW)
    address = owner.login_addresses.get().pk
    handle = EmailAddress.objects.get(user=owner).__dict__["email"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET subject_id = NULL WHERE id = %s", [owner.pk])
        cursor.execute("UPDATE accounts_user SET subject_id = %s WHERE id = %s", [owner.subject_id, waiting.pk])
        cursor.execute("DELETE FROM account_emailaddress WHERE user_id = %s", [owner.pk])
    models.QuerySet(EmailAddress).filter(user=waiting).update(email=handle)
    assert unconfirmed.end_lapsed(actor=None, now=timezone.now() + timedelta(days=3)) == 0
    assert DataKey.objects.get(record=address).destroyed_at is None


def test_the_logins_of_before_are_written_down_as_confirmed_once() -> None:
    login, waiting = factories.login("alice", ALICE), factories.login("bob", "bob@example.com", verified=False)
    assert witnessed.is_sign_up_only(waiting)
    upgrades.bind_rows(now=factories.NOW)
    events = AuditEvent.objects.filter(action=witnessed.CONFIRMED)
    assert list(events) == list(audit.history(record=(User.vault_label, login.pk)).filter(action=witnessed.CONFIRMED))
    assert events.count() == 1
    assert witnessed.confirm_earlier(now=factories.NOW) == 0
    columns_say_unconfirmed(login)
    assert unconfirmed.end_lapsed(actor=None, now=factories.NOW + timedelta(days=9)) == 1
    assert list(User.objects.all()) == [login]


def test_what_is_not_confirmed_ends_after_three_days_and_its_name_is_free(mallory: Client) -> None:
    made = User.objects.get().created_at
    assert unconfirmed.end_lapsed(actor=None, now=made + timedelta(days=3, seconds=-1)) == 0
    assert "username" in sign_up(Client(), "mallory", "other@example.com").context["form"].errors
    assert unconfirmed.end_lapsed(actor=None, now=made + timedelta(days=3)) == 1
    assert (User.objects.count(), LoginAddress.objects.count(), EmailAddress.objects.count()) == (0, 0, 0)
    assert sign_up(Client(), "mallory", "other@example.com").url == reverse(PAGE)


def test_an_address_that_waits_for_its_confirmation_is_inherited_by_nobody_when_its_sign_up_ends() -> None:
    """A row beside it, which somebody wrote into the table, says that the address is another login's, too."""
    sign_up(Client(), "gwen", "gwen@example.com")
    waiting, trudy = User.objects.get(), factories.login("trudy", "trudy@example.com")
    record = waiting.login_addresses.get()
    row = EmailAddress.objects.get(user=waiting)
    planted = EmailAddress(user=trudy, email=row.__dict__["email"], verified=False, primary=False)
    models.QuerySet(EmailAddress).bulk_create([planted])
    assert DataKey.objects.get(record=record.pk, destroyed_at=None).owner_id == waiting.subject_id
    assert unconfirmed.end_lapsed(actor=None, now=waiting.created_at + timedelta(days=3)) == 1
    assert not DataKey.objects.filter(record=record.pk, destroyed_at=None).exists()
    with vault.internal():
        assert not EmailAddress.objects.get(user=trudy, verified=False).email


def test_a_name_that_should_be_free_by_now_waits_for_no_worker(mallory: Client) -> None:
    User.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert sign_up(Client(), "ma11ory", "other@example.com").url == reverse(PAGE)
    assert User.objects.count() == 1


def test_a_sign_up_of_somebody_else_holds_up_no_change_of_address(mallory: Client) -> None:
    """alice, who has a login, makes the address hers; the sign-up that waited with it ends."""
    alice = factories.login("alice", "alice@old.example")
    browser = pages.signed_in(alice, again=True)
    cache.clear()
    browser.post(reverse("account_email"), {"action_add": "", "email": ALICE})
    type_code(browser, last_code())
    assert list(EmailAddress.objects.values_list("user", "verified")) == [(alice.pk, True)]
    assert EmailAddress.objects.filter(email=ALICE).exists()
    assert list(User.objects.all()) == [alice]


def test_a_login_made_by_an_operator_takes_the_address_of_a_sign_up_that_waits(mallory: Client) -> None:
    logins.create(username="alice", email=ALICE, password=PASSWORD, actor=None, now=timezone.now())
    assert User.objects.count() == 1
    with pytest.raises(ValidationError):
        logins.create(username="alice2", email=ALICE, password=PASSWORD, actor=None, now=timezone.now())


def test_of_two_browsers_that_sign_up_with_one_address_the_last_is_confirmed() -> None:
    first, second = Client(), Client()
    sign_up(first, "first", ALICE)
    one = last_code()
    cache.clear()
    sign_up(second, "second", ALICE)
    assert type_code(first, one).status_code == 401
    type_code(second, last_code())
    assert is_in(second)
    assert not is_in(first)


def shown(browser: Client) -> tuple[Any, ...]:
    """What the page for the code shows and answers to a wrong code, without tokens."""
    answers = [browser.get(reverse(PAGE)), *(type_code(browser, "WRON-GONE") for _ in range(3))]
    return tuple(
        (
            one.status_code,
            one.get("Location", ""),
            re.sub(r'csrfmiddlewaretoken" value="[^"]+', "", one.content.decode()),
        )
        for one in answers
    )


def test_the_page_for_the_code_is_the_same_for_a_new_and_a_known_address() -> None:
    factories.login("alice", ALICE)
    new, known = Client(), Client()
    sign_up(new, "newcomer", "new@example.com")
    sign_up(known, "another", ALICE)
    assert [kind for kind, _, _ in letters()] == ["email_confirmation_signup", "account_already_exists"]
    assert shown(new) == shown(known)
    assert User.objects.count() == 2
