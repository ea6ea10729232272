"""An erasure, record by record, over orders, payments, returns and instruments: what goes, what stays, what
survives."""

from datetime import date
from decimal import Decimal

import pytest

from accounts.models import Customer
from orders.models import Order, OrderLine, Payment
from privacy import vault
from privacy.requests import erasure
from privacy.requests.assessment import facts_of
from privacy.retention import rules
from privacy.retention.assess import assess
from privacy.subjects import Subject
from rma.models import RMA, Certificate, Instrument, Ownership, RMAEvent, RMANote
from rma.services import add_note
from tests.factories import DAN, TASK, a_customer, an_order, an_rma, moved, noon
from tests.orders.test_services import CARD
from tests.rma.test_services import certify, verified

pytestmark = pytest.mark.django_db
State = RMA.State
TODAY = date(2026, 11, 22)


def erase(customer: Customer, today: date = TODAY) -> None:
    """Do to a person's records what an erasure asked for on `today` decides."""
    schedule = rules.load()
    verdicts = [
        verdict for facts in facts_of(customer.subject_id) for verdict in assess(facts, schedule, [], today, asked=True)
    ]
    erasure.erase_records(verdicts, request=None, actor=TASK, now=noon(today))


def opened(record) -> set[str]:
    """Return the envelopes of a record that can still be opened."""
    with vault.internal():
        return {
            envelope
            for envelope, names in type(record).envelopes().items()
            if not isinstance(getattr(record, names[0]), vault.Erased)
            and getattr(record, f"sealed_{envelope}") is not None
        }


def test_law_scenario_8_the_old_order_goes_and_the_later_one_is_minimised() -> None:
    alice, bob = a_customer(), a_customer()
    d2017, d2024 = date(2017, 5, 10), date(2024, 5, 10)
    old = an_order(alice, d2017, invoiced=d2017, shipped=d2017, paid=d2017, card=CARD)
    later = an_order(alice, d2024, invoiced=d2024, shipped=d2024, paid=d2024, card=CARD)
    theirs = an_order(bob, d2017, invoiced=d2017, shipped=d2017, paid=d2017, card=CARD)
    erase(alice)
    old.refresh_from_db()
    later.refresh_from_db()
    assert opened(old) == set()
    assert opened(later) == {"order"}
    assert (old.customer_id, later.customer_id) == (None, alice.pk)
    assert not Payment.objects.filter(order__in=[old, later], sealed_payment__isnull=False).exists()
    # What statistics need is there, without a person.
    assert (old.total, old.ship_country, OrderLine.objects.filter(order=old).count()) == (Decimal(1495), "US", 1)
    assert opened(Order.objects.get(pk=theirs.pk)) == {"order", "fulfilment"}
    assert opened(Payment.objects.get(order=theirs)) == {"payment"}

    erase(alice, date(2031, 12, 31))
    assert opened(Order.objects.get(pk=later.pk)) == {"order"}
    erase(alice, date(2032, 1, 1))
    assert opened(Order.objects.get(pk=later.pk)) == set()
    assert not Customer.objects.filter(pk=alice.pk).exists()
    assert not Subject.objects.filter(pk=alice.subject_id).exists()
    assert Order.objects.filter(pk__in=[old.pk, later.pk], customer=None).count() == 2


def test_law_scenario_6_an_unpaid_invoice_keeps_the_order_and_the_account() -> None:
    alice = a_customer()
    day = date(2026, 1, 15)
    order = an_order(alice, day, invoiced=day, shipped=day)
    erase(alice, date(2026, 3, 2))
    assert opened(Order.objects.get(pk=order.pk)) == {"order", "fulfilment"}
    assert opened(Customer.objects.get(pk=alice.pk)) == {"account"}


def test_law_scenario_7_an_open_return_stays_until_it_is_closed() -> None:
    alice = a_customer()
    rma = moved(an_rma(alice, serial="SN-7"), State.AUTHORISED, State.RECEIVED)
    add_note(rma, text="Any news?", actor=DAN, now=noon(date(2026, 11, 6)))
    erase(alice)
    assert opened(RMA.objects.get()) == {"rma", "rma_note"}
    assert opened(RMANote.objects.get()) == {"rma_note"}
    assert opened(Customer.objects.get(pk=alice.pk)) == {"account"}

    moved(rma, State.CANCELLED, State.SHIPPED_BACK, State.CLOSED, on=date(2026, 11, 25))
    erase(alice, date(2026, 11, 26))
    assert opened(RMA.objects.get()) == set(), "who sent it in goes; the history stays with the serial number"
    assert not RMANote.objects.exists()
    assert not Customer.objects.filter(pk=alice.pk).exists(), "nothing keeps it any more"


def test_the_instruments_history_survives_its_owner() -> None:
    alice, bob = a_customer(), a_customer()
    day = date(2018, 3, 1)
    rma = an_rma(alice, day, serial="SN-7", service="calibration")
    rma = moved(rma, State.AUTHORISED, State.RECEIVED, State.IN_SERVICE, State.VERIFIED, on=day)
    certificate = certify(rma, calibrated_on=day, now=noon(day))
    moved(rma, State.SHIPPED_BACK, State.CLOSED, on=day)
    theirs = certify(verified(an_rma(bob, serial="SN-8")))
    erase(alice)
    rma.refresh_from_db()
    assert (rma.customer_id, opened(rma)) == (None, set())
    assert list(Certificate.objects.history_of(Instrument.objects.get(serial="SN-7"))) == [certificate]
    assert RMAEvent.objects.filter(rma=rma).count() == 7
    assert list(Ownership.objects.values_list("customer", flat=True)) == [bob.pk]
    assert not Subject.objects.filter(pk=alice.subject_id).exists()
    assert list(Certificate.objects.for_subject(bob.subject_id)) == [theirs]


def test_twice_is_once() -> None:
    alice = a_customer()
    d2017 = date(2017, 5, 10)
    an_order(alice, d2017, invoiced=d2017, shipped=d2017, paid=d2017, card=CARD)
    erase(alice)
    before = list(Order.objects.values()), list(Payment.objects.values())
    erase(alice)
    assert (list(Order.objects.values()), list(Payment.objects.values())) == before
