"""A link lives no longer than the address to which it went counts (design 9): afterwards a second person looks
first."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from accounts import corrections
from accounts.models import Communication, ContactPoint, Customer, User
from privacy import audit, letters, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import (
    addresses,
    codes,
    execute,
    export,
    filing,
    proving,
    reading,
    second,
    services,
    sight,
    waits,
    went_to,
)
from privacy.requests.models import OneTimeLink, Request, SecondLook
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, TODAY, Clock, run, taken_in
from tests.beginnings import beginning
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
OLD, NEW = "bob@old.example", "bob@new.example"
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
SALES = Actor("staff", "sam", None, frozenset({"sales"}), "admin", "phone call")
CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b")


@pytest.fixture
def bob() -> Customer:
    return a_bob()


def a_bob() -> Customer:
    """A customer without a login; an import created him, so that his address counts."""
    return factories.customer("Bob", "Baker", email=OLD)


def changed(customer: Customer, to: str = NEW) -> None:
    """The address on file changes: staff write another one."""
    corrections.correct(customer, {"email": to}, actor=SALES, now=NOW, reason="phone call")


def token(request: Request, kind: str) -> str:
    """Return what a letter gives: read in the outbox, or in the mailbox when it has been sent."""
    with vault.internal():
        text = letters.given(Letter.objects.filter(request=request, kind=kind).latest("queued_at"))[0]
    found = re.findall(r"/privacy/link/([\w-]+)/", text) or re.findall(r"/privacy/link/([\w-]+)/", mail.outbox[-1].body)
    return str(found[-1])


def told(request: Request) -> list[str]:
    with vault.internal():
        return [str(one.to) for one in Letter.objects.filter(request=request, kind=waits.TOLD)]


def asked(kind: str) -> Request:
    filing.ask(kind=kind, email=OLD, actor=ANYBODY, now=NOW)
    return Request.objects.get()


def opened(browser: Client, link: str) -> Any:
    return browser.post(f"/privacy/link/{link}/", follow=True)


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_an_old_mailbox_gets_nothing_by_the_link_that_waited_in_it(client: Client, bob: Customer, kind: str) -> None:
    request = asked(kind)
    link = token(request, "link_identity")
    changed(bob)
    answer = opened(client, link)
    text = pages.check(answer, status=403)
    assert "A member of our staff looks first" in text and "Baker" not in text and not CODE.search(text)
    request.refresh_from_db()
    assert SecondLook.Why.MOVED in set(request.second_looks.values_list("why", flat=True))
    assert told(request) == [NEW]
    run(request, Clock())
    for path in ("", "confirm/"):
        assert client.get(f"/privacy/requests/{request.pk}/{path}").status_code == 403
    for path in ("export/", "confirm/"):
        refused = client.post(f"/privacy/requests/{request.pk}/{path}", {"plan_hash": request.plan_hash})
        assert refused.status_code == 403
    assert told(request) == [NEW], "told once, however often the page is opened"
    second.decide(request, "end", actor=COLLEAGUE, now=NOW)
    assert Request.objects.get().state == State.REFUSED
    assert Customer.objects.get(pk=bob.pk).sealed_account is not None


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_the_link_does_what_it_did_where_nothing_changed(client: Client, bob: Customer, kind: str) -> None:
    """The positive control."""
    request = asked(kind)
    text = pages.check(opened(client, token(request, "link_identity")))
    assert request.reference in text
    request.refresh_from_db()
    assert request.identity == "link" and not request.second_looks.exists() and told(request) == []


def test_who_was_cut_off_by_staff_goes_on_when_a_second_person_agrees(client: Client, bob: Customer) -> None:
    request = asked("erasure")
    link = token(request, "link_identity")
    changed(bob, "typo@old.example")
    opened(client, link)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    text = pages.check(client.get(f"/privacy/requests/{request.pk}/confirm/"))
    assert f"Customer {bob.reference}" in text
    assert not waits.is_undecided(request), "the answer counts for this link"


def planned_by_staff(customer: Customer) -> Request:
    """A removal that staff filed for who stood before them and a second person let go on; the plan went to the old
    address."""
    request = taken_in("erasure", customer.subject_id, channel="phone", identity="in_person", actor=PRIVACY)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    execute.run(request.pk, clock=lambda: NOW, pause=lambda: None, rounds=5)
    request.refresh_from_db()
    assert request.state == State.PLANNED
    return request


def test_a_plan_is_not_confirmed_by_an_address_that_was_replaced(client: Client, bob: Customer) -> None:
    request = planned_by_staff(bob)
    link = token(request, "link_result")
    changed(bob)
    assert opened(client, link).status_code == 403
    path = f"/privacy/requests/{request.pk}/confirm/"
    assert client.post(path, {"plan_hash": request.plan_hash}).status_code == 403
    request.refresh_from_db()
    assert (request.state, told(request)[-1]) == (State.PLANNED, NEW)
    assert list(SecondLook.objects.filter(decided_at=None).values_list("why", flat=True)) == [SecondLook.Why.MOVED]
    # It was not used up: after a yes the right person opens it again.
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    pages.check(opened(client, link))
    assert "is confirmed" in pages.check(client.post(path, {"plan_hash": request.plan_hash}))


def test_the_proof_of_a_browser_ends_with_the_address(client: Client, bob: Customer) -> None:
    """The link was used in time; within the hour the address changes."""
    request = planned_by_staff(bob)
    path = f"/privacy/requests/{request.pk}/confirm/"
    pages.check(opened(client, token(request, "link_result")))
    assert client.get(path).status_code == 200, "control"
    changed(bob)
    assert client.get(path).status_code == 403
    assert client.post(path, {"plan_hash": request.plan_hash}).status_code == 403
    request.refresh_from_db()
    assert request.state == State.PLANNED and told(request)[-1] == NEW


def test_a_changed_login_address_ends_what_its_mailbox_proved(client: Client) -> None:
    """3a: bob has a login and no other address; he changes it, and the link in the old mailbox opens nothing."""
    user = factories.login("bob", OLD)
    request = asked("access")
    link = token(request, "link_identity")
    EmailAddress.objects.get(user=user).delete()
    EmailAddress.objects.create(user=user, email=NEW, verified=True, primary=True)
    assert opened(client, link).status_code == 403
    assert told(request) == [NEW]


def test_what_tells_where_a_link_went_says_nothing_without_the_link(bob: Customer) -> None:
    request = asked("access")
    one = OneTimeLink.objects.get(request=request)
    assert len(one.address_hash) == 64
    filing.file(
        filing.Receipt(kind="erasure", subject=bob.subject_id, channel="phone", received_on=TODAY),
        actor=PRIVACY,
        now=NOW,
    )
    hashes = set(OneTimeLink.objects.values_list("address_hash", flat=True))
    assert len(hashes) == 2, "the same address looks different in every link"
    assert went_to.counts_still(one, went_to.stands_on(token(request, "link_identity")).key, now=NOW)
    assert not went_to.counts_still(one, "0" * 64, now=NOW)


def test_after_the_removal_the_outcome_is_read_by_the_address_that_it_took(client: Client, bob: Customer) -> None:
    request = asked("access")
    proving.redeem(token(request, "link_identity"), now=NOW)
    run(request, Clock())
    link = token(request, "copy_ready")
    removal = planned_by_staff(bob)
    services.confirm(removal, removal.plan_hash, actor=sight.acting_as(removal), now=NOW)
    run(removal, Clock(NOW + timedelta(hours=1)))
    assert not Customer.objects.filter(pk=bob.pk, sealed_account__isnull=False).exists()
    assert "copy" in pages.check(opened(client, link))


# Outcome codes --------------------------------------------------------------------------------------------------------


def by_login(user: User, kind: str = "access") -> tuple[Request, dict[str, str]]:
    """File a request by login; return it, and reference and code as its receipt in the mailbox gives them."""
    request = taken_in(kind, user.subject_id, identity="login", actor=user.as_actor())
    with vault.internal():
        receipt = Letter.objects.get(request=request, kind="acknowledgement")
        assert receipt.to == OLD
        code = CODE.findall(letters.given(receipt)[0])[0]
    return request, {"reference": request.reference, "code": code}


class ByLogin(NamedTuple):
    """bob's copy, asked for by login and made; its reference and code, as they went to his mailbox."""

    user: User
    request: Request
    there: dict[str, str]


