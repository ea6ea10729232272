"""Sealed files: whole or refused."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.vault import KeyMissing, RecordErased, stream
from privacy.vault.keystore import keys
from privacy.vault.models import DataKey

pytestmark = pytest.mark.django_db
CHUNK = stream.CHUNK
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]


def write(path: Path, data: bytes, record: UUID | None = None) -> UUID:
    record = record or uuid4()
    with path.open("wb") as file, stream.SealedWriter(file, record, owner=("subject", uuid4())) as writer:
        writer.write(data)
    return record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.sealed"


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read_again(size: int, path: Path) -> None:
    data = (b"alice@x.example " * (size // 16 + 1))[:size]
    record = write(path, data)
    assert b"alice@x.example" not in path.read_bytes()
    assert b"".join(stream.read(path, record)) == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), max_size=6), big=st.integers(0, 2 * CHUNK))
def test_writing_in_parts_is_writing_at_once(path: Path, parts: list[bytes], big: int) -> None:
    record = uuid4()
    with path.open("wb") as file, stream.SealedWriter(file, record) as writer:
        for part in [*parts, bytes(big)]:
            assert writer.write(part) == len(part)
        assert writer.tell() == sum(map(len, parts)) + big
        writer.close()  # and once more at the end: the last chunk is written once
        with pytest.raises(ValueError, match="is closed"):
            writer.write(b"more")
    assert b"".join(stream.read(path, record)) == b"".join(parts) + bytes(big)


@pytest.mark.parametrize("cut", [1, 16, CHUNK + 16, CHUNK + 17, 2 * (CHUNK + 16)])
def test_a_file_cut_short_is_damaged(cut: int, path: Path) -> None:
    record = write(path, bytes(3 * CHUNK))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(stream.StreamDamaged):
        list(stream.read(path, record))


def test_an_unclosed_file_is_damaged(path: Path) -> None:
    record = uuid4()
    with path.open("wb") as file, suppress(ZeroDivisionError), stream.SealedWriter(file, record) as writer:
        writer.write(bytes(2 * CHUNK))
        raise ZeroDivisionError
    with pytest.raises(stream.StreamDamaged):
        list(stream.read(path, record))


def test_chunks_in_another_order_twice_or_from_another_file_are_damaged(path: Path, tmp_path: Path) -> None:
    record = write(path, b"a" * CHUNK + b"b" * CHUNK + b"c")
    sealed, size = path.read_bytes(), CHUNK + 16
    head, one, two, last = (
        sealed[:29],
        sealed[29 : 29 + size],
        sealed[29 + size : 29 + 2 * size],
        sealed[29 + 2 * size :],
    )
    other = tmp_path / "other"
    write(other, b"a" * CHUNK + b"b" * CHUNK + b"c", record)  # the same record and key, another pass
    for content in (
        head + two + one + last,
        head + one + one + last,
        head + one + last,
        head + one + two + last + last,
        head + one + other.read_bytes()[29 + size :],
        other.read_bytes()[:29] + one + two + last,
    ):
        path.write_bytes(content)
        with pytest.raises(stream.StreamDamaged):
            list(stream.read(path, record))


def test_a_file_is_one_records_and_ends_with_its_key(path: Path, now) -> None:
    record = write(path, b"x")
    with pytest.raises(stream.StreamDamaged):
        list(stream.read(path, uuid4()))
    keys.destroy([(record, "export")], now=now)
    with pytest.raises(RecordErased):
        list(stream.read(path, record))
    with path.open("wb") as file, pytest.raises(RecordErased):
        stream.SealedWriter(file, record)
    other = write(path, b"x")
    DataKey.objects.filter(record=other).delete()
    with pytest.raises(KeyMissing):
        list(stream.read(path, other))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"ILTS\x02" + bytes(40)])
def test_what_is_no_sealed_file_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(stream.StreamDamaged):
        list(stream.read(path, uuid4()))


def test_a_zip_can_be_written_through_it(path: Path) -> None:
    record = uuid4()
    with (
        path.open("wb") as file,
        stream.SealedWriter(file, record) as writer,
        zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr("a.txt", "alice" * 1000)
    opened = zipfile.ZipFile(io.BytesIO(b"".join(stream.read(path, record))))
    assert opened.read("a.txt") == b"alice" * 1000


def test_memory_does_not_grow_with_the_file(path: Path) -> None:
    record = uuid4()
    tracemalloc.start()
    try:
        with path.open("wb") as file, stream.SealedWriter(file, record) as writer:
            for _ in range(256):
                writer.write(bytes(CHUNK))
        assert sum(len(chunk) for chunk in stream.read(path, record)) == 256 * CHUNK
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()
