"""`end_staff`: whoever leaves can open nothing from that moment."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Session, User
from privacy.audit import AuditEvent
from tests import factories
from tests.shapes import shaped

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("end_staff", *arguments, "--json", stdout=out)
    return shaped("end_staff", json.loads(out.getvalue()))


def test_a_login_that_is_ended_has_no_session_no_role_and_no_password(client: Client) -> None:
    carol = factories.staff()
    client.force_login(carol)
    assert client.get("/admin/").status_code == 200
    assert run("--username", "carol", "--dry-run") == {"roles": ["sales"], "sessions": 0, "dry_run": True}
    assert client.get("/admin/").status_code == 200

    assert run("--username", "carol") == {"roles": ["sales"], "sessions": 1, "dry_run": False}
    assert client.get("/admin/").status_code == 302
    assert not Session.objects.exists()
    carol = User.objects.get()
    assert (carol.is_active, carol.has_usable_password(), carol.groups.count()) == (False, False, 0)
    assert not client.login(username="carol", password=factories.PASSWORD)
    assert AuditEvent.objects.get(action="login.ended").actor_kind == "operator"


@pytest.mark.parametrize("username", ["bob", "nobody"])
def test_a_customer_is_no_member_of_staff(username: str) -> None:
    factories.login("bob", "bob@example.com")
    with pytest.raises(CommandError, match="no active staff login") as refused:
        run("--username", username)
    assert refused.value.returncode == 1
    assert username not in str(refused.value)
