"""Each test process on a core of its own, with the servers' processes that work for it.

A test and the database work in turns: where the kernel puts them on two cores, each statement wakes the other core, and
finds nothing in its caches. On one core the same tests take a fifth less. What is to run at the same time may.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest
from django.db import connections
from django.db.backends.signals import connection_created

#: Tests of which several processes or connections work at the same time, or that measure.
AT_ONCE = ("fault", "browser", "figure")

_all: set[int] = set()
_own: set[int] = set()
_now: set[int] = set()


def begin() -> None:
    """Choose this process's core, where there are several such processes, one for each core at most, and the system
    knows of cores: with more of them (`./test --all`) others work on a core while one waits."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > len(os.sched_getaffinity(0)):
        return
    _all.update(os.sched_getaffinity(0))
    _own.add(sorted(_all)[int(worker.removeprefix("gw")) % len(_all)])
    connection_created.connect(_follow, dispatch_uid="tests.cores")


def of(item: pytest.Item) -> None:
    """Run on the own core, or for a test of what happens at once on all of them."""
    global _now
    if not _own:
        return
    marker = item.get_closest_marker("django_db")
    is_at_once = any(map(item.get_closest_marker, AT_ONCE)) or bool(marker and marker.kwargs.get("transaction"))
    wanted = _all if is_at_once else _own
    if wanted == _now:
        return
    _now = wanted
    os.sched_setaffinity(0, wanted)
    for connection in connections.all(initialized_only=True):
        _follow(connection)


def _follow(connection: Any, **kwargs: Any) -> None:
    if connection.connection is not None and _now:
        with suppress(OSError):  # of another account's, or of a server in a container
            os.sched_setaffinity(connection.connection.info.backend_pid, _now)
