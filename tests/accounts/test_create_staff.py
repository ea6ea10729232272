"""`create_staff`: the first login of an installation."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts import logins
from accounts.models import User
from privacy import gate
from privacy.audit import AuditEvent
from tests import factories
from tests.shapes import shaped

pytestmark = pytest.mark.django_db(databases="__all__")

CAROL = ("--username", "carol", "--email", "carol@ilt.example", "--role", "sales")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_staff", *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_a_one_time_password_that_must_be_changed() -> None:
    result = shaped("create_staff", json.loads(run(*CAROL, "--json")))
    carol = User.objects.named("carol").get()
    assert carol.check_password(result["one_time_password"])
    assert (carol.is_staff, carol.is_superuser, carol.must_change_password) == (True, False, True)
    assert result["roles"] == ["sales"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--acknowledged-on", "2099-01-01", "--ack-version", "2026"), "That day has not come yet."),
        (("--acknowledged-on", "0001-01-01", "--ack-version", "2026"), ""),
        (
            ("--acknowledged-on", "2026-01-01", "--ack-version", "x" * 41),
            "The version of a text has at most 40 characters.",
        ),
        (
            ("--acknowledged-on", "2026-01-01", "--ack-version", " "),
            "An acknowledgement names the version of the text that was signed.",
        ),
    ],
)
def test_an_acknowledgement_that_is_refused_leaves_the_name_free(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*CAROL, *words)
    assert refused.value.returncode == 1
    assert not said or str(refused.value) == said
    run(*CAROL)


def test_an_empty_user_name_is_a_wrong_argument() -> None:
    with pytest.raises(CommandError, match=r"^The user name is empty\.$") as refused:
        run("--username", " ", *CAROL[2:])
    assert refused.value.returncode == 2


def test_without_an_acknowledgement_the_login_has_no_rights() -> None:
    assert "masks only" in run(*CAROL)
    assert User.objects.get().as_actor().roles == frozenset()


def test_with_an_acknowledgement_it_has_its_roles() -> None:
    today = factories.TODAY.isoformat()
    run(*CAROL, "--role", "service", "--acknowledged-on", today, "--ack-version", "2026-1", "--manager")
    carol = User.objects.get()
    assert carol.is_superuser
    assert gate.staff_actor(
        id=carol.pk, subject=carol.subject_id, roles=carol.roles, today=factories.TODAY
    ).roles == frozenset({"sales", "service", "manager"})


def test_a_given_password_is_read_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password of mine\n"))
    assert "a long password" not in run(*CAROL, "--password", "-")
    carol = User.objects.get()
    assert carol.check_password("a long password of mine")
    assert not carol.must_change_password


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--username", "Carol", "--email", "other@ilt.example", "--role", "sales"), 1),
        (("--username", "dora", "--email", "CAROL@ilt.example", "--role", "sales"), 1),
        (("--username", "dora", "--email", "dora", "--role", "sales"), 2),
        (("--username", "dora", "--email", '"dora"@ilt.example', "--role", "sales"), 2),
        (("--username", "d ra", "--email", "dora@ilt.example", "--role", "sales"), 2),
        (("--username", "dora", "--email", "dora@ilt.example", "--role", "sales", "--ack-version", "1"), 2),
    ],
)
def test_bad_data_is_one_sentence_without_the_value(arguments: tuple[str, ...], code: int) -> None:
    run(*CAROL)
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert refused.value.returncode == code
    assert "dora" not in str(refused.value).lower()
    assert User.objects.count() == 1


def test_a_bad_address_from_standard_input_is_a_wrong_argument_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("carol at ilt\n"))
    with pytest.raises(CommandError, match=r"^That is not an e-mail address\.$") as refused:
        run("--username", "carol", "--email", "-", "--role", "sales")
    assert refused.value.returncode == 2
    assert not User.objects.exists()


def test_the_event_tells_who_was_made_and_no_name() -> None:
    run(*CAROL)
    assert AuditEvent.objects.get(action="login.created").actor_kind == "operator"
    assert "carol" not in str(list(AuditEvent.objects.filter(action="login.created").values())).lower()


def test_one_time_passwords_differ_and_are_long() -> None:
    assert len({logins.one_time_password() for _ in range(100)}) == 100
    assert len(logins.one_time_password()) == 24
