"""What `./run` says to wrong words, and where nothing runs; a running site: test_running_site.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import environment, one_sentence
from tests.typist import Typist, at_work


@pytest.fixture(scope="module")
def run() -> Iterator[Typist]:
    """Somebody who types `./run`: one process, forked for each command, as test_arguments.py compares it."""
    with at_work(environment(), "run", Path("/")) as made:
        yield made


@pytest.mark.parametrize(
    "arguments",
    [["bogus"], ["manage"], ["--port", "0"], ["--port", "99999"], ["--port", "x"], ["--data"], ["stop", "x"]],
)
def test_wrong_arguments_print_the_usage_and_exit_2(run: Typist, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: run")
    assert len(done.stderr) < 2000


def test_help_names_every_command(tmp_path: Path, run: Typist) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("--data", "--port", "stop", "status", "reset", "manage"))


def test_some_of_the_three_addresses_are_refused(tmp_path: Path, run: Typist) -> None:
    said = one_sentence(run("--data", str(tmp_path / "x"), env=environment(REDIS_URL="redis://127.0.0.1:1/0")))
    assert "missing: DATABASE_URL, KEYSTORE_DATABASE_URL." in said
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_made_is_named(run: Typist) -> None:
    assert "/proc/nothing/here cannot be used" in one_sentence(run("--data", "/proc/nothing/here"))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, run: Typist) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert "holds other files" in one_sentence(run("--data", str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_nothing_running_is_no_error_to_stop_and_3_to_status(tmp_path: Path, run: Typist) -> None:
    assert run("stop", "--data", str(tmp_path)).returncode == 0
    assert run("status", "--data", str(tmp_path)).returncode == 3
    assert run("reset", "--yes", "--data", str(tmp_path)).stdout.startswith("There is nothing to reset")
