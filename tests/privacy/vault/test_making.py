"""Two corrections of one record, of which the second begins before the first one's old key has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from privacy import vault
from privacy.vault import unit
from privacy.vault.envelope import key_id
from privacy.vault.keystore.collect import collect
from privacy.vault.keystore.sql import cursor
from privacy.vault.models import DataKey, Token, Tombstone
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import again, rolled_back

pytestmark = pytest.mark.django_db(transaction=True)


class Gone(Exception):
    """The process of a correction is gone before its old key went."""


def on_another_connection(do: Callable[[], None]) -> None:
    """Do it in a thread with connections of its own, and wait for it."""
    failed: list[BaseException] = []

    def run() -> None:
        opened = unit.begin()
        try:
            do()
        except BaseException as error:
            failed.append(error)
        finally:
            unit.end(opened)
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def correct(person: Person, **values: str) -> None:
    found = again(person)
    for name, value in values.items():
        setattr(found, name, value)
    found.save()


def lost(person: Person, **values: str) -> None:
    """Correct the person and roll back."""
    with rolled_back():
        correct(person, **values)


def between(person: Person, meanwhile: Callable[[], None], **values: str) -> None:
    """Correct the person, and do `meanwhile` on another connection after the commit and before the old key goes."""
    with transaction.atomic():
        transaction.on_commit(lambda: on_another_connection(meanwhile))
        correct(person, **values)


def collected() -> None:
    """Let the key collector look twice, long after everything."""
    for _ in range(2):
        with cursor() as cur:
            cur.execute(
                "UPDATE vault_datakey SET created_at = created_at - interval '8 days',"
                " doubted_at = doubted_at - interval '8 days'"
            )
        collect()


def is_found(person: Person, email: str = "alice@x.example") -> bool:
    return list(Person.objects.find("tests.person.email", email)) == [person]


def has_one_key(person: Person) -> bool:
    named = key_id(again(person).sealed_account)
    live = DataKey.objects.filter(record=person.pk, envelope="account", destroyed_at=None)
    tokens = Token.objects.filter(record=person.pk)
    return (
        [key.pk for key in live] == [named]
        and live.get().superseded_by is None
        and tokens.exists()
        and {(one.key, one.next_key) for one in tokens} == {(named, None)}
    )


def test_a_correction_that_rolls_back_while_the_one_before_is_being_finished_loses_no_token(
    alice: Person, work: unit.Unit
) -> None:
    between(alice, lambda: lost(alice, phone="+1 978 555 0177"), phone="+1 978 555 0199")

    assert again(alice).phone == "+1 978 555 0199"
    assert is_found(alice)
    assert list(Person.objects.find("tests.person.phone", "+1 978 555 0199")) == [alice]
    assert not Person.objects.find("tests.person.phone", "+1 978 555 0100").exists()
    assert not Person.objects.find("tests.person.phone", "+1 978 555 0177").exists()
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.create(email="alice@x.example")
    collected()
    assert is_found(alice)
    assert list(Person.objects.find("tests.person.phone", "+1 978 555 0199")) == [alice]
    assert has_one_key(alice)


def test_the_old_key_of_a_correction_goes_although_a_later_one_rolls_back(alice: Person, work: unit.Unit) -> None:
    old = key_id(alice.sealed_account)
    between(alice, lambda: lost(alice, phone="+1 978 555 0177"), phone="+1 978 555 0199")

    assert DataKey.objects.get(pk=old).destroyed_at is not None
    assert Tombstone.objects.filter(kind="keys").count() == 1, "one line tells of it"
    assert DataKey.objects.get(pk=old).destroyed_in is not None


def test_a_record_is_found_while_a_later_correction_is_under_way(alice: Person, work: unit.Unit) -> None:
    seen: list[bool] = []

    def meanwhile() -> None:
        with rolled_back():
            correct(alice, phone="+1 978 555 0177")
            on_another_connection(lambda: seen.append(is_found(alice)))

    between(alice, meanwhile, phone="+1 978 555 0199")
    assert seen == [True]


def test_a_correction_after_one_whose_process_died_before_its_old_key_went_may_roll_back(
    alice: Person, work: unit.Unit
) -> None:
    old = key_id(alice.sealed_account)

    def die() -> None:
        raise Gone

    with pytest.raises(Gone), transaction.atomic():
        transaction.on_commit(die)
        correct(alice, phone="+1 978 555 0199")
    assert DataKey.objects.get(pk=old).destroyed_at is None

    on_another_connection(lambda: lost(alice, phone="+1 978 555 0177"))

    assert is_found(alice)
    assert DataKey.objects.get(pk=old).destroyed_at is not None
    collected()
    assert is_found(alice) and has_one_key(alice)


def test_a_value_that_a_rolled_back_correction_wanted_back_finds_nobody(alice: Person, work: unit.Unit) -> None:
    between(alice, lambda: lost(alice, email="alice@x.example"), email="new@x.example")

    assert is_found(alice, "new@x.example")
    assert not Person.objects.find("tests.person.email", "alice@x.example").exists()
    collected()
    assert is_found(alice, "new@x.example") and has_one_key(alice)


def test_both_corrections_stand_when_the_later_one_commits(alice: Person, work: unit.Unit) -> None:
    between(alice, lambda: correct(alice, name="Alice Jones"), phone="+1 978 555 0199")

    assert (again(alice).name, again(alice).phone) == ("Alice Jones", "+1 978 555 0199")
    assert is_found(alice) and has_one_key(alice)


def test_two_saves_of_one_transaction_that_rolls_back_leave_the_first_key(alice: Person, work: unit.Unit) -> None:
    old = key_id(alice.sealed_account)
    with rolled_back():
        correct(alice, phone="+1 978 555 0199")
        correct(alice, phone="+1 978 555 0177")

    assert key_id(again(alice).sealed_account) == old
    assert again(alice).phone == "+1 978 555 0100"
    assert is_found(alice)
    collected()
    assert is_found(alice) and has_one_key(alice)


def test_two_saves_of_one_transaction_leave_the_last_key(alice: Person, work: unit.Unit) -> None:
    with transaction.atomic():
        correct(alice, phone="+1 978 555 0199")
        correct(alice, phone="+1 978 555 0177")

    assert again(alice).phone == "+1 978 555 0177"
    assert is_found(alice) and has_one_key(alice)


def test_a_part_of_a_transaction_that_rolls_back_loses_no_token_of_the_part_before(
    alice: Person, work: unit.Unit
) -> None:
    with transaction.atomic():
        correct(alice, phone="+1 978 555 0199")
        lost(alice, phone="+1 978 555 0177")

    assert again(alice).phone == "+1 978 555 0199"
    assert is_found(alice)
    collected()
    assert is_found(alice) and has_one_key(alice)
