"""Importing

The two real files: customers, and orders with their lines, as `import_customers` and `import_orders` take them in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from accounts.imports import import_customers
from benchmarks import filling
from benchmarks.harness import Table
from orders.imports import import_orders
from privacy import gate
from privacy.gate.system import system

#: Where customers.csv, orders.csv and order_lines.csv are (ILT_BENCH_FILES), by default beside the project.
FOLDER = Path(
    os.environ.get("ILT_BENCH_FILES") or Path(__file__).resolve().parents[2] / "shared" / "data" / "adventureworks"
)


def run() -> list[Table]:
    """Return rows per second for each file, and for taking both in once more, which changes nothing."""
    if not FOLDER.is_dir():
        return [Table("The files are not here", ("file",), [], notes=("Name their folder by ILT_BENCH_FILES.",))]
    rows = []
    for what in ("first time", "once more, nothing new"):
        seconds, count = timed(_customers)
        rows.append((f"customers.csv, {what}", f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}"))
        seconds, count = timed(_orders)
        rows.append(
            (f"orders.csv with order_lines.csv, {what}", f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}")
        )
    return [
        Table(
            "The files of the sample company",
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


def _customers() -> int:
    with system("import", kind="operator"):
        report = import_customers(FOLDER / "customers.csv", actor=gate.current(), now=filling.now())
    if report.errors:
        raise RuntimeError(f"{len(report.errors)} lines are bad.")
    return report.created + report.unchanged + report.blocked


def _orders() -> int:
    with system("import", kind="operator"):
        report = import_orders(
            FOLDER / "orders.csv", FOLDER / "order_lines.csv", actor=gate.current(), now=filling.now()
        )
    if report.errors:
        raise RuntimeError(f"{len(report.errors)} lines are bad.")
    with (FOLDER / "order_lines.csv").open(encoding="utf-8") as lines:
        return report.created + report.unchanged + report.blocked + sum(1 for _ in lines) - 1
