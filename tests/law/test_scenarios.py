"""The scenarios of the law by their numbers, each through what the product does: a receipt, staff, the sweep, letters.

The same dates as pure arithmetic, and the dates added later, stand in tests/privacy/requests/test_clock.py. A scenario
that is told elsewhere has its number in the name of that test; the last test here looks that none is missing.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts import corrections, correspondence
from accounts.models import Communication, Customer, TaxIdentifier
from orders import services as orders
from orders.models import Order
from privacy import audit, gate, vault
from privacy.calendar import company_day
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import (
    assessment,
    clock,
    deadline,
    excess,
    execute,
    export,
    filing,
    outcome,
    proof,
    proving,
    services,
    sight,
)
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import holds, rules
from privacy.retention.assess import assess
from privacy.sweep import arming, nightly, second_letter
from privacy.sweep.report import SweepReport
from rma.models import Certificate
from tests import factories
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, Clock, filed, run, taken_in
from tests.factories import DAN, TASK, an_order, an_rma, as_customer, moved
from tests.rma.test_services import certify, verified

pytestmark = pytest.mark.django_db
SCENARIOS = [*range(1, 9), 10, 11, *range(13, 18), 19, 22, 23, 24, 26, 27]


def at(text: str, hour: int = 17) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) + timedelta(hours=hour)


def person(country: str = "DE", region: str = "", name: str = "Alice", **data: Any) -> Customer:
    return factories.customer(
        name, "Archer", email=f"{name.lower()}@example.com", country=country, region=region, **data
    )


def received(
    customer: Customer, day: str, kind: str = "access", *, noted: str = "", how: str = "staff", **data: Any
) -> Request:
    """A request that reached us on `day` and was written down on `noted`, or on the same day."""
    return taken_in(
        kind,
        customer.subject_id,
        channel=data.pop("channel", "mail"),
        received_on=date.fromisoformat(day),
        identity=how,
        **data,
        actor=PRIVACY,
        now=at(noted or day),
    )


def due(request: Request) -> tuple[str, str]:
    request.refresh_from_db()
    return request.due_on.isoformat(), request.legal_due_on.isoformat()


def carried_out(request: Request, now: datetime) -> Request:
    """Let the person confirm the plan and the workers do the rest."""
    execute.run(request.pk, clock=Clock(now), pause=lambda: None, rounds=20)
    request.refresh_from_db()
    if request.kind == "erasure":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
    run(request, Clock(now))
    return request


def kept(request: Request, today: str) -> dict[tuple[str, str], tuple[str, date | None]]:
    """What the person reads of what stays: by record and reason, the code and until when."""
    with gate.acting(sight.acting_as(request)):
        found = outcome.lines(request, today=date.fromisoformat(today))["kept"]
    return {(one["title"], one["data"][0]): (one["code"], one["until"]) for one in found}


def is_there(record: Any, envelope: str) -> bool:
    return not vault.keys.is_destroyed(record.pk, envelope)


def swept(on: str) -> SweepReport:
    with system("sweep"):
        return nightly.sweep(on=date.fromisoformat(on), dry_run=False, actor=OPERATOR)


def page_of(request: Request, customer: Customer) -> str:
    _, chunks = export.fetch(request, actor=as_customer(customer), now=NOW)
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        return archive.read("index.html").decode()


@pytest.fixture
def nights(settings: Any) -> None:
    """The sweep is armed and may be sent to a day to come."""
    settings.DEMO = True
    arming.arm(actor=OPERATOR)


# The clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "raw", "legal"),
    [
        ("2025-01-31", "2025-02-28", "2025-02-28"),
        ("2026-01-31", "2026-02-28", "2026-03-02"),
        ("2027-01-31", "2027-02-28", "2027-03-01"),
        ("2028-01-31", "2028-02-29", "2028-02-29"),
    ],
)
def test_scenario_1_what_came_on_31_january_is_answered_by_the_end_of_february(day: str, raw: str, legal: str) -> None:
    assert due(received(person(), day)) == (raw, legal)


@pytest.mark.parametrize(
    ("country", "region", "day", "raw", "legal"),
    [
        ("DE", "", "2026-11-25", "2026-12-25", "2026-12-28"),
        ("GB", "ENG", "2026-11-25", "2026-12-25", "2026-12-29"),
        ("DE", "", "2026-03-06", "2026-04-06", "2026-04-07"),
    ],
)
def test_scenario_2_a_limit_on_a_holiday_moves_and_the_day_to_work_by_stays(
    country: str, region: str, day: str, raw: str, legal: str
) -> None:
    request = received(person(country, region), day)
    assert due(request) == (raw, legal)
    with vault.internal():
        (letter,) = Letter.objects.filter(request=request, kind="acknowledgement")
        assert f"We answer by: {date.fromisoformat(raw):%-d %B %Y}" in letter.text


@pytest.mark.parametrize(
    ("day", "told", "end"), [("2026-03-31", "2026-04-30", "2026-06-30"), ("2026-01-31", "2026-03-02", "2026-04-30")]
)
def test_scenario_3_more_time_is_told_with_its_reason_in_the_first_month_and_counts_from_the_receipt(
    day: str, told: str, end: str
) -> None:
    request = received(person(), day)
    deadline.extend(request, reason="complex", words="Ten orders.", actor=PRIVACY, now=at(told))
    assert due(request) == (end, end)
    with vault.internal():
        text = Letter.objects.get(request=request, kind="extended").text
    assert "because the request is complex" in text and f"by {date.fromisoformat(end):%-d %B %Y}" in text


def test_scenario_3_a_day_too_late_it_is_refused_and_stands_in_the_audit_as_a_missed_deadline() -> None:
    request = received(person(), "2026-03-31")
    with pytest.raises(deadline.TooLate, match="30 April 2026"):
        deadline.extend(request, reason="complex", words="Ten orders.", actor=PRIVACY, now=at("2026-05-01"))
    assert due(request) == ("2026-04-30", "2026-04-30")
    assert audit.history(reference=request.reference).filter(action="request.extension_too_late").count() == 1
    assert not Letter.objects.filter(request=request, kind="extended").exists()


def test_scenario_4_the_british_month_runs_from_the_identity_that_was_asked_for() -> None:
    alice = person("GB", "ENG")
    request = received(alice, "2026-03-10", noted="2026-03-12", how="pending")
    assert due(request) == ("2026-04-10", "2026-04-10")
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=at("2026-03-20"))
    assert due(request) == ("2026-04-20", "2026-04-20")
    assert request.unpaused_due_on == date(2026, 4, 10)


def test_scenario_4_the_european_date_without_the_pause_stands_beside_the_paused_one() -> None:
    alice = person("DE")
    request = received(alice, "2026-03-10", noted="2026-03-12", how="pending")
    deadline.pause(request, actor=PRIVACY, now=at("2026-03-12"))
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=at("2026-03-20"))
    assert due(request) == ("2026-04-19", "2026-04-20")
    assert request.unpaused_due_on == date(2026, 4, 10)
    with vault.internal():
        text = Letter.objects.filter(request=request, kind="acknowledgement").latest("queued_at").text
    assert "We answer by: 19 April 2026 (had we not waited for you: 10 April 2026)" in text


def test_scenario_5_california_is_confirmed_in_ten_working_days_and_answered_in_45_days(settings: Any) -> None:
    settings.CALIFORNIA = True
    alice = person("US", "CA")
    request = received(alice, "2026-06-01", how="pending")
    assert due(request) == ("2026-07-15", "2026-07-15")
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=at("2026-06-20"))
    assert due(request) == ("2026-07-15", "2026-07-15"), "showing who asks stops nothing"
    with pytest.raises(deadline.TooLate):
        deadline.extend(request, reason="number", words="Five.", actor=PRIVACY, now=at("2026-07-16"))
    deadline.extend(request, reason="number", words="Five.", actor=PRIVACY, now=at("2026-07-15"))
    assert due(request) == ("2026-08-29", "2026-08-29")


def test_scenario_13_a_copy_and_a_removal_of_one_day_are_two_and_the_copy_is_made_first(alice: Customer) -> None:
    now = at("2026-05-20")
    copy, removal = (
        filed(alice, kind, received_on=date(2026, 5, 20), now=now + timedelta(minutes=minute))
        for minute, kind in enumerate(("access", "erasure"))
    )
    again = filed(alice, "erasure", received_on=date(2026, 5, 20), now=now + timedelta(minutes=2))
    assert again == removal and copy.reference != removal.reference
    assert removal.events.filter(kind=clock.Kind.RECEIVED).count() == 2, "both receipts are kept"
    for request in (copy, removal):
        assert due(request) == ("2026-06-20", "2026-06-22")
    now += timedelta(minutes=5)
    execute.run(removal.pk, clock=Clock(now), pause=lambda: None, rounds=20)
    removal.refresh_from_db()
    services.confirm(removal, removal.plan_hash, actor=as_customer(alice), now=now)
    assert execute.advance(removal.pk, now=now) == "waiting"
    removal.refresh_from_db()
    assert removal.step == "wait_for_access" and is_there(alice, "account")
    run(copy, Clock(now))
    list(export.fetch(copy, actor=as_customer(alice), now=now)[1])
    run(removal, Clock(now + timedelta(days=8)))
    assert removal.state == State.CLOSED and not is_there(alice, "account")


@pytest.mark.parametrize("later", ["2026-05-04", "2026-05-08"])
def test_scenario_24_what_reached_the_lab_on_friday_counts_from_friday(later: str) -> None:
    """Written down on Monday; a later receipt never moves it later, an earlier one moves it earlier."""
    alice = person("DE")
    request = received(alice, "2026-05-01", noted="2026-05-04", channel="phone")
    assert (request.received_on, due(request)) == (date(2026, 5, 1), ("2026-06-01", "2026-06-01"))
    assert received(alice, later, noted="2026-05-08", channel="phone") == request
    assert due(request) == ("2026-06-01", "2026-06-01")
    received(alice, "2026-04-30", noted="2026-05-08", channel="phone")
    assert due(request) == ("2026-05-30", "2026-06-01")
    with pytest.raises(proof.BadRequest, match="future"):
        received(alice, "2026-05-09", noted="2026-05-08")


# What goes and what stays ---------------------------------------------------------------------------------------------


def test_scenario_6_an_unpaid_invoice_stays_and_after_the_payment_the_rest_goes_by_itself(
    alice: Customer, nights: None
) -> None:
    day = date(2026, 1, 15)
    order = an_order(alice, day, invoiced=day, shipped=day)
    freight = alice.freight_accounts.get()
    now = at("2026-03-02")
    request = carried_out(filed(alice, received_on=date(2026, 3, 2), now=now), now)
    assert request.state == State.CLOSED and due(request)[0] == "2026-04-02"
    until = date(2033, 12, 31)
    found = kept(request, "2026-03-02")
    title = f"Order {order.number}"
    assert found[title, "Name on the invoice"] == ("KEEP_CONTRACT", until)
    assert found[title, "Name for delivery"] == ("KEEP_CONTRACT", until)
    assert found[f"Customer {alice.reference}", "First name"] == ("KEEP_CONTRACT", until)
    assert not is_there(freight, "freight_account")
    orders.mark_paid(order, actor=TASK, now=at("2026-05-02"))
    swept("2026-05-03")
    assert not is_there(order, "fulfilment") and not is_there(alice, "account") and is_there(order, "order")
    assert kept(request, "2026-05-03") == {(title, "Name on the invoice"): ("KEEP_LI", until)}


def test_scenario_7_an_open_return_stays_with_its_choice_and_goes_with_a_second_letter(
    alice: Customer, nights: None
) -> None:
    rma = moved(an_rma(alice), "authorised", "received")
    message = Communication.objects.get(customer=alice)
    request = filed(alice)
    plan = services.make_plan(request, actor=as_customer(alice), now=NOW)
    assert any("You can let us finish it, or cancel it: on its page" in one.sentence for one in plan.warnings)
    carried_out(request, NOW)
    assert request.state == State.CLOSED and company_day(NOW) <= request.due_on
    assert is_there(rma, "rma") and is_there(alice, "account") and not is_there(message, "support")
    moved(rma, "cancelled", "shipped_back", "closed", on=date(2026, 11, 25))
    swept("2026-11-26")
    assert not is_there(rma, "rma") and not is_there(alice, "account")
    with system("letter"):
        (letter,) = Letter.objects.filter(request=request, kind=second_letter.KIND)
        assert rma.number in letter.text


@pytest.mark.parametrize(
    ("overlays", "old", "later"),
    [
        ((), None, date(2031, 12, 31)),
        (("OSS10",), date(2027, 12, 31), date(2034, 12, 31)),
        (("DE8",), None, date(2032, 12, 31)),
    ],
)
def test_scenario_8_the_old_order_goes_as_overdue_and_the_later_one_is_minimised(
    alice: Customer, overlays: tuple[str, ...], old: date | None, later: date
) -> None:
    first, second = (
        an_order(alice, day, invoiced=day, shipped=day, paid=day, ship_country="DE")
        for day in (date(2017, 5, 10), date(2024, 5, 10))
    )
    schedule, today = rules.load(rules.HERE, overlays=overlays), date(2026, 6, 15)
    verdicts = {
        (one.record_id, one.envelope): one
        for facts in assessment.facts_of(alice.subject_id)
        for one in assess(facts, schedule, [], today, asked=True)
    }
    found = verdicts[first.pk, "order"]
    assert (found.is_erased, found.overdue, found.until) == (old is None, old is None, old)
    assert verdicts[first.pk, "fulfilment"].is_erased
    assert verdicts[second.pk, "fulfilment"].code == "MINIMISE"
    assert (verdicts[second.pk, "order"].is_erased, verdicts[second.pk, "order"].until) == (False, later)


def test_scenario_8_the_plan_says_what_should_have_gone_before(alice: Customer) -> None:
    day = date(2017, 5, 10)
    order = an_order(alice, day, invoiced=day, shipped=day, paid=day)
    plan = services.make_plan(filed(alice), actor=as_customer(alice), now=NOW)
    assert f"Order {order.number} should have been removed before; it goes with this removal." in map(
        str, plan.warnings
    )


def test_scenario_10_a_corrected_address_leaves_the_issued_invoice_and_a_certificate_names_the_one_it_replaces(
    alice: Customer,
) -> None:
    day = date(2026, 11, 5)
    order = an_order(alice, day, invoiced=day)
    with vault.internal():
        printed = (order.invoice_street, order.invoice_city)
    address = alice.addresses.get()
    assert corrections.correct(address, {"street": "18 Quince Row"}, actor=as_customer(alice), now=NOW) == ("street",)
    assert audit.history(record=("accounts.address", address.pk)).filter(action="record.corrected").count() == 1
    with vault.internal():
        assert type(address).objects.get(pk=address.pk).street == "18 Quince Row"
        after = Order.objects.get(pk=order.pk)
        assert (after.invoice_street, after.invoice_city) == printed, "what was issued does not change"
    rma = verified(an_rma(alice))
    first = certify(rma)
    amended = certify(rma, replaces=first)
    assert (amended.replaces, amended.revision) == (first, 2)
    assert list(Certificate.objects.valid()) == [amended]


def test_scenario_11_the_mailbox_of_a_firm_proves_nobody_and_a_login_proves_anna(outbox: list[Any]) -> None:
    firm = factories.company("Firm")
    login = factories.login("anna", "anna@example.com")
    anna = factories.customer("Anna", "Archer", email="info@firm.example", company=firm, user=login, country="DE")
    ben = factories.customer("Ben", "Baker", email="info@firm.example", company=firm, country="DE")
    factories.communication(ben, heading="Bens secret question")
    filing.ask(kind="access", email="info@firm.example", actor=ANYBODY, now=NOW)
    request = Request.objects.get()
    assert request.subject_id is None and not request.links.exists()
    with vault.internal():
        text = Letter.objects.get(request=request).text
    assert "belongs to several people" in text and "Anna" not in text and "Ben" not in text
    copy = filed(anna, "access")
    run(copy)
    page = page_of(copy, anna)
    assert "Anna" in page and anna.reference in page
    for other in ("Ben", "Baker", ben.reference, "secret question"):
        assert other not in page


def test_scenario_14_a_hold_keeps_its_order_alone_and_the_night_after_it_is_lifted_the_removal_goes_on(
    alice: Customer, nights: None
) -> None:
    day = date(2024, 5, 10)
    held, other = (an_order(alice, day, invoiced=day, shipped=day, paid=day) for _ in range(2))
    request = filed(alice)
    holds.place("orders.order", held.pk, reason="claim", actor=PRIVACY, now=NOW)
    carried_out(request, NOW)
    assert is_there(held, "fulfilment") and not is_there(other, "fulfilment") and not is_there(alice, "account")
    assert Order.objects.get(pk=held.pk).restriction("fulfilment")
    with gate.acting(sight.acting_as(request)):
        said = [one for one in outcome.lines(request, today=company_day(NOW))["kept"] if held.number in one["title"]]
    assert {one["code"] for one in said} == {"KEEP_CLAIMS"} and all("legal claim" in one["sentence"] for one in said)
    holds.lift("orders.order", held.pk, actor=PRIVACY, now=NOW)
    swept("2026-11-21")
    assert not is_there(held, "fulfilment") and is_there(held, "order"), "the sale has its own reason until 2031"


def test_scenario_15_another_address_is_neither_disclosed_nor_removed_and_the_person_is_told_how_to_prove_it(
    alice: Customer,
) -> None:
    """A message under an old address of hers, and one under somebody else's."""
    hers = factories.communication(email="alice@example.com", heading="Old question of Alice")
    others = factories.communication(email="a.old@example.com", heading="Under another address")
    request = filed(alice)
    plan = services.make_plan(request, actor=as_customer(alice), now=NOW)
    assert "carries an address of yours, but is not joined to you" in plan.unjoined
    carried_out(request, NOW)
    assert is_there(hers, "support") and is_there(others, "support")
    with gate.acting(sight.acting_as(request)):
        assert "is not joined to you" in outcome.unjoined_of(request)


