"""A return's life: who may take which step, what is kept of it, and that an instrument never tells its owners."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from privacy import vault
from privacy.audit import AuditEvent
from privacy.gate import Refused
from rma import services
from rma.models import RMA, Certificate, Instrument, Ownership, RMAEvent, RMANote
from tests.factories import (
    CAROL,
    DAN,
    ERIN,
    TASK,
    a_customer,
    an_instrument,
    an_order,
    an_rma,
    as_customer,
    moved,
    noon,
)

pytestmark = pytest.mark.django_db
State = RMA.State
RESULTS = [
    {"quantity": "illuminance", "unit": "lx", "nominal": 100, "as_found": "101.3", "as_left": Decimal("100.1"),
     "uncertainty": 1.2}
]  # fmt: skip


def verified(rma: RMA) -> RMA:
    return moved(rma, State.AUTHORISED, State.RECEIVED, State.IN_SERVICE, State.VERIFIED)


def certify(rma: RMA, **data):
    defaults = {"procedure": "ILT-CP-102", "calibrated_on": date(2026, 11, 6), "results": RESULTS, "actor": DAN}
    return services.issue_certificate(rma, **{**defaults, "now": noon(date(2026, 11, 7)), **data})


def test_a_return_is_opened_with_its_history_and_the_instrument_becomes_the_customers() -> None:
    alice = a_customer()
    rma = an_rma(alice, serial="ilt2400-0001", actor=as_customer(alice), accessories="Charger")
    assert (rma.state, rma.number[:9], rma.instrument.serial) == ("requested", "RMA-2026-", "ILT2400-0001")
    with vault.internal():
        assert (rma.fault, rma.accessories, rma.return_city) == ("Display stays dark.", "Charger", "Gloucester")
    assert list(RMAEvent.objects.values_list("from_state", "to_state", "actor_kind")) == [("", "requested", "customer")]
    assert Ownership.objects.get().customer == alice
    assert list(AuditEvent.objects.filter(action__startswith="rma").values_list("action", flat=True)) == ["rma.opened"]


def test_the_whole_way_to_the_end_is_written_down() -> None:
    alice = a_customer()
    rma = an_rma(alice)
    rma = moved(rma, State.AUTHORISED)
    rma = services.transition(rma, State.IN_TRANSIT, actor=as_customer(alice), now=noon(date(2026, 11, 4)))
    rma = moved(rma, State.RECEIVED, on=date(2026, 11, 6))
    rma = moved(rma, State.QUOTED, quote=Decimal("480"))
    rma = services.transition(rma, State.APPROVED, actor=as_customer(alice), now=noon(date(2026, 11, 7)))
    rma = moved(rma, State.IN_SERVICE, State.VERIFIED)
    assert rma.is_here
    rma = moved(rma, State.SHIPPED_BACK, on=date(2026, 11, 10))
    assert (rma.is_open, rma.is_here) == (True, False)
    rma = moved(rma, State.CLOSED, on=date(2026, 11, 20))
    assert (rma.received_on, rma.shipped_on, rma.closed_on, rma.quote) == (
        date(2026, 11, 6),
        date(2026, 11, 10),
        date(2026, 11, 20),
        Decimal(480),
    )
    assert [event.to_state for event in rma.events.all()] == [
        "requested", "authorised", "in_transit", "received", "quoted", "approved", "in_service", "verified",
        "shipped_back", "closed",
    ]  # fmt: skip
    assert {event.actor_kind for event in rma.events.filter(to_state__in=["in_transit", "approved"])} == {"customer"}


@pytest.mark.parametrize("to", [State.RECEIVED, State.CLOSED, State.APPROVED, "nonsense", ""])
def test_a_step_that_the_table_does_not_have_is_refused(to: str) -> None:
    rma = an_rma(a_customer())
    with pytest.raises(services.TransitionRefused):
        services.transition(rma, to, actor=DAN, now=noon(date(2026, 11, 5)))
    rma.refresh_from_db()
    assert (rma.state, rma.events.count()) == ("requested", 1)


def test_a_customer_does_not_take_the_laboratorys_steps() -> None:
    alice = a_customer()
    rma = an_rma(alice)
    with pytest.raises(services.TransitionRefused):
        services.transition(rma, State.AUTHORISED, actor=as_customer(alice), now=noon(date(2026, 11, 5)))


def test_the_database_decides_not_an_old_copy_in_memory() -> None:
    old = an_rma(a_customer())
    moved(old, State.REJECTED)
    with pytest.raises(services.TransitionRefused):
        services.transition(old, State.AUTHORISED, actor=DAN, now=noon(date(2026, 11, 6)))


def test_bob_opens_moves_and_notes_nothing_of_alices() -> None:
    alice, bob = a_customer(), a_customer()
    rma = an_rma(alice)
    theirs = as_customer(bob)
    with pytest.raises(Refused):
        services.transition(rma, State.CANCELLED, actor=theirs, now=noon(date(2026, 11, 5)))
    with pytest.raises(Refused):
        services.add_note(rma, text="Hello", actor=theirs, now=noon(date(2026, 11, 5)))
    with pytest.raises(Refused):
        an_rma(alice, actor=theirs)
    with pytest.raises(Refused):
        an_rma(bob, order=an_order(alice), actor=theirs)
    with pytest.raises(Refused):
        services.transfer(rma.instrument, customer=bob, actor=theirs, now=noon(date(2026, 11, 5)))
    for model in (RMA, RMANote, Ownership, Instrument, Certificate):
        assert not model.objects.for_subject(bob.subject_id).exists()
        assert not model.objects.for_subject(None).exists()


@pytest.mark.parametrize("actor", [ERIN, CAROL])
def test_only_the_laboratory_issues_certificates(actor) -> None:
    rma = verified(an_rma(a_customer(), service="calibration"))
    with pytest.raises(Refused):
        certify(rma, actor=actor)


def test_a_quote_within_the_limit_is_approved_at_once() -> None:
    rma = an_rma(a_customer(), cost_limit=Decimal(500))
    rma = moved(rma, State.AUTHORISED, State.RECEIVED)
    rma = moved(rma, State.QUOTED, quote=Decimal(500))
    assert rma.state == State.APPROVED
    assert rma.events.last().reason == RMAEvent.Reason.WITHIN_LIMIT
    dear = an_rma(a_customer(), cost_limit=Decimal(500))
    dear = moved(moved(dear, State.AUTHORISED, State.RECEIVED), State.QUOTED, quote=Decimal("500.01"))
    assert dear.state == State.QUOTED


def test_a_quote_needs_an_amount() -> None:
    rma = moved(an_rma(a_customer()), State.AUTHORISED, State.RECEIVED)
    with pytest.raises(services.TransitionRefused):
        moved(rma, State.QUOTED)


def test_cancelling_before_it_is_here_ends_it_and_afterwards_it_goes_back_first() -> None:
    alice = a_customer()
    early = services.transition(
        an_rma(alice), State.CANCELLED, actor=as_customer(alice), now=noon(date(2026, 11, 5)), reason="by_request"
    )
    assert early.closed_on == date(2026, 11, 5)
    late = moved(an_rma(alice), State.AUTHORISED, State.RECEIVED)
    late = services.transition(late, State.CANCELLED, actor=as_customer(alice), now=noon(date(2026, 11, 6)))
    assert late.is_open
    late = moved(late, State.SHIPPED_BACK, State.CLOSED, on=date(2026, 11, 9))
    assert late.closed_on == date(2026, 11, 9)


def test_the_history_takes_no_free_text() -> None:
    with pytest.raises(services.TransitionRefused):
        moved(an_rma(a_customer()), State.AUTHORISED, reason="Ms Whitfield called")
    assert not any(type(field).__name__ == "TextField" for field in RMAEvent._meta.get_fields())


def test_notes_are_sealed_and_say_who_wrote_them() -> None:
    alice = a_customer()
    rma = an_rma(alice)
    services.add_note(rma, text="Any news?", actor=as_customer(alice), now=noon(date(2026, 11, 5)))
    services.add_note(rma, text="Tomorrow.", actor=DAN, now=noon(date(2026, 11, 6)))
    with vault.internal():
        assert [(note.author, note.text) for note in RMANote.objects.for_subject(alice.subject_id)] == [
            ("customer", "Any news?"),
            ("staff", "Tomorrow."),
        ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed_rma_note FROM rma_rmanote")
        sealed = [bytes(row[0]) for row in cursor.fetchall()]
    assert len(sealed) == 2
    assert not any(word in row for row in sealed for word in (b"news", b"Tomorrow"))


@pytest.mark.parametrize("text", ["", "x" * 4001, "My card is 4242 4242 4242 4242", "cvv: 123"])
def test_a_note_that_should_not_be_kept_is_refused(text: str) -> None:
    rma = an_rma(a_customer())
    with pytest.raises(ValidationError) as refused:
        services.add_note(rma, text=text, actor=DAN, now=noon(date(2026, 11, 5)))
    assert "4242" not in str(refused.value)
    assert RMANote.objects.count() == 0


def test_a_finished_return_takes_no_note() -> None:
    rma = moved(an_rma(a_customer()), State.REJECTED)
    with pytest.raises(services.TransitionRefused):
        services.add_note(rma, text="Hello", actor=DAN, now=noon(date(2026, 11, 5)))


def test_a_card_number_stands_in_no_field_of_a_return() -> None:
    for data in ({"fault": "4242 4242 4242 4242"}, {"accessories": "4242424242424242"}):
        with pytest.raises(ValidationError):
            an_rma(a_customer(), **data)
    for serial in ("4242424242424242", "Alice Whitfield", "ALICE@X.EXAMPLE", "<SCRIPT>"):
        with pytest.raises(ValidationError):
            an_instrument(serial)
    with pytest.raises(ValidationError):
        services.find_instrument(serial="SN-1", model_name="Alice Whitfield")


def test_an_instrument_with_an_open_return_or_another_owner_is_refused_in_the_same_words() -> None:
    alice, bob = a_customer(), a_customer()
    an_rma(alice, serial="SN-OPEN-1")
    moved(an_rma(alice, serial="SN-OWNED-1"), State.REJECTED)
    told = set()
    for customer, serial in ((alice, "SN-OPEN-1"), (bob, "SN-OPEN-1"), (bob, "SN-OWNED-1")):
        with pytest.raises(services.InstrumentRefused) as refused:
            an_rma(customer, serial=serial, actor=as_customer(customer))
        told.add(str(refused.value))
    assert len(told) == 1
    assert an_rma(alice, serial="SN-OWNED-1").is_open


# Instruments outlive their owners ------------------------------------------------------------------------------------


def test_the_next_owner_sees_the_history_and_never_the_previous_owner() -> None:
    alice, bob = a_customer(), a_customer(first_name="Bob")
    instrument = an_instrument("SN-7")
    rma = verified(an_rma(alice, serial="SN-7", service="calibration"))
    certificate = certify(rma)
    moved(rma, State.SHIPPED_BACK, State.CLOSED, on=date(2026, 11, 9))
    services.transfer(instrument, customer=bob, actor=CAROL, now=noon(date(2026, 11, 10)))

    assert list(Instrument.objects.for_subject(bob.subject_id)) == [instrument]
    assert list(Certificate.objects.history_of(instrument)) == [certificate]
    assert not Certificate.objects.for_subject(bob.subject_id).exists()
    assert not RMA.objects.for_subject(bob.subject_id).exists()
    assert Ownership.objects.for_subject(bob.subject_id).count() == 1
    assert not Instrument.objects.for_subject(alice.subject_id).exists()
    assert Ownership.objects.get(customer=alice).until_on == date(2026, 11, 10)
    assert an_rma(bob, serial="SN-7", actor=as_customer(bob)).is_open


def test_an_ownership_ends_without_touching_the_instrument() -> None:
    alice = a_customer()
    Ownership.objects.create(instrument=an_instrument("SN-7"), customer=alice, from_on=date(2020, 1, 1))
    alice.delete()
    assert (Instrument.objects.count(), Ownership.objects.count()) == (1, 0)


def test_a_transfer_to_the_owner_of_today_changes_nothing() -> None:
    alice, instrument = a_customer(), an_instrument("SN-7")
    first = services.transfer(instrument, customer=alice, actor=TASK, now=noon(date(2026, 1, 2)))
    assert services.transfer(instrument, customer=alice, actor=TASK, now=noon(date(2026, 1, 3))) == first
    assert Ownership.objects.get().from_on == date(2026, 1, 2)


def test_an_instrument_has_one_owner_at_a_time() -> None:
    instrument = an_instrument("SN-7")
    Ownership.objects.create(instrument=instrument, customer=a_customer(), from_on=date(2020, 1, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Ownership.objects.create(instrument=instrument, customer=a_customer(), from_on=date(2021, 1, 1))


# Certificates name nobody --------------------------------------------------------------------------------------------


def test_a_certificate_holds_numbers_and_follows_the_instrument() -> None:
    rma = verified(an_rma(a_customer(), service="calibration"))
    certificate = certify(rma)
    assert certificate.results == [
        {"quantity": "illuminance", "unit": "lx", "nominal": "100", "as_found": "101.3", "as_left": "100.1",
         "uncertainty": "1.2"}
    ]  # fmt: skip
    assert (certificate.instrument, certificate.revision, certificate.issued_on) == (
        rma.instrument,
        1,
        date(2026, 11, 7),
    )
    assert certificate.due_on == date(2027, 11, 6)


@pytest.mark.parametrize(
    "change",
    [
        {"results": []},
        {"results": [{**RESULTS[0], "quantity": "Alice Whitfield"}]},
        {"results": [{**RESULTS[0], "unit": "14 Harbor View Road"}]},
        {"results": [{**RESULTS[0], "as_left": "Alice"}]},
        {"results": [{**RESULTS[0], "as_left": "NaN"}]},
        {"results": [{**RESULTS[0], "as_left": "4242424242424242424242"}]},
        {"results": [{**RESULTS[0], "remark": "for Alice"}]},
        {"results": [{"quantity": "illuminance", "unit": "lx"}]},
        {"procedure": "by ear"},
        {"calibrated_on": date(2026, 11, 8)},
        {"calibrated_on": date(2026, 11, 4)},
    ],
)
def test_nothing_but_measured_numbers_stands_in_a_certificate(change) -> None:
    rma = verified(an_rma(a_customer()))
    with pytest.raises(services.CertificateRefused):
        certify(rma, **change)
    assert Certificate.objects.count() == 0


def test_a_certificate_comes_after_verification_and_once() -> None:
    rma = an_rma(a_customer())
    with pytest.raises(services.CertificateRefused):
        certify(rma)
    rma = verified(rma)
    certify(rma)
    with pytest.raises(services.CertificateRefused):
        certify(rma)


def test_a_revision_replaces_the_latest_and_keeps_the_old_one() -> None:
    rma = verified(an_rma(a_customer()))
    first = certify(rma)
    second = certify(rma, replaces=first)
    assert (second.revision, second.replaces) == (2, first)
    assert list(Certificate.objects.valid()) == [second]
    with pytest.raises(services.CertificateRefused):
        certify(rma, replaces=first)
    other = certify(verified(an_rma(a_customer())))
    with pytest.raises(services.CertificateRefused):
        certify(rma, replaces=other)


# Cost ----------------------------------------------------------------------------------------------------------------


def test_a_list_of_returns_costs_the_same_for_1_and_for_a_dozen() -> None:
    alice, costs = a_customer(), []
    for count in (1, 11):
        for _ in range(count):
            rma = verified(an_rma(alice))
            certify(rma)
            services.add_note(rma, text="Done.", actor=DAN, now=noon(date(2026, 11, 8)))
        with CaptureQueriesContext(connection) as main, vault.internal():
            for rma in RMA.objects.for_subject(alice.subject_id).recent_first().with_details():
                assert rma.fault
                assert rma.instrument.model_name == "ILT2400"
                assert len(rma.events.all()) == 5
                assert [note.text for note in rma.thread.all()] == ["Done."]
                assert len(rma.certificates.all()) == 1
        costs.append(len(main))
    assert costs == [4, 4]  # returns, history, notes, certificates


def test_the_work_of_a_quote_does_not_begin_before_it_is_accepted_by_way_of_a_hold_neither() -> None:
    rma = moved(an_rma(a_customer()), State.AUTHORISED, State.RECEIVED)
    rma = moved(moved(rma, State.QUOTED, quote=Decimal("350")), State.ON_HOLD)
    with pytest.raises(services.TransitionRefused):
        services.transition(rma, State.IN_SERVICE, actor=DAN, now=noon(date(2026, 11, 9)))
    rma = moved(moved(rma, State.QUOTED, quote=Decimal("350")), State.APPROVED, State.ON_HOLD, State.IN_SERVICE)
    assert rma.state == State.IN_SERVICE
    held = moved(an_rma(a_customer()), State.AUTHORISED, State.RECEIVED, State.ON_HOLD, State.IN_SERVICE)
    assert held.state == State.IN_SERVICE, "without a quote there is nothing to accept"
