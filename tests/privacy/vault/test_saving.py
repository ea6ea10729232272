"""Writing: nothing lost, nothing sealed twice, nothing of somebody else's, nothing erased that comes back."""

from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from django.core.exceptions import FieldError
from django.db import DatabaseError, connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext

from privacy import vault
from privacy.vault import CopyRefused, ForeignEnvelope, KeyMissing, RecordErased, finding, unit
from privacy.vault.envelope import key_id
from privacy.vault.index import Exact, Words
from privacy.vault.keystore import keys, making, tokens
from privacy.vault.models import DataKey, Token
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import Asked, again, rolled_back, selects
from tests.privacy.vault.watching import Count as Counter

pytestmark = pytest.mark.django_db


def live(person: Person) -> set[int]:
    """Return the ids of the keys that still open something of a record."""
    return set(DataKey.objects.filter(record=person.pk, wrapped__isnull=False).values_list("id", flat=True))


def test_a_save_that_changes_nothing_leaves_the_bytes(alice: Person, work: unit.Unit, key_queries: Counter) -> None:
    before = bytes(alice.sealed_account), bytes(alice.sealed_note)
    alice.number = "A-9"
    alice.save()
    assert alice.name == "Alice Smith"
    alice.name = "Alice Smith"
    alice.save()
    found = again(alice)
    assert (bytes(found.sealed_account), bytes(found.sealed_note)) == before
    assert found.number == "A-9"


def test_assigning_one_field_of_an_unopened_envelope_keeps_the_rest(alice: Person, asked: Asked) -> None:
    alice.phone = "+1 978 555 0199"
    alice.save()  # no unit of work: sealing opens by itself and shows nobody anything
    assert asked == []
    with vault.internal():
        assert (again(alice).phone, again(alice).email) == ("+1 978 555 0199", "alice@x.example")


def test_two_writers_of_one_envelope_both_keep_their_change(alice: Person, work: unit.Unit) -> None:
    one, two = again(alice), again(alice)
    assert one.name == two.name
    one.name = "Alice Jones"
    one.save(update_fields=["name"])
    two.phone = "+1 978 555 0199"
    two.save(update_fields=["phone"])
    assert (again(alice).name, again(alice).phone) == ("Alice Jones", "+1 978 555 0199")


def test_a_full_save_of_a_stale_object_does_not_bring_old_bytes_back(alice: Person, work: unit.Unit) -> None:
    stale, other = again(alice), again(alice)
    assert stale.name == "Alice Smith"
    with transaction.atomic():
        other.name = "Alice Jones"
        other.save()
    stale.number = "A-2"
    stale.save()
    assert (again(alice).number, again(alice).name) == ("A-2", "Alice Jones")


def test_bulk_update_merges_with_other_writers(alice: Person, bob: Person, work: unit.Unit) -> None:
    one = list(Person.objects.order_by("number"))
    assert [p.name for p in one] == ["Alice Smith", "Bob Stone"]
    alice.name = "Alice Jones"
    alice.save()
    for person in one:
        person.phone = "+1 978 555 0123"
    Person.objects.bulk_update(one, ["phone"])
    assert [(p.name, p.phone) for p in Person.objects.order_by("number")] == [
        ("Alice Jones", "+1 978 555 0123"),
        ("Bob Stone", "+1 978 555 0123"),
    ]


def test_bulk_update_writes_plain_and_encrypted_fields_and_only_the_named(
    alice: Person, bob: Person, work: unit.Unit, django_assert_num_queries
) -> None:
    people = list(Person.objects.order_by("number"))
    for person in people:
        person.number = f"{person.number}!"
        person.note = "same"
        person.name = "not named, not written"
    assert Person.objects.bulk_update(people, ["number", "note"]) == 2
    assert [(p.number, p.note, p.name) for p in Person.objects.order_by("number")] == [
        ("A-1!", "same", "Alice Smith"),
        ("B-1!", "same", "Bob Stone"),
    ]
    for person in people:
        person.number = person.number[:-1]
    with django_assert_num_queries(1):  # nothing is locked or opened
        assert Person.objects.bulk_update(people, ["number"]) == 2
    assert list(Person.objects.order_by("number").values_list("number", flat=True)) == ["A-1", "B-1"]


