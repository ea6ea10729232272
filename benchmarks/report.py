"""docs/benchmarks.md: the sections between their markers, and the table of goals kept row by row."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Goal, Table

GOALS = "goals"
#: Said where more was running than the machine has cores.
BUSY = "The machine was busy with other work: times are several times those of a quiet one, ratios hold roughly."
OPENING = """# Benchmarks

```
benchmarks/run                     # everything; the tables below are written by it
benchmarks/run rows lookup         # these sections only
benchmarks/run --rounds 3 rows     # fewer rounds, to look around
```

`benchmarks/run` needs what `./test` needs. It makes the environment `bench` (`requirements/bench.txt`, the product with
four libraries to compare), starts a PostgreSQL and a Valkey of its own, with fsync as in use, and gives every section
fresh databases and a process of its own. Nothing here is part of the tests: no test asks how fast something was.

How to read it: candidates of one table run in turns, so that a slow moment of the machine falls on all of them. A ratio
is the median over the rounds of one candidate's time divided by the base's *in the same round*; trust the ratios.
Times in seconds are medians of the same rounds and hold for the machine named under the section.

## Goals

"""


def page(text: str) -> str:
    """Return the document with its opening brought up to date, before whatever sections it has."""
    start = text.find(f"<!-- {GOALS} -->")
    return OPENING + (text[start:] if start >= 0 else f"{_between(GOALS, goals_table({}))}\n")


def replaced(text: str, name: str, content: str) -> str:
    """Return the document with one section's content replaced, or added at the end. Twice is once."""
    section = _between(name, content)
    pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: section, text)
    return f"{text.rstrip()}\n\n{section}\n"


def _between(name: str, content: str) -> str:
    return f"<!-- {name} -->\n\n{content.strip()}\n\n<!-- /{name} -->"


def section(heading: str, tables: Sequence[Table], conditions: str) -> str:
    """Return one section as Markdown."""
    return "\n\n".join([f"## {heading}", *[markdown(table) for table in tables], f"*{conditions}*"])


def markdown(table: Table) -> str:
    """Return one table with its title and notes as Markdown."""
    lines = [f"### {table.title}", "", _row(table.columns), _row(["---", *["---:"] * (len(table.columns) - 1)])]
    lines += [_row(row) for row in table.rows]
    notes = [*table.notes, *([f"{table.rounds} rounds."] if table.rounds else [])]
    if notes:
        lines += ["", " ".join(notes)]
    return "\n".join(lines)


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '∣') for cell in cells)} |"


def with_goals(text: str, goals: Iterable[Goal]) -> str:
    """Return the document with these goals' rows replaced or added; the others stay."""
    found = re.search(rf"<!-- {GOALS} -->\n(.*?)<!-- /{GOALS} -->", text, re.DOTALL)
    rows = {}
    for line in found[1].splitlines()[3:] if found else ():
        if line.startswith("| "):
            rows[line.split(" | ")[0][2:]] = line
    for goal in goals:
        verdict = "met" if goal.is_met else "**missed**"
        rows[goal.name] = _row([goal.name, goal.text, goal.shown, verdict, "" if goal.is_met else goal.why])
    return replaced(text, GOALS, goals_table(rows))


def goals_table(rows: dict[str, str]) -> str:
    """Return the table of goals, in the order of their names (G2 before G10)."""

    def place(name: str) -> list[tuple[int, str]]:
        return [(int(digits or 0), letters) for letters, digits in re.findall(r"(\D+)(\d*)", name)]

    head = [_row(["", "goal", "measured", "", "why it is missed"]), _row(["---"] * 5)]
    return "\n".join([*head, *[rows[name] for name in sorted(rows, key=place)]])


def machine() -> str:
    """Describe the machine, without its name or any path."""
    model = platform.processor() or platform.machine()
    memory = 0.0
    for file, key in (("/proc/cpuinfo", "model name"), ("/proc/meminfo", "MemTotal")):
        for line in Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else ():
            if line.startswith(key):
                value = line.split(":", 1)[1].strip()
                if key == "MemTotal":
                    memory = int(value.split()[0]) / 2**20
                else:
                    model = value
                break
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def versions() -> str:
    """Name the versions that the figures hold for. Needs Django's settings and a running database."""
    import cryptography
    import django
    from cryptography.hazmat.backends.openssl import backend
    from django.db import connection

    connection.ensure_connection()
    number = connection.pg_version
    return (
        f"Python {platform.python_version()}, Django {django.__version__}, PostgreSQL {number // 10000}.{number % 10000}, "
        f"cryptography {cryptography.__version__}, {backend.openssl_version_text().rsplit(' ', 3)[0]}"
    )


def conditions(load: float, versions: str) -> str:
    """Return the line under a section: when, on what, under which load."""
    today = datetime.now(UTC).date().isoformat()
    busy = f" {BUSY}" if load > (os.cpu_count() or 1) else ""
    return f"{today}; {machine()}; {versions}; load average at the start {load:.1f}.{busy}"
