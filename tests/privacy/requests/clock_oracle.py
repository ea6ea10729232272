"""The dates which the law gives, worked out a second time by another author: what the product's clock is held against.

Nothing here comes from the product. Months, working days, the day in New York and every rule are written from the texts
of the law alone, and in another shape: where the product walks through the events, this asks of each question once what
the law says. Only the names of public holidays' days come from the same place, the package `holidays`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays

DAY = timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
COMPANY = ("US", "all of it")
UK_ARTICLE_12A = date(2026, 2, 5)
CONNECTICUT_SB_1295 = date(2026, 7, 1)

UNION = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL",
    "PL", "PT", "RO", "SE", "SI", "SK",
]  # fmt: skip
EEA = [*UNION, "IS", "LI", "NO"]
UNION_OVERSEAS = ["AX", "GF", "GP", "MF", "MQ", "RE", "YT"]

COUNTRIES = holidays.list_supported_countries(include_aliases=False)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Fact(NamedTuple):
    """What happened on a day: received, identity asked, pause, identity proved, clarification
    asked or given, extension told."""

    what: str
    on: date


RECEIVED, ID_ASKED, PAUSE, ID_PROVED = "received", "identity asked", "pause", "identity proved"
CLEAR_ASKED, CLEAR_GIVEN, TOLD_LONGER = "clarification asked", "clarification given", "extension told"


class Law(NamedTuple):
    """The time one law gives: months or days, first and longest; what stops it; whose holidays move its last day."""

    months: tuple[int, int] = (0, 0)
    days: tuple[int, int] = (0, 0)
    stops: str = ""
    moves: str = ""
    confirm: int = 0


@dataclass(frozen=True)
class Answer:
    raw: date
    legal: date
    unpaused_raw: date
    unpaused_legal: date
    notice_by: date | None
    confirm_by: date | None
    acknowledge_by: date
    target: date
    longer: bool


def day_in_new_york(moment: datetime) -> date:
    """Return the day on which a request made at `moment` is received: the company's, never later than the European."""
    return moment.astimezone(NEW_YORK).date()


def month_end(year: int, month: int) -> int:
    """Return the number of the last day of a month."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _LENGTHS[month - 1]


def same_day(start: date, months: int) -> date:
    """Return the day with the same number some months on, or that month's last (Regulation 1182/71, Art. 3(2)(c))."""
    years, month = divmod(start.month - 1 + months, 12)
    return date(start.year + years, month + 1, min(start.day, month_end(start.year + years, month + 1)))


@cache
def days_off(country: str, part: str, year: int) -> frozenset[date]:
    """Return the public holidays of a part of a country, without a part those of the whole."""
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


def is_worked(day: date, country: str, region: str) -> bool:
    """Say whether a day is a working day there (Regulation 1182/71, Art. 2(2)).

    Where the part of the country is not known a day is off that no part works on.
    """
    if day.isoweekday() > 5 or country not in COUNTRIES:
        return day.isoweekday() < 6
    if (country, region) == COMPANY:
        return day not in days_off(country, "", day.year)
    parts = [region] if region else ["", *COUNTRIES[country]]
    return not all(day in days_off(country, part, day.year) for part in parts)


def moved(day: date, law: Law, country: str, region: str) -> date:
    """Return the end of the next working day where the last day is none and the law moves it (Art. 3(4))."""
    if law.moves == "company":
        country, region = COMPANY
    while law.moves and not is_worked(day, country, region):
        day += DAY
    return day


def working_days_after(start: date, count: int, country: str, region: str) -> date:
    """Return the day on which `count` working days are over; the day of the event is not counted."""
    day = start
    while count:
        day += DAY
        count -= is_worked(day, country, region)
    return day


def law_of(country: str, region: str, switches: Iterable[str], received: date) -> Law:
    """Return the law of the place on the day of receipt: dated, and California's and Connecticut's only where switched
    on."""
    if country == "GB" and received >= UK_ARTICLE_12A:
        return Law(months=(1, 3), stops="uk", moves="holidays")
    if country in EEA or country in UNION_OVERSEAS or country == "GB" or country not in COUNTRIES:
        return Law(months=(1, 3), stops="eu", moves="holidays")
    if country == "CH":
        return Law(days=(30, 60))
    if country == "BR":
        return Law(days=(15, 0))
    if (country, region) == ("CA", "QC"):
        return Law(days=(30, 0))
    if country == "CA":
        return Law(days=(30, 60))
    if (country, region) == ("US", "CA") and "CALIFORNIA" in switches:
        return Law(days=(44, 89), confirm=10)
    if (country, region) == ("US", "CT") and "CONNECTICUT" in switches and received >= CONNECTICUT_SB_1295:
        return Law(days=(45, 90))
    return Law(months=(1, 3), moves="company")


