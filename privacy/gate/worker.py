"""Celery children: a task begins with nobody acting and ends with nobody acting, whatever its code did.

A task says `with system("purpose")` itself. A context it left open would act in the next task of the same
child; it is ended here, its openings are logged, and the fault is reported.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import task_postrun, task_prerun

from privacy.gate import context

logger = logging.getLogger(__name__)

_barriers: dict[str, context.Context] = {}


def begin(task_id: str | None = None, **kwargs: Any) -> None:
    """Put a barrier before the task: nobody acts, not even the one who called it eagerly."""
    _barriers[task_id or ""] = context.enter(None)


def end(task_id: str | None = None, **kwargs: Any) -> None:
    """End what the task left open, then the barrier itself."""
    barrier = _barriers.pop(task_id or "", None)
    try:
        if left := context.unwind(barrier):
            logger.error("A task left %d contexts of the gate open; they were ended.", left)
    finally:
        if barrier is not None:
            context.leave(barrier)


def connect() -> None:
    """Connect to Celery's signals (called once, when the app is ready)."""
    task_prerun.connect(begin, dispatch_uid="privacy.gate.begin")
    task_postrun.connect(end, dispatch_uid="privacy.gate.end")
