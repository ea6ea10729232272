"""Who counts as the person (design 9): what an address opens, and where links, codes and answers go.

Each attack stands beside the same act by the person it belongs to, so that the test can fail.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import Communication, Customer, Session
from privacy import letters, vault
from privacy.gate.log import AccessEntry
from privacy.letters.models import Letter
from privacy.requests import export, filing, proving, services, sight
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.subjects import Subject
from privacy.vault.keystore import blocks
from rma.models import RMA
from tests import factories, pages
from tests.asked import ANYBODY, NOW, PRIVACY, TODAY, Clock, run, with_letters
from tests.factories import CONTACT, an_order, an_rma

pytestmark = pytest.mark.django_db
STRANGER = "bob@stranger.example"


def letters_of(request: Request) -> list[tuple[str, str, str]]:
    """Return kind, address and text of everything that was written because of a request."""
    with vault.internal():
        return [(one.kind, one.to or "", letters.given(one)[0]) for one in Letter.objects.filter(request=request)]


def ask(email: str, kind: str = "access") -> Request:
    filing.ask(kind=kind, email=email, actor=ANYBODY, now=NOW)
    return Request.objects.get(kind=kind)


def link_for(request: Request) -> str | None:
    """Return the token of the one-time link that was mailed, None when there is none."""
    found = [re.search(r"/privacy/link/([\w-]+)/", text) for _, _, text in letters_of(request)]
    return next((one[1] for one in found if one), None)


def carried_out(request: Request) -> Request:
    """Use the mailed link, confirm what has to be confirmed, and do all the work."""
    token = link_for(request)
    assert token
    proving.redeem(token, now=NOW)
    run(request)
    if request.kind == "erasure":
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
        run(request, Clock())
    return request


def copy_of(request: Request) -> str:
    """Return all that stands in the copy of a request, as who holds its link fetches it."""
    _, chunks = export.fetch(request, actor=sight.acting_as(request), now=NOW)
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        return archive.read("data.json").decode()


@pytest.fixture
def message(alice: Customer) -> Communication:
    """What a stranger wrote "for Alice", noted on her number as the form asks."""
    return factories.communication(alice, email=STRANGER, contact_name="Bob Baker", body="For Mrs Archer.")


# The attack of a message on somebody's number -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_a_message_on_a_customer_number_opens_nothing_to_its_writer(
    alice: Customer, message: Communication, kind: str
) -> None:
    request = ask(STRANGER, kind)
    assert request.subject_id is None and not request.links.exists() and not request.is_identified
    ((kind_of_letter, to, text),) = letters_of(request)
    assert (kind_of_letter, to) == ("not_identified", STRANGER)
    assert "Alice" not in text and "Archer" not in text and "no data" not in text


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_her_own_address_opens_her_file_all_the_same(alice: Customer, message: Communication, kind: str) -> None:
    request = ask("alice@example.com", kind)
    assert request.subject_id == alice.subject_id and not request.is_about_records
    carried_out(request)
    if kind == "access":
        assert "17 Quince Row" in copy_of(request)
    else:
        assert request.state == State.CLOSED
        assert not Customer.objects.filter(pk=alice.pk, sealed_account__isnull=False).exists()


@pytest.mark.parametrize("kind", ["access", "erasure"])
@pytest.mark.parametrize("is_changed", [True, False])
def test_an_address_that_staff_put_on_a_message_afterwards_opens_nothing(db: None, kind: str, is_changed: bool) -> None:
    written_by = "rita@post.example" if is_changed else STRANGER
    letter = factories.communication(email=written_by, contact_name="Rita Roe", body="Call me at home.")
    dan = pages.signed_in(factories.staff("dan", "dan@ilt.example", roles=("service",)))
    changed = {"contact_name": "Rita Roe", "email": STRANGER, "department": "support", "topic": "other"}
    dan.post(f"/admin/accounts/communication/{letter.pk}/change/", changed)
    with vault.internal():
        assert Communication.objects.get(pk=letter.pk).email == STRANGER
    assert Client().post("/privacy/ask/", {"kind": kind, "email": STRANGER}).status_code == 302
    request = Request.objects.get(kind=kind)
    assert (link_for(request) is None) is is_changed
    text = letters_of(request)[0][2]
    assert "no data" not in text and "Rita" not in text


def test_the_pages_let_the_writer_of_a_message_no_further(alice: Customer, message: Communication) -> None:
    browser = Client()
    assert browser.post("/privacy/ask/", {"kind": "access", "email": STRANGER}).status_code == 302
    mail.outbox = []
    with_letters(timezone.now())
    (sent,) = [one for one in mail.outbox if one.to == [STRANGER]]
    assert "/privacy/link/" not in sent.body
    for path in ("/privacy/held/", "/privacy/requests/", f"/privacy/requests/{Request.objects.get().pk}/"):
        assert browser.get(path).status_code == 302
    # The same pages, with the address that proves her.
    assert browser.post("/privacy/ask/", {"kind": "access", "email": "alice@example.com"}).status_code == 302
    token = link_for(Request.objects.get(subject=alice.subject_id))
    assert browser.post(f"/privacy/link/{token}/").status_code == 302


@pytest.mark.parametrize("kind", ["access", "erasure"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_stranger_who_types_the_address_into_a_return_of_his_own_closes_nobodys_file(
    db: None, kind: str, when: str
) -> None:
    """Jack wrote once, as a guest; Bob, who signs in, opens a return with Jack's address, before Jack asks or after."""
    jack = factories.communication(email=STRANGER, contact_name="Jack Guest", body="Where is my sensor?")
    bob = factories.customer("Bob", "Baker", email="", user=factories.login("bob", "bob@example.com"))
    contact = {**CONTACT, "contact_name": "Bob Baker", "email": STRANGER}

    def attack() -> RMA:
        return an_rma(bob, contact=contact, actor=bob.user.as_actor(), fault="canary of bob")

    if when == "before":
        attack()
    request = ask(STRANGER, kind)
    if when == "meanwhile":
        attack()
    assert request.is_about_records
    carried_out(request)
    if kind == "access":
        copy = copy_of(request)
        assert "Where is my sensor?" in copy and "canary of bob" not in copy and "Baker" not in copy
    else:
        assert request.state == State.CLOSED
        assert not Communication.objects.filter(pk=jack.pk, sealed_support__isnull=False).exists()
    with vault.internal():
        assert RMA.objects.get().email == STRANGER, "it is bob's"