def test_of_many_that_are_corrected_together_the_restricted_one_stays_so_and_its_writing_is_asked_for(
    alice: Person, bob: Person, work: unit.Unit, asked: Asked
) -> None:
    DataKey.objects.filter(record=alice.pk, envelope="account").update(restriction="hold")
    kept: list[unit.Ended] = []
    keeper = unit._keeper
    unit.set_keeper(kept.append)
    try:
        for person in (people := [alice, bob]):
            person.name = "Sam Same"
        Person.objects.bulk_update(people, ["name"])
    finally:
        unit.set_keeper(keeper)
    writing = [(one.record_id, one.restriction) for one in asked if one.mode == "write"]
    assert (writing, [one.record_id for one in kept]) == ([(alice.pk, "hold")], [alice.pk])
    living = DataKey.objects.filter(envelope="account", superseded_by=None, destroyed_at=None)
    assert dict(living.values_list("record", "restriction")) == {alice.pk: "hold", bob.pk: ""}


@pytest.mark.parametrize("rows", [1, 30])
def test_bulk_create_makes_all_keys_in_one_statement(rows: int, key_queries: Counter) -> None:
    with key_queries() as captured:
        Person.objects.bulk_create(Person(number=str(i), note="x", extra={"i": i}) for i in range(rows))
    assert len([sql for sql in selects(captured) if "INSERT INTO vault_datakey" in sql]) == 1
    assert len(selects(captured)) == 1
    assert DataKey.objects.count() == rows


def test_many_rows_go_in_by_unnest_which_plans_in_a_third_less_time() -> None:
    with CaptureQueriesContext(connection) as captured:
        Person.objects.bulk_create(Person(number=str(i), note="x") for i in range(3))
    (insert,) = (sql for sql in selects(captured) if "INSERT INTO" in sql and "vault_tests_person" in sql)
    assert "UNNEST(" in insert


def test_a_sealed_column_is_a_plain_binary_field_to_migrations_and_the_database() -> None:
    column = Person._meta.get_field("sealed_account")
    plain = models.BinaryField(null=True, blank=True)
    assert column.deconstruct()[1:] == plain.deconstruct()[1:]
    assert column.db_parameters(connection) == plain.db_parameters(connection)


def test_a_record_with_two_envelopes_makes_both_keys_in_one_statement(key_queries: Counter) -> None:
    with key_queries() as captured:
        Person.objects.create(name="Zoë", note="x")
    assert len([sql for sql in selects(captured) if "INSERT INTO vault_datakey" in sql]) == 1


def test_bulk_create_refuses_to_update_conflicts(alice: Person) -> None:
    with pytest.raises(FieldError, match="another record"):
        Person.objects.bulk_create(
            [Person(pk=alice.pk)], update_conflicts=True, unique_fields=["id"], update_fields=["number"]
        )


def test_update_fields_writes_only_what_it_names(alice: Person, work: unit.Unit) -> None:
    alice.name, alice.phone, alice.number = "Alice Jones", "1", "A-7"
    alice.save(update_fields=["name"])
    found = again(alice)
    assert (found.name, found.phone, found.number) == ("Alice Jones", "+1 978 555 0100", "A-1")
    alice.save()
    assert (again(alice).phone, again(alice).number) == ("1", "A-7")


def test_get_or_create_and_update_or_create_take_encrypted_defaults(work: unit.Unit) -> None:
    made, _ = Person.objects.get_or_create(number="C", defaults={"name": "Carol"})
    Person.objects.update_or_create(number="C", defaults={"name": "Carol King"}, create_defaults={"name": "no"})
    assert again(made).name == "Carol King"


# --- copies ------------------------------------------------------------------------------------------


def test_an_opened_copy_is_sealed_for_itself(alice: Person, work: unit.Unit) -> None:
    copied = again(alice)
    assert (copied.name, copied.note) == ("Alice Smith", "calls on Mondays")
    copied.pk = None
    copied.email = "other@x.example"
    copied.save()
    assert copied.pk != alice.pk
    assert (again(copied).name, again(copied).note) == ("Alice Smith", "calls on Mondays")
    assert not live(copied) & live(alice)
    assert again(alice).email == "alice@x.example"


