"""What is named as a file is a file: no command waits for a pipe, and none reads a device until it is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import override_settings

from accounts import csvfile
from ilt_site import startup
from privacy.audit import AUDIT, seals
from privacy.files import regular
from privacy.restore import signed_file
from privacy.retention import rules
from privacy.vault import ring, stream


@pytest.fixture(params=["pipe", "zeros", "folder", "link to a pipe"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A name that can be opened and is no file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    (tmp_path / "link").symlink_to(pipe)
    return {"pipe": pipe, "zeros": Path("/dev/zero"), "folder": tmp_path, "link to a pipe": tmp_path / "link"}[
        request.param
    ]


def test_what_is_no_file_is_refused_at_once(place: Path) -> None:
    for opened in (regular.opened, regular.opened_bytes):
        with pytest.raises(regular.NotRegular, match="it is not a regular file"):
            opened(place)
    for read in (stream.read, stream.look):
        with pytest.raises(regular.NotRegular):
            list(read(place, uuid4()) or ())


def test_a_file_is_read_also_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Zoë\r\n", newline="")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert regular.text(tmp_path / "link") == "Zoë\n"


def test_an_import_says_so_in_one_sentence(place: Path) -> None:
    with pytest.raises(csvfile.Problem, match="It is not a regular file: write what a pipe or a device gives into one"):
        list(csvfile.read(place, ["number"]))


def test_the_ring_is_refused(place: Path) -> None:
    with pytest.raises(ring.RingRefused, match="The key ring file cannot be read"):
        ring.read(place)


def test_the_start_is_refused(place: Path) -> None:
    with override_settings(KEY_RING_FILE=str(place)):
        (found,) = startup._key_ring()
    assert found.msg == f"The key ring {place} cannot be read (it is not a regular file)."


@pytest.mark.django_db
def test_neither_log_nor_ledger_waits_for_a_pipe(tmp_path: Path, settings: Any) -> None:
    settings.CHECKPOINT_DIR = str(tmp_path)
    for path in (seals.file(AUDIT), signed_file.path()):
        os.mkfifo(path, 0o600)
        with pytest.raises(regular.NotRegular):
            regular.descriptor(path, os.O_RDWR | os.O_CREAT)
    assert seals.checkpoints() == [None], "a line that nobody can read"
    for act in (signed_file.last, lambda: list(signed_file.read()), lambda: signed_file.append([], goes_on_from=bool)):
        with pytest.raises(signed_file.FileUnreadable):
            act()


def test_the_schedule_is_refused(place: Path) -> None:
    with pytest.raises(rules.ScheduleError, match="cannot be read: NotRegular"):
        rules.load(place)


def test_the_data_map_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        call_command("data_map", "--check", "--out", str(place))
    assert capsys.readouterr().err == "The file cannot be read or written: it is not a regular file.\n"
