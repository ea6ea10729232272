"""Every lock installs on every Python that is promised, not only on the one it was compiled with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
BENCH = [
    line.partition("#")[0]
    for line in (ROOT / "requirements" / "bench.in").read_text().splitlines()
    if line.partition("#")[0].strip()
]
LOCKS = {
    "runtime": PROJECT["dependencies"],
    "demo": PROJECT["dependencies"] + EXTRAS["embedded"],
    "test": PROJECT["dependencies"] + EXTRAS["embedded"] + EXTRAS["test"],
    "bench": PROJECT["dependencies"] + EXTRAS["embedded"] + BENCH,
}
PYTHONS = ("3.11.0", "3.11.1", "3.11.2", "3.11.3", "3.12.0", "3.13.5", "3.14.0")


def pinned(lock: str) -> list[Requirement]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return [Requirement(line.removesuffix("\\")) for line in re.findall(r"^[a-z0-9].*==.*$", text, re.M)]


def environment(python: str) -> dict[str, str]:
    series = ".".join(python.split(".")[:2])
    return {**default_environment(), "python_version": series, "python_full_version": python, "extra": ""}


@cache
def requires(name: str) -> tuple[str, ...]:
    """Return what a package asks for; nothing for one that this Python does not need, and so has not installed."""
    try:
        return tuple(metadata.requires(name) or ())
    except metadata.PackageNotFoundError:
        return ()


def missing(wanted: list[str], locked: list[Requirement], python: str) -> set[str]:
    """Return the requirements, followed to the end, that the lock does not install on that Python."""
    here = environment(python)
    have = {canonicalize_name(one.name): one for one in locked if not one.marker or one.marker.evaluate(here)}
    waiting = [(Requirement(one), "") for one in wanted]
    seen, lacking = set(), set()
    while waiting:
        asked, extra = waiting.pop()
        if asked.marker and not asked.marker.evaluate({**here, "extra": extra}):
            continue
        name = canonicalize_name(asked.name)
        version = next(iter(have[name].specifier)).version if name in have else None
        if version is None or not asked.specifier.contains(version, prereleases=True):
            lacking.add(str(asked))
            continue
        for one in ("", *asked.extras):
            if (name, one) not in seen:
                seen.add((name, one))
                waiting += [(Requirement(line), one) for line in requires(name)]
    return lacking


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_its_packages_ask_for_on_this_python(lock: str, python: str) -> None:
    assert missing(LOCKS[lock], pinned(lock), python) == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_below_3_11_3_redis_gets_the_package_that_it_wants_only_there(lock: str) -> None:
    (one,) = (pin for pin in pinned(lock) if pin.name == "async-timeout")
    assert one.marker is not None
    assert [one.marker.evaluate(environment(python)) for python in PYTHONS] == [True] * 3 + [False] * 4


def test_a_lock_without_it_would_be_noticed() -> None:
    locked = [pin for pin in pinned("runtime") if pin.name != "async-timeout"]
    lacking = missing(LOCKS["runtime"], locked, "3.11.2")
    assert {Requirement(one).name for one in lacking} == {"async-timeout"}
    assert missing(LOCKS["runtime"], locked, "3.11.3") == set()


@pytest.mark.parametrize("lock", [*LOCKS, "bench-beside", "next"])
def test_every_pin_of_a_lock_has_its_hash(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pins = re.split(r"^(?=[a-z0-9].*==)", text, flags=re.M)[1:]
    assert pins and all(re.search(r"--hash=sha256:[0-9a-f]{64}", pin) for pin in pins)


# --- What the product is made of -----------------------------------------------------------------------------------


def test_the_bill_of_materials_and_the_notices_are_what_the_locks_say() -> None:
    command = [sys.executable, str(ROOT / "requirements" / "bill.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_bill_names_every_package_of_production_and_of_the_demo_and_no_other() -> None:
    bill = json.loads((ROOT / "requirements" / "sbom.cdx.json").read_text())
    linux = [pin for pin in pinned("demo") if "win32" not in str(pin.marker)]
    production = {pin.name for pin in pinned("runtime")}
    wanted = {(pin.name, str(pin.specifier)[2:], "required" if pin.name in production else "excluded") for pin in linux}
    found = {(one["name"], one["version"], one["scope"]) for one in bill["components"]}
    assert found - wanted == {("bootstrap", "5.3.9", "required")}
    assert wanted - found == set()
    assert bill["metadata"]["component"]["version"] == PROJECT["version"]
    refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in bill["dependencies"]} <= refs
    assert {on for one in bill["dependencies"] for on in one["dependsOn"]} == refs - {
        bill["metadata"]["component"]["bom-ref"]
    }


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [((3, 10, 9), False), ((3, 11, 0), True), ((3, 11, 2), True), ((3, 14, 3), True), ((3, 15, 0), False)],
)
def test_run_takes_the_pythons_for_which_everything_has_a_wheel(
    version: tuple[int, int, int], is_taken: bool, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2"\n'
    )
    python.chmod(0o755)
    shell = f'. {ROOT}/ilt_site/launcher/environment.sh; suitable "{python}"'
    assert (subprocess.run(["sh", "-c", shell], check=False).returncode == 0) == is_taken


@pytest.mark.parametrize(
    ("the_systems", "taken"),
    [
        ("exit 0", "system"),  # right, and it can make environments
        ('case "$*" in *ensurepip*) exit 1; esac', "path"),  # Debian without python3-venv
        ('case "$*" in *version_info*) exit 1; esac', "path"),  # too old
        (None, "path"),
    ],
)
def test_the_systems_own_python_is_taken_first_where_it_can_make_environments(
    the_systems: str | None, taken: str, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name, does in (("system", the_systems), ("bin/python3", "exit 0")):
        if does:
            (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
            (tmp_path / name).chmod(0o755)
    shell = f". {ROOT}/ilt_site/launcher/environment.sh; SYSTEM_PYTHON={tmp_path}/system; PATH={tmp_path}/bin:$PATH find_python"
    found = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(tmp_path / {"system": "system", "path": "bin/python3"}[taken])


def test_the_changelog_begins_with_this_version() -> None:
    first = re.search(r"^## .*", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first and PROJECT["version"] in first[0]