@beginning
def copy_by_login() -> ByLogin:
    with time_machine.travel(NOW, tick=False):
        user = factories.login("bob", OLD)
        request, there = by_login(user)
        run(request, Clock())
        return ByLogin(user, request, there)


def moved_to_new(user: User) -> None:
    EmailAddress.objects.get(user=user).delete()
    EmailAddress.objects.create(user=user, email=NEW, verified=True, primary=True)


def fetched(browser: Client, request: Request) -> int:
    """Fetch the copy, to its last byte where it is given: only then it counts as fetched. Return the status."""
    answer = browser.post(f"/privacy/requests/{request.pk}/export/")
    if answer.streaming:
        assert sum(map(len, answer.streaming_content)) > 0
    return int(answer.status_code)


def test_a_code_that_waited_in_an_old_mailbox_opens_no_copy(copy_by_login: ByLogin) -> None:
    user, request, there = copy_by_login
    before, later = Client(), Client()
    assert "Your copy is ready" in pages.check(before.post("/privacy/outcome/", there)), "control"
    assert fetched(before, request) == 200, "control"
    moved_to_new(user)
    for _ in range(2):
        text = pages.check(later.post("/privacy/outcome/", there), status=403)
        assert "A member of our staff looks first" in text and "copy is ready" not in text
    assert fetched(later, request) == 302, "asked to sign in"
    assert fetched(before, request) == 403, "what the code proved ends with the address"
    assert told(request) == [NEW], "told once"
    assert list(request.second_looks.values_list("why", "decided_at")) == [(SecondLook.Why.MOVED, None)]
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    assert "Your copy is ready" in pages.check(later.post("/privacy/outcome/", there))
    assert fetched(later, request) == 200


