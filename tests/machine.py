"""What some tests need of the machine besides Python: a test skips without it, and the end of
`./test` says what installs it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from ilt_site.launcher import Problem, binaries

LACKS = "this machine lacks "
#: What a test asks for: the program's names, and the Debian package that brings it.
PROGRAMS = {
    "Chromium": (("chromium", "chromium-browser"), "chromium"),
    "curl": (("curl",), "curl"),
    "Java": (("java",), "default-jre-headless"),
    "nginx": (("nginx",), "nginx-light"),
    "openssl": (("openssl",), "openssl"),
    "systemd-analyze": (("systemd-analyze",), "systemd"),
}
SERVERS = "PostgreSQL and Redis of Debian"
CHECKER = "the Nu HTML checker"
ROOT = "root's rights"
PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # Debian keeps nginx where an ordinary user does not look


def program(name: str) -> str | None:
    """Return the path of a program of PROGRAMS, or None."""
    return next((path for one in PROGRAMS[name][0] if (path := shutil.which(one, path=PATHS))), None)


def needed(name: str) -> str:
    """Return the path of a program of PROGRAMS; skips the test without it."""
    path = program(name)
    if path is None:
        lack(name)
    return str(path)


def debian() -> None:
    """Skip the test where Debian's PostgreSQL and Redis are not installed."""
    try:
        binaries.debian()
    except Problem:
        lack(SERVERS)


def lack(name: str) -> None:
    """Skip the test because of what is not here."""
    pytest.skip(LACKS + name)


def lacking(reasons: Iterable[str]) -> Counter[str]:
    """Return how many tests were skipped for want of each thing, and for each other reason."""
    return Counter(reason.removeprefix("Skipped: ").removeprefix(LACKS) for reason in reasons)


def sentences(lacked: Counter[str]) -> list[str]:
    """Return what to tell at the end of a run: what was lacking, and what brings it."""
    told, packages = [], []
    for name, count in sorted(lacked.items()):
        told.append(f"{count} {'test was' if count == 1 else 'tests were'} skipped: {name}")
        if name in PROGRAMS:
            packages.append(PROGRAMS[name][1])
        elif name == SERVERS:
            packages += ["postgresql", "redis-server"]
        elif name == CHECKER:
            told[-1] += " (`.ci/run` fetches it)"
        elif name == ROOT:
            told[-1] += " (run ./test as root)"
    if told:
        told.insert(0, "This machine lacks something; everything else was tested.")
    if packages:
        told.append(f"Debian's packages bring it: apt-get install {' '.join(sorted(packages))}")
    return told


def note(lacked: Counter[str]) -> list[str]:
    """Leave the counts to `./test`, which runs pytest more than once; without it return what to tell now."""
    folder = os.environ.get("ILT_TEST_FOLDER")
    if not folder:
        return sentences(lacked)
    if lacked:
        with Path(folder, "lacking").open("a") as file:
            file.write(json.dumps(lacked) + "\n")
    return []


if __name__ == "__main__":  # ./test, after its last run of pytest
    whole: Counter[str] = Counter()
    for line in Path(sys.argv[1]).read_text().splitlines():
        whole += Counter(json.loads(line))
    print("\n".join(sentences(whole)))
