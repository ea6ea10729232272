"""Joining makes what is one person's one, undo puts it back exactly, and neither does anything that was not seen
before."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts import candidates, claim, corrections, joining, keys_follow, upgrades
from accounts.joinable import NotPossible
from accounts.models import ClaimReview, Communication, Customer, Joined, Joining, User
from orders.models import Order, Payment
from privacy import audit, datamap, gate, vault
from privacy.audit import AuditEvent
from privacy.gate import AccessEntry
from privacy.gate.log import AccessName
from privacy.letters.models import Letter
from privacy.requests import erasure, filing, services
from privacy.requests.models import Request
from privacy.subjects import Subject
from privacy.vault import SealedModel
from privacy.vault.models import DataKey, Once
from rma.models import RMA, RMANote
from tests import factories, pages
from tests.asked import ANYBODY, PRIVACY, taken_in
from tests.factories import CONTACT, NOW, TODAY, an_order, an_rma

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


def everywhere() -> dict[str, Any]:
    """Whose everything is: every link to a person or customer number, and the owner of every key."""
    links = {
        (model._meta.label, column, str(pk)): value
        for model, column in [
            *claim.links(),
            (Order, "customer_id"),
            (RMA, "customer_id"),
            (Communication, "customer_id"),
        ]
        if model
        not in (
            Joined,
            Joining,
            AccessName,
            Letter,
        )  # letters are about the joining; whose they are is tested with the undo
        for pk, value in model._base_manager.values_list("pk", column)
    }
    keys = {
        (key.record, key.envelope): (key.owner_kind, key.owner_id) for key in DataKey.objects.filter(destroyed_at=None)
    }
    return {"links": links, "keys": keys, "people": dict(Subject.objects.values_list("pk", "created_at"))}


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


def test_what_stands_under_one_login_is_not_moved_to_another_by_whoever(alice: User) -> None:
    hers = an_order(factories.customer(user=alice), email=ADDRESS, phone="978-555-0123")
    stranger = factories.login("bob", "bob@example.com")
    factories.customer("Bob", "Baker", email="", user=stranger)  # the same telephone, from an import
    look = joining.ask(stranger.subject_id, actor=PRIVACY, now=NOW)
    assert (hers.vault_label, hers.pk) in {(one.label, one.pk) for one in candidates.of(stranger.subject_id, now=NOW)}
    with pytest.raises(NotPossible, match="Both have a login"):
        join(look, hers)
    assert list(Order.objects.for_subject(alice.subject_id)) == [hers]


# Undo -----------------------------------------------------------------------------------------------------------------


def test_undo_puts_everything_back_exactly(alice: User, bob: Customer) -> None:
    factories.customer(user=alice, email="")
    contact = factories.customer("A.", "Archer", company=factories.company())
    an_rma(contact)
    factories.tax_identifier(contact)
    messages = [factories.communication(email=ADDRESS) for _ in range(2)]
    order = an_order(bob, email=ADDRESS)
    Payment.objects.create(order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
    an_order(bob, email="bob@example.com")
    with gate.acting(PRIVACY):
        assert Communication.objects.get(pk=messages[0].pk).email
    look = a_look(alice)
    before, seen = everywhere(), dict(AccessEntry.objects.values_list("pk", "whose__subject_id"))
    look = join(look, *messages, order, contact)
    after = everywhere()
    assert before != after
    look = joining.undo(look, actor=PRIVACY, now=NOW)
    back = everywhere()
    # Names that the audit gave to people meanwhile are new; they belong to them.
    new = {key: owner for key, owner in back["keys"].items() if key not in before["keys"]}
    letters = set(Letter.objects.filter(kind__in=["joined", "records_joined"]).values_list("pk", "subject"))
    assert {subject for _, subject in letters} == {alice.subject_id, bob.subject_id}, "the contact has alice's address"
    for (record, envelope), owner in new.items():
        assert owner == ("subject", record) if envelope == "pseudonym" else (record, owner[1]) in letters
    assert {key: owner for key, owner in back["keys"].items() if key not in new} == before["keys"]
    assert (back["links"], back["people"]) == (before["links"], before["people"])
    assert dict(AccessEntry.objects.values_list("pk", "whose__subject_id")) == seen
    assert (look.outcome, look.moved, look.is_settled) == ("undone", {}, True)
    keys_name_the_owner()


def test_undo_of_what_was_erased_since_is_refused_and_changes_nothing(alice: User) -> None:
    one, two = (factories.communication(email=ADDRESS) for _ in range(2))
    look = join(a_look(alice), one, two)
    Communication.objects.get(pk=one.pk).delete()
    before = everywhere()
    with pytest.raises(NotPossible, match="erased or joined with somebody else"):
        joining.undo(look, actor=PRIVACY, now=NOW)
    assert everywhere() == before


def test_undo_after_a_removal_is_refused(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    look = join(a_look(alice), message)
    request = taken_in("erasure", alice.subject_id, identity="login", actor=alice.as_actor())
    plan = services.make_plan(request, actor=alice.as_actor(), now=NOW)
    services.confirm(request, plan.hash, actor=alice.as_actor(), now=NOW)
    with pytest.raises(NotPossible, match="removal"):
        joining.undo(look, actor=PRIVACY, now=NOW)


def test_undo_after_a_later_joining_is_refused_where_it_is_not_the_same_any_more(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    look = join(a_look(alice), order)
    claim.merge(
        bob.subject_id, factories.customer("Bea", "Baker", email="bea@example.com").subject_id, actor=None, now=NOW
    )
    joining.undo(look, actor=PRIVACY, now=NOW)  # bob's customer number is still there, with his new self
    assert Order.objects.get().customer_id == bob.pk
    keys_name_the_owner()
    message = factories.communication(factories.customer("Eve", "Eden", email="eve@example.com"), email=ADDRESS)
    look = join(a_look(alice), message)
    claim.merge(message.subject_id, alice.subject_id, actor=None, now=NOW)
    with pytest.raises(NotPossible, match="gone, or was joined"):
        joining.undo(look, actor=PRIVACY, now=NOW)


def test_an_undo_after_the_person_was_joined_with_another_still_knows_its_own(alice: User, bob: Customer) -> None:
    message = factories.communication(email=ADDRESS)
    look = join(a_look(alice), message)
    other = factories.login("alice2", "alice2@example.com")
    claim.merge(alice.subject_id, other.subject_id, actor=None, now=NOW)
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert Communication.objects.get().subject_id == message.subject_id
    keys_name_the_owner()


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_changed_since_the_preview_is_not_joined(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    look, keys = a_look(alice), [(Order.vault_label, order.pk)]
    seen = joining.preview(look, keys, now=NOW).fingerprint
    Payment.objects.create(order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030")
    with pytest.raises(NotPossible, match="changed since you looked"):
        joining.join(look, keys, reason="facts", fingerprint=seen, actor=PRIVACY, now=NOW)
    assert Order.objects.get().customer_id == bob.pk


def test_what_is_no_candidate_is_not_joined(alice: User, bob: Customer) -> None:
    his = an_order(bob, email="bob@example.com")
    look = a_look(alice)
    with pytest.raises(NotPossible, match="no candidate"):
        join(look, his)
    with pytest.raises(NotPossible, match="Choose"):
        join(look)
    with pytest.raises(NotPossible, match="same person"):
        join(look, people=[alice.subject_id])


@pytest.mark.parametrize("roles", [("sales",), ("service",), ("accounting",), ()])
def test_only_the_privacy_team_joins_and_undoes(alice: User, roles: tuple[str, ...]) -> None:
    message = factories.communication(email=ADDRESS)
    carol = factories.staff(roles=roles).as_actor()
    look = a_look(alice)
    for actor in (carol, alice.as_actor()):
        with pytest.raises(gate.Refused):
            join(look, message, actor=actor)
    look = join(look, message)
    with pytest.raises(gate.Refused):
        joining.undo(look, actor=carol, now=NOW)
    assert Communication.objects.get().subject_id == alice.subject_id


def test_an_open_request_of_the_other_person_comes_first(alice: User, bob: Customer) -> None:
    order = an_order(bob, email=ADDRESS)
    filing.file(
        filing.Receipt(kind="access", subject=bob.subject_id, channel="phone", received_on=TODAY),
        actor=PRIVACY,
        now=NOW,
    )
    with pytest.raises(NotPossible, match="open: it comes first"):
        join(a_look(alice), order)


def test_nothing_is_joined_to_the_stand_in_of_a_request_about_single_records(alice: User) -> None:
    factories.communication(email="eve@example.com", contact_name="Eve Eden")
    filing.ask(kind="access", email="eve@example.com", actor=ANYBODY, now=NOW)
    asked = Request.objects.get()
    assert asked.is_about_records and asked.subject_id
    with pytest.raises(NotPossible, match="one address"):
        joining.ask(asked.subject_id, actor=PRIVACY, now=NOW)
    with pytest.raises(NotPossible, match="one address"):
        join(a_look(alice), people=[asked.subject_id])


def test_records_of_staff_are_not_joined(alice: User) -> None:
    carol = factories.staff()
    with pytest.raises(NotPossible, match="staff"):
        join(a_look(alice), people=[carol.subject_id])


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


# A crash, the plan, the audit -----------------------------------------------------------------------------------------


def test_killed_between_the_databases_nothing_opens_for_the_wrong_person_and_a_worker_finishes(
    alice: User, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = an_order(bob, email=ADDRESS)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(vault.keys, "hand_over", killed)
        with pytest.raises(KeyboardInterrupt):
            join(a_look(alice), order)
    assert Order.objects.get().customer.subject_id == alice.subject_id
    with gate.acting(alice.as_actor()):
        assert isinstance(Order.objects.for_subject(alice.subject_id).get().email, vault.Unreadable)
    assert not Order.objects.for_subject(bob.subject_id).exists()
    assert keys_follow.settle_all() == 1
    keys_name_the_owner()
    with gate.acting(alice.as_actor()):
        assert Order.objects.get().email == ADDRESS
    assert keys_follow.settle_all() == 0


# A row that the site did not write ------------------------------------------------------------------------------------


def owner_of(record: Any) -> Any:
    return DataKey.objects.filter(record=record.pk).order_by().values_list("owner_id", flat=True).distinct().get()


def test_a_planted_joining_gives_nobody_a_key_and_is_not_undone(alice: User, bob: Customer) -> None:
    order, mallory = an_order(bob), factories.customer("Mallory", "Moss", email="mallory@example.com")
    Order._base_manager.filter(pk=order.pk).update(customer=mallory)
    links = [["orders.Order", "customer_id", str(bob.pk), str(mallory.pk), [str(order.pk)]]]
    planted = Joining.objects.create(
        subject=mallory.subject, asked_by="staff", opened_at=NOW, outcome="joined", decided_at=NOW,
        moved={"links": links, "people": []}, is_settled=False,
    )  # fmt: skip
    true = joining_left_unsettled(alice)

    assert keys_follow.settle_all() == 1, "the true one, which stands behind it"

    assert owner_of(order) == bob.subject_id
    assert owner_of(true) == alice.subject_id
    for work in (lambda: keys_follow.settle(planted), lambda: joining.undo(planted, actor=PRIVACY, now=NOW)):
        with pytest.raises(NotPossible, match="not say what the site wrote"):
            work()
    assert owner_of(order) == bob.subject_id
    assert Order._base_manager.get(pk=order.pk).customer_id == mallory.pk

    planted.bind().save()
    assert keys_follow.settle_all() == 1
    assert owner_of(order) == mallory.subject_id, "what the hash keeps out"


def joining_left_unsettled(user: User) -> Communication:
    """Leave a joining as a killed process does; return the message that it moved."""
    message = factories.communication(email=ADDRESS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys_follow, "settle", lambda one: one)
        join(a_look(user), message)
    assert owner_of(message) == message.subject_id != user.subject_id
    return message


@pytest.mark.parametrize("change", ["subject", "outcome", "moved", "is_settled"])
def test_a_true_joining_that_somebody_changed_moves_no_key(alice: User, bob: Customer, change: str) -> None:
    message, his = factories.communication(email=ADDRESS), an_order(bob)
    look = join(a_look(alice), message)
    changes: dict[str, Any] = {
        "subject": {"subject": bob.subject},
        "outcome": {"outcome": "undone"},
        "moved": {"moved": {"links": [["orders.Order", "customer_id", None, None, [str(his.pk)]]], "people": []}},
        "is_settled": {},
    }
    Communication.objects.filter(pk=message.pk).update(subject=bob.subject)
    Joining.objects.filter(pk=look.pk).update(**changes[change], is_settled=False)
    assert keys_follow.settle_all() == 0
    with pytest.raises(NotPossible):
        joining.undo(look, actor=PRIVACY, now=NOW)
    assert (owner_of(message), owner_of(his)) == (alice.subject_id, bob.subject_id)


def test_a_joining_goes_with_its_person_to_another_and_back_and_still_says_what_the_site_wrote(
    alice: User, bob: Customer
) -> None:
    message = factories.communication(email="bob@example.com")
    his = join(joining.ask(bob.subject_id, actor=PRIVACY, now=NOW), message)
    an_order(bob, email=ADDRESS)
    look = join(a_look(alice), people=[bob.subject_id], reason="written")
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (alice.subject_id, True)
    joining.undo(look, actor=PRIVACY, now=NOW)
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (bob.subject_id, True)
    Joining.objects.filter(pk=his.pk).update(moved={"links": [], "people": []})
    claim.merge(bob.subject_id, alice.subject_id, actor=None, now=NOW)
    his.refresh_from_db()
    assert (his.subject_id, his.is_bound) == (alice.subject_id, False), "one that was changed stays so"


def test_joinings_of_before_are_bound_once_and_are_undone_then(alice: User) -> None:
    message = factories.communication(email=ADDRESS)
    writer = message.subject_id
    look = join(a_look(alice), message)
    Joining.objects.update(mac="")
    with pytest.raises(NotPossible, match="not say what the site wrote"):
        joining.undo(look, actor=PRIVACY, now=NOW)
    Once.objects.all().delete()
    upgrades.bind_rows(now=NOW)
    assert Joining.objects.get().is_bound
    Joining.objects.update(mac="")
    upgrades.bind_rows(now=NOW)
    assert not Joining.objects.get().is_bound, "never a second time"
    look.bind().save()
    joining.undo(look, actor=PRIVACY, now=NOW)
    assert Communication.objects.get().subject_id == owner_of(message) == writer


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
