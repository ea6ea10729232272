"""The copy and what we hold are read by people: no table of the program, no code, nothing that is not there."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db.models import BooleanField

from accounts import corrections
from accounts.models import Customer, TaxIdentifier
from privacy import datamap, gate, vault
from privacy.requests import contents, export, in_words, services, shown
from privacy.requests.models import Request, RequestEvent, SecondLook
from privacy.requests.states import State
from privacy.retention import holds
from privacy.retention.models import Decision, HeldValue
from rma import services as rmas
from tests import factories
from tests.asked import NOW, PRIVACY, Clock, filed, run, taken_in
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


def test_no_file_that_people_read_shows_a_table_of_the_program(
    alice: Customer, old_order: Any, kept_order: Any
) -> None:
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
    assert "What it said: Kept until the legal claim is settled" in files["index.html"]
    for name in ("index.html", "tables/privacy-held_value.csv"):
        for said in ("First name: Alice", f"Customer {alice.reference}", "•••• 4399"):
            assert said in files[name], (name, said)
        for form in ("first_name", "accounts.customer", "536-90-4399"):
            assert form not in files[name], (name, form)


def test_a_state_that_was_replaced_alone_under_a_hold_is_said_by_its_name(alice: Customer) -> None:
    order = factories.an_order(alice)
    with vault.internal():
        order.invoice_region, order.invoice_country = "MA", "US"
        order.save()
    holds.place("orders.order", order.pk, reason="claim", actor=PRIVACY, now=NOW)
    with vault.internal():
        order.invoice_region = "NY"
        order.save()
        row = HeldValue.objects.get()
        told = in_words.held_values([row])[0]["What it said"]
    assert "Massachusetts" in told and "MA" not in told.split()


def test_only_what_stands_in_a_record_is_named_as_held_given_or_kept(alice: Customer, kept_order: Any) -> None:
    with vault.internal():
        kept_order.notes = ""
        kept_order.save()
    an_rma(alice)
    absent = ("Company for delivery", "Second address line", "VAT number or Tax ID on the invoice", "Delivery notes")
    archive = copy_of(alice)
    page = archive.read("index.html").decode()
    kept = [one["data"] for record in json.loads(archive.read("data.json"))["records"] for one in record["kept"]]
    assert "Name for delivery" in page and any("Name for delivery" in data for data in kept)
    given = " ".join(", ".join(one.data) for one in Decision.objects.filter(action="give"))
    removal = filed(alice, now=NOW + timedelta(days=2))
    made = services.make_plan(removal, actor=as_customer(alice), now=NOW + timedelta(days=2))
    planned = " ".join(", ".join(one.data) for one in removal.decisions.all())
    checked = "Serial number still to be checked"
    assert "Fault or service wanted" in given and checked not in given and checked not in planned, "it is settled"
    assert checked not in page, "a switch that is off says nothing"
    assert removal.plan_hash == made.hash, "naming less changes no plan"
    assert "Name for delivery" in given and "Name for delivery" in planned
    for title in absent:
        assert title not in page and title not in given and title not in planned, title
        assert not any(title in data for data in kept), title


def test_what_the_letter_of_a_plan_names_stands_in_the_records(db: Any) -> None:
    dora = factories.customer("Dora", "Double", email="")
    factories.address(dora)
    request = taken_in("erasure", dora.subject_id, channel="in_person", identity="in_person", actor=PRIVACY)
    run(request)
    with vault.internal():
        text = request.letters.filter(kind="plan_ready").latest("queued_at").text
    assert "Last name" in text and "Street" in text
    assert "E-mail address" not in text and "Second address line" not in text


def test_the_history_of_a_copy_speaks_of_no_plan_that_waits_and_of_nobody_who_confirmed(alice: Customer) -> None:
    page = copy_of(alice).read("index.html").decode()
    steps = page[page.index("Identity proved") :]
    for form in ("waiting for confirmation", ">Confirmed<", ">Identity<", ">identity<"):
        assert form not in page, form
    for form in ("Identity proved", "Worked out what it covers", "Begun; nothing has to be confirmed"):
        assert form in steps, form


def test_what_we_asked_and_told_is_said_to_be_ours(db: Any) -> None:
    for kind in ("identity_asked", "told_elsewhere"):
        event = RequestEvent(request=Request(kind="access"), kind=kind, actor_kind="anonymous")
        assert in_words.done_by(event) == "one of our programs"
    removal, copy = Request(kind="erasure"), Request(kind="access")
    assert in_words.done_by(RequestEvent(request=removal, kind="confirmed", actor_kind="customer")) == "you"
    assert in_words.done_by(RequestEvent(request=copy, kind="confirmed", actor_kind="customer")) != "you"


def test_every_state_reason_and_decision_has_words_for_its_person() -> None:
    assert set(in_words.WHYS) == set(SecondLook.Why.values)
    assert set(in_words.DECIDED) == set(SecondLook.Outcome.values)
    for words in (dict(State.choices), in_words.WHYS, in_words.DECIDED, in_words.SCOPES):
        assert not any("the person" in one for one in words.values())


def test_a_switch_that_is_off_says_nothing_or_says_it_in_words() -> None:
    """ "Serial number still to be checked: no" sounds as if somebody had left it unchecked."""
    off = {}
    for declaration in datamap.declarations():
        if declaration.life is None or declaration.told:
            continue
        for column in contents._columns(declaration):
            if isinstance(datamap.field_named(declaration.model, column.name), BooleanField):
                kind = contents.Kind(declaration, declaration.model._default_manager.none(), [column], 1)
                assert shown._said(kind, column, None, True) == "yes", column
                off[column.title] = shown._said(kind, column, None, False)
    assert {title: said for title, said in off.items() if said} == {
        "Can be used to sign in": "no: this login is closed"
    }
    assert "Serial number still to be checked" in off and len(off) > 5


def test_no_title_and_no_choice_speaks_of_the_person_to_the_person_or_in_names_of_fields() -> None:
    for declaration in datamap.declarations():
        if declaration.life is None:
            continue
        for column in contents._columns(declaration):
            for said in (column.title, *map(str, dict(column.choices).values())):
                assert "the person" not in said, (declaration.label, said)
            assert not re.search(r"_| at$| on$|^Is |^Has ", column.title), (declaration.label, column.title)
