"""The second person, time to object, and "this was not me" (design 9 and 11)."""

from __future__ import annotations

import io
import json
import re
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import logins
from accounts.models import Customer
from privacy import audit, gate, letters, vault
from privacy.gate import Actor, matrix
from privacy.letters.models import Letter
from privacy.requests import (
    clock,
    excess,
    execute,
    export,
    filing,
    history,
    links,
    procedures,
    proof,
    proving,
    second,
    services,
    sight,
    waits,
)
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.states import State
from tests import factories, pages, people, roles
from tests.asked import (
    ANYBODY,
    NOW,
    PRIVACY,
    TODAY,
    Clock,
    called,
    confirmed,
    filed,
    run,
    with_letters,
)
from tests.beginnings import beginning
from tests.factories import as_customer
from tests.journeys.everybody import undone
from tests.shapes import SCHEMAS, shaped

pytestmark = pytest.mark.django_db
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
SALES = Actor("staff", "sam", None, frozenset({"sales"}), "admin")
OPERATOR = Actor("operator", "request_second", None, frozenset({"system:erasure"}), "erasure")
OTHER = "alice@work.example"


@pytest.fixture
def two_mailboxes(alice: Customer) -> Customer:
    return with_two_mailboxes(alice)


def with_two_mailboxes(alice: Customer) -> Customer:
    """alice logs in by one address, and her contact data has another."""
    with vault.internal():
        alice.email = OTHER
        alice.save(update_fields=["email"])
    return alice


def file_by_staff(customer: Customer, how: str = "staff", kind: str = "erasure", **data: Any) -> Request:
    given = {"channel": "phone", "received_on": TODAY} | data
    by = {"actor": given.pop("actor", PRIVACY), "now": given.pop("now", NOW)}
    if how != "callback":
        return filing.file(filing.Receipt(kind=kind, subject=customer.subject_id, identity=how, **given), **by).request
    request = filing.file(filing.Receipt(kind=kind, subject=customer.subject_id, **given), **by).request
    return proving.identify(request, how, subject=customer.subject_id, callback=called(customer), **by)[0]


def by_link(kind: str = "erasure", email: str = "alice@example.com") -> Request:
    filing.ask(kind=kind, email=email, actor=ANYBODY, now=NOW)
    request = Request.objects.get(kind=kind)
    with vault.internal():
        text = letters.given(Letter.objects.get(request=request, kind="link_identity"))[0]
    proving.redeem(re.search(r"/privacy/link/([\w-]+)/", text)[1], now=NOW)
    request.refresh_from_db()
    return request


def confirm(request: Request, now: datetime = NOW) -> Request:
    """Let the plan be made and confirmed by the person."""
    execute.run(request.pk, clock=lambda: now, pause=lambda: None, rounds=5)
    request.refresh_from_db()
    if request.kind == "erasure":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
        request.refresh_from_db()
    return request


def worked(request: Request, now: datetime) -> str:
    """Do what is to be done at a moment; return the state."""
    run(request, Clock(now))
    request.refresh_from_db()
    return request.state


def told(request: Request) -> list[str]:
    with vault.internal():
        return [one.to for one in Letter.objects.filter(request=request, kind=waits.TOLD)]


def not_me_token(request: Request) -> str:
    """Read the letter before it is sent: what it gives is destroyed with that."""
    with vault.internal():
        text = letters.given(Letter.objects.get(request=request, kind=waits.TOLD))[0]
    return re.search(r"/privacy/link/([\w-]+)/", text)[1]


class Asked(NamedTuple):
    """A removal of alice's, with its plan confirmed by her."""

    alice: Customer
    request: Request


@beginning
def by_staff() -> Asked:
    """One member of staff filed it on written evidence."""
    alice = people.an_alice()
    return Asked(alice, confirm(file_by_staff(alice)))


