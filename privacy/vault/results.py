"""What reading or sealing can end in when there is no plaintext to give.

Must never happen: an outage that looks like an erasure, or any of these texts stored as if a person
had typed it. Reads return one of the typed results below and never raise; writes raise.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError


class Unreadable(str):
    """Stand in for a value that cannot or may not be shown: falsy, printable, never written back."""

    text: ClassVar[str] = ""

    def __new__(cls) -> Unreadable:
        return super().__new__(cls, cls.text)

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> tuple[type[Unreadable], tuple[Any, ...]]:
        return type(self), ()


class Erased(Unreadable):
    """The key was destroyed: nobody can read this again (Art. 17). It knows when, and of which envelope of which
    record."""

    text = "(erased)"
    at: datetime | None
    pair: tuple[UUID, str] | None

    def __new__(cls, at: datetime | None = None, pair: tuple[UUID, str] | None = None) -> Erased:
        made = str.__new__(cls, cls.text)
        made.at, made.pair = at, pair
        return made

    def __reduce__(self) -> tuple[type[Unreadable], tuple[Any, ...]]:
        return type(self), (self.at, self.pair)


class KeyUnavailable(Unreadable):
    """The key is not to be had now: the key store is down or behind. Says nothing about erasure."""

    text = "(not available at the moment)"


class Foreign(KeyUnavailable):
    """The sealed bytes do not belong to this record, or were altered. An alarm, not an outage."""


class Masked(Unreadable):
    """The actor may not open this, or there is no unit of work to open it in."""

    text = "••••"


class Restricted(Masked):
    """The record is restricted: it opens only for what keeps it. The text says for what, until when and for whom."""

    begins: ClassVar[str] = "locked: kept for "

    def __new__(cls, text: str = "") -> Restricted:
        return str.__new__(cls, text)

    def __reduce__(self) -> tuple[type[Unreadable], tuple[Any, ...]]:
        return type(self), (str(self),)


KEY_UNAVAILABLE, FOREIGN, MASKED = KeyUnavailable(), Foreign(), Masked()
MASK_TEXTS = frozenset({Erased.text, KeyUnavailable.text, Masked.text})


def is_mask(text: str) -> bool:
    """Whether a text that came back from a form is one of ours that stands for a value."""
    return text in MASK_TEXTS or text.startswith(Restricted.begins)


class VaultError(Exception):
    """Base of everything the vault refuses. Texts name models and envelopes, never values."""


class RecordErased(VaultError):
    """The envelope's key was destroyed: it never takes data again."""


class RecordRestricted(VaultError):
    """The record is restricted, and whoever writes is not who does what keeps it; nothing was written."""


class RecordRefused(VaultError, PermissionDenied):
    """Whoever acts has no right to write such a record; nothing was written."""


class RecordElsewhere(VaultError):
    """The key store says that the record is another's than its row says; nothing was written,
    because a new key would be theirs."""


class KeyMissing(VaultError):
    """The envelope cannot be opened for writing: its key is not in the key store, or the store is down."""


class ForeignEnvelope(VaultError):
    """The sealed bytes belong to another record or were altered."""


class CopyRefused(VaultError):
    """A copied row still carries another record's sealed bytes, which were never opened."""


class UnsealedPlaintext(VaultError):
    """An object with unsaved personal data would have been pickled, cached or copied."""


class MaskNotAValue(VaultError, ValueError):
    """The text of a mask came back as if it were a value."""


class ValueTaken(VaultError, IntegrityError):
    """Another record holds this value of a unique field."""
