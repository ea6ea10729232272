"""Who may write on records cuts off nobody who asks for them, and lets no request reach further (design 9)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts import corrections, correspondence, joinable, joining
from accounts.models import Communication, Customer
from privacy import audit, letters, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import addresses, filing, second, services, sight
from privacy.requests.models import Export, Request, SecondLook
from privacy.requests.states import State
from tests import factories, pages, roles
from tests.asked import ANYBODY, NOW, PRIVACY, TODAY, Clock, run
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
ROSE = "rose@guest.example"
SERVICE = Actor("staff", "dan", None, frozenset({"service"}), "admin", "phone call")
DAN_OF_PRIVACY = Actor("staff", "dan", None, frozenset({"privacy"}), "admin")
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")


@pytest.fixture
def own(db: None) -> list[Communication]:
    """Two messages of a guest, on nobody's number."""
    return [
        factories.communication(email=ROSE, contact_name="Rose Guest", body="My first question."),
        factories.communication(email=ROSE, contact_name="R. Guest", body="My second question."),
    ]


def renamed(message: Communication, to: str = "Eve Else", *, now: Any = NOW) -> None:
    corrections.correct(message, {"contact_name": to}, actor=SERVICE, now=now, reason="phone call")


def asked(kind: str = "erasure") -> Request:
    filing.ask(kind=kind, email=ROSE, actor=ANYBODY, now=NOW)
    return Request.objects.get()


def token(request: Request) -> str:
    with vault.internal():
        text = letters.given(Letter.objects.filter(request=request, kind="link_identity").latest("queued_at"))[0]
    return re.findall(r"/privacy/link/([\w-]+)/", text)[-1]


def opened(browser: Client, link: str) -> Any:
    return browser.post(f"/privacy/link/{link}/", follow=True)


def open_questions(request: Request) -> list[str]:
    return list(request.second_looks.filter(decided_at=None).values_list("why", flat=True))


def covered(request: Request) -> set[Any]:
    return {pk for _, pk in addresses.records_of(request)}


@pytest.mark.parametrize("when", ["before the link", "after the plan", "after the confirmation"])
def test_staff_cut_off_nobody_by_changing_the_name_on_one_of_several_records(
    client: Client, own: list[Communication], when: str
) -> None:
    request = asked()
    link, path = token(request), f"/privacy/requests/{request.pk}/confirm/"
    if when != "before the link":
        opened(client, link)
        run(request, Clock())
    if when == "after the confirmation":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
    renamed(own[1])
    assert open_questions(request) == [SecondLook.Why.MOVED]
    assert covered(request) == {one.pk for one in own}, "nothing is narrowed"
    answer = opened(client, link) if when == "before the link" else client.get(path)
    assert "a name was changed on a record that it is about" in pages.check(answer, status=403)
    run(request, Clock())
    assert Communication.objects.count() == 2, "nothing is done until somebody else has looked"
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    with undone():
        second.decide(request, "end", actor=COLLEAGUE, now=NOW)
        request.refresh_from_db()
        assert request.state == State.REFUSED and Communication.objects.count() == 2
    request.refresh_from_db()
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    if when != "after the confirmation":
        pages.check(client.get(path))
        made = services.make_plan(request, actor=sight.acting_as(request), now=NOW)
        services.confirm(request, made.hash, actor=sight.acting_as(request), now=NOW)
    run(request, Clock(NOW + timedelta(hours=1)))
    assert request.state == State.CLOSED and not Communication.objects.exists()


def test_what_names_nobody_and_a_name_on_another_record_ask_nobody(client: Client, own: list[Communication]) -> None:
    """The positive control."""
    request = asked()
    corrections.correct(own[0], {"phone": "978-555-0199", "company_name": "Guest Works"}, actor=SERVICE, now=NOW)
    renamed(factories.communication(email="eve@else.example", contact_name="Ina Third"))
    assert request.reference in pages.check(opened(client, token(request)))
    assert open_questions(request) == []


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_what_it_covered_when_it_came_is_left_out_by_no_row_that_hides_it(
    client: Client, own: list[Communication], kind: str
) -> None:
    request, message = asked(kind), own[1]
    opened(client, token(request))
    bob = factories.customer("Bob", "Bell", email="bob@example.com").subject_id
    for column, to in (("sealed_support", "NULL"), ("subject_id", f"'{bob}'")):
        with undone():
            with roles.otherwise("accounts_communication", column, message.pk, to):
                run(request, Clock())
                if kind == "erasure":
                    services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
                    run(request, Clock(NOW + timedelta(hours=1)))
                assert (request.state, request.last_error) == (State.CONFIRMED, "NotOurs"), column
            assert not Export.objects.exists() and Communication.objects.count() == 2
        request.refresh_from_db()
    run(request, Clock())
    assert request.step == "confirm" or Export.objects.filter(request=request).exists(), "the control"


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_name_changed_before_the_request_brings_the_second_person_and_hides_no_record(
    client: Client, own: list[Communication], kind: str
) -> None:
    """The clerk renamed one record the day before; until now the guest was told that nobody could be matched."""
    renamed(own[1], now=NOW - timedelta(days=1))
    request = asked(kind)
    assert request.is_about_records and covered(request) == {one.pk for one in own}
    text = pages.check(opened(client, token(request)), status=403)
    assert "a name was changed on a record that it is about" in text
    assert open_questions(request) == [SecondLook.Why.MOVED]
    run(request, Clock())
    assert not request.exports.exists() and Communication.objects.count() == 2
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    run(request, Clock())
    assert open_questions(request) == [], "the answer counts for this request"
    assert client.get(f"/privacy/requests/{request.pk}/").status_code == 200


