"""Units of work: plaintext does not outlive them, wherever a reference to them leaks."""

from __future__ import annotations

import contextvars
import gc
import threading
from collections.abc import Iterator

import pytest

from privacy import vault
from privacy.vault import Masked, unit
from privacy.vault.queryset import load_keys
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import Asked, again, selects
from tests.privacy.vault.watching import Count as Counter

pytestmark = pytest.mark.django_db


def test_without_a_unit_everything_is_masked(alice: Person, asked: Asked) -> None:
    load_keys([alice])
    assert isinstance(alice.name, Masked)
    assert asked == []


def test_without_a_guard_nothing_opens(alice: Person) -> None:
    before = unit.set_guard(None)
    mine = unit.begin()
    try:
        assert isinstance(alice.name, Masked)
    finally:
        unit.end(mine)
        unit.set_guard(before)


def test_the_guard_is_asked_once_for_what_is_touched_and_for_nothing_else(
    alice: Person, bob: Person, work: unit.Unit, asked: Asked
) -> None:
    owner = alice.vault_owner()
    first = next(p for p in Person.objects.order_by("number"))
    assert (first.name, first.email) == ("Alice Smith", "alice@x.example")
    assert asked == [unit.Opening("tests.person", "account", alice.pk, *owner)]


def test_a_refused_envelope_is_masked_and_not_asked_again(alice: Person, work: unit.Unit, asked: Asked) -> None:
    asked.refuse = True
    assert isinstance(alice.name, Masked)
    assert isinstance(alice.phone, Masked)
    assert len(asked) == 1


def test_each_envelope_is_refused_for_itself(alice: Person, bob: Person) -> None:
    before = unit.set_guard(lambda opening: opening.envelope == "account" and opening.record_id == bob.pk)
    mine = unit.begin()
    try:
        assert [str(one) for one in (alice.name, alice.note, alice.name, bob.name, bob.note)] == [
            "••••", "••••", "••••", "Bob Stone", "••••",
        ]  # fmt: skip
    finally:
        unit.end(mine)
        unit.set_guard(before)


def test_a_refusal_ends_with_its_unit(alice: Person, asked: Asked) -> None:
    asked.refuse = True
    first = unit.begin()
    assert not alice.name
    unit.end(first)
    asked.refuse = False
    second = unit.begin()
    assert alice.name == "Alice Smith"
    unit.end(second)


def test_the_end_takes_opened_values_out_and_leaves_what_was_assigned(alice: Person, asked: Asked) -> None:
    mine = unit.begin()
    assert alice.name == "Alice Smith"
    alice.phone = "1"
    unit.end(mine)
    assert isinstance(alice.name, Masked)
    assert "Alice Smith" not in repr(alice.__dict__)
    assert alice.phone == "1"
    alice.save()
    second = unit.begin()
    assert (again(alice).name, again(alice).phone) == ("Alice Smith", "1")
    unit.end(second)
    unit.end(second)


def test_keys_are_not_kept_from_one_unit_to_the_next(alice: Person, asked: Asked, key_queries: Counter) -> None:
    people = list(Person.objects.all())
    for _ in range(2):
        mine = unit.begin()
        with key_queries() as captured:
            assert people[0].name == "Alice Smith"
        assert len(selects(captured)) == 1
        unit.end(mine)


def test_a_generator_that_outlives_the_unit_yields_masks(alice: Person, bob: Person, asked: Asked) -> None:
    def stream() -> Iterator[str]:
        for person in Person.objects.order_by("number"):
            yield person.name

    mine = unit.begin()
    running = stream()
    assert next(running) == "Alice Smith"
    unit.end(mine)
    assert isinstance(next(running), Masked)


def test_a_unit_begun_in_a_stream_that_is_closed_elsewhere_is_ended_all_the_same(alice: Person, asked: Asked) -> None:
    def stream() -> Iterator[str]:
        mine = unit.begin()
        try:
            yield again(alice).name
            yield again(alice).name
        finally:
            unit.end(mine)

    running = stream()
    assert contextvars.copy_context().run(next, running) == "Alice Smith"
    running.close()
    assert unit.current() is None
    assert isinstance(again(alice).name, Masked)


def test_a_thread_inherits_nothing_and_a_copied_context_ends_with_its_unit(alice: Person, work: unit.Unit) -> None:
    found: list[object] = []
    stored = again(alice)
    thread = threading.Thread(target=lambda: found.append(stored.name))
    thread.start()
    thread.join()
    leaked = contextvars.copy_context()
    assert leaked.run(unit.current) is work
    leaked.run(unit.end, work)
    assert leaked.run(unit._current.get) is None
    thread = threading.Thread(target=leaked.run, args=(lambda: found.append(stored.name),))
    thread.start()
    thread.join()
    assert [type(value) for value in found] == [Masked, Masked]


def test_units_may_be_nested(alice: Person, work: unit.Unit) -> None:
    inner = unit.begin()
    assert alice.name == "Alice Smith"
    unit.end(inner)
    assert unit.current() is work
    assert "name" not in alice.__dict__
    assert alice.name == "Alice Smith"


def test_internal_opens_without_asking_and_takes_it_back(alice: Person, asked: Asked) -> None:
    asked.refuse = True
    with vault.internal():
        assert alice.name == "Alice Smith"
    assert asked == []
    assert isinstance(alice.name, Masked)


def test_a_long_unit_holds_a_bounded_number_of_keys(work: unit.Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "MOST_KEYS", 20)
    Person.objects.bulk_create(Person(name=f"P{i}") for i in range(50))
    work.keys.clear()
    for person in Person.objects.iterator(chunk_size=10):
        assert person.name.startswith("P")
        assert len(work.keys) <= 20


def test_records_that_are_gone_are_not_held_by_the_unit(work: unit.Unit) -> None:
    Person.objects.bulk_create(Person(name=f"P{i}") for i in range(550))
    for i, person in enumerate(Person.objects.iterator(chunk_size=100)):
        assert person.name
        if i % 100 == 0:
            gc.collect()
    assert len(work._opened) < 800  # of 1,100 that were remembered