@pytest.mark.parametrize(
    ("has_certificate", "until"), [(False, None), (True, date(2028, 12, 31))], ids=["no certificate", "a certificate"]
)
def test_scenario_16_a_social_security_number_goes_at_once_unless_a_certificate_rests_on_it(
    alice: Customer, has_certificate: bool, until: date | None
) -> None:
    number = factories.ssn(alice, last_used_on=date(2024, 6, 1), has_certificate=has_certificate)
    copy = filed(alice, "access")
    run(copy)
    page = page_of(copy, alice)
    assert "4399" in page and "536-90-4399" not in page and "536904399" not in page
    request = carried_out(filed(alice, now=NOW + timedelta(minutes=1)), NOW + timedelta(minutes=1))
    assert is_there(number, "ssn") is has_certificate
    found = {one: end for (one, _), (_, end) in kept(request, "2026-11-20").items()}
    assert list(found.values()) == ([until] if until else [])


def test_scenario_16_one_typed_into_a_note_is_refused(alice: Customer) -> None:
    for text in ("My SSN is 536-90-4399.", "ssn 536904399"):
        with pytest.raises(ValidationError):
            correspondence.record_communication(
                department="support", channel="phone", received_on=company_day(NOW), actor=DAN, now=NOW,
                customer=alice, heading="Note", body=text,
            )  # fmt: skip
    assert not TaxIdentifier.objects.exists()


