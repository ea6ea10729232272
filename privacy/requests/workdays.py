"""Working days and public holidays, by the rules that make them: no table to keep up to date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from privacy.retention.periods import add_months


class Calendar(StrEnum):
    """Whose public holidays count. WEEKENDS: a country of which no holidays are known here."""

    DE = "de"
    ENGLAND = "england"
    US = "us"
    WEEKENDS = "weekends"


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Whether `day` is neither Saturday nor Sunday nor a public holiday."""
    return day.weekday() < 5 and day not in holidays(calendar, day.year)


def next_working_day(day: date, calendar: Calendar) -> date:
    """Return `day`, or the first working day after it (Regulation 1182/71, Art. 3(4))."""
    while not is_working_day(day, calendar):
        day += timedelta(days=1)
    return day


def add_working_days(day: date, count: int, calendar: Calendar) -> date:
    """Return the `count`-th working day after `day`, which itself is not counted."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day, calendar)
    return day


def easter(year: int) -> date:
    """Return Easter Sunday (Gregorian calendar, Meeus' rule)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=256)
def holidays(calendar: Calendar, year: int) -> frozenset[date]:
    """Return the public holidays of `year` as they are kept, substitute days included."""
    return _RULES[calendar](year)


def _germany(year: int) -> frozenset[date]:
    sunday = easter(year)
    moving = (sunday + timedelta(days=days) for days in (-2, 1, 39, 50))
    fixed = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
    return frozenset({*moving, *(date(year, month, day) for month, day in fixed)})


def _england(year: int) -> frozenset[date]:
    sunday = easter(year)
    kept = {
        sunday - timedelta(days=2), sunday + timedelta(days=1),
        _nth(year, 5, 0, 1), _nth(year, 5, 0, -1), _nth(year, 8, 0, -1),
    }  # fmt: skip
    fixed = [date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)]
    kept |= {day for day in fixed if day.weekday() < 5}
    for day in fixed:
        if day.weekday() >= 5:  # the next day that is not a holiday already
            while day.weekday() >= 5 or day in kept:
                day += timedelta(days=1)
            kept.add(day)
    return frozenset(kept)


def _united_states(year: int) -> frozenset[date]:
    fixed = [
        date(year, 1, 1),
        date(year, 6, 19),
        date(year, 7, 4),
        date(year, 11, 11),
        date(year, 12, 25),
        date(year + 1, 1, 1),
    ]
    observed = {day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0)) for day in fixed}
    moving = {
        _nth(year, 1, 0, 3), _nth(year, 2, 0, 3), _nth(year, 5, 0, -1),
        _nth(year, 9, 0, 1), _nth(year, 10, 0, 2), _nth(year, 11, 3, 4),
    }  # fmt: skip
    return frozenset(day for day in observed | moving if day.year == year)


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    """Return the `count`-th Monday (0) … Sunday (6) of a month; -1 is the last."""
    if count < 0:
        last = add_months(date(year, month, 1), 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


_RULES: dict[Calendar, Callable[[int], frozenset[date]]] = {
    Calendar.DE: _germany,
    Calendar.ENGLAND: _england,
    Calendar.US: _united_states,
    Calendar.WEEKENDS: lambda year: frozenset(),
}
