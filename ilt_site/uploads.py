"""No page takes a file, so none is read: not into memory, not into a temporary folder."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler


class FileSent(SuspiciousOperation):
    """Somebody sent a file to a form that has no field for one; answered with 400."""


class NoFiles(FileUploadHandler):
    """Refuses a request at the first file in it."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Raise FileSent before a byte of the file is read."""
        raise FileSent("No page takes a file.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: the file was refused."""

    def file_complete(self, file_size: int) -> None:
        """Never called: the file was refused."""
