"""Periods as a calendar counts them: months are months, not 30 days, and an end date still belongs to the period."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from privacy.calendar import add_months

_PERIOD = re.compile(r"([1-9][0-9]{0,3})([ymd])")
_UNITS = {"y": ("year", "years"), "m": ("month", "months"), "d": ("day", "days")}


class BadPeriod(ValueError):
    """A period that is not written like 7y, 36m or 90d."""


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in years, months or days, of which `year_end` makes the whole calendar year the last."""

    amount: int
    unit: str
    year_end: bool = False

    @classmethod
    def parse(cls, text: str, *, year_end: bool = False) -> Period:
        """Read "7y", "36m" or "90d". Raises BadPeriod."""
        found = _PERIOD.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise BadPeriod(f"{text!r} is no period: write a number and y, m or d, like 7y, 36m or 90d")
        return cls(int(found[1]), found[2], year_end)

    def after(self, day: date) -> date:
        """Return the last day of the period that starts with an event on `day`; that day itself still belongs to it."""
        if self.unit == "d":
            end = day + min(timedelta(days=self.amount), date.max - day)
        else:
            end = add_months(day, self._months)
        return date(end.year, 12, 31) if self.year_end else end

    def started_by(self, today: date) -> date:
        """Return the latest day on which a period that is over on `today` can have started."""
        if self.year_end:
            # Over means: its end, some 31 December, is in a year before this one.
            last = date(today.year - 1, 12, 31)
            return last - timedelta(days=self.amount) if self.unit == "d" else add_months(last, -self._months)
        yesterday = today - timedelta(days=1)
        if self.unit == "d":
            return yesterday - timedelta(days=self.amount)
        # Clamping makes several days end on the same one (28 to 31 January + 1 month): take the last of them.
        start = add_months(yesterday, -self._months)
        while self.after(start + timedelta(days=1)) < today:
            start += timedelta(days=1)
        return start

    @property
    def _months(self) -> int:
        return self.amount * 12 if self.unit == "y" else self.amount

    def __str__(self) -> str:
        one, many = _UNITS[self.unit]
        text = f"{self.amount} {one if self.amount == 1 else many}"
        return f"{text}, to the end of that year" if self.year_end else text