@pytest.mark.parametrize(("channel", "has_login"), [("phone", True), ("web", False)])
def test_an_address_that_staff_wrote_or_that_stands_with_a_customer_without_a_login_still_points_to_a_second_person(
    db: None, channel: str, has_login: bool
) -> None:
    factories.communication(email=STRANGER, contact_name="Jack Guest")
    user = factories.login("bob", "bob@example.com") if has_login else None
    bob = factories.customer("Bob", "Guest", email="", user=user)
    an_rma(bob, contact={**CONTACT, "contact_name": "Jack Guest", "email": STRANGER}, channel=channel)
    assert not link_for(ask(STRANGER))


def test_an_order_or_a_message_that_names_a_company_opens_nothing(db: None) -> None:
    firm = factories.company()
    contact = factories.customer("Cleo", "Contact", email="cleo@firm.example", company=firm)
    an_order(contact, TODAY, email=STRANGER)
    assert ask(STRANGER).subject_id is None


def test_an_address_that_staff_put_on_a_contact_today_opens_nothing_of_it(db: None) -> None:
    mary = factories.customer("Mary", "Miller", email=STRANGER, came="staff")
    request = ask(STRANGER)
    assert request.subject_id != mary.subject_id and not link_for(request)
    dora = factories.customer("Dora", "Double", email="dora@example.com")
    assert Request.objects.filter(subject=dora.subject).count() == 0 and link_for(ask("dora@example.com", "erasure"))