def test_who_is_signed_in_reads_the_own_outcome_by_a_code_of_before(copy_by_login: ByLogin) -> None:
    user, request, there = copy_by_login
    moved_to_new(user)
    assert "sign out and open this page again" in pages.check(
        pages.signed_in(user, again=True).post("/privacy/outcome/", there)
    )
    assert not request.second_looks.exists()


@pytest.mark.parametrize("is_moved", [True, False])
def test_after_a_removal_a_code_opens_the_copy_only_to_the_address_of_then(
    copy_by_login: ByLogin, is_moved: bool
) -> None:
    """The address that replaced the one to which both codes went is taken by the removal."""
    user, access, of_access = copy_by_login
    removal, of_removal = by_login(user, "erasure")
    if is_moved:
        moved_to_new(user)
    made = services.make_plan(removal, actor=user.as_actor(), now=NOW)
    services.confirm(removal, made.hash, actor=user.as_actor(), now=NOW)
    run(removal, Clock(NOW + timedelta(hours=1)))
    assert removal.state == State.CLOSED
    for there in (of_access, of_removal):
        browser = Client()
        text = pages.check(browser.post("/privacy/outcome/", there), status=403 if is_moved else 200)
        assert ("Your copy is ready" in text) is not is_moved
        assert fetched(browser, access) == (302 if is_moved else 200)


def mailed_code() -> str:
    """Return the outcome code that went to the mailbox."""
    return [code for one in mail.outbox for code in CODE.findall(str(one.body))][-1]


def outcome_of(there: dict[str, str]) -> tuple[int, Client]:
    browser = Client()
    return int(browser.post("/privacy/outcome/", there).status_code), browser


class ByLink(NamedTuple):
    """A request of bob's whose link was opened, worked on as far as it goes; the code that went to his mailbox."""

    bob: Customer
    request: Request
    code: str


def worked_on(kind: str) -> ByLink:
    with time_machine.travel(NOW, tick=False):
        bob, request = a_bob(), asked(kind)
        opened(Client(), token(request, "link_identity"))
        run(request, Clock())
        return ByLink(bob, request, mailed_code())


@beginning
def copy_by_link() -> tuple[ByLink, str]:
    """With the link to the copy."""
    made = worked_on("access")
    return made, token(made.request, "copy_ready")


@beginning
def removal_by_link() -> ByLink:
    return worked_on("erasure")


@pytest.mark.parametrize("is_taken_off", [True, False])
def test_a_removal_revives_no_code_or_link_of_an_address_that_was_taken_off_file(
    copy_by_link: tuple[ByLink, str], is_taken_off: bool
) -> None:
    """No other address stood on file: the removal had none against which to hold what was dead, and took it for
    posted."""
    (bob, access, code), link = copy_by_link
    there = {"reference": access.reference, "code": code}
    with_code, with_link = went_to.stands_on_code(access, code), went_to.stands_on(link)
    if is_taken_off:
        changed(bob, "")
        assert not went_to.code_counts_still(access, with_code.key, now=NOW), "control: it is dead before"
    removal = taken_in("erasure", bob.subject_id, channel="phone", identity="in_person", actor=OPERATOR)
    made = services.make_plan(removal, actor=OPERATOR, now=NOW)
    services.confirm(removal, made.hash, actor=OPERATOR, now=NOW)
    run(removal, Clock(NOW + timedelta(hours=1)))
    assert removal.state == (State.EXECUTED if is_taken_off else State.CLOSED), (
        "carried out; an answer by post is still to be posted"
    )
    access.refresh_from_db()
    row = OneTimeLink.objects.select_related("request").get(pk=with_link.link)
    assert went_to.code_counts_still(access, with_code.key, now=NOW) is not is_taken_off
    assert went_to.counts_still(row, with_link.key, now=NOW) is not is_taken_off
    status, browser = outcome_of(there)
    assert (status, fetched(browser, access)) == ((403, 302) if is_taken_off else (200, 200))


