"""Making a copy for a person

The sealed archive of Art. 15 for one person with 10,000 records, made in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import filling
from benchmarks.erasing import file_request
from benchmarks.harness import Goal, Table
from privacy.requests.models import Request

RECORDS = 10_000
ROOT = Path(__file__).resolve().parent.parent

# Runs in the process that is measured. Its peak is read before and after, to tell Python and Django apart.
_CHILD = """
import json, sys, time
import django
django.setup()
from django.utils import timezone
from privacy.gate.system import system
from privacy.requests import execute, export
from privacy.requests.models import Request
# Not ru_maxrss: a process inherits that of the one that started it.
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
request = Request.objects.get(pk=sys.argv[1])
before, begin, cpu = peak(), time.perf_counter(), time.process_time()
words = []
while not words or words[-1] in ("plan", "build_copy", "ended"):
    words.append(execute.advance(request.pk, now=timezone.now()))
    if words[-1] == "build_copy":
        break
seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
made = export.live(request)
print(json.dumps({"seconds": seconds, "cpu": cpu, "before": before, "peak": peak(), "size": made.size if made else 0,
                  "words": words}))
"""


def run() -> list[Table]:
    """Return the seconds and the memory of planning and building one copy."""
    customer = filling.person()
    made = filling.records(customer, RECORDS)
    filling.counted()
    found = built(file_request(customer.subject_id, "access"))
    return [
        Table(
            f"The copy of one person with {sum(made.values()):,} records",
            ("seconds", "of them the program's own", "peak memory, MB", "of it before it began", "archive, MB"),
            [
                (
                    f"{found['seconds']:.1f}",
                    f"{found['cpu']:.1f}",
                    f"{found['peak']:.0f}",
                    f"{found['before']:.0f}",
                    f"{found['size'] / 1e6:.1f}",
                )
            ],
            notes=(
                "Both steps of the request are in it, the plan and the archive; memory is the "
                "peak of the resident set of the process that makes it, as a worker would.",
                "The records: "
                + ", ".join(f"{number:,} {kind}" for kind, number in made.items())
                + f"; with lines and invoices of the orders about {sum(made.values()) + 3 * made['orders']:,} rows. "
                "The archive holds each of them three times: as a page, as JSON, and in tables.",
            ),
            goals=(
                Goal(
                    "S6",
                    "export of 10,000 records: 30 s or less",
                    30.0,
                    found["seconds"],
                    f"{found['seconds']:.1f} s",
                    why="Each record is opened and written three times, as no part of the copy may be in the clear anywhere.",
                ),
                Goal(
                    "S7",
                    "export of 10,000 records: 300 MB or less",
                    300.0,
                    found["peak"],
                    f"{found['peak']:.0f} MB",
                    why="The plan of all records is in memory at once.",
                ),
            ),
        )
    ]


def built(request: Request) -> dict[str, float]:
    """Carry out an access request in a new process and return {seconds, cpu, before, peak (MB), size (bytes)}."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD, str(request.pk)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if not found["size"]:
        raise RuntimeError(f"No copy was made: {found}")
    return found
