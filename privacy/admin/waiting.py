"""What waits for somebody: the lists of the front page, and due dates in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
SHOWN_ON_FRONT_PAGE = 10


@dataclass(frozen=True, slots=True)
class Task:
    """One line of a work list: where it is done, what it is, when it is due, and whether it is late."""

    url: str
    text: str
    when: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class WorkList:
    """What waits for somebody, the most urgent first; `total` counts what is not shown, too.

    `is_stopped`: the database took too long to say what waits.
    """

    title: str
    url: str
    tasks: list[Task]
    total: int
    is_stopped: bool = False

    @classmethod
    def of(cls, title: str, url: str, rows: QuerySet[Row], task: Callable[[Row], Task]) -> WorkList:
        """Return the list of these rows in their order: the line of each of the first, and how many there are.

        One query, and a second where there are more than are shown: most lists are short or empty.
        """
        first = list(rows[: SHOWN_ON_FRONT_PAGE + 1])
        total = len(first) if len(first) <= SHOWN_ON_FRONT_PAGE else rows.count()
        return cls(title, url, [task(one) for one in first[:SHOWN_ON_FRONT_PAGE]], total)


def due(day: date, today: date) -> tuple[str, bool]:
    """Return a due date in words, and whether it has passed."""
    left = (day - today).days
    if left < 0:
        return f"{day:%-d %B %Y}, overdue by {_days(-left)}", True
    return f"{day:%-d %B %Y}, " + ("today" if left == 0 else f"in {_days(left)}"), False


def unpaused(request: Any) -> str:
    """Return what stands behind the due date of a privacy request whose clock was stopped: the date without that, else
    ""."""
    day = request.unpaused_due_on
    return f" ({day:%-d %B %Y} without the pause)" if day is not None else ""


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