def test_a_login_and_a_customer_of_one_address_that_are_not_joined_are_asked_for_both(db: None) -> None:
    user, customer = factories.login("dora", "dora@example.com"), factories.customer("Dora", email="dora@example.com")
    filing.ask(kind="access", email="dora@example.com", actor=ANYBODY, now=NOW)
    assert {one.subject_id for one in Request.objects.all()} == {user.subject_id, customer.subject_id}
    assert all(link_for(one) for one in Request.objects.all())


# Records with exactly that address ------------------------------------------------------------------------------------


@pytest.fixture
def own(db: None) -> list[Communication]:
    """Two messages that bob wrote without a customer number, and what must not move: the file of another person."""
    return [
        factories.communication(email=STRANGER, contact_name="Bob Baker", body="My first question."),
        factories.communication(email=STRANGER, contact_name="B. Baker", body="My second question."),
    ]


def test_two_messages_do_not_make_their_writer_several_people(own: list[Communication]) -> None:
    request = ask(STRANGER)
    assert request.is_about_records and request.subject_id is not None
    call_command("request_show", request.reference, stdout=(out := io.StringIO()))
    assert "\nIt covers the records that carry exactly this address.\n" in out.getvalue()
    assert request.subject_id not in {one.subject_id for one in own}, "a subject of its own: it opens nobody's file"
    token = link_for(request)
    assert token and {to for _, to, _ in letters_of(request)} == {STRANGER}


def test_a_copy_of_records_holds_them_and_nothing_of_anybody_else(alice: Customer, own: list[Communication]) -> None:
    request = carried_out(ask(STRANGER))
    text = copy_of(request)
    assert "My first question." in text and "My second question." in text
    assert "Alice" not in text and "Quince" not in text
    assert {one.whose.subject_id for one in AccessEntry.objects.filter(role="system:export")} >= {
        one.subject_id for one in own
    }, "the opening stands in the access log"
    (text,) = [text for kind, _, text in letters_of(request) if kind == "copy_ready"]
    assert "records that carry this e-mail address" in text and "the data we hold about you" not in text


def test_records_that_name_two_people_open_nothing(own: list[Communication]) -> None:
    factories.communication(email=STRANGER, contact_name="Carla Other")
    assert ask(STRANGER).subject_id is None


def test_an_erasure_of_records_ends_nobodys_session_letters_tokens_or_person(
    alice: Customer, own: list[Communication], client: Client
) -> None:
    other = factories.communication(
        own[0].customer, subject=own[0].subject, email="else@stranger.example", body="Stays."
    )
    client.force_login(alice.user)
    letter = Letter.objects.create(kind="note", key="k", subject=own[0].subject, queued_at=NOW, text="Something else.")
    request = carried_out(ask(STRANGER, "erasure"))
    assert request.state == State.CLOSED
    assert not Communication.objects.filter(pk__in=[one.pk for one in own]).exists()
    assert Communication.objects.filter(pk=other.pk, sealed_support__isnull=False).exists()
    assert Subject.objects.filter(pk=own[0].subject_id).exists() and not Subject.objects.filter(pk=own[1].subject_id)
    assert Session.objects.filter(subject=alice.subject_id).exists()
    letter.refresh_from_db()
    assert letter.stopped_at is None and letter.sealed_letter is not None
    assert not blocks.is_blocked("email", STRANGER)
    done = set(request.events.filter(kind="step").values_list("step", flat=True))
    assert "erase" in done and not done & {"sign_out", "stop_mail", "block_tokens"}
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None


def test_an_erasure_of_a_whole_file_still_does_all_that(alice: Customer, client: Client) -> None:
    client.force_login(alice.user)
    request = carried_out(ask("alice@example.com", "erasure"))
    assert request.state == State.CLOSED and not Session.objects.exists()
    assert blocks.is_blocked("email", "alice@example.com")


