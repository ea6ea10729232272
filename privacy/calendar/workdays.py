"""The company's day, months as the law counts them, and working days of the country, and of the
part of it, where the person is.

What must never happen: a holiday that is not kept where the person is makes a date later. So where the part of
the country is not known only the days count that are holidays in every part of it, and where no holidays are
known only week-ends do. A holiday that is missing here makes a date earlier, which harms nobody; a newer
version of `holidays` brings it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
from dateutil.relativedelta import relativedelta

#: Where a day begins and ends for the company, and the last zone of Europe for a person whose own is not known.
COMPANY_ZONE = ZoneInfo("America/New_York")
FALLBACK_ZONE = ZoneInfo("Europe/Helsinki")


def company_day(moment: datetime) -> date:
    """Return the company's day at an aware moment: the day of receipt, never later than the European one.

    Raises ValueError for a naive moment.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no day")
    return moment.astimezone(COMPANY_ZONE).date()


def add_months(day: date, months: int) -> date:
    """Return the same-numbered day `months` later (earlier when negative), or the last day of a month without it.

    Regulation 1182/71, Art. 3(2)(c). A day after the last of all days is that last day.
    """
    if (day.year * 12 + day.month - 1 + months) // 12 > MAXYEAR:
        return date.max
    return day + relativedelta(months=months)


# Working days ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calendar:
    """Whose public holidays count: those of a country (ISO 3166-1 alpha-2) and of one part of it (ISO 3166-2, or its
    name).

    Without a part, or with one that is no part of the country, those that every part keeps; without a country none.
    """

    country: str = ""
    region: str = ""
    #: Those of the whole country, whatever its parts do: what the company's own country says of its working days.
    is_national: bool = False


#: The company's own working days, by the federal holidays of the United States.
COMPANY = Calendar("US", is_national=True)
WEEKENDS = Calendar()


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Whether `day` is neither Saturday nor Sunday nor a public holiday."""
    return day.weekday() < 5 and not is_holiday(day, calendar)


def is_holiday(day: date, calendar: Calendar) -> bool:
    """Whether `day` is a public holiday, substitute days included."""
    country = calendar.country.upper()
    parts = _parts(country)
    if parts is None:
        return False
    if calendar.is_national:
        return day in _days(country, "", day.year)
    if part := part_of(country, calendar.region):
        return day in _days(country, part, day.year)
    # The whole country first: few days get as far as being looked for in all its parts.
    return day in _days(country, "", day.year) and all(
        day in _days(country, one, day.year) for one in sorted(set(parts.values()))
    )


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


def part_of(country: str, region: str) -> str:
    """Return the code of a part of a country that is written as code or name, "" for one that is not known."""
    return (_parts(country.upper()) or {}).get(_key(country, region), "")


def _key(country: str, region: str) -> str:
    """Return a part of a country as it is compared: by code with or without the country's, or by name."""
    return region.strip().casefold().removeprefix(f"{country}-".casefold())


@lru_cache(maxsize=256)
def _parts(country: str) -> dict[str, str] | None:
    """Return the codes of a country's parts by code and name, none for one whose holidays are not known."""
    try:
        known = holidays.country_holidays(country)
    except NotImplementedError:
        return None
    named = getattr(known, "subdivisions_aliases", None) or {}
    return {_key(country, name): code for name, code in (*named.items(), *((one, one) for one in known.subdivisions))}


@lru_cache(maxsize=4096)
def _days(country: str, part: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
