"""Before a person is forgotten or an end is said, the key store is asked: a row can be hung on somebody else, or be
away, for a night."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q, QuerySet

from accounts.models import Customer, User
from orders.models import Order, Payment
from orders.personal_data import payment_facts
from privacy import vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.models import AccessEntry
from privacy.requests import bound, execute, outcome, whose
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.subjects import Subject
from privacy.sweep import arming, nightly, second_letter
from privacy.sweep.report import SweepReport
from tests import pages, roles
from tests.asked import NOW, OPERATOR, TODAY, Clock, confirmed, filed, outlived, run, with_letters
from tests.factories import a_customer, an_order, staff
from tests.people import a_kept_order, an_old_order

pytestmark = pytest.mark.django_db

DAY = TODAY + timedelta(days=30)


@pytest.fixture(autouse=True)
def _armed(settings: Any, db: None) -> None:
    settings.DEMO = True
    arming.arm(actor=OPERATOR)


def swept(days: int = 0) -> SweepReport:
    with system("sweep"):
        return nightly.sweep(on=DAY + timedelta(days=days), dry_run=False, actor=OPERATOR)


def hang(table: str, column: str, old: Any, new: Any) -> None:
    """As who can write to the main database says that records are somebody else's."""
    roles.run(f"UPDATE {table} SET {column} = '{new}' WHERE {column} = '{old}'")


def noted(report: SweepReport) -> set[tuple[str, str, str]]:
    return {(one.step, one.label, one.error) for one in report.findings}


def test_a_person_whose_records_hang_on_somebody_else_is_not_forgotten_when_the_last_row_ends(
    alice: Customer, bob: Customer
) -> None:
    alices, bobs = alice.subject_id, bob.subject_id
    order = a_kept_order(alice)
    pages.signed_in(staff("carol", roles=("sales",))).get(f"/admin/accounts/customer/{alice.pk}/")
    filed(alice, "access")
    with_letters(NOW)
    looked = AccessEntry.objects.for_subject(alices).count()
    held = set(vault.keys.still_sealed(("subject", alices)))
    assert looked and (User.vault_label, alice.user_id) in held and ("orders.order", order.pk) in held
    letter = Letter.objects.filter(subject_id=alices).first()
    assert letter is not None
    roles.run(
        f"UPDATE privacy_letter SET queued_at = queued_at - interval '20 years', sent_at = sent_at - interval '20 years' "
        f"WHERE id = '{letter.pk}'"
    )
    bound.write(Q(owner_id=alices), state=State.CLOSED)  # by the site: one that another program closed has not ended
    for table in ("accounts_customer", "accounts_user", "accounts_communication"):
        hang(table, "subject_id", alices, bobs)

    report = swept()

    assert report.erased == 1, "the letter has outlived its period"
    assert {(one.label, one.record) for one in report.findings if one.error == "StillSealed"} == {
        (label, str(record)) for label, record in held
    }
    assert Subject.objects.filter(pk=alices).exists()
    assert AccessEntry.objects.for_subject(alices).count() == looked
    assert set(vault.keys.still_sealed(("subject", alices))) == held
    assert vault.pseudonyms([alices]), "her name in the audit"


def test_a_removal_that_finds_a_kept_record_hung_on_somebody_else_forgets_nobody_and_stops(
    alice: Customer, bob: Customer
) -> None:
    order, removal = a_kept_order(alice), confirmed(alice)
    while removal.step != "unlink":
        assert execute.advance(removal.pk, now=NOW) == removal.step
        removal.refresh_from_db()
    hang("orders_order", "customer_id", alice.pk, bob.pk)
    assert execute.advance(removal.pk, now=NOW) == "retry"
    removal.refresh_from_db()
    assert (removal.step, removal.last_error, removal.subject_id) == ("unlink", "StillSealed", removal.owner_id)
    assert vault.keys.owners([order.pk]) == {order.pk: ("subject", alice.subject_id)}
    roles.run(f"UPDATE orders_order SET customer_id = '{alice.pk}' WHERE id = '{order.pk}'")
    run(removal, Clock(NOW + timedelta(hours=6)))
    assert removal.state == State.CLOSED and removal.subject_id == alice.subject_id, "the control: the order keeps her"


