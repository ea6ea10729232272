"""The second factor belongs to the session: who borrows one that began with the password alone gets no further."""

from __future__ import annotations

import time
from io import StringIO
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import factor
from accounts.models import Session, User
from privacy import audit, vault
from privacy.models import Letter, Request
from tests import factories, pages
from tests.accounts.test_login import last_code

pytestmark = pytest.mark.django_db

AGAIN = "/accounts/2fa/reauthenticate/"


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def carol(db: None) -> User:
    return factories.staff("carol", "carol@ilt.example", roles=("sales", "privacy"))


def code(user: User) -> str:
    """What the user's app shows; as if it had not been used before."""
    cache.clear()
    return factor.code(user, now=timezone.now())[0]


def borrowed(user: User, *, by_password: bool = True) -> Client:
    """A browser with a session that the user began with the password alone, who entered it again just now."""
    browser = Client()
    browser.force_login(user)
    if by_password:
        session = browser.session
        session["account_authentication_methods"] = [
            {"method": "password", "at": time.time()},
            {"method": "password", "at": time.time(), "reauthenticated": True},
        ]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
    return browser


def in_by_code(user: User) -> Client:
    """A browser in which the user signed in with password and code."""
    browser = Client()
    answer = browser.post("/accounts/login/", {"login": "carol", "password": factories.PASSWORD})
    assert answer["Location"] == reverse("mfa_authenticate")
    assert browser.post(answer["Location"], {"code": code(user)}).status_code == 302
    return browser


BACK_OFFICE = ("/admin/", "/admin/accounts/customer/", "/admin/privacy/request/add/", "/admin/orders/order/")
STAFFS = (
    "/account/confidentiality/",
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/2fa/",
    "/privacy/held/",
)
FACTORS = (
    "mfa_deactivate_totp",
    "mfa_generate_recovery_codes",
    "mfa_view_recovery_codes",
    "mfa_download_recovery_codes",
)


def test_a_session_by_password_alone_of_somebody_who_enrolled_shows_a_code_first(carol: User) -> None:
    factor.enrol(carol)
    for path in BACK_OFFICE + STAFFS:
        for by_password in (True, False):
            stolen = borrowed(carol, by_password=by_password)
            for answer in (stolen.get(path), stolen.post(path, {"q": "alice"})):
                assert answer.status_code == 302 and answer["Location"].startswith(AGAIN), path
    proved = in_by_code(carol)
    proved.post(AGAIN, {"code": code(carol)})
    for path in BACK_OFFICE + STAFFS:
        assert proved.get(path).status_code == 200, f"control: with the factor {path} opens"


def test_the_owner_of_such_a_session_shows_a_code_and_is_led_on(carol: User) -> None:
    factor.enrol(carol)
    browser = borrowed(carol)
    before = browser.cookies["session"].value
    asked = browser.get("/admin/orders/order/?q=1")["Location"]
    assert browser.post(asked, {"code": "000000"}).status_code == 401
    assert browser.get("/admin/").status_code == 302
    answer = browser.post(asked, {"code": code(carol), "next": "/admin/orders/order/"})
    assert answer["Location"] == "/admin/orders/order/" and browser.get("/admin/orders/order/").status_code == 200
    assert browser.cookies["session"].value != before, "a copy of the cookie gains nothing"
    copy = Client()
    copy.cookies["session"] = before
    assert copy.get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("is_staff", [True, False])
def test_the_factor_is_not_switched_off_by_the_password(name: str, is_staff: bool) -> None:
    user = factories.staff("carol", "carol@ilt.example") if is_staff else factories.login("carol", "carol@example.com")
    factor.enrol(user)
    RecoveryCodes.activate(user)
    browser, path = borrowed(user), reverse(name)
    for answer in (browser.get(path), browser.post(path)):
        assert answer.status_code == 302 and answer["Location"].startswith(AGAIN)
    answer = browser.post("/accounts/reauthenticate/", {"password": factories.PASSWORD, "next": path})
    assert answer.status_code == 302 and answer["Location"].startswith(AGAIN), "the password is no way to say it again"
    assert Authenticator.objects.filter(user=user).count() == 2
    assert browser.post(AGAIN, {"code": code(user), "next": path}).status_code == 302
    assert browser.get(path).status_code == 200, "control: the factor is"


def test_who_shows_the_factor_again_is_not_said_to_have_entered_the_password() -> None:
    user = factories.login("alice", "alice@example.com")
    factor.enrol(user)
    browser, ask = borrowed(user), "/privacy/requests/new/access/"
    browser.post(AGAIN, {"code": code(user)})
    browser.post(ask)
    about = Request.objects.get()
    said = "password or sign-in code entered again"
    assert said in " ".join(browser.get(f"/privacy/requests/{about.pk}/").text.split())
    with vault.internal():
        text = about.letters.get(kind="acknowledgement").text
    assert "entered your password or a sign-in code again" in text


