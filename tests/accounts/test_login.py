"""The whole story of a login through the pages, and nothing of it in clear in any table of either database."""

import base64
import json
import os
import re
import subprocess
import sys
import time
import zlib
from datetime import timedelta
from typing import Any

import pytest
from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.db import connections
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from accounts import handles, notices, objections, reach, sessions
from accounts.adapter import AccountAdapter
from accounts.models import ContactPoint, Customer, LoginAddress, Session, User
from privacy import vault
from privacy.letters import given
from privacy.letters.models import Letter
from privacy.requests import services, waits
from privacy.requests.models import Request
from privacy.vault.models import DataKey, Token
from tests import factories, pages
from tests.asked import taken_in
from tests.beginnings import beginning
from tests.factories import PASSWORD
from tests.scanner import Scanner

pytestmark = pytest.mark.django_db(databases="__all__")

ADDRESS, NEW_ADDRESS = "canary.alice@example.com", "canary.moved@example.org"
NAME = "Canary-Alice"


def sign_up(client: Client, username: str = NAME, email: str = ADDRESS) -> Any:
    return client.post(reverse("account_signup"), {"username": username, "email": email, "password1": PASSWORD})


def log_in(client: Client, login: str, password: str = PASSWORD) -> Any:
    return client.post(reverse("account_login"), {"login": login, "password": password})


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def letters() -> list[tuple[str, str, str]]:
    """Kind, recipient and text of every letter in the outbox, oldest first."""
    found = []
    for letter in Letter.objects.order_by("queued_at", "pk"):
        with vault.internal():
            found.append((letter.kind, str(letter.to), str(given(letter)[0])))
    return found


def last_link() -> str:
    """The path of the link in the last letter."""
    return re.findall(r"https?://[^/\s]+(/\S+)", letters()[-1][2])[0]


CODE = re.compile(r"^The code that confirms the address: ([A-Z]{4}-[A-Z]{4})$", re.MULTILINE)


def last_code() -> str:
    """The code in the last letter."""
    return CODE.findall(letters()[-1][2])[0]


def type_code(client: Client, code: str) -> Any:
    return client.post(reverse("account_email_verification_sent"), {"action": "verify", "code": code})


def verify(client: Client) -> None:
    assert client.get(reverse("account_email_verification_sent")).status_code == 200
    assert type_code(client, last_code()).status_code == 302


def three_minutes_later() -> None:
    """Forget the limits: one mail to an address in three minutes, a code only once."""
    cache.clear()


def change_address(client: Client, email: str) -> None:
    """Ask for another address; the password is asked for once more, and what was sent is sent again after it."""
    data = {"action_add": "", "email": email}
    answer = client.post(reverse("account_email"), data)
    assert answer.url.startswith(reverse("account_reauthenticate"))
    client.post(answer.url, {"password": PASSWORD})
    client.post(reverse("account_email"), data)


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


@beginning
def alice() -> User:
    """She signed up, confirmed the address, and left."""
    signed_up(Client())
    return User.objects.get()


def signed_up(client: Client) -> None:
    sign_up(client)
    verify(client)
    client.post(reverse("account_logout"))


# --- signing up ------------------------------------------------------------------------------------------------------


def test_sign_up_asks_for_user_name_address_and_password_only(client: Client) -> None:
    form = client.get(reverse("account_signup")).context["form"]
    assert [name for name, field in form.fields.items() if field.required] == ["username", "email", "password1"]
    assert set(form.fields) == {"username", "email", "password1"}


def test_a_sign_up_makes_a_subject_and_a_login_and_no_customer(client: Client) -> None:
    sign_up(client)
    user = User.objects.get()
    assert user.subject_id is not None
    assert not Customer.objects.exists()
    assert DataKey.objects.get(record=user.pk).owner_id == user.subject_id


def test_a_login_is_held_until_the_address_is_verified(client: Client) -> None:
    sign_up(client)
    assert not is_in(client)
    three_minutes_later()
    assert log_in(client, NAME).url == reverse("account_email_verification_sent")
    assert not is_in(client)
    verify(client)
    assert is_in(client)