def test_a_name_changed_to_fit_lets_no_mailbox_reach_further_alone(client: Client, own: list[Communication]) -> None:
    """Of two people who share a mailbox one is renamed by the clerk: until now the mailbox got the records of both at
    once."""
    eve = factories.communication(email=ROSE, contact_name="Eve Else", body="What Eve asked.")
    filing.ask(kind="access", email=ROSE, actor=ANYBODY, now=NOW)
    assert Request.objects.get().subject_id is None, "control: they name two people"
    Request.objects.get().second_looks.all().delete()
    services.withdraw(Request.objects.get(), actor=PRIVACY, now=NOW)
    renamed(eve, "Rose Guest")
    filing.ask(kind="access", email=ROSE, actor=ANYBODY, now=NOW)
    request = Request.objects.get(state=State.RECEIVED)
    assert opened(client, token(request)).status_code == 403
    run(request, Clock())
    assert open_questions(request) == [SecondLook.Why.MOVED] and not request.exports.exists()


def test_two_names_that_nobody_changed_still_open_nothing(own: list[Communication]) -> None:
    """The positive control."""
    factories.communication(email=ROSE, contact_name="Eve Else")
    renamed(own[1], "Ina Third", now=NOW - timedelta(days=1))
    assert asked().subject_id is None


OTHERS: dict[str, dict[str, Any]] = {
    "another name": {"contact_name": "Eve Else"},
    "a customer": {"contact_name": "Rose Guest", "customer": True},
}


def written(is_of: str) -> Communication:
    """What a clerk writes down later, with the guest's address."""
    data = dict(OTHERS[is_of])
    if data.pop("customer", False):
        data["customer"] = factories.customer("Dora", "Double", email="dora@example.com")
    return correspondence.record_communication(
        department="support", channel="phone", received_on=TODAY, actor=SERVICE, now=NOW, email=ROSE, **data
    )


@pytest.mark.parametrize("is_of", list(OTHERS))
@pytest.mark.parametrize("when", ["before the link", "after the plan", "after the confirmation"])
def test_a_record_that_staff_write_down_later_takes_nothing_away_and_asks_a_second_person(
    client: Client, own: list[Communication], when: str, is_of: str
) -> None:
    """It was passed over in silence before; with the name of another person it showed that two read the mailbox."""
    request = asked()
    mine = {one.pk for one in own}
    if when == "before the link":
        written(is_of)
    link = token(request)
    opened(client, link)
    run(request, Clock())
    if when == "after the plan":
        written(is_of)
    if when != "before the link":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
    if when == "after the confirmation":
        written(is_of)
    run(request, Clock())
    assert covered(request) == mine and open_questions(request) == [SecondLook.Why.MOVED]
    assert Communication.objects.count() == 3, "nothing is done until somebody else has looked"
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    if when == "before the link":
        run(request, Clock())
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
    run(request, Clock(NOW + timedelta(hours=1)))
    assert open_questions(request) == [], "asked once"
    assert request.state == State.CLOSED and not Communication.objects.filter(pk__in=mine).exists()
    assert Communication.objects.get().contact_name is not None, "the other record is untouched"


@pytest.mark.parametrize("when", ["before the link", "after the link"])
def test_a_name_changed_to_fit_brings_no_record_into_an_open_request(
    client: Client, own: list[Communication], when: str
) -> None:
    """Eve's message was written down after Rose asked; then the clerk gave it Rose's name, and the copy had Eve's
    text."""
    request = asked("access")
    link = token(request)
    if when == "after the link":
        opened(client, link)
    eve = factories.communication(email=ROSE, contact_name="Eve Else", body="What Eve asked.")
    renamed(eve, "Eve Guest")
    if when == "before the link":
        opened(client, link)
    run(request, Clock())
    assert covered(request) == {one.pk for one in own} and open_questions(request) == [SecondLook.Why.MOVED]
    assert not request.exports.exists()
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    run(request, Clock())
    assert request.exports.count() == 1 and eve.pk not in covered(request)


