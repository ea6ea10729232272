"""The sections of docs/benchmarks.md: one module each, with `run() -> list[Table]` and the heading as docstring."""

from __future__ import annotations

import importlib
import importlib.util

from benchmarks import report
from benchmarks.harness import Table

VAULT = ("values", "rows", "lookup", "rotation")
PRODUCT = ("pages", "openings", "holding", "people", "importing", "erasing", "exporting", "sweeping")
NAMES = VAULT + PRODUCT


def exists(name: str) -> bool:
    """Tell whether there is a module of that name among the sections."""
    return name in NAMES and importlib.util.find_spec(f"benchmarks.{name}") is not None


def measured(name: str) -> tuple[str, list[Table], str]:
    """Return a section's heading, its tables, and the versions they hold for. Runs in a process of its own."""
    import django

    django.setup()
    module = importlib.import_module(f"benchmarks.{name}")
    heading = (module.__doc__ or name).splitlines()[0].rstrip(".")
    return heading, module.run(), report.versions()
