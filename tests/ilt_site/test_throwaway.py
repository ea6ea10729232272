"""`./test`: which tests its words mean, and what it says to words that mean nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ilt_site.launcher import Problem, throwaway
from tests.running import ROOT, environment, processes_of, wait_for

CORES = min(os.cpu_count() or 1, 4)


def in_processes(number: int) -> list[str]:
    return ["-q", "-n", str(number), "--dist", "loadfile", "--no-loadscope-reorder"]


def test_the_usual_run_has_all_that_neither_kills_nor_needs_a_browser_nor_measures() -> None:
    assert throwaway.passes([]) == [[*in_processes(CORES), "-m", "not (fault or browser or figure)"]]


def test_all_of_them_are_every_test_in_twice_as_many_since_some_wait_as_often_as_they_work() -> None:
    assert throwaway.passes(["--all"]) == [[*in_processes(2 * CORES), *throwaway.SLOWEST]]


def test_whatever_else_is_pytests() -> None:
    assert throwaway.passes(["-q", "tests/orders"]) == [["-q", "tests/orders"]]


def test_the_report_runs_what_measures_and_takes_no_other_argument() -> None:
    assert throwaway.passes(["--report"]) == [["-q", "-m", "figure and not fault"], ["-q", "-m", "fault"]]
    assert throwaway.passes(["--report", "--usual"]) == throwaway.passes(["--report"])
    with pytest.raises(Problem, match="--usual"):
        throwaway.passes(["--report", "tests/faults"])


@pytest.mark.parametrize("words", [["--all", "tests/orders"], ["-q", "--all"], ["--report", "-q"]])
def test_what_means_nothing_is_told_in_one_sentence(words: list[str]) -> None:
    done = subprocess.run([ROOT / "test", *words], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"test: [^\n]+\.\n", done.stderr)


def test_the_help_is_that_of_test() -> None:
    done = subprocess.run([ROOT / "test", "--help"], env=environment(), capture_output=True, text=True, check=True)
    assert "./test --all" in done.stdout and "./test --report" in done.stdout


def test_throw_away_servers_leave_nothing_when_killed() -> None:
    code = (
        "import time; from ilt_site.launcher import throwaway\n"
        "with throwaway.servers() as made: print(made.folder, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.is_dir()
    process.kill()
    process.wait()
    assert wait_for(lambda: not folder.exists() and not processes_of(folder), 15)
