"""Reading: what Django's own machinery does with encrypted fields."""

from __future__ import annotations

import copy
import datetime
import pickle
from typing import Any
from uuid import uuid4

import pytest
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import IntegrityError, OperationalError, connection, connections, models
from django.db.models import Count, F, OuterRef, Q
from django.forms import modelform_factory

from privacy.vault import Erased, KeyUnavailable, Masked, RecordErased, Restricted, UnsealedPlaintext, unit
from privacy.vault.envelope import key_id
from privacy.vault.keystore import keys
from privacy.vault.queryset import load_keys
from tests.privacy.vault.models import Person, PersonProxy, Shop, Visit
from tests.privacy.vault.watching import Asked, again, selects
from tests.privacy.vault.watching import Count as Counter

pytestmark = pytest.mark.django_db


def test_what_was_saved_is_read_again(work: unit.Unit) -> None:
    made = Person.objects.create(
        name="Zoë", email="z@x.example", born_on=datetime.date(1980, 2, 29), extra={"a": [1, None]}
    )
    found = again(made)
    assert (found.name, found.email, found.born_on, found.extra) == (
        "Zoë",
        "z@x.example",
        datetime.date(1980, 2, 29),
        {"a": [1, None]},
    )
    assert found.phone == ""
    assert found.note == ""


def test_the_column_holds_version_key_id_nonce_and_37_bytes_more_than_the_text(alice: Person) -> None:
    sealed = bytes(alice.sealed_note)
    assert sealed[0] == 1
    assert len(sealed) == len(b'{"note":"calls on Mondays"}') + 37
    assert keys.load([(key_id(sealed), alice.pk, "note")]).keys() == {key_id(sealed)}


def test_nothing_is_opened_until_a_field_is_touched(
    alice: Person, work: unit.Unit, asked: Asked, key_queries: Counter
) -> None:
    with key_queries() as captured:
        listed = list(Person.objects.all())
        assert str(listed[0]) == "A-1"
        assert listed[0] == alice
        repr(listed[0])
        hash(listed[0])
    assert selects(captured) == []
    assert asked == []


@pytest.mark.parametrize("rows", [1, 30])
def test_the_keys_of_a_result_set_load_in_one_query(rows: int, work: unit.Unit, key_queries: Counter) -> None:
    Person.objects.bulk_create(Person(name=f"Person {i}", note="n") for i in range(rows))
    work.keys.clear()
    with key_queries() as captured:
        assert {p.name for p in Person.objects.all()} == {f"Person {i}" for i in range(rows)}
    assert len(selects(captured)) == 1
    with key_queries() as captured:
        assert all(p.note == "n" for p in Person.objects.order_by("pk")[:rows])
    assert len(selects(captured)) == 1


@pytest.mark.parametrize("rows", [1, 30])
def test_joined_and_prefetched_records_load_their_keys_in_one_query_for_each_model(
    rows: int, work: unit.Unit, key_queries: Counter
) -> None:
    people = Person.objects.bulk_create(Person(name=f"P{i}") for i in range(rows))
    Shop.objects.bulk_create(Shop(person=p, street=f"S{i}") for i, p in enumerate(people))
    Visit.objects.bulk_create(Visit(person=p) for p in people)

    def count(found: models.QuerySet) -> int:
        mine = unit.begin()
        with key_queries() as captured:
            for row in found:
                assert row.person.name.startswith("P")
                assert getattr(row, "street", "S").startswith("S")
        unit.end(mine)
        return len(selects(captured))

    assert count(Shop.objects.select_related("person")) == 2
    assert count(Shop.objects.prefetch_related("person")) == 2
    assert count(Visit.objects.select_related("person")) == 1
    assert count(Visit.objects.prefetch_related("person")) == 1


