"""The house rules hold, and breaking one stops `./test` itself (shown in a copy of the project)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.imports import circles, imports, modules

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("ilt_site", "accounts", "privacy", "orders", "rma", "templates", "static", "tests")
FILES = ("manage.py", "pyproject.toml")
LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [str(LINT), "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_imports_point_right_only() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


#: Django asks for these: what an app does when all models are loaded stands in `ready`.
MAY_IMPORT_LATE = {"privacy.apps", "privacy.vault.apps"}


def test_imports_of_privacy_stand_at_the_top() -> None:
    late = [one for one in imports(modules(ROOT, "privacy")) if one.is_late and one.by not in MAY_IMPORT_LATE]
    assert not late, "An import inside a function: " + ", ".join(f"{one.by}:{one.line} of {one.of}" for one in late)


def test_imports_of_privacy_go_in_no_circle() -> None:
    known = modules(ROOT, "privacy")
    assert len(known) > 200, "the walk sees the rooms"
    groups = circles(list(imports(known)))
    assert not groups, "A circle of imports: " + "; ".join(" - ".join(group) for group in groups)


def test_the_list_at_the_head_of_the_vault_is_the_order_of_its_imports() -> None:
    source = (ROOT / "privacy" / "vault" / "__init__.py").read_text()
    listed = re.findall(r"^ {4,8}(\w+(?:, \w+)*) {2,}\S.*", source.split('"""')[1], re.M)
    place = {name: number for number, names in enumerate(listed) for name in names.split(", ")}
    place["lookalikes"] = place["index"]
    assert len(place) > 35 and "sealed" in place, "the list is read"
    known = modules(ROOT, "privacy")
    in_vault = {name for name in known if re.fullmatch(r"privacy\.vault\.(?:keystore\.)?[a-z_]+", name)}
    unlisted = {"apps", "checks", "keystore", "management", "migrations", "models", "personal_data"}
    assert {name.rpartition(".")[2] for name in in_vault} - unlisted == set(place)
    wrong = []
    for one in imports(known):
        by, of = one.by.rpartition(".")[2], one.of.rpartition(".")[2]
        if one.by in in_vault and one.of in in_vault and by in place and of in place and place[of] < place[by]:
            wrong.append(f"{one.by}:{one.line} of {one.of}")
    assert not wrong, "An import of what stands above: " + ", ".join(wrong)


def test_the_head_of_each_room_names_all_its_files() -> None:
    """Which file does what is read there first; the vault's head is a list in order, held above."""
    rooms = [one.parent for one in (ROOT / "privacy").glob("*/__init__.py")] + [
        ROOT / "accounts",
        ROOT / "accounts/admin",
    ]
    told_by_django = {"apps", "tasks", "urls"}
    unnamed, seen = [], 0
    for room in rooms:
        if room.name in {"vault", "migrations", "management", "templatetags"}:
            continue
        head = (ROOT / room / "__init__.py").read_text().split('"""')[1]
        names = {one.stem for one in room.glob("*.py")} - {"__init__"} - told_by_django
        seen += len(names)
        unnamed += [f"{room.relative_to(ROOT)}: {one}" for one in sorted(names) if not re.search(rf"\b{one}\b", head)]
    assert seen > 180, "the walk sees the rooms"
    assert unnamed == []


def test_no_test_imports_a_conftest() -> None:
    """What several files need stands in a module; fixtures for all in tests/people.py."""
    importing = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*conftest\b", re.M)
    found = [path for path in (ROOT / "tests").rglob("*.py") if importing.search(path.read_text())]
    assert [str(path.relative_to(ROOT)) for path in found] == []


# --- Breaking a rule ---------------------------------------------------------------------------------------------


def append(path: str, text: str) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        with (copy / path).open("a") as file:
            file.write(text)

    return change


def replace(path: str, old: str, new: str, then: Callable[[Path], None] | None = None) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        file = copy / path
        text = file.read_text()
        assert text.count(old) == 1, path
        file.write_text(text.replace(old, new))
        if then:
            then(copy)

    return change


def all_of(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        for one in changes:
            one(copy)

    return change


SKU = '    sku = LineField("SKU", max_length=40, unique=True, validators=[no_card_for_product])\n'
OWNER = SKU + '    owner_name = models.CharField(max_length=40, default="")\n'
MAKER = OWNER + '    maker_name = models.CharField(max_length=40, default="")\n'
DECLARED = 'model=Product,\n        title="Product",\n'
DATUM = DECLARED + '        data={"owner_name": Datum("Owner", "name", ("orders",), "the person")},\n'

BREACHES = {
    # Each is told, whatever else is wrong: two in one copy, five in the other.
    "an undeclared field, and a personal field that is not sealed": (
        replace("orders/models.py", SKU, MAKER, replace("orders/personal_data.py", DECLARED, DATUM)),
        [
            "(privacy.E002) orders.Product.maker_name is not in the data map",
            "(privacy.E004) orders.Product.owner_name is personal and not sealed",
        ],
    ),
    "imports upwards, from a room above, of a room that no layer names, late, and in a circle": (
        all_of(
            append("privacy/subjects.py", "\n\ndef up() -> None:\n    import rma.states\n"),
            append("privacy/audit/chains.py", "\n\nimport privacy.requests.clock\nfrom privacy.audit import seals\n"),
            append("privacy/cellar.py", '"""A module beside the rooms."""\n'),
            append("privacy/requests/clock.py", "\n\ndef late() -> None:\n    from privacy import audit\n"),
        ),
        [
            "privacy.subjects -> rma.states",
            "privacy.audit.chains -> privacy.requests.clock",
            "privacy.cellar",
            "An import inside a function: privacy.requests.clock",
            "A circle of imports: ",
        ],
    ),
}


def run_in(copy: Path) -> subprocess.CompletedProcess[str]:
    """Run one test of this file in a copy of the project, as `./test` does."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", "imports_", "tests/test_house.py"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the tests run: the control of each breach."""
    copy = tmp_path_factory.mktemp("house") / "sound"
    for part in FOLDERS:
        shutil.copytree(ROOT / part, copy / part)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    done = run_in(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_the_house_rules_stops_the_tests(breach: str, sound: Path, tmp_path: Path) -> None:
    change, said = BREACHES[breach]
    copy = shutil.copytree(sound, tmp_path / "copy")
    change(copy)
    done = run_in(copy)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert [one for one in said if one not in told] == [], told
