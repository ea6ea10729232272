"""Who may open an envelope: the vault asks, the gate answers and records (P-clauses on need to know).

Until a guard is set nothing opens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID


class Opening(NamedTuple):
    """One envelope that somebody is about to open."""

    label: str
    envelope: str
    record_id: UUID
    owner_kind: str
    owner_id: UUID | None


Guard = Callable[[Opening], bool]


def closed(opening: Opening) -> bool:
    """Open nothing: what is asked before the gate has been connected."""
    return False


_guard: Guard = closed


def set_guard(guard: Guard | None) -> Guard:
    """Connect the gate, or disconnect it with None; return what was connected before."""
    global _guard
    before, _guard = _guard, closed if guard is None else guard
    return before


def ask(opening: Opening) -> bool:
    """Tell whether the guard lets this one open; it has then recorded it."""
    return _guard(opening)
