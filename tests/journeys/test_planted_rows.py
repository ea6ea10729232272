"""Who can write to the main database, and has neither key ring nor key store, becomes nobody else by it.

Each attack is plain SQL of the application's role; beside it stands what the same row does where it belongs.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import contact_links, factor, factor_secrets, sessions, upgrades
from accounts.models import ContactLink, ContactPoint, Session, User
from privacy import vault
from privacy.letters.models import Letter
from privacy.requests import codes, links, writing
from privacy.requests.models import OneTimeLink
from privacy.sweep import notices as ending
from privacy.sweep.models import EndNotice
from privacy.vault.keystore import once
from privacy.vault.models import Once
from tests import factories, pages
from tests.asked import filed
from tests.factories import NOW, PASSWORD, TODAY

pytestmark = pytest.mark.django_db(databases="__all__")

DETAILS = "/account/details/"
TOKEN = "chosen-by-the-attacker"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()


class AsItWas(Exception):
    """Takes the attack of a block back."""


def sql(statement: str, *values: Any) -> int:
    """Run a statement as somebody who holds the main database's password; return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def alice_and_bob() -> tuple[Any, Any]:
    """Two customers with a login each, and their browsers: what alice sees names her."""
    found = []
    for name in ("alice", "bob"):
        user = factories.login(name, f"{name}@example.com")
        factories.customer(
            name.title(), "Archer" if name == "alice" else "Bell", email=f"{name}@example.com", user=user,
            subject=user.subject,
        )  # fmt: skip
        found.append(user)
    return found[0], found[1]


def shows(browser: Client) -> str:
    """Return whose details the browser shows, or where it is sent."""
    answer = browser.get(DETAILS)
    if answer.status_code != 200:
        return str(answer["Location"]).partition("?")[0]
    return "alice" if "Archer" in answer.content.decode() else "bob"


# Sessions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["contents", "keys"])
def test_a_session_copied_into_ones_own_row_is_nobodys(how: str) -> None:
    alice, bob = alice_and_bob()
    hers, his = pages.signed_in(alice), pages.signed_in(bob)
    assert (shows(hers), shows(his)) == ("alice", "bob")
    mine = sessions.stored_key(his.session.session_key or "")
    if how == "contents":
        data = Session.objects.get(user=alice).session_data
        assert sql("UPDATE accounts_session SET session_data = %s WHERE session_key = %s", data, mine) == 1
        assert shows(hers) == "alice"
    else:
        assert sql("DELETE FROM accounts_session WHERE session_key = %s", mine) == 1
        assert sql("UPDATE accounts_session SET session_key = %s WHERE user_id = %s", mine, alice.pk) == 1
    assert shows(his) == "/accounts/login/"
    assert shows(pages.signed_in(bob)) == "bob"


def test_a_session_hung_on_nobody_or_on_another_while_its_persons_sessions_end_opens_nothing() -> None:
    alice, bob = alice_and_bob()
    for user, subject in ((None, None), (bob.pk, bob.subject_id)):
        hers = pages.signed_in(alice)
        assert shows(hers) == "alice"
        moved = "UPDATE accounts_session SET user_id = %s, subject_id = %s WHERE user_id = %s"
        assert sql(moved, user, subject, alice.pk) == 1
        assert sessions.end_all(alice.subject_id) == 0
        assert shows(hers) == "/accounts/login/"


# Second factors -------------------------------------------------------------------------------------------------------


def code_of(user: User) -> str:
    return factor.code(user, now=timezone.now())[0]


def enters(user: User, code: str) -> bool:
    """Say whether password and this code let somebody in as `user`."""
    browser = Client()
    browser.post("/accounts/login/", {"login": f"{user.username}", "password": PASSWORD})
    return bool(browser.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 302)


def names(*users: User) -> None:
    with vault.internal():
        for user in users:
            assert user.username


def test_ones_own_secret_of_a_second_factor_copied_to_a_colleague_does_not_open_there() -> None:
    carol, bob = factories.staff(), factories.staff("bob", "bob@ilt.example")
    names(carol, bob)
    factor.enrol(carol)
    factor.enrol(bob)
    own = Authenticator.objects.filter(user=bob, type="totp").values_list("data", flat=True).get()["secret"]
    his = code_of(bob)
    attack = "UPDATE mfa_authenticator SET data = jsonb_set(data, '{secret}', to_jsonb(%s::text)) WHERE user_id = %s"
    before = Authenticator.objects.values_list("data", flat=True).get(user=carol)["secret"]
    assert sql(attack, str(own), carol.pk) == 1
    assert not enters(carol, his)
    assert sql(attack, str(before), carol.pk) == 1
    assert enters(carol, code_of(carol))
    assert enters(bob, his)


