"""Pages

The pages people use most, with the whole stack of middlewares, beside the same page on plain columns.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from benchmarks import filling
from benchmarks.harness import Goal, Table, interleaved, percentile, samples
from benchmarks.profiling import explained
from privacy import gate
from privacy.requests import execute, filing
from privacy.requests.models import Request
from privacy.requests.states import Channel

PEOPLE = int(os.environ.get("ILT_BENCH_PEOPLE", 20_000))
ORDERED = 2_000  # so many of them have two orders each
ROUNDS = 60
BACKEND = "accounts.backends.LoginBackend"


@dataclass(frozen=True)
class Page:
    """A page, who asks for it, and the path of the same page on plain columns, if there is one."""

    name: str
    who: str
    path: str
    plain: str = ""


def run() -> list[Table]:
    """Return p50, p95, requests per second and queries of each page."""
    with override_settings(ROOT_URLCONF="benchmarks.plain"):
        pages, browsers = _made()
        filling.counted()
        calls = {page.name: _get(browsers[page.who], page.path) for page in pages}
        calls |= {f"{page.name}, plain": _get(browsers[page.who], page.plain) for page in pages if page.plain}
        counts = {name: _queries(call) for name, call in calls.items()}
        timings = interleaved(calls, rounds=samples(ROUNDS))
        last = max(pages, key=lambda page: timings[page.name].median).name
        slowest = 1000 * timings[last].median
        goal = Goal(
            "S1",
            "every page under 100 ms at the median",
            100.0,
            slowest,
            f"{slowest:.0f} ms for {last}",
            why=f"{last} shows records of many kinds with what stands inside of them, and decides about each that it shows.",
        )
        goal = explained(goal, calls[last])
    rows = []
    for page in pages:
        for name in (page.name, f"{page.name}, plain"):
            if name not in timings:
                continue
            seconds = timings[name].seconds
            beside = timings[page.name].ratio(timings[f"{page.name}, plain"]) if page.plain else 0.0
            ratio = ("1" if name != page.name else f"{beside:.2f}") if page.plain else "–"
            rows.append(
                (
                    page.name if name == page.name else "… on plain columns",
                    f"{1000 * statistics.median(seconds):.1f}",
                    f"{1000 * percentile(seconds, 0.95):.1f}",
                    f"{len(seconds) / sum(seconds):.0f}",
                    counts[name]["default"],
                    counts[name]["keystore"],
                    ratio,
                )
            )
    return [
        Table(
            "The busiest pages",
            ("page", "p50, ms", "p95, ms", "requests/s, one process", "queries", "of keys", "beside plain"),
            rows,
            rounds=samples(ROUNDS),
            notes=(
                f"{PEOPLE:,} customers, two orders for each of {ORDERED:,} of them. alice has 40 orders with payments, 30 "
                "messages, 8 returns with notes and a planned removal; her order has two lines. Lists of the back office have "
                "50 rows. Requests by Django's test client, in turns, in one process, through all middlewares of the product: "
                "session, gate, access log. Not in it: the network, gunicorn, the check of the form token, which the client "
                "leaves out.",
                "On plain columns: the product's query, template and middlewares on models without a vault, with the same "
                "values and ids; the list of customers on Django's own admin, so what the product's admin does more is in "
                "that ratio. The other pages have no plain twin: home and login read no record, and what we hold, openings, "
                "requests and search exist because of what the product does.",
            ),
            goals=(goal,),
        )
    ]


def _made() -> tuple[list[Page], dict[str, Client]]:
    from benchmarks import plain  # its models belong to this section only

    plain.make_tables()
    alice = filling.person()
    user = filling.login(alice, "alice")
    plain.copied([alice])
    left = ORDERED
    for made in filling.people(PEOPLE):
        plain.copied(made)
        if left > 0:
            plain.copied_orders(filling.orders(made[:left], 2))
            left -= len(made[:left])
    own = filling.orders([alice], 40)
    plain.copied_orders(own)
    filling.messages(alice, 30)
    filling.returns(alice, 8)
    about = _planned(alice.subject_id)
    carol, pat = filling.staff("carol", ["sales"]), filling.staff("pat", ["privacy"])
    browsers = {
        "nobody": Client(),
        "alice": _signed_in(user),
        "carol": _signed_in(carol),
        "carol, after a search": _signed_in(carol),
        "pat": _signed_in(pat),
    }
    browsers["carol, after a search"].post("/admin/accounts/customer/search/", {"q": "bela"})
    order = own[0].pk
    pages = [
        Page("Home", "nobody", "/"),
        Page("Login form", "nobody", "/accounts/login/"),
        Page("Your orders", "alice", "/orders/", "/plain/orders/"),
        Page("One order", "alice", f"/orders/{order}/", f"/plain/orders/{order}/"),
        Page("Your returns", "alice", "/rma/"),
        Page("Your details", "alice", "/account/details/"),
        Page("What we hold", "alice", "/privacy/held/"),
        Page("Who looked", "alice", "/privacy/openings/"),
        Page("A request, planned", "alice", f"/privacy/requests/{about.pk}/"),
        Page("Back office: customers", "carol", "/admin/accounts/customer/", "/admin/benchmarks/plaincustomer/"),
        Page("Back office: found by name", "carol, after a search", "/admin/accounts/customer/"),
        Page("Back office: one order", "carol", f"/admin/orders/order/{order}/change/"),
        Page("Back office: requests", "pat", "/admin/privacy/request/"),
    ]
    return pages, browsers


def _signed_in(user: Any) -> Client:
    browser = Client()
    browser.force_login(user, backend=BACKEND)
    return browser


def _planned(subject: Any) -> Request:
    actor = gate.Actor("customer", "alice", subject, frozenset({"customer"}), "own data")
    with gate.acting(actor):
        about = filing.file(
            filing.Receipt(
                kind="erasure",
                subject=subject,
                channel=Channel.WEB,
                received_on=filling.today(),
                identity=Request.Identity.LOGIN,
            ),
            actor=actor,
            now=filling.now(),
        ).request
    execute.advance(about.pk, now=filling.now())
    return about


def _get(browser: Client, path: str) -> Callable[[], None]:
    def get() -> None:
        answer = browser.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}.")

    return get


def _queries(call: Callable[[], None]) -> Mapping[str, int]:
    call()  # what is made once in a process is not the page's
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        call()
    return {"default": len(main), "keystore": len(keys)}
