"""What the program works for at the gate beside the page of the matrix: purposes that come with what they belong to.

A right brings the purpose of the program that carries it out (`privacy/requests/procedures.py`), so that it is added by
one entry. What must never happen: such a purpose opens more than one person's data. So it is always bound to the
subject of the unit of work, and where the page of the installation names it, the page decides and not the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class ProgramPurpose:
    """What the program works for when it acts for one person.

    `code` stands in the access log and is never renamed. `told` says it under *Who looked*: "to make the copy that you
    asked for". `opens` are lines as in `ilt_site/access.toml`, "label/envelope:rw"; what is kept after an erasure opens
    to it, as to the person. Without words it is one that others share, which stands on the page and in `told`.
    """

    code: str
    told: str | _StrPromise = ""
    opens: tuple[str, ...] = ()


_source: Callable[[], Iterable[ProgramPurpose]] = tuple


def set_source(source: Callable[[], Iterable[ProgramPurpose]]) -> None:
    """Let the gate ask `source` for the purposes that stand on no page; called once, when the program starts."""
    global _source
    _source = source


def brought() -> dict[str, ProgramPurpose]:
    """Return the purposes that are brought along, by their codes."""
    return {one.code: one for one in _source() if one.told}


def in_words(code: str) -> str:
    """Return what a purpose that is brought along is called, "" for any other."""
    found = brought().get(code)
    return str(found.told) if found is not None else ""
