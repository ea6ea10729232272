"""A renewed ring: what was erased opens nowhere, not even from the servers' own files; and nothing living is ever
lost."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import InternalError, connections

from accounts.models import Customer
from privacy.audit import AuditEvent
from privacy.gate.system import system
from privacy.vault import renewal, ring
from privacy.vault.keystore import identity, keys, rotate
from privacy.vault.models import DataKey, KeystoreIdentity
from privacy.vault.renewal import RenewalRefused
from tests import factories
from tests.figures import report
from tests.shapes import shaped

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True, databases=["default", "keystore"])]

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def places(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The ring's file and its copy on another disk, and a backup command as an operator has one."""
    file = tmp_path / "etc" / "ring.json"
    ring.write(file, ring.parse(settings.KEY_RING), new_file=True)
    settings.KEY_RING_FILE = str(file)
    assert identity.verify() == []  # binds both databases to the ring, as a first start does
    monkeypatch.setenv("PATH", f"{os.environ['ILT_TEST_POSTGRES_BIN']}:{os.environ['PATH']}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        copy = Path(elsewhere) / "ring.json"
        settings.KEY_RING_COPY = str(copy)
        yield file, copy


@pytest.fixture
def backup(tmp_path: Path) -> list[str]:
    """Return a command that dumps the key store and prints where to."""
    base = connections["keystore"].settings_dict
    url = f"postgres://{base['USER']}:{base['PASSWORD']}@{base['HOST']}:{base['PORT']}/{base['NAME']}"
    dump = tmp_path / "keystore.dump"
    return ["sh", "-c", f"pg_dump --format=custom --file={dump} {url} && echo {dump}"]


def renew(places: tuple[Path, Path], backup: list[str], **more: Any) -> renewal.Renewed:
    file, copy = places
    return renewal.renew(file=file, copy=copy, backup=backup, now=NOW, settle=0, **more)


def readable(customer: Customer) -> str:
    with system("sweep"):
        return str(Customer.objects.get(pk=customer.pk).last_name)


def files_of_the_servers() -> Iterator[Path]:
    cluster = Path(os.environ["ILT_TEST_FOLDER"]) / "postgres"
    return (path for path in cluster.rglob("*") if path.is_file() and path.stat().st_size)


def occurrences(secrets: list[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for path in files_of_the_servers():
        content = path.read_bytes()
        found.update(secret for secret in secrets if secret in content)
    return found


def test_what_was_erased_opens_from_the_servers_files_until_the_ring_is_renewed_and_not_after(
    places: tuple[Path, Path], backup: list[str]
) -> None:
    file, copy = places
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Barnes")
    rows = DataKey.objects.filter(record=alice.pk).values_list(
        "id", "record", "owner_id", "owner_kind", "envelope", "kek", "wrapped"
    )
    known = [dict(zip(renewal.COLUMNS, row, strict=True)) for row in rows]
    assert known
    keys.destroy([(one["record"], one["envelope"]) for one in known], now=NOW)
    with connections["keystore"].cursor() as cursor:
        cursor.execute("CHECKPOINT")

    def opened() -> int:
        held, count = ring.read(file), 0
        there = occurrences([bytes(one["wrapped"]) for one in known])
        for one in known:
            if bytes(one["wrapped"]) not in there:
                continue
            try:
                held.unwrap(one["kek"], bytes(one["wrapped"]), context(one))
            except ring.VersionUnknown:
                continue
            count += 1
        return count

    before = opened()
    assert before == len(known), "the positive control: the files give the key back"
    done = renew(places, backup)
    assert opened() == 0
    assert done.opened == DataKey.objects.filter(destroyed_at=None).count() > 0
    assert ring.read(file) == ring.read(copy)
    assert ring.read(file).versions == (done.version,)
    assert readable(bob) == "Barnes"
    assert KeystoreIdentity.objects.get().renewed_at == NOW
    report(
        "F12",
        "destroyed keys that the servers' files and the ring open before a renewal",
        before,
        n=len(known),
        goal="any",
    )
    report("F12", "the same after a renewal", 0, n=len(known), goal="0")


def context(key: dict[str, Any]) -> bytes:
    from privacy.vault.keystore.binding import NO_ID, bound

    both = key["id"].to_bytes(8, "big", signed=True) + UUID(str(key["record"])).bytes
    owner = key["owner_id"].bytes if key["owner_id"] else NO_ID
    return bound(both, key["envelope"], key["owner_kind"], owner)


def test_the_old_ring_is_overwritten_where_it_lay(places: tuple[Path, Path], backup: list[str]) -> None:
    file, _ = places
    with file.open("rb") as held:  # whoever looks at the disk's blocks
        assert b"keys" in held.read()
        renew(places, backup)
        held.seek(0)
        assert set(held.read()) == {0}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


STEPS = ("writing", "wrapping", "backing", "taking")


@pytest.mark.parametrize("at", STEPS)
def test_a_renewal_killed_at_any_step_loses_nothing_and_is_done_by_the_next(
    places: tuple[Path, Path], backup: list[str], at: str
) -> None:
    file, copy = places
    bob = factories.customer("Bob", "Barnes")

    class Killed(BaseException):
        pass

    def told(text: str) -> None:
        if text.startswith(at):
            raise Killed

    with pytest.raises(Killed):
        renew(places, backup, told=told)
    assert set(rotate.waiting()) <= set(ring.read(file).versions)
    assert readable(bob) == "Barnes"
    assert renewal.need().half_done == (at != "writing")
    done = renew(places, backup)
    assert ring.read(file) == ring.read(copy)
    assert ring.read(file).versions == (done.version,)
    assert set(rotate.waiting()) == {done.version}
    assert readable(bob) == "Barnes"


def test_a_key_that_comes_late_under_the_old_version_keeps_it(places: tuple[Path, Path], backup: list[str]) -> None:
    file, _ = places
    bob = factories.customer("Bob", "Barnes")
    before = ring.read(file)
    late = DataKey.objects.filter(record=bob.pk).values("id", "wrapped", "kek").first()
    assert late is not None

    def told(text: str) -> None:
        if text.startswith("taking"):  # as if another process had written it only now
            DataKey.objects.filter(pk=late["id"]).update(wrapped=late["wrapped"], kek=late["kek"])

    with pytest.raises(RenewalRefused, match="An old version is still needed by 1 key\\."):
        renew(places, backup, told=told)
    assert set(before.versions) < set(ring.read(file).versions)
    assert readable(bob) == "Barnes"
    assert len(renew(places, backup).retired) == 1
    assert readable(bob) == "Barnes"


def test_afterwards_the_database_refuses_a_key_under_an_old_version(
    places: tuple[Path, Path], backup: list[str]
) -> None:
    alice = factories.customer("Alice", "Archer")
    old = DataKey.objects.filter(record=alice.pk, envelope="account").values("id", "wrapped", "kek").get()
    DataKey.objects.filter(pk=old["id"]).update(
        wrapped=old["wrapped"], kek=old["kek"]
    )  # as long as it is the current one
    renew(places, backup)
    with pytest.raises(InternalError, match="older version of the key ring"):
        DataKey.objects.filter(pk=old["id"]).update(wrapped=old["wrapped"], kek=old["kek"])
    with pytest.raises(InternalError, match="older version of the key ring"):
        DataKey.objects.create(
            id=1, record=alice.pk, envelope="other", label="x", wrapped=old["wrapped"], kek=old["kek"], commitment=b"x"
        )
    assert readable(alice) == "Archer"
    assert factories.customer("Bob", "Barnes", reference="C-9").pk  # new ones come in


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["false"], "failed (exit code 1)"),
        (["echo", "/nowhere"], "failed (exit code 0)"),
        (["/nowhere/ilt-backup"], "did not start: No such file"),
        (["sh", "-c", "echo rubbish > $0; echo $0", "{dump}"], "cannot be read"),
    ],
)
def test_without_a_backup_that_opens_the_old_version_stays(
    places: tuple[Path, Path], tmp_path: Path, command: list[str], sentence: str
) -> None:
    file, _ = places
    bob = factories.customer("Bob", "Barnes")
    before = ring.read(file).versions
    with pytest.raises(RenewalRefused) as refused:
        renew(places, [part.format(dump=tmp_path / "rubbish") for part in command])
    assert sentence in str(refused.value)
    assert set(before) < set(ring.read(file).versions)
    assert readable(bob) == "Barnes"


