"""The demo company: invented, plausible, loaded once, on the launcher's own servers only."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from accounts.models import Communication, Company, Customer, TaxIdentifier, User
from ilt_site import demo
from orders.models import Order
from privacy import gate, registers
from privacy.gate.system import system
from rma.models import RMA, Certificate, Ownership, RMAEvent
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_quick_passwords")]
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


@pytest.fixture
def _quick_passwords(settings: Any) -> None:
    """Hash in microseconds: six logins in each of these tests, and none of them tests the hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def _company(django_db_setup: None, django_db_blocker: Any) -> Iterator[demo.Loaded]:
    """The demo company, made once for this file and undone at its end: every test here has it. What must see none
    stands in test_demo_data.py."""
    with django_db_blocker.unblock(), override_settings(DEMO=True), undone():
        with system("demo", kind="operator"):
            made = demo.load(actor=gate.current(), now=NOW)
        yield made


@pytest.fixture
def loaded(_company: demo.Loaded, db: None, settings: Any) -> demo.Loaded:
    """The demo company; what a test does to it is undone after the test."""
    settings.DEMO = True
    return _company


def counts() -> dict[str, int]:
    models = (User, Customer, Company, Order, RMA, Certificate, Communication, Ownership)
    return {model.__name__: model.objects.count() for model in models}


def test_people_orders_and_returns_are_there(loaded: demo.Loaded) -> None:
    assert loaded.created
    assert counts() == {
        "User": 7, "Customer": 12, "Company": 5, "Order": 17, "RMA": 9, "Certificate": 3, "Communication": 5,
        "Ownership": 9,
    }  # fmt: skip
    assert Counter(RMA.objects.values_list("state", flat=True)) == {
        "closed": 3, "in_service": 1, "requested": 2, "quoted": 1, "on_hold": 1, "cancelled": 1,
    }  # fmt: skip
    assert {order.placed_on.year for order in Order.objects.all()} >= {2017, 2019, 2024, 2026}
    assert (Order.objects.open().count(), Order.objects.unpaid().count()) == (2, 1)
    assert set(Communication.objects.values_list("department", flat=True)) == set(Communication.Department.values)
    assert set(Order.objects.values_list("channel", flat=True)) == {
        "web", "phone", "fax", "email", "mail", "in_person",
    }  # fmt: skip


def test_alice_and_bob_have_orders_and_returns_of_their_own(loaded: demo.Loaded) -> None:
    alice, bob = (User.objects.named(name).get() for name in ("alice", "bob"))
    assert Order.objects.for_subject(alice.subject_id).count() == 3
    assert Order.objects.for_subject(bob.subject_id).unpaid().count() == 1
    assert RMA.objects.for_subject(alice.subject_id).open().count() == 1


def test_who_has_a_login_asked_for_the_own_returns_and_accepted_the_own_quote(loaded: demo.Loaded) -> None:
    events = RMAEvent.objects.filter(rma__customer__user__isnull=False, rma__channel="web")
    first = {one.rma_id: one for one in events.order_by("-pk")}
    assert first and all(one.is_by_customer and one.rma.is_typed for one in first.values())
    approved = RMAEvent.objects.get(rma__customer__reference="DEMO-01", to_state=RMA.State.APPROVED)
    assert approved.is_by_customer


def test_a_colleague_shares_the_mailbox_and_somebody_has_a_phone_only(loaded: demo.Loaded) -> None:
    assert Customer.objects.find("customer.email", "info@harboroptics.example").count() == 2
    with system("demo"):
        assert [one.reference for one in Customer.objects.order_by("reference") if one.phone and not one.email] == [
            "DEMO-05",
            "DEMO-10",
        ]
        assert TaxIdentifier.objects.get(kind="ssn").used_as_tax_id


def test_each_password_opens_its_login_once_and_is_stored_nowhere(loaded: demo.Loaded) -> None:
    assert [(one.role, one.username) for one in loaded.logins] == [
        ("customer", "alice"), ("customer", "bob"), ("sales", "carol"), ("service", "dan"), ("accounting", "erin"),
        ("privacy", "pat"), ("manager", "mona"),
    ]  # fmt: skip
    assert len({one.password for one in loaded.logins}) == 7
    for one in loaded.logins:
        user = User.objects.named(one.username).get()
        assert user.check_password(one.password)
        assert user.must_change_password
        assert user.roles == {one.role}
        if user.is_staff:
            assert registers.current(user.subject_id, today=NOW.date())
    for alias in ("default", "keystore"):
        for table in connections[alias].introspection.table_names():
            with connections[alias].cursor() as cursor:
                cursor.execute(f'SELECT t::text FROM "{table}" t')
                text = repr(cursor.fetchall())
            assert not any(one.password in text for one in loaded.logins)


def test_a_second_run_creates_nothing_and_renews_unused_passwords_only(loaded: demo.Loaded) -> None:
    before = counts()
    carol = User.objects.named("carol").get()
    carol.must_change_password = False
    carol.save(update_fields=["must_change_password"])
    with system("demo", kind="operator"):
        again = demo.load(actor=gate.current(), now=NOW)
    assert not again.created
    assert counts() == before
    assert "carol" not in {one.username for one in again.logins}
    assert len(again.logins) == 6
    assert again.in_use == ("carol",)
    alice = next(one for one in again.logins if one.username == "alice")
    assert User.objects.named("alice").get().check_password(alice.password)


def test_the_instrument_went_on_without_its_first_owner(loaded: demo.Loaded) -> None:
    alice = User.objects.named("alice").get()
    sold = Ownership.objects.filter(instrument__serial="ILT2400-1042")
    assert sold.count() == 2
    assert Certificate.objects.filter(instrument__serial="ILT2400-1042").count() == 1
    assert not Certificate.objects.for_subject(alice.subject_id).filter(instrument__serial="ILT2400-1042").exists()


def test_everything_is_invented(loaded: demo.Loaded) -> None:
    with system("demo"):
        for customer in Customer.objects.all():
            assert not customer.email or customer.email.endswith(".example")