def test_a_record_given_to_a_customer_meanwhile_is_covered_no_longer(alice: Customer, own: list[Communication]) -> None:
    request = ask(STRANGER, "erasure")
    proving.redeem(link_for(request) or "", now=NOW)
    run(request)
    confirmed = request.plan_hash
    assert request.decisions.count() == 2
    Communication.objects.filter(pk=own[0].pk).update(customer=alice, subject=alice.subject)
    vault.keys.hand_over([own[0].pk], ("subject", alice.subject_id), of=[own[0].vault_owner()])
    with pytest.raises(services.PlanChanged):
        services.confirm(request, confirmed, actor=sight.acting_as(request), now=NOW)
    assert list(request.decisions.values_list("record_id", flat=True)) == [own[1].pk], "the other is hidden by nothing"
    assert Communication.objects.filter(pk=own[0].pk, sealed_support__isnull=False).exists()


def test_an_unverified_address_counts_never_against_a_verified_one(alice: Customer) -> None:
    factories.communication(email="alice@example.com", contact_name="Bob Baker")
    factories.communication(email="alice@example.com", contact_name="Carla Other")
    request = ask("alice@example.com")
    assert request.subject_id == alice.subject_id and link_for(request)


def test_a_shared_address_opens_neither_file_nor_records(alice: Customer, own: list[Communication]) -> None:
    for name in ("Dora", "Emil"):
        factories.customer(name, "Double", email=STRANGER)
    request = ask(STRANGER)
    assert request.subject_id is None and not link_for(request)


# Where links, codes and answers go ------------------------------------------------------------------------------------


def file_by_staff(customer: Customer, **data: Any) -> Request:
    given = {"kind": "access", "channel": "phone", "received_on": TODAY, "identity": "pending"} | data
    return filing.file(filing.Receipt(subject=customer.subject_id, **given), actor=PRIVACY, now=NOW).request


@pytest.mark.parametrize("identity", ["pending", "in_person", "staff"])
@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_nothing_goes_to_an_address_that_came_with_the_request(alice: Customer, identity: str, kind: str) -> None:
    request = file_by_staff(alice, kind=kind, identity=identity, email=STRANGER)
    run(request)
    written = letters_of(request)
    assert written and STRANGER not in {to for _, to, _ in written}
    assert "alice@example.com" in {to for _, to, _ in written}, "the address on file is told"
    with vault.internal():
        assert Request.objects.get(pk=request.pk).requester_email == "alice@example.com"


def test_without_an_address_on_file_it_goes_by_post_not_to_the_typed_one(alice: Customer) -> None:
    dora = factories.customer("Dora", "Double", email="")
    request = file_by_staff(dora, identity="in_person", email=STRANGER)
    run(request)
    assert {to for _, to, _ in letters_of(request)} == {""}
    assert set(Letter.objects.filter(request=request).values_list("by", flat=True)) == {"post"}


def test_an_address_of_the_person_that_stands_on_file_is_answered_at(alice: Customer) -> None:
    with vault.internal():
        alice.email = "alice@work.example"
        alice.save(update_fields=["email"])
    request = file_by_staff(alice, email="Alice@Work.example")
    assert {to for _, to, _ in letters_of(request)} == {"alice@work.example"}


def test_a_stranger_who_is_later_said_to_be_alice_gets_nothing_to_his_own_mailbox(alice: Customer) -> None:
    request = ask(STRANGER)
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=NOW)
    before = {pk for (pk,) in Letter.objects.filter(request=request, kind="link_identity").values_list("pk")}
    assert not request.links.filter(expires_at__gt=NOW).exists(), "and his link is dead"
    run(request)
    with vault.internal():
        later = {one.to for one in Letter.objects.filter(request=request).exclude(pk__in=before)}
    assert later == {"alice@example.com"}


def test_a_request_about_records_becomes_one_about_the_person_whom_staff_name(
    alice: Customer, own: list[Communication]
) -> None:
    request = ask(STRANGER)
    assert request.is_about_records
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert (request.scope, request.subject_id, request.owner_id) == ("whole", alice.subject_id, alice.subject_id)
