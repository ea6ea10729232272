"""The access log

What the record of who looked costs: one statement, beside the same rows made and written by Django's models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.harness import Table, interleaved, rounds
from privacy.actor import Actor
from privacy.gate import log, rows
from privacy.gate.log import AccessEntry, AccessName, Opening
from privacy.vault import uuid7

SIZES = {1: 200, 50: 20, 10_000: 1}  # people opened by one page or task, and how often a round does it
CAROL = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin", "open order")


def run() -> list[Table]:
    """Return what is written for a page or a task that opened so many people, and how it compares."""
    lines = []
    for people, times in SIZES.items():
        openings = _openings(people)
        calls = {
            "one statement": partial(_repeated, times, partial(_written, openings)),
            "by Django's models": partial(_repeated, times, partial(_written, openings, _by_models)),
        }
        taken = interleaved(calls, rounds=rounds(9))
        ours, base = taken["one statement"], taken["by Django's models"]
        with CaptureQueriesContext(connection) as queries:
            _written(openings)
        lines.append(
            (
                f"{people:,} {'person' if people == 1 else 'people'}",
                *(f"{1000 * one.median / times:.2f}" for one in (base, ours)),
                f"{ours.ratio(base):.2f}",
                len([one for one in queries.captured_queries if one["sql"] not in ("BEGIN", "COMMIT")]),
            )
        )
    return [
        Table(
            "Openings written down",
            ("of", "by Django's models, ms", "one statement, ms", "beside the models", "statements"),
            lines,
            rounds=rounds(9),
            notes=(
                "One row for each person, two envelopes of one record in it, as the end of a page writes it: the names are read, "
                "the numbers of records sealed, each row signed, all of it committed to disk. By the models: the same rows, "
                "the names of people never opened before in a statement of their own.",
            ),
        )
    ]


def _openings(people: int) -> list[Opening]:
    made = []
    for _ in range(people):
        record = uuid7()
        opened = {"orders.order/fulfilment": [record], "orders.order/order": [record]}
        made.append(Opening(CAROL, ("subject", uuid7()), opened))
    return made


def _written(openings: list[Opening], add: Callable[..., None] = rows.add) -> None:
    with _adding(add), transaction.atomic(durable=True):
        log.write(openings, now=timezone.now())


@contextmanager
def _adding(add: Callable[..., None]) -> Any:
    before, rows.add = rows.add, add
    try:
        yield
    finally:
        rows.add = before


def _by_models(names: Sequence[rows.Name], made: Sequence[rows.Row]) -> None:
    if names:
        AccessName.objects.bulk_create([AccessName(**one._asdict()) for one in names])
    AccessEntry.objects.bulk_create(
        [AccessEntry(**{name: getattr(one, name) for name in rows.COLUMNS}) for one in made]
    )


def _repeated(times: int, work: Callable[[], None]) -> None:
    for _ in range(times):
        work()
