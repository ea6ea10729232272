"""Periods as the calendar counts them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.calendar.periods import BadPeriod, Period


@pytest.mark.parametrize(
    ("text", "year_end", "start", "last_day"),
    [
        ("7y", True, date(2019, 1, 1), date(2026, 12, 31)),
        ("7y", True, date(2019, 12, 31), date(2026, 12, 31)),
        ("4y", True, date(2024, 2, 29), date(2028, 12, 31)),
        ("36m", False, date(2024, 2, 29), date(2027, 2, 28)),
        ("18m", False, date(2026, 8, 31), date(2028, 2, 29)),
        ("90d", False, date(2026, 1, 1), date(2026, 4, 1)),
    ],
)
def test_the_last_day_of_a_period_still_belongs_to_it(text: str, year_end: bool, start: date, last_day: date) -> None:
    assert Period.parse(text, year_end=year_end).after(start) == last_day


@pytest.mark.parametrize("text", ["", "7", "y", "0y", "07y", "-1y", "7 y", "1.5y", "7w", "7Y", "99999y", 7, None, True])
def test_a_period_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(BadPeriod, match="7y, 36m or 90d"):
        Period.parse(text)  # type: ignore[arg-type]


def test_a_period_is_said_in_words() -> None:
    assert str(Period.parse("1y")) == "1 year"
    assert str(Period.parse("7y", year_end=True)) == "7 years, to the end of that year"


PERIODS = st.builds(Period, st.integers(1, 130), st.sampled_from("ymd"), st.booleans())


@given(PERIODS, st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 12, 31)))
def test_a_period_that_started_by_the_cutoff_is_over_and_a_later_one_is_not(period: Period, today: date) -> None:
    if period.unit == "y" and period.amount > 100:
        period = Period(period.amount - 100, "y", period.year_end)
    last = period.started_by(today)
    assert period.after(last) < today
    assert period.after(last + timedelta(days=1)) >= today
