"""Data keys: made before data, destroyed for good, handed over, foreign to all but their record."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction

from privacy import vault
from privacy.vault import Erased, RecordErased, unit
from privacy.vault.envelope import key_id
from privacy.vault.keystore import blocks, keys, ledger, rotate
from privacy.vault.models import Block, DataKey, Token, Tombstone
from tests import databases
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import Asked, again


def destroyed(person: Person, envelope: str) -> DataKey:
    return DataKey.objects.get(record=person.pk, envelope=envelope, destroyed_at__isnull=False)


@pytest.mark.django_db
def test_a_destroyed_key_has_no_bytes_no_owner_and_no_tokens(alice: Person, bob: Person, work: unit.Unit, now) -> None:
    assert keys.destroy([(alice.pk, "account")], now=now) == 1
    row = destroyed(alice, "account")
    assert (row.wrapped, row.owner_kind, row.owner_id, row.destroyed_at) == (None, "none", None, now)
    assert not Token.objects.filter(record=alice.pk).exists()
    assert Token.objects.filter(record=bob.pk).exists()
    assert not Person.objects.find("tests.person.email", "alice@x.example").exists()
    assert again(bob).name == "Bob Stone"


@pytest.mark.django_db
def test_destroying_twice_is_destroying_once(alice: Person, now) -> None:
    assert keys.destroy([(alice.pk, "account"), (alice.pk, "note")], now=now) == 2
    assert keys.destroy([(alice.pk, "account"), (alice.pk, "note")], now=now) == 0
    assert keys.is_destroyed(alice.pk, "note")
    assert not keys.is_destroyed(uuid4(), "note")
    assert keys.destroyed([(alice.pk, "account"), (uuid4(), "account")]) == {(alice.pk, "account")}


@pytest.mark.django_db
@pytest.mark.parametrize("at", ["20000-01-01", "infinity"])
def test_a_key_that_ended_on_no_day_stops_none_that_is_loaded_with_it(at: str, alice: Person, bob: Person) -> None:
    theirs = DataKey.objects.get(record=bob.pk, envelope="account").pk
    number = DataKey.objects.get(record=alice.pk, envelope="account").pk
    with databases.unchecked("vault_datakey", alias="keystore"), connections["keystore"].cursor() as cursor:
        cursor.execute("UPDATE vault_datakey SET destroyed_at = %s, wrapped = NULL WHERE id = %s", [at, number])
    asked = [(number, alice.pk, "account"), (theirs, bob.pk, "account")]
    found, erased = keys.load_and_erased(asked, [alice.pk, bob.pk])
    assert isinstance(found[number], Erased) and isinstance(found[theirs], keys.OpenKey)
    assert set(erased) == {(alice.pk, "account")}
    assert rotate.first_destroyed(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.django_db
def test_bytes_of_a_dump_made_before_the_erasure_do_not_open_and_bobs_do(
    alice: Person, bob: Person, work: unit.Unit, now
) -> None:
    dump = {p.pk: bytes(p.sealed_account) for p in Person.objects.all()}
    keys.destroy([(alice.pk, "account")], now=now)
    Person.objects.update(sealed_account=None)
    for pk, sealed in dump.items():
        Person.objects.filter(pk=pk).update(sealed_account=sealed)
    assert str(again(alice).name) == "(erased)"
    assert again(bob).name == "Bob Stone"
    assert destroyed(alice, "account").wrapped is None


@pytest.mark.django_db
def test_the_database_refuses_a_second_key_for_an_erased_pair(alice: Person, now) -> None:
    keys.destroy([(alice.pk, "account")], now=now)
    with pytest.raises(IntegrityError):
        DataKey.objects.create(id=1, record=alice.pk, envelope="account", wrapped=b"x", kek=1, commitment=b"")


@pytest.mark.django_db
def test_a_wrapped_key_moved_to_another_row_does_not_open(alice: Person, bob: Person, work: unit.Unit) -> None:
    stolen = DataKey.objects.get(record=alice.pk, envelope="note")
    DataKey.objects.filter(record=bob.pk, envelope="note").update(
        wrapped=bytes(stolen.wrapped), commitment=bytes(stolen.commitment)
    )
    assert isinstance(again(bob).note, vault.Foreign)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"owner_id": uuid4(), "owner_kind": "subject"}, {"commitment": bytes(16)}], ids=["owner", "commitment"]
)
def test_a_changed_owner_or_commitment_does_not_open(change: dict, alice: Person, work: unit.Unit) -> None:
    DataKey.objects.filter(record=alice.pk, envelope="note").update(**change)
    assert isinstance(again(alice).note, vault.Foreign)


@pytest.mark.django_db
def test_merging_two_subjects_wraps_keys_again_and_touches_no_data(work: unit.Unit, asked: Asked) -> None:
    old, new = uuid4(), uuid4()
    person = Person.objects.create(name="Alice", note="n", subject_id=old)
    before = bytes(again(person).sealed_account)
    assert keys.reowner(("subject", old), ("subject", new)) == 2
    assert keys.reowner(("subject", old), ("subject", new)) == 0
    work.keys.clear()
    assert again(person).name == "Alice"
    assert (asked[-1].owner_kind, asked[-1].owner_id) == ("subject", new)
    assert bytes(again(person).sealed_account) == before


@pytest.mark.django_db
def test_records_are_handed_over_to_who_claims_them(alice: Person, work: unit.Unit, asked: Asked) -> None:
    subject = uuid4()
    assert keys.hand_over([alice.pk], ("subject", subject), of=[("subject", uuid4()), ("company", uuid4())]) == 0
    assert keys.hand_over([alice.pk], ("subject", subject), of=[alice.vault_owner()]) == 2
    assert keys.owners([alice.pk]) == {alice.pk: ("subject", subject)}
    assert keys.strangers({alice.pk: ("subject", subject)}) == set()
    assert keys.strangers({alice.pk: alice.vault_owner()}) == {alice.pk}
    assert again(alice).name == "Alice Smith"
    assert asked[-1].owner_id == subject


@pytest.mark.django_db
def test_a_pseudonym_is_constant_and_ends_with_the_subject(now) -> None:
    one, other = uuid4(), uuid4()
    word = vault.pseudonym(one)
    assert vault.pseudonym(one) == word != vault.pseudonym(other)
    assert one.hex not in word
    assert vault.pseudonyms([one, other]) == {one: word, other: vault.pseudonym(other)}
    keys.destroy([(one, "pseudonym")], now=now)
    assert vault.pseudonyms([one, other]).keys() == {other}
    with pytest.raises(RecordErased):
        vault.pseudonym(one)


@pytest.mark.django_db
def test_a_blocked_address_is_blocked_in_both_spellings_of_its_domain(now) -> None:
    blocks.add("email", "alice@bücher.example", until=None, now=now)
    assert blocks.are_blocked("email", ["alice@xn--bcher-kva.example", "bob@xn--bcher-kva.example"]) == {
        "alice@xn--bcher-kva.example"
    }
    assert blocks.remove("email", "ALICE@xn--bcher-kva.example")
    assert not blocks.is_blocked("email", "alice@bücher.example")


@pytest.mark.django_db
def test_a_block_is_a_keyed_hash_with_an_end(now) -> None:
    today = now.date()
    blocks.add("email", "Alice@X.example", until=None, now=now)
    blocks.add("customer_ref", "AW-1", until=today.replace(year=2020), now=now)
    blocks.add("customer_ref", "AW-2", until=today.replace(year=2999), now=now)
    assert blocks.is_blocked("email", " alice@x.example")
    assert not blocks.is_blocked("customer_ref", "alice@x.example")
    assert blocks.are_blocked("customer_ref", ["aw1", "AW-2", "AW-3"]) == {"AW-2"}
    assert b"alice" not in b"".join(bytes(block.value) for block in Block.objects.all())
    blocks.add("customer_ref", "AW-2", until=today.replace(year=2021), now=now)  # never shortened by a later one
    assert blocks.is_blocked("customer_ref", "AW-2")
    assert blocks.expire() == 1
    assert (blocks.remove("email", "alice@x.example"), blocks.remove("email", "alice@x.example")) == (True, False)
    assert not blocks.is_blocked("email", "alice@x.example")


@pytest.mark.django_db
def test_a_tombstone_is_one_for_each_request(now) -> None:
    first = ledger.tombstone("PR-2026-000001", counts={"orders.order": 3}, now=now)
    again_ = ledger.tombstone("PR-2026-000001", counts={"orders.order": 9}, now=now)
    assert (again_.seq, again_.counts) == (first.seq, {"orders.order": 3})
    assert ledger.position() == first.seq
    assert ledger.tombstone("PR-2026-000002", counts={}, now=now).seq > first.seq


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["UPDATE vault_tombstone SET counts = '{}'", "DELETE FROM vault_tombstone", "TRUNCATE vault_tombstone"]
)
def test_the_ledger_can_only_grow(statement: str, now) -> None:
    ledger.tombstone("PR-2026-000001", counts={}, now=now)
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(using="keystore"),
        connections["keystore"].cursor() as cur,
    ):
        cur.execute(statement)
    assert Tombstone.objects.count() == 1


# --- with real commits -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_key_is_committed_before_the_data_and_nothing_else(work: unit.Unit) -> None:
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((DataKey.objects.count(), Person.objects.count()))
        for alias in ("default", "keystore"):
            connections[alias].close()

    with transaction.atomic():
        Person.objects.create(name="Alice")
        other = threading.Thread(target=look)  # a thread has connections of its own
        other.start()
        other.join()
    assert seen == [(1, 0)]
    assert Person.objects.get().name == "Alice"


@pytest.mark.django_db(transaction=True)
def test_sealing_inside_a_key_store_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(using="keystore"):
        Person.objects.create(name="Alice")
    assert not Person.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_old_key_goes_only_after_the_correction_has_committed(work: unit.Unit) -> None:
    person = Person.objects.create(name="Alice")
    old = key_id(person.sealed_account)
    with transaction.atomic():
        person.name = "Alice Jones"
        person.save()
        assert DataKey.objects.get(pk=old).wrapped is not None
    assert DataKey.objects.get(pk=old).wrapped is None
    assert again(person).name == "Alice Jones"


def race(*actions) -> list[BaseException | None]:
    """Run each action in a thread with connections of its own; return what each raised."""
    raised: list[BaseException | None] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(i: int) -> None:
        try:
            start.wait(10)
            actions[i]()
        except Exception as error:
            raised[i] = error
        finally:
            for alias in ("default", "keystore"):
                connections[alias].close()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


@pytest.mark.django_db(transaction=True)
def test_two_writers_at_once_both_keep_their_change(work: unit.Unit) -> None:
    person = Person.objects.create(name="Alice", phone="0", email="a@x.example")

    def write(field: str, value: str) -> None:
        mine = Person.objects.get(pk=person.pk)
        setattr(mine, field, value)
        mine.save()

    for i in range(5):
        assert race(lambda i=i: write("name", f"Alice {i}"), lambda i=i: write("phone", str(i))) == [None, None]
        work.keys.clear()
        found = again(person)
        assert (found.name, found.phone, found.email) == (f"Alice {i}", str(i), "a@x.example")
    assert DataKey.objects.filter(wrapped__isnull=False).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_erasure_that_races_with_corrections_wins(now) -> None:
    for i in range(8):
        person = Person.objects.create(name="Alice")

        def correct(pk=person.pk) -> None:
            for step in range(3):
                mine = Person.objects.get(pk=pk)
                mine.name = f"Alice {step}"
                mine.save()

        def erase(pk=person.pk) -> None:
            keys.destroy([(pk, "account")], now=now)

        raised = race(correct, erase)
        assert raised[1] is None, i
        assert raised[0] is None or isinstance(raised[0], RecordErased), i
        assert not DataKey.objects.filter(record=person.pk, wrapped__isnull=False).exists(), i
        assert keys.is_destroyed(person.pk, "account"), i


@pytest.mark.django_db(transaction=True)
def test_a_value_is_not_taken_from_a_save_whose_row_is_not_committed_yet() -> None:
    placed, tried = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            Person.objects.create(email="dora@x.example")
            placed.set()
            assert tried.wait(20)

    def second() -> None:
        assert placed.wait(20)
        try:
            Person.objects.create(email="dora@x.example")
        finally:
            tried.set()

    raised = race(first, second)
    assert raised[0] is None
    assert isinstance(raised[1], vault.ValueTaken)
    assert Person.objects.find("tests.person.email", "dora@x.example").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_records_that_want_one_unique_value_at_once_get_it_once() -> None:
    for i in range(5):
        raised = race(*[lambda i=i: Person.objects.create(email=f"a{i}@x.example") for _ in range(3)])
        assert sorted(type(error).__name__ for error in raised) == ["NoneType", "ValueTaken", "ValueTaken"]
        assert Person.objects.find("tests.person.email", f"a{i}@x.example").count() == 1
