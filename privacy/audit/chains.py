"""The chains there are: which rows, which links, under which names. One mechanism seals, ends and verifies them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from privacy.audit import encoding
from privacy.audit.models import AuditEvent, AuditLink


@dataclass(frozen=True)
class Chain:
    """A log that is sealed: its tables, and how a row of it is encoded.

    `name` stands in keys, floors and file names; `ends_as` is the retention class. `canonical(row)` gives the bytes that
    `mac(row)` covers and may raise encoding.UnknownEncoding. `once` names a column in which no value may come twice.
    """

    name: str
    rows: type[Any]
    links: type[Any]
    lock: int
    noun: str
    ends_as: str
    canonical: Callable[[Any], bytes]
    mac: Callable[[Any], str]
    lowest: Any  # below every number of a row
    once: str = ""

    @property
    def file_name(self) -> str:
        """The name of the file of its checkpoints."""
        return f"{self.name}-checkpoints.jsonl"


AUDIT = Chain(
    name="audit",
    rows=AuditEvent,
    links=AuditLink,
    lock=0x696C745F61756469,  # "ilt_audi"
    noun="event",
    ends_as="audit",
    canonical=encoding.canonical,
    mac=encoding.mac,
    lowest=0,
    once="event",
)
