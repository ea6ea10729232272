"""Several things at the same moment, each on connections of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections

LONGEST = 120  # seconds; what takes longer hangs


def together(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Begin all actions at the same moment in threads; return what each returned, or the exception it raised."""
    start = threading.Barrier(len(actions))
    ends: list[Any] = [None] * len(actions)

    def run(number: int) -> None:
        try:
            for connection in connections.all():
                connection.ensure_connection()  # so that they meet at the tables, not at the door
            start.wait(LONGEST)
            ends[number] = actions[number]()
        except Exception as error:
            ends[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
    assert not any(thread.is_alive() for thread in threads), "it hangs"
    return ends