@pytest.mark.parametrize("login", [NAME, NAME.lower(), NAME.upper(), ADDRESS, ADDRESS.upper()])
def test_one_logs_in_by_name_or_address_in_any_letter_case(client: Client, alice: User, login: str) -> None:
    log_in(client, login)
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_a_user_name_is_unique_in_any_letter_case(client: Client, alice: User) -> None:
    answer = sign_up(client, NAME.upper(), "other@example.com")
    assert "username" in answer.context["form"].errors
    assert User.objects.count() == 1


# --- nobody learns who has an account --------------------------------------------------------------------------------


def shape(answer: Any) -> tuple[int, str, str]:
    """What a stranger sees of an answer, without tokens."""
    text = re.sub(r'(csrfmiddlewaretoken" value="|nonce-)[^"\']+', "", answer.content.decode())
    return answer.status_code, answer.get("Location", ""), text


def test_an_unknown_address_and_a_wrong_password_look_the_same(alice: User) -> None:
    wrong = shape(log_in(Client(), ADDRESS, "wrong wrong wrong wrong"))
    unknown = shape(log_in(Client(), "canary.nobody@example.com", "wrong wrong wrong wrong"))
    assert wrong[2].replace(ADDRESS, "X") == unknown[2].replace("canary.nobody@example.com", "X")
    assert wrong[:2] == unknown[:2]


def test_a_second_sign_up_with_a_known_address_looks_like_the_first(alice: User) -> None:
    three_minutes_later()
    known = shape(sign_up(Client(), "canary-bob", ADDRESS))
    unknown = shape(sign_up(Client(), "canary-bill", "canary.nobody@example.com"))
    assert known == unknown
    assert [letter[:2] for letter in letters()[-2:]] == [
        ("account_already_exists", ADDRESS), ("email_confirmation_signup", "canary.nobody@example.com"),
    ]  # fmt: skip
    assert User.objects.count() == 2


def test_a_reset_looks_the_same_for_known_and_unknown_and_each_is_one_letter(alice: User) -> None:
    before = len(letters())
    known = shape(Client().post(reverse("account_reset_password"), {"email": ADDRESS}))
    unknown = shape(Client().post(reverse("account_reset_password"), {"email": "canary.nobody@example.com"}))
    assert known == unknown
    assert [letter[0] for letter in letters()[before:]] == ["password_reset_key", "unknown_account"]


def test_failed_logins_are_limited_per_address(alice: User) -> None:
    for _ in range(5):
        log_in(Client(), ADDRESS, "wrong wrong wrong wrong")
    client = Client()
    log_in(client, ADDRESS)
    assert not is_in(client)


def test_every_letter_of_the_login_says_who_writes_and_belongs_to_its_subject(client: Client, alice: User) -> None:
    client.post(reverse("account_reset_password"), {"email": ADDRESS})
    (kind, to, text), letter = letters()[-1], Letter.objects.latest("queued_at")
    assert (kind, to) == ("password_reset_key", ADDRESS)
    assert text.count("http") == 1
    assert "International Light Technologies" in text
    assert letter.subject_id == alice.subject_id
    client.post(
        client.get(last_link()).url,
        {"password1": "another good long password", "password2": "another good long password"},
    )
    kind, to, text = letters()[-1]
    assert (kind, to) == ("password_reset", ADDRESS)
    assert "http://testserver/accounts/password/reset/" in text
    assert "Browser" not in text


def test_neither_addresses_nor_second_factors_are_in_the_admin() -> None:
    from django.contrib import admin

    shown = {model._meta.label for model in admin.site._registry}
    assert not shown & {"account.EmailAddress", "mfa.Authenticator", "accounts.LoginAddress", "accounts.Session"}


# --- changing things -------------------------------------------------------------------------------------------------


def test_a_reset_by_link_sets_a_new_password(client: Client, alice: User) -> None:
    client.post(reverse("account_reset_password"), {"email": ADDRESS})
    form = client.get(last_link()).url
    client.post(form, {"password1": "another good long password", "password2": "another good long password"})
    assert log_in(client, NAME).status_code == 401
    log_in(client, NAME, "another good long password")
    assert is_in(client)


