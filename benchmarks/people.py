"""200,000 people

Finding one of 200,000 customers by what staff are told on the telephone, and a list of 100.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.admin import CustomerAdmin
from accounts.models import Customer
from benchmarks import filling
from benchmarks.harness import Goal, Table, percentile, samples
from benchmarks.pages import BACKEND
from benchmarks.profiling import explained

PEOPLE = int(os.environ.get("ILT_BENCH_PEOPLE", 200_000))
SEARCHES = 100
SEARCH, LIST = "/admin/accounts/customer/search/", "/admin/accounts/customer/"


def run() -> list[Table]:
    """Return p50 and p95 of the searches, and seconds and queries of the lists."""
    begin = time.perf_counter()
    numbers = [
        one.reference.removeprefix("B").lstrip("0")
        for made in filling.people(PEOPLE)
        for one in made[:: max(1, PEOPLE // 2_000)]
    ]
    filled_in = time.perf_counter() - begin
    filling.counted()
    browser = Client()
    browser.force_login(filling.staff("carol", ["sales"]), backend=BACKEND)
    searches = _searches(browser, numbers, filled_in)
    browser.post(SEARCH, {"clear": "1"})
    return [searches, _lists(browser)]


def _searches(browser: Client, numbers: Sequence[str], filled_in: float) -> Table:
    chance = random.Random(2)
    n = samples(SEARCHES)
    emails = [f"person{chance.choice(numbers)}@post.example" for _ in range(n)]
    names = [chance.choice(filling.LAST_NAMES) for _ in range(n)]
    questions: dict[str, Sequence[str]] = {
        "E-mail": emails,
        "Beginning of a name, 6 letters": [name[:6] for name in names if len(name) >= 6] or names,
        "Beginning of a name, 3 letters": [name[:3] for name in names],
        "First name and beginning of the last": [f"{chance.choice(filling.FIRST_NAMES)} {name[:4]}" for name in names],
    }
    found: dict[str, list[float]] = {}
    rows = []
    for texts in questions.values():  # what is made once in a process is not the search's
        _search(browser, texts[0])
    for name, texts in questions.items():
        for text in texts:
            found.setdefault(f"{name}: search and list", []).append(_timed(lambda text=text: _search(browser, text)))
            column = "customer.email" if name == "E-mail" else "customer.name"
            found.setdefault(f"{name}: the query set alone", []).append(
                _timed(lambda text=text, column=column: _find(column, text))
            )
    for name, seconds in found.items():
        main, keys = "", ""
        rows.append((name, *(f"{1000 * percentile(seconds, share):.1f}" for share in (0.5, 0.95)), main, keys))
    for at, texts in enumerate(questions.values()):
        main, keys = _queries(lambda texts=texts: _search(browser, texts[0]))
        rows[2 * at] = (*rows[2 * at][:3], main, keys)
    p95 = {name: 1000 * percentile(seconds, 0.95) for name, seconds in found.items()}
    by_email = p95["E-mail: search and list"]
    slowest = max((name for name in p95 if "name" in name and "list" in name), key=lambda name: p95[name])
    by_name = p95[slowest]
    return Table(
        f"Search among {PEOPLE:,} customers",
        ("what is typed", "p50, ms", "p95, ms", "queries", "of keys"),
        rows,
        rounds=n,
        notes=(
            "Search and list: the form of the back office by POST, and the list of what was found, up to 50 rows with names, "
            "to which it leads: two requests through all middlewares. The query set alone: ids and rows, nothing opened. "
            f"Names are drawn from {len(filling.FIRST_NAMES)} first and {len(filling.LAST_NAMES):,} last ones, so three letters "
            "fit a tenth of all people: found are the first 200.",
            f"The people were made through the vault in {filled_in:.0f} s ({PEOPLE / filled_in:,.0f} a second), each with a "
            "dozen tokens.",
        ),
        goals=(
            explained(
                Goal(
                    "S2", f"search by e-mail among {PEOPLE:,}: p95 150 ms or less", 150, by_email, f"{by_email:.0f} ms"
                ),
                lambda: _search(browser, questions["E-mail"][0]),
            ),
            explained(
                Goal(
                    "S3",
                    f"search by the beginning of a name among {PEOPLE:,}: p95 150 ms or less",
                    150,
                    by_name,
                    f"{by_name:.0f} ms for the slowest kind",
                    why="The list of what was found is most of it.",
                ),
                lambda: _search(browser, questions[slowest.split(":")[0]][0]),
            ),
        ),
    )


def _lists(browser: Client) -> Table:
    rows = []
    counts = {}
    usual = CustomerAdmin.list_per_page
    for size in (1, 30, 100):
        CustomerAdmin.list_per_page = size
        browser.get(LIST)
        counts[size] = _queries(lambda: browser.get(LIST))
        seconds = [_timed(lambda: browser.get(LIST)) for _ in range(samples(20))]
        rows.append((size, *(f"{1000 * percentile(seconds, share):.1f}" for share in (0.5, 0.95)), *counts[size]))
    CustomerAdmin.list_per_page = usual
    is_constant = counts[1] == counts[100]
    return Table(
        f"A list of customers out of {PEOPLE:,}",
        ("rows", "p50, ms", "p95, ms", "queries", "of keys"),
        rows,
        notes=("The list of customers in the back office, first page, names opened.",),
        goals=(
            Goal(
                "S4",
                "a list of 100: as many queries as a list of 1, one of them for keys",
                0.0,
                float(not is_constant) + abs(counts[100][1] - 1),
                f"{counts[100][0]} queries and {counts[100][1]} for keys, {'' if is_constant else 'not '}constant",
                why="Something else on the page asks the key store as well.",
            ),
        ),
    )


def _search(browser: Client, text: str) -> None:
    answer = browser.post(SEARCH, {"q": text}, follow=True)
    if answer.status_code != 200:
        raise RuntimeError(f"The search answered {answer.status_code}.")


def _find(column: str, text: str) -> list[Any]:
    manager: Any = Customer.objects
    found = manager.find(column, text) if column.endswith("email") else manager.find_words(column, text)
    return list(found)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _queries(work: Callable[[], object]) -> tuple[int, int]:
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        work()
    return len(main), len(keys)
