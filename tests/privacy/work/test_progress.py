"""How far long work is stands on a terminal once a second, and at the end."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from privacy.work import progress


def said(verbosity: int) -> list[str]:
    out = io.StringIO()
    with progress.shown(OutputWrapper(out), verbosity):
        for done in range(1, 5001):
            progress.tell("keys", done, 5000)
        progress.tell("rows", 7)
    return out.getvalue().splitlines()


def test_who_watches_a_terminal_reads_it_now_and_then_and_who_asks_for_more_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert said(1) == said(0) == [], "no terminal"
    ends: Any = os.openpty()
    with open(ends[0], "rb"), open(ends[1], "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        shown = said(1)
        assert shown[0] == "1 of 5000 keys" and "5000 of 5000 keys" in shown and len(shown) < 5000
        assert said(0) == []
    assert len(said(2)) == 5001 and said(2)[-1] == "7 rows"
