"""Importing

Two files of a thousand customers, and of their orders with lines, as `import_customers` and
`import_orders` take them in.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from accounts.imports import import_customers
from benchmarks import filling
from benchmarks.harness import Table
from orders.imports import import_orders
from privacy import gate
from privacy.gate.system import system

#: Where customers.csv, orders.csv and order_lines.csv are; without ILT_BENCH_FILES those of the tests, many times over.
GIVEN = os.environ.get("ILT_BENCH_FILES")
TESTS = Path(__file__).resolve().parents[1] / "tests" / "data"
TIMES = 28


def run() -> list[Table]:
    """Return rows per second for each file, and for taking both in once more, which changes nothing."""
    if GIVEN:
        return _measured(Path(GIVEN))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("customers.csv", "orders.csv", "order_lines.csv"):
            _multiply(TESTS / name, Path(folder) / name)
        return _measured(Path(folder))


def _multiply(source: Path, target: Path) -> None:
    """Write a file of the tests TIMES times, under other numbers and addresses each time."""
    with source.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for turn in range(TIMES):
            for row in rows:
                other = {key: f"{row[key]}-{turn}" for key in ("customer_ref", "order_number") if key in row}
                if "email" in row:
                    other["email"] = f"n{turn}.{row['email']}"
                writer.writerow(row | other)


def _measured(folder: Path) -> list[Table]:
    rows = []
    for what in ("first time", "once more, nothing new"):
        seconds, count = timed(lambda: _customers(folder))
        rows.append((f"customers.csv, {what}", f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}"))
        seconds, count = timed(lambda: _orders(folder))
        rows.append(
            (f"orders.csv with order_lines.csv, {what}", f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}")
        )
    return [
        Table(
            "The files of a sample company",
            ("file", "rows", "seconds", "rows a second"),
            rows,
            notes=(
                "A row is a line of a file; of the second both files together. Each is checked whole, compared with what is on "
                "file, sealed, indexed and recorded in the audit log, all in one transaction. A customer is a person, an "
                "address and perhaps a company; an order has two envelopes, its card a third.",
            ),
        )
    ]


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Return the seconds that `work` takes and what it returns."""
    begin = time.perf_counter()
    count = work()
    return time.perf_counter() - begin, count


def _customers(folder: Path) -> int:
    with system("import", kind="operator"):
        report = import_customers(folder / "customers.csv", actor=gate.current(), now=filling.now())
    if report.errors:
        raise RuntimeError(f"{len(report.errors)} lines are bad.")
    return report.created + report.unchanged + report.blocked


def _orders(folder: Path) -> int:
    with system("import", kind="operator"):
        report = import_orders(
            folder / "orders.csv", folder / "order_lines.csv", actor=gate.current(), now=filling.now()
        )
    if report.errors:
        raise RuntimeError(f"{len(report.errors)} lines are bad.")
    with (folder / "order_lines.csv").open(encoding="utf-8") as lines:
        return report.created + report.unchanged + report.blocked + sum(1 for _ in lines) - 1
