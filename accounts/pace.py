"""How long answers of one kind took lately, so that a slow one does not tell itself from a quick one.

What must never happen: a step of the clock that says whether an address is known. Answers wait for the next step, which
is longer than any of them takes on an idle machine. On a busy one some take longer, and those about a known address do
not take as long as those about an unknown one: so each waits as many steps as the slowest of the last two minutes took.
Only the one that is slower than all before it can still be told. MOST bounds what a crowd can make others wait; what
takes longer leaves at its own step.
"""

from __future__ import annotations

import math
import threading

LATELY = 120.0  # seconds
MOST = 6  # steps


class Pace:
    """Remembers, for each kind of answer of one web process, how many steps the slowest of late took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slowest: dict[str, tuple[int, float]] = {}

    def leaves_after(self, kind: str, took: float, step: float, *, at: float) -> float:
        """Return how many seconds after its beginning an answer leaves that `took` so many; `at` is the time of
        a clock that never goes back."""
        steps = max(1, math.ceil(took / step))
        with self._lock:
            slowest, since = self._slowest.get(kind, (1, at))
            if at - since > LATELY:
                slowest = 1
            if slowest <= steps <= MOST:
                self._slowest[kind] = (steps, at)
        return max(steps, slowest) * step
