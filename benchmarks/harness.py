"""Interleaved rounds, medians, and the tables they make."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ROUNDS = "ILT_BENCH_ROUNDS"


@dataclass(frozen=True)
class Goal:
    """One goal of the product, what was measured, and why it is missed if it is. `why` names no number.

    `measured` must not exceed `limit`, or must reach it when `at_least`; `shown` is how the reader sees it.
    """

    name: str
    text: str
    limit: float
    measured: float
    shown: str
    at_least: bool = False
    why: str = ""

    @property
    def is_met(self) -> bool:
        """Tell whether what was measured is good enough."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True)
class Table:
    """One table of docs/benchmarks.md: what was measured, in which columns, and what the reader must know about it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = field(default=())
    rounds: int = 0
    goals: Sequence[Goal] = field(default=())


@dataclass(frozen=True)
class Timing:
    """The seconds a candidate took in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median of the rounds in seconds."""
        return statistics.median(self.seconds)

    def ratio(self, base: Timing) -> float:
        """Return the median over the rounds of this candidate's time divided by the base's in the same round."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, base.seconds, strict=True))


def rounds(usual: int) -> int:
    """Return how many rounds to make: the usual number unless the command line named another."""
    return int(os.environ.get(ROUNDS, usual))


def samples(usual: int) -> int:
    """Return how many rounds to make where a p95 is told: of fewer than twenty it would be the largest."""
    return max(20, rounds(usual))


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    before: Callable[[str], object] | None = None,
) -> dict[str, Timing]:
    """Run every candidate once a round, in an order that turns, and return the timings by name.

    A slow moment of the machine then falls on all of them. `before(name)` runs untimed ahead of each measurement;
    a first round, not counted, warms caches up.
    """
    names = list(candidates)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if before is not None:
                before(name)
            gc.collect()
            begin = time.perf_counter()
            candidates[name]()
            elapsed = time.perf_counter() - begin
            if number:
                taken[name].append(elapsed)
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which the given share (0 to 1) of the values lies, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]
