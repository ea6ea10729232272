"""Alice's returns: opened after a second look at the answers, followed, answered; bob sees none of it."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer, User
from rma import services
from rma.models import RMA
from tests import factories, pages
from tests.factories import TASK, an_rma, moved, noon

pytestmark = pytest.mark.django_db

ANSWERS = {
    "service": "repair",
    "serial": "ILT2400-7777",
    "model_name": "ILT2400",
    "fault": "Reads ten per cent low.",
    "contact_name": "Alice Archer",
    "email": "alice@example.com",
    "return_street": "12 Elm Street",
    "return_city": "Salem",
    "return_country": "US",
}


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice)


@pytest.fixture
def bob() -> User:
    return factories.login("bob", "bob@example.com")


@pytest.mark.parametrize("path", ["/rma/", "/rma/new/", "/rma/01890000-0000-7000-8000-000000000000/"])
def test_returns_need_a_login(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


def test_the_form_knows_what_is_on_file(alice: User, customer: Customer) -> None:
    factories.address(customer, purpose="return")
    text = pages.check(pages.signed_in(alice).get("/rma/new/"))
    for part in (
        'value="Alice Archer"',
        'value="alice@example.com"',
        'value="12 Elm Street"',
        '<option value="US" selected>',
    ):
        assert part in text


def test_answers_are_shown_once_more_before_anything_is_opened(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice)
    text = pages.check(browser.post("/rma/new/", {**ANSWERS, "stage": "check"}))
    assert "Check your answers" in text and "Reads ten per cent low." in text and "United States" in text
    assert not RMA.objects.exists()
    changes = re.findall(r'<button [^>]*form="answers" name="change" value="(\w+)">(.*?)</button>', pages.read(text))
    assert [(name, re.sub("<[^>]+>", "", words)) for name, words in changes] == [
        ("instrument", "Change the answers under “The instrument”"),
        ("return", "Change the answers under “Where it goes back to”"),
    ]
    kept = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    assert {**kept, **ANSWERS} == kept, "the page sends all answers back, whichever is to be changed"
    for (name, _), heading in zip(changes, ("The instrument", "Where it goes back to"), strict=True):
        changed = pages.check(browser.post("/rma/new/", {**kept, "change": name}))
        assert re.findall(r'<h2 tabindex="-1" autofocus>(.*?)</h2>', changed) == [heading]
        assert all(answer in changed for answer in ANSWERS.values()) and not RMA.objects.exists()


def test_an_address_with_an_accent_is_an_address(alice: User, customer: Customer) -> None:
    pages.signed_in(alice).post("/rma/new/", {**ANSWERS, "email": "élise@example.com", "stage": "send"})
    assert list(RMA.objects.find("rma.email", "élise@example.com")) == [RMA.objects.get()]


def test_sending_the_answers_opens_the_return(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice)
    answer = browser.post("/rma/new/", {**ANSWERS, "stage": "send"})
    rma = RMA.objects.get()
    assert answer.headers["Location"] == f"/rma/{rma.pk}/"
    assert (rma.customer, rma.service, rma.instrument.serial, rma.channel) == (
        customer,
        "repair",
        "ILT2400-7777",
        "web",
    )
    text = pages.check(browser.get(f"/rma/{rma.pk}/"))
    for part in (rma.number, "Reads ten per cent low.", "12 Elm Street", "Requested", "What comes next"):
        assert part in text


def test_somebody_who_never_ordered_can_send_an_instrument(alice: User) -> None:
    pages.signed_in(alice).post("/rma/new/", {**ANSWERS, "stage": "send"})
    assert RMA.objects.get().customer.subject_id == alice.subject_id


def test_mistakes_are_named_once_and_linked_to_their_fields(alice: User, customer: Customer) -> None:
    text = pages.check(
        pages.signed_in(alice).post("/rma/new/", {**ANSWERS, "serial": "", "service": "", "stage": "check"})
    )
    assert '<a href="#id_serial">Enter the serial number.</a>' in text
    assert '<a href="#id_service_0">Choose calibration or repair.</a>' in text
    assert 'id="id_service_0"' in text and 'aria-describedby="id_serial_helptext id_serial_error"' in text
    assert pages.title(pages.signed_in(alice).post("/rma/new/", {"stage": "check"})).startswith("Error: ")


@pytest.mark.parametrize("field", ["fault", "accessories", "customer_reference", "contact_name", "return_street"])
def test_a_card_number_is_refused_wherever_it_is_written(alice: User, customer: Customer, field: str) -> None:
    text = pages.check(
        pages.signed_in(alice).post("/rma/new/", {**ANSWERS, field: "4111 1111 1111 1111", "stage": "send"})
    )
    assert "This looks like a card number." in text
    assert not RMA.objects.exists()


def test_an_instrument_of_somebody_else_is_refused_without_saying_whose(
    alice: User, bob: User, customer: Customer
) -> None:
    an_rma(customer, serial=ANSWERS["serial"])
    text = pages.check(pages.signed_in(bob).post("/rma/new/", {**ANSWERS, "stage": "send"}))
    assert "We cannot take this serial number in online" in text
    assert RMA.objects.count() == 1


def test_a_return_of_ones_own_that_is_open_is_named_before_the_answers_are_checked_and_nobody_elses(
    alice: User, bob: User, customer: Customer
) -> None:
    rma = an_rma(customer, serial=ANSWERS["serial"])
    text = pages.check(pages.signed_in(alice).post("/rma/new/", {**ANSWERS, "stage": "check"}))
    assert f"Your return {rma.number} for this instrument is open." in text and "Check your answers" not in text
    text = pages.check(pages.signed_in(bob).post("/rma/new/", {**ANSWERS, "stage": "check"}))
    assert rma.number not in text and "Check your answers" in text


@pytest.mark.parametrize("part", ["", "step/", "message/"])
def test_bob_gets_404_for_a_return_of_alice(bob: User, customer: Customer, part: str) -> None:
    rma = an_rma(customer)
    browser = pages.signed_in(bob)
    answer = (
        browser.post(f"/rma/{rma.pk}/{part}", {"to": "cancelled", "text": "hello"})
        if part
        else browser.get(f"/rma/{rma.pk}/")
    )
    pages.check(answer, status=404)
    rma.refresh_from_db()
    assert rma.state == "requested" and not rma.thread.exists()


def sent_by(text: str) -> dict[str, str]:
    """Return what the form of a check page sends."""
    return dict(re.findall(r'<input type="hidden" name="(to|seen)" value="([^"]*)"', text))


def test_a_quote_is_accepted_by_a_post_only_after_a_page_that_says_what_it_means(
    alice: User, customer: Customer
) -> None:
    rma = moved(moved(an_rma(customer), "authorised", "received"), "quoted", quote=Decimal("350"))
    browser = pages.signed_in(alice)
    step = f"/rma/{rma.pk}/step/"
    assert f'href="{step}?to=approved"' in pages.check(browser.get(f"/rma/{rma.pk}/"))
    text = pages.check(browser.get(f"{step}?to=approved"))
    assert "You order the work for USD 350.00." in text and f'href="/rma/{rma.pk}/">Back' in text
    rma.refresh_from_db()
    assert rma.state == "quoted"
    browser.post(step, sent_by(text))
    rma.refresh_from_db()
    assert rma.state == "approved"


def test_a_quote_that_has_changed_since_it_was_read_is_not_accepted(alice: User, customer: Customer) -> None:
    rma = moved(moved(an_rma(customer), "authorised", "received"), "quoted", quote=Decimal("350"))
    browser, step = pages.signed_in(alice), f"/rma/{rma.pk}/step/"
    seen = sent_by(browser.get(f"{step}?to=approved").text)
    moved(moved(rma, "on_hold"), "quoted", quote=Decimal("990"))
    text = pages.check(browser.post(step, seen))
    assert "has changed since you opened this page" in text and "USD 990.00" in text
    rma.refresh_from_db()
    assert rma.state == "quoted"
    browser.post(step, sent_by(text))
    rma.refresh_from_db()
    assert rma.state == "approved"


@pytest.mark.parametrize("data", [{"to": "approved"}, {"to": "cancelled", "seen": ""}])
def test_a_step_without_the_page_before_it_is_asked_about_once_more(
    alice: User, customer: Customer, data: dict[str, str]
) -> None:
    rma = moved(moved(an_rma(customer), "authorised", "received"), "quoted", quote=Decimal("350"))
    assert "Nothing has been done yet." in pages.check(pages.signed_in(alice).post(f"/rma/{rma.pk}/step/", data))
    rma.refresh_from_db()
    assert rma.state == "quoted"


def test_who_cancels_after_accepting_the_quote_reads_what_ends_and_may_go_back(alice: User, customer: Customer) -> None:
    rma = moved(moved(an_rma(customer), "authorised", "received"), "quoted", quote=Decimal("350"))
    rma = moved(rma, "approved")
    browser, step = pages.signed_in(alice), f"/rma/{rma.pk}/step/"
    text = pages.check(browser.get(f"{step}?to=cancelled"))
    assert "The quote of USD 350.00 was accepted: it ends" in text
    assert "we send it back to you" in text and "cannot be taken up again" in text
    rma.refresh_from_db()
    assert rma.state == "approved"
    browser.post(step, sent_by(text))
    rma.refresh_from_db()
    assert rma.state == "cancelled"


def test_who_cancels_before_the_instrument_is_sent_reads_not_to_send_it(alice: User, customer: Customer) -> None:
    rma = moved(an_rma(customer), "authorised")
    text = pages.check(pages.signed_in(alice).get(f"/rma/{rma.pk}/step/?to=cancelled"))
    assert "Please do not send the instrument." in text and "quote" not in text.partition("<main")[2]


def test_a_step_that_is_not_the_customers_changes_nothing_and_says_so(alice: User, customer: Customer) -> None:
    rma = an_rma(customer)
    text = pages.check(pages.signed_in(alice).post(f"/rma/{rma.pk}/step/", {"to": "verified"}, follow=True))
    assert "no longer possible" in text
    rma.refresh_from_db()
    assert rma.state == "requested"


def test_a_message_to_the_laboratory_is_kept_and_shown(alice: User, customer: Customer) -> None:
    rma = an_rma(customer)
    text = pages.check(
        pages.signed_in(alice).post(f"/rma/{rma.pk}/message/", {"text": "When will it be ready?"}, follow=True)
    )
    assert "When will it be ready?" in text
    empty = pages.check(pages.signed_in(alice).post(f"/rma/{rma.pk}/message/", {"text": ""}))
    assert "Write a message." in empty


def test_a_finished_return_takes_no_message(alice: User, customer: Customer) -> None:
    rma = moved(an_rma(customer), "rejected")
    text = pages.check(pages.signed_in(alice).post(f"/rma/{rma.pk}/message/", {"text": "hello"}, follow=True))
    assert "This return is closed" in text


def test_a_list_of_30_returns_costs_as_many_queries_as_a_list_of_one(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice)

    def queries() -> int:
        browser.get("/rma/")
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            assert browser.get("/rma/").status_code == 200
        return len(main) + len(keys)

    an_rma(customer, date(2026, 11, 1))
    one = queries()
    for _ in range(29):
        an_rma(customer)
    assert queries() == one


def test_a_certificate_is_shown_to_whoever_sent_the_instrument_and_names_nobody(
    alice: User, bob: User, customer: Customer
) -> None:
    rma = moved(an_rma(customer), "authorised", "received", "in_service", "verified")
    result = {
        "quantity": "illuminance",
        "unit": "lx",
        "nominal": "1000",
        "as_found": "911",
        "as_left": "1000.4",
        "uncertainty": "12",
    }
    issued = services.issue_certificate(
        rma,
        procedure="ILT-CP-102",
        calibrated_on=date(2026, 11, 5),
        results=[result],
        actor=TASK,
        now=noon(date(2026, 11, 5)),
    )
    browser = pages.signed_in(alice)
    assert f"/rma/certificates/{issued.number}/" in pages.check(browser.get(f"/rma/{rma.pk}/"))
    text = pages.check(browser.get(f"/rma/certificates/{issued.number}/"))
    assert "1000.4" in text and rma.instrument.serial in text and "Archer" not in text
    pages.check(pages.signed_in(bob).get(f"/rma/certificates/{issued.number}/"), status=404)


def test_who_is_to_send_an_instrument_reads_where_to_and_nothing_is_promised_that_no_letter_tells(
    alice: User, customer: Customer, settings: Any
) -> None:
    rma, browser = an_rma(customer), pages.signed_in(alice)
    text = pages.check(browser.get(f"/rma/{rma.pk}/"))
    assert "This page says when the return is authorised" in text and "we send you" not in text.lower()
    moved(rma, "authorised")
    text = pages.check(browser.get(f"/rma/{rma.pk}/"))
    assert f"send it to {settings.COMPANY['name']}, {settings.COMPANY['address']}." in text
