"""What carries a person's address without being joined to them, said wherever it is said what we hold (design 9).

What must never happen: "we hold nothing" while such a record stands; a word of what stands in one.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from privacy import people


def found(subject: UUID | None, today: date) -> str:
    """Return one sentence: how many records of each kind carry an address of the person without being joined; "" for
    none."""
    kinds = people.ask().candidates(subject, today) if subject else []
    if not kinds:
        return ""
    parts = [f"{count} {name}" for name, count in kinds]
    what = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    carry, are = ("carries", "is") if sum(count for _, count in kinds) == 1 else ("carry", "are")
    return (
        f"{what} {carry} an address of yours, but {are} not joined to you: "
        "an address on a record does not prove whose it is."
    )


def of_request(subject: UUID | None, today: date) -> str:
    """Return what a plan or an answer says of them: that the request does not reach them, and what the person can
    do."""
    sentence = found(subject, today)
    return (
        f"{sentence} This request does not reach that. If it is yours, tell us, and a person looks." if sentence else ""
    )
