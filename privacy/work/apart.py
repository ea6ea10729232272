"""Several things that one run does, none of them behind another.

What must never happen: one thing that fails keeps the next from being done, each time the run comes round: requests
that nobody wakes because a file cannot be deleted, letters that stay because a code cannot be ended. So what a task
does in a row, and does not need for what follows, is done through `each`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

log = structlog.get_logger(__name__)


def each(*but: type[Exception], **things: Callable[[], Any]) -> dict[str, Any]:
    """Do each of these things and return what came of it, by its name.

    What fails is named in the log, by its name and the class of what was raised, and stops no other one. After the
    last of them the first failure is raised again, so that the run counts as failed. A worker that is told to stop
    stops at once; `but` names failures after which nothing else is to be done.
    """
    made: dict[str, Any] = {}
    first: Exception | None = None
    for name, do in things.items():
        try:
            made[name] = do()
        except Exception as error:
            if isinstance(error, (SoftTimeLimitExceeded, *but)):
                raise
            log.error("part.failed", part=name, error=type(error).__name__)
            first = first or error
    if first is not None:
        raise first
    return made