@pytest.mark.parametrize("is_taken_off", [True, False])
def test_nor_the_code_and_link_of_the_removal_itself(removal_by_link: ByLink, is_taken_off: bool) -> None:
    bob, removal, code = removal_by_link
    stands = went_to.stands_on_code(removal, code)
    if is_taken_off:
        changed(bob, "")
        assert not went_to.code_counts_still(removal, stands.key, now=NOW), "control: it is dead before"
    made = services.make_plan(removal, actor=OPERATOR, now=NOW)
    services.confirm(removal, made.hash, actor=OPERATOR, now=NOW)
    run(removal, Clock(NOW + timedelta(hours=80)))
    assert removal.state == (State.EXECUTED if is_taken_off else State.CLOSED)
    removal.refresh_from_db()
    assert went_to.code_counts_still(removal, stands.key, now=NOW) is not is_taken_off
    assert outcome_of({"reference": removal.reference, "code": code})[0] == (403 if is_taken_off else 200)


def test_a_file_that_cannot_be_read_is_no_yes() -> None:
    user = factories.login("bob", OLD)
    removal, there = by_login(user, "erasure")
    made = services.make_plan(removal, actor=user.as_actor(), now=NOW)
    services.confirm(removal, made.hash, actor=user.as_actor(), now=NOW)
    run(removal, Clock(NOW + timedelta(hours=1)))
    stands = went_to.stands_on_code(removal, there["code"])
    assert went_to.code_counts_still(Request.objects.get(), stands.key, now=NOW), "control"
    vault.keys.destroy([(removal.pk, "request_file")], now=NOW)
    assert not went_to.code_counts_still(Request.objects.get(), stands.key, now=NOW)


def test_what_tells_where_a_code_went_is_bound_and_cannot_be_taken_off() -> None:
    request, there = by_login(factories.login("bob", OLD))
    assert codes.code_matches(there["code"], request)
    request.outcome_code_hash = request.outcome_code_hash.rpartition(":")[0]
    assert not codes.code_matches(there["code"], request)


# A question that nothing depends on any more --------------------------------------------------------------------------


def audited(request: Request) -> list[str]:
    found = audit.history(reference=request.reference).filter(action="request.second_ended")
    return list(found.values_list("reason", flat=True))


def test_a_code_of_a_request_that_has_ended_asks_nobody_who_could_not_decide() -> None:
    """Its page said that a second person decides, and the question stood open for ever in no list."""
    user = factories.login("bob", OLD)
    request, there = by_login(user)
    services.withdraw(request, actor=user.as_actor(), now=NOW)
    moved_to_new(user)
    for _ in range(2):
        text = pages.check(Client().post("/privacy/outcome/", there), status=403)
        assert "The request has ended" in text and "A member of our staff looks first" not in text
    assert list(request.second_looks.values_list("why", "outcome", "decided_at")) == [(SecondLook.Why.MOVED, "", NOW)]
    assert not second.waiting().exists() and audited(request) == ["moved"] and told(request) == [NEW]


def test_while_the_copy_of_a_closed_request_can_be_fetched_the_question_stands_in_the_list_and_ends_with_the_copy(
    copy_by_login: ByLogin,
) -> None:
    user, request, there = copy_by_login
    browser = Client()
    browser.post("/privacy/outcome/", there)
    assert fetched(browser, request) == 200
    run(request, Clock())
    assert request.state == State.CLOSED, "control: it is closed with a copy that can be fetched"
    moved_to_new(user)
    text = pages.check(Client().post("/privacy/outcome/", there), status=403)
    assert "A member of our staff looks first" in text
    assert [one.request for one in second.waiting()] == [request] and audited(request) == []
    export.expire(now=NOW + timedelta(days=8))
    assert waits.end_left_over(actor=None, now=NOW + timedelta(days=8)) == 1
    assert waits.end_left_over(actor=None, now=NOW + timedelta(days=8)) == 0
    assert not second.waiting().exists() and not waits.is_undecided(request) and audited(request) == ["moved"]