@pytest.mark.parametrize("text", ["My card is 4111 1111 1111 1111", "4111111111111111 cvv 123", "CVC: 737"])
def test_scenario_17_a_card_number_in_free_text_is_not_kept_anywhere(
    alice: Customer, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender is told and asked to leave it out: nothing of it is stored, so there is nothing to blank."""
    count = Communication.objects.count()
    with pytest.raises(ValidationError) as refused:
        correspondence.record_communication(
            department="accounting", channel="fax", received_on=company_day(NOW), actor=DAN, now=NOW,
            customer=alice, heading="Payment", body=text,
        )  # fmt: skip
    assert Communication.objects.count() == count
    with pytest.raises(proof.BadRequest):
        filing.file(
            filing.Receipt(
                kind="access", subject=alice.subject_id, channel="fax", received_on=company_day(NOW), note=text
            ),
            actor=PRIVACY,
            now=NOW,
        )
    for said in (str(refused.value), caplog.text):
        assert not re.search(r"4111|1111|737", said)


def test_scenario_22_who_has_left_a_firm_goes_from_it_and_what_was_printed_stays(bob: Customer, nights: None) -> None:
    firm = factories.company("Firm")
    anna = factories.customer("Anna", "Archer", email="anna@example.com", company=firm, country="DE")
    colleague = factories.customer("Cleo", "Clark", email="cleo@example.com", company=firm, country="DE")
    day = date(2024, 5, 10)
    order = an_order(anna, day, invoiced=day, shipped=day, paid=day)
    theirs = an_order(colleague, day, invoiced=day, shipped=day, paid=day)
    carried_out(filed(anna), NOW)
    assert not is_there(anna, "account") and not is_there(order, "fulfilment")
    assert is_there(order, "order"), "the firm's invoice keeps what is printed"
    assert is_there(firm, "company") and is_there(colleague, "account") and is_there(theirs, "fulfilment")


def test_scenario_22_an_employer_who_asks_for_him_gets_no_data_of_his(alice: Customer) -> None:
    filing.ask(kind="access", email="boss@firm.example", actor=ANYBODY, now=NOW)
    request = Request.objects.get()
    with vault.internal():
        (letter,) = Letter.objects.filter(request=request)
        assert letter.to == "boss@firm.example"
        assert not re.search(r"Alice|Archer|alice@|Quince", letter.text)


def test_scenario_23_a_copy_asked_for_again_after_three_weeks_is_answered(alice: Customer) -> None:
    first = filed(alice, "access")
    run(first)
    list(export.fetch(first, actor=as_customer(alice), now=NOW)[1])
    later = NOW + timedelta(days=21)
    run(first, Clock(later))
    assert first.state == State.CLOSED
    again = filed(alice, "access", received_on=company_day(later), now=later)
    assert again != first
    run(again, Clock(later))
    assert again.state == State.REPLIED and export.live(again) is not None


def test_scenario_23_a_refusal_for_excess_needs_evidence_and_a_second_person(alice: Customer) -> None:
    request = received(alice, "2026-11-20", "access", how="pending")
    words = {"ground": "You ask in order to be paid.", "actor": PRIVACY, "now": NOW}
    with pytest.raises(proof.BadRequest, match="one person alone refuses nothing"):
        services.refuse(request, authority="Art. 12(5) GDPR", **words)
    with pytest.raises(proof.BadRequest, match="its evidence in words"):
        excess.propose(request, evidence=" ", **words)
    excess.propose(request, evidence="Five letters ask for money instead of the answer.", **words)
    with pytest.raises(sight.NotYours):
        excess.decide(request, "refuse", actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert request.is_open and not Letter.objects.filter(request=request, kind="refused").exists()
    excess.decide(request, "refuse", actor=OPERATOR, now=NOW)
    request.refresh_from_db()
    assert request.state == State.REFUSED
    with vault.internal():
        text = Letter.objects.get(request=request, kind="refused").text
    assert "You ask in order to be paid. (Art. 12(5) GDPR)" in text and "Five letters" not in text
    found = list(audit.history(reference=request.reference).values_list("action", flat=True))
    assert {"request.refusal_proposed", "request.refusal_decided", "request.refused"} <= set(found)


@pytest.mark.parametrize("is_declined", [True, False])
def test_scenario_23_what_is_not_shown_to_be_excessive_is_answered_in_time(alice: Customer, is_declined: bool) -> None:
    request = filed(alice, "access")
    excess.propose(request, ground="You asked.", evidence="A second time.", actor=PRIVACY, now=NOW)
    run(request)
    request.refresh_from_db()
    assert request.is_open and export.live(request) is None, "it waits for the second person"
    when = NOW
    if is_declined:
        excess.decide(request, "answer", actor=OPERATOR, now=NOW)
    else:
        when = datetime.combine(request.due_on, datetime.min.time(), UTC) + timedelta(hours=15)
    run(request, Clock(when))
    request.refresh_from_db()
    assert request.state == State.REPLIED and export.live(request) is not None


def test_scenario_26_a_company_is_no_person_and_a_sole_trader_is(nights: None) -> None:
    firm, trader = (
        factories.company("Firm"),
        factories.company("Archer Optics", is_sole_trader=True, subject=(who := factories.subject())),
    )
    anna = factories.customer("Anna", "Archer", email="anna@example.com", company=firm, country="DE")
    sole = factories.customer("Sol", "Archer", email="sol@example.com", company=trader, country="DE", subject=who)
    for one in (anna, sole):
        carried_out(filed(one), NOW)
    assert is_there(firm, "company") and not is_there(trader, "company")


def test_scenario_27_who_is_known_under_no_name_is_answered_in_time_and_no_profile_is_made() -> None:
    before = Customer.objects.count()
    filing.ask(kind="access", email="stranger@example.com", actor=ANYBODY, now=NOW)
    request = Request.objects.get()
    assert due(request)[0] == "2026-12-20"
    assert Letter.objects.filter(request=request).count() == 1
    assert Customer.objects.count() == before and request.subject_id is None


def test_every_scenario_has_a_test_with_its_number() -> None:
    files = Path(__file__).parents[1].rglob("test_*.py")
    found = {int(one) for file in files for one in re.findall(r"def test_\w*?scenario_(\d+)_", file.read_text("utf-8"))}
    assert set(SCENARIOS) <= found
