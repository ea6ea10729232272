"""What a machine lacks is said once, with what brings it, and everything else is green; in CI a skip is a failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import machine

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    ".git",
    ".venv",
    ".local",
    "__pycache__",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    "node_modules",
}


def test_it_names_each_thing_its_tests_and_one_command_that_brings_all() -> None:
    assert machine.sentences(Counter({"nginx": 1, machine.SERVERS: 2, machine.CHECKER: 40, machine.ROOT: 1})) == [
        "This machine lacks something; everything else was tested.",
        f"2 tests were skipped: {machine.SERVERS}",
        "1 test was skipped: nginx",
        "1 test was skipped: root's rights (run ./test as root)",
        "40 tests were skipped: the Nu HTML checker (`.ci/run` fetches it)",
        "Debian's packages bring it: apt-get install nginx-light postgresql redis-server",
    ]


def test_a_machine_with_everything_hears_nothing() -> None:
    assert machine.sentences(machine.lacking([])) == []


def run_of(tmp_path: Path, **more: str) -> tuple[int, str]:
    """Run two tests, of which one needs what no machine has, as `./test` does, and return exit code and output."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish, pytest_terminal_summary\n")
    (tmp_path / "test_two.py").write_text(
        "from tests import machine\ndef test_without(): machine.lack('nginx')\ndef test_with(): pass\n"
    )
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "ILT_TEST_FOLDER")}
    done = subprocess.run(
        [*command, "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(tmp_path / "test_two.py")],
        cwd=ROOT, env={**env, **more}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_run_without_it_is_green_and_says_so_at_the_end(tmp_path: Path) -> None:
    code, said = run_of(tmp_path)
    assert code == 0, said
    assert said.count("1 test was skipped: nginx") == 1
    assert said.count("apt-get install nginx-light") == 1


def test_in_ci_it_is_a_failure_and_several_runs_of_one_test_command_are_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    folder.mkdir()
    for more, expected in (({}, 0), ({"CI": "true"}, 1)):
        code, said = run_of(tmp_path, ILT_TEST_FOLDER=str(folder), **more)
        assert (code, "apt-get" in said) == (expected, False), said
    command = [sys.executable, "-P", "-m", "tests.machine", str(folder / "lacking")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "2 tests were skipped: nginx" in done.stdout


@pytest.mark.parametrize(
    "package", sorted({one[1] for one in machine.PROGRAMS.values()} | {"postgresql", "redis-server"})
)
def test_ci_installs_all_of_it(package: str) -> None:
    assert re.search(rf"wanted\+=\({package}\)", (ROOT / ".ci" / "run").read_text())


def test_no_test_looks_beside_the_clone() -> None:
    """A stranger has the clone and nothing beside it."""
    outside = re.compile(r"""\.\./shared|["']shared["']|\bshared/data""")
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [one for one in folders if one not in ELSEWHERE]
        paths = [Path(folder, name) for name in names if name != Path(__file__).name]
        found += [path for path in paths if outside.search(path.read_text(errors="replace"))]
    assert found == []