def test_after_a_change_of_address_the_old_one_is_refused_and_gone(client: Client, alice: User) -> None:
    log_in(client, NAME)
    change_address(client, NEW_ADDRESS)
    assert letters()[-1][:2] == ("email_confirmation", NEW_ADDRESS)
    verify(client)
    client.post(reverse("account_logout"))
    log_in(client, ADDRESS)
    assert not is_in(client)
    log_in(client, NEW_ADDRESS.upper())
    assert is_in(client)
    assert LoginAddress.objects.count() == EmailAddress.objects.count() == 1
    assert not LoginAddress.objects.find("login_address.email", ADDRESS).exists()


def test_the_address_that_a_change_leaves_behind_is_told_and_the_new_one_is_not(client: Client, alice: User) -> None:
    log_in(client, NAME)
    change_address(client, NEW_ADDRESS)
    assert not [one for one in letters() if one[0] == "contact_not_me"], "until the code is typed nothing has changed"
    verify(client)
    ((_, to, text),) = [one for one in letters() if one[0] == "contact_not_me"]
    assert to == ADDRESS
    assert "You no longer sign in with this one." in text and "/password/reset/" not in text
    assert "stays the address" not in text and NEW_ADDRESS not in text


def test_the_old_address_is_told_where_it_stays_the_contact(client: Client, alice: User) -> None:
    factories.customer("Canary", "Alice", email=ADDRESS, user=alice)
    log_in(client, NAME)
    change_address(client, NEW_ADDRESS)
    verify(client)
    ((_, to, text),) = [one for one in letters() if one[0] == "contact_not_me"]
    assert to == ADDRESS and "This one stays the address that we hold for your orders and returns" in text
    assert "/account/details/" in text and "You no longer sign in with this one." in text


CONTACT = "canary.alice@contact.example"


def changed_by_a_copy_of_the_cookie(client: Client, alice: User) -> Client:
    """Alice signs in and typed her password a moment ago; whoever has a copy of her cookie changes her address to his
    own."""
    customer = factories.customer(user=alice, email=CONTACT)
    assert customer.subject_id == alice.subject_id
    log_in(client, NAME)
    copy = Client()
    copy.cookies["session"] = client.cookies["session"].value
    change_address(copy, NEW_ADDRESS)
    verify(copy)
    return copy


def test_the_old_login_address_and_every_contact_are_told_of_a_new_one(client: Client, alice: User) -> None:
    """Finding 2: between the change and the thief's first login nobody was told but the thief."""
    before = len(letters())
    changed_by_a_copy_of_the_cookie(client, alice)
    told = [one for one in letters()[before:] if one[0] != "email_confirmation"]
    assert {(kind, to) for kind, to, _ in told} == {("contact_not_me", ADDRESS), ("contact_not_me", CONTACT)}
    assert len({text for _, _, text in told}) == 2, "each has a link of its own"
    for _, _, text in told:
        assert "with which you sign in was changed" in text and NEW_ADDRESS not in text
    assert {to: "You no longer sign in with this one." in text for _, to, text in told} == {
        ADDRESS: True,
        CONTACT: False,
    }


def test_a_new_login_address_ends_every_other_session_and_each_copy_of_the_cookie(client: Client, alice: User) -> None:
    elsewhere = Client()
    log_in(elsewhere, NAME)
    log_in(client, NAME)
    change_address(client, NEW_ADDRESS)  # with the password, which ends a copy from before
    copy = Client()
    copy.cookies["session"] = client.cookies["session"].value
    assert is_in(elsewhere) and copy.get("/account/").status_code == 200, "asking for it ends nothing"
    verify(client)
    assert client.get("/account/").status_code == 200, "control: the browser that changed it goes on"
    for other in (elsewhere, copy):
        assert other.get("/account/").status_code == 302
    assert Session.objects.filter(user=alice).count() == 1


