"""Another process of the product on the databases of this test run, which a test may limit or kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from tests.faults.workers import ROOT, environment

SECONDS = 600


def begin(code: str, *arguments: str, limit: Callable[[], None] | None = None, **more: str) -> subprocess.Popen[str]:
    """Start a Python process that sets Django up and runs `code`; `limit` is called in it before anything else."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import django, sys\ndjango.setup()\n{code}", *arguments],
        env=environment(**more), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
    )  # fmt: skip


def run(code: str, *arguments: str, limit: Callable[[], None] | None = None, **more: str) -> tuple[int, str, str]:
    """Run it to its end and return exit code, output and errors."""
    process = begin(code, *arguments, limit=limit, **more)
    out, errors = process.communicate(timeout=SECONDS)
    return process.returncode, out, errors