def test_what_is_cleared_in_a_copy_or_after_a_rollback_is_not_written_all_the_same(
    alice: Person, work: unit.Unit
) -> None:
    copied = again(alice)
    assert (copied.name, copied.note) == ("Alice Smith", "calls on Mondays")
    copied.pk = None
    copied.name = copied.email = copied.phone = ""
    copied.save()
    assert (str(again(copied).name), again(copied).note) == ("", "calls on Mondays")
    assert again(alice).name == "Alice Smith"

    dora = Person(name="Dora", email="dora@x.example")
    with rolled_back():
        dora.save()
    dora.name = dora.email = ""
    dora.save()
    assert (str(again(dora).name), Person.objects.find("tests.person.email", "dora@x.example").count()) == ("", 0)


def test_a_row_that_was_gone_is_written_again_with_the_bytes_it_had(alice: Person, work: unit.Unit) -> None:
    found = again(alice)
    assert found.name == "Alice Smith"
    before = bytes(found.sealed_account)
    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    found.save()
    assert (again(alice).name, bytes(again(alice).sealed_account)) == ("Alice Smith", before)


def test_an_id_that_was_given_as_text_is_the_records(work: unit.Unit) -> None:
    number = uuid4()
    Person(pk=str(number), name="Dora").save()
    assert Person.objects.get(pk=number).name == "Dora"


def test_bytes_that_were_altered_are_not_written_over(alice: Person, work: unit.Unit) -> None:
    altered = bytearray(alice.sealed_account)
    altered[-1] ^= 1
    Person.objects.filter(pk=alice.pk).update(sealed_account=bytes(altered))
    found = again(alice)
    found.phone = "+1 978 555 0199"
    with pytest.raises(ForeignEnvelope, match="are not this record's"), transaction.atomic():
        found.save()
    assert bytes(again(alice).sealed_account) == bytes(altered)


def test_a_key_left_by_a_crash_that_opens_no_more_ends_the_save(work: unit.Unit) -> None:
    crashed = Person(name="Dora Old")
    with rolled_back():
        crashed.save()
    DataKey.objects.filter(record=crashed.pk).update(wrapped=bytes(60))
    with pytest.raises(RecordErased, match="does not open"), transaction.atomic():
        Person(pk=crashed.pk, name="Dora New").save()
    assert not Person.objects.filter(pk=crashed.pk).exists()


@pytest.mark.parametrize("new_pk", [None, uuid4()], ids=["none", "another"])
def test_an_unopened_copied_row_is_refused(new_pk, alice: Person) -> None:
    copied = again(alice)
    copied.pk = new_pk
    with pytest.raises(CopyRefused), transaction.atomic():
        copied.save()
    assert Person.objects.count() == 1


def test_an_unopened_copy_in_a_bulk_create_is_refused(alice: Person) -> None:
    copied = again(alice)
    copied.pk = uuid4()
    with pytest.raises(CopyRefused):
        Person.objects.bulk_create([copied])


def test_a_copied_row_does_not_open(alice: Person, work: unit.Unit) -> None:
    with connection.cursor() as cur:
        cur.execute("CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM vault_tests_person")
        cur.execute("UPDATE copied SET id = gen_random_uuid()")
        cur.execute("INSERT INTO vault_tests_person SELECT * FROM copied")
    twin = Person.objects.exclude(pk=alice.pk).get()
    assert not twin.name
    assert isinstance(twin.name, vault.Foreign)
    twin.name = "Mallory"
    with pytest.raises(vault.ForeignEnvelope):
        twin.save()


def test_duplicate_makes_an_unsaved_copy_with_an_id_of_its_own(alice: Person, work: unit.Unit) -> None:
    copied = alice.duplicate()
    copied.email = "second@x.example"
    copied.save()
    assert (again(copied).name, again(copied).number) == ("Alice Smith", "A-1")


def test_duplicate_outside_a_unit_of_work_copies_no_masks(alice: Person) -> None:
    with pytest.raises(KeyMissing):
        alice.duplicate()


# --- erased, missing, unavailable --------------------------------------------------------------------


def test_a_changed_erased_record_is_refused_and_makes_no_key(alice: Person, work: unit.Unit, now) -> None:
    opened = again(alice)
    assert opened.name == "Alice Smith"
    keys.destroy([(alice.pk, "account")], now=now)
    count = DataKey.objects.count()
    for person in (opened, again(alice)):
        person.name = "Alice Jones"
        with pytest.raises(RecordErased), transaction.atomic():
            person.save()
    assert DataKey.objects.count() == count
    assert not live(alice) - {key_id(alice.sealed_note)}


