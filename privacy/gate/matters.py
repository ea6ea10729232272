"""What is open between the company and a person, and whose work it is: the reason of an opening, without asking (P40).

Each app contributes its own: an order that is not finished, a return, a message without an answer, a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

MOST = 100


@dataclass(frozen=True, slots=True)
class Matter:
    """Something open: what it is ("open return"), the number by which people call it, the record, whose work it is."""

    what: str
    reference: str
    record: object  # its number, of whatever kind
    roles: frozenset[str]


# (subject, roles) -> what is open with this person for one of these roles, at most MOST of it; one query each.
Work = Callable[[UUID, frozenset[str]], Iterable[Matter]]

_work: list[Work] = []


def contribute(work: Work) -> None:
    """Add a function that tells what is open with a person."""
    if work not in _work:
        _work.append(work)


def connecting(roles: frozenset[str], subject: UUID, record: object = None) -> Matter | None:
    """Return what connects these roles with `subject` now: the matter of `record` itself before any other; or None."""
    found = [one for work in _work for one in work(subject, roles) if one.roles & roles]
    return next((one for one in found if one.record == record), found[0] if found else None)
