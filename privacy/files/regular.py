"""Open a file that somebody named: a regular one, or none.

A pipe would wait for a writer, and a device never ends: a command would hang, or read until it is killed.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """The name is a directory's, a pipe's or a device's."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


def opened(path: str | Path, *, encoding: str = "utf-8", newline: str | None = None) -> io.TextIOWrapper:
    """Return the file, open for reading as text. Raises OSError where it cannot be read,
    NotRegular for what is no file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular
    return open(descriptor, encoding=encoding, newline=newline)


def text(path: str | Path) -> str:
    """Return what the file says. Raises OSError, UnicodeDecodeError."""
    with opened(path) as file:
        return file.read()
