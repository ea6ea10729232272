"""How far long work is, for whoever watches: a command on a terminal. Anything else that calls the same code says
nothing.

    with progress.shown(self.stderr, options["verbosity"]):   the command
        progress.tell("keys wrapped again", done, total)      the work, wherever it is

Counts only, never a value or a name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

EVERY_SECONDS = 1.0

_listener: ContextVar[Callable[[str, int, int | None], None] | None] = ContextVar("progress", default=None)


def tell(what: str, done: int, of: int | None = None) -> None:
    """Say that `done` (of `of`) `what` are done; nothing happens when nobody watches."""
    if listener := _listener.get():
        listener(what, done, of)


@contextmanager
def shown(out: Any, verbosity: int) -> Iterator[None]:
    """Write what is told to `out`: once a second on a terminal, every time with verbosity 2 or more, never with 0."""
    if verbosity < 1 or (verbosity == 1 and not sys.stderr.isatty()):
        yield
        return
    again = 0.0

    def write(what: str, done: int, of: int | None) -> None:
        nonlocal again
        now = time.monotonic()
        if verbosity >= 2 or now >= again or done == of:
            again = now + EVERY_SECONDS
            out.write(f"{done} of {of} {what}" if of is not None else f"{done} {what}")

    token = _listener.set(write)
    try:
        yield
    finally:
        _listener.reset(token)
