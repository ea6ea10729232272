"""What all tests of letters have: a folder for copies, no broker."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _quiet(quiet: None) -> None:
    """Copies in a folder of the test, and nobody listens at the broker."""