def test_an_erased_record_saves_its_plain_fields_and_is_not_written_back(alice: Person, work: unit.Unit, now) -> None:
    keys.destroy([(alice.pk, "account")], now=now)
    found = again(alice)
    assert str(found.name) == "(erased)"
    before = bytes(found.sealed_account)
    found.number = "A-2"
    found.name = found.name  # a form hands back what it was given
    found.save()
    assert (again(alice).number, bytes(again(alice).sealed_account)) == ("A-2", before)


def test_an_emptied_and_erased_envelope_takes_no_data_again(alice: Person, work: unit.Unit, now) -> None:
    keys.destroy([(alice.pk, "account")], now=now)
    Person.objects.filter(pk=alice.pk).update(sealed_account=None)
    found = again(alice)
    found.name = "Alice Smith"
    with pytest.raises(RecordErased):
        found.save()


def test_a_pair_that_never_had_a_key_gets_none_after_its_erasure(work: unit.Unit, now) -> None:
    person = Person.objects.create(number="C")
    assert keys.destroy([(person.pk, "note")], now=now) == 0
    assert keys.is_destroyed(person.pk, "note")
    person.note = "back again"
    with pytest.raises(RecordErased):
        person.save()


def test_a_deleted_and_erased_record_is_not_inserted_by_a_stale_object(alice: Person, work: unit.Unit, now) -> None:
    stale = again(alice)
    assert stale.name == "Alice Smith"
    keys.destroy([(alice.pk, envelope) for envelope in Person.envelopes()], now=now)
    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    stale.number = "zombie"
    with pytest.raises(RecordErased):
        stale.save()


def test_a_row_whose_key_is_lost_reads_unavailable_alarms_and_is_never_written(
    alice: Person, work: unit.Unit, caplog: pytest.LogCaptureFixture
) -> None:
    DataKey.objects.filter(record=alice.pk, envelope="account").delete()
    found = again(alice)
    assert type(found.name) is vault.KeyUnavailable
    assert "missing" in caplog.text
    found.name = "Alice Jones"
    with pytest.raises(KeyMissing):
        found.save()


def test_a_key_store_that_is_down_looks_like_no_erasure_and_stops_writing(alice: Person, work: unit.Unit) -> None:
    def refuse(execute, sql, params, many, context):
        raise DatabaseError("down")

    found, stored = again(alice), again(alice)
    with connections["keystore"].execute_wrapper(refuse):
        assert type(found.name) is vault.KeyUnavailable
        assert str(found.name) == "(not available at the moment)"
        found.name = "Alice Jones"
        with pytest.raises(KeyMissing), transaction.atomic():
            found.save()
        with pytest.raises(KeyMissing), transaction.atomic():
            Person.objects.create(name="New")
    with_keys = unit.begin()
    assert stored.name == "Alice Smith"
    unit.end(with_keys)


# --- corrections -------------------------------------------------------------------------------------


def test_a_correction_makes_the_old_value_unreadable_in_backups(
    alice: Person, work: unit.Unit, django_capture_on_commit_callbacks
) -> None:
    old_bytes, old_key = bytes(alice.sealed_account), key_id(alice.sealed_account)
    with django_capture_on_commit_callbacks(execute=True):
        alice.name = "Alice Jones"
        alice.save()
        assert DataKey.objects.get(pk=old_key).wrapped is not None  # a rollback may still need it
    old = DataKey.objects.get(pk=old_key)
    assert (old.wrapped, old.superseded_by) == (None, key_id(again(alice).sealed_account))
    assert not keys.is_destroyed(alice.pk, "account")
    Person.objects.filter(pk=alice.pk).update(sealed_account=old_bytes)  # a restored backup
    assert not again(alice).name


def test_clearing_a_datum_renews_the_key_too(
    alice: Person, work: unit.Unit, django_capture_on_commit_callbacks
) -> None:
    old_key = key_id(alice.sealed_account)
    with django_capture_on_commit_callbacks(execute=True):
        alice.phone = ""
        alice.save()
    assert DataKey.objects.get(pk=old_key).wrapped is None
    assert (again(alice).phone, again(alice).name) == ("", "Alice Smith")


def test_only_the_corrected_envelope_gets_a_new_key(alice: Person, work: unit.Unit) -> None:
    note = bytes(alice.sealed_note)
    alice.name = "Alice Jones"
    alice.save()
    assert bytes(again(alice).sealed_note) == note