@beginning
def by_one_mailbox() -> Asked:
    """Filed by the link that went to one of her two mailboxes."""
    alice = with_two_mailboxes(people.an_alice())
    return Asked(alice, confirm(by_link()))


# Others are told, and have time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["callback", "in_person", "staff"])
@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_whatever_staff_state_every_other_address_is_told_without_content(
    two_mailboxes: Customer, how: str, kind: str
) -> None:
    request = file_by_staff(two_mailboxes, how, kind)
    assert told(request) == [OTHER]
    with vault.internal():
        text = Letter.objects.get(request=request, kind=waits.TOLD).text
    assert "Archer" not in text and "Quince" not in text and (factories.code_of(request) not in text)


def test_a_link_tells_the_other_address_and_a_login_tells_nobody(two_mailboxes: Customer) -> None:
    assert told(by_link()) == [OTHER]
    assert told(confirmed(two_mailboxes, "access")) == []


def test_an_erasure_by_a_link_waits_72_hours_where_there_is_another_address(by_one_mailbox: Asked) -> None:
    alice, request = by_one_mailbox
    with_letters(NOW)
    assert waits.ends_at(request, now=NOW) == NOW + timedelta(hours=72)
    assert worked(request, NOW + timedelta(hours=71)) == State.CONFIRMED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None
    assert worked(request, NOW + timedelta(hours=73)) == State.CLOSED


def test_it_does_not_wait_where_there_is_no_other_address(alice: Customer) -> None:
    assert worked(confirm(by_link()), NOW) == State.CLOSED


@pytest.mark.parametrize("how", ["callback", "in_person"])
def test_one_by_call_back_or_in_person_waits_for_the_second_person_but_not_three_days(
    two_mailboxes: Customer, how: str
) -> None:
    request = confirm(file_by_staff(two_mailboxes, how))
    assert worked(request, NOW) == State.CONFIRMED
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    assert worked(request, NOW) == State.CLOSED


def test_one_by_login_does_not_wait(two_mailboxes: Customer) -> None:
    assert worked(confirmed(two_mailboxes), NOW) == State.CLOSED


def test_the_wait_ends_on_the_due_date_but_leaves_24_hours(two_mailboxes: Customer) -> None:
    request = by_link()
    with_letters(NOW)
    for due_on, ends in (
        (date(2026, 11, 22), clock.expires_at(date(2026, 11, 22))),
        (date(2026, 11, 20), NOW + timedelta(hours=24)),
    ):
        request.due_on = due_on
        assert waits.ends_at(request, now=NOW) == ends


def test_a_letter_that_is_taken_from_its_request_does_not_end_the_time_to_object(two_mailboxes: Customer) -> None:
    request = confirm(by_link())
    with_letters(NOW)
    roles.run("DELETE FROM privacy_onetimelink")
    for statement, hours in (
        ("UPDATE privacy_letter SET request_id = NULL WHERE kind = 'told_elsewhere'", 72),
        ("DELETE FROM privacy_letter WHERE kind = 'told_elsewhere'", 72),
        (
            "UPDATE privacy_letter SET sent_at = sent_at - interval '9 days', queued_at = queued_at - interval '9 days'",
            24,
        ),
    ):
        with undone():
            roles.run(statement)
            request.refresh_from_db()
            request.due_on = date(2026, 11, 20)
            assert waits.ends_at(request, now=NOW) == NOW + timedelta(hours=hours), statement
            assert worked(request, NOW + timedelta(hours=71)) == State.CONFIRMED, statement
            assert worked(request, NOW + timedelta(hours=73)) == State.CLOSED, statement


def test_a_letter_that_waits_for_the_mail_server_gives_no_time_yet(two_mailboxes: Customer) -> None:
    request = by_link()
    later = NOW + timedelta(hours=50)
    assert waits.ends_at(request, now=later) == later + timedelta(hours=72)