def test_an_iterator_loads_keys_once_for_each_chunk(work: unit.Unit, key_queries: Counter) -> None:
    Person.objects.bulk_create(Person(name=f"P{i}") for i in range(25))
    work.keys.clear()
    with key_queries() as captured:
        assert sum(p.name.startswith("P") for p in Person.objects.iterator(chunk_size=10)) == 25
    assert len(selects(captured)) == 3


def test_raw_queries_open_row_by_row(alice: Person, work: unit.Unit) -> None:
    assert [p.name for p in Person.objects.raw("SELECT * FROM vault_tests_person")] == ["Alice Smith"]


def test_only_and_defer_name_fields_and_get_columns(alice: Person, work: unit.Unit, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert Person.objects.only("name").get().name == "Alice Smith"
    deferred = Person.objects.defer("note").get()
    assert "sealed_note" in deferred.get_deferred_fields()
    assert "sealed_account" not in deferred.get_deferred_fields()
    load_keys([deferred])
    assert set(work.keys) == {key_id(alice.sealed_account)}
    assert deferred.note == "calls on Mondays"
    Shop.objects.create(person=alice, street="Main")
    with django_assert_num_queries(1):
        assert Shop.objects.select_related("person").only("person__name").get().person.name == "Alice Smith"


def test_a_deferred_envelope_does_not_eat_a_pending_assignment(alice: Person, work: unit.Unit) -> None:
    deferred = Person.objects.defer("note").get()
    deferred.extra = {"new": 1}
    assert deferred.note == "calls on Mondays"
    assert deferred.extra == {"new": 1}
    deferred.save()
    assert (again(alice).note, again(alice).extra) == ("calls on Mondays", {"new": 1})


@pytest.mark.parametrize(
    "query",
    [
        lambda: Person.objects.filter(name="x"),
        lambda: Person.objects.exclude(name="x"),
        lambda: Person.objects.filter(Q(name__icontains="x")),
        lambda: Person.objects.filter(name__isnull=True),
        lambda: list(Person.objects.order_by("name")),
        lambda: list(Person.objects.order_by(F("name").desc())),
        lambda: Person.objects.annotate(x=F("name")),
        lambda: Person.objects.aggregate(Count("name")),
        lambda: Person.objects.values("name"),
        lambda: Person.objects.values_list("name", flat=True),
        lambda: list(Person.objects.distinct("name")),
        lambda: Shop.objects.filter(person__name="x"),
        lambda: list(Person.objects.filter(pk__in=Shop.objects.filter(street=OuterRef("name")))),
        lambda: Person.objects.get_or_create(name="x"),
        lambda: Person.objects.update(name="x"),
        lambda: list(models.QuerySet(Person).filter(name="x")),
        lambda: models.QuerySet(Person).update(name="x"),
        lambda: Person.objects.update(number=F("name")),
    ],
)
def test_sql_on_an_encrypted_field_is_refused_in_words(query) -> None:
    with pytest.raises(FieldError, match=r"[Ee]ncrypted"):  # Django 6.1 refuses `update` itself, and names the field
        query()


def test_values_and_dumps_hold_sealed_bytes_only(alice: Person) -> None:
    assert "Alice" not in repr(Person.objects.values()[0])
    dumped = serializers.serialize("json", [alice])
    assert "Alice" not in dumped
    assert "alice@" not in dumped


def test_a_dump_loads_again_with_the_same_bytes(alice: Person, work: unit.Unit) -> None:
    dumped = serializers.serialize("json", [alice])
    before = bytes(alice.sealed_account)
    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    assert bytes(again(alice).sealed_account) == before
    assert again(alice).name == "Alice Smith"

    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    for loaded in serializers.deserialize("json", dumped):
        loaded.object.name = "Alice Jones"  # changed before it was opened
        loaded.object.save()
    assert (again(alice).name, again(alice).email) == ("Alice Jones", "alice@x.example")


def test_a_proxy_opens_and_writes_the_same_envelope(alice: Person, work: unit.Unit) -> None:
    proxy = PersonProxy.objects.get(pk=alice.pk)
    assert proxy.name == "Alice Smith"
    proxy.name = "Alice Jones"
    proxy.save()
    assert again(alice).name == "Alice Jones"


def test_children_of_an_abstract_parent_have_one_column_and_may_join_its_envelope(work: unit.Unit) -> None:
    shop = Shop.objects.create(street="Main", city="Peabody")
    assert {name: set(fields) for name, fields in Shop.envelopes().items()} == {"address": {"street", "city"}}
    assert Shop.objects.get().city == "Peabody"
    assert {f.name for f in Shop._meta.local_fields} == {"id", "person", "sealed_address"}
    shop.city = "Salem"
    shop.save()
    assert Shop.objects.get().street == "Main"


def test_refresh_drops_opened_and_assigned_values(alice: Person, work: unit.Unit) -> None:
    assert alice.name == "Alice Smith"
    other = again(alice)
    other.name = "Alice Jones"
    other.save()
    alice.note = "never saved"
    alice.refresh_from_db()
    assert (alice.name, alice.note) == ("Alice Jones", "calls on Mondays")


def test_refresh_of_one_field_leaves_other_envelopes(alice: Person, work: unit.Unit) -> None:
    alice.note = "pending"
    alice.refresh_from_db(fields=["name"])
    assert alice.note == "pending"
    assert alice.name == "Alice Smith"


def test_a_pickle_or_copy_holds_no_plaintext(alice: Person, work: unit.Unit) -> None:
    assert alice.name == "Alice Smith"
    stored = pickle.dumps(alice)
    assert b"Alice" not in stored
    assert pickle.loads(stored).name == "Alice Smith"
    for made in (copy.copy(alice), copy.deepcopy(alice)):
        assert "name" not in made.__dict__
        assert made.name == "Alice Smith"


def test_unsaved_plaintext_is_not_pickled(alice: Person, work: unit.Unit) -> None:
    alice.name = "Alice Jones"
    with pytest.raises(UnsealedPlaintext):
        pickle.dumps(alice)
    with pytest.raises(UnsealedPlaintext):
        pickle.dumps(Person(name="New"))


def test_full_clean_validates_and_opens(alice: Person, work: unit.Unit) -> None:
    alice.email = "not an address"
    alice.phone = "1" * 41
    with pytest.raises(ValidationError) as failed:
        alice.full_clean()
    assert failed.value.message_dict.keys() == {"email", "phone"}


def test_a_model_form_edits_and_saves(alice: Person, work: unit.Unit) -> None:
    form_class = modelform_factory(Person, fields=["name", "email", "born_on", "note", "extra"])
    assert form_class(instance=alice).initial["name"] == "Alice Smith"
    assert "<textarea" in str(form_class(instance=alice)["note"])
    typed = {"name": "Alice Jones", "email": "alice@x.example", "born_on": "1970-01-02", "extra": '{"a": 2}'}
    form = form_class({**typed, "note": "calls on Mondays"}, instance=alice)
    assert form.changed_data == ["name", "born_on", "extra"]
    form.save()
    assert (again(alice).name, again(alice).born_on) == ("Alice Jones", datetime.date(1970, 1, 2))
    assert (again(alice).note, again(alice).extra) == ("calls on Mondays", {"a": 2})
    assert again(alice).phone == "+1 978 555 0100"


def test_a_day_is_read_in_each_form_and_what_is_none_is_refused() -> None:
    day = Person.born_on.field
    given = (None, "", "1970-01-02", datetime.date(1970, 1, 2), datetime.datetime(1970, 1, 2, 12))
    assert [day.to_python(one) for one in given] == [None, None, *[datetime.date(1970, 1, 2)] * 3]
    for wrong in ("soon", "1970-02-31"):
        with pytest.raises(ValidationError, match="valid date"):
            day.to_python(wrong)
    assert Person.name.field.pack(None) is None


def test_what_stands_for_a_value_is_the_same_after_it_was_pickled(now) -> None:
    for one in (Masked(), KeyUnavailable(), Erased(now, (uuid4(), "account")), Restricted("locked: kept for claims")):
        there = pickle.loads(pickle.dumps(one))
        assert (type(there), str(there), bool(there)) == (type(one), str(one), False)
        assert (getattr(there, "at", 0), getattr(there, "pair", 0)) == (getattr(one, "at", 0), getattr(one, "pair", 0))
        assert repr(one) == f"<{type(one).__name__}>", "nor is anything told in a traceback"


def test_a_form_without_encrypted_fields_opens_nothing(alice: Person, work: unit.Unit, asked: Asked) -> None:
    form = modelform_factory(Person, fields=["number"])({"number": "A-2"}, instance=alice)
    form.save()
    assert asked == []
    assert again(alice).number == "A-2"


def test_a_masked_form_field_is_disabled_and_never_written_back(alice: Person) -> None:
    before = bytes(alice.sealed_account)
    form_class = modelform_factory(Person, fields=["number", "name", "email", "born_on"])
    shown = form_class(instance=alice).as_p()
    assert shown.count("••••") == 3
    assert shown.count("disabled") == 3
    form = form_class({"number": "A-2", "name": "Mallory", "email": "m@x.example"}, instance=alice)
    assert form.is_valid(), form.errors
    form.save()
    assert again(alice).number == "A-2"
    assert bytes(again(alice).sealed_account) == before


def test_the_text_of_a_mask_is_no_value(alice: Person, work: unit.Unit) -> None:
    form = modelform_factory(Person, fields=["name"])({"name": "••••"}, instance=alice)
    assert form.errors["name"] == ["This is a mask, not a value."]
    alice.name = "(erased)"
    with pytest.raises(ValueError, match="mask"):
        alice.save()


def test_django_refuses_plaintext_in_a_sealed_column(alice: Person) -> None:
    with pytest.raises(ValueError, match="sealed bytes"):
        Person.objects.filter(pk=alice.pk).update(sealed_account=b"Alice Smith, in clear, long enough for a header")


def test_the_database_refuses_plaintext_in_a_sealed_column(alice: Person) -> None:
    with pytest.raises(IntegrityError, match="sealed_account"), connection.cursor() as cur:
        cur.execute(
            "UPDATE vault_tests_person SET sealed_account = %s", [b"Alice Smith, in clear, long enough for a header"]
        )


def test_a_sealed_column_may_be_emptied(alice: Person, work: unit.Unit) -> None:
    Person.objects.filter(pk=alice.pk).update(sealed_note=None)
    assert again(alice).note == ""
    assert again(alice).name == "Alice Smith"


def test_swapped_bytes_do_not_open(
    alice: Person, bob: Person, work: unit.Unit, caplog: pytest.LogCaptureFixture
) -> None:
    Person.objects.filter(pk=bob.pk).update(sealed_note=bytes(alice.sealed_note))
    assert str(again(bob).note) == "(not available at the moment)"
    assert not again(bob).note
    assert again(alice).note == "calls on Mondays"
    assert "do not belong" in caplog.text


def test_the_bytes_of_another_envelope_of_the_same_record_do_not_open(alice: Person, work: unit.Unit) -> None:
    Person.objects.filter(pk=alice.pk).update(sealed_note=bytes(alice.sealed_account))
    assert not again(alice).note


@pytest.mark.parametrize("position", [1, 9, 21, -1])
def test_altered_bytes_do_not_open(position: int, alice: Person, work: unit.Unit) -> None:
    sealed = bytearray(alice.sealed_note)
    sealed[position] ^= 1
    Person.objects.filter(pk=alice.pk).update(sealed_note=bytes(sealed))
    assert not again(alice).note


def test_an_erased_record_reads_erased_and_a_list_goes_on(alice: Person, bob: Person, work: unit.Unit, now) -> None:
    keys.destroy([(alice.pk, "account")], now=now)
    read = {p.number: p.name for p in Person.objects.all()}
    assert isinstance(read["A-1"], Erased)
    assert str(read["A-1"]) == "(erased)"
    assert read["B-1"] == "Bob Stone"
    assert again(alice).note == "calls on Mondays"


def erase(person: Person, *envelopes: str, now: Any) -> None:
    """End envelopes as an erasure does: the bytes go with the key."""
    Person.objects.filter(pk=person.pk).update(**{f"sealed_{name}": None for name in envelopes})
    keys.destroy([(person.pk, name) for name in envelopes], now=now)


def test_what_was_erased_with_its_bytes_reads_erased_and_what_was_never_filled_reads_empty(
    alice: Person, work: unit.Unit, now
) -> None:
    carol = Person.objects.create(number="C-1", name="Carol Reed")
    Person.objects.create(number="D-1")
    erase(alice, "note", now=now)
    erase(carol, "account", "note", now=now)  # the note of hers never held anything: it is marked, and was not erased
    read = {one.number: (one.name, one.born_on, one.note, one.extra) for one in Person.objects.all()}
    gone = Erased()
    assert read == {
        "A-1": ("Alice Smith", None, gone, gone),
        "C-1": (gone, gone, "", {}),
        "D-1": ("", None, "", {}),
    }
    assert isinstance(read["A-1"][3], Erased) and isinstance(read["C-1"][1], Erased)


@pytest.mark.parametrize("first", ["name", "note"])
def test_what_was_erased_is_known_by_the_query_for_the_keys_with_one_row_and_with_30(
    alice: Person, asked: Asked, key_queries: Counter, now, first: str
) -> None:
    def cost() -> int:
        mine = unit.begin()
        with key_queries() as captured:
            for one in Person.objects.order_by("number"):
                assert getattr(one, first) is not None
                assert one.name == one.name and isinstance(one.note, Erased)
        unit.end(mine)
        return len(selects(captured))

    erase(alice, "note", now=now)
    one = cost()
    for number in range(29):
        made = Person.objects.create(number=f"X-{number}", name="Xenia", note="by fax")
        erase(made, *(["account", "note"] if number % 2 else ["note"]), now=now)
    assert cost() == one
    assert one == 1


def test_without_the_key_store_nothing_is_called_erased_or_empty(
    alice: Person, work: unit.Unit, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(alice, "note", now=now)
    found = again(alice)
    with connections["keystore"].execute_wrapper(_down):
        assert isinstance(found.note, KeyUnavailable)


def _down(*args: Any) -> Any:
    raise OperationalError


def test_nothing_is_written_back_where_something_was_erased(alice: Person, work: unit.Unit, now) -> None:
    erase(alice, "note", now=now)
    found = again(alice)
    assert isinstance(found.note, Erased)
    found.phone = "+1 978 555 0199"
    found.full_clean()
    found.save()
    assert again(alice).phone == "+1 978 555 0199"
    assert again(alice).sealed_note is None
    found.note = "calls again"
    with pytest.raises(RecordErased):
        found.save()


def test_a_list_page_of_masks_is_text_and_falsy(alice: Person) -> None:
    assert isinstance(alice.name, Masked)
    assert f"{alice.name} {alice.email}" == "•••• ••••"
    assert not alice.name
    assert not alice.born_on


def test_an_unknown_id_and_an_empty_envelope_read_the_default(work: unit.Unit) -> None:
    assert Person(pk=uuid4()).name == ""
    person = Person.objects.create(number="C")
    assert again(person).name == ""
    assert person.sealed_account is None


def test_a_default_that_is_changed_in_place_is_saved(work: unit.Unit) -> None:
    person = Person.objects.create(number="C")
    person.extra["a"] = 1
    person.save()
    assert again(person).extra == {"a": 1}
    stored = again(person)
    stored.extra["b"] = 2
    stored.save()
    assert again(person).extra == {"a": 1, "b": 2}