def test_an_empty_backup_is_not_taken_for_one(places: tuple[Path, Path], tmp_path: Path) -> None:
    factories.customer("Bob", "Barnes")
    base = connections["keystore"].settings_dict
    url = f"postgres://{base['USER']}:{base['PASSWORD']}@{base['HOST']}:{base['PORT']}/{base['NAME']}"
    dump = tmp_path / "empty.dump"
    with pytest.raises(RenewalRefused, match="holds no key"):
        renew(places, ["sh", "-c", f"pg_dump --schema-only --format=custom --file={dump} {url} && echo {dump}"])


def test_a_backup_made_before_is_not_taken_for_a_fresh_one(
    places: tuple[Path, Path], backup: list[str], tmp_path: Path
) -> None:
    file, _ = places
    bob = factories.customer("Bob", "Barnes")
    before = ring.read(file).versions
    subprocess.run(backup, check=True, capture_output=True)
    with pytest.raises(RenewalRefused, match="a key that the new ring does not open"):
        renew(places, ["echo", str(tmp_path / "keystore.dump")])
    assert set(before) < set(ring.read(file).versions)
    assert readable(bob) == "Barnes"


def test_a_copy_on_the_same_disk_or_a_disk_that_is_not_there_is_refused(
    places: tuple[Path, Path], backup: list[str], tmp_path: Path
) -> None:
    file, copy = places
    content = file.read_bytes()
    for place, sentence in (
        (tmp_path / "ring.json", "same disk"),
        (copy.parent / "unmounted" / "ring.json", "mounted"),
    ):
        with pytest.raises(RenewalRefused, match=sentence):
            renewal.renew(file=file, copy=place, backup=backup, now=NOW, settle=0)
    assert file.read_bytes() == content
    assert not (copy.parent / "unmounted").exists()


