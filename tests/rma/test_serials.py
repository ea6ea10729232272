"""A serial number stands readable; what a customer wrote instead is sealed until service settles it (C6)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from accounts.models import Customer, User
from ilt_site import bounds
from ilt_site.management.commands import prepare
from privacy import gate, vault
from privacy.audit import AuditEvent
from privacy.gate import Refused
from privacy.requests import contents
from privacy.vault.keystore import keys
from rma import serials, services
from rma.models import RMA, Certificate, Instrument, Ownership
from tests import factories, pages
from tests.accounts.test_regions import plain
from tests.factories import CAROL, DAN, a_customer, an_instrument, an_rma, as_customer, moved, noon
from tests.rma.test_erasure import erase
from tests.rma.test_services import certify, verified
from tests.rma.test_views import ANSWERS

pytestmark = pytest.mark.django_db(databases="__all__")

State = RMA.State
NOW = noon(date(2026, 11, 6))
TYPED = "ask Mrs Archer, Elm Street 12"


def written(customer: Customer, text: str = TYPED, **data: Any) -> RMA:
    """A return whose customer wrote something instead of a serial number."""
    instrument, typed = serials.named(typed=text, model_name="ILT2400")
    return services.open_rma(
        customer=customer, instrument=instrument, service="repair", channel="web", contact={"contact_name": "Alice"},
        serial_typed=typed, actor=as_customer(customer), now=noon(date(2026, 11, 2)), **data,
    )  # fmt: skip


def typed(rma: RMA) -> Any:
    with vault.internal():
        return RMA.objects.get(pk=rma.pk).serial_typed


@pytest.fixture
def alice() -> Customer:
    return a_customer()


# The rule -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("ILT2400-01234", "ILT2400-01234"),
        (" ilt2400-01234 ", "ILT2400-01234"),
        ("7", "7"),
        ("A/1.2-B", "A/1.2-B"),
        ("-/.9", "-/.9"),
        ("A1234567890123456789", "A1234567890123456789"),
        ("A12345678901234567890", ""),
        ("ALICE", ""),
        ("SN 12", ""),
        ("SN_12", ""),
        ("１２３", ""),
        ("12\n", "12"),
        ("1\n2", ""),
        ("4242424242424242", ""),
        ("", ""),
    ],
)
def test_a_serial_number_has_a_digit_and_at_most_twenty_signs(text: str, number: str) -> None:
    assert serials.read(text) == number


def test_the_database_knows_the_same_rule() -> None:
    for number, text in enumerate(["ILT2400-01234", "-/.9", "A1234567890123456789"]):
        Instrument.objects.create(model_name=f"ILT{number}", serial=text)
    left = [
        Instrument.objects.create(model_name="ILT9", serial=text) for text in ("A" * 20, "1" * 21, "sn1", "S 1", "1\n")
    ]
    assert list(serials.unsettled().order_by("pk")) == left
    for _ in range(2):
        Instrument.objects.create(model_name="ILT9")
    assert serials.unsettled().count() == 5, "those without a number are settled"


# Opening ------------------------------------------------------------------------------------------------------------


def test_what_is_no_serial_number_is_sealed_with_the_return(alice: Customer) -> None:
    rma = written(alice)
    assert (rma.instrument.serial, rma.is_serial_open) == (None, True)
    assert Ownership.objects.get().instrument == rma.instrument
    assert typed(rma) == TYPED
    for model in (RMA, Instrument):
        assert not any("Archer" in value for value in plain(model))


def test_a_return_that_is_refused_leaves_no_instrument_behind(alice: Customer) -> None:
    with pytest.raises(ValidationError):
        written(alice, fault="4242 4242 4242 4242")
    assert not Instrument.objects.exists()


def test_the_same_words_of_two_customers_are_two_instruments(alice: Customer) -> None:
    bob = a_customer()
    one, other, third = written(alice, "none"), written(bob, "none"), written(alice, "none")
    assert len({one.instrument_id, other.instrument_id, third.instrument_id}) == 3


def test_the_portal_takes_it_and_tells_the_person_what_happens() -> None:
    alice = factories.login()
    factories.customer(user=alice)
    browser = pages.signed_in(alice)
    text = pages.check(browser.post("/rma/new/", {**ANSWERS, "serial": "worn off", "stage": "check"}))
    assert "worn off" in text
    browser.post("/rma/new/", {**ANSWERS, "serial": "worn off", "stage": "send"})
    rma = RMA.objects.get()
    text = pages.check(browser.get(f"/rma/{rma.pk}/"))
    assert "serial number to be looked at" in text and "You wrote: worn off." in text
    assert "serial number to be looked at" in pages.check(browser.get("/rma/"))
    serials.settle(rma, serial="", actor=DAN, now=NOW)
    text = pages.check(browser.get(f"/rma/{rma.pk}/"))
    assert "without a serial number" in text and "worn off" not in text


def test_a_card_number_is_refused_and_a_number_on_file_found(alice: Customer) -> None:
    with pytest.raises(ValidationError):
        written(alice, "4242424242424242")
    known = an_instrument("ILT2400-0001")
    assert serials.named(typed="ilt2400-0001 ", model_name="ILT2400") == (known, "")


def test_a_copy_tells_what_was_written(alice: Customer) -> None:
    written(alice)
    with gate.acting(factories.acting_as(alice)):
        found = [row.values for kind in contents.kinds(alice.subject_id) for row in contents.rows(kind, {})]
    told = [values["Serial number as you wrote it"] for values in found if "Serial number as you wrote it" in values]
    assert told == [TYPED]


# Settling -----------------------------------------------------------------------------------------------------------


def test_service_enters_the_number_and_what_was_written_goes(
    alice: Customer, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        rma = written(alice, fault="Stays dark.")
    before = Instrument.objects.get()
    old = bytes(RMA.objects.get().sealed_rma_note)
    with django_capture_on_commit_callbacks(execute=True):
        serials.settle(rma, serial="ilt2400-7", actor=DAN, now=NOW)
    rma = RMA.objects.get()
    assert (rma.instrument, rma.instrument.serial, rma.is_serial_open, typed(rma)) == (before, "ILT2400-7", False, "")
    number = vault.envelope.key_id(old)
    assert isinstance(keys.load([(number, rma.pk, "rma_note")])[number], vault.Erased), "no backup tells it any more"
    with vault.internal():
        assert rma.fault == "Stays dark."
    event = AuditEvent.objects.get(action="rma.serial_settled")
    assert event.reason == "number" and "ILT2400-7" not in str(vars(event)) and "Archer" not in str(vars(event))
    with pytest.raises(serials.SerialSettled):
        serials.settle(rma, serial="ILT2400-8", actor=DAN, now=NOW)


def test_a_number_on_file_joins_the_histories(alice: Customer) -> None:
    known = an_rma(alice, serial="SN-7", service="calibration")
    certificate = certify(verified(known))
    moved(known, State.SHIPPED_BACK, State.CLOSED, on=date(2026, 11, 9))
    rma = written(alice)
    serials.settle(rma, serial="SN-7", actor=DAN, now=NOW)
    assert RMA.objects.get(pk=rma.pk).instrument == known.instrument
    assert list(Instrument.objects.all()) == [known.instrument]
    assert list(Ownership.objects.values_list("customer", "until_on")) == [(alice.pk, None)]
    assert list(Certificate.objects.history_of(known.instrument)) == [certificate]


def test_an_instrument_nobody_owns_becomes_the_customers(alice: Customer) -> None:
    known = an_instrument("SN-7")
    rma = written(alice)
    serials.settle(rma, serial="SN-7", actor=DAN, now=NOW)
    assert list(Ownership.objects.values_list("instrument", "customer", "until_on")) == [(known.pk, alice.pk, None)]


def test_an_instrument_of_somebody_else_is_taken_over_only_when_service_says_so(alice: Customer) -> None:
    bob = a_customer()
    theirs = moved(an_rma(bob, serial="SN-7"), State.REJECTED)
    rma = written(alice)
    with pytest.raises(services.InstrumentRefused, match="registered to somebody else"):
        serials.settle(rma, serial="SN-7", actor=DAN, now=NOW)
    assert RMA.objects.get(pk=rma.pk).is_serial_open and typed(rma) == TYPED
    serials.settle(rma, serial="SN-7", is_sold_on=True, actor=DAN, now=NOW)
    assert RMA.objects.get(pk=rma.pk).instrument == theirs.instrument
    found = Ownership.objects.order_by("from_on", "pk").values_list("customer", "until_on")
    assert list(found) == [(bob.pk, date(2026, 11, 6)), (alice.pk, None)]


def test_an_instrument_with_an_open_return_is_not_joined(alice: Customer) -> None:
    an_rma(alice, serial="SN-7")
    with pytest.raises(services.InstrumentRefused, match="Another return is open"):
        serials.settle(written(alice), serial="SN-7", actor=DAN, now=NOW)
    assert Instrument.objects.count() == 2


def test_only_service_settles_and_nothing_but_a_serial_number(alice: Customer) -> None:
    rma = written(alice)
    for actor in (CAROL, as_customer(alice)):
        with pytest.raises(Refused):
            serials.settle(rma, serial="SN-7", actor=actor, now=NOW)
    with pytest.raises(ValidationError) as refused:
        serials.settle(rma, serial="MRS ARCHER", actor=DAN, now=NOW)
    assert refused.value.message_dict == {
        "serial": ["A serial number has at most 20 letters, digits, dots, dashes or slashes, and at least one digit."]
    }
    assert Instrument.objects.get().serial is None


def test_a_certificate_waits_for_the_serial_number(alice: Customer) -> None:
    rma = verified(written(alice))
    with pytest.raises(services.CertificateRefused, match="not settled"):
        certify(rma)
    serials.settle(rma, serial="", actor=DAN, now=NOW)
    assert str(certify(rma).instrument) == "ILT2400 without a serial number"


def test_an_erasure_takes_what_was_written_and_the_question_with_it(alice: Customer) -> None:
    rma = moved(written(alice), State.CANCELLED)
    erase(alice)
    rma.refresh_from_db()
    assert (rma.is_serial_open, rma.sealed_rma_note) == (False, None)
    assert not serials.to_settle().exists()


# The page of service ------------------------------------------------------------------------------------------------


def at_work(role: str) -> User:
    return factories.staff(role, f"{role}@ilt.example", roles=(role,))


def test_service_finds_it_on_the_front_page_and_settles_it_on_a_page_of_its_own(alice: Customer) -> None:
    carol = pages.signed_in(at_work("service"))
    front = carol.get("/admin/").text
    assert "Serial numbers to settle" in front and front.count("Nothing waits.") >= 2
    rma = written(alice)
    assert carol.get("/admin/").text.count(rma.number) == 2
    listed = carol.get(f"{reverse('admin:rma_rma_changelist')}?is_serial_open__exact=1").text
    assert rma.number in listed
    step = reverse("admin:rma_rma_step", args=[rma.pk, "serial"])
    text = carol.get(step).text
    assert TYPED in text and "What the customer wrote is then removed." in text
    for nothing in ({}, {"serial": "SN-7", "has_none": "on"}):
        text = carol.post(step, nothing).text
        assert "Enter the serial number, or tick that the instrument has none." in text
        assert '<div class="errornote" role="alert" tabindex="-1" autofocus>' in text
        assert '<a href="#id_serial">Serial number: Enter the serial number' in text, "the mistake leads to its field"
    assert text.index('name="has_none"') < text.index('<label for="id_has_none">'), "the box stands before its words"
    text = carol.post(step, {"serial": "Mrs Archer"}).text
    assert "A serial number has at most 20 letters" in text and typed(rma) == TYPED
    assert carol.post(step, {"serial": "sn-7"}).status_code == 302
    assert RMA.objects.get().instrument.serial == "SN-7"
    assert "Settle the serial number" not in carol.get(reverse("admin:rma_rma_change", args=[rma.pk])).text


def test_what_waits_stands_before_what_does_not(alice: Customer) -> None:
    moved(written(alice), State.CANCELLED)
    front = pages.signed_in(at_work("service")).get("/admin/").text
    assert front.index("Serial numbers to settle") < front.index("Open returns") < front.index("Nothing waits.")


def test_a_step_and_a_state_speak_to_the_desk_and_not_to_the_customer(alice: Customer) -> None:
    carol = pages.signed_in(at_work("service"))
    rma = moved(written(alice), State.AUTHORISED, State.RECEIVED)
    page = carol.get(reverse("admin:rma_rma_change", args=[rma.pk])).text
    assert ">Quote a price</a>" in page and "→" not in page
    assert ">From</th>" in page and ">By</th>" in page and "Actor kind" not in page
    moved(rma, State.QUOTED, quote=Decimal(480))
    front = carol.get("/admin/").text
    assert "quoted: waiting for the customer&#x27;s approval" in front and "your approval" not in front
    listed = carol.get(reverse("admin:rma_rma_changelist")).text
    assert listed.count("Quoted: waiting for the customer&#x27;s approval") == 2, "as the filter has it"


def test_sales_and_privacy_settle_nothing(alice: Customer) -> None:
    rma = written(alice)
    for role in ("sales", "privacy"):
        browser = pages.signed_in(at_work(role))
        assert "Serial numbers to settle" not in browser.get("/admin/").text
        step = reverse("admin:rma_rma_step", args=[rma.pk, "serial"])
        assert browser.post(step, {"serial": "SN-7"}).status_code == 302
    assert RMA.objects.get().is_serial_open
    sales = pages.signed_in(factories.staff("dora", "dora@ilt.example", roles=("sales",)))
    assert "Archer" not in sales.get(reverse("admin:rma_rma_change", args=[rma.pk])).text


# Serial numbers of before -------------------------------------------------------------------------------------------


def of_before(rma: RMA, text: str) -> RMA:
    Instrument.objects.filter(pk=rma.instrument_id).update(serial=text)
    return rma


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_rows_of_the_version_before_come_through_the_migration_and_are_settled_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice = a_customer()
    rows = [an_rma(alice, serial=f"SN-{n}") for n in range(5)]
    before = MigrationExecutor(connection)
    before.migrate([("rma", "0004_days")])
    texts = ["SN-0", "MRS.ARCHER", "ELM-STREET", "A" * 20 + "1", "sn-4"]
    try:
        with connection.cursor() as cursor:
            for rma, text in zip(rows, texts, strict=True):
                cursor.execute("UPDATE rma_instrument SET serial = %s WHERE id = %s", [text, rma.instrument_id])
    finally:
        MigrationExecutor(connection).migrate(before.loader.graph.leaf_nodes())
        bounds.settle()
    warning = "Texts that are no serial numbers stand readable in the register of instruments."
    assert [one.msg for one in serials.serials_left(databases=["default"])] == [warning]

    settle, calls = serials._settle_old, []

    def then_killed(ids: Any) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(settle(ids))
        return calls[0]

    monkeypatch.setattr(serials, "_settle_old", then_killed)
    with pytest.raises(KeyboardInterrupt):
        serials.settle_old(batch=1)
    assert serials.unsettled().count() == 3
    monkeypatch.setattr(serials, "_settle_old", settle)
    assert serials.settle_old(batch=1) == [] and serials.settle_old() == []

    assert serials.serials_left(databases=["default"]) == []
    assert [RMA.objects.get(pk=one.pk).instrument.serial for one in rows] == ["SN-0", None, None, None, "SN-4"]
    assert [typed(one) for one in rows] == ["", *texts[1:4], ""]
    assert serials.to_settle().count() == 3
    assert not {"MRS.ARCHER", "ELM-STREET"} & plain(Instrument)


def test_the_text_waits_in_the_last_return_that_still_holds_anything(alice: Customer) -> None:
    first = moved(an_rma(alice, date(2026, 10, 1), serial="SN-7"), State.REJECTED)
    second = moved(an_rma(alice, date(2026, 11, 1), serial="SN-7"), State.REJECTED)
    third = an_rma(alice, date(2026, 11, 2), serial="SN-7")
    of_before(third, "MRS.ARCHER")
    keys.destroy([(third.pk, "rma_note")], now=NOW)
    assert serials.settle_old() == []
    assert [typed(one) for one in (first, second)] == ["", "MRS.ARCHER"]
    assert not RMA.objects.get(pk=third.pk).is_serial_open
    serials.settle(second, serial="", actor=DAN, now=NOW)
    assert not serials.to_settle().exists()


def test_a_text_without_a_return_that_holds_anything_goes(alice: Customer) -> None:
    rma = moved(an_rma(alice, date(2011, 1, 1), serial="SN-7"), State.CANCELLED, on=date(2011, 1, 1))
    erase(alice)
    of_before(rma, "MRS.ARCHER")
    assert serials.settle_old() == []
    after = RMA.objects.get()
    assert (after.instrument.serial, after.is_serial_open, after.sealed_rma_note) == (None, False, None)


def test_two_spellings_of_one_number_stay_two_until_service_joins_them(alice: Customer) -> None:
    fine, other = an_rma(alice, serial="SN-7"), an_rma(alice, serial="SN-8")
    of_before(other, "sn-7")
    assert serials.settle_old() == []
    assert typed(other) == "sn-7" and Instrument.objects.get(pk=other.instrument_id).serial is None
    moved(fine, State.REJECTED)
    serials.settle(other, serial="sn-7", actor=DAN, now=NOW)
    assert RMA.objects.get(pk=other.pk).instrument_id == fine.instrument_id


def test_prepare_settles_them(monkeypatch: pytest.MonkeyPatch, alice: Customer) -> None:
    monkeypatch.setattr(prepare, "call_command", lambda *args, **options: None)
    rma = of_before(an_rma(alice), "MRS.ARCHER")
    call_command("prepare")
    assert typed(rma) == "MRS.ARCHER" and not serials.unsettled().exists()
