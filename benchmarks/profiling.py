"""Where the time of a missed goal goes: the running frame looked at every millisecond, by area of the program.

A deterministic profiler makes Python that calls much look slower than it is, and cannot see a database wait. Here each
look gets the time since the one before, so that a long wait inside the driver counts in full.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import PurePath
from types import CodeType, FrameType

from benchmarks.harness import Goal

EVERY, AT_LEAST = 0.001, 2.0  # seconds
DATABASES = "the databases, their driver and the wait for them"
REST = "the rest"
# The innermost frame that stands here says where the program was; the first match counts.
AREAS = (
    ("django/db/backends/", DATABASES),
    ("psycopg2/", DATABASES),
    ("django/db/", "Django's models and SQL"),
    ("django/template/", "templates"),
    ("django/", "the rest of Django"),
    ("argon2/", "Argon2"),
    ("privacy/vault/typecasts.py", DATABASES),
    ("privacy/vault/keystore/tokens.py", "the vault's fields, models and indexes"),
    ("privacy/vault/keystore/", "data keys"),
    ("privacy/vault/ring.py", "data keys"),
    ("privacy/vault/envelope.py", "envelopes: AES-GCM and JSON"),
    ("privacy/vault/", "the vault's fields, models and indexes"),
    ("privacy/gate/", "gate and access log"),
    ("privacy/audit/", "audit log"),
    ("privacy/retention/", "deciding what is kept"),
    ("privacy/requests/plan.py", "deciding what is kept"),
    ("privacy/requests/assessment.py", "deciding what is kept"),
)
FETCHING = ("cursor_iter", "<lambda>")  # of django/db/models/sql/compiler.py: rows come from the driver


def explained(goal: Goal, work: Callable[[], object], *, repeat: bool = True) -> Goal:
    """Return the goal; one that is missed says in `why` too where the time of `work` goes.

    Without `repeat` the work is done once, because it cannot be done twice.
    """
    if goal.is_met:
        return goal
    return replace(goal, why=f"{goal.why} Sampled: {told(shares(work, repeat=repeat))}.")


def shares(work: Callable[[], object], *, repeat: bool = True) -> dict[str, float]:
    """Return area -> share of the time (0 to 1), the largest first. Only in the main thread."""
    spent: Counter[str] = Counter()
    last, running = [0.0], [True]

    def look(_: int, frame: FrameType | None) -> None:
        spent[_area(frame)] += time.perf_counter() - last[0]
        last[0] = time.perf_counter()  # what looking takes is nobody's
        if running:
            signal.setitimer(signal.ITIMER_REAL, EVERY)

    gc.collect()
    before = signal.signal(signal.SIGALRM, look)
    begin = last[0] = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, EVERY)
    try:
        work()
        while repeat and time.perf_counter() - begin < AT_LEAST:
            work()
    finally:
        running.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    whole = sum(spent.values()) or 1.0
    return {area: seconds / whole for area, seconds in spent.most_common()}


def told(found: dict[str, float]) -> str:
    """Return the shares in words; what is less than 3 % is left out."""
    return ", ".join(f"{share:.0%} {area}".replace("%", " %") for area, share in found.items() if share >= 0.03)


def _area(frame: FrameType | None) -> str:
    while frame is not None:
        area = _area_of(frame.f_code)
        if area is not None:
            return area
        frame = frame.f_back
    return REST


@cache
def _area_of(code: CodeType) -> str | None:
    path = PurePath(code.co_filename).as_posix()
    if path.endswith("django/db/models/sql/compiler.py") and code.co_name in FETCHING:
        return DATABASES
    return next((area for part, area in AREAS if f"/{part}" in path), None)
