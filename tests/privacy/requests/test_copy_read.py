"""The copy and what we hold are read by people: no table of the program, no code, nothing that is not there."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from accounts import corrections
from accounts.models import Customer, TaxIdentifier
from privacy import gate, vault
from privacy.requests import export
from privacy.requests.states import State
from privacy.retention import holds
from rma import services as rmas
from tests import factories
from tests.asked import NOW, PRIVACY, Clock, filed, run
from tests.factories import TASK, an_rma, as_customer, moved

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 2)


def copy_of(customer: Customer, now: datetime = NOW) -> zipfile.ZipFile:
    clock = Clock(now)
    request = filed(customer, "access", now=now, received_on=now.date())
    run(request, clock)
    _, chunks = export.fetch(request, actor=as_customer(customer), now=clock())
    return zipfile.ZipFile(io.BytesIO(b"".join(chunks)))


def read(archive: zipfile.ZipFile) -> dict[str, str]:
    """What people read of a copy: its page and its tables, without data.json."""
    names = [name for name in archive.namelist() if name != "data.json"]
    return {name: archive.read(name).decode() for name in names}


def test_no_file_that_people_read_shows_a_table_of_the_program(alice: Customer, old_order: Any, kept_order: Any) -> None:
    first = filed(alice, "access")  # it stands in the next copy, with its plan
    run(first)
    export.destroy(first, actor=as_customer(alice), now=NOW)
    run(first, Clock(NOW + timedelta(hours=1)))
    assert first.state == State.CLOSED
    rma = moved(an_rma(alice, DAY, serial="ILT2400-0007"), "authorised", "in_transit", "received", on=DAY)
    rmas.issue_certificate(
        moved(rma, "in_service", "verified", on=DAY),
        procedure="ILT-CP-101",
        calibrated_on=DAY,
        results=[{"quantity": "dark_current", "unit": "pA", "as_left": "1.9"}],
        actor=TASK,
        now=factories.noon(DAY),
    )
    files = read(copy_of(alice, NOW + timedelta(days=1)))
    assert "Dark current: as left 1.9 pA" in files["tables/rma-certificate.csv"], "a table that is said in words"
    for name, text in files.items():
        for form in ("format: 1", '{"', "{'", "[{", "verdicts", "action:", "leftovers"):
            assert form not in text, (name, form)


def test_what_a_correction_replaced_under_a_hold_is_said_by_the_titles_of_the_data(alice: Customer) -> None:
    number = factories.ssn(alice)
    for label, record in (("accounts.customer", alice), ("accounts.tax_identifier", number)):
        holds.place(label, record.pk, reason="claim", actor=PRIVACY, now=NOW)
    me = as_customer(alice)
    with gate.acting(me):
        corrections.correct(Customer.objects.get(pk=alice.pk), {"phone": "617-555-0188"}, actor=me, now=NOW)
    with vault.internal():
        number = TaxIdentifier.objects.get(pk=number.pk)
        number.ssn = "536-90-4398"
        number.save()
    files = read(copy_of(alice))
    for name in ("index.html", "tables/privacy-held_value.csv"):
        for said in ("First name: Alice", f"Customer {alice.reference}", "•••• 4399"):
            assert said in files[name], (name, said)
        for form in ("first_name", "accounts.customer", "536-90-4399"):
            assert form not in files[name], (name, form)
