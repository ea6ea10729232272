"""The hook by which a test stops a worker at a named place, and which production does not have."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from privacy.requests import procedures
from privacy.work import checkpoints


@pytest.fixture
def held_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ILT_HOLD_AT", "erase")
    monkeypatch.setenv("ILT_HOLD_DIR", str(tmp_path))
    return tmp_path / "held-erase"


def test_it_waits_at_the_named_place_until_its_marker_is_taken_away(held_at: Path, settings: Any) -> None:
    settings.DEMO = True
    worker = threading.Thread(target=checkpoints.reach, args=("erase",))
    worker.start()
    while not held_at.exists() or not held_at.read_text():
        time.sleep(0.01)
    assert held_at.read_text() == str(os.getpid()) and worker.is_alive()
    held_at.unlink()
    worker.join(timeout=5)
    assert not worker.is_alive()


def test_who_comes_by_after_a_kill_goes_on(held_at: Path, settings: Any) -> None:
    settings.DEMO = True
    held_at.write_text("1")  # as a killed worker left it
    checkpoints.reach("erase")
    assert held_at.exists()


def test_other_places_and_production_do_not_stop(held_at: Path, settings: Any) -> None:
    settings.DEMO = True
    checkpoints.reach("letter")
    settings.DEMO = False
    checkpoints.reach("erase")
    assert not held_at.exists()


def test_every_step_is_a_checkpoint() -> None:
    steps = [name for one in procedures.rights() for name in one.order()]
    assert {*steps, "between_commits"} == set(procedures.checkpoints())
