"""Rotation of the key-encryption keys: no data is touched, nothing is lost, a kill is no harm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from privacy.vault import ring, unit
from privacy.vault.checks import check_belongs_together
from privacy.vault.keystore import identity, keys, rotate
from privacy.vault.models import DataKey, KeystoreIdentity
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import again
from tests.shapes import shaped


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    """The ring of these tests, in a file as in production."""
    path = tmp_path / "ring.json"
    ring.write(path, ring.parse(settings.KEY_RING))
    settings.KEY_RING_FILE = str(path)
    return path


def run(*arguments: str, **options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command(*arguments, json=True, stdout=out, **options)
    found: dict[str, Any] = shaped(arguments[0], json.loads(out.getvalue()))
    return found


@pytest.mark.django_db
def test_all_keys_move_to_the_new_version_and_no_data_changes(file: Path, alice: Person, work: unit.Unit) -> None:
    before = bytes(alice.sealed_account)
    run("keyring", "add")
    assert run("rotate_keys", dry_run=True) == {"current": 2, "wrapped": 0, "left": 2, "dry_run": True}
    assert run("rotate_keys", chunk=1) == {"current": 2, "wrapped": 2, "left": 0, "dry_run": False}
    assert set(DataKey.objects.values_list("kek", flat=True)) == {2}
    assert run("keyring", "retire", "1")["versions"] == [2]
    work.keys.clear()
    found = again(alice)
    assert (found.name, bytes(found.sealed_account)) == ("Alice Smith", before)


@pytest.mark.django_db
def test_a_version_in_use_or_current_is_not_retired(file: Path, alice: Person) -> None:
    run("keyring", "add")
    for version in ("1", "2", "9"):
        with pytest.raises(CommandError) as refused:
            call_command("keyring", "retire", version)
        assert refused.value.returncode == 3
    assert ring.read(file).versions == (1, 2)
    of_here = KeystoreIdentity.objects.create(id=1, installation=ring.current().installation, proof=b"")
    assert rotate.close(2) == DataKey.objects.count() > 0, "keys hang on version 1 still"
    of_here.refresh_from_db()
    assert of_here.lowest_kek < 2


@pytest.mark.django_db
def test_a_destroyed_key_stays_destroyed_and_a_key_changed_meanwhile_is_left(
    file: Path, alice: Person, bob: Person, now
) -> None:
    run("keyring", "add")
    keys.destroy([(alice.pk, "account")], now=now)
    chunks = rotate.rotate(chunk=1)
    next(chunks)
    keys.destroy([(bob.pk, "account")], now=now)
    list(chunks)
    assert DataKey.objects.filter(wrapped__isnull=False).count() == 2
    assert rotate.waiting() == {2: 2}
    assert DataKey.objects.filter(destroyed_at__isnull=False, wrapped__isnull=False).count() == 0


@pytest.mark.django_db
def test_a_key_that_does_not_open_stops_the_rotation_with_one_sentence(file: Path, alice: Person) -> None:
    run("keyring", "add")
    DataKey.objects.filter(envelope="note").update(wrapped=bytes(60))
    with pytest.raises(CommandError, match="does not open") as failed:
        call_command("rotate_keys", stdout=StringIO())
    assert failed.value.returncode == 1


@pytest.mark.django_db
def test_status_counts_keys_by_version_and_changes_nothing(file: Path, alice: Person) -> None:
    content = file.read_bytes()
    found = run("keyring", "status")
    assert (found["current"], found["versions"], found["keys"], found["missing"]) == (1, [1], {"1": 2}, [])
    assert file.read_bytes() == content
    DataKey.objects.filter(envelope="note").update(kek=7)
    assert run("keyring", "status")["missing"] == [7]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("keyring", "retire"), 2),
        (("keyring", "add", "1"), 2),
        (("keyring", "add", "--dry-run"), 2),
        (("keyring", "init"), 3),
        (("rotate_keys", "--chunk", "0"), 2),
    ],
)
def test_wrong_use_ends_in_a_sentence_and_an_exit_code(arguments: tuple[str, ...], code: int, file: Path) -> None:
    with pytest.raises(CommandError) as failed:
        call_command(*arguments)
    assert failed.value.returncode == code


@pytest.mark.django_db
def test_what_fails_is_one_sentence_and_changes_no_ring(file: Path, alice: Person, settings: Any) -> None:
    run("keyring", "add")
    content = file.read_bytes()
    for command in (("keyring", "status"), ("keyring", "retire", "1"), ("rotate_keys",), ("collect_keys",)):
        with connections["keystore"].execute_wrapper(_down), pytest.raises(CommandError) as failed:
            call_command(*command)
        assert failed.value.returncode == 1, command
    with connections["keystore"].execute_wrapper(_down):
        assert identity.verify() == ["The key store or the main database cannot be reached, or was not migrated."]
        (found,) = check_belongs_together(databases=["default", "keystore"])
    assert (found.id, found.msg) == ("vault.E010", "A database cannot be reached.")
    with pytest.raises(CommandError, match="cannot be written") as failed:
        call_command("keyring", "init", file=str(file / "in_no_folder"))
    assert failed.value.returncode == 1
    assert file.read_bytes() == content
    settings.KEY_RING_FILE = settings.KEY_RING = ""
    with pytest.raises(CommandError, match="no key ring") as failed:
        call_command("rotate_keys")
    assert failed.value.returncode == 3


def _down(*args: Any) -> Any:
    raise OperationalError


@pytest.mark.django_db
def test_the_status_in_words_names_versions_and_what_hangs_on_them(file: Path, alice: Person) -> None:
    out = StringIO()
    call_command("keyring", "status", stdout=out)
    assert {"versions: 1", "keys: 2 of version 1", "missing: none"} <= set(out.getvalue().splitlines())
    run("keyring", "add")
    call_command("rotate_keys", stdout=out)
    before = file.read_bytes()
    assert run("keyring", "retire", "1", dry_run=True)["would_retire"] == 1
    assert file.read_bytes() == before


def test_without_a_file_there_is_nothing_to_change(settings: Any) -> None:
    settings.KEY_RING_FILE = ""
    with pytest.raises(CommandError, match="KEY_RING_FILE") as failed:
        call_command("keyring", "add")
    assert failed.value.returncode == 2


def test_init_makes_a_ring_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ring.json"
    found = run("keyring", "init", file=str(path))
    assert found["versions"] == [1]
    assert path.stat().st_mode & 0o777 == 0o600


ROTATION = """
import django, sys
django.setup()
from privacy.vault.keystore import rotate
for progress in rotate.rotate(chunk=10):
    print(progress.wrapped, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def process(file: Path, subprocess_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    environment = {**subprocess_environment, "KEY_RING_FILE": str(file)}
    ring.write(file, ring.read(file).added())
    started = subprocess.Popen(
        [sys.executable, "-c", ROTATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    yield started
    started.kill()
    started.wait()
    for stream in (started.stdin, started.stdout):
        assert stream is not None
        stream.close()


@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_was_killed_goes_on_where_it_was(
    file: Path, request: pytest.FixtureRequest, work: unit.Unit
) -> None:
    people = Person.objects.bulk_create(Person(name=f"P{i}") for i in range(45))
    process: subprocess.Popen[str] = request.getfixturevalue("process")
    assert process.stdout is not None
    assert process.stdout.readline() == "10\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert rotate.waiting() == {1: 35, 2: 10}
    assert sum(progress.wrapped for progress in rotate.rotate(chunk=10)) == 35
    assert rotate.waiting() == {2: 45}
    ring.write(file, ring.read(file).without(1))
    work.keys.clear()
    assert {p.name for p in Person.objects.all()} == {p.name for p in people}
