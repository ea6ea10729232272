"""Months and working days: holidays are those kept where the person is, and where that is not
known those kept everywhere."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.calendar import (
    COMPANY,
    WEEKENDS,
    Calendar,
    add_months,
    add_working_days,
    company_day,
    is_holiday,
    is_working_day,
    next_working_day,
    part_of,
)  # fmt: skip

DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 12, 31))
FIVE = range(5)


def holidays(calendar: Calendar, year: int) -> list[str]:
    """Return the holidays of a year that are no Saturday or Sunday, as month and day."""
    found = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return [f"{day:%m-%d}" for day in found if day.year == year and day.weekday() in FIVE and is_holiday(day, calendar)]


@pytest.mark.parametrize(
    ("calendar", "year", "kept"),
    [
        (Calendar("DE"), 2026, "01-01 04-03 04-06 05-01 05-14 05-25 12-25"),
        (Calendar("DE", "BY"), 2026, "01-01 01-06 04-03 04-06 05-01 05-14 05-25 06-04 12-25"),
        (Calendar("GB", "ENG"), 2022, "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27"),
        (Calendar("GB", "ENG"), 2027, "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28"),
        (Calendar("GB", "Scotland"), 2027, "01-01 01-04 03-26 05-03 05-31 08-02 11-30 12-27 12-28"),
        (Calendar("GB", "GB-NIR"), 2027, "01-01 03-17 03-26 03-29 05-03 05-31 07-12 08-30 12-27 12-28"),
        (Calendar("GB"), 2027, "01-01 03-26 05-03 05-31 12-27 12-28"),
        (Calendar("FR"), 2026, "01-01 04-06 05-01 05-08 05-14 05-25 07-14 11-11 12-25"),
        (COMPANY, 2021, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"),
        (Calendar("XX"), 2026, ""),
        (WEEKENDS, 2026, ""),
    ],
)  # fmt: skip
def test_public_holidays_of_a_year_are_those_that_are_kept(calendar: Calendar, year: int, kept: str) -> None:
    assert holidays(calendar, year) == kept.split()


@pytest.mark.parametrize(
    ("country", "region", "part"),
    [
        ("GB", "SCT", "SCT"), ("gb", "gb-sct", "SCT"), ("GB", " Scotland ", "SCT"), ("DE", "Bayern", "BY"), ("US", "California", "CA"),
        ("CA", "CA", ""), ("GB", "Midlothian", ""), ("GB", "", ""), ("", "SCT", ""), ("XX", "SCT", ""),
    ],
)  # fmt: skip
def test_a_part_of_a_country_is_known_by_code_and_name(country: str, region: str, part: str) -> None:
    assert part_of(country, region) == part


def test_a_holiday_that_not_every_part_keeps_counts_only_where_the_part_is_known() -> None:
    easter_monday, columbus_day = date(2027, 3, 29), date(2026, 10, 12)
    assert is_working_day(easter_monday, Calendar("GB")) and is_working_day(easter_monday, Calendar("GB", "Midlothian"))
    assert not is_working_day(easter_monday, Calendar("GB", "WLS"))
    assert is_working_day(columbus_day, Calendar("US")) and not is_working_day(columbus_day, COMPANY)


def test_working_days_are_counted_without_the_day_from_which_they_run() -> None:
    thursday = date(2026, 7, 2)  # Friday the 3rd stands for Independence Day
    assert add_working_days(thursday, 2, COMPANY) == date(2026, 7, 7)
    assert next_working_day(date(2026, 7, 3), COMPANY) == date(2026, 7, 6)


@given(DAYS, st.integers(min_value=-240, max_value=240))
def test_months_are_clamped_to_the_end_of_the_month(day: date, months: int) -> None:
    found = add_months(day, months)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day <= day.day


def test_a_moment_without_a_time_zone_has_no_day() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        company_day(datetime(2026, 11, 20, 15))


def test_no_month_goes_beyond_the_last_day_of_all() -> None:
    assert add_months(date(9999, 12, 31), 1) == date.max
    assert add_months(date(9999, 11, 30), 1) == date(9999, 12, 30)
    assert next_working_day(date.max, Calendar("DE")) == date.max  # a Friday
