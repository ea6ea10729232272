"""A user name that a reader takes for somebody else's is taken (C7)."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import logins
from accounts.models import User
from privacy import vault
from privacy.vault.models import Token
from tests import factories
from tests.accounts.test_login import log_in, sign_up
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")

LIKE_ALICE = [
    "al\u0131ce",
    "\u0430lice",
    "\u0430l\u0456\u0441\u0435",
    "a1ice",
    "aIice",
    "alic\u1eb9",
    "\uff41lice",
    "ALICE",
]


@pytest.mark.parametrize("name", LIKE_ALICE)
def test_a_name_that_looks_like_one_that_is_taken_is_refused(name: str) -> None:
    factories.login()
    answer = sign_up(Client(), name, "other@example.com")
    assert "username" in answer.context["form"].errors
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["alicia", "malice", "ali.ce", "\u0430\u043b\u0438\u0441\u0430", "bob"])
def test_a_name_that_can_be_told_apart_is_free(name: str) -> None:
    factories.login()
    assert sign_up(Client(), name, "other@example.com").status_code == 302
    assert User.objects.count() == 2


@pytest.mark.parametrize("name", ["adm\u0131n", "supp\u043ert", "R00T"])
def test_a_name_that_looks_like_ours_is_refused(name: str) -> None:
    assert "username" in sign_up(Client(), name, "other@example.com").context["form"].errors


def test_create_staff_refuses_such_a_name_too() -> None:
    factories.login()
    with pytest.raises(ValidationError, match="looks like one that is"):
        logins.create(username="al\u0131ce", email="x@example.com", password=factories.PASSWORD, actor=None, now=NOW)


def test_names_of_before_keep_working_and_are_indexed_once(
    client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    alice, twin = factories.login(), factories.login("al\u0131ce", "twin@example.com")
    Token.objects.filter(field="user.lookalike").delete()
    assert sign_up(Client(), "a1ice", "x@example.com").status_code == 302
    User.objects.named("a1ice").get().delete()
    with django_capture_on_commit_callbacks(execute=True):
        assert logins.index_lookalikes() == 2
    assert logins.index_lookalikes() == 0
    assert "username" in sign_up(Client(), "a1ice", "y@example.com").context["form"].errors
    assert set(User.objects.looking_like("alice")) == {alice, twin}
    log_in(client, "al\u0131ce")
    assert client.session["_auth_user_id"] == str(twin.pk)


def test_marks_case_and_digits_do_not_tell_names_apart() -> None:
    assert len({vault.index.normalise("lookalike", name) for name in ["alice", *LIKE_ALICE]}) == 1
    assert vault.index.normalise("lookalike", "rnary") == vault.index.normalise("lookalike", "mary")
