"""What a stranger types into a return of his own changes nothing for whose address it is, whatever becomes of his
login."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test import Client

from accounts import candidates, corrections
from accounts import services as people
from accounts.models import Communication, Customer, User
from accounts.people import later, named
from privacy import vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import addresses, filing
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import holds
from rma import services as returns
from rma.models import RMA, Instrument
from tests import factories
from tests.asked import ANYBODY, NOW, PRIVACY, TODAY, Clock, confirmed, run
from tests.factories import as_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
ROSE = "rose@guest.example"
SERVICE = Actor("staff", "dan", None, frozenset({"service"}), "admin")


@pytest.fixture
def message(db: None) -> Communication:
    """The one message of a guest, on nobody's number."""
    return factories.communication(email=ROSE, contact_name="Rose Guest", body="My question.")


@pytest.fixture
def mallory(db: None) -> Customer:
    user = factories.login("mallory", "mallory@mail.example")
    return people.customer_of(user, actor=user.as_actor(), now=NOW, today=TODAY)


def typed(customer: Customer, email: str = ROSE, name: str = "Mallory Evil") -> RMA:
    """A return opened on the website with an address that is somebody else's, cancelled, and kept by a hold."""
    opened = returns.open_rma(
        customer=customer,
        instrument=Instrument.objects.create(serial="MX-4411", model_name="ILT10"),
        contact={"contact_name": name, "email": email},
        service="calibration",
        channel="web",
        actor=as_customer(customer),
        now=NOW,
    )
    holds.place(RMA.vault_label, opened.pk, reason="claim", actor=PRIVACY, now=NOW)
    return returns.transition(opened, RMA.State.CANCELLED, actor=as_customer(customer), now=NOW)


def removed(customer: Customer) -> None:
    """His own removal, to its end: the return keeps what it holds."""
    run(confirmed(customer), Clock())
    assert not User.objects.filter(subject_id=customer.subject_id).exists()
    assert RMA.objects.get().sealed_rma


def asked(kind: str = "access") -> Request:
    filing.ask(kind=kind, email=ROSE, actor=ANYBODY, now=NOW)
    return Request.objects.filter(kind=kind, state=State.RECEIVED).latest("filed_at")


def records(request: Request) -> list[Any]:
    return [pk for _, pk in addresses.records_of(request)]


@pytest.mark.parametrize("name", ["Mallory Evil", "Mallory Guest", ""])
def test_what_a_stranger_typed_hides_and_opens_nothing_when_his_login_has_ended(
    message: Communication, mallory: Customer, name: str
) -> None:
    """The attack: with another name the guest's records opened by no link any more; with hers his
    return would have come along."""
    typed(mallory, name=name)
    assert named(ROSE) == [(Communication.vault_label, message.pk)]
    removed(mallory)
    assert named(ROSE) == [(Communication.vault_label, message.pk)]
    request = asked()
    assert request.is_about_records and records(request) == [message.pk]
    assert Letter.objects.filter(request=request, kind="link_identity").count() == 1


def test_it_changes_no_open_request_either(message: Communication, mallory: Customer) -> None:
    request = asked("erasure")
    typed(mallory)
    removed(mallory)
    assert records(request) == [message.pk] and not request.second_looks.exists()


def test_it_makes_no_other_candidates_when_the_login_has_ended(mallory: Customer) -> None:
    """A candidate is told as kind and count, whoever typed it: the end of a login adds none and takes none away."""
    rose = factories.customer("Rose", "Guest", email=ROSE)
    typed(mallory)
    before = candidates.told(rose.subject_id, TODAY)
    removed(mallory)
    assert candidates.told(rose.subject_id, TODAY) == before == [("return", 1)]


def test_a_contact_that_was_only_typed_blocks_nobody_elses_import(mallory: Customer) -> None:
    """Mallory enters Rose's address as his contact and removes his account: an import would have left Rose out for
    years."""
    corrections.correct(mallory, {"email": ROSE}, actor=as_customer(mallory), now=NOW)
    typed(mallory)
    removed(mallory)
    assert not vault.blocks.is_blocked("email", ROSE)
    assert vault.blocks.is_blocked("customer_ref", mallory.reference)


def test_a_contact_that_came_otherwise_still_blocks(alice: Customer) -> None:
    """The positive control."""
    run(confirmed(alice), Clock())
    assert vault.blocks.is_blocked("email", "alice@example.com")


def test_a_return_that_staff_wrote_down_is_a_claim_as_before(db: None) -> None:
    """The positive control: only what was typed by who is signed in is none."""
    with time_machine.travel(NOW - timedelta(days=1), tick=False):
        message = factories.communication(email=ROSE, contact_name="Rose Guest")
    written = returns.open_rma(
        customer=factories.customer("Rose", "Guest", email="other@mail.example"),
        instrument=Instrument.objects.create(serial="MX-4412", model_name="ILT10"),
        contact={"contact_name": "Rose Guest", "email": ROSE},
        service="calibration",
        channel="phone",
        actor=SERVICE,
        now=NOW,
    )
    first = [(Communication.vault_label, message.pk)]
    assert not written.is_typed and later(ROSE, first) == ([], [(RMA.vault_label, written.pk)]), (
        "it hangs on a customer"
    )
    vault.keys.hand_over([written.pk], ("none", None), of=[written.vault_owner()])
    RMA.objects.filter(pk=written.pk).update(customer=None)
    assert {pk for _, pk in named(ROSE)} == {message.pk, written.pk}


def test_returns_of_before_that_came_by_the_website_are_noted_as_typed(
    message: Communication, mallory: Customer
) -> None:
    one = typed(mallory)
    RMA.objects.filter(pk=one.pk).update(is_typed=False, customer=None)
    assert named(ROSE) == [], "as it was"
    with connection.schema_editor() as editor:
        import_module("rma.migrations.0006_typed_returns").note_typed(apps, editor)
    assert RMA.objects.get().is_typed and [pk for _, pk in named(ROSE)] == [message.pk]


def test_the_portal_notes_it(client: Client, mallory: Customer) -> None:
    client.force_login(mallory.user)
    answers = {
        "service": "calibration", "serial": "MX-4411", "model_name": "ILT10", "fault": "x", "contact_name": "Mallory Evil",
        "email": ROSE, "return_street": "1 Road", "return_city": "Salem", "return_region": "MA",
        "return_postal_code": "01970", "return_country": "US", "stage": "send",
    }  # fmt: skip
    assert client.post("/rma/new/", answers).status_code == 302
    assert RMA.objects.get().is_typed
