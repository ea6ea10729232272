"""Every lock installs on every Python that is promised, not only on the one it was compiled with."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("lock", [*LOCKS, "bench-beside"])
def test_every_pin_of_a_lock_has_its_hash(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pins = re.split(r"^(?=[a-z0-9].*==)", text, flags=re.M)[1:]
    assert pins and all(re.search(r"--hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