def end_of(law: Law, start: date, skipped: int, longer: bool) -> date:
    """Return the last day of the time from `start`, with the days that do not count."""
    if law.months[0]:
        return same_day(start, law.months[longer]) + skipped * DAY
    return start + (law.days[longer] + skipped) * DAY


def answer(facts: Sequence[Fact], country: str = "", region: str = "", switches: Iterable[str] = ()) -> Answer:
    """Return all dates of one request: what the law of the place makes of everything that happened."""
    received = min(fact.on for fact in facts if fact.what == RECEIVED)
    law = law_of(country, region, switches, received)
    here = country, region

    def on(what: str) -> list[date]:
        return sorted(fact.on for fact in facts if fact.what == what and fact.on >= received)

    def stretches(openings: Sequence[date], closings: Sequence[date]) -> list[tuple[date, date]]:
        """What was open, from its first asking to the answer, or to the end of all days."""
        found: list[tuple[date, date]] = []
        for begin in openings:
            last = found[-1][1] if found else date.min
            if begin > last:
                found.append((begin, min((one for one in closings if one >= begin), default=date.max)))
        return found

    stops: list[tuple[date, date, str]] = []
    if law.stops == "uk":
        stops += [(*one, "start") for one in stretches(on(ID_ASKED), on(ID_PROVED))]
        stops += [(*one, "silent") for one in stretches(on(CLEAR_ASKED), on(CLEAR_GIVEN))]
    if law.stops == "eu" and on(ID_ASKED) and on(ID_ASKED)[0] <= working_days_after(received, 3, *here):
        pauses = [day for day in on(PAUSE) if day >= on(ID_ASKED)[0]]
        stops += [(*one, "silent") for one in stretches(pauses, on(ID_PROVED)) if one[1] < date.max]

    def over(day: date | None, longer: bool) -> date:
        """The last day in law, as far as what happened by `day` moves it (None: everything); the
        last of all while time stands.

        In the United Kingdom time does not run while an answer is owed that was asked for in time, so it cannot run out
        either. No statute of the Union stops the clock: there a proof counts that comes while the time is not over.
        """
        start, left_out, stands = received, set[date](), False
        for begin, end, kind in sorted(stops):
            decides = begin if law.stops == "uk" else end
            if day is not None and decides > day:
                continue
            until = end_of(law, start, sum(one > start for one in left_out), longer or told_before(decides))
            if not stands and decides > moved(until, law, *here):
                continue
            if end == date.max:
                stands = True
            elif kind == "start":
                start = max(start, end)
            else:
                left_out |= {begin + n * DAY for n in range((end - begin).days + 1)}
        if stands and day is not None:
            return date.max
        return end_of(law, start, sum(one > start for one in left_out), longer)

    may_be_longer = bool(law.months[1] or law.days[1])
    valid: list[date] = []

    def told_before(day: date) -> bool:
        return any(notice < day for notice in valid)

    def within(end: date, day: date) -> bool:
        return end == date.max or day <= moved(end, law, *here)

    for notice in on(TOLD_LONGER):
        if may_be_longer and not valid and within(over(notice, False), notice):
            valid.append(notice)
    raw = over(None, bool(valid))
    bare = end_of(
        law, received, 0, any(within(end_of(law, received, 0, False), day) for day in on(TOLD_LONGER)) and may_be_longer
    )
    if valid:
        by = answer(
            [one for one in facts if one.on <= valid[0] and one.what != TOLD_LONGER], country, region, switches
        ).notice_by
    else:
        by = moved(over(None, False), law, *here) if may_be_longer else None
    return Answer(
        raw=raw,
        legal=moved(raw, law, *here),
        unpaused_raw=bare,
        unpaused_legal=moved(bare, law, *here),
        notice_by=by,
        confirm_by=working_days_after(received, law.confirm, *COMPANY) if law.confirm else None,
        acknowledge_by=working_days_after(received, 2, *COMPANY),
        target=min(received + 21 * DAY, raw),
        longer=bool(valid),
    )