def test_a_question_ends_with_the_removal_that_was_begun_before_it() -> None:
    user = factories.login("bob", OLD)
    request, _ = by_login(user, "erasure")
    made = services.make_plan(request, actor=user.as_actor(), now=NOW)
    services.confirm(request, made.hash, actor=user.as_actor(), now=NOW)
    assert execute.advance(request.pk, now=NOW) == "wait_for_access"
    waits.ask(request, SecondLook.Why.MOVED, actor=ANYBODY, now=NOW)
    assert second.waiting().count() == 1, "control"
    run(request, Clock())
    assert request.state == State.CLOSED
    assert not second.waiting().exists() and not waits.is_undecided(request) and audited(request) == ["moved"]


def test_a_question_of_a_request_that_was_taken_back_is_audited_as_ended(client: Client, bob: Customer) -> None:
    request = asked("erasure")
    link = token(request, "link_identity")
    changed(bob)
    opened(client, link)
    services.withdraw(request, actor=PRIVACY, now=NOW)
    assert audited(request) == ["moved"] and not second.waiting().exists()


# Records on which staff change the address ----------------------------------------------------------------------------


SERVICE = Actor("staff", "dan", None, frozenset({"service"}), "admin", "phone call")
DAN_OF_PRIVACY = Actor("staff", "dan", None, frozenset({"privacy"}), "admin")


@pytest.fixture
def message(db: None) -> Communication:
    """What a guest wrote; it hangs on nobody's number."""
    return factories.communication(email=OLD, contact_name="Rose Guest", body="My question.")


@pytest.mark.parametrize("when", ["before the link", "after the plan", "after the confirmation"])
def test_staff_cut_off_nobody_by_changing_the_address_on_a_message(
    client: Client, message: Communication, when: str
) -> None:
    request = asked("erasure")
    assert request.is_about_records
    link = token(request, "link_identity")
    path = f"/privacy/requests/{request.pk}/confirm/"
    if when != "before the link":
        opened(client, link)
        run(request, Clock())
    if when == "after the confirmation":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
    corrections.correct(message, {"email": NEW}, actor=SERVICE, now=NOW, reason="phone call")
    assert list(request.second_looks.values_list("why", "decided_at")) == [(SecondLook.Why.MOVED, None)]
    answer = opened(client, link) if when == "before the link" else client.get(path)
    text = pages.check(answer, status=403)
    assert "changed on a record that it is about" in text and "No record is left" not in text
    run(request, Clock())
    assert request.is_open and Communication.objects.filter(pk=message.pk).exists()
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    with undone():
        second.decide(request, "end", actor=COLLEAGUE, now=NOW)
        request.refresh_from_db()
        assert request.state == State.REFUSED and Communication.objects.filter(pk=message.pk).exists()
    request.refresh_from_db()
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    if when != "after the confirmation":
        assert "No record is left" not in pages.check(client.get(path))
        made = services.make_plan(request, actor=sight.acting_as(request), now=NOW)
        services.confirm(request, made.hash, actor=sight.acting_as(request), now=NOW)
    run(request, Clock(NOW + timedelta(hours=1)))
    assert request.state == State.CLOSED and not Communication.objects.filter(pk=message.pk).exists()


def test_a_changed_number_or_a_message_of_another_address_asks_nobody(client: Client, message: Communication) -> None:
    """The positive control."""
    other = factories.communication(email="bob@else.example", contact_name="Bob Baker")
    request = asked("erasure")
    corrections.correct(message, {"phone": "978-555-0199"}, actor=SERVICE, now=NOW, reason="phone call")
    corrections.correct(other, {"email": NEW}, actor=SERVICE, now=NOW, reason="phone call")
    pages.check(opened(client, token(request, "link_identity")))
    assert not request.second_looks.exists()


