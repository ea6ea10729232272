"""The import files of `tests/data/`, and what they say."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "data"
CUSTOMERS = FOLDER / "customers.csv"
ORDERS = FOLDER / "orders.csv"
LINES = FOLDER / "order_lines.csv"


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file by column name."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines_by_order() -> dict[str, list[dict[str, str]]]:
    """Return the order lines by order number, in the order of the file."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows(LINES):
        found[row["order_number"]].append(row)
    return found