def test_not_me_from_the_old_mailbox_brings_a_second_person_to_what_the_login_asks(client: Client, alice: User) -> None:
    thief = changed_by_a_copy_of_the_cookie(client, alice)
    first = asked_for_a_copy(alice)
    assert not waits.is_undecided(first), "control: nobody has objected"
    (text,) = [text for kind, to, text in letters() if (kind, to) == ("contact_not_me", ADDRESS)]
    link = re.findall(r"https?://[^/]+(/account/contact/not-me/[^/\s]+/)", text)[0]
    old_mailbox = Client()
    assert "with which you sign in" in old_mailbox.get(link).content.decode()
    assert not waits.is_undecided(first), "opening the link does nothing"
    assert "Call us now" in old_mailbox.post(link).content.decode()
    assert waits.is_undecided(first)
    services.withdraw(first, actor=alice.as_actor(), now=timezone.now())
    second = asked_for_a_copy(alice)
    assert list(second.second_looks.values_list("why", flat=True)) == ["disputed"]
    assert thief.get("/account/").status_code == 200


PRIVACY = ("privacy",)


def disputed_login(client: Client, alice: User) -> ContactPoint:
    """A copy of the cookie changed the address of alice's login, and the reader of the old mailbox said "this was not
    me"."""
    changed_by_a_copy_of_the_cookie(client, alice)
    (text,) = [text for kind, to, text in letters() if (kind, to) == ("contact_not_me", ADDRESS)]
    Client().post(re.findall(r"https?://[^/]+(/account/contact/not-me/[^/\s]+/)", text)[0])
    point = Customer.objects.get(user=alice).contact_points.get(channel="login")
    assert point.disputed_at is not None
    return point


def steps_of(browser: Client, point: ContactPoint) -> list[str]:
    return re.findall(r"/step/(\w+)/", browser.get(f"/admin/accounts/contactpoint/{point.pk}/change/").content.decode())


def test_no_clerk_ends_the_dispute_about_a_login_alone(client: Client, alice: User) -> None:
    """Pat alone used "End the dispute", and the thief's next copy was given."""
    point = disputed_login(client, alice)
    user = factories.staff("pat", "pat@ilt.example", roles=PRIVACY)
    pat = pages.signed_in(user)
    customer, page = f"/admin/accounts/customer/{point.customer_id}", f"/admin/accounts/contactpoint/{point.pk}"
    assert "/step/settle/" not in pat.get(f"{customer}/change/").content.decode()
    pages.decide(pat, f"{customer}/step/settle/")
    pages.decide(pat, f"{page}/step/confirm/")
    with pytest.raises(objections.NotProposed):
        objections.settle(point, actor=user.as_actor(), now=timezone.now())
    assert steps_of(pat, point) == ["propose", "back", "code"]
    assert "propose to give it back instead, or nothing" in pat.get(f"{page}/step/propose/").content.decode()
    assert pages.decide(pat, f"{page}/step/propose/").status_code == 302
    pages.decide(pat, f"{page}/step/confirm/")
    with pytest.raises(objections.NotProposed):
        objections.settle(point, actor=user.as_actor(), now=timezone.now())
    assert steps_of(pat, point) == []
    assert reach.is_login_disputed(alice.subject_id) and waits.is_undecided(asked_for_a_copy(alice))
    assert [to for kind, to, _ in letters() if kind == "contact_settled"] == []


@pytest.mark.parametrize("is_manager", [False, True])
def test_a_second_person_ends_it_and_the_mailbox_that_objected_is_told(
    client: Client, alice: User, is_manager: bool
) -> None:
    point = disputed_login(client, alice)
    objections.propose_end(
        point, actor=factories.staff("pat", "pat@ilt.example", roles=PRIVACY).as_actor(), now=timezone.now()
    )
    roles = () if is_manager else PRIVACY
    second = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=roles, is_superuser=is_manager))
    assert "somebody objects to the changed login address" in second.get("/admin/").content.decode()
    assert steps_of(second, point) == ["confirm"]
    assert pages.decide(second, f"/admin/accounts/contactpoint/{point.pk}/step/confirm/").status_code == 302
    assert not reach.is_login_disputed(alice.subject_id) and not waits.is_undecided(asked_for_a_copy(alice))
    ((to, text),) = [(to, text) for kind, to, text in letters() if kind == "contact_settled"]
    assert to == ADDRESS and "it was not you who changed the e-mail address with which you sign in" in text
    assert "Two people of our staff agreed" in text and "http" not in text and NEW_ADDRESS not in text