def test_what_only_the_row_of_a_letter_says_holds_nothing_up_beyond_the_due_day(by_one_mailbox: Asked) -> None:
    alice, request = by_one_mailbox
    with_letters(NOW)
    due, until = clock.expires_at(request.due_on), NOW + timedelta(hours=72)
    planted = (
        "INSERT INTO privacy_letter (id, kind, key, by, request_id, queued_at, sent_at, next_attempt_at, attempts, last_error, "
        "is_apart) VALUES (gen_random_uuid(), 'told_elsewhere', 'planted', 'email', '{}', now(), {}, {}, 0, '', true)"
    )
    for statement, ends in (
        (planted.format(request.pk, "'2090-01-01'", "NULL"), until),
        (planted.format(request.pk, "NULL", "'2090-01-01'"), due),
        ("UPDATE privacy_letter SET sent_at = '2090-01-01' WHERE kind = 'told_elsewhere'", until),
        (
            "UPDATE privacy_letter SET sent_at = NULL, next_attempt_at = '2090-01-01' WHERE kind = 'told_elsewhere'",
            until,
        ),
    ):
        with undone():
            roles.run(statement)
            soon = due - timedelta(hours=1)
            assert waits.ends_at(request, now=soon) == ends, statement
            assert worked(request, due + timedelta(hours=1)) == State.CLOSED, statement
            assert not Customer.objects.filter(pk=alice.pk, sealed_account__isnull=False).exists(), statement


def test_where_the_history_tells_of_no_letter_none_is_waited_for(alice: Customer) -> None:
    request = confirm(by_link())
    for sent in ({"sent_at": NOW + timedelta(days=9000)}, {"next_attempt_at": NOW}):
        Letter.objects.create(kind=waits.TOLD, key=str(sent), by="email", request=request, queued_at=NOW, **sent)
    assert waits.ends_at(request, now=NOW) is None
    assert worked(request, NOW) == State.CLOSED


# "This was not me" ----------------------------------------------------------------------------------------------------


def test_not_me_stops_the_request_and_ends_it_not(by_one_mailbox: Asked) -> None:
    request = by_one_mailbox.request
    browser, path = Client(), f"/privacy/link/{not_me_token(request)}/"
    with_letters(NOW)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        assert "This was not me" in browser.get(path).text
        assert not SecondLook.objects.exists(), "opening the page does nothing"
        assert "The request stands still" in browser.post(path).text
        again = browser.post(path)
        assert again.status_code == 403, "it works once"
        assert "You told us already" in again.text and "Ask for a new one" not in again.text
        assert browser.get(f"/privacy/requests/{request.pk}/").status_code == 302, "it opens no request"
    assert worked(request, NOW + timedelta(hours=100)) == State.CONFIRMED
    assert audit.history(reference=request.reference).filter(action="request.not_me").exists()
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW + timedelta(hours=101))
    assert worked(request, NOW + timedelta(hours=102)) == State.CLOSED


def test_the_link_against_a_request_never_proves_anybody(two_mailboxes: Customer) -> None:
    request = by_link()
    with pytest.raises(links.LinkRefused):
        proving.redeem(not_me_token(request), now=NOW)
    assert OneTimeLink.objects.get(request=request, purpose="not_me").used_at is None
    result = links.make_link(request, "result", to="", now=NOW)
    with pytest.raises(links.LinkRefused):
        second.say_not_me(result, now=NOW)


def test_a_copy_stands_still_too_and_is_destroyed_when_it_was_not_the_person(two_mailboxes: Customer) -> None:
    request = confirm(by_link("access"))
    token = not_me_token(request)
    run(request, Clock(NOW))
    assert export.live(request) is not None
    second.say_not_me(token, now=NOW)
    with pytest.raises(export.NoCopy):
        export.fetch(request, actor=sight.acting_as(request), now=NOW)
    second.decide(request, "end", actor=COLLEAGUE, now=NOW)
    assert export.live(request) is None
    assert worked(request, NOW + timedelta(minutes=1)) == State.CLOSED