def test_a_seed_of_recovery_codes_copied_to_a_colleague_gives_no_code_that_works() -> None:
    carol, bob = factories.staff(), factories.staff("bob", "bob@ilt.example")
    names(carol, bob)
    for user in (carol, bob):
        factor.enrol(user)
        RecoveryCodes.activate(user)

    def codes(user: User) -> list[str]:
        return RecoveryCodes(Authenticator.objects.get(user=user, type="recovery_codes")).generate_codes()

    his, hers = codes(bob), codes(carol)
    attack = """UPDATE mfa_authenticator c SET data = b.data FROM mfa_authenticator b
        WHERE c.user_id = %s AND b.user_id = %s AND c.type = 'recovery_codes' AND b.type = 'recovery_codes'"""
    before = Authenticator.objects.values_list("data", flat=True).get(user=carol, type="recovery_codes")["seed"]
    assert sql(attack, carol.pk, bob.pk) == 1
    assert not enters(carol, his[0])
    undo = "UPDATE mfa_authenticator SET data = jsonb_set(data, '{seed}', to_jsonb(%s::text)) WHERE user_id = %s"
    assert sql(undo + " AND type = 'recovery_codes'", str(before), carol.pk) == 1
    assert enters(carol, hers[0]) and enters(bob, his[0])


# Links and codes ------------------------------------------------------------------------------------------------------


def test_a_one_time_link_that_the_site_did_not_make_opens_nothing() -> None:
    alice, bob = alice_and_bob()
    hers, his = filed(alice.customer, "access"), filed(bob.customer, "access")
    until = NOW + timedelta(days=2)
    planted = """INSERT INTO privacy_onetimelink (token_hash, purpose, request_id, created_at, expires_at)
        VALUES (%s, 'result', %s, %s, %s)"""
    assert sql(planted, HASH, hers.pk, NOW, until) == 1
    for work in (links.look, links.use):
        with pytest.raises(links.LinkRefused):
            work(TOKEN, now=NOW)
    own = links.make_link(his, OneTimeLink.Purpose.IDENTITY, to="", now=NOW)
    for change in ({"request": hers}, {"purpose": "result"}, {"expires_at": until + timedelta(days=9)}):
        with pytest.raises(AsItWas), transaction.atomic():
            assert OneTimeLink.objects.filter(request=his).update(**change) == 1
            for work in (links.look, links.use):
                with pytest.raises(links.LinkRefused):
                    work(own, now=NOW)
            raise AsItWas
    assert links.look(own, now=NOW).request == his
    assert links.use(own, now=NOW).request == his


def test_a_code_by_post_in_another_purpose_or_for_another_person_is_none() -> None:
    alice, bob = alice_and_bob()
    hers = filed(alice.customer, "access")
    link, code = links.make_posted_code(hers, alice.subject_id, now=NOW)
    assert OneTimeLink.objects.filter(pk=link.pk).update(expires_at=NOW + timedelta(days=99)) == 1
    writing.queue("posted_code", to="", context={}, key=links.key_of_posted_code(link), request=hers, now=NOW)
    Letter.objects.update(sent_at=NOW)
    assert OneTimeLink.objects.filter(pk=link.pk).update(expires_at=link.expires_at) == 1
    assert not links.use_posted_code(hers, alice.subject_id, code, now=NOW), "its row alone says that it was posted"
    assert not writing.was_asked(hers), "nor does it say that the person was asked"
    factories.went_out(Letter.objects.all(), NOW)
    assert writing.was_asked(hers)
    assert OneTimeLink.objects.filter(pk=link.pk).update(expires_at=NOW + timedelta(days=99)) == 1
    assert not links.use_posted_code(hers, alice.subject_id, code, now=NOW)
    assert OneTimeLink.objects.filter(pk=link.pk).update(expires_at=link.expires_at) == 1
    assert not links.use_posted_code(hers, bob.subject_id, code, now=NOW)
    assert links.use_posted_code(hers, alice.subject_id, code, now=NOW)


