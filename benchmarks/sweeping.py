"""The sweep of retention

What a night costs when one record in a hundred has outlived its reason, among 10⁴, 10⁵ and 10⁶ records.
"""

from __future__ import annotations

import os
import time
from datetime import date, timedelta

from django.db import connection, transaction

from benchmarks import filling
from benchmarks.harness import Goal, Table
from orders.personal_data import order_candidates
from privacy.gate.system import system
from privacy.sweep.arming import arm
from privacy.sweep.nightly import sweep
from privacy.sweep.report import SweepReport
from privacy.vault.envelope import VERSION

SIZES = (10_000, 100_000, 1_000_000)
FULL = "ILT_BENCH_FULL"
EACH = 4  # orders a person: then the hundredth that is due is a hundredth of the people, which is the cap of one night


def run() -> list[Table]:
    """Return seconds by number of records, and the plan of the query that finds what is due."""
    rows, costs, plan, here = [], [], "", 0
    sizes = SIZES if os.environ.get(FULL) else SIZES[:2]
    for size in sizes:
        begin = time.perf_counter()
        due = filled(size - here)
        filled_in, here = time.perf_counter() - begin, size
        plan = explained()
        with system("sweep", kind="operator"):
            begin = time.perf_counter()
            counted = sweep(dry_run=True, actor=None)
            dry = time.perf_counter() - begin
            begin = time.perf_counter()
            done = _armed()
            swept = time.perf_counter() - begin
        if counted.due != due or done.erased != due:
            raise RuntimeError(f"Of {due} due records {counted.due} were found and {done.erased} ended.")
        costs.append(swept / due)
        rows.append(
            (
                f"{size:,}",
                f"{due:,}",
                f"{finding():.3f}",
                f"{dry:.2f}",
                f"{swept:.2f}",
                f"{1000 * swept / due:.1f}",
                f"{filled_in:.0f}",
            )
        )
    return [
        Table(
            "Orders, one in a hundred of them due",
            (
                "records",
                "due",
                "finding with nothing due, seconds",
                "dry run, seconds",
                "real run, seconds",
                "of it for each due record, ms",
                "made in, seconds",
            ),
            rows,
            notes=(
                "Orders that are due are made through the vault, with all they hold. The others have the plain columns that "
                "decide, and bytes in the shape of sealed ones that nobody opens; they are copied in by one statement. "
                f"{EACH} orders a person.",
                f"10⁶ records are measured with {FULL}=1 only: making and ending them takes minutes."
                if len(sizes) < len(SIZES)
                else "",
                f"How what is due is found, among {here:,} orders:\n\n```\n{plan}\n```",
            ),
            goals=(
                Goal(
                    "S8",
                    "sweep: the cost follows what is due, not what is there: each due record costs at most twice as much "
                    "among the most records as among the fewest",
                    2.0,
                    costs[-1] / costs[0],
                    f"{costs[-1] / costs[0]:.2f} times",
                    why="What is found or ended depends on the size of the table.",
                ),
            ),
        )
    ]


def _armed() -> SweepReport:
    arm(actor=None)
    return sweep(dry_run=False, actor=None)


def filled(how_many: int) -> int:
    """Add orders of which a hundredth is due; return how many are due."""
    due = how_many // 100
    past = filling.today() - timedelta(days=9 * 366)
    for owners in filling.people(due // EACH):
        filling.orders(owners, EACH, shipped_on=past, with_payments=False)
    _copied(how_many - due, filling.today() - timedelta(days=365))
    filling.counted()
    return due


_PEOPLE = """
CREATE TEMPORARY TABLE filling ON COMMIT DROP AS
SELECT nextval('filling_number') AS n, gen_random_uuid() AS subject, gen_random_uuid() AS customer
FROM generate_series(1, %(people)s)
"""
_SUBJECTS = "INSERT INTO privacy_subject (id, created_at) SELECT subject, now() FROM filling"
_CUSTOMERS = """
INSERT INTO accounts_customer (id, reference, kind, subject_id, region, country, channel, since, last_active_on, sealed_account)
SELECT customer, 'C' || n, 'person', subject, 'MA', 'US', 'web', %(day)s, current_date, %(sealed)s FROM filling
"""
_ORDERS = """
INSERT INTO orders_order (id, number, customer_id, channel, state, placed_on, invoiced_on, paid_on, shipped_on, closed_on,
    currency, subtotal, tax, freight, total, ship_country, invoice_country, sealed_order, sealed_fulfilment)
SELECT gen_random_uuid(), 'C' || n || '-' || one, customer, 'web', 'closed', %(day)s, %(day)s, %(day)s, %(day)s, %(day)s,
    'USD', 100, 0, 0, 100, 'US', 'US', %(sealed)s, %(sealed)s
FROM filling, generate_series(1, %(each)s) AS one
"""


def _copied(how_many: int, day: date) -> None:
    """Add people and finished orders by a statement for each table: no keys, and nothing in them that opens."""
    values = {
        "people": how_many // EACH,
        "each": EACH,
        "day": day,
        "sealed": VERSION.to_bytes(1, "big") + os.urandom(255),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE IF NOT EXISTS filling_number")
        for statement in (_PEOPLE, _SUBJECTS, _CUSTOMERS, _ORDERS):
            cursor.execute(statement, values)


def finding() -> float:
    """Return the seconds of the query that finds orders, when nothing is due any more."""
    begin = time.perf_counter()
    found = order_candidates(filling.today()).values_list("pk", flat=True)[:1].count()
    if found:
        raise RuntimeError("Something is due that should have ended.")
    return time.perf_counter() - begin


def explained() -> str:
    """Return the plan, as it was carried out, of the query that finds the orders that may be due."""
    query, parameters = order_candidates(filling.today()).order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF) {query}", parameters)
        return "\n".join(line for (line,) in cursor.fetchall())