# Who decides ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["callback", "in_person", "staff"])
@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_one_member_of_staff_alone_neither_copies_nor_erases_anybody(alice: Customer, kind: str, how: str) -> None:
    request = confirm(file_by_staff(alice, how, kind, email="bob@stranger.example"))
    assert worked(request, NOW + timedelta(days=4)) == State.CONFIRMED
    assert export.live(request) is None and Customer.objects.get(pk=alice.pk).sealed_account is not None
    for nobody in (PRIVACY, SALES, as_customer(alice), ANYBODY):
        with pytest.raises(sight.NotYours):
            second.decide(request, "go_on", actor=nobody, now=NOW)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW + timedelta(days=4))
    assert worked(request, NOW + timedelta(days=4)) in (State.CLOSED, State.REPLIED)
    assert (export.live(request) is not None) is (kind == "access")


def test_nobody_lets_a_request_go_on_of_which_the_file_that_says_who_asks_was_taken_away(alice: Customer) -> None:
    """Whether it is their own request nobody could tell; it can end."""
    request = confirm(file_by_staff(alice, "in_person"))
    with roles.otherwise("privacy_request", "sealed_request_file", request.pk, "NULL"):
        with pytest.raises(history.NotAllowed):
            second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
        with pytest.raises(history.NotAllowed):
            services.make_plan(Request.objects.get(), actor=PRIVACY, now=NOW)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)


def test_who_stated_the_identity_is_no_second_person(alice: Customer) -> None:
    request = file_by_staff(alice, "pending", actor=COLLEAGUE)
    proving.identify(request, "staff", subject=alice.subject_id, actor=PRIVACY, now=NOW)
    assert [second.may_decide(request, one) for one in (COLLEAGUE, PRIVACY, MANAGER, OPERATOR)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["callback", "in_person"])