def test_rekey_keeps_the_values_and_ends_the_old_bytes(
    alice: Person, work: unit.Unit, now, django_capture_on_commit_callbacks
) -> None:
    old_key = key_id(alice.sealed_account)
    with django_capture_on_commit_callbacks(execute=True):
        vault.rekey(alice, ["account", "note"])
    assert DataKey.objects.get(pk=old_key).wrapped is None
    assert (again(alice).name, again(alice).note) == ("Alice Smith", "calls on Mondays")
    assert Person.objects.find("tests.person.email", "alice@x.example").get() == alice


def test_a_rolled_back_correction_leaves_the_old_key_and_a_retry_writes(alice: Person, work: unit.Unit) -> None:
    alice.name = "Alice Jones"
    with rolled_back():
        alice.save()
    assert again(alice).name == "Alice Smith"
    alice.save()  # the same object, unchanged since: the lost write is made up for
    assert again(alice).name == "Alice Jones"


def test_a_second_save_in_one_transaction_does_not_seal_again(alice: Person, work: unit.Unit) -> None:
    with transaction.atomic():
        alice.name = "Alice Jones"
        alice.save()
        sealed = bytes(alice.sealed_account)
        alice.number = "A-3"
        alice.save()
    assert bytes(again(alice).sealed_account) == sealed


def test_a_create_that_was_rolled_back_can_be_saved_again(work: unit.Unit) -> None:
    person = Person(name="Dora", email="dora@x.example")
    with rolled_back():
        person.save()
    person.save()
    assert again(person).name == "Dora"


def test_a_retried_create_uses_the_key_a_crash_left_and_its_new_values_only(work: unit.Unit) -> None:
    crashed = Person(name="Dora Old", email="dora@x.example")
    with rolled_back():
        crashed.save()
    retried = Person(pk=crashed.pk, name="Dora New", email="dora@x.example")
    retried.save()
    assert DataKey.objects.filter(record=crashed.pk).count() == 1
    assert Person.objects.find_words("tests.person.name", "old").count() == 0
    assert Person.objects.find_words("tests.person.name", "new").get() == retried


# --- deleting ----------------------------------------------------------------------------------------


