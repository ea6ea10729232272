"""Which day it is: for the company, for the law, and for a row whose day cannot be right.

workdays   the company's day, months as the law counts them, working days of a country or a part of it
periods    a length of time as the schedule writes it (7y, 36m, 90d), and when it is over
days       the days on which something can have happened, and those on which something can fall due
undated    a day of the database that no calendar has, on a page
"""

from privacy.calendar.workdays import (
    COMPANY,
    COMPANY_ZONE,
    FALLBACK_ZONE,
    WEEKENDS,
    Calendar,
    add_months,
    add_working_days,
    company_day,
    is_holiday,
    is_working_day,
    next_working_day,
    part_of,
)

__all__ = [
    "COMPANY",
    "COMPANY_ZONE",
    "FALLBACK_ZONE",
    "WEEKENDS",
    "Calendar",
    "add_months",
    "add_working_days",
    "company_day",
    "is_holiday",
    "is_working_day",
    "next_working_day",
    "part_of",
]