def test_what_is_stated_later_needs_the_second_person_too(alice: Customer, how: str) -> None:
    filing.ask(kind="access", email="alice@example.com", actor=ANYBODY, now=NOW)
    request = Request.objects.get()
    said = called(alice) if how == "callback" else None
    proving.identify(request, how, subject=alice.subject_id, callback=said, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert worked(request, NOW) == State.CONFIRMED and export.live(request) is None
    assert not second.may_decide(request, PRIVACY) and second.may_decide(request, MANAGER)


def test_a_call_back_needs_a_number_that_counts(db: None) -> None:
    nobody = factories.customer("Nora", "None", email="nora@example.com", phone="")
    lately = factories.customer("Lea", "Lately", email="lea@example.com", came="person")
    for customer in (nobody, lately):
        with pytest.raises(proof.BadRequest, match="once the request is filed"):
            filing.file(
                filing.Receipt(
                    kind="access", subject=customer.subject_id, identity="callback", channel="phone", received_on=TODAY
                ),
                actor=PRIVACY,
                now=NOW,
            )
        request, said = file_by_staff(customer, "pending"), called(customer)
        given = {"subject": customer.subject_id, "callback": said, "actor": PRIVACY}
        with pytest.raises(proof.BadRequest, match="No phone number of this person has been on file for 14 days"):
            proving.identify(request, "callback", now=NOW, **given)
        request.refresh_from_db()
        assert request.state == State.RECEIVED
    later = NOW + timedelta(days=14)
    proving.identify(request, "callback", now=later, **given)
    request.refresh_from_db()
    assert request.is_identified, "fourteen days later the number counts"


def test_an_operator_decides_about_nothing_that_an_operator_filed(alice: Customer) -> None:
    filer = Actor("operator", "erasure", None, frozenset({"system:erasure"}), "erasure")
    request = file_by_staff(alice, actor=filer)
    assert [second.may_decide(request, one) for one in (OPERATOR, PRIVACY, MANAGER)] == [False, True, True]


@pytest.mark.parametrize(
    ("received_on", "how", "kind", "asked"),
    [
        (date(2026, 11, 17), "in_person", "erasure", ["stated"]),  # three working days before Friday the 20th
        (date(2026, 11, 16), "in_person", "erasure", ["late", "stated"]),
        (date(2026, 11, 16), "in_person", "access", ["stated"]),
        (date(2026, 11, 16), "staff", "erasure", ["evidence", "late"]),
        (date(2026, 11, 20), "in_person", "erasure", ["stated"]),
    ],
)
def test_an_erasure_written_down_late_needs_the_second_person(
    alice: Customer, received_on: date, how: str, kind: str, asked: list[str]
) -> None:
    request = file_by_staff(alice, how, kind, received_on=received_on)
    assert sorted(request.second_looks.values_list("why", flat=True)) == asked
    filer = Actor("operator", "erasure", None, frozenset({"system:erasure"}), "erasure")
    bob = factories.customer("Bob", "Baker", email="bob@example.com")
    by_command = file_by_staff(bob, how, kind, received_on=received_on, actor=filer)
    assert sorted(by_command.second_looks.values_list("why", flat=True)) == [one for one in asked if one != "stated"]


def test_an_address_that_staff_entered_copies_but_does_not_erase(db: None) -> None:
    from accounts.models import ContactLink, ContactPoint

    dora = factories.customer("Dora", "Double", email="dora@example.com", came="earlier")
    ContactPoint.objects.filter(customer=dora).update(since=NOW - timedelta(days=15))
    assert not ContactLink.objects.exists()
    assert not by_link("access", "dora@example.com").second_looks.exists()
    assert [one.why for one in by_link("erasure", "dora@example.com").second_looks.all()] == ["entry"]


def test_refusing_ends_the_request_and_says_why(by_staff: Asked) -> None:
    request = by_staff.request
    second.decide(request, "end", words="The paper does not name you.", actor=MANAGER, now=NOW)
    request.refresh_from_db()
    assert request.state == State.REFUSED
    with vault.internal():
        text = Letter.objects.get(request=request, kind="refused").text
    assert "The paper does not name you. (Art. 12(6) GDPR)" in text
    with pytest.raises(history.NotAllowed):
        second.decide(request, "go_on", actor=MANAGER, now=NOW)


def test_nobody_is_asked_about_a_request_that_was_taken_back(by_staff: Asked) -> None:
    request = by_staff.request
    assert second.waiting().count() == 1
    services.withdraw(request, actor=sight.acting_as(request), now=NOW)
    assert not second.waiting().exists()


def test_an_open_question_never_becomes_a_yes(by_staff: Asked) -> None:
    alice, request = by_staff
    first_day = datetime.combine(request.due_on, NOW.timetz())
    assert worked(request, first_day) == State.CONFIRMED
    assert request.due_on == date(2027, 2, 20), "more time, with its letter"
    assert Letter.objects.filter(request=request, kind="extended").count() == 1
    assert worked(request, datetime.combine(request.due_on, NOW.timetz())) == State.REFUSED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None and not waits.is_undecided(request)


def test_a_decision_is_in_the_audit_and_names_nobody(by_staff: Asked) -> None:
    request = by_staff.request
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    event = audit.history(reference=request.reference).get(action="request.second_decided")
    assert (event.actor, event.reason) == ("pat", "go_on: evidence")
    look = SecondLook.objects.get()
    assert (look.decided_kind, look.decided_by, look.outcome) == ("staff", "pat", "go_on")


# The page and the command ---------------------------------------------------------------------------------------------

PAGE = "/admin/privacy/secondlook/"


@pytest.fixture
def mona(db: None) -> Client:
    user, _ = logins.create_staff(
        username="mona", email="mona@ilt.example", roles=[], is_manager=True, acknowledged_on=TODAY, version="1",
        actor=None, now=NOW, password=factories.PASSWORD,
    )  # fmt: skip
    return pages.signed_in(user)


def test_a_manager_decides_on_one_page_and_opens_nothing(by_staff: Asked, mona: Client) -> None:
    request = by_staff.request
    with time_machine.travel(NOW, tick=False):
        look = SecondLook.objects.get()
        front = mona.get("/admin/").text
        assert request.reference in front and "Questions to a second person" in front
        assert set(re.findall(r'href="(/admin/\w+/\w+/)"', front)) == {
            PAGE,
            "/admin/accounts/claimreview/",  # of these three: what was proposed, to confirm; nothing is opened
            "/admin/accounts/joining/",
            "/admin/accounts/contactpoint/",
        }
        for path in (
            "/admin/accounts/customer/",
            f"/admin/privacy/request/{request.pk}/change/",
            "/admin/orders/order/",
        ):
            assert mona.get(path).status_code == 403
        assert "Archer" not in mona.get(f"{PAGE}{look.pk}/change/").text
        answer = pages.decide(mona, f"{PAGE}{look.pk}/step/decide/", {"outcome": "go_on", "words": ""}, follow=True)
        assert f"{request.reference} goes on." in answer.text
    assert not waits.is_undecided(request)
    assert not any(matrix.rights(frozenset({gate.MANAGER}), False, mode)[0] for mode in ("read", "write"))


def test_who_filed_finds_no_button_and_sales_no_page(alice: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        carol = factories.staff(roles=("privacy",))
        confirm(file_by_staff(alice, actor=carol.as_actor()))
        look = SecondLook.objects.get()
        browser = pages.signed_in(carol)
        assert browser.get(f"{PAGE}{look.pk}/change/").status_code == 200
        pages.decide(browser, f"{PAGE}{look.pk}/step/decide/", {"outcome": "go_on", "words": ""})
        assert waits.is_undecided(look.request)
        sam = pages.signed_in(factories.staff("sam", "sam@ilt.example"))
        assert sam.get(PAGE).status_code == 403


def test_the_page_shows_every_question_that_the_decision_answers(by_staff: Asked, mona: Client) -> None:
    request = by_staff.request
    with time_machine.travel(NOW, tick=False):
        (look,) = SecondLook.objects.all()
        step = f"{PAGE}{look.pk}/step/decide/"
        shown = mona.get(step).text
        assert "It stands on written evidence" in shown and SecondLook.Why.JOINED.label not in shown
        seen = re.findall(r'name="seen" value="(\w+)"', shown)
        waits.ask(request, SecondLook.Why.JOINED, actor=ANYBODY, now=NOW)
        answer = mona.post(step, {"outcome": "go_on", "words": "", "seen": seen})
        assert answer.status_code == 400 and "Something has come or changed since you looked." in answer.text
        assert SecondLook.objects.filter(decided_at=None).count() == 2, "nothing was decided"
        labels = {SecondLook.Why.EVIDENCE.label, SecondLook.Why.JOINED.label}
        for text in (answer.text, mona.get(step).text, mona.get(f"{PAGE}{look.pk}/change/").text):
            assert all(label[1:] in text for label in labels)
        seen = re.findall(r'name="seen" value="(\w+)"', answer.text)
        assert len(seen) == 1
        assert mona.post(step, {"outcome": "go_on", "words": "", "seen": seen}).status_code == 302, "the control"
        assert not waits.is_undecided(request)


def test_seven_days_before_the_due_date_it_alarms(by_staff: Asked) -> None:
    request = by_staff.request
    assert not second.late(request.due_on - timedelta(days=8)).exists()
    assert second.late(request.due_on - timedelta(days=7)).count() == 1
    with time_machine.travel(NOW + timedelta(days=24), tick=False):
        mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))
        assert '<li class="is-late"><a href="/admin/privacy/secondlook/' in pages.read(mona.get("/admin/"))


