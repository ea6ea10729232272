"""What the law knows about a person's records: the model against which the lives in test_life.py are held.

Written from law.md §4 and design 5, not from the program: it reads neither the schedule nor the table of states.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from uuid import UUID

from tests.factories import TODAY

# The design's own words (design 5), not the program's table.
LINE = ("received", "identity", "planned", "confirmed", "executing", "executed", "replied", "closed")
ARROWS = {
    *pairwise(LINE),
    ("planned", "planned"),  # a plan is made again while nobody confirmed it
    ("confirmed", "planned"),  # what was confirmed has changed: back to the person
    *((one, end) for one in LINE[:4] for end in ("refused", "withdrawn")),
    *((one, "expired") for one in LINE[:3]),
    *((one, "parked") for one in LINE[:7]),
    *(("parked", one) for one in LINE[:7]),
}
ENDS = {"closed", "refused", "withdrawn", "expired"}
BEGUN = {"executing", "executed", "replied", "closed"}


def months_after(day: date, months: int) -> date:
    """Return the same day `months` later, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for number in range(day.day, 0, -1):
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError


@dataclass
class Sold:
    """An order as the model knows it."""

    owner: str
    placed: date
    invoiced: date | None = None
    shipped: date | None = None
    paid: date | None = None
    cancelled: date | None = None

    @property
    def is_open(self) -> bool:
        return self.cancelled is None and not (self.invoiced and self.shipped and self.paid)

    @property
    def has_events(self) -> bool:
        return bool(self.invoiced or self.shipped or self.paid)

    def invoice_ends(self) -> date:
        last = max(
            day for day in (self.invoiced, self.shipped, self.paid, None if self.has_events else self.placed) if day
        )
        return date(last.year + 7, 12, 31)


@dataclass
class Model:
    """What the law knows: who has what, since when, what is open, held and asked for."""

    sold: dict[UUID, Sold] = field(default_factory=dict)
    returns: dict[UUID, tuple[str, date, date | None]] = field(default_factory=dict)  # owner, opened, closed
    active: dict[str, date] = field(default_factory=dict)
    held: Counter[UUID] = field(default_factory=Counter)
    asked: dict[UUID, set[UUID]] = field(default_factory=dict)  # confirmed erasure -> the records there were then
    began: dict[UUID, date] = field(default_factory=dict)
    received: dict[UUID, date] = field(default_factory=dict)  # request -> the earliest receipt
    closed: dict[UUID, date] = field(default_factory=dict)

    def is_busy(self, owner: str) -> bool:
        """Whether an order or a return of theirs is not finished."""
        return any(one.is_open for one in self.sold.values() if one.owner == owner) or any(
            whose == owner and closed is None for whose, _, closed in self.returns.values()
        )

    def may_end(self, owner: str, record: UUID, envelope: str, day: date) -> bool:
        """Whether law.md §4 lets this envelope of this record end on `day`."""
        asked = any(record in records for records in self.asked.values())
        if self.held[record]:
            return False
        sold = self.sold.get(record)
        match envelope:
            case "account":
                return not self.is_busy(owner) and (asked or day > months_after(self.active[owner], 36))
            case "freight_account":
                opened = any(one.is_open for one in self.sold.values() if one.owner == owner)
                return not opened and (asked or day > months_after(TODAY, 24))
            case "support":
                return asked or day > months_after(TODAY, 36)
            case "order" | "fulfilment" if sold and sold.cancelled and not sold.has_events:
                return asked or day > months_after(sold.cancelled, 12)
            case "order" if sold:
                return not sold.is_open and day > sold.invoice_ends()
            case "fulfilment" if sold:
                return not sold.is_open and (asked or day > sold.invoice_ends())
            case "rma":
                _, _, closed = self.returns[record]
                # In these lives no instrument comes: of that a return is kept for twelve months, and less when asked.
                return closed is not None and (asked or day > months_after(closed, 12))
            case "request_file":
                closed = self.closed.get(record)
                return closed is not None and day > date(closed.year + 3, 12, 31)
            case "payment":
                return True  # no card was charged in these lives: the row holds nothing
            case "letter" | "credentials" | "pseudonym" | "export":
                return True  # made by the requests themselves, for as long as they need it
        raise AssertionError(f"the model knows no {envelope}")
