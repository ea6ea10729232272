"""F8: the disk is full while a copy is made: nothing half-made is served or left, and the next try makes it whole."""

from __future__ import annotations

import io
import os
import resource
import secrets
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Communication, Customer
from privacy.requests import execute, export
from privacy.requests.models import Export, Request
from privacy.vault.models import DataKey
from tests import factories
from tests.asked import taken_in
from tests.factories import as_customer
from tests.faults import process
from tests.figures import report, tries

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
MEGABYTE = 1 << 20
# One worker's try; what it answered is the word of the last step.
TRY = """
from datetime import datetime
from uuid import UUID
from privacy.requests import execute
print(execute.run(UUID(sys.argv[1]), clock=lambda: datetime.fromisoformat(sys.argv[2]), pause=lambda: None))
"""


@dataclass
class Disk:
    """A folder for copies on which there is one megabyte, until `grow` is called."""

    limit: Callable[[], None] | None
    grow: Callable[[], None]


@pytest.fixture
def disk(tmp_path: Path, settings: Any) -> Iterator[Disk]:
    """A file system of a megabyte; where nobody may mount one, a limit on what the worker may write."""
    folder = tmp_path / "exports"
    folder.mkdir(mode=0o700)
    settings.EXPORT_DIR, settings.CELERY_BROKER_URL = str(folder), "redis://127.0.0.1:1/0"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        grow = ["mount", "-o", "remount,size=64m", str(folder)]
        yield Disk(None, lambda: subprocess.run(grow, check=True) and None)
        subprocess.run(["umount", str(folder)], check=True)
        return
    small = Disk(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE)), lambda: None)
    small.grow = lambda: setattr(small, "limit", None)
    yield small


def asked() -> Request:
    """A request for a copy of two megabytes that do not compress."""
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    texts = [secrets.token_urlsafe(6000) for _ in range(60)]
    Communication.objects.bulk_create(
        Communication(
            subject_id=alice.subject_id, customer=alice, department="support", channel="phone", heading="A question",
            received_on=factories.TODAY, last_message_on=factories.TODAY, body=text,
        )
        for text in texts
    )  # fmt: skip
    now = timezone.now()
    return taken_in("access", alice.subject_id, identity="login", actor=as_customer(alice), now=now)


def left_over() -> list[str]:
    known = set(Export.objects.filter(deleted_at=None).values_list("path", flat=True))
    return [path.name for path in export.folder().iterdir() if path.name not in known]


def test_a_full_disk_leaves_no_part_of_a_copy_and_the_next_try_makes_it_whole(disk: Disk) -> None:
    request, now, failures = asked(), timezone.now(), tries(3, 9)
    owner = as_customer(Customer.objects.get(subject=request.subject_id))
    for number in range(failures):
        now += timedelta(hours=1)
        code, word, errors = process.run(TRY, str(request.pk), now.isoformat(), limit=disk.limit)
        assert (code, word.strip()) == (0, "retry"), errors
        request.refresh_from_db()
        assert (request.step, request.state, request.last_error) == ("build_copy", "confirmed", "OSError")
        assert request.attempts == number + 1 < execute.MOST_ATTEMPTS
        assert request.next_action_at and request.next_action_at > now, "it is tried again by itself"
        assert not Export.objects.exists() and left_over() == []
        with pytest.raises(export.NoCopy):
            export.fetch(request, actor=owner, now=now)
    disk.grow()
    code, word, errors = process.run(TRY, str(request.pk), (now + timedelta(hours=9)).isoformat(), limit=disk.limit)
    assert (code, word.strip()) == (0, "waiting"), errors
    request.refresh_from_db()
    _, pieces = export.fetch(request, actor=owner, now=now + timedelta(hours=9))
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert Export.objects.get().size > MEGABYTE
    assert left_over() == []
    living = DataKey.objects.filter(envelope=export.ENVELOPE, wrapped__isnull=False)
    assert list(living.values_list("record", flat=True)) == [Export.objects.get().pk], "keys of failed tries are gone"
    report("F8", "files left over after a full disk", len(left_over()), n=failures, goal="0")
