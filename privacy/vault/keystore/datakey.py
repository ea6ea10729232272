"""A data key in memory: wanted for an envelope, made, or loaded."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacy.vault.index import Entry

Owner = tuple[str, UUID | None]
Pair = tuple[UUID, str]
NOBODY: Owner = ("none", None)


class OpenKey:
    """A data key in use. Plain slots: thousands of these are made for one page of an export."""

    __slots__ = ("_data_key", "number", "owner_id", "owner_kind", "restriction")

    def __init__(
        self, number: int, data_key: bytes, owner_kind: str, owner_id: UUID | None, restriction: str = ""
    ) -> None:
        self.number = number
        self._data_key = data_key
        self.owner_kind = owner_kind
        self.owner_id = owner_id
        self.restriction = restriction

    @property
    def cipher(self) -> AESGCM:
        """Return a cipher for one use: each holds 2.5 KB, and thousands cost more to keep than to make again."""
        return AESGCM(self._data_key)


class Wanted:
    """A key to be made for one envelope of one record, with the tokens that go with it."""

    __slots__ = (
        "commitment",
        "entries",
        "envelope",
        "is_settled",
        "key",
        "label",
        "named",
        "owner",
        "record",
        "replaces",
        "restriction",
        "wrapped",
    )

    def __init__(
        self,
        record: UUID,
        envelope: str,
        label: str,
        owner: Owner = NOBODY,
        *,
        replaces: bool = False,
        named: int | None = None,
        is_settled: bool = False,
        entries: Sequence[Entry] = (),
    ) -> None:
        self.record = record
        self.envelope = envelope
        self.label = label
        self.owner = owner
        self.replaces = replaces
        self.named = named  # of one that replaces: the key that the locked row names
        self.is_settled = is_settled  # whether the transaction that wrote it there has committed
        self.entries = entries
        self.wrapped = self.commitment = b""
        self.restriction = ""  # of the key that this one replaces
        self.key: OpenKey

    @property
    def number(self) -> int:
        return self.key.number

    @property
    def pair(self) -> Pair:
        return self.record, self.envelope
