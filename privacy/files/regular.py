"""Open a file that somebody named: a regular one, or none.

A pipe would wait for a writer, and a device never ends: a command would hang, or read until it is killed.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegular(OSError):
    """The name is a directory's, a pipe's or a device's."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


def opened(path: str | Path, *, encoding: str = "utf-8", newline: str | None = None) -> io.TextIOWrapper:
    """Return the file, open for reading as text. Raises OSError where it cannot be read,
    NotRegular for what is no file."""
    return open(descriptor(path), encoding=encoding, newline=newline)


def opened_bytes(path: str | os.PathLike[str]) -> BinaryIO:
    """Return the file, open for reading as bytes. Raises as `opened` does."""
    return open(descriptor(path), "rb")


def descriptor(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of the file, made with mode 0600 where `flags` say that it is to be made. Raises as `opened`
    does."""
    found = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise NotRegular
    return found


def text(path: str | Path) -> str:
    """Return what the file says. Raises OSError, UnicodeDecodeError."""
    with opened(path) as file:
        return file.read()
