"""How a request comes in: a receipt, a clock, a link to an address on file, and nothing told to a stranger."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction

from privacy import audit, gate
from privacy.letters.models import Letter
from privacy.requests import codes, execute, filing, links, proof, proving, services, sight
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories
from tests.asked import (
    ANYBODY,
    NOW,
    OPERATOR,
    PRIVACY,
    TODAY,
    filed,
    with_letters,
)
from tests.factories import as_customer
from tests.privacy.requests.test_services import texts


def test_filing_writes_request_receipt_audit_letter_and_the_next_look_at_once(alice) -> None:
    request = filed(alice)
    assert codes.read_reference(request.reference) == request.reference
    assert (request.received_on, request.due_on, request.legal_due_on) == (
        TODAY,
        date(2026, 12, 20),
        date(2026, 12, 21),
    )
    assert [e.kind for e in request.events.all()] == ["received", "identity"]
    assert request.next_action_at == NOW and request.step == "plan"
    assert audit.history(reference=request.reference).filter(action="request.filed").count() == 1
    (text,) = texts(request, "acknowledgement")
    assert request.reference in text and "20 December 2026" in text and factories.code_of(request) in text


@pytest.mark.parametrize(
    "given", ["PR-2026-7K3M-95", "PR-2026-0000-0J", "PR-2026-ZZZZ-ZQ", "PR-2026-A1B2-CD", "PR-2026-0Q5X-VX"]
)
def test_references_of_before_are_read_and_a_slip_in_one_is_noticed(given: str) -> None:
    assert codes.read_reference(given) == given
    for place, character in enumerate(given[3:], 3):
        other = "3" if character != "3" else "4"
        if character != "-":
            assert codes.read_reference(given[:place] + other + given[place + 1 :]) is None


def test_nothing_about_a_person_stands_in_the_clear(alice) -> None:
    request = filed(alice)
    row = Request.objects.filter(pk=request.pk).values().get()
    seen = " ".join(str(bytes(v) if isinstance(v, memoryview) else v) for v in row.values())
    assert "alice" not in seen.lower() and "archer" not in seen.lower()
    assert factories.code_of(request) not in seen


def test_the_same_question_twice_is_one_request_with_two_receipts(alice) -> None:
    first = filed(alice, "access")
    second = filed(alice, "access", now=NOW + timedelta(days=3), received_on=TODAY + timedelta(days=3))
    assert first.pk == second.pk and Request.objects.count() == 1
    assert [e.on for e in first.events.filter(kind="received")] == [TODAY, TODAY + timedelta(days=3)]
    second.refresh_from_db()
    assert second.due_on == date(2026, 12, 20), "the earliest receipt counts"
    assert len(texts(first, "acknowledgement")) == 2


def test_a_receipt_found_later_moves_the_clock_back(alice) -> None:
    request = filed(alice)
    filing.file(
        filing.Receipt(
            kind="erasure", subject=alice.subject_id, channel="mail", received_on=date(2026, 11, 2), identity="pending"
        ),
        actor=OPERATOR,
        now=NOW,
    )
    request.refresh_from_db()
    assert (request.received_on, request.due_on) == (date(2026, 11, 2), date(2026, 12, 2))


def test_two_kinds_are_two_requests(alice) -> None:
    assert filed(alice, "access").pk != filed(alice, "erasure").pk


def test_the_database_refuses_a_second_open_request_of_a_kind(alice) -> None:
    request = filed(alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        Request(
            reference="PR-2026-0000-00", kind="erasure", channel="web", subject_id=alice.subject_id, filed_at=NOW,
            received_on=TODAY, due_on=TODAY, legal_due_on=TODAY,
        ).save()  # fmt: skip
    services.withdraw(request, actor=as_customer(alice), now=NOW)
    assert filed(alice).pk != request.pk


@pytest.mark.parametrize(
    "data",
    [
        {"received_on": TODAY + timedelta(days=1)},
        {"received_on": date(2019, 1, 1)},
        {"kind": "everything"},
        {"channel": "pigeon"},
        {"identity": "belief"},
        {"identity": "login"},
        {"identity": "link"},
        {"email": "no address"},
        {"subject": None},
        {"subject": None, "email": "x@example.com", "identity": "staff"},
        {"email": "a@b.example\nBcc: c@d.example"},
    ],
)
def test_what_cannot_be_a_request_is_refused_without_a_trace(alice, data) -> None:
    given = {
        "kind": "access",
        "subject": alice.subject_id,
        "channel": "phone",
        "received_on": TODAY,
        "identity": "pending",
    } | data
    with pytest.raises(proof.BadRequest) as refused:
        filing.file(filing.Receipt(**given), actor=OPERATOR, now=NOW)
    assert not Request.objects.exists() and not Letter.objects.exists()
    assert "alice" not in str(refused.value).lower()


def test_a_customer_files_for_nobody_else(alice, bob) -> None:
    with pytest.raises(sight.NotYours):
        filing.file(
            filing.Receipt(
                kind="erasure", subject=alice.subject_id, channel="web", received_on=TODAY, identity="login"
            ),
            actor=as_customer(bob),
            now=NOW,
        )


def test_an_anonymous_visitor_states_no_identity(alice) -> None:
    with pytest.raises(proof.BadRequest):
        filing.file(
            filing.Receipt(
                kind="erasure", subject=alice.subject_id, channel="web", received_on=TODAY, identity="callback"
            ),
            actor=ANYBODY,
            now=NOW,
        )


def ask(email: str, kind: str = "access") -> None:
    assert filing.ask(kind=kind, email=email, actor=ANYBODY, now=NOW) is None


def link_in(text: str) -> str:
    return re.search(r"/privacy/link/([\w-]+)/", text)[1]


def test_an_address_on_file_gets_a_link_and_the_link_proves_the_person(alice, outbox) -> None:
    ask("ALICE@example.com")
    request = Request.objects.get()
    assert (request.state, request.subject_id, request.is_identified) == ("received", alice.subject_id, False)
    with_letters(NOW)
    (message,) = outbox
    assert message.to == ["alice@example.com"], "as it stands on file, not as it was typed"
    assert "alice" not in message.subject.lower()
    proved, code = proving.redeem(link_in(message.body), now=NOW + timedelta(hours=1))
    assert proved.pk == request.pk and code
    request.refresh_from_db()
    assert (request.state, request.identity, request.step) == ("identity", "link", "plan")
    with pytest.raises(links.LinkRefused):
        proving.redeem(link_in(message.body), now=NOW + timedelta(hours=1))


def test_an_unknown_address_leads_to_nobody_and_gets_a_link_that_opens_nothing(alice, outbox) -> None:
    ask("mallory@example.com")
    request = Request.objects.get()
    assert request.subject_id is None and not request.is_identified
    with_letters(NOW)
    assert outbox[0].to == ["mallory@example.com"]
    found, code = proving.redeem(link_in(outbox[0].body), now=NOW)
    assert (found.state, found.subject_id, found.is_identified, code) == ("closed", None, False, "")


def test_a_shared_mailbox_proves_nobody(alice, outbox) -> None:
    factories.customer("Anna", "Other", email="alice@example.com")
    ask("alice@example.com")
    request = Request.objects.get()
    assert request.subject_id is None and not request.links.exists()
    with_letters(NOW)
    assert "belongs to several people" in outbox[0].body and "Anna" not in outbox[0].body
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert (request.state, request.subject_id, request.owner_id) == ("identity", alice.subject_id, alice.subject_id)
    with gate.acting(as_customer(alice)):
        assert request.requester_email == "alice@example.com", "her login proved it"


def test_asking_again_does_not_flood_the_mailbox(alice) -> None:
    for _ in range(5):
        ask("alice@example.com")
    assert Request.objects.count() == 1
    assert Letter.objects.filter(kind="link_identity").count() == 1
    for _ in range(5):
        ask("mallory@example.com")
    assert Letter.objects.filter(kind="link_identity").count() == 2


def test_a_request_nobody_proved_ends_and_is_said_to_have_ended(alice) -> None:
    ask("alice@example.com")
    request = Request.objects.get()
    assert execute.advance(request.pk, now=NOW + timedelta(days=3)) == "idle"
    execute.advance(request.pk, now=NOW + timedelta(days=40))
    request.refresh_from_db()
    assert request.state == State.EXPIRED and request.next_action_at is None
    assert len(texts(request, "expired")) == 1


def test_a_login_proves_what_a_stranger_began(alice) -> None:
    ask("alice@example.com", "erasure")
    request = filed(alice)
    assert Request.objects.get().pk == request.pk and request.is_identified
