"""The ledger's signed file, outside both databases: one JSON object a line, each naming the line before it.

The signature's key comes from the ring, so nobody who can only write to the file can add a line; a line
changed, exchanged or taken out of the middle breaks the chain, and lines cut off at the end are missed by the
main database, which notes what it filed. Keep a copy of the file elsewhere: then both databases and the file
restored together are noticed too.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from django.conf import settings

from privacy.files import regular
from privacy.restore.models import LedgerCopy
from privacy.vault import ring

FILE = "ledger.jsonl"
FORMAT = 1
GENESIS = "0" * 64
# Read from the end of the file at first: 5,000 keys of 16 bytes in base64 are 107 kB. A removal that keeps thousands of
# records writes a longer line.
TAIL = 1 << 20


class FileBroken(Exception):
    """The file was not written by this installation, or a line was changed or taken out."""


class FileUnreadable(FileBroken):
    """The file may be whole: this process has no right to it, or the disk does not answer."""


def path() -> Path:
    """Return the path of the file."""
    return Path(settings.CHECKPOINT_DIR) / FILE


def last() -> UUID | None:
    """Return the entry of the last line, None when there is no file; looks at the last line only.

    Raises FileBroken, and FileUnreadable for a file that is there and out of reach.
    """
    try:
        with regular.opened_bytes(path()) as stream:
            line, _ = _last_line(stream)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnreadable from error
    return None if line is None else UUID(_parsed(line)["entry"])


def read() -> Iterator[LedgerCopy]:
    """Yield every line, oldest first, as it would stand in the main database. Raises FileBroken at the first wrong
    one."""
    before = GENESIS
    try:
        with regular.opened_bytes(path()) as stream:
            for raw in stream:
                if not raw.endswith(b"\n"):
                    return  # a process died while it wrote: the next one takes the rest away
                line = _parsed(raw.rstrip(b"\n"))
                if line["before"] != before:
                    raise FileBroken
                before = _digest(raw.rstrip(b"\n"))
                yield LedgerCopy(
                    entry=UUID(line["entry"]),
                    kind=line["kind"],
                    reference=line["reference"],
                    at=datetime.fromisoformat(line["at"]),
                    counts=line["counts"],
                    content=line["content"],
                )
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileUnreadable from error


def append(copies: Iterable[LedgerCopy], *, goes_on_from: Callable[[UUID], bool]) -> int:
    """Append copies and sync the file; return how many lines.

    `goes_on_from` is asked, under the file's lock, whether the last line is one this database has: a restored
    database must not write over the trace of its past. Raises FileBroken, and FileUnreadable where it is out of reach.
    """
    try:
        path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = regular.descriptor(path(), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise FileUnreadable from error
    count = 0
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        end_line, end = _last_line(stream)
        stream.seek(end)
        stream.truncate()  # half a line of a process that died
        if end_line is not None and not goes_on_from(UUID(_parsed(end_line)["entry"])):
            raise FileBroken
        before = GENESIS if end_line is None else _digest(end_line)
        for copy in copies:
            line = {
                "format": FORMAT,
                "entry": str(copy.entry),
                "kind": copy.kind,
                "reference": copy.reference,
                "at": copy.at.isoformat(),
                "counts": copy.counts,
                "content": copy.content,
                "before": before,
            }
            raw = _dump({**line, "signature": _signature(line)})
            stream.write(raw + b"\n")
            before = _digest(raw)
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    return count


def put_aside(now: datetime) -> Path | None:
    """Rename the file, so that a new one can be begun; return its new path, None when there was none."""
    if not path().exists():
        return None
    return path().rename(path().with_name(f"{FILE}.{now:%Y%m%dT%H%M%S}.aside"))


def _last_line(stream: BinaryIO) -> tuple[bytes | None, int]:
    """Return the last whole line, however long it is, None where there is none, and where it ends in the file."""
    size, length = stream.seek(0, os.SEEK_END), TAIL
    while True:
        start = stream.seek(max(size - length, 0))
        tail = stream.read(size - start)
        end = tail.rfind(b"\n")
        begin = tail.rfind(b"\n", 0, max(end, 0))
        if begin >= 0 or start == 0:
            return (tail[begin + 1 : end] if end >= 0 else None), start + end + 1
        length *= 4


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
        unsigned = {key: value for key, value in line.items() if key != "signature"}
        is_ours = hmac.compare_digest(_signature(unsigned).encode(), str(line["signature"]).encode())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileBroken from None
    if not is_ours or line.get("format") != FORMAT:
        raise FileBroken
    return dict(line)


def _signature(line: dict[str, Any]) -> str:
    return hmac.new(ring.derive("ledger.file"), _dump(line), hashlib.sha256).hexdigest()


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
