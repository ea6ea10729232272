"""What is named as a file is a file: no command waits for a pipe, and none reads a device until it is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from accounts import csvfile
from ilt_site import startup
from privacy.files import regular
from privacy.retention import rules
from privacy.vault import ring


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
    with pytest.raises(regular.NotRegular, match="it is not a regular file"):
        regular.opened(place)


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


def test_the_schedule_is_refused(place: Path) -> None:
    with pytest.raises(rules.ScheduleError, match="cannot be read: NotRegular"):
        rules.load(place)


def test_the_data_map_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        call_command("data_map", "--check", "--out", str(place))
    assert capsys.readouterr().err == "The file cannot be read or written: it is not a regular file.\n"
