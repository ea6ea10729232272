"""What stops a renewal of the ring before anything is taken away; the rest is in `tests/faults/test_renewal.py`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from privacy.vault import renewal, ring
from privacy.vault.keystore import identity, keys
from privacy.vault.renewal import Need, RenewalRefused
from tests import factories
from tests.privacy.vault.models import Person
from tests.shapes import shaped

NOW, DAY = factories.NOW, timedelta(days=1)


def test_no_ring_is_renewed_that_does_not_belong_here(tmp_path: Path, settings: Any) -> None:
    settings.KEY_RING_FILE = settings.KEY_RING = ""
    with pytest.raises(RenewalRefused, match="There is no key ring"):
        renewal.renew(
            file=tmp_path / "ring.json", copy=tmp_path / "copy.json", backup=["false"], now=factories.NOW, settle=0
        )
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_ring_and_one_that_gives_back_another_are_refused(tmp_path: Path) -> None:
    one, other = ring.new(), ring.new()
    (tmp_path / "full").write_text("a file where a folder should be")
    with pytest.raises(RenewalRefused, match=r"cannot be written to .*full/ring\.json: "):
        renewal._put(one, tmp_path / "full" / "ring.json")

    renewal._put(one, tmp_path / "ring.json", tmp_path / "copy.json")
    renewal._same(one, tmp_path / "ring.json", tmp_path / "copy.json")
    renewal._put(other, tmp_path / "copy.json")
    with pytest.raises(RenewalRefused, match=r"copy\.json is not what was read back"):
        renewal._same(one, tmp_path / "ring.json", tmp_path / "copy.json")


def test_it_is_due_a_week_after_the_last_and_only_after_a_destruction() -> None:
    assert not Need(None, None).is_due(NOW)
    assert Need(NOW - DAY, None).is_due(NOW)
    assert not Need(NOW - DAY, NOW - 6 * DAY).is_due(NOW)
    assert Need(NOW - 7 * DAY + timedelta(minutes=1), NOW - 7 * DAY).is_due(NOW), "never later than a week after"
    assert not Need(None, NOW - 700 * DAY).is_due(NOW)
    assert Need(None, NOW, half_done=True).is_due(NOW)


@pytest.fixture
def places(tmp_path: Path, settings: Any) -> Iterator[tuple[Path, Path]]:
    """The ring's file and the place of its copy, on another disk."""
    file = tmp_path / "ring.json"
    ring.write(file, ring.parse(settings.KEY_RING))
    settings.KEY_RING_FILE = str(file)
    assert identity.verify() == []  # binds both databases to the ring, as a first start does
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        settings.KEY_RING_COPY = str(Path(elsewhere) / "ring.json")
        yield file, Path(settings.KEY_RING_COPY)


def said(*words: str) -> str:
    call_command("renew_ring", *words, stdout=(out := StringIO()))
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_says_whether_it_is_due_and_what_is_to_be_set_first(
    places: tuple[Path, Path], alice: Person, settings: Any
) -> None:
    now = timezone.now()
    assert said("--if-due") == "due: False\nwaiting since: None\nrenewed at: None\n"
    keys.destroy([(alice.pk, "note")], now=now)
    due = shaped("renew_ring", json.loads(said("--dry-run", "--json")))
    assert due["due"] is True and due["waiting_since"]
    identity.note_renewed(now + timedelta(seconds=1))
    assert said("--if-due").startswith("due: False\nwaiting since: None\n")
    settings.KEY_RING_COPY = ""
    by_hand = "KEY_RING_COPY is not set: the ring is rotated by hand (docs/runbook.md).\n"
    assert said("--if-due") == by_hand and json.loads(said("--if-due", "--json"))["by_hand"] is True
    with pytest.raises(CommandError, match="Set KEY_RING_FILE and KEY_RING_COPY first") as refused:
        said()
    assert refused.value.returncode == 2
    assert ring.read(places[0]).versions == (1,), "nothing was begun"


@pytest.mark.django_db
def test_nothing_is_begun_where_the_copy_would_be_lost_with_the_ring_or_take_the_place_of_something_else(
    places: tuple[Path, Path], settings: Any
) -> None:
    file, copy = places
    before = file.read_bytes()
    for content, sentence in (
        (b"a letter", "is not taken for a copy of the ring"),
        (ring.new().as_json().encode(), "belongs to another installation"),
    ):
        copy.write_bytes(content)
        copy.chmod(0o600)
        with pytest.raises(CommandError, match=sentence) as refused:
            said()
        assert refused.value.returncode == 3 and copy.read_bytes() == content
    for place, sentence in ((file.with_name("copy.json"), "on the same disk"), (copy.parent / "no" / "c", "not there")):
        settings.KEY_RING_COPY = str(place)
        with pytest.raises(CommandError, match=sentence):
            said()
        assert not place.exists()
    file.write_bytes(b"{}")
    with pytest.raises(CommandError) as broken:
        said()
    assert broken.value.returncode == 1
    file.write_bytes(before)
    settings.KEY_RING_COPY = str(copy)
    with pytest.raises(CommandError, match="The key store failed") as failed, transaction.atomic(using="keystore"):
        connections["keystore"].cursor().execute("ALTER TABLE vault_keystoreidentity RENAME TO elsewhere")
        said("--if-due")
    assert failed.value.returncode == 1 and file.read_bytes() == before


def test_a_backup_that_did_not_start_failed_or_names_no_file_is_refused(tmp_path: Path) -> None:
    dump = tmp_path / "keystore.dump"
    for command, sentence in (
        ([str(tmp_path / "none")], "did not start: No such file"),
        (["false"], r"failed \(exit code 1\)"),
        (["true"], r"failed \(exit code 0\)"),
        (["echo", str(dump)], r"failed \(exit code 0\)"),
    ):
        with pytest.raises(RenewalRefused, match=sentence):
            renewal._back_up(command)
    dump.touch()
    assert renewal._back_up(["echo", "Written:", str(dump)]) == dump
