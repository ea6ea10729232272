"""Warned, answered, kept: a link in the letter and a button of the desk move the clock, and no sweep ends what was
kept."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from accounts import activity
from accounts.models import Address, Customer
from privacy import vault
from privacy.audit.models import AuditEvent
from privacy.gate import Actor, Refused
from privacy.gate.system import system, system_actor
from privacy.models import EndNotice, Letter
from privacy.requests import erasure, posting, writing
from privacy.sweep import arming, nightly, notices
from privacy.sweep.report import SweepReport
from tests import factories, pages
from tests.asked import PRIVACY, confirmed, run

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LONG_AGO = date(2023, 11, 25)  # its 36 months are over on 25 November 2026
ENDED = NOW + timedelta(days=31)
ACCOUNT = {True: ("Keep my account", "Your account is kept"), False: ("Keep my data", "Your data are kept")}


@pytest.fixture(autouse=True)
def _quiet(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with time_machine.travel(NOW, tick=False):
        yield


def quiet(**data: Any) -> Customer:
    """Somebody who has not been seen for three years, with an address."""
    customer = factories.customer(since=LONG_AGO, last_active_on=LONG_AGO, **data)
    factories.address(customer)
    return customer


def swept(monkeypatch: pytest.MonkeyPatch, at: datetime) -> SweepReport:
    """Let the sweep of a night run, by a database clock that shows `at`."""
    monkeypatch.setattr("privacy.sweep.arming.database_now", lambda: at)
    monkeypatch.setattr("privacy.sweep.nightly.database_now", lambda: at)
    arming.arm(actor=PRIVACY)
    with system("sweep"):
        return nightly.sweep(dry_run=False, actor=system_actor("sweep"))


def sent(at: datetime) -> None:
    """Let the letters go out: by e-mail, and each that is to be posted ticked off."""
    with system("letter"):
        writing.send_due(now=at)
        for one in Letter.objects.filter(by=Letter.By.POST, sent_at=None, stopped_at=None):
            posting.mark_posted(one, actor=PRIVACY, now=at)


def token() -> str:
    with vault.internal():
        found = re.search(
            r"/privacy/keep/([\w-]+)/",
            Letter.objects.filter(kind="account_ending").latest("queued_at").credentials["link"],
        )
    assert found
    return found[1]


def is_there(customer: Customer) -> bool:
    there = Customer.objects.filter(pk=customer.pk, sealed_account__isnull=False).exists()
    assert there == Address.objects.filter(customer=customer.pk).exists(), "never half"
    return there


UNSURE = {
    "typed by staff a week ago": {"came": "staff", "contact_since": NOW - timedelta(days=7)},
    "typed by staff a year ago, when nobody could be told": {
        "came": "staff",
        "contact_since": NOW - timedelta(days=365),
    },
    "typed into the portal and never confirmed": {"came": "person", "contact_since": NOW - timedelta(days=365)},
    "taken out": {"came": "cleared", "contact_since": NOW - timedelta(days=365)},
}


@pytest.mark.django_db
@pytest.mark.parametrize("how", UNSURE)
def test_the_link_goes_to_no_address_that_does_not_count(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whoever has that mailbox could keep the account; the letter goes by post, and a task of the desk."""
    alice = quiet(email="typed@example.com", **UNSURE[how])
    assert swept(monkeypatch, NOW).warned == 1
    with vault.internal():
        letter = Letter.objects.get(kind="account_ending")
        assert (letter.by, letter.to, letter.credentials) == (Letter.By.POST, "", None)
        assert letter.text.startswith("Alice Archer\n12 Elm Street")
        assert "call us or write to us before that day" in letter.text
        assert "/privacy/keep/" not in letter.text
    assert EndNotice.objects.get().token_hash == ""
    pages.check(Client().post("/privacy/keep/x/"), status=403)

    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    page = f"/admin/accounts/customer/{alice.pk}/change/"
    assert page in pat.get("/admin/").text
    step = f"/admin/accounts/customer/{alice.pk}/step/post/"
    shown = pat.get(step).text
    assert "What we hold about you ends soon" in shown and "Your account ends" not in shown, "she never had one"
    pat.post(step)
    assert page not in pat.get("/admin/").text
    assert Letter.objects.get(kind="account_ending").sent_at == NOW
    assert pat.get(step).status_code == 302