def test_a_name_changed_on_a_covered_record_lets_no_other_name_in(own: list[Communication]) -> None:
    request = asked("access")
    eve = factories.communication(email=ROSE, contact_name="Eve Else")
    for one in own:
        renamed(one, "Eve Else")
    assert covered(request) == {one.pk for one in own} and eve.pk not in covered(request)


def test_another_name_does_not_take_away_what_the_guest_wrote_after_asking(own: list[Communication]) -> None:
    request = asked()
    later = factories.communication(email=ROSE, contact_name="Rose Guest")
    written("another name")
    assert covered(request) == {later.pk, *(one.pk for one in own)}


@pytest.mark.parametrize("is_of", list(OTHERS))
def test_one_clerks_later_entry_makes_no_later_ask_fail_but_asks_a_second_person(client: Client, is_of: str) -> None:
    """Whoever may write down one message could make every later ask of the guest fail."""
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        mine = [factories.communication(email=ROSE, contact_name=name) for name in ("Rose Guest", "R. Guest")]
    written(is_of)
    request = asked()
    assert request.is_about_records and covered(request) == {one.pk for one in mine}
    opened(client, token(request))
    run(request, Clock())
    assert open_questions(request) == [SecondLook.Why.MOVED]
    assert second.may_decide(request, COLLEAGUE) and not second.may_decide(request, DAN_OF_PRIVACY)
    second.decide(request, "go_on", actor=COLLEAGUE, now=NOW)
    run(request, Clock())
    assert request.decisions.count() == 2 and open_questions(request) == []


@pytest.mark.parametrize("is_by", ["two clerks", "nobody known"])
def test_what_more_than_one_clerk_tells_of_two_people_still_opens_nothing(is_by: str) -> None:
    """The positive control."""
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        factories.communication(email=ROSE, contact_name="Rose Guest")
    if is_by == "two clerks":
        written("another name")
        correspondence.record_communication(
            department="support", channel="phone", received_on=TODAY, now=NOW, email=ROSE, contact_name="Eve Else",
            actor=Actor("staff", "ann", None, frozenset({"service"}), "admin", "phone call"),
        )  # fmt: skip
    else:
        factories.communication(email=ROSE, contact_name="Eve Else")
    assert asked().subject_id is None


def test_what_the_guest_writes_later_is_covered_too(own: list[Communication]) -> None:
    request = asked()
    later = factories.communication(email=ROSE, contact_name="Rose Guest")
    assert covered(request) == {later.pk, *(one.pk for one in own)}


@pytest.mark.parametrize("is_open", [True, False])
def test_a_clerk_joins_no_record_away_that_a_guest_has_asked_about(own: list[Communication], is_open: bool) -> None:
    """The phone on the message is a customer's: with that the record was joined to the customer, and the guest got
    nothing."""
    customer = factories.customer("Dora", "Double", email="dora@example.com", phone="978-555-0142")
    mine = factories.communication(email=ROSE, contact_name="Rose Guest", phone="978-555-0142")
    request = asked()
    if not is_open:
        services.withdraw(request, actor=PRIVACY, now=NOW)
    look = joining.ask(customer.subject_id, actor=PRIVACY, now=NOW)
    chosen = [("accounts.communication", mine.pk)]
    seen = joining.preview(look, chosen, now=NOW).fingerprint

    def join() -> Any:
        return joining.join(look, chosen, reason="callback", fingerprint=seen, actor=PRIVACY, now=NOW)

    if not is_open:
        assert join().outcome == "joined", "control"
        return
    with pytest.raises(joinable.NotPossible, match="A privacy request about one of these records is open"):
        join()
    assert covered(request) == {mine.pk, *(one.pk for one in own)}


def test_a_record_that_became_somebody_elses_hides_none_of_the_others(own: list[Communication]) -> None:
    request = asked()
    customer = factories.customer("Dora", "Double", email="dora@example.com")
    Communication.objects.filter(pk=own[0].pk).update(customer=customer, subject=customer.subject)
    assert covered(request) == {own[1].pk}


def test_what_the_change_tells_in_the_audit_and_the_history_is_no_value(own: list[Communication]) -> None:
    request = asked()
    renamed(own[1])
    kinds = list(request.events.values_list("kind", "actor_id", "detail"))
    assert ("name_changed", "dan", {}) in kinds
    assert Customer.objects.count() == 0
    assert audit.corrected([("accounts.communication", own[1].pk)]) == {
        ("accounts.communication", own[1].pk): {"contact_name"}
    }
