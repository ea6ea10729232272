"""Who may open an envelope: the vault asks, the gate answers and records (P-clauses on need to know).

Until a guard is set nothing opens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from uuid import UUID

from privacy.vault.results import MASKED, Unreadable


class Opening(NamedTuple):
    """One envelope that somebody is about to open, or, when it is restricted, to write.

    `restriction` is what the key store says of it, "" when it is not restricted: codes, read by the gate alone.
    """

    label: str
    envelope: str
    record_id: UUID
    owner_kind: str
    owner_id: UUID | None
    restriction: str = ""
    mode: Literal["read", "write"] = "read"


Guard = Callable[[Opening], bool | Unreadable]


def closed(opening: Opening) -> bool:
    """Open nothing: what is asked before the gate has been connected."""
    return False


_guard: Guard = closed


def set_guard(guard: Guard | None) -> Guard:
    """Connect the gate, or disconnect it with None; return what was connected before."""
    global _guard
    before, _guard = _guard, closed if guard is None else guard
    return before


class Ended(NamedTuple):
    """What an envelope held before a correction or a deletion: field names and packed values."""

    label: str
    envelope: str
    record_id: UUID
    owner_kind: str
    owner_id: UUID | None
    restriction: str
    values: Mapping[str, Any]


Keeper = Callable[[Ended], None]
_keeper: Keeper | None = None


def set_keeper(keeper: Keeper | None) -> Keeper | None:
    """Connect what keeps old values for a legal hold; return what was connected before."""
    global _keeper
    before, _keeper = _keeper, keeper
    return before


def keep(ended: Ended) -> None:
    """Show the keeper what is about to be destroyed, in the transaction that does it."""
    if _keeper is not None:
        _keeper(ended)


def ask(opening: Opening) -> Unreadable | None:
    """Return None when the guard lets this one open, and has recorded it; else what stands in place of the values."""
    answer = _guard(opening)
    if answer is True:
        return None
    return answer if isinstance(answer, Unreadable) else MASKED
