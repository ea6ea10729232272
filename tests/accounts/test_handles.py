"""The address in allauth's table is a random number; everything allauth asks of it still works."""

import io
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from accounts import adapter, handles
from accounts.middleware import _at_login
from accounts.models import LOGIN_ADDRESS, LoginAddress
from privacy import gate, vault
from privacy.gate import AccessEntry
from privacy.vault.keystore import keys
from privacy.vault.models import DataKey, Token
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db(databases="__all__")

ADDRESS = "alice@example.com"


@pytest.fixture
def at_login() -> Any:
    token = _at_login.set(True)
    yield
    _at_login.reset(token)


def column() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT email FROM account_emailaddress ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_the_column_holds_a_handle_of_35_characters() -> None:
    factories.login()
    (stored,) = column()
    assert stored == "h1." + LoginAddress.objects.get().pk.hex
    assert len(stored) == 35


def test_an_address_is_found_in_any_letter_case_and_by_list() -> None:
    user = factories.login()
    found = EmailAddress.objects
    assert found.get(email="ALICE@example.com").user == user
    assert found.get(email__iexact="Alice@Example.com").user == user
    assert found.get(email__in=["bob@example.com", ADDRESS]).user == user
    assert not found.filter(email="bob@example.com").exists()
    assert found.exclude(email="bob@example.com").count() == 1
    assert not found.filter(email__isnull=True).exists()


@pytest.mark.parametrize("lookup", ["contains", "icontains", "startswith", "endswith", "regex", "gt"])
def test_a_pattern_is_refused_instead_of_finding_nothing(lookup: str) -> None:
    with pytest.raises(FieldError):
        EmailAddress.objects.filter(**{f"email__{lookup}": "alice"}).exists()


def test_typing_a_handle_is_no_way_to_find_anybody() -> None:
    factories.login()
    assert not EmailAddress.objects.filter(email=column()[0]).exists()


def test_the_own_address_opens_for_its_holder_and_is_logged() -> None:
    user = factories.login()
    with gate.acting(user.as_actor()):
        assert EmailAddress.objects.get().email == ADDRESS
    entry = AccessEntry.objects.get()
    assert (entry.whose.subject_id, entry.envelopes) == (user.subject_id, {"accounts.login_address/account": 1})


def test_nobody_else_reads_it_outside_the_pages_of_the_login() -> None:
    factories.login()
    bob = factories.login("bob", "bob@example.com")
    address = EmailAddress.objects.get(email=ADDRESS)
    assert address.email == ""
    with gate.acting(bob.as_actor()):
        assert address.email == ""
    with gate.acting(gate.ANONYMOUS):
        assert address.email == ""


def test_the_pages_of_the_login_may_read_it_under_a_purpose_of_their_own(at_login: None) -> None:
    factories.login()
    with gate.acting(gate.ANONYMOUS):
        assert EmailAddress.objects.get().email == ADDRESS
    assert AccessEntry.objects.get().purpose == "login"


def test_its_text_names_nobody() -> None:
    factories.login()
    assert ADDRESS not in str(EmailAddress.objects.get())


def test_saving_again_writes_the_same_handle() -> None:
    factories.login()
    before = column()
    for address in EmailAddress.objects.all():
        address.save()
    assert column() == before
    assert LoginAddress.objects.count() == 1


def test_a_verified_address_belongs_to_one_login() -> None:
    factories.login()
    bob = factories.login("bob", "bob@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        EmailAddress.objects.create(user=bob, email=ADDRESS, verified=True)


def test_an_unverified_claim_by_another_gives_way_to_the_holder() -> None:
    mallory = factories.login("mallory", "mallory@example.com")
    EmailAddress.objects.create(user=mallory, email=ADDRESS)
    alice = factories.login()
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()
    assert record.user == alice
    assert DataKey.objects.get(record=record.pk).owner_id == alice.subject_id
    mallory.delete()
    assert EmailAddress.objects.get(email=ADDRESS).user == alice
    with gate.acting(alice.as_actor()):
        assert EmailAddress.objects.get().email == ADDRESS


def claims(user: Any, record: LoginAddress, *, verified: bool = False) -> EmailAddress:
    """Write the row of an address as somebody who holds the main database's password."""
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO account_emailaddress (user_id, email, verified, "primary") VALUES (%s, %s, %s, false)',
            [user.pk, handles.Handle.of(record.pk), verified],
        )
    return EmailAddress.objects.get(user=user, email=handles.Handle.of(record.pk))


