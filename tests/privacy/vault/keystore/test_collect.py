"""The key collector: finishes what a crash left, takes nothing that a row needs."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from privacy.vault import unit
from privacy.vault.envelope import key_id
from privacy.vault.index import Exact
from privacy.vault.keystore import keys, tokens
from privacy.vault.keystore.collect import collect
from privacy.vault.keystore.sql import cursor
from privacy.vault.models import DataKey, Token
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import again, rolled_back
from tests.shapes import shaped

pytestmark = pytest.mark.django_db
EMAIL = Exact("tests.person.email", "email")


def later(time: str = "2 hours") -> None:
    """Let time pass for every key."""
    with cursor() as cur:
        cur.execute(
            "UPDATE vault_datakey SET created_at = created_at - %s::interval, doubted_at = doubted_at - %s::interval",
            [time, time],
        )


def crash(person: Person) -> None:
    """Save, and lose the data transaction after the key's commit."""
    with rolled_back():
        person.save()


def test_a_living_key_is_left_alone(alice: Person, bob: Person, work: unit.Unit) -> None:
    later()
    assert collect().as_dict() == {
        "looked_at": 4,
        "finished": 0,
        "reinstated": 0,
        "doubted": 0,
        "destroyed": 0,
        "waiting": 0,
        "stopped_by_cap": 0,
        "broken": 0,
    }
    assert again(alice).name == "Alice Smith"


def test_an_orphan_is_doubted_at_the_first_look_and_destroyed_at_the_second(alice: Person) -> None:
    lost = Person(name="Dora", email="dora@x.example")
    crash(lost)
    assert collect().doubted == 0  # too young: its transaction might still commit
    later()
    assert (collect().doubted, collect().destroyed) == (1, 0)
    later("6 days")
    assert (collect().waiting, collect().destroyed) == (1, 0)
    later("2 days")
    assert collect(dry_run=True).destroyed == 1
    assert DataKey.objects.get(record=lost.pk).wrapped is not None
    assert collect().destroyed == 1
    assert DataKey.objects.get(record=lost.pk).wrapped is None
    assert not Token.objects.filter(record=lost.pk).exists()
    assert collect().looked_at == 2
    Person.objects.create(email="dora@x.example")  # the address is free again


def test_a_crash_before_the_old_key_went_is_finished(alice: Person, work: unit.Unit) -> None:
    old = key_id(alice.sealed_account)
    alice.email = "new@x.example"
    alice.save()  # on_commit never runs inside this test: as if the process had died after the commit
    assert DataKey.objects.get(pk=old).wrapped is not None
    for _ in range(2):
        later()
        report = collect()
    assert (report.finished, report.destroyed) == (1, 0)
    assert DataKey.objects.get(pk=old).wrapped is None
    assert not keys.is_destroyed(alice.pk, "account")
    assert (again(alice).email, again(alice).name) == ("new@x.example", "Alice Smith")
    assert tokens.find(EMAIL, "alice@x.example")[0] == set()
    assert Person.objects.find("tests.person.email", "new@x.example").get() == alice
    assert Person.objects.find_words("tests.person.name", "alice").get() == alice


def test_a_correction_that_was_rolled_back_is_undone_in_the_key_store(alice: Person, work: unit.Unit) -> None:
    old = key_id(alice.sealed_account)
    alice.email = "never@x.example"
    crash(alice)
    for _ in range(2):
        later()
        report = collect()
    assert (report.reinstated, report.destroyed) == (1, 1)
    assert DataKey.objects.get(pk=old).superseded_by is None
    assert again(alice).email == "alice@x.example"
    assert tokens.find(EMAIL, "never@x.example")[0] == set()
    assert Person.objects.find("tests.person.email", "alice@x.example").get() == alice
    second = again(alice)
    second.email = "second@x.example"
    second.save()
    assert again(alice).email == "second@x.example"


def test_three_attempts_of_which_the_last_succeeds_leave_one_key(alice: Person, work: unit.Unit) -> None:
    for name in ("One", "Two"):
        tried = again(alice)
        tried.name = name
        crash(tried)
    last = again(alice)
    last.name = "Three"
    last.save()
    for _ in range(2):
        later()
        collect()
    live = DataKey.objects.get(record=alice.pk, envelope="account", wrapped__isnull=False)
    assert (live.pk, live.superseded_by) == (key_id(last.sealed_account), None)
    assert again(alice).name == "Three"
    assert Person.objects.find_words("tests.person.name", "three").get() == alice


def test_an_orphan_of_an_empty_envelope_does_not_close_it(work: unit.Unit) -> None:
    person = Person.objects.create(number="C")
    tried = again(person)
    tried.note = "lost"
    crash(tried)
    for _ in range(2):
        later("8 days")
        collect()
    assert not keys.is_destroyed(person.pk, "note")
    again_ = again(person)
    again_.note = "kept"
    again_.save()
    assert again(person).note == "kept"


def test_a_row_deleted_behind_djangos_back_loses_its_keys_for_good(alice: Person) -> None:
    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    for _ in range(2):
        later("8 days")
        report = collect()
    assert report.destroyed == 2
    assert keys.is_destroyed(alice.pk, "account")