def test_who_confirmed_by_the_factor_switches_it_off_and_it_is_written_down(carol: User) -> None:
    factor.enrol(carol)
    browser = in_by_code(carol)
    elsewhere = in_by_code(carol)
    browser.post(AGAIN, {"code": code(carol)})
    assert browser.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not factor.is_enrolled(carol)
    assert audit.history(record=("accounts.user", carol.pk)).filter(action="factor.removed").count() == 1
    assert Letter.objects.filter(kind="totp_deactivated").count() == 1
    assert elsewhere.get("/account/").status_code == 302, "other sessions end"


@pytest.mark.django_db(transaction=True)
def test_enrolling_ends_the_users_other_sessions_and_counts_as_shown() -> None:
    carol, bob = factories.staff("carol", "carol@ilt.example"), factories.login("bob", "bob@example.com")
    other, strangers, own = borrowed(carol), pages.signed_in(bob), borrowed(carol)
    halfway = Client()
    own.get(reverse("mfa_activate_totp"))
    secret = own.session["mfa.totp.secret"]
    before = own.cookies["session"].value
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    shown = format_hotp_value(hotp_value(secret, int(time.time()) // factor.PERIOD))
    assert own.post(reverse("mfa_activate_totp"), {"code": shown}).status_code == 302
    halfway.post("/accounts/login/", {"login": "carol", "password": factories.PASSWORD})
    assert other.get("/account/").status_code == 302 and not Session.objects.filter(session_key=before).exists()
    assert own.get("/admin/").status_code == 200, "who just showed a code is in"
    assert own.cookies["session"].value != before
    assert halfway.get("/admin/")["Location"].startswith("/admin/login/")
    assert strangers.get("/account/").status_code == 200
    assert audit.history(record=("accounts.user", carol.pk)).filter(action="factor.added").count() == 1


def test_without_the_factor_staff_have_no_role_whatever_page_forgets_to_ask(carol: User) -> None:
    carol.lacks_factor = True
    assert carol.as_actor().roles == frozenset()
    assert User.objects.get(pk=carol.pk).as_actor().roles == {"sales", "privacy"}, "control"


def test_staff_who_have_not_enrolled_do_so_first_and_have_no_role_until_then(carol: User, client: Client) -> None:
    client.force_login(carol)
    assert client.get("/admin/")["Location"] == reverse("mfa_activate_totp")
    assert client.get("/privacy/held/").status_code == 200, "what is their own stays open"


def test_a_password_reset_does_not_go_around_the_factor(carol: User) -> None:
    from allauth.account.forms import default_token_generator
    from allauth.account.utils import user_pk_to_url_str

    factor.enrol(carol)
    browser = Client()
    link = f"/accounts/password/reset/key/{user_pk_to_url_str(carol)}-{default_token_generator.make_token(carol)}/"
    form = browser.get(link)["Location"]
    browser.post(form, {"password1": "another phrase for today", "password2": "another phrase for today"})
    assert "_auth_user_id" not in browser.session
    answer = browser.post("/accounts/login/", {"login": "carol", "password": "another phrase for today"})
    assert answer["Location"] == reverse("mfa_authenticate")
    assert browser.get("/admin/")["Location"].startswith("/admin/login/")


# Commands


def test_an_operator_takes_a_lost_factor_away_and_the_owner_is_told(carol: User) -> None:
    factor.enrol(carol)
    RecoveryCodes.activate(carol)
    browser, out = in_by_code(carol), StringIO()
    call_command("factor_reset", "CAROL", "--reason", "lost", "--dry-run", stdout=out)
    assert factor.is_enrolled(carol) and "dry run" in out.getvalue()
    call_command("factor_reset", "CAROL", "--reason", "lost", stdout=out)
    assert not Authenticator.objects.filter(user=carol).exists() and "Sessions ended: 1." in out.getvalue()
    assert browser.get("/account/").status_code == 302
    event = audit.history(record=("accounts.user", carol.pk)).get(action="factor.reset")
    assert (event.actor_kind, event.reason) == ("operator", "lost")
    assert Letter.objects.get(kind="factor_reset").subject_id == carol.subject_id
    with pytest.raises(CommandError):
        call_command("factor_reset", "carol", "--reason", "lost", stdout=out)
    with pytest.raises(CommandError):
        call_command("factor_reset", "nobody", "--reason", "lost", stdout=out)


def test_a_demo_prints_the_code_and_nobody_else_does(carol: User, settings: Any) -> None:
    factor.enrol(carol)
    settings.DEMO = False
    with pytest.raises(CommandError) as refused:
        call_command("demo_code", "carol", stdout=StringIO())
    assert refused.value.returncode == 3
    settings.DEMO, out = True, StringIO()
    call_command("demo_code", "carol", stdout=out, stderr=StringIO())
    browser = Client()
    browser.post("/accounts/login/", {"login": "carol", "password": factories.PASSWORD})
    assert browser.post(reverse("mfa_authenticate"), {"code": out.getvalue().strip()}).status_code == 302
    assert browser.get("/admin/").status_code == 200


# Refusals that can be counted


def test_a_refused_login_answers_401_and_one_refused_by_a_limit_429_with_the_same_page(
    client: Client, carol: User
) -> None:
    right = {"login": "carol", "password": factories.PASSWORD}
    wrong = [client.post("/accounts/login/", {**right, "password": "not the password at all"}) for _ in range(7)]
    assert [one.status_code for one in wrong] == [401] * 5 + [429] * 2
    unknown = [Client(REMOTE_ADDR="192.0.2.9").post("/accounts/login/", {**right, "login": "nobody"}) for _ in range(7)]
    assert [one.status_code for one in unknown] == [401] * 5 + [429] * 2
    for one in (*wrong[5:], *unknown[5:]):
        assert (
            "with this name or address, or from your connection. The next one is looked at in five minutes" in one.text
        )
    for one in wrong + unknown:
        assert (
            "WWW-Authenticate" not in one
            and "Sign in" in one.text
            and one.headers["Content-Type"].startswith("text/html")
        )
    assert client.get("/accounts/login/").status_code == 200
    cache.clear()
    assert client.post("/accounts/login/", right).status_code == 302


def test_a_refused_code_and_a_refused_password_within_a_session_answer_401(carol: User) -> None:
    browser = borrowed(carol, by_password=False)
    assert browser.post("/accounts/reauthenticate/", {"password": "not the password"}).status_code == 401
    factor.enrol(carol)
    halfway = Client()
    halfway.post("/accounts/login/", {"login": "carol", "password": factories.PASSWORD})
    assert halfway.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 401


def test_a_refused_code_of_a_sign_up_answers_401_also_the_last_one_and_one_that_waits_nowhere(client: Client) -> None:
    new = {"username": "newcomer", "email": "new@example.com", "password1": factories.PASSWORD}
    client.post(reverse("account_signup"), new)
    typed = {"action": "verify", "code": "WRON-GONE"}
    answers = [client.post(reverse("account_email_verification_sent"), typed) for _ in range(4)]
    assert [one.status_code for one in answers] == [401] * 4
    assert "Incorrect code" in answers[0].text
    assert "This code does not work" in pages.check(answers[2], status=401)
    assert 'href="/accounts/login/"' in answers[3].text


def test_a_refused_code_of_a_change_of_address_answers_401(carol: User) -> None:
    browser = pages.signed_in(carol, again=True)
    browser.post("/accounts/email/", {"action_add": "", "email": "carol2@ilt.example"})
    typed = {"action": "verify", "code": "WRON-GONE"}
    answers = [browser.post(reverse("account_email_verification_sent"), typed) for _ in range(4)]
    assert [one.status_code for one in answers] == [401] * 4
    assert "Ask for the change again" in pages.check(answers[3], status=401)
    right = Client()
    new = {"username": "newcomer", "email": "new@example.com", "password1": factories.PASSWORD}
    right.post(reverse("account_signup"), new)
    assert right.post(reverse("account_email_verification_sent"), {**typed, "code": last_code()}).status_code == 302


def test_a_refused_code_that_switches_the_factor_on_and_a_wrong_password_at_its_change_answer_401(carol: User) -> None:
    browser = pages.signed_in(carol, again=True)
    assert browser.post(reverse("mfa_activate_totp"), {"code": "000000"}).status_code == 401
    good = {"password1": "another good long password", "password2": "another good long password"}
    asked = reverse("account_change_password")
    assert browser.post(asked, {**good, "oldpassword": "not the password"}).status_code == 401
    assert browser.post(asked, {**good, "oldpassword": factories.PASSWORD, "password2": "other"}).status_code == 200
    assert browser.post(asked, {**good, "oldpassword": factories.PASSWORD}).status_code == 302


def test_a_link_that_does_not_work_answers_403_whatever_it_is_for(client: Client, carol: User) -> None:
    uid = user_pk_to_url_str(carol)
    for path in (
        "/privacy/link/wrong/", "/privacy/keep/wrong/", "/account/contact/not-me/wrong/",
        f"/accounts/password/reset/key/{uid}-wrong/",
    ):  # fmt: skip
        assert [client.get(path).status_code, client.post(path).status_code] == [403, 403], path
    assert pages.signed_in(carol).get("/account/contact/confirm/wrong/").status_code == 403


def test_a_refused_code_of_an_outcome_answers_401_and_one_too_many_429(client: Client) -> None:
    typed = {"reference": "PR-2026-0000-00", "code": "AAAA-BBBB-CCCC"}
    answers = [client.post("/privacy/outcome/", typed).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_the_back_office_has_no_login_of_its_own(client: Client, carol: User) -> None:
    factor.enrol(carol)
    answer = client.post("/admin/login/", {"username": "carol", "password": factories.PASSWORD})
    assert answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")
    assert "_auth_user_id" not in client.session