def test_a_deleted_row_takes_its_keys_and_tokens_after_the_commit(
    alice: Person, bob: Person, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        Person.objects.filter(pk=alice.pk).delete()
        assert live(alice)
    assert not live(alice)
    assert keys.is_destroyed(alice.pk, "account")
    assert not Token.objects.filter(record=alice.pk).exists()
    assert len(live(bob)) == 2


def test_a_rolled_back_delete_keeps_the_keys(alice: Person, bob: Person, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with rolled_back():
            again(alice).delete()
        again(bob).delete()
    assert len(live(alice)) == 2
    assert not live(bob)


# --- tokens ------------------------------------------------------------------------------------------


def test_tokens_follow_a_correction(alice: Person, work: unit.Unit, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alice.email = "new@x.example"
        alice.save()
        assert Person.objects.find("tests.person.email", "new@x.example").get() == alice
        assert Person.objects.find_words("tests.person.name", "alice").get() == alice
    assert Person.objects.find("tests.person.email", "NEW@x.example").get() == alice
    assert Person.objects.find_words("tests.person.name", "alice").get() == alice
    assert not Person.objects.find("tests.person.email", "alice@x.example").exists()
    assert not tokens.find(Exact("tests.person.email", "email"), "alice@x.example")[0]


def test_a_token_that_was_put_back_after_a_correction_finds_nobody(
    alice: Person, bob: Person, work: unit.Unit, django_capture_on_commit_callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    """Who writes to the key store alone puts it beside the key of today; the record says what it holds."""
    token = Token.objects.get(record=alice.pk, field="tests.person.email")
    with django_capture_on_commit_callbacks(execute=True):
        alice.email = "new@x.example"
        alice.save()
    key = Token.objects.get(record=alice.pk, field="tests.person.email").key
    Token.objects.create(field=token.field, value=token.value, record=alice.pk, key=key, is_unique=False)
    assert tokens.find(Exact("tests.person.email", "email"), "alice@x.example")[0] == {alice.pk}
    with caplog.at_level("ERROR", "privacy.vault"):
        assert not Person.objects.find("tests.person.email", "alice@x.example").exists()
    assert "do not carry what was looked for. They count for nothing: 1." in caplog.text
    assert Person.objects.find("tests.person.email", "new@x.example").get() == alice
    index = finding.index_of(Person, "tests.person.email")
    asked = ["alice@x.example", " NEW@x.example", "bob@x.example"]
    assert finding.carriers([(index, asked), (index, ["nobody@x.example"])]) == [
        {" NEW@x.example": {alice.pk}, "bob@x.example": {bob.pk}},
        {},
    ]


def test_the_token_of_a_rolled_back_correction_finds_nobody(alice: Person, work: unit.Unit) -> None:
    with rolled_back():
        alice.email = "never@x.example"
        alice.save()
    assert tokens.find(Exact("tests.person.email", "email"), "never@x.example")[0] == {alice.pk}
    assert not Person.objects.find("tests.person.email", "never@x.example").exists()
    assert Person.objects.find("tests.person.email", "alice@x.example").get() == alice


def test_a_record_that_does_not_open_is_not_found_and_keeps_no_other_from_being(alice: Person, bob: Person) -> None:
    def is_found(address: str) -> bool:
        return Person.objects.find("tests.person.email", address).exists()

    whole = bytes(alice.sealed_account)
    for sealed in (whole[:-1] + bytes([whole[-1] ^ 1]), whole):
        Person.objects.filter(pk=alice.pk).update(sealed_account=sealed)
        assert is_found("alice@x.example") is (sealed == whole) and is_found("bob@x.example")
    DataKey.objects.filter(record=alice.pk, envelope="account").update(commitment=bytes(16))
    assert not is_found("alice@x.example") and is_found("bob@x.example")


def test_a_unique_value_belongs_to_one_record(alice: Person, bob: Person) -> None:
    bob.email = "ALICE@X.example"
    with pytest.raises(vault.ValueTaken, match=r"tests\.person\.email"), transaction.atomic():
        bob.save()
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.create(name="Alice Again", email="alice@x.example")
    assert Person.objects.count() == 2
    alice.name = "Alice Jones"  # its own token is in nobody's way
    alice.save()


def test_a_value_that_was_given_up_is_free_again(
    alice: Person, bob: Person, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alice.email = ""
        alice.save()
    bob.email = "alice@x.example"
    bob.save()
    assert Person.objects.find("tests.person.email", "alice@x.example").get() == bob


def test_names_are_found_by_words_and_their_beginnings(alice: Person, bob: Person) -> None:
    def found(text: str) -> list[str]:
        return sorted(p.number for p in Person.objects.find_words("tests.person.name", text))

    assert found("ali smi") == ["A-1"]
    assert found("SMITH alice") == ["A-1"]
    assert found("s") == []
    assert found("sto") == ["B-1"]
    assert found("ali stone") == []
    assert found("") == []


def test_a_value_whose_save_was_lost_before_its_row_is_free_at_once(work: unit.Unit) -> None:
    with rolled_back():
        Person(email="dora@x.example").save()
    made = Person.objects.create(name="Dora Day", email="dora@x.example")
    assert Person.objects.find("tests.person.email", "dora@x.example").get() == made
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.create(email="dora@x.example")


def test_one_save_takes_no_value_from_itself(work: unit.Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "CHUNK", 1)
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.bulk_create([Person(email="dora@x.example"), Person(email="dora@x.example")])


def test_a_living_records_token_is_never_taken_over(alice: Person) -> None:
    DataKey.objects.update(label="tests.of_before")  # a kind of record that this version has no more
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.create(email="alice@x.example")
    DataKey.objects.update(label="tests.person")
    DataKey.objects.update(created_at=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    with pytest.raises(vault.ValueTaken), transaction.atomic():
        Person.objects.create(email="alice@x.example")


def test_a_search_is_capped(work: unit.Unit) -> None:
    Person.objects.bulk_create(Person(name="Smith") for _ in range(tokens.MOST_FOUND + 5))
    assert len(tokens.find(Words("tests.person.name"), "smith")[0]) == tokens.MOST_FOUND
    assert Person.objects.find_words("tests.person.name", "smith").count() == tokens.MOST_FOUND


def test_an_unknown_index_is_refused() -> None:
    with pytest.raises(FieldError, match="no Exact index"):
        Person.objects.find("tests.person.name", "x")
    with pytest.raises(FieldError, match="no Words index"):
        Person.objects.find_words("tests.person.email", "x")