def unclaimed(user: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM account_emailaddress WHERE user_id = %s", [user.pk])


def owner_of(record: LoginAddress) -> Any:
    return DataKey.objects.get(record=record.pk, destroyed_at=None).owner_id


def test_an_address_passed_on_between_two_planted_rows_stays_its_persons() -> None:
    alice = factories.login()
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()
    mallory, trudy = (factories.login(name, f"{name}@example.com") for name in ("mallory", "trudy"))
    unclaimed(alice)
    planted = claims(mallory, record)
    claims(trudy, record)
    planted.delete()
    assert (owner_of(record), LoginAddress.objects.get(pk=record.pk).user) == (alice.subject_id, alice)


def test_a_planted_holder_of_an_address_gives_it_to_nobody() -> None:
    alice = factories.login()
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()
    mallory, trudy = (factories.login(name, f"{name}@example.com") for name in ("mallory", "trudy"))
    unclaimed(alice)
    assert LoginAddress.objects.filter(pk=record.pk).update(user=mallory) == 1
    claims(trudy, record, verified=True).save()
    assert owner_of(record) == alice.subject_id


def test_an_address_of_two_who_claim_it_ends_with_the_first_and_the_other_types_it_again() -> None:
    mallory, trudy = (factories.login(name, f"{name}@example.com") for name in ("mallory", "trudy"))
    first = EmailAddress.objects.create(user=mallory, email=ADDRESS)
    EmailAddress.objects.create(user=trudy, email=ADDRESS)
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()
    assert owner_of(record) == mallory.subject_id
    first.delete()
    assert not LoginAddress.objects.filter(pk=record.pk).exists()
    with vault.internal():
        assert not EmailAddress.objects.filter(user=trudy, verified=False).get().email
    EmailAddress.objects.filter(user=trudy, verified=False).delete()
    EmailAddress.objects.create(user=trudy, email=ADDRESS)
    assert owner_of(LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()) == trudy.subject_id


def test_a_planted_row_that_goes_takes_the_key_of_nobodys_address() -> None:
    alice, mallory = factories.login(), factories.login("mallory", "mallory@example.com")
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, ADDRESS).get()
    unclaimed(alice)
    claims(mallory, record).delete()
    assert owner_of(record) == alice.subject_id and LoginAddress.objects.filter(pk=record.pk).exists()


def test_deleting_does_not_open_anything() -> None:
    user = factories.login()
    vault.keys.destroy([(LoginAddress.objects.get().pk, "account")], now=NOW)
    user.delete()
    assert column() == []
    assert not AccessEntry.objects.exists()


def test_a_missing_key_reads_as_nothing_and_the_address_can_be_registered_again(at_login: None) -> None:
    factories.login()
    vault.keys.destroy([(LoginAddress.objects.get().pk, "account")], now=NOW)
    with gate.acting(gate.ANONYMOUS):
        assert EmailAddress.objects.get().email == ""
    assert handles.find(ADDRESS) is None
    factories.login("alice2", ADDRESS)
    assert EmailAddress.objects.filter(email=ADDRESS).count() == 1


def test_a_token_left_over_by_a_crash_is_taken_over() -> None:
    # The key store committed, the row never did.
    dead = vault.uuid7()
    entries = list(LOGIN_ADDRESS.entries(ADDRESS))
    keys.make([keys.Wanted(dead, "account", LoginAddress.vault_label, entries=entries)])
    assert Token.objects.filter(field=LOGIN_ADDRESS.field).count() == 1
    user = factories.login()
    assert LoginAddress.objects.get().pk == dead
    with gate.acting(user.as_actor()):
        assert EmailAddress.objects.get(email=ADDRESS).email == ADDRESS


def test_migrations_do_not_see_the_handle() -> None:
    assert EmailAddress._meta.get_field("email").deconstruct()[1] == "django.db.models.EmailField"
    out = io.StringIO()
    call_command("makemigrations", "account", "--check", "--dry-run", stdout=out)
    assert "No changes detected" in out.getvalue()


def test_installing_twice_is_once() -> None:
    before = EmailAddress._meta.get_field("email")
    handles.install()
    assert EmailAddress._meta.get_field("email") is before


def test_secrets_of_the_second_factor_are_sealed() -> None:
    mfa = adapter.MFAAdapter()
    sealed = mfa.encrypt("JBSWY3DPEHPK3PXP")
    assert "JBSWY3DP" not in sealed
    assert mfa.decrypt(sealed) == "JBSWY3DPEHPK3PXP"
    assert mfa.encrypt("JBSWY3DPEHPK3PXP") != sealed