@pytest.mark.django_db
def test_without_any_address_that_counts_the_letter_waits_for_staff(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = factories.customer(since=LONG_AGO, last_active_on=LONG_AGO, email="typed@example.com", came="staff")
    swept(monkeypatch, NOW)
    with vault.internal():
        assert Letter.objects.get().text.startswith(
            "For a long time there has been no order, return or message of yours"
        )
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    assert f"/admin/accounts/customer/{alice.pk}/change/" in pat.get("/admin/").text


@pytest.mark.django_db
def test_of_two_people_with_one_address_neither_gets_a_link_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet()
    quiet(first_name="Bob")
    assert swept(monkeypatch, NOW).warned == 2
    assert set(Letter.objects.values_list("by", flat=True)) == {Letter.By.POST}


@pytest.mark.django_db
def test_without_an_answer_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = quiet()
    assert swept(monkeypatch, NOW).warned == 1
    sent(NOW)
    swept(monkeypatch, ENDED)
    assert not is_there(alice)


@pytest.mark.django_db
def test_the_link_in_the_letter_keeps_the_account_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = quiet(), quiet(first_name="Bob", email="bob@example.com")
    swept(monkeypatch, NOW)
    with vault.internal():
        letters = {one.subject_id: one.credentials["link"] for one in Letter.objects.filter(kind="account_ending")}
    sent(NOW)
    path = re.search(r"/privacy/keep/[\w-]+/", letters[alice.subject_id])[0]
    browser = Client(enforce_csrf_checks=False)

    page = pages.check(browser.get(path))
    assert "Keep my data" in page and "20 December 2026" in page and "alice" not in page.lower()
    assert Customer.objects.get(pk=alice.pk).last_active_on == LONG_AGO, "opening it does nothing"

    page = pages.check(browser.post(path))
    assert "Your data are kept" in page
    assert Customer.objects.get(pk=alice.pk).last_active_on == date(2026, 11, 20)
    assert "Your data are kept" in pages.check(browser.get(path)), "used, it says so"
    assert "Your data are kept" in pages.check(browser.post(path)), "twice is once"
    event = AuditEvent.objects.get(action="account.kept")
    assert event.reason == "link"

    swept(monkeypatch, ENDED)
    assert is_there(alice)
    assert not is_there(bob), "who did not answer"
    # The letter and the table of warnings know the link as a hash only.
    assert not EndNotice.objects.filter(token_hash=path.split("/")[3]).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("has_login", [False, True], ids=["no login", "a login"])
def test_the_page_of_the_link_speaks_of_an_account_to_who_has_one(
    monkeypatch: pytest.MonkeyPatch, has_login: bool
) -> None:
    alice = quiet()
    swept(monkeypatch, NOW)
    path = f"/privacy/keep/{token()}/"
    sent(NOW)
    if has_login:  # she signed up since, and has not signed in
        factories.login("alice", "alice@example.com", subject=alice.subject)
    shown = [" ".join(strip_tags(pages.check(getattr(Client(), way)(path))).split()) for way in ("get", "post")]
    for text, own, other in zip(shown, ACCOUNT[has_login], ACCOUNT[not has_login], strict=True):
        assert own in text and other not in text
    assert ("sign-in, order, return or message" in shown[0]) is has_login
    assert "order, return or message of yours" in shown[0]


@pytest.mark.django_db
def test_a_link_that_is_unknown_too_old_or_too_late_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet()
    swept(monkeypatch, NOW)
    one = token()
    sent(NOW)
    for path in ("/privacy/keep/nothing/", f"/privacy/keep/{one[:-1]}/"):
        for method in ("get", "post"):
            assert "no longer works" in pages.check(getattr(Client(), method)(path), status=403)
    with time_machine.travel(NOW + timedelta(days=62), tick=False):
        assert "no longer works" in pages.check(Client().post(f"/privacy/keep/{one}/"), status=403)
    swept(monkeypatch, ENDED)
    assert "has begun" in pages.check(Client().post(f"/privacy/keep/{one}/"), status=403)


@pytest.mark.django_db
def test_the_desk_keeps_it_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = quiet()
    swept(monkeypatch, NOW)
    sent(NOW)
    carol = pages.signed_in(factories.staff("carol", roles=("sales",)))
    page = reverse("admin:accounts_customer_step", args=[alice.pk, "keep"])
    assert "Keep this account" in carol.get(reverse("admin:accounts_customer_change", args=[alice.pk])).content.decode()
    assert carol.post(page, {"reason": "because"}).status_code == 400
    assert carol.post(page, {"reason": "phone"}).status_code == 302
    assert AuditEvent.objects.get(action="account.kept").reason == "phone"
    swept(monkeypatch, ENDED)
    assert is_there(alice)


@pytest.mark.django_db
def test_a_role_that_does_not_write_accounts_cannot_keep_them() -> None:
    alice = quiet()
    for role in ("service", "accounting"):
        who = Actor("staff", "dan", None, frozenset({role}), "admin")
        with pytest.raises(Refused):
            activity.keep_account(alice, reason="phone", actor=who, now=NOW)
    assert Customer.objects.get(pk=alice.pk).last_active_on == LONG_AGO


@pytest.mark.django_db
def test_a_day_that_was_told_after_a_request_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the link of a warning that went out before the request either: its page says why."""
    alice = quiet()
    from tests.factories import an_order

    swept(monkeypatch, NOW)
    one = token()
    sent(NOW)
    an_order(alice)
    run(confirmed(alice))
    with pytest.raises(notices.CannotKeep, match="not moved"):
        notices.keep_for(alice.subject_id, reason="phone", actor=PRIVACY, now=NOW)
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        answer = Client().post(f"/privacy/keep/{one}/")
        assert "You asked us before to remove your data." in pages.check(answer, status=409)


@pytest.mark.django_db
def test_after_it_was_kept_it_is_warned_anew_before_the_next_end(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = quiet()
    swept(monkeypatch, NOW)
    notices.keep(token(), now=NOW)
    later = datetime(2029, 11, 1, 15, tzinfo=UTC)
    assert swept(monkeypatch, later).warned == 1
    sent(later)
    assert is_there(alice)
    swept(monkeypatch, later + timedelta(days=31))
    assert not is_there(alice)


@pytest.mark.django_db
def test_pressed_between_the_look_and_the_end_of_a_sweep_it_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = quiet(), quiet(first_name="Bob", email="bob@example.com")
    swept(monkeypatch, NOW)
    with vault.internal():
        texts = {one.subject_id: one.credentials["link"] for one in Letter.objects.filter(kind="account_ending")}
    sent(NOW)
    one = re.search(r"/privacy/keep/([\w-]+)/", texts[alice.subject_id])[1]
    begin, pressed = notices.begin_to_end, []

    def pressing(found: Any, *, now: datetime) -> set[Any]:
        if not pressed:  # the sweep has judged its first batch, the addresses, and has not ended it yet
            pressed.append(True)
            with time_machine.travel(ENDED, tick=False):
                notices.keep(one, now=ENDED)
        return begin(found, now=now)

    monkeypatch.setattr(notices, "begin_to_end", pressing)
    report = swept(monkeypatch, ENDED)
    assert pressed and report.kept >= 1
    assert is_there(alice)
    assert not is_there(bob)


@pytest.mark.django_db(transaction=True)
def test_pressed_while_the_sweep_ends_it_the_press_waits_and_hears_that_it_is_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice = quiet()
    swept(monkeypatch, NOW)
    one, answers = token(), []
    sent(NOW)
    erase = erasure.erase_records

    def press() -> None:
        try:
            notices.keep(one, now=ENDED)
            answers.append("kept")
        except notices.NoticeGone:
            answers.append("gone")
        finally:
            connections.close_all()

    presses: list[threading.Thread] = []

    def slowly(*args: Any, **more: Any) -> Any:
        if not presses:
            presses.append(threading.Thread(target=press))
            presses[0].start()
            with connection.cursor() as cursor:  # until it stands before the lock
                for _ in range(500):
                    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    if cursor.fetchone()[0]:
                        break
                    cursor.execute("SELECT pg_sleep(0.02)")
        return erase(*args, **more)

    monkeypatch.setattr(erasure, "erase_records", slowly)
    swept(monkeypatch, ENDED)
    presses[0].join(10)
    assert answers == ["gone"]
    assert not is_there(alice)
