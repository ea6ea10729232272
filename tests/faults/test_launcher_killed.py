"""F20: the launcher is killed with -9, running or starting: no process stays, and the data is whole at the next
start."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.figures import report, tries
from tests.journeys import stack
from tests.running import (
    Running,
    command,
    environment,
    free_port,
    processes_of,
    run,
    start,
    wait_for,
)

pytestmark = pytest.mark.fault
SECONDS = 60
REFERENCE = "from accounts.models import Customer; print(Customer.objects.order_by('pk').first().reference)"
# What must be there after a kill: every request somebody was given a reference for, and an audit log that verifies.
WHOLE = """
from django.core.management import call_command
from django.utils import timezone
from privacy import audit
from privacy.gate.log import CHAINS
from privacy.requests.models import Request
for chain in CHAINS:
    audit.seal(now=timezone.now(), chain=chain)  # as the site does every ten seconds: it was killed before it came to it
missing = set({references!r}) - set(Request.objects.values_list("reference", flat=True))
call_command("verify_audit")
print("missing", len(missing))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:
        Path(made).chmod(0o711)  # the servers' account must pass through
        yield Path(made) / "data"
        run("reset", "--yes", "--data", str(Path(made) / "data"))


def filed(site: Running, customer: str) -> str:
    """File a request as an operator does, and return its reference."""
    asked = ("--kind", "access", "--channel", "phone", "--identity", "callback", "--customer", customer, "--json")
    done = stack.manage(site, "request_file", *asked)
    assert done.returncode == 0, done.stderr
    return str(stack.report(done)["reference"])


def killed(folder: Path, process: subprocess.Popen[str]) -> tuple[list[str], float]:
    """Kill the launcher; return what processes are left after a while, and how long the last took to end."""
    process.kill()
    process.wait()
    begun = time.monotonic()
    wait_for(lambda: not processes_of(folder), SECONDS)
    took = time.monotonic() - begun
    assert process.stdout is not None
    process.stdout.close()
    return [Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ") for one in processes_of(folder)], took


def shell(folder: Path, code: str) -> str:
    done = run("--data", str(folder), "manage", "shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_kill_9_of_the_launcher_leaves_no_process_and_whole_data(folder: Path) -> None:
    kills, slowest = tries(2, 8), 0.0
    left: list[str] = []
    references: list[str] = []
    customer = ""
    for number in range(kills):
        if number % 2 == 0:
            site = start(folder, free_port(), until="Ready: ")
            customer = customer or shell(folder, REFERENCE)
            references.append(filed(site, customer))
            process = site.process
        else:  # while it starts: as soon as its database server is there
            process = subprocess.Popen(
                command("--data", str(folder), "--port", str(free_port())), env=environment(), cwd="/",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            assert wait_for(lambda: len(processes_of(folder)) > 2, SECONDS)  # the launcher and its servers
        stayed, took = killed(folder, process)
        left, slowest = [*left, *stayed], max(slowest, took)
    assert left == []
    # Asked while no site runs: the servers start for the command alone, on what the kills left.
    told = shell(folder, WHOLE.format(references=references))
    assert told.splitlines()[-1] == "missing 0", told
    assert not processes_of(folder) or wait_for(lambda: not processes_of(folder), SECONDS)
    report("F20", "processes left after kill -9 of the launcher", len(left), n=kills, goal="0")
    report("F20", "until the last process had ended", round(slowest, 1), n=kills, goal="told, no limit", unit="s")
    report("F20", "requests with a reference lost", 0, n=len(references), goal="0")
