"""The signed file of the ledger by itself, without a database: what it takes, what it gives back, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from privacy.restore import signed_file
from privacy.restore.models import LedgerCopy
from privacy.restore.signed_file import FileBroken, FileUnreadable
from tests import factories


@pytest.fixture(autouse=True)
def file(settings: Any, tmp_path: Path) -> Path:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    return signed_file.path()


def append(count: int, *, is_known: bool = True) -> list[UUID]:
    copies = [LedgerCopy(entry=uuid4(), kind="keys", reference="", at=factories.NOW) for _ in range(count)]
    assert signed_file.append(copies, goes_on_from=lambda entry: is_known) == count
    return [one.entry for one in copies]


def entries() -> list[UUID]:
    return [one.entry for one in signed_file.read()]


def test_lines_come_back_in_their_order_and_half_a_line_is_taken_away(file: Path) -> None:
    assert (entries(), signed_file.last(), signed_file.put_aside(factories.NOW)) == ([], None, None)
    first = append(2)
    with file.open("ab") as stream:
        stream.write(b'{"format":1,"ent')  # a process died while it wrote
    assert (entries(), signed_file.last()) == (first, first[-1])
    assert entries() == first and [*first, *append(1)] == entries()


def test_a_line_that_is_longer_than_what_is_read_at_first_is_no_broken_one(file: Path) -> None:
    """A removal that keeps thousands of records, each with its reason: the site would close because of it."""
    first = append(1)
    kept = [{"ground": "x" * 400, "record": f"{number:032x}"} for number in range(3_000)]
    long = LedgerCopy(entry=uuid4(), kind="request", reference="", at=factories.NOW, content={"kept": kept})
    assert signed_file.append([long], goes_on_from=lambda entry: [entry] == first) == 1
    assert file.stat().st_size > signed_file.TAIL and signed_file.last() == long.entry
    with file.open("ab") as stream:
        stream.write(b'{"format":1,"ent')
    assert signed_file.last() == long.entry
    assert [*first, long.entry, *append(1)] == entries()


def test_no_line_goes_behind_one_that_the_database_does_not_have(file: Path) -> None:
    append(1)
    before = file.read_bytes()
    with pytest.raises(FileBroken):
        append(1, is_known=False)
    assert file.read_bytes() == before


@pytest.mark.parametrize("line", [b"?", b"[]", b"{}", b'{"signature": 1}', b'{"signature": "0"}'])
def test_what_this_installation_did_not_write_breaks_the_file(line: bytes, file: Path) -> None:
    append(1)
    with file.open("ab") as stream:
        stream.write(line + b"\n")
    for look in (signed_file.last, entries, lambda: append(1)):
        with pytest.raises(FileBroken) as refused:
            look()
        assert type(refused.value) is FileBroken


def test_a_file_out_of_reach_is_no_broken_one(file: Path) -> None:
    file.mkdir(parents=True)  # root reads past every mode, but no folder as a file
    for look in (signed_file.last, entries, lambda: append(1)):
        with pytest.raises(FileUnreadable):
            look()
