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
    beside: object = None  # the number of another record that this work needs: the order of a return
    is_of_person: bool = False  # whether it may need any record of the person: what they wrote, or ask


# (subject, roles) -> what is open with this person for one of these roles, at most MOST of it; one query each.
Work = Callable[[UUID, frozenset[str]], Iterable[Matter]]

_work: list[Work] = []
_apart: set[str] = set()  # labels of records that another one's matter says nothing of


def contribute(work: Work, *, apart: str = "") -> None:
    """Add a function that tells what is open with a person; `apart` is the label of records of which each is a matter
    of its own."""
    _work.append(work)
    if apart:
        _apart.add(apart)


def connecting(roles: frozenset[str], subject: UUID, record: object = None, label: str = "") -> Matter | None:
    """Return what connects these roles with a record of `subject` now, or None: its own matter before that of a record
    to which it belongs, before any other of the person.

    An order or a return is no occasion to open another one.
    """
    found = [one for work in _work for one in work(subject, roles) if one.roles & roles]
    if record is not None:
        for belongs in (lambda one: one.record == record, lambda one: one.beside == record):
            if own := next(filter(belongs, found), None):
                return own
    return next((one for one in found if one.is_of_person or label not in _apart), None)