def test_the_proposal_to_end_it_lapses_and_outlives_no_other_change_and_no_other_objection(
    client: Client, alice: User
) -> None:
    point, now = disputed_login(client, alice), timezone.now()
    pat, pia = (factories.staff(one, f"{one}@ilt.example", roles=PRIVACY).as_actor() for one in ("pat", "pia"))
    sales = factories.staff("sam", "sam@ilt.example").as_actor()

    def may(days: int = 0) -> list[bool]:
        point.refresh_from_db()
        return [objections.may_end(point, one, now=now + timedelta(days=days)) for one in (pat, pia, sales)]

    with pytest.raises(objections.NotProposed):
        objections.propose_end(point, actor=sales, now=now)
    objections.propose_end(point, actor=pat, now=now)
    assert may() == may(6) == [False, True, False] and may(7) == [False, False, False]
    objections.object_to(point, actor=sales, now=now)
    assert may() == [False, False, False]
    objections.propose_end(point, actor=pat, now=now)
    assert may() == [False, True, False]
    with pytest.raises(notices.LoginDisputed):
        notices.login_changed(alice, point.customer, told=[ADDRESS], left=[], now=now)
    assert may() == [False, True, False] and reach.is_login_disputed(alice.subject_id), "no change closes a proposal"


def addresses(user: User) -> list[str]:
    with vault.internal():
        return [str(one.email) for one in EmailAddress.objects.filter(user=user)]


def test_while_somebody_objects_no_page_changes_the_address_again(client: Client, alice: User) -> None:
    """Whoever has the login asked for a code before, asks for another one, types both, and takes the address out."""
    point = disputed_login(client, alice)
    (kept,) = addresses(alice)
    browser, early = Client(), Client()
    three_minutes_later()
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=None)
    for one in (browser, early):
        log_in(one, NAME)
    change_address(early, "thief@elsewhere.example")
    code = last_code()
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=timezone.now())
    objections.propose_end(
        point, actor=factories.staff("pat", "pat@ilt.example", roles=PRIVACY).as_actor(), now=timezone.now()
    )
    sentence = "it stays as it is until our privacy team has decided"
    answer = type_code(early, code)
    assert answer.status_code == 401 and sentence in answer.content.decode()
    sent = len(letters())
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    page = browser.get(reverse("account_email")).content.decode()
    assert sentence in page and "action_add" not in page
    answer = browser.post(reverse("account_email"), {"action_add": "", "email": "thief@elsewhere.example"})
    assert answer.status_code == 200 and sentence in answer.content.decode() and len(letters()) == sent
    browser.post(reverse("account_email"), {"action_remove": "", "email": kept})
    waiting = EmailAddress(user=alice, email="thief@elsewhere.example")
    assert not AccountAdapter().confirm_email(browser.request().wsgi_request, waiting), (
        "a race: after the form was clean"
    )
    assert addresses(alice) == [kept]
    assert objections.is_end_proposed(ContactPoint.objects.get(pk=point.pk), now=timezone.now())
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=None)
    three_minutes_later()
    browser.post(reverse("account_email"), {"action_add": "", "email": "new.again@example.com"})
    verify(browser)
    assert addresses(alice) == ["new.again@example.com"], "control"


def test_no_page_takes_out_the_address_of_a_login_so_that_nobody_is_told_of_the_next_one(
    client: Client, alice: User
) -> None:
    log_in(client, NAME)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.post(reverse("account_email"), {"action_remove": "", "email": ADDRESS})
    assert EmailAddress.objects.filter(user=alice, verified=True).count() == 1
    client.post(reverse("account_email"), {"action_add": "", "email": NEW_ADDRESS})
    verify(client)
    assert [to for kind, to, _ in letters() if kind == "contact_not_me"] == [ADDRESS]


SWITCHED_OFF = (
    "account/messages/cannot_delete_primary_email.txt",
    "account/messages/email_deleted.txt",
    "account/messages/login_code_sent.txt",
    "account/messages/primary_email_set.txt",
    "account/messages/unverified_primary_email.txt",
    "account/snippets/warn_no_email.html",
)


