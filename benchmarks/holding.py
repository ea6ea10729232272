"""What we hold

The page of what is held about a person, for one with 100 records and one with 10,000, in turns in one run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks import filling
from benchmarks.harness import Goal, Table, interleaved, percentile, samples
from benchmarks.pages import BACKEND
from benchmarks.profiling import explained

FEW, MANY = 100, 10_000
ROUNDS = 30
PATH = "/privacy/held/"


def run() -> list[Table]:
    """Return p50, p95 and queries of the page for both, and how many times the smaller one's time the larger one
    takes."""
    browsers = {records: _browser(records) for records in (FEW, MANY)}
    filling.counted()
    calls = {f"{records:,} records": _get(browser) for records, browser in browsers.items()}
    counts = {name: _queries(call) for name, call in calls.items()}
    timings = interleaved(calls, rounds=samples(ROUNDS))
    few, many = (timings[name] for name in calls)
    ratio, median = many.ratio(few), 1000 * many.median
    rows = [
        (
            name,
            f"{1000 * statistics.median(timings[name].seconds):.1f}",
            f"{1000 * percentile(timings[name].seconds, 0.95):.1f}",
            *counts[name],
            f"{timings[name].ratio(few):.2f}",
        )
        for name in calls
    ]
    return [
        Table(
            "The page of what we hold",
            ("a person with", "p50, ms", "p95, ms", "queries", "of keys", "beside the smaller"),
            rows,
            rounds=samples(ROUNDS),
            notes=(
                "Orders with lines, invoices and payments, messages, returns with notes. The page shows the newest of each kind "
                "with what stands inside of it, judges these and opens these; it counts all. By Django's test client, in turns, "
                "in one process, through all middlewares of the product.",
            ),
            goals=(
                explained(
                    Goal(
                        "S9",
                        f"what we hold of a person with {MANY:,} records: 150 ms or less",
                        150.0,
                        median,
                        f"{median:.0f} ms, {ratio:.2f}× that of {FEW} records",
                        why="All records are counted, and the newest ones are looked for among them.",
                    ),
                    calls[f"{MANY:,} records"],
                ),
            ),
        )
    ]


def _browser(records: int) -> Client:
    customer = filling.person()
    user = filling.login(customer, f"holder{records}")
    filling.records(customer, records)
    browser = Client()
    browser.force_login(user, backend=BACKEND)
    return browser


def _get(browser: Client) -> Callable[[], None]:
    def get() -> None:
        answer = browser.get(PATH)
        if answer.status_code != 200:
            raise RuntimeError(f"{PATH} answered {answer.status_code}.")

    return get


def _queries(call: Callable[[], None]) -> tuple[int, int]:
    call()
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        call()
    return len(main), len(keys)
