"""docs/asvs.md names for each requirement the tests that show it; each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "asvs.md"
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
WITHOUT = re.compile(r"none yet(: .+)?|not applicable: .+")


def rows() -> list[tuple[str, str]]:
    return ROW.findall(DOCUMENT.read_text())


def test_every_named_test_exists() -> None:
    for requirement, shown in rows():
        named = NAMED.findall(shown)
        assert named or WITHOUT.fullmatch(shown), requirement
        for path, name in named:
            assert re.search(rf"^\s*def {name}\(", (TESTS / path).read_text(), re.MULTILINE), (requirement, path, name)


def test_every_requirement_stands_there_once_and_the_counts_are_right() -> None:
    found = rows()
    assert len({requirement for requirement, _ in found}) == len(found)
    assert len(found) == len(re.findall(r"^\| \d", DOCUMENT.read_text(), re.MULTILINE))
    absent = sum(shown.startswith("none yet") for _, shown in found)
    foreign = sum(shown.startswith("not applicable") for _, shown in found)
    counts = f"{len(found) - absent - foreign} of {len(found)} have a test, {foreign} are not applicable, {absent} have none yet."
    assert counts in DOCUMENT.read_text()
