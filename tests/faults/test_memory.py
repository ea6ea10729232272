"""F19: the copy of somebody with very many rows is made as a stream, in a process with little memory."""

from __future__ import annotations

import io
import json
import resource
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Communication, Customer
from privacy.requests import export
from privacy.requests.models import Request
from tests import factories
from tests.asked import taken_in
from tests.factories import as_customer
from tests.faults import process
from tests.figures import report, tries

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
MEGABYTE = 1 << 20
MAY_HAVE, GOAL = 512 * MEGABYTE, 300
# The peak of the memory of this program alone: ru_maxrss would be that of the process that forked it, where more.
BUILD = """
from datetime import datetime
from pathlib import Path
from uuid import UUID
from privacy.gate.system import system
from privacy.requests import export
from privacy.requests.models import Request
request = Request.objects.get(pk=UUID(sys.argv[1]))
with system("export", subject=request.owner_id):
    export.build(request, now=datetime.fromisoformat(sys.argv[2]))
status = Path("/proc/self/status").read_text(encoding="ascii")
print(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])
"""


def little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAY_HAVE, MAY_HAVE))


def asked(alice: Customer, rows: int, now: datetime) -> Request:
    for begin in range(0, rows, 5_000):
        Communication.objects.bulk_create(
            Communication(
                subject_id=alice.subject_id, customer=alice, department="support", channel="phone",
                heading=f"Question {number}", received_on=factories.TODAY, last_message_on=factories.TODAY,
                body=f"Message {number} about my instrument, in some words as people write them.",
            )
            for number in range(begin, min(begin + 5_000, rows))
        )  # fmt: skip
    return taken_in("access", alice.subject_id, identity="login", actor=as_customer(alice), now=now)


def test_a_copy_of_very_many_rows_needs_little_memory(tmp_path: Path, settings: Any) -> None:
    settings.EXPORT_DIR, settings.CELERY_BROKER_URL = str(tmp_path / "exports"), "redis://127.0.0.1:1/0"
    rows, now = tries(10_000, 100_000), timezone.now()
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    request = asked(alice, rows, now)
    code, out, errors = process.run(BUILD, str(request.pk), now.isoformat(), limit=little_memory)
    assert code == 0, errors[-2000:]
    peak = round(int(out) / 1024)
    assert peak <= GOAL
    made = export.live(request)
    assert made is not None
    archive = tmp_path / "copy.zip"
    with archive.open("wb") as file:
        _, pieces = export.fetch(request, actor=as_customer(alice), now=now)
        file.writelines(pieces)
    with zipfile.ZipFile(archive) as opened:
        told = json.load(io.TextIOWrapper(opened.open("data.json"), encoding="utf-8"))
    assert sum(record["label"] == "accounts.communication" for record in told["records"]) == rows
    report(
        "F19", f"peak memory of a copy of {rows:,} rows under a limit of 512 MB", peak, n=1, goal="≤ 300 MB", unit="MB"
    )
