"""Data set right: re-keyed, told to the audit by the names of the fields, and never by whom it is not for."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import corrections
from accounts.models import Customer
from privacy import gate, vault
from privacy.audit import AuditEvent
from privacy.vault.models import DataKey
from tests import factories
from tests.accounts.test_services import actions, opened
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_correction_rekeys_and_tells_which_fields() -> None:
    alice = factories.customer()
    key = DataKey.objects.get(record=alice.pk, destroyed_at=None).pk
    changed = corrections.correct(
        alice, {"first_name": "Alicia", "last_name": "Archer"}, actor=factories.acting_as(alice), now=NOW
    )
    assert changed == ("first_name",)
    assert opened(alice, "first_name") == "Alicia"
    assert DataKey.objects.filter(record=alice.pk).exclude(pk=key).exists()
    assert AuditEvent.objects.get().fields == ["first_name"]
    assert "Alicia" not in str(AuditEvent.objects.values())


def test_a_corrected_address_is_found_under_the_new_value_only(django_capture_on_commit_callbacks: Any) -> None:
    alice = factories.customer()
    with django_capture_on_commit_callbacks(execute=True), gate.acting(factories.acting_as(alice)):
        corrections.correct(alice, {"email": "new@example.com"}, actor=factories.acting_as(alice), now=NOW)
    assert not Customer.objects.find("customer.email", "alice@example.com").exists()
    assert Customer.objects.find("customer.email", "NEW@example.com").get() == alice


def test_bob_may_not_correct_alice() -> None:
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    with pytest.raises(PermissionDenied):
        corrections.correct(alice, {"first_name": "Bob"}, actor=factories.acting_as(bob), now=NOW)
    assert opened(alice, "first_name") == "Alice"


def test_a_stranger_does_not_learn_whether_a_value_is_the_one_on_file() -> None:
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    for value in ("Alice", "Mary"):
        with pytest.raises(PermissionDenied):
            corrections.correct(alice, {"first_name": value}, actor=factories.acting_as(bob), now=NOW)


def test_nothing_to_correct_is_said_and_no_event_written() -> None:
    alice = factories.customer()
    with gate.acting(factories.acting_as(alice)), pytest.raises(corrections.NothingToCorrect):
        corrections.correct(alice, {"first_name": "Alice"}, actor=factories.acting_as(alice), now=NOW)
    assert actions() == []


def test_a_mask_is_never_written_back() -> None:
    alice = factories.customer()
    masked = Customer.objects.get().first_name
    assert isinstance(masked, vault.Masked)
    with pytest.raises(corrections.NothingToCorrect):
        corrections.correct(alice, {"first_name": masked}, actor=factories.acting_as(alice), now=NOW)
    assert opened(alice, "first_name") == "Alice"


@pytest.mark.parametrize(
    "changes", [{"phone": "none"}, {"email": "none"}, {"last_name": "4111 1111 1111 1111"}, {"reference": "X1"}]
)
def test_a_wrong_value_is_refused(changes: dict[str, str]) -> None:
    alice = factories.customer()
    with pytest.raises(ValidationError):
        corrections.correct(alice, changes, actor=factories.acting_as(alice), now=NOW)