def test_a_row_that_somebody_deleted_opens_again_when_a_backup_brings_it_back_within_a_week(
    alice: Person, work: unit.Unit
) -> None:
    """The key collector destroyed its keys on the second night, and no backup opened it any more."""
    copy = again(alice)
    Person.objects.filter(pk=alice.pk)._raw_delete("default")
    later("1 day")
    assert collect().doubted == 2
    for _ in range(6):
        later("1 day")
        assert (report := collect()).destroyed == 0 and report.waiting == 2
    Person.objects.bulk_create([copy])
    assert again(alice).name == "Alice Smith"
    collect()
    assert not DataKey.objects.filter(doubted_at__isnull=False).exists(), "a later look begins anew"
    later("8 days")
    assert collect().destroyed == 0


def test_more_keys_without_a_row_than_a_crash_leaves_wait_for_an_operator(
    alice: Person, bob: Person, work: unit.Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privacy.vault.keystore.collect.CAP", 3)
    alice.email = "new@x.example"
    alice.save()  # leaves a key whose row names another: no crowd stops its end
    Person.objects.filter(pk=bob.pk)._raw_delete("default")
    for name in ("Dora", "Emil"):
        crash(Person(name=name))
    later()
    assert collect().doubted == 5
    later()
    assert collect().finished == 1
    later("8 days")
    report = collect()
    assert (report.stopped_by_cap, report.destroyed) == (4, 0)
    assert not keys.is_destroyed(bob.pk, "account")
    said = StringIO()
    call_command("collect_keys", stdout=StringIO(), stderr=said)
    assert "none of them was destroyed" in said.getvalue()
    call_command("collect_keys", "--beyond-cap", stdout=StringIO())
    assert keys.is_destroyed(bob.pk, "account")
    assert collect().stopped_by_cap == 0


def test_keys_of_a_label_or_envelope_nobody_knows_are_left_alone(alice: Person) -> None:
    DataKey.objects.filter(envelope="note").update(envelope="renamed")
    DataKey.objects.filter(envelope="account").update(label="tests.renamed")
    for _ in range(3):
        later()
        report = collect()
    assert (report.doubted, report.destroyed) == (0, 0)


def test_what_a_row_needs_that_names_an_ended_key_is_left_alone(alice: Person, work: unit.Unit) -> None:
    old = bytes(alice.sealed_account)
    alice.name = "Alice Jones"
    alice.save()
    Person.objects.filter(pk=alice.pk).update(sealed_account=old)  # an older row, put back
    DataKey.objects.filter(pk=key_id(old)).delete()
    for _ in range(2):
        later("8 days")
        report = collect()
    assert (report.doubted, report.destroyed, report.finished) == (0, 0, 0)
    assert DataKey.objects.filter(record=alice.pk, envelope="account", wrapped__isnull=False).count() == 1


def test_small_chunks_find_the_same(alice: Person, bob: Person, work: unit.Unit) -> None:
    for i in range(5):
        crash(Person(name=f"P{i}", note="x"))
    for person in (alice, bob):
        person.name += "!"
        person.save()
    for _ in range(2):
        later("8 days")
        report = collect(chunk=3)
    assert (report.finished, report.destroyed, report.looked_at) == (2, 10, 16)
    assert DataKey.objects.filter(wrapped__isnull=False).count() == 4


def test_a_key_that_cannot_be_judged_is_counted_and_the_others_are_ended(alice: Person) -> None:
    lost = [Person(name=name) for name in ("Dora", "Emil", "Fay")]
    for person in lost:
        crash(person)
    later()
    assert collect().doubted == 3
    later("8 days")
    with cursor() as cur:
        cur.execute(
            "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$"
        )
        cur.execute(
            f"CREATE TRIGGER no BEFORE UPDATE ON vault_datakey FOR EACH ROW WHEN (OLD.record = '{lost[1].pk}') "
            "EXECUTE FUNCTION pg_temp.no()"
        )
    report = collect()
    assert (report.destroyed, report.broken) == (2, 1)
    ended = DataKey.objects.filter(record__in=[person.pk for person in lost], destroyed_at__isnull=False)
    assert set(ended.values_list("record", flat=True)) == {lost[0].pk, lost[2].pk}
    with pytest.raises(CommandError) as told:
        call_command("collect_keys", stdout=StringIO())
    assert told.value.returncode == 4


def test_the_command_reports_and_a_dry_run_changes_nothing(alice: Person) -> None:
    crash(Person(name="Dora"))
    later()
    out = StringIO()
    call_command("collect_keys", "--dry-run", "--json", stdout=out)
    assert shaped("collect_keys", json.loads(out.getvalue())) == {
        "looked_at": 3, "finished": 0, "reinstated": 0, "doubted": 1, "destroyed": 0, "waiting": 0,
        "stopped_by_cap": 0, "broken": 0,
        "dry_run": True,
    }  # fmt: skip
    assert not DataKey.objects.filter(doubted_at__isnull=False).exists()
    out = StringIO()
    call_command("collect_keys", stdout=out)
    assert (
        out.getvalue()
        == "3 looked at, 0 finished, 0 reinstated, 1 doubted, 0 destroyed, 0 waiting, 0 stopped by cap, 0 broken\n"
    )
