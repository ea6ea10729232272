"""What a step returns: whether it is done, has more, waits, or ended another way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LOOK_AGAIN = timedelta(seconds=15)
LOOK_LATER = timedelta(minutes=30)  # a decision wakes the request at once


@dataclass(frozen=True)
class Wait:
    """The step is not done; look again at `until`."""

    until: datetime


@dataclass(frozen=True)
class Again:
    """A batch is done and the step has more."""


@dataclass(frozen=True)
class Done:
    """The step is done: the request reaches the state that the table of rights names."""

    detail: dict[str, object] | None = None


@dataclass(frozen=True)
class Ended:
    """The request went another way (back to the person, expired): nothing follows."""


Result = Wait | Again | Done | Ended