def test_the_published_shape_knows_every_question_to_a_second_person() -> None:
    waiting = json.loads((SCHEMAS / "request_second.json").read_text())["properties"]["waiting"]["items"]
    assert waiting["properties"]["why"]["enum"] == SecondLook.Why.values
    assert waiting["properties"]["kind"]["enum"] == [kind for kind, _ in procedures.choices()]


def test_the_command_lists_decides_and_refuses_an_unknown_reference(
    by_staff: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = by_staff.request
    with time_machine.travel(NOW, tick=False):
        out = io.StringIO()
        call_command("request_second", json=True, stdout=out)
        assert shaped("request_second", json.loads(out.getvalue())) == {
            "waiting": [
                {
                    "reference": request.reference, "kind": "erasure", "why": "evidence",
                    "asked_at": NOW.isoformat(), "due_on": "2026-12-20",
                }
            ]
        }  # fmt: skip
        with pytest.raises(CommandError, match="No request has this reference") as unknown:
            call_command("request_second", "PR-2026-0000-00", decision="go_on")
        assert unknown.value.returncode == 1
        with pytest.raises(CommandError) as half:
            call_command("request_second", request.reference)
        assert half.value.returncode == 2
        with pytest.raises(CommandError, match="--dry-run belongs to --decision") as alone:
            call_command("request_second", dry_run=True)
        assert alone.value.returncode == 2
        monkeypatch.setattr("sys.stdin", io.StringIO("Card 4111 1111 1111 1111"))
        with pytest.raises(CommandError) as card:
            call_command("request_second", request.reference, decision="end", words="-")
        assert card.value.returncode == 1 and "4111" not in str(card.value) and waits.is_undecided(request)
        for decision in ("end", "go_on"):
            out = io.StringIO()
            call_command("request_second", request.reference, decision=decision, dry_run=True, stdout=out)
            assert out.getvalue().endswith("Nothing was changed: this was a dry run.\n")
            assert waits.is_undecided(request)
        with pytest.raises(CommandError) as wrong:
            call_command("request_second", request.reference, decision="refuse", dry_run=True)
        assert wrong.value.returncode == 3, "by the same rules as without it"
        out = io.StringIO()
        call_command("request_second", request.reference, decision="go_on", json=True, stdout=out)
        assert shaped("request_show", json.loads(out.getvalue()))["state"] == request.state
        assert request.reference in out.getvalue() and not waits.is_undecided(request)
        with pytest.raises(CommandError) as again:
            call_command("request_second", request.reference, decision="go_on", stdout=out)
        assert again.value.returncode == 3
        call_command("request_second", stdout=(out := io.StringIO()))
        assert out.getvalue() == "Nothing waits for a second person.\n"


def test_create_staff_makes_a_manager_without_a_role(db: None) -> None:
    out = io.StringIO()
    call_command("create_staff", username="mia", email="mia@ilt.example", manager=True, json=True, stdout=out)
    assert json.loads(out.getvalue())["roles"] == []
    with pytest.raises(CommandError):
        call_command("create_staff", username="mo", email="mo@ilt.example")


# Confirmed by staff ---------------------------------------------------------------------------------------------------


def test_what_one_clerk_confirms_for_a_person_who_only_looked_waits_for_a_second(alice: Customer) -> None:
    """The person files by login, sees the plan and leaves; a clerk opens "Confirm for the person"."""
    request = filed(alice)
    assert worked(request, NOW) == State.PLANNED
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=NOW)
    assert list(SecondLook.objects.values_list("why", flat=True)) == [SecondLook.Why.CONFIRMED]
    assert worked(request, NOW + timedelta(days=2)) == State.CONFIRMED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None
    with pytest.raises(sight.NotYours):
        second.decide(request, "go_on", actor=PRIVACY, now=NOW)
    second.decide(request, "end", actor=COLLEAGUE, now=NOW)
    request.refresh_from_db()
    assert request.state == State.REFUSED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None


