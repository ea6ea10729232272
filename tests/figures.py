"""The figures that the tests of faults and bad input measure, gathered by `./test --report` into
docs/reliability.md."""

from __future__ import annotations

import json
import os
from pathlib import Path


def report(test: str, what: str, value: float | str, *, n: int, goal: str, unit: str = "") -> None:
    """Print one measured figure of a test named in docs/reliability.md (F1 …, B1 …), and keep it for the report.

    `n` is how many times the thing was tried, `goal` the words of the promise ("0", "≤ 2.5 s").
    The file named by ILT_FIGURES gets one JSON object a line; without it the figure is only printed.
    """
    row = {"test": test, "what": what, "value": value, "unit": unit, "n": n, "goal": goal}
    print(f"\n{test}: {what} = {value}{unit and ' ' + unit} (n = {n}, goal {goal})")
    if path := os.environ.get("ILT_FIGURES"):
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")


def tries(usual: int, full: int) -> int:
    """Return how often to try: `usual` in every run of the suite, `full` where ILT_FULL is set (the report)."""
    return full if os.environ.get("ILT_FULL") else usual
