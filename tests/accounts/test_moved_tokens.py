"""Who can write to the key store alone, and lets a token lead to somebody else's record, is nobody there.

What a record holds stands in the main database: it is opened and compared with what was looked for. Each attack stands
beside what the same look-up does untouched.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import models

from accounts import candidates, claim, handles, logins, people, reach
from accounts.models import Company, Customer, LoginAddress, User
from privacy import vault
from privacy.requests import addresses, filing, proving
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.vault.keystore import keys
from privacy.vault.models import DataKey, Token
from tests import factories
from tests.asked import ANYBODY, NOW
from tests.privacy.requests.test_who_is_the_person import ask, carried_out, copy_of, letters_of, link_for

pytestmark = pytest.mark.django_db(databases="__all__")
MALLORY, GUEST = "mallory@evil.example", "guest@example.com"


def moved(index: str, of: models.Model, to: models.Model) -> None:
    """Let the tokens of one record lead to another, under its key: what the key store's password is good for."""
    row: Any = DataKey.objects.filter(record=to.pk, destroyed_at=None)
    envelope = next(f.envelope for f in of._meta.private_fields for b in f.blind if b.field == index)  # type: ignore[attr-defined]
    tokens = Token.objects.filter(record=of.pk, field__startswith=index)
    assert tokens.update(record=to.pk, key=row.get(envelope=envelope).pk)


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_token_that_leads_to_a_guests_records_gives_nothing_of_them_and_takes_nothing(
    db: None, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    guest = factories.communication(email=GUEST, contact_name="Gwen Guest", body="Where is my sensor?")
    hers = factories.communication(email=MALLORY, contact_name="Mal Lory", body="Mine.")
    assert people.named(MALLORY) == [(hers.vault_label, hers.pk)]
    moved("communication.email", hers, guest)
    with caplog.at_level(logging.ERROR, "privacy.vault"):
        assert people.named(MALLORY) == people.later(MALLORY, [])[0] == []
    assert "do not carry what was looked for" in caplog.text and "evil" not in caplog.text
    request = ask(MALLORY, kind)
    assert request.subject_id is None and not request.is_about_records
    proving.redeem(link_for(request) or "", now=NOW)  # as for an address that stands nowhere
    request.refresh_from_db()
    assert request.state == State.CLOSED and [kind for kind, _, _ in letters_of(request)][-1] == "nothing_held"
    assert candidates.records_with(MALLORY) == [] and not candidates.carries(MALLORY)
    assert not keys.is_destroyed(guest.pk, "support")
    # The guest's own address does what it did.
    filing.ask(kind=kind, email=GUEST, actor=ANYBODY, now=NOW)
    request = Request.objects.exclude(pk=request.pk).get()
    assert letters_of(request)[0][:2] == ("link_identity", GUEST)
    carried_out(request)
    if kind == "access":
        assert "Where is my sensor?" in copy_of(request)
    else:
        assert keys.is_destroyed(guest.pk, "support") and not keys.is_destroyed(hers.pk, "support")


def test_an_address_that_a_record_does_not_carry_is_sent_no_link(db: None) -> None:
    """However a record came to be named: what is mailed goes where the opened record says."""
    guest = factories.communication(email=GUEST, contact_name="Gwen Guest")
    assert addresses.carrying(GUEST.upper(), now=NOW) == ([(guest.vault_label, guest.pk)], GUEST)
    assert addresses.carrying(MALLORY, now=NOW) == ([], "")
    assert addresses.spelled_on_file(guest.vault_label, guest.pk, MALLORY) == ""


def test_a_token_of_a_number_makes_it_nobody_elses(db: None) -> None:
    alice = factories.customer()
    mallory = factories.customer("Mal", "Lory", email=MALLORY, phone="978-555-0666")
    later = NOW + timedelta(days=30)
    assert people.called(alice.subject_id, "978-555-0123", later)
    assert people.called(mallory.subject_id, "978-555-0666", later)
    moved("customer.phone", mallory, alice)
    assert not people.called(alice.subject_id, "978-555-0666", later)
    assert people.called(alice.subject_id, "978-555-0123", later)
    assert reach.with_phone(mallory.subject_id, "978-555-0666").count() == 0  # nor is it found where it was


def test_a_token_of_an_address_of_a_customer_or_a_login_makes_it_nobody_elses(db: None) -> None:
    alice = factories.customer(user=factories.login())
    user = factories.login("mallory", MALLORY)
    mallory = factories.customer("Mal", "Lory", email=MALLORY, user=user)
    assert reach.of(MALLORY, now=NOW).whole == (mallory.subject_id,)
    moved("customer.email", mallory, alice)
    assert reach.of(MALLORY, now=NOW).whole == (mallory.subject_id,)  # by the login alone
    assert [one.pk for one in claim._matches(user, MALLORY)] == []
    assert vault.carriers([(vault.index_of(Customer, "customer.email"), [MALLORY, "alice@example.com"])]) == [
        {"alice@example.com": {alice.pk}}
    ]
    moved("login_address.email", LoginAddress.objects.get(user=user), LoginAddress.objects.get(user=alice.user))
    assert handles.find(MALLORY) is None and people.logins_with(MALLORY) == []
    assert reach.of(MALLORY, now=NOW).whole == ()
    with pytest.raises(vault.ValueTaken):
        handles.keep(MALLORY, user)  # not under the number of somebody's record


def test_a_token_of_a_name_makes_it_nobody_elses(db: None) -> None:
    carol = factories.staff("carol", "carol@ilt.example", roles=("sales",))
    dave = factories.staff("dave", "dave@ilt.example", roles=("sales",))
    works, labs = factories.company("Lumen Works"), factories.company("Photon Labs")
    assert logins.staff_named("CAROL") == carol
    moved("user.username", carol, dave)
    moved("user.lookalike", carol, dave)
    with pytest.raises(logins.NoSuchStaff):
        logins.staff_named("carol")
    assert not User.objects.looking_like("carol").exists()
    assert logins.staff_named("dave") == dave
    Token.objects.filter(record=works.pk, field="company.name").update(
        record=labs.pk, key=DataKey.objects.get(record=labs.pk, destroyed_at=None).pk
    )
    assert list(Company.objects.find("company.name", "Lumen Works")) == []
    assert list(Company.objects.find("company.name", "photon labs")) == [labs]


def test_a_token_of_a_request_leads_to_no_other_request(db: None) -> None:
    factories.communication(email=GUEST, contact_name="Gwen Guest")
    of_guest = ask(GUEST)
    filing.ask(kind="access", email=MALLORY, actor=ANYBODY, now=NOW)
    hers = Request.objects.exclude(pk=of_guest.pk).get()
    moved("request.email", hers, of_guest)
    assert list(Request.objects.find("request.email", MALLORY)) == []
    assert list(Request.objects.find("request.email", GUEST)) == [of_guest]
