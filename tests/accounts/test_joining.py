"""Joining makes what is one person's one, undo puts it back exactly, and neither does anything that was not seen
before."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts import candidates, claim, corrections, joining
from accounts.joinable import NotPossible
from accounts.models import ClaimReview, Communication, Customer, Joined, Joining, User
from orders.models import Order, Payment
from privacy import audit, datamap, gate, vault
from privacy.audit import AuditEvent
from privacy.letters.models import Letter
from privacy.requests import erasure, services
from privacy.subjects import Subject
from privacy.vault import SealedModel
from privacy.vault.models import DataKey
from rma.models import RMA, RMANote
from tests import factories, pages
from tests.asked import PRIVACY, taken_in
from tests.factories import CONTACT, NOW, an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

ADDRESS = "alice@example.com"
COLLEAGUE = gate.Actor("staff", "pat", None, frozenset({"privacy"}), "admin")


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def bob() -> Customer:
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")


def a_look(user: User) -> Joining:
    assert user.subject_id
    return joining.ask(user.subject_id, actor=PRIVACY, now=NOW)


def join(look: Joining, *records: Any, people: Any = (), reason: str = "facts", actor: Any = PRIVACY) -> Joining:
    """Join what was previewed; who is joined whole is confirmed by a second person."""
    keys = [(one.vault_label, one.pk) for one in records]
    seen = joining.preview(look, keys, people, now=NOW).fingerprint
    look = joining.join(look, keys, people=people, reason=reason, fingerprint=seen, actor=actor, now=NOW)
    if look.outcome == Joining.Outcome.OPEN:
        look = joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW)
    return look


def keys_name_the_owner() -> None:
    """Every key of every sealed record belongs to whom the record names."""
    owners = {key.record: (key.owner_kind, key.owner_id) for key in DataKey.objects.filter(destroyed_at=None)}
    for declaration in datamap.declarations():
        if issubclass(declaration.model, SealedModel):
            for row in declaration.model._default_manager.all():
                if row.pk in owners:
                    assert owners[row.pk] == row.vault_owner(), declaration.label


# Single records -------------------------------------------------------------------------------------------------------


def test_messages_without_a_number_become_the_persons_and_their_writers_the_same_person(alice: User) -> None:
    one, two = (factories.communication(email=ADDRESS, body=f"canary {i}") for i in range(2))
    join(a_look(alice), one, two)
    assert {m.subject_id for m in Communication.objects.all()} == {alice.subject_id}
    assert not Subject.objects.filter(pk__in=[one.subject_id, two.subject_id]).exists()
    keys_name_the_owner()
    with gate.acting(alice.as_actor()):
        assert {m.body for m in Communication.objects.for_subject(alice.subject_id)} == {"canary 0", "canary 1"}
    assert candidates.of(alice.subject_id, now=NOW) == []
    text = pages.check(pages.signed_in(alice).get("/privacy/held/"))
    assert "canary 0" in text and "carry an address" not in text


def test_the_person_reads_and_removes_what_was_joined(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    writer = message.subject_id
    audit.record("message.read", actor=None, now=NOW, subject=writer)
    join(a_look(alice), message)
    assert "accounts.communication" in datamap.counts_of(alice.subject_id)
    assert next(e.action for e in audit.history(subject=alice.subject_id)) == "message.read"
    _end(alice)
    assert not DataKey.objects.filter(record=writer, envelope="pseudonym", destroyed_at=None).exists()
    assert not Joining.objects.exists()


def _end(user: User) -> None:
    """End everything of a person as an erasure with nothing to keep does."""
    subject = user.subject_id
    for declaration, rows in datamap.records_of(subject):
        if issubclass(declaration.model, SealedModel):
            ids = list(rows.values_list("pk", flat=True))
            vault.keys.destroy([(pk, e) for pk in ids for e in declaration.model.envelopes()], now=NOW)
            blank = {f"sealed_{e}": None for e in declaration.model.envelopes()}
            declaration.model._base_manager.filter(pk__in=ids).update(**blank)
    assert erasure.end_shells(subject, actor=None, now=NOW)


def test_an_order_of_somebody_else_moves_alone_with_its_payment(alice: User, bob: Customer) -> None:
    factories.customer(user=alice)
    hers, his = an_order(bob, email=ADDRESS), an_order(bob, email="bob@example.com")
    payment = Payment.objects.create(order=hers, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
    join(a_look(alice), hers)
    assert list(Order.objects.for_subject(alice.subject_id)) == [hers]
    assert list(Order.objects.for_subject(bob.subject_id)) == [his]
    assert DataKey.objects.get(record=payment.pk).owner_id == alice.subject_id
    keys_name_the_owner()
    with gate.acting(factories.acting_as(bob)):
        assert isinstance(Order.objects.get(pk=hers.pk).email, vault.Unreadable)
        assert Order.objects.get(pk=his.pk).email == "bob@example.com", "the positive control"


def test_a_return_takes_its_notes_along_and_a_login_without_a_number_gets_one(alice: User, bob: Customer) -> None:
    rma = an_rma(bob, contact={**CONTACT, "email": ADDRESS})
    note = RMANote.objects.create(rma=rma, written_at=NOW, author="customer", text="Please hurry.")
    join(a_look(alice), rma)
    assert RMA.objects.get().customer == Customer.objects.get(user=alice)
    assert DataKey.objects.get(record=note.pk).owner_id == alice.subject_id
    keys_name_the_owner()


def test_a_thread_moves_whole(alice: User) -> None:
    first = factories.communication(email=ADDRESS)
    reply = factories.communication(subject=first.subject, in_reply_to=first, direction="out")
    join(a_look(alice), first)
    assert Communication.objects.get(pk=reply.pk).subject_id == alice.subject_id


def test_another_message_of_the_same_writer_stays_and_so_does_the_writer(alice: User, bob: Customer) -> None:
    mine = factories.communication(bob, email=ADDRESS)
    his = factories.communication(bob, email="bob@example.com")
    join(a_look(alice), mine)
    assert Communication.objects.get(pk=mine.pk).customer_id is None
    assert Communication.objects.get(pk=his.pk).subject_id == bob.subject_id
    assert Subject.objects.filter(pk=bob.subject_id).exists()


# Whole people ---------------------------------------------------------------------------------------------------------


def test_two_people_with_customer_numbers_become_one(alice: User) -> None:
    contact = factories.customer("A.", "Archer", company=factories.company())
    own = factories.customer(user=alice, email="")
    order, address = an_order(contact), factories.address(contact)
    join(a_look(alice), contact)
    assert {c.subject_id for c in Customer.objects.all()} == {own.subject_id}
    assert {Order.objects.for_subject(alice.subject_id).get().pk, address.pk} == {order.pk, address.pk}
    keys_name_the_owner()


def test_somebody_whose_order_carries_the_address_is_joined_by_number(alice: User, bob: Customer) -> None:
    an_order(bob, email=ADDRESS)
    message = factories.communication(bob)
    join(a_look(alice), people=[bob.subject_id], reason="written")
    assert Customer.objects.get(pk=bob.pk).subject_id == alice.subject_id
    assert Communication.objects.get(pk=message.pk).subject_id == alice.subject_id
    keys_name_the_owner()


def test_the_question_whether_a_login_is_the_customer_is_decided_with_it_and_asked_again_by_an_undo(
    alice: User,
) -> None:
    contact = factories.customer("A.", "Archer", company=factories.company())
    assert claim.attempt(alice, ADDRESS, actor=alice.as_actor(), now=NOW) is None
    look = join(a_look(alice), contact)
    assert ClaimReview.objects.get().outcome == "accepted"
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert (ClaimReview.objects.get().outcome, ClaimReview.objects.get().decided_at) == ("open", None)


def test_a_record_in_the_plan_of_another_request_waits_for_it(alice: User, bob: Customer) -> None:
    message = factories.communication(email=ADDRESS)
    asked = taken_in("access", bob.subject_id, channel="phone", actor=PRIVACY)
    asked.decisions.create(
        label="accounts.communication", record_id=message.pk, envelope="support", action="give", code="GIVE"
    )
    with pytest.raises(NotPossible, match="about one of these records"):
        join(a_look(alice), message)


# What stands under somebody else --------------------------------------------------------------------------------------


@pytest.mark.parametrize("has", ["number", "login"])
def test_one_clerk_moves_nothing_that_stands_under_a_customer_or_a_login(alice: User, bob: Customer, has: str) -> None:
    look, me = joining.ask(bob.subject_id, actor=PRIVACY, now=NOW), alice.subject_id
    if has == "number":
        me = factories.customer("Ada", "Adams", email="ada@example.com", phone="").subject_id
    hers = factories.communication(subject=Subject.objects.get(pk=me), email="bob@example.com")
    keys = [(hers.vault_label, hers.pk)]
    seen = joining.preview(look, keys, now=NOW).fingerprint
    look = joining.join(look, keys, reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    assert (look.outcome, Communication.objects.get().subject_id) == ("open", me)
    with pytest.raises(NotPossible, match="second person"):
        joining.confirm(look, fingerprint=seen, actor=PRIVACY, now=NOW)
    assert Communication.objects.get().subject_id == me and not Letter.objects.exists()
    look = joining.confirm(look, fingerprint=seen, actor=COLLEAGUE, now=NOW)
    assert (look.outcome, Communication.objects.get().subject_id) == ("joined", bob.subject_id)
    assert Joined.objects.get().proposed_by == f"staff/{PRIVACY.id}"
    assert Letter.objects.filter(kind="records_joined").count() == 2, "both are told"


def test_whoever_entered_a_contact_of_the_person_is_no_second_person_for_a_joining(alice: User, bob: Customer) -> None:
    an_order(bob, email=ADDRESS)
    factories.customer(user=alice, email="")
    pia, mona = factories.staff("pia", "pia@ilt.example", roles=("privacy",)).as_actor(), COLLEAGUE
    corrections.correct(
        Customer.objects.get(user=alice), {"phone": "617-555-0100"}, actor=pia, now=NOW, reason="by phone"
    )
    look = a_look(alice)
    seen = joining.preview(look, [], [bob.subject_id], now=NOW).fingerprint
    look = joining.join(look, [], people=[bob.subject_id], reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    with pytest.raises(NotPossible, match="contact of the person in hand"):
        joining.confirm(look, fingerprint=seen, actor=pia, now=NOW)
    assert joining.confirm(look, fingerprint=seen, actor=mona, now=NOW).outcome == "joined"


def test_one_clerk_joins_what_is_nobodys_yet(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    look, keys = a_look(alice), [(message.vault_label, message.pk)]
    seen = joining.preview(look, keys, now=NOW).fingerprint
    look = joining.join(look, keys, reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    assert (look.outcome, Communication.objects.get().subject_id) == ("joined", alice.subject_id)


# Once -----------------------------------------------------------------------------------------------------------------


def test_a_joining_is_decided_once(alice: User) -> None:
    one, two = (factories.communication(email=ADDRESS) for _ in range(2))
    look = join(a_look(alice), one)
    with pytest.raises(NotPossible, match="decided before"):
        join(look, two)
    with pytest.raises(NotPossible, match="decided before"):
        joining.close(look, actor=PRIVACY, now=NOW)
    look = joining.undo(look, actor=PRIVACY, now=NOW)
    with pytest.raises(NotPossible, match="no joining to undo"):
        joining.undo(look, actor=PRIVACY, now=NOW)


# The plan, the audit --------------------------------------------------------------------------------------------------


def test_joining_while_a_removal_is_planned_changes_its_plan(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    request = taken_in("erasure", alice.subject_id, identity="login", actor=alice.as_actor())
    plan = services.make_plan(request, actor=alice.as_actor(), now=NOW)
    join(a_look(alice), message)
    with pytest.raises(services.PlanChanged) as changed:
        services.confirm(request, plan.hash, actor=alice.as_actor(), now=NOW)
    assert message.pk in {one.record_id for one in changed.value.plan.verdicts}
    assert not changed.value.plan.unjoined


def test_the_audit_tells_both_people_and_no_value(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    look = join(a_look(alice), order)
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert [e.action for e in audit.history(subject=bob.subject_id)][-1:] == ["joining.taken"]
    assert [e.action for e in audit.history(subject=alice.subject_id)][-5:] == [
        "joining.asked", "joining.proposed", "customer.created", "joining.joined", "joining.undone",
    ]  # fmt: skip
    assert {e.reason for e in AuditEvent.objects.filter(action__startswith="joining.")} == {"staff", "facts"}


def test_a_preview_counts_what_hangs_on_the_records_in_the_same_queries(alice: User, bob: Customer) -> None:
    look = a_look(alice)

    def counted(orders: list[Order]) -> tuple[Any, int]:
        with CaptureQueriesContext(connections["default"]) as queries:
            seen = joining.preview(look, [(Order.vault_label, one.pk) for one in orders], now=NOW)
        return seen.counts, len(queries)

    def an_order_with_payment() -> Order:
        order = an_order(bob, email=ADDRESS)
        Payment.objects.create(order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
        return order

    orders = [an_order_with_payment()]
    counts, few = counted(orders)
    assert counts == (("order", 1), ("payment", 1))
    orders += [an_order_with_payment() for _ in range(29)]
    counts, many = counted(orders)
    assert counts == (("orders", 30), ("payments", 30))
    assert many == few
