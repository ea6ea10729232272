"""How many answers a web process holds back at once, in all and for one address.

What must never happen: visitors who wait because every thread sleeps. An answer that must take the same time whoever is
asked about holds its thread for half a second, and asking costs nothing: no login, no form that is right. So half of
the threads are free of it, and one address gets a quarter of them at most. Who finds no place is told to come back,
before anything is looked at.
"""

from __future__ import annotations

import threading
from collections import Counter


class Places:
    """Places for `most` at once, of which one address takes `for_one`."""

    def __init__(self, most: int, for_one: int) -> None:
        self.most = most
        self.for_one = for_one
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Take a place and return True; False when none is left. `give_back` returns it."""
        with self._lock:
            if self._taken.total() >= self.most or self._taken[address] >= self.for_one:
                return False
            self._taken[address] += 1
            return True

    def give_back(self, address: str) -> None:
        """Return a place that was taken."""
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
