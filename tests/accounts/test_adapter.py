"""Each letter that allauth has a template for, at the host where the visitor is: it is written, and stores nothing that
lets anybody in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import allauth
import pytest
from django.conf import settings
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.adapter import CREDENTIALS, GIVES, AccountAdapter
from privacy import letters, vault
from privacy.letters.models import Letter

HERS = Path(allauth.__file__).parent / "templates"
OURS = Path(settings.BASE_DIR) / "templates"
TOKEN = "Zq9wLkY3bN5xR8vT2mC7pJ4hG6fD1sA0"
HANDED = {
    "activate_url": f"/accounts/confirm-email/{TOKEN}-a/",
    "password_reset_url": f"/accounts/password/reset/key/{TOKEN}-p/",
    "code": "7K3M-9QXA-22BD",
    "key": f"{TOKEN}-k",
}


def kinds(root: Path) -> dict[str, str]:
    """Return by kind the folder and name of each letter under `root`: those that have a subject line."""
    found = (one for app in ("account", "mfa") for one in (root / app / "email").glob("*_subject.txt"))
    return {(name := one.name.removesuffix("_subject.txt")): f"{one.parent.parent.name}/email/{name}" for one in found}


def named_in(prefix: str) -> set[str]:
    """Return the credentials that allauth's own text of a letter gives."""
    text = (HERS / f"{prefix}_message.txt").read_text()
    return {name for name in CREDENTIALS if re.search(rf"\b{name}\b", text)}


def test_the_table_says_what_each_letter_of_allauth_gives() -> None:
    theirs, ours = kinds(HERS), kinds(OURS)
    assert set(GIVES) == set(ours) and set(ours) <= set(theirs) and len(ours) == 12
    by_code = {
        "email_confirmation",
        "email_confirmation_signup",
    }  # their text has an address for where there is no code
    for kind in ours:
        named = named_in(theirs[kind]) - ({"activate_url", "key"} if kind in by_code else set())
        assert named <= GIVES[kind] or kind == "account_already_exists", f"{kind} would store {named - GIVES[kind]}"
    assert named_in(theirs["account_already_exists"]) == {"password_reset_url"}, (
        "control: the one that is no credential"
    )


@pytest.mark.django_db(databases="__all__")
def test_each_letter_of_allauth_is_written_where_the_visitors_host_is_ours() -> None:
    here = "http://testserver"
    assert here == settings.PORTAL_URL and RequestFactory().get("/").build_absolute_uri("/") == f"{here}/", "control"
    plain = {
        "signup_url": here + reverse("account_signup"),
        "timestamp": timezone.now(),
        "ip": "192.0.2.1",
        "user_agent": "Browser",
    }
    handed = {name: value if name in ("code", "key") else here + value for name, value in HANDED.items()}
    adapter, everything, giving = AccountAdapter(), {**kinds(HERS), **kinds(OURS)}, set()
    for kind, prefix in everything.items():
        of_kind: dict[str, Any] = handed
        if kind in GIVES and not GIVES[kind]:
            of_kind = {"password_reset_url": here + reverse("account_reset_password")}
        adapter.send_mail(prefix, f"{kind}@example.com", {**plain, **of_kind})
        with vault.internal():
            letter = Letter.objects.get(kind=kind)
            stored, waiting = f"{letter.headline}\n{letter.text}\n{letter.html}", letter.credentials or {}
        assert not any(one in stored for one in (TOKEN, HANDED["code"])), kind
        shown = {name for name in CREDENTIALS if letters.placeholder(CREDENTIALS[name]) in stored}
        assert waiting == {CREDENTIALS[name]: handed[name] for name in shown}, kind
        giving |= {kind} if waiting else set()
    assert giving == {kind for kind in GIVES if GIVES[kind]} | {"login_code", "password_reset_code"}
