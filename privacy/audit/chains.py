"""The chains there are: which rows, which links, under which names. One mechanism seals, ends and verifies them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from privacy.audit import encoding
from privacy.audit.models import AuditEvent, AuditLink

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Chain:
    """A log that is sealed: its tables, and how a row of it is encoded.

    `name` stands in keys, floors and file names; `ends_as` is the retention class. `canonical(row)` gives the
    bytes that `mac(row)` covers and may raise encoding.UnknownEncoding. `once` names a column in which no value
    may come twice. `told_as` is the action of the events by which the audit tells of this chain's signed heads.
    `beside` looks at what gives the rows their meaning without being one, and yields (code of a finding,
    number) of what is wrong there.
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
    told_as: str = ""
    beside: Callable[[], Iterable[tuple[str, Any]]] | None = None

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


def for_each(chains: Iterable[Chain], do: Callable[[Chain], Result]) -> list[Result]:
    """Do one thing with each chain and return what came of it: a chain that fails stops no other, and is logged."""
    results = []
    for chain in chains:
        try:
            results.append(do(chain))
        except Exception as error:
            log.error("chain.failed", chain=chain.name, error=type(error).__name__)
    return results