def test_no_page_says_what_is_switched_off_and_no_act_of_it_does_anything(client: Client) -> None:
    signed_up(client)
    assert not app_settings.LOGIN_BY_CODE_ENABLED and not app_settings.LOGIN_BY_CODE_REQUIRED
    assert app_settings.CHANGE_EMAIL and not any("phone" in name for name in app_settings.SIGNUP_FIELDS)
    assert AccountAdapter().is_open_for_signup(None), "the page of a closed sign-up is shown to nobody"
    said = [" ".join(strip_tags(render_to_string(name)).split()) for name in SWITCHED_OFF]
    assert all(said)
    for path in ("/accounts/login/code/", "/accounts/phone/change/"):
        assert client.get(path).status_code == client.post(path, {"email": ADDRESS}).status_code == 404
    confirm = "/accounts/login/code/confirm/"
    assert client.get(confirm).url == client.post(confirm, {"code": "123456"}).url == "/accounts/login/"
    log_in(client, NAME)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    before, addressed = len(letters()), list(EmailAddress.objects.values("user", "primary", "verified"))
    shown = [client.get(reverse("account_email")).text]
    for action in ("action_remove", "action_primary", "action_send"):
        client.post(reverse("account_email"), {action: "", "email": ADDRESS})  # typed by hand: no page has the button
    read = " ".join(strip_tags(" ".join(shown)).split())
    assert [one for one in said if one in read] == []
    assert list(EmailAddress.objects.values("user", "primary", "verified")) == addressed and len(letters()) == before
    client.post(reverse("account_email"), {"action_add": "", "email": NEW_ADDRESS})
    assert len(letters()) > before, "control: the page acts"


def asked_for_a_copy(user: User) -> Request:
    return taken_in(
        "access",
        user.subject_id,
        received_on=timezone.localdate(),
        identity="login",
        actor=user.as_actor(),
        now=timezone.now(),
    )


def test_a_login_without_contacts_and_one_of_staff_tell_their_old_address(client: Client, alice: User) -> None:
    log_in(client, NAME)
    change_address(client, NEW_ADDRESS)
    verify(client)
    assert letters()[-1][:2] == ("contact_not_me", ADDRESS) and "/account/contact/not-me/" in letters()[-1][2]
    factories.staff("pat", "pat@ilt.example")
    browser = Client()
    log_in(browser, "pat")
    three_minutes_later()
    change_address(browser, "pat.new@ilt.example")
    verify(browser)
    kind, to, text = letters()[-1]
    assert (kind, to) == ("contact_not_me", "pat@ilt.example") and "call us at once" in text and "/not-me/" not in text
    assert not Customer.objects.filter(user__is_staff=True).exists()


def test_a_first_address_tells_nobody(client: Client, alice: User) -> None:
    """The control: signing up is no change."""
    assert [kind for kind, _, _ in letters() if kind == "contact_not_me"] == []


def test_a_verified_address_is_unique(client: Client, alice: User) -> None:
    bob = Client()
    sign_up(bob, "canary-bob", "canary.bob@example.com")
    verify(bob)
    three_minutes_later()
    change_address(bob, ADDRESS)
    assert letters()[-1][:2] == ("email_confirmation", ADDRESS)
    type_code(bob, last_code())
    assert EmailAddress.objects.filter(email=ADDRESS, verified=True).get().user == alice


def switch_on_totp(client: Client) -> str:
    page = client.get(reverse("mfa_activate_totp"))
    if page.status_code == 302:
        client.post(page.url, {"password": PASSWORD})
        client.get(reverse("mfa_activate_totp"))
    secret = str(client.session["mfa.totp.secret"])
    assert client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}).status_code == 302
    return secret


def test_a_second_factor_is_asked_for_and_its_secret_is_sealed(client: Client, alice: User) -> None:
    log_in(client, NAME)
    secret = switch_on_totp(client)
    assert all(secret not in json.dumps(data) for data in Authenticator.objects.values_list("data", flat=True))
    client.post(reverse("account_logout"))
    log_in(client, ADDRESS)
    assert not is_in(client)
    three_minutes_later()
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert is_in(client)


