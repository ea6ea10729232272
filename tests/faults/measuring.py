"""Waiting with a generous ceiling, and the figures of what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import TypeVar

Found = TypeVar("Found")
CEILING = 240.0  # seconds: a busy machine is slow, not wrong; how long it took is reported, not asserted


def until(condition: Callable[[], Found], missing: Callable[[], object], *, seconds: float = CEILING) -> Found:
    """Return the first true answer of `condition`; fail with what is missing after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, missing()
        time.sleep(0.1)
    return found


def p95(values: Sequence[float]) -> float:
    """Return the value that 95 of 100 do not exceed (nearest rank), to two decimals; of few values the largest."""
    return round(sorted(values)[ceil(0.95 * len(values)) - 1], 2)