@pytest.mark.parametrize("how", ["login", "callback"])
def test_a_second_person_lets_go_on_what_staff_confirmed(alice: Customer, how: str) -> None:
    request = filed(alice) if how == "login" else file_by_staff(alice, how)
    if how == "callback":
        second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    assert worked(request, NOW) == State.PLANNED
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=NOW)
    assert worked(request, NOW) == State.CONFIRMED, "who had looked at the identity has not looked at the confirmation"
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    assert worked(request, NOW) == State.CLOSED


def test_what_the_person_or_an_operator_confirms_asks_nobody(alice: Customer) -> None:
    """The control: the question is about staff's word only."""
    for actor in (as_customer(alice), OPERATOR):
        request = filed(alice)
        worked(request, NOW)
        services.confirm(request, request.plan_hash, actor=actor, now=NOW)
        assert (request.state, SecondLook.objects.count()) == (State.CONFIRMED, 0)
        services.withdraw(request, actor=OPERATOR, now=NOW)


# One more receipt -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [date(2026, 10, 1), date(2026, 11, 16)])
def test_a_receipt_added_late_does_not_shorten_the_wait_without_a_second_person(
    by_one_mailbox: Asked, on: date
) -> None:
    """Staff write "received on 1 October" beside a removal that waits for objections: its due day is over by that."""
    alice, request = by_one_mailbox
    with_letters(NOW)
    added = file_by_staff(alice, received_on=on)
    assert (added.pk, added.received_on) == (request.pk, on)
    assert list(request.second_looks.values_list("why", flat=True)) == [SecondLook.Why.LATE]
    assert worked(request, NOW + timedelta(hours=30)) == State.CONFIRMED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW + timedelta(hours=30))
    assert worked(request, NOW + timedelta(hours=80)) == State.CLOSED


