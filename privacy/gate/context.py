"""The unit of work: who acts now, what was opened, and the row that says so.

What must never happen: a context that outlives its unit of work, or a value that leaves before its row is
committed. So a context that ended decides "no" for ever, the log is written in a transaction of its own before
the response leaves, and a context may not begin inside somebody's transaction, whose rollback would take the rows
along.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from privacy.actor import Actor
from privacy.gate import log
from privacy.gate.log import Opening, Owner
from privacy.vault import unit

Who = Actor | Callable[[], Actor]


class AccessLogUnavailable(Exception):
    """The access log could not be written: what was opened must not leave (no row, no response)."""


class InsideTransaction(RuntimeError):
    """A context was begun inside a transaction, whose rollback would take its access log along."""


class Context:
    """One unit of work of one actor. `who` may be a function, asked when the actor is first needed."""

    __slots__ = ("_who", "closed", "handed", "parent", "pending", "seen", "unit", "why")

    def __init__(self, who: Who | None, parent: Context | None) -> None:
        self._who = who
        self.parent = parent
        self.closed = False
        self.pending: dict[Owner, dict[str, list[UUID]]] = {}
        self.handed: list[Opening] = []
        self.why = ("", "")
        self.seen: set[tuple[UUID, str]] = set()
        self.unit = unit.begin()

    @property
    def actor(self) -> Actor | None:
        if self._who is not None and not isinstance(self._who, Actor):
            who, self._who = self._who, None  # while asked, nobody acts
            self._who = who()
        return self._who

    def note(self, owner: Owner, label: str, envelope: str, record: UUID) -> None:
        """Remember one opening; the same envelope of a record counts once in a unit of work."""
        if (record, envelope) in self.seen:
            return
        self.seen.add((record, envelope))
        self.pending.setdefault(owner, {}).setdefault(f"{label}/{envelope}", []).append(record)

    def take(self) -> list[Opening]:
        """Return the openings not yet written, and forget them here."""
        taken, actor = self.handed, self.actor
        if actor is not None:
            taken = [*taken, *(Opening(actor, owner, opened, *self.why) for owner, opened in self.pending.items())]
        self.handed, self.pending = [], {}
        return taken

    def flush(self) -> None:
        """Write the openings not yet written: one statement in a transaction of its own. Raises
        AccessLogUnavailable."""
        if not self.pending and not self.handed:
            return
        openings = self.take()
        try:
            with transaction.atomic(durable=True):
                log.write(openings, now=timezone.now())
        except (DatabaseError, InterfaceError, RuntimeError):
            # Without the cause: a database's message may quote the row.
            raise AccessLogUnavailable("The access log could not be written.") from None


_current: ContextVar[Context | None] = ContextVar("gate_context", default=None)


def current() -> Actor | None:
    """Return the actor of this unit of work, or None when nobody acts."""
    context = _current.get()
    return context.actor if context is not None and not context.closed else None


def because(reason: str, reference: str = "") -> None:
    """Say why this unit of work opens what it opens: it stands in the access log. `reference`
    names a record by its number.

    Says nothing where nobody acts.
    """
    context = _current.get()
    if context is not None and not context.closed:
        context.why = (reason, reference)


@contextmanager
def acting(who: Who) -> Iterator[None]:
    """Let `who` act until the end of the block, which writes the access log and takes the opened values away.

    Raises InsideTransaction when begun inside a transaction without a context around, and AccessLogUnavailable
    at the end when the log could not be written: then nothing that was opened may leave (P40).
    """
    context = enter(who)
    try:
        yield
    finally:
        leave(context)


def enter(who: Who | None) -> Context:
    """Begin a context; every `enter` has its `leave`. With None nobody acts: a barrier that inherits nothing."""
    parent = _current.get()
    outermost = parent is None or parent.closed or (parent.parent is None and parent.actor is None)
    if who is not None and outermost and _in_transaction():
        raise InsideTransaction("Begin the context before the transaction: a rollback would take the access log along.")
    context = Context(who, parent)
    _current.set(context)
    return context


def leave(context: Context) -> None:
    """End a context and whatever was left open inside it: write the log, take opened values away. Once is enough."""
    if context.closed:
        return
    around = context.parent
    try:
        if _current.get() is not context:
            unwind(context)
        if around is not None and not around.closed and _in_transaction():
            around.handed.extend(context.take())
        else:
            context.flush()
    finally:
        context.closed = True
        _current.set(around)
        unit.end(context.unit)


def unwind(to: Context | None) -> int:
    """End every context begun after `to` that was left open; return how many. Their openings are still logged.

    Raises AccessLogUnavailable, after all of them ended, when one could not be logged.
    """
    count = 0
    failure: AccessLogUnavailable | None = None
    while (context := _current.get()) is not None and context is not to:
        count += 1
        try:
            leave(context)
        except AccessLogUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return count


def here() -> Context | None:
    """Return the context itself (the gate's own modules only)."""
    return _current.get()


def streaming(who: Who, chunks: Iterable[Any]) -> Iterator[Any]:
    """Yield `chunks` of a streamed response, made while `who` acts; each leaves after its openings were logged.

    The work runs in an execution context of its own: between two chunks, and after a client that hung up, nobody
    acts in the caller's. Raises AccessLogUnavailable instead of yielding a chunk whose log could not be written.
    """
    room = contextvars.Context()
    context: Context | None = None
    iterator = iter(chunks)
    try:
        while True:
            if context is None:
                context = room.run(enter, who)
            try:
                chunk = room.run(next, iterator)
            except StopIteration:
                break
            room.run(context.flush)
            yield chunk
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            room.run(close)
        if context is not None:
            room.run(leave, context)


def _in_transaction() -> bool:
    """Whether a transaction is open, apart from the one a TestCase wraps around itself."""
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