@pytest.mark.parametrize("what", ["email", "contact_name", "phone"])
def test_who_writes_on_a_record_of_a_closed_request_asks_while_its_copy_can_be_fetched(
    client: Client, message: Communication, what: str
) -> None:
    """A closed request asked nobody, and the former holder of the address went on fetching for a week."""
    request = asked("access")
    opened(client, token(request, "link_identity"))
    run(request, Clock())
    there = {"reference": request.reference, "code": mailed_code()}
    assert fetched(client, request) == 200
    run(request, Clock())
    assert request.state == State.CLOSED, "control: closed, with a copy"
    link = token(request, "copy_ready")
    to = {"email": NEW, "contact_name": "Eve Else", "phone": "978-555-0199"}[what]
    corrections.correct(message, {what: to}, actor=SERVICE, now=NOW, reason="phone call")
    is_asked = what != "phone"
    assert list(request.second_looks.values_list("why", flat=True)) == ([SecondLook.Why.MOVED] if is_asked else [])
    status, browser = outcome_of(there)
    assert (status, fetched(browser, request)) == ((403, 302) if is_asked else (200, 200))
    assert opened(Client(), link).status_code == (403 if is_asked else 200)
    if is_asked:
        assert fetched(client, request) == 403, "nor by what was proved before"
        assert not second.may_decide(request, DAN_OF_PRIVACY)
        second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
        assert outcome_of(there)[0] == 200
        corrections.correct(message, {"contact_name": "Ina Third"}, actor=SERVICE, now=NOW, reason="phone call")
        if what == "contact_name":
            second.decide(request, "end", actor=COLLEAGUE, now=NOW)
            assert outcome_of(there)[0] == 403, "an earlier yes is none to a later change"


def test_once_the_copy_is_gone_a_change_asks_nobody(client: Client, message: Communication) -> None:
    """The positive control."""
    request = asked("access")
    opened(client, token(request, "link_identity"))
    run(request, Clock())
    assert fetched(client, request) == 200
    run(request, Clock())
    export.expire(now=NOW + timedelta(days=8))
    corrections.correct(message, {"email": NEW}, actor=SERVICE, now=NOW + timedelta(days=8), reason="phone call")
    assert not request.second_looks.exists()


def test_a_message_that_was_given_to_somebody_stays_out_whatever_was_decided(
    client: Client, message: Communication
) -> None:
    request = asked("erasure")
    corrections.correct(message, {"email": NEW}, actor=SERVICE, now=NOW, reason="phone call")
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    assert addresses.records_of(request) == [("accounts.communication", message.pk)], "control"
    other = factories.customer("Dora", "Double", email="dora@example.com")
    Communication.objects.filter(pk=message.pk).update(customer=other, subject=other.subject)
    assert addresses.records_of(request) == []


# The way out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_came_by_a_link_can_leave_and_the_next_at_this_computer_sees_nothing(
    client: Client, bob: Customer, method: str
) -> None:
    request = asked("erasure")
    text = pages.check(opened(client, token(request, "link_identity")))
    assert 'action="/accounts/logout/"' in text and "Sign out of this request" in text
    path = f"/privacy/requests/{request.pk}/"
    assert client.get(path).status_code == 200, "control: it opens for an hour"
    getattr(client, method)("/accounts/logout/")
    for one in (path, f"{path}confirm/"):
        assert client.get(one).headers["Location"].startswith("/accounts/login/")
    assert "Sign out of this request" not in client.get("/privacy/").text
    assert "Close my request here" not in client.get("/privacy/").text


# What the letters say of the outcome code -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_moved", [False, True], ids=["same address", "changed since"])
def test_the_answer_calls_the_outcome_code_good_only_where_it_is(bob: Customer, is_moved: bool) -> None:
    """The code went to the address on file then; the answer goes to the one on file now."""
    operator = Actor("operator", "erasure", None, frozenset({"system:erasure"}), "erasure")
    request = taken_in("erasure", bob.subject_id, channel="phone", identity="in_person", actor=operator)
    code = factories.code_of(request)
    with vault.internal():
        said = Letter.objects.get(request=request, kind="acknowledgement").text
    assert "It works alone as long as we hold this e-mail address as yours" in said
    if is_moved:
        changed(bob)
        ContactPoint.objects.filter(customer=bob, channel="email").update(confirmed_at=NOW)
    made = services.make_plan(request, actor=operator, now=NOW)
    services.confirm(request, made.hash, actor=operator, now=NOW)
    mail.outbox = []
    run(request)
    answer = next(one for one in mail.outbox if "removed" in one.subject)
    assert answer.to == [NEW if is_moved else OLD]
    for text in (answer.body, answer.alternatives[0][0]):
        assert ("stays readable with your reference and outcome code" in text) is not is_moved
        assert ("has to wait until a member of our staff has looked" in text) is is_moved
    if is_moved:
        with pytest.raises(reading.CodeMoved):
            reading.by_code(request.reference, code, now=NOW)
    else:
        assert reading.by_code(request.reference, code, now=NOW)["request"] == request
