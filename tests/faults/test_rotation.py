"""F12: the key-encryption keys are rotated while four processes write; the rotation is killed twice and goes on
(R10)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command

from accounts.models import Communication
from privacy import vault
from privacy.vault import ring
from privacy.vault.keystore import rotate
from tests import factories
from tests.faults import process
from tests.figures import report, tries

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
WRITERS = 4
SECONDS = 120

# Writes its own rows over and over, and says of each write that it has committed, until its input ends.
WRITER = """
import itertools, select
from accounts.models import Communication
own = sys.argv[2:]
for number in itertools.count():
    row = Communication.objects.get(pk=own[number % len(own)])
    row.body = f"writer {sys.argv[1]} wrote {number}"
    row.save(update_fields=["body"])
    print(row.pk, number, flush=True)
    if select.select([sys.stdin], [], [], 0)[0]:
        break
"""
ROTATION = (
    "from django.core.management import call_command; call_command('rotate_keys', chunk=int(sys.argv[1]), verbosity=2)"
)


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    path = tmp_path / "ring.json"
    ring.write(path, ring.parse(settings.KEY_RING))
    settings.KEY_RING_FILE = str(path)
    return path


class Writer:
    """One writing process and what it said it had written: the last number for each row."""

    def __init__(self, name: str, rows: list[str], file: Path) -> None:
        self.name = name
        self.last: dict[str, int] = {}
        self.process = process.begin(WRITER, name, *rows, KEY_RING_FILE=str(file))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            row, number = line.split()
            self.last[row] = int(number)

    def stop(self) -> None:
        assert self.process.stdin is not None and self.process.stderr is not None
        self.process.stdin.close()
        errors = self.process.stderr.read()
        assert self.process.wait(SECONDS) == 0, errors
        self._reader.join(SECONDS)


@contextmanager
def writing(rows: list[str], file: Path) -> Iterator[list[Writer]]:
    writers = [Writer(str(number), rows[number::WRITERS][:50], file) for number in range(WRITERS)]
    try:
        yield writers
    finally:
        for writer in writers:
            if writer.process.poll() is None and not writer.process.stdin.closed:
                writer.process.kill()
                writer.process.wait(SECONDS)


def until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def test_a_rotation_during_writes_killed_twice_loses_nothing(file: Path) -> None:
    count, chunk = tries(1_000, 10_000), tries(50, 500)
    made = Communication.objects.bulk_create(
        Communication(
            subject=factories.subject(), department="support", channel="phone", heading="A question",
            received_on=factories.TODAY, last_message_on=factories.TODAY, body=f"as it was {number}",
        )
        for number in range(count)
    )  # fmt: skip
    rows = [str(row.pk) for row in made]
    as_it_was = {row.pk: f"as it was {number}" for number, row in enumerate(made)}
    with writing(rows, file) as writers:
        until(lambda: all(writer.last for writer in writers))
        call_command("keyring", "add", stdout=StringIO())
        for _ in range(2):
            rotation = process.begin(ROTATION, str(chunk), KEY_RING_FILE=str(file))
            assert rotation.stderr is not None
            assert "keys wrapped again" in rotation.stderr.readline()
            rotation.kill()
            rotation.communicate()
            assert rotate.waiting()[1] > 0, "it was killed on its way"
        written = {writer.name: len(writer.last) for writer in writers}
        left, begun = rotate.waiting()[1], time.monotonic()
        code, _, errors = process.run(ROTATION, str(chunk), KEY_RING_FILE=str(file))
        assert code == 0, errors
        took = time.monotonic() - begun
        for writer in writers:
            writer.stop()
    list(rotate.rotate())  # what a writer had drawn under the old version while it was rotated
    assert set(rotate.waiting()) == {2}
    call_command("keyring", "retire", "1", stdout=StringIO())
    assert ring.read(file).versions == (2,)

    expected = dict(as_it_was)
    for writer in writers:
        expected |= {UUID(row): f"writer {writer.name} wrote {number}" for row, number in writer.last.items()}
    with vault.internal():
        found = {row.pk: row.body for row in Communication.objects.iterator(chunk_size=500)}
    unreadable = sum(isinstance(text, vault.Unreadable) for text in found.values())
    lost = sum(found[pk] != text for pk, text in expected.items())
    assert (len(found), unreadable, lost) == (count, 0, 0)
    assert min(written.values()) > 0
    report("F12", "rows unreadable after a rotation killed twice", unreadable, n=count, goal="0")
    writes = sum(max(writer.last.values()) + 1 for writer in writers)
    report("F12", "writes lost meanwhile", lost, n=writes, goal="0")
    report("F12", "keys wrapped again a second, under four writers, with the start of the command",
           round(left / took), n=left, goal="told, no limit", unit="keys/s")  # fmt: skip