def test_the_hash_of_a_chosen_outcome_code_in_somebody_elses_request_opens_nothing() -> None:
    alice, bob = alice_and_bob()
    hers, his = filed(alice.customer, "access"), filed(bob.customer, "access")
    right, own = codes.new_code(), codes.new_code()
    hers.outcome_code_hash, his.outcome_code_hash = codes.hash_of_code(hers, right), codes.hash_of_code(his, own)
    before = hers.outcome_code_hash
    for planted in (make_password(own.replace("-", "")), his.outcome_code_hash, ":" + make_password("X"), ""):
        hers.outcome_code_hash = planted
        assert not codes.code_matches(own, hers)
    hers.outcome_code_hash = before
    assert codes.code_matches(right, hers) and codes.code_matches(own, his)


def test_a_planted_link_about_a_contact_confirms_and_objects_to_nothing() -> None:
    alice, _ = alice_and_bob()
    point = ContactPoint.objects.filter(customer=alice.customer, channel="email").get()
    planted = """INSERT INTO accounts_contactlink (point_id, purpose, token_hash, at, expires_at)
        VALUES (%s, %s, %s, %s, %s)"""
    for purpose in ("confirm", "not_me"):
        with pytest.raises(AsItWas), transaction.atomic():
            assert sql(planted, point.pk, purpose, HASH, NOW, NOW + timedelta(days=2)) == 1
            with pytest.raises(contact_links.LinkRefused):
                contact_links.look(TOKEN, purpose, now=NOW)
            link = ContactLink.objects.get(token_hash=HASH)
            link.bind()
            link.save()
            assert contact_links.look(TOKEN, purpose, now=NOW).point == point
            raise AsItWas


def test_a_planted_warning_keeps_no_account() -> None:
    alice, _ = alice_and_bob()
    planted = """INSERT INTO privacy_end_notice (id, subject_id, given_on, token_hash) VALUES (%s, %s, %s, %s)"""
    assert sql(planted, uuid4(), alice.subject_id, TODAY, HASH) == 1
    with pytest.raises(ending.NoticeGone):
        ending.look(TOKEN, now=NOW)
    notice = EndNotice.objects.get(token_hash=HASH)
    notice.mac = vault.mac_of(*ending._says(notice))
    notice.save()
    assert ending.look(TOKEN, now=NOW) == notice


# Rows of the version before -------------------------------------------------------------------------------------------


def as_before(user: User) -> tuple[str, str, str]:
    """Put back what the version before left: a link, an outcome code and a second factor that are bound to nothing."""
    request = filed(user.customer, "access")
    token = links.make_link(request, OneTimeLink.Purpose.RESULT, to="", now=NOW)
    code = codes.new_code()
    request.outcome_code_hash = make_password(code.replace("-", ""))
    request.save(update_fields=["outcome_code_hash"])
    factor.enrol(user)
    row = Authenticator.objects.get(user=user)
    secret = factor_secrets.opened(row.data["secret"])
    unbound = str(factor_secrets.Fresh.of(secret))
    sql("UPDATE privacy_onetimelink SET mac = ''")
    sql(
        "UPDATE mfa_authenticator SET data = jsonb_build_object('secret', %s::text) WHERE user_id = %s",
        unbound,
        user.pk,
    )
    return token, code, secret


def test_what_the_version_before_left_works_after_the_upgrade_and_what_is_planted_later_never_does() -> None:
    alice, bob = alice_and_bob()
    token, code, secret = as_before(alice)
    request = OneTimeLink.objects.get().request
    with pytest.raises(links.LinkRefused):
        links.look(token, now=NOW)

    Once.objects.all().delete()
    assert upgrades.bind_rows(now=NOW) == 3

    request.refresh_from_db()
    assert links.look(token, now=NOW).request == request
    assert codes.code_matches(code, request)
    assert factor_secrets.opened(Authenticator.objects.get(user=alice).data["secret"]) == secret
    assert once.is_done(once.LINKS) and once.is_done(once.FACTORS)

    other, _, _ = as_before(bob)
    assert upgrades.bind_rows(now=NOW) == 0
    with pytest.raises(links.LinkRefused):
        links.look(other, now=NOW)
    with pytest.raises(vault.BlobDamaged):
        factor_secrets.opened(Authenticator.objects.get(user=bob).data["secret"])