def test_what_is_no_copy_of_this_ring_is_never_overwritten(places: tuple[Path, Path], backup: list[str]) -> None:
    file, copy = places
    content = file.read_bytes()
    copy.write_text("dear diary")
    copy.chmod(0o600)
    with pytest.raises(RenewalRefused, match="is not a ring"):
        renew(places, backup)
    assert copy.read_text() == "dear diary"
    copy.unlink()
    ring.write(copy, ring.new(), new_file=True)
    others = copy.read_bytes()
    with pytest.raises(RenewalRefused, match="another installation"):
        renew(places, backup)
    assert (copy.read_bytes(), file.read_bytes()) == (others, content)


def test_a_writer_killed_amid_leaves_no_ring_that_stays(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = places

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    draft = file.with_name(".ring.json.draft")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda self, **_: None)  # a kill runs no `finally`
        patched.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            ring.write(file, ring.read(file).added())
    assert draft.exists()
    with draft.open("rb") as held:
        ring.write(file, ring.read(file).added())
        held.seek(0)
        assert set(held.read()) == {0}
    assert sorted(os.listdir(file.parent)) == ["ring.json"]


def test_the_command_renews_when_it_is_due_and_writes_that_down(
    places: tuple[Path, Path], backup: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "SETTLE_SECONDS", 0)
    settings.KEYSTORE_BACKUP = f"sh -c '{backup[2]}'"
    alice = factories.customer("Alice", "Archer")

    def run(*arguments: str) -> Any:
        out = StringIO()
        call_command("renew_ring", *arguments, "--json", stdout=out)
        return shaped("renew_ring", json.loads(out.getvalue()))

    assert run("--if-due")["due"] is False
    keys.destroy([(alice.pk, "account")], now=NOW)
    assert run("--dry-run")["due"] is True
    assert run("--if-due")["version"] == 2
    assert run("--if-due")["due"] is False
    (event,) = AuditEvent.objects.filter(action="ring.renewed")
    assert event.reason.startswith("version 2, ")