@pytest.fixture
def carol() -> User:
    return factories.staff("carol", "carol@ilt.example", roles=("privacy",))


BACK_OFFICE = ("/admin/", "/admin/accounts/customer/", "/admin/privacy/request/add/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", BACK_OFFICE)
def test_staff_set_up_a_second_factor_before_any_page_of_the_back_office(
    client: Client, carol: User, settings: Any, path: str
) -> None:
    settings.STAFF_SECOND_FACTOR = True
    client.force_login(carol)
    for answer in (client.get(path), client.post(path, {"q": "alice"})):
        assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_activate_totp"))
    shown = client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": reverse("mfa_activate_totp")})
    assert "The back office needs a second factor." in client.get(shown["Location"]).content.decode()
    assert client.get("/account/").status_code == 200, "their own pages stay open"
    switch_on_totp(client)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", BACK_OFFICE)
def test_where_no_second_factor_is_asked_for_staff_can_look_around(client: Client, carol: User, path: str) -> None:
    client.force_login(carol)
    assert client.get(path).status_code == 200


def test_a_customer_is_led_to_no_second_factor(client: Client, alice: User, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True
    client.force_login(alice)
    assert client.get("/account/").status_code == 200
    assert "login" in client.get("/admin/")["Location"]


@pytest.mark.parametrize("demo", ["true", "false"])
def test_a_demo_asks_for_the_second_factor_as_every_installation_does(demo: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from ilt_site import settings; print(settings.STAFF_SECOND_FACTOR)"],
        env={**os.environ, "DEMO": demo}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.strip() == "True"


# --- nothing in clear ------------------------------------------------------------------------------------------------


def dump() -> dict[str, bytes]:
    """Every table of both databases as text, with every base64 and compressed value also decoded."""
    found = {}
    for alias in ("default", "keystore"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall():
                cursor.execute(f'SELECT t::text FROM "{table}" t')
                found[f"{alias}.{table}"] = "\n".join(row[0] for row in cursor.fetchall()).encode()
    for session in Session.objects.all():
        for part in session.session_data.split(":"):
            raw = base64.urlsafe_b64decode(part.lstrip(".") + "==") if len(part) > 20 else b""
            found[f"session {part[:4]}"] = raw
            if part.startswith("."):
                found[f"session {part[:4]} inflated"] = zlib.decompress(raw)
    return found


def test_after_the_whole_story_nothing_stands_in_clear_in_either_database(client: Client) -> None:
    needles = [ADDRESS, NEW_ADDRESS, "canary.nobody@example.com", NAME, PASSWORD]
    sign_up(client)
    scans = [dump()]
    verify(client)
    Client().post(reverse("account_reset_password"), {"email": ADDRESS})
    log_in(Client(), "canary.nobody@example.com", "wrong wrong wrong wrong")
    log_in(client, ADDRESS.upper())
    needles.append(switch_on_totp(client))
    three_minutes_later()
    client.post(reverse("mfa_reauthenticate"), {"code": code_of(needles[-1])})
    scans.append(dump())
    client.post(reverse("account_email"), {"action_add": "", "email": NEW_ADDRESS})
    assert letters()[-1][:2] == ("email_confirmation", NEW_ADDRESS)
    scans.append(dump())
    scanner = Scanner(needles)
    assert len(scanner.scan("control", json.dumps(needles).encode())) >= len(needles)
    assert [find for tables in scans for where, blob in tables.items() for find in scanner.scan(where, blob)] == []
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {
        handles.Handle.of(pk) for pk in LoginAddress.objects.values_list("pk", flat=True)
    }


def test_the_keys_of_the_cache_are_opaque(client: Client, alice: User) -> None:
    log_in(client, ADDRESS, "wrong wrong wrong wrong")
    redis = cache._cache.get_client()
    keys = b" ".join(redis.keys("*"))
    assert keys
    assert b"canary" not in keys
    assert b"127.0.0.1" not in keys


# --- sessions --------------------------------------------------------------------------------------------------------


def test_the_cookie_does_not_stand_in_the_table_and_the_session_names_its_subject(client: Client, alice: User) -> None:
    log_in(client, NAME)
    session = Session.objects.get(user=alice)
    cookie = client.session.session_key
    assert session.session_key == sessions.stored_key(cookie) != cookie
    assert session.subject_id == alice.subject_id
    assert session.get_decoded()["_auth_user_id"] == str(alice.pk)


def test_ending_all_sessions_of_a_subject_signs_everywhere_out_also_half_way(client: Client, alice: User) -> None:
    bob = factories.login("bob", "bob@example.com")
    others, half = Client(), Client()
    log_in(client, NAME)
    log_in(others, "bob")
    sign_up(half, "canary-half", "canary.half@example.com")
    unfinished = User.objects.named("canary-half").get()
    assert sessions.end_all(alice.subject_id) == 1
    assert sessions.end_all(unfinished.subject_id) == 1
    assert sessions.end_all(alice.subject_id) == 0
    assert client.get(reverse("account")).status_code == 302
    assert Session.objects.get(user=bob)


def test_an_idle_session_ends(client: Client, alice: User, settings: Any) -> None:
    log_in(client, NAME)
    assert client.get(reverse("account_change_password")).status_code in (200, 302)
    session = client.session
    session["seen"] -= settings.SESSION_IDLE_AGE + 1
    session.save()
    client.get(reverse("account_change_password"))
    assert not is_in(client)


def test_a_one_time_password_leads_to_choosing_a_new_one(client: Client) -> None:
    factories.login("carol", "carol@ilt.example", must_change_password=True)
    log_in(client, "carol")
    assert (
        client.get(reverse("account_email")).url == f"{reverse('account_change_password')}?next=%2Faccounts%2Femail%2F"
    )
    client.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": "another good long password", "password2": "another good long password"},
    )
    assert not User.objects.get().must_change_password
    assert client.get(reverse("account_email")).status_code == 200


def test_the_page_of_a_one_time_password_says_why_and_leads_to_where_one_wanted(client: Client) -> None:
    factories.staff("carol", "carol@ilt.example", roles=("sales",), must_change_password=True)
    log_in(client, "carol")
    asked = client.get("/admin/orders/order/?state__exact=placed")
    assert asked.status_code == 302
    page = client.get(asked.url).text
    assert "Whoever made this login has seen the password" in page and "your other sessions end" not in page
    new = "another good long password"
    said = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    done = client.post(asked.url, said)
    assert (done.status_code, done.url) == (302, "/admin/orders/order/?state__exact=placed")
    assert "your other sessions end" in client.get(reverse("account_change_password")).text


def test_after_a_new_password_nobody_is_led_to_another_site(client: Client) -> None:
    factories.login("carol", "carol@ilt.example", must_change_password=True)
    log_in(client, "carol")
    new = "another good long password"
    where = f"{reverse('account_change_password')}?next=https://elsewhere.example/"
    done = client.post(where, {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert (done.status_code, done.url) == (302, "/account/")


@pytest.mark.parametrize(("is_staff", "place"), [(True, "/admin/"), (False, "/account/")])
def test_after_a_new_password_everybody_is_led_to_where_they_work(client: Client, is_staff: bool, place: str) -> None:
    factories.login("carol", "carol@ilt.example", must_change_password=True, is_staff=is_staff)
    log_in(client, "carol")
    new = "another good long password"
    answer = client.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert (answer.status_code, answer.url) == (302, place)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_deleting_a_login_leaves_no_address_key_or_token(alice: User, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alice.delete()
    assert not EmailAddress.objects.exists()
    assert not LoginAddress.objects.exists()
    assert not Token.objects.filter(field__in=["login_address.email", "user.username"]).exists()


def test_a_login_whose_keys_are_gone_cannot_be_used_but_can_be_deleted(
    client: Client, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    (address,) = LoginAddress.objects.all()
    vault.keys.destroy([(address.pk, "account"), (alice.pk, "account")], now=factories.NOW)
    log_in(client, ADDRESS)
    assert not is_in(client)
    with django_capture_on_commit_callbacks(execute=True):
        alice.delete()
    three_minutes_later()
    client = Client()
    sign_up(client)
    verify(client)
    log_in(client, ADDRESS)
    assert is_in(client)
