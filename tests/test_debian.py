"""Whatever speaks SQL of its own is tried on Debian's servers too, by a test that stands in the list."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.debian import ROOT, SQL, WHY, is_chosen

OWN_SQL = re.compile(r"\bcursor\.execute(?:many)?\(|\.cursor\(\)|\bRawSQL\(|\.raw\(")
APPS = ("privacy", "accounts", "orders", "rma", "ilt_site")


@cache
def speakers() -> set[str]:
    """Return every module with SQL of its own but migrations, which make the tables of every test, and the launcher."""
    found = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        if not {"migrations", "launcher"} & set(path.parts) and OWN_SQL.search(path.read_text()):
            found.add(str(path.relative_to(ROOT)))
    return found


def apart(name: str) -> tuple[Path, str]:
    """Return the file and the test that a name of the list means."""
    file, _, test = name.partition("::")
    return ROOT / file, test


def test_each_module_with_sql_of_its_own_has_a_test_that_runs_there() -> None:
    without = {name for name in speakers() if not {name, *map(str, Path(name).parents)} & set(SQL)}
    assert without == set(), "name them in tests/debian.py with the test that carries their SQL out"


def test_the_list_names_nothing_that_has_gone() -> None:
    for name in {*WHY, *SQL, *SQL.values()}:
        file, test = apart(name)
        assert file.exists() and (not test or f"\ndef {test}(" in file.read_text()), name
    silent = [name for name in SQL if not any(one == name or one.startswith(f"{name}/") for one in speakers())]
    assert silent == []
    assert {name for name in SQL.values() if not is_chosen(*apart(name))} == set()


@pytest.mark.parametrize("name", ["tests/privacy/vault/keystore/test_keys.py", "tests/privacy/audit/test_audit.py"])
def test_a_file_of_the_list_and_of_a_folder_in_it_is_chosen(name: str) -> None:
    assert is_chosen(ROOT / name) and not is_chosen(ROOT / "tests/privacy/views/test_views.py")


def test_of_a_file_in_which_few_tests_ask_the_server_just_these_are_chosen() -> None:
    named = [apart(name) for name in WHY if "::" in name]
    assert named and not any(is_chosen(file) for file, _ in named), "the whole file is chosen, and a test of it too"
    assert all(is_chosen(file, test) and not is_chosen(file, f"{test}_not") for file, test in named)
