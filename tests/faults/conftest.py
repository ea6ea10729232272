"""A site as `./run` starts it, for the tests that break its servers; a beat for those that kill workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from privacy.restore import signed_file
from tests.faults import workers
from tests.journeys import stack
from tests.running import Running


@pytest.fixture(autouse=True)
def _no_ledger_of_another_test() -> None:
    """Begin without the signed file: the databases were emptied, and would look restored to the processes of a test."""
    assert settings.DEMO, "on the test's own servers only"
    signed_file.path().unlink(missing_ok=True)


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