def test_a_receipt_added_in_time_asks_nobody(by_one_mailbox: Asked) -> None:
    """The control: three working days before, and the 72 hours stay."""
    alice, request = by_one_mailbox
    with_letters(NOW)
    file_by_staff(alice, received_on=date(2026, 11, 17))
    assert not request.second_looks.exists()
    assert worked(request, NOW + timedelta(hours=71)) == State.CONFIRMED
    assert worked(request, NOW + timedelta(hours=73)) == State.CLOSED


def test_a_late_receipt_for_what_was_asked_by_login_or_for_a_copy_asks_nobody(alice: Customer) -> None:
    for kind in ("erasure", "access"):
        filed(alice, kind)
        request = file_by_staff(alice, "pending", kind, received_on=date(2026, 11, 1))
        assert request.identity == "login" and not request.second_looks.exists()


def test_the_command_shows_the_evidence_for_a_refusal_and_decides_it(alice: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = filed(alice, "access")
        excess.propose(
            request, ground="You ask to be paid.", evidence="Five letters ask for money.", actor=PRIVACY, now=NOW
        )
        call_command("request_second", stdout=(out := io.StringIO()))
        assert (
            "Reason: You ask to be paid." in out.getvalue()
            and "Evidence: Five letters ask for money." in out.getvalue()
        )
        with pytest.raises(CommandError) as failed:
            call_command("request_second", request.reference, decision="go_on")
        assert failed.value.returncode == 3, "who asks is another question"
        call_command("request_second", request.reference, decision="refuse", stdout=io.StringIO())
        request.refresh_from_db()
        assert request.state == State.REFUSED


def test_an_answer_about_who_asks_decides_no_refusal(alice: Customer) -> None:
    request = filed(alice, "access")
    excess.propose(request, ground="You ask to be paid.", evidence="Five letters.", actor=PRIVACY, now=NOW)
    waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=NOW)
    second.decide(request, "go_on", actor=OPERATOR, now=NOW)
    assert waits.is_undecided(request) and excess.open_look(request) is not None
