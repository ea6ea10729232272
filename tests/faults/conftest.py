"""A site as `./run` starts it, for the tests that break its servers; a beat for those that kill workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import workers
from tests.ilt_site.test_launcher import Running
from tests.journeys import stack


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    """A running site with demo data, its own servers and a folder that goes with it."""
    with stack.site() as running:
        yield running


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[workers.Celery]:
    """A beat on the test databases."""
    with workers.beat(tmp_path) as started:
        yield started
