"""A login counts only as the site wrote it: who can write to the main database gives nobody a
password, a role or a person."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client
from django.urls import reverse

from accounts import claim, logins, upgrades, vouching
from accounts.backends import LoginBackend
from accounts.models import Session, User
from accounts.users import LoginDoubted
from privacy import audit
from privacy.audit.models import AuditEvent
from privacy.letters.models import Letter
from privacy.vault.keystore import once
from privacy.vault.models import Once
from tests import factories, pages
from tests.factories import NOW, PASSWORD
from tests.journeys.test_planted_rows import alice_and_bob, shows, sql

pytestmark = pytest.mark.django_db(databases="__all__")

OTHER = "another password that is long enough"
BACK_OFFICE = "/admin/accounts/customer/"


def signs_in(name: str, password: str) -> bool:
    answer = Client().post("/accounts/login/", {"login": name, "password": password})
    assert answer.status_code in (302, 401)
    return bool(answer.status_code == 302)


def doubted() -> list[Any]:
    return [one.pk for one in vouching.doubted()]


def told() -> int:
    return AuditEvent.objects.filter(action="login.doubted").count()


def test_a_password_copied_from_ones_own_row_opens_nobody_elses() -> None:
    alice, bob = alice_and_bob()
    bob.set_password(OTHER)
    bob.save(update_fields=["password"])
    hers = pages.signed_in(alice)
    was = User.objects.values_list("password", flat=True).get(pk=alice.pk)
    assert signs_in("alice", PASSWORD) and signs_in("bob", OTHER) and told() == 0
    attack = "UPDATE accounts_user SET password = (SELECT password FROM accounts_user WHERE id = %s) WHERE id = %s"
    assert sql(attack, bob.pk, alice.pk) == 1
    for typed in ("alice", "alice@example.com"):
        assert not signs_in(typed, OTHER)
    assert doubted() == [alice.pk] and told() == 1, "told once an hour"
    assert shows(hers) == "/accounts/login/" and not Session.objects.filter(user=alice).exists()
    assert sql("UPDATE accounts_user SET password = %s WHERE id = %s", was, alice.pk) == 1
    assert signs_in("alice", PASSWORD) and doubted() == []


GIFTS = {
    "staff": "UPDATE accounts_user SET is_staff = NOT is_staff WHERE id = %s",
    "manager": "UPDATE accounts_user SET is_staff = true, is_superuser = true WHERE id = %s",
    "open again": "UPDATE accounts_user SET is_active = NOT is_active WHERE id = %s",
    "no hash": "UPDATE accounts_user SET mac = '' WHERE id = %s",
    "another's hash": "UPDATE accounts_user SET mac = (SELECT max(mac) FROM accounts_user WHERE id <> %s)",
    "role": """INSERT INTO accounts_user_groups (user_id, group_id) SELECT %s, id FROM auth_group WHERE name = 'privacy'""",
}


@pytest.mark.parametrize("gift", sorted(GIFTS))
def test_what_somebody_writes_into_the_row_of_a_login_makes_it_nobodys(gift: str) -> None:
    factories.staff("pat", "pat@ilt.example", roles=("privacy",))
    carol = factories.staff()
    his = pages.signed_in(carol)
    assert his.get(BACK_OFFICE).status_code == 200
    assert sql(GIFTS[gift], carol.pk) >= 1
    assert carol.pk in doubted()
    answer = his.get(BACK_OFFICE)
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/accounts/login/")
    assert not signs_in("carol", PASSWORD)
    assert not Session.objects.filter(user=carol).exists()


def test_a_login_that_was_given_another_person_opens_nobodys_data() -> None:
    alice, bob = alice_and_bob()
    his = pages.signed_in(bob)
    assert shows(his) == "bob"
    assert sql("UPDATE accounts_user SET subject_id = %s WHERE id = %s", alice.subject_id, bob.pk) == 1
    assert shows(his) == "/accounts/login/"
    assert not signs_in("bob", PASSWORD)
    assert sql("UPDATE accounts_user SET subject_id = %s WHERE id = %s", bob.subject_id, bob.pk) == 1
    assert shows(pages.signed_in(bob)) == "bob"


def test_nothing_of_a_session_goes_on_whose_login_is_doubted() -> None:
    alice, _ = alice_and_bob()
    hers = pages.signed_in(alice)
    shows(hers)
    cookie = hers.cookies[settings.SESSION_COOKIE_NAME].value
    assert sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", alice.pk) == 1
    answer = hers.get("/")
    assert answer.status_code == 200 and answer.cookies[settings.SESSION_COOKIE_NAME].value == ""
    assert sql("UPDATE accounts_user SET is_staff = false WHERE id = %s", alice.pk) == 1
    hers.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert shows(hers) == "/accounts/login/", "the session ended"


@pytest.mark.parametrize("what", ["password", "address"])
def test_a_new_password_is_sent_to_no_login_that_is_doubted_or_whose_address_is_another_persons(what: str) -> None:
    alice, bob = alice_and_bob()
    reset = reverse("account_reset_password")
    Client().post(reset, {"email": "bob@example.com"})
    assert Letter.objects.filter(kind="password_reset_key").count() == 1
    if what == "password":
        assert sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", bob.pk) == 1
    else:
        assert sql("DELETE FROM account_emailaddress WHERE user_id = %s", alice.pk) == 1
        assert sql("UPDATE account_emailaddress SET user_id = %s WHERE user_id = %s", alice.pk, bob.pk) == 1
    Client().post(reset, {"email": "bob@example.com"})
    assert Letter.objects.filter(kind="password_reset_key").count() == 1


def test_a_link_for_a_new_password_does_not_work_for_a_login_that_is_doubted() -> None:
    alice, _ = alice_and_bob()
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(alice), "key": default_token_generator.make_token(alice)},
    )
    assert Client().get(path).status_code == 302
    assert sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", alice.pk) == 1
    assert Client().get(path).status_code == 403
    with pytest.raises(LoginDoubted):
        alice.save(update_fields=["password"])


# What the site itself changes -----------------------------------------------------------------------------------------


def test_everything_by_which_the_site_changes_a_login_keeps_it_in_order() -> None:
    alice, bob = alice_and_bob()
    carol, once_only = logins.create_staff(
        username="carol", email="carol@ilt.example", roles=["sales", "privacy"], actor=None, now=NOW, is_manager=True
    )
    assert doubted() == [] and signs_in("carol", once_only)
    carol.set_roles(["sales"])
    assert carol.roles == {"sales", "manager"} and doubted() == []
    bob.set_password(OTHER)
    bob.save()
    User.objects.bulk_create([User(username="dora", created_at=NOW)])
    claim.merge(bob.subject_id, alice.subject_id, actor=None, now=NOW)
    assert User.objects.filter(subject=alice.subject_id).count() == 2 and doubted() == []
    logins.end_staff(carol, actor=None, now=NOW)
    assert doubted() == []
    for change in ({"is_staff": True}, {"password": "x"}, {"subject": alice.subject}, {"is_active": False}):
        with pytest.raises(TypeError):
            User.objects.update(**change)
    with pytest.raises(TypeError):
        User.objects.bulk_update([alice], ["is_superuser"])


def test_a_login_that_is_doubted_stays_so_when_its_person_is_joined_and_can_be_closed() -> None:
    alice, bob = alice_and_bob()
    carol = factories.staff()
    assert sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", bob.pk) == 1
    assert sql("UPDATE accounts_user SET is_superuser = true WHERE id = %s", carol.pk) == 1
    claim.merge(bob.subject_id, alice.subject_id, actor=None, now=NOW)
    assert set(doubted()) == {bob.pk, carol.pk}
    with pytest.raises(LoginDoubted):
        User.objects.get(pk=bob.pk).set_roles(["privacy"])
    logins.end_staff(User.objects.get(pk=carol.pk), actor=None, now=NOW)
    assert doubted() == [bob.pk]


@pytest.mark.parametrize("is_staff", [False, True])
def test_the_login_of_a_session_and_its_roles_are_one_query(is_staff: bool, django_assert_num_queries: Any) -> None:
    user = factories.staff() if is_staff else factories.login()
    with django_assert_num_queries(1):
        found = LoginBackend().get_user(user.pk)
        assert found is not None and found.roles == ({"sales"} if is_staff else {"customer"})


# The operator ---------------------------------------------------------------------------------------------------------


def command(*args: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("seal_logins", *args, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_an_operator_is_told_looks_and_vouches_for_one_login_whose_password_goes() -> None:
    alice, _ = alice_and_bob()
    carol = factories.staff()
    assert command() == (0, "Logins that are doubted: 0.\n")
    assert vouching.logins_doubted(databases=["default"]) == [] and vouching.count_doubted() == 0
    Group.objects.get_or_create(name="privacy")
    assert sql(GIFTS["role"], carol.pk) == 1
    assert vouching.count_doubted() == 1
    assert [one.id for one in vouching.logins_doubted(databases=["default"])] == ["accounts.W002"]
    code, said = command()
    assert (code, said) == (
        1,
        f"{carol.pk}: staff, roles: privacy, sales, open, since 20 November 2026\nLogins that are doubted: 1.\n",
    )
    assert command("--login", str(alice.subject_id))[0] == 1 and command("--keep-password")[0] == 2
    assert command("--dry-run")[0] == 2
    for which, would in (
        (("--login", str(carol.pk)), "Would be vouched for as it stands: staff, roles: privacy, sales, open, since 20"),
        (("--all",), "Logins that would be vouched for: 1."),
    ):
        code, said = command(*which, "--dry-run")
        assert code == 1 and said.startswith(would) and said.endswith("Nothing was changed: this was a dry run.\n")
    assert not audit.history(record=(User.vault_label, carol.pk)).filter(action="login.vouched").exists()
    assert User.objects.get(pk=carol.pk).check_password(PASSWORD) and doubted() == [carol.pk]
    assert command("--login", str(carol.pk))[0] == 0
    assert doubted() == [] and not signs_in("carol", PASSWORD)
    assert audit.history(record=(User.vault_label, carol.pk)).filter(action="login.vouched").count() == 1

    assert sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", alice.pk) == 1
    assert command("--login", str(alice.pk), "--keep-password")[0] == 0
    assert signs_in("alice", PASSWORD)


def test_logins_of_before_are_vouched_for_once_and_none_that_was_planted_later() -> None:
    alice, bob = alice_and_bob()
    factories.staff()
    models.QuerySet(User).update(mac="")
    assert len(doubted()) == 3
    Once.objects.all().delete()
    upgrades.bind_rows(now=NOW)
    assert doubted() == [] and once.is_done(once.LOGINS)
    assert signs_in("alice", PASSWORD) and signs_in("carol", PASSWORD)

    models.QuerySet(User).update(mac="")
    assert upgrades.bind_rows(now=NOW + timedelta(days=1)) == 0
    assert len(doubted()) == 3

    Once.objects.all().delete()
    models.QuerySet(User).filter(pk=alice.pk).update(mac=alice.mac)
    upgrades.bind_rows(now=NOW)
    assert bob.pk in doubted(), "one has a hash already"
    assert command("--all") == (0, "Logins vouched for: 2.\n")
    assert doubted() == [] and signs_in("bob", PASSWORD)
