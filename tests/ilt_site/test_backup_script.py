"""`ilt-backup`, as an operator and as a timer call it: nothing is made where it has no business."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from privacy.retention import rules

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "deploy" / "ilt-backup"


def backup(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "BACKUP": str(folder / "backup"),
        "STATE_DIR": str(folder / "state"),
        "ILT_BACKUP_SETTINGS": "read",
        **more,
    }
    return subprocess.run(["sh", str(SCRIPT), *words], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("bogus",), ("",)])
def test_a_wrong_word_is_told_the_right_ones_and_leaves_no_folder(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = backup(tmp_path, *words)
    assert (done.returncode, done.stderr) == (2, "usage: ilt-backup main|keystore|files\n")
    assert list(tmp_path.iterdir()) == []


def test_the_backup_makes_nothing_in_the_folder_of_the_services(tmp_path: Path) -> None:
    # Typed by root before the services had signed anything, it made a folder that they could not read: the site closed.
    (tmp_path / "state").mkdir()
    done = backup(tmp_path, "files")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is signed yet" in done.stderr
    assert list((tmp_path / "state").iterdir()) == []


def test_what_is_signed_is_in_the_backup(tmp_path: Path) -> None:
    signed = tmp_path / "state" / "checkpoints"
    signed.mkdir(parents=True)
    (signed / "ledger.jsonl").write_text("{}\n")
    done = backup(tmp_path, "files")
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.strip())
    listed = subprocess.run(["tar", "-tf", str(made)], capture_output=True, text=True, check=True).stdout
    assert "checkpoints/ledger.jsonl" in listed
    assert made.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("to", ["elsewhere", "nowhere"])
def test_a_link_in_the_place_of_the_signed_files_is_no_backup(tmp_path: Path, to: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ledger.jsonl").write_text("{}\n")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checkpoints").symlink_to(tmp_path / to)
    done = backup(tmp_path, "files")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a link" in done.stderr
    assert not (tmp_path / "backup").exists()


def test_a_backup_without_any_signed_file_fails(tmp_path: Path) -> None:
    signed = tmp_path / "state" / "checkpoints"
    signed.mkdir(parents=True)
    (signed / "ledger.jsonl").symlink_to("/dev/null")
    done = backup(tmp_path, "files")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no file is in the backup" in done.stderr
    assert all(one.name.startswith(".") for one in (tmp_path / "backup" / "files").iterdir())


DAY = 24 * 60 * 60
NIGHT = 1.1  # the next backup, a day and its delay later, is what deletes one


@pytest.mark.parametrize(
    ("what", "life", "promised"),
    [("main", 30, "restore"), ("keystore", 7, "restore the keys"), ("files", 30, "restore")],
)
def test_a_backup_is_deleted_by_the_next_one_before_the_day_that_was_promised(
    tmp_path: Path, what: str, life: int, promised: str
) -> None:
    programs, kept = tmp_path / "bin", tmp_path / "backup" / what
    (tmp_path / "state" / "checkpoints").mkdir(parents=True)
    (tmp_path / "state" / "checkpoints" / "ledger.jsonl").write_text("{}\n")
    programs.mkdir()
    kept.mkdir(parents=True)
    (programs / "pg_dump").write_text(
        '#!/bin/sh\nfor word; do case $word in --file=*) echo x >"${word#--file=}" ;; esac; done\n'
    )
    (programs / "pg_restore").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    now = time.time()
    for age in (1, life - 1, life + NIGHT, 99):
        old = kept / f"{age}Z.dump"
        old.write_text("x")
        os.utime(old, (now - age * DAY, now - age * DAY))
    urls = {"DATABASE_OWNER_URL": "postgres://nowhere", "KEYSTORE_OWNER_URL": "postgres://nowhere"}
    done = backup(tmp_path, what, PATH=f"{programs}:{os.environ['PATH']}", **urls)
    assert done.returncode == 0, done.stderr
    left = {one.name for one in kept.iterdir()} - {Path(done.stdout.strip()).name}
    assert left == {"1Z.dump", f"{life - 1}Z.dump"}
    (period,) = [one.period for one in rules.load()["backup"].reasons if one.name == promised]
    assert period is not None
    assert (period.unit, period.amount >= life + 1) == ("d", True), (
        "it is gone when the promised day is over, the night of the deletion included"
    )
