"""One unit of work: who may open envelopes in it, the keys and the plaintext it may hold, and for how long.

Must never happen: plaintext or keys that outlive the request, task or command that was allowed to open them. Outside a
unit every read is Masked; a unit that has ended stays ended, in whatever thread, generator or copied context a
reference to it turns up. The vault asks the guard before it opens; the gate is that guard, and records each opening.
Until it is connected nothing opens.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from django.db import DatabaseError

from privacy.vault.keystore import keys
from privacy.vault.results import FOREIGN, KEY_UNAVAILABLE, MASKED, Erased, Unreadable

log = logging.getLogger("privacy.vault")
MOST_KEYS = 10_000  # about 25 MB; a long export starts over

Asked = tuple[int, Any, str]

# Who may open it ------------------------------------------------------------------------------------------------------


class Opening(NamedTuple):
    """One envelope that somebody is about to open, to add with a new record, or, when it is restricted, to write.

    `restriction` is what the key store says of it, "" when it is not restricted: codes, read by the gate alone.
    """

    label: str
    envelope: str
    record_id: UUID
    owner_kind: str
    owner_id: UUID | None
    restriction: str = ""
    mode: Literal["read", "write", "add"] = "read"


Guard = Callable[[Opening], bool | Unreadable]


def closed(opening: Opening) -> bool:
    """Open nothing: what is asked before the gate has been connected. What is new may be added: nobody acts then."""
    return opening.mode == "add"


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
_keeper: Keeper  # without one nothing that a hold may be about can be destroyed


def set_keeper(keeper: Keeper) -> None:
    """Connect what keeps old values for a legal hold."""
    global _keeper
    _keeper = keeper


def keep(ended: Ended) -> None:
    """Show the keeper what is about to be destroyed, in the transaction that does it."""
    _keeper(ended)


def ask(opening: Opening) -> Unreadable | None:
    """Return None when the guard lets this one open, and has recorded it; else what stands in place of the values."""
    answer = _guard(opening)
    if answer is True:
        return None
    return answer if isinstance(answer, Unreadable) else MASKED


# What is open, and how long -------------------------------------------------------------------------------------------


class Opened(Protocol):
    """A record from which `Unit.close` takes out what was opened in it."""

    def forget(self) -> None: ...


class Unit:
    """Hold the keys and remember the opened records of one unit of work. `free` asks nobody (sealing)."""

    def __init__(self, *, free: bool = False) -> None:
        self.free = free
        self.ended = False
        self.keys: dict[int, keys.OpenKey | Unreadable] = {}
        self.bare: dict[keys.Pair, Unreadable | None] = {}  # of envelopes without bytes: why, None when never filled
        self.notes: dict[keys.Pair, str] = {}  # what a reader of this unit found out about erased pairs
        self._opened: list[weakref.ref[Opened]] = []
        self._prune_at = 1_000
        self._token: Token[Unit | None] | None = None

    def key(self, mine: Asked, others: list[Asked], bare: Sequence[keys.Pair] = ()) -> keys.OpenKey | Unreadable:
        """Return the key asked for, loading those of its whole result set in one query on first need.

        `bare` are the envelopes without bytes of that result set: whether they were erased comes with the same query.
        """
        number = mine[0]
        known = self.keys.get(number)
        if known is None:
            self.load(others, bare)
            known = self.keys.get(number)
        if known is None or known is FOREIGN:  # in no result set, or foreign to another record only
            self.load([mine])
            known = self.keys[number]
        return known

    def load(self, asked: list[Asked], bare: Sequence[keys.Pair] = ()) -> None:
        """Load keys with one query; what cannot be had is noted as well."""
        bare = [] if self.free else [pair for pair in bare if pair not in self.bare]
        if not asked and not bare:
            return
        if len(self.keys) + len(self.bare) + len(asked) + len(bare) > MOST_KEYS:
            self.keys.clear()
            self.bare.clear()
        loaded: dict[int, keys.OpenKey | Unreadable]
        try:
            loaded, erased = keys.load_and_erased(asked, {record for record, _ in bare})
        except DatabaseError:
            log.error("key store unavailable", extra={"keys": len(asked)})
            loaded = {}
            self.bare.update(dict.fromkeys(bare, KEY_UNAVAILABLE))
        else:
            self.bare.update({pair: erased.get(pair) for pair in bare})
            if [key for key in loaded.values() if key is FOREIGN]:
                log.error("data keys do not belong to the records that name them")
            if len(loaded) < len(asked) and any(number not in loaded for number, _, _ in asked):
                # no key and no mark of its destruction: the key store is behind the data
                log.error("data keys missing from the key store")
        self.keys.update(loaded)
        if len(loaded) < len(asked):
            for number, _, _ in asked:
                self.keys.setdefault(number, KEY_UNAVAILABLE)

    def erased(self) -> set[keys.Pair]:
        """Return the pairs that reads of this unit found erased."""
        found = [*self.bare.values(), *self.keys.values()]
        return {one.pair for one in found if isinstance(one, Erased) and one.pair is not None}

    def remember(self, record: Opened) -> None:
        """Note a record that holds plaintext, so that `end` can take it out again."""
        self._opened.append(weakref.ref(record))
        if len(self._opened) > self._prune_at:
            self._opened = [ref for ref in self._opened if ref() is not None]
            self._prune_at = max(1_000, 2 * len(self._opened))

    def close(self) -> None:
        """Forget keys and take the opened values out of the records."""
        self.ended = True
        self.keys.clear()
        self.bare.clear()
        for ref in self._opened:
            record = ref()
            if record is not None:
                record.forget()
        self._opened.clear()


_current: ContextVar[Unit | None] = ContextVar("vault_unit", default=None)


def current() -> Unit | None:
    """Return the unit of work of this context, if one is open."""
    unit = _current.get()
    return None if unit is None or unit.ended else unit


def begin() -> Unit:
    """Open a unit of work; the caller ends it."""
    return _enter(Unit())


def _enter(unit: Unit) -> Unit:
    unit._token = _current.set(unit)
    return unit


def end(unit: Unit) -> None:
    """End a unit of work: its keys and the values opened in it are gone. Twice is once."""
    unit.close()
    token, unit._token = unit._token, None
    if token is not None:
        try:
            _current.reset(token)
        except ValueError:
            # a generator closed in another context than it began in: the unit is ended all the same
            if _current.get() is unit:
                _current.set(None)


@contextmanager
def internal() -> Iterator[Unit]:
    """Open envelopes without asking and without a record of it, for code that shows nobody anything.

    Sealing, indexing and erasing need it. What was opened is taken out again at the end.
    """
    unit = _enter(Unit(free=True))
    try:
        yield unit
    finally:
        end(unit)