def test_a_night_counts_people_and_whose_a_record_is_by_the_key_store(
    alice: Customer, bob: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 2)
    others = [a_customer(last_active_on=TODAY) for _ in range(2)]
    orders = [an_old_order(one) for one in (alice, bob, *others)]
    known = vault.keys.people()
    roles.run(
        "INSERT INTO privacy_subject (id, created_at) SELECT gen_random_uuid(), now() FROM generate_series(1, 4000)"
    )
    assert (nightly.cap(), vault.keys.people()) == (2, known)
    for one in orders[1:]:
        hang("orders_order", "customer_id", one.customer_id, alice.pk)

    report = swept()

    assert (report.due, report.erased, report.stopped_by_cap) == (4, 1, 0)
    strange = {("owner", "orders.order", str(one.pk), "NotOurs") for one in orders[1:]}
    assert {(one.step, one.label, one.record, one.error) for one in report.findings} == strange
    assert [vault.keys.is_destroyed(one.pk, "order") for one in orders] == [True, False, False, False]
    for one in orders[1:]:
        roles.run(f"UPDATE orders_order SET customer_id = '{one.customer_id}' WHERE id = '{one.pk}'")
    assert (swept(1).erased, sum(vault.keys.is_destroyed(one.pk, "order") for one in orders)) == (2, 3), "the control"


def test_what_a_person_was_told_of_ends_as_theirs_only(alice: Customer, bob: Customer) -> None:
    order = a_kept_order(alice)
    run(confirmed(alice))
    hang("orders_order", "customer_id", alice.pk, bob.pk)
    day = (Decision.objects.get(label="orders.order", action="keep").until - DAY).days + 1
    assert ("owner", "orders.order", "NotOurs") in noted(swept(day))
    assert vault.keys.living([(order.pk, "order")])
    roles.run(f"UPDATE orders_order SET customer_id = '{alice.pk}' WHERE id = '{order.pk}'")
    assert swept(day + 1).findings == [] and not vault.keys.living([(order.pk, "order")]), "the control"


def test_an_end_is_said_only_when_the_key_is_gone(alice: Customer) -> None:
    """A row, or its sealed bytes, that is away for a night."""
    day = NOW.date() - timedelta(days=10)
    order = an_order(alice, day, invoiced=day, shipped=day)  # unpaid: kept while it is open
    removal = confirmed(alice)
    run(removal)
    sealed = Order.objects.filter(pk=order.pk).values("sealed_order", "sealed_fulfilment").get()
    assert all(sealed.values()), "both are kept"
    roles.run("UPDATE orders_order SET sealed_order = NULL, sealed_fulfilment = NULL")

    assert noted(swept()) == {("decision", "orders.order", "StillSealed")}

    kept = removal.decisions.filter(label="orders.order")
    assert [(one.done_at, decided.is_ours(one)) for one in kept] == [(None, True)] * len(kept)
    assert not Letter.objects.filter(kind=second_letter.KIND).exists()
    with vault.internal():
        told = outcome.lines(removal, today=DAY)["kept"]
    assert told and not [one for one in told if one["sentence"] == outcome.GONE], "what was told of it stands"
    QuerySet(Order).filter(pk=order.pk).update(**sealed)
    assert swept(1).findings == []
    vault.keys.destroy([(order.pk, envelope) for envelope in ("order", "fulfilment")], now=NOW)
    roles.run("UPDATE orders_order SET sealed_order = NULL, sealed_fulfilment = NULL")
    assert swept(2).findings == [] and all(one.done_at for one in kept.all()), "the control: it ended another way"
    assert Letter.objects.filter(kind=second_letter.KIND).count() == 1


def test_a_second_letter_tells_no_end_of_which_the_key_store_has_the_key(alice: Customer) -> None:
    order = a_kept_order(alice)
    removal: Request = confirmed(alice)
    run(removal)
    one = removal.decisions.get(label="orders.order", action="keep")
    decided.done(removal.decisions.filter(pk=one.pk), nightly.database_now())  # as a version before said it
    assert ("tell", "privacy.request", "NotAsPlanned") in noted(swept())
    assert not Letter.objects.filter(kind=second_letter.KIND).exists()
    vault.keys.destroy([(order.pk, "order")], now=NOW)
    swept(1)
    assert Letter.objects.filter(kind=second_letter.KIND).count() == 1, "the control"


def test_a_payment_whose_order_has_ended_ends_and_the_person_with_it() -> None:
    """Its row leads to nobody then."""
    customer = a_customer()
    order = an_old_order(customer)
    payment = Payment.objects.create(
        order=order, token="tok_0123456789abcdef", last_four="4242", expiry="01/2030", charged_on=order.paid_on
    )
    subject = customer.subject_id
    outlived(customer, "account")
    outlived(order, "fulfilment")
    outlived(order, "order")
    assert Order.objects.get(pk=order.pk).customer_id is None
    assert vault.keys.still_sealed(("subject", subject)) == [(Payment.vault_label, payment.pk)]
    assert Subject.objects.filter(pk=subject).exists(), "something of the person is left"
    facts = payment_facts(Payment.objects.get(pk=payment.pk))
    assert facts.subject_id is None
    assert whose.look([facts]) == ({payment.pk: subject}, set()), "counted as hers, and no finding"
    outlived(payment, "payment")
    assert not Subject.objects.filter(pk=subject).exists()
