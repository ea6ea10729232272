"""The named places at which a worker may be stopped and killed by a test, to show that nothing is half done.

Only the launcher's own servers and tests honour ILT_HOLD_AT; in production it does nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from uuid import UUID

from django.conf import settings

HOLD_AT = "ILT_HOLD_AT"
HOLD_SECONDS = 300


def reach(name: str, request: UUID | None = None) -> None:
    """Say that the checkpoint `name` is reached; wait there when ILT_HOLD_AT names it (demo and tests only).

    ILT_HOLD_AT is "erase", or "erase:<id of a request>" to stop only that one; several with commas. While it waits a
    file `held-<name>` or `held-<name>-<id>` with the process id stands in settings.STATE_DIR (or ILT_HOLD_DIR). It
    holds once: when the file exists already, the next process to come by goes on.
    """
    if not settings.DEMO:
        return
    wanted = os.environ.get(HOLD_AT, "").split(",")
    for place in (name, f"{name}:{request}"):
        if place in wanted:
            _hold(place.replace(":", "-"))


def _hold(place: str) -> None:
    marker = Path(os.environ.get("ILT_HOLD_DIR") or settings.STATE_DIR) / f"held-{place}"
    marker.parent.mkdir(parents=True, exist_ok=True)
    try:
        with marker.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return
    deadline = time.monotonic() + HOLD_SECONDS
    while marker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
