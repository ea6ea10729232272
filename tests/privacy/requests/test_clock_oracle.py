"""The clock against a second reading of the law by another author: the same facts must give the same dates.

The oracle (`clock_oracle`) knows nothing of the product. It is itself held against dates that were worked out by hand.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest

from privacy.calendar import company_day
from privacy.requests import clock
from tests.privacy.requests import clock_oracle as oracle
from tests.privacy.requests.clock_oracle import (
    CLEAR_ASKED,
    CLEAR_GIVEN,
    ID_ASKED,
    ID_PROVED,
    PAUSE,
    RECEIVED,
    TOLD_LONGER,
    Fact,
)

KINDS = {
    RECEIVED: clock.Kind.RECEIVED,
    ID_ASKED: clock.Kind.IDENTITY_ASKED,
    PAUSE: clock.Kind.PAUSED,
    ID_PROVED: clock.Kind.IDENTITY_RECEIVED,
    CLEAR_ASKED: clock.Kind.CLARIFICATION_ASKED,
    CLEAR_GIVEN: clock.Kind.CLARIFICATION_RECEIVED,
    TOLD_LONGER: clock.Kind.EXTENDED,
}
SWITCHES = ("CALIFORNIA", "CONNECTICUT")
COUNTRIES = [
    (one, "") for one in (*oracle.EEA, *oracle.UNION_OVERSEAS, "GB", "CH", "BR", "CA", "US", "AU", "JP", "", "XX")
]
PARTS = [
    ("DE", "BY"), ("DE", "BE"), ("ES", "CT"), ("FR", "57"), ("GB", "ENG"), ("GB", "SCT"), ("GB", "NIR"), ("GB", "WLS"),
    ("CH", "ZH"), ("BR", "SP"), ("CA", "QC"), ("CA", "ON"), ("US", "CA"), ("US", "CT"), ("US", "MA"), ("AU", "NSW"),
]  # fmt: skip
#: Enough for each law and order of events to come up often, and few enough for every day.
CASES = 3_000


class Case(NamedTuple):
    moment: datetime
    facts: tuple[Fact, ...]
    country: str
    region: str
    switches: frozenset[str]


def cases(seed: int, count: int) -> Iterator[Case]:
    """Yield requests of four years, near to the ends of months and of each time the law gives."""
    dice = random.Random(seed)
    return (_case(dice) for _ in range(count))


def _case(dice: random.Random) -> Case:
    country, region = dice.choice(dice.choice([COUNTRIES, PARTS, PARTS]))
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(4 * 365 * 24 * 60))
    if dice.random() < 0.3:
        moment = moment.replace(day=1) - timedelta(hours=dice.randrange(96))
    day = oracle.day_in_new_york(moment)

    def after(start: date, *spans: int) -> date:
        return start + timedelta(days=dice.randrange(dice.choice(spans)))

    def some_day() -> date:
        return after(day + timedelta(days=dice.choice([0, 0, 27, 41, 88])), 8, 8, 100)

    facts = [Fact(RECEIVED, day)]
    if dice.random() < 0.1:
        facts.append(Fact(RECEIVED, after(day, 20)))
    if dice.random() < 0.6:
        asked = after(day, 7, 7, 100)
        facts.append(Fact(ID_ASKED, asked))
        facts += [Fact(PAUSE, after(asked, 1, 1, 40))] * (dice.random() < 0.7)
        facts += [Fact(ID_PROVED, after(asked, 60))] * (dice.random() < 0.9)
    for _ in range(dice.choice([0, 0, 1, 2])):
        asked = some_day()
        facts.append(Fact(CLEAR_ASKED, asked))
        facts += [Fact(CLEAR_GIVEN, after(asked, 5, 40))] * (dice.random() < 0.9)
    for what, often in ((ID_ASKED, 0.15), (ID_PROVED, 0.15), (TOLD_LONGER, 0.4), (TOLD_LONGER, 0.1)):
        facts += [Fact(what, some_day())] * (dice.random() < often)
    dice.shuffle(facts)
    switches = frozenset(one for one in SWITCHES if dice.random() < 0.6)
    return Case(moment, tuple(facts), country, region, switches)


def product(
    facts: Sequence[Fact], country: str = "", region: str = "", switches: frozenset[str] = frozenset()
) -> oracle.Answer:
    """Return what the product says, in the oracle's words."""
    place = clock.Place(country, region, switches)
    found = clock.dates([clock.Event(KINDS[fact.what], fact.on) for fact in facts], place)
    return oracle.Answer(
        raw=found.due_on,
        legal=found.legal_due_on,
        unpaused_raw=found.unpaused_due_on,
        unpaused_legal=found.unpaused_legal_due_on,
        notice_by=found.extension_by,
        confirm_by=found.confirm_by,
        acknowledge_by=found.acknowledge_by,
        target=found.target_on,
        longer=found.is_extended,
    )


def test_the_product_gives_the_dates_of_the_second_reading_for_thousands_of_requests() -> None:
    answers, told = [], []
    for case in cases(20261130, CASES):
        assert company_day(case.moment) == oracle.day_in_new_york(case.moment)
        found = oracle.answer(*case[1:])
        assert product(*case[1:]) == found, case
        answers.append(found)
        if any(fact.what == TOLD_LONGER for fact in case.facts):
            told.append(found)
    # Where nothing stops, moves or comes too late, two readings would agree about nothing.
    assert sum(one.raw != one.unpaused_raw for one in answers) > CASES / 20
    assert sum(one.legal != one.raw for one in answers) > CASES / 10
    assert sum(one.confirm_by is not None for one in answers) > CASES / 100
    assert sum(not one.longer for one in told) > len(told) / 10 < sum(one.longer for one in told)


# Once they differed ---------------------------------------------------------------------------------------------------


def facts(*lines: str) -> tuple[Fact, ...]:
    """Return the facts of lines such as "2026-03-12 identity asked"."""
    return tuple(Fact(what, date.fromisoformat(day)) for day, what in (line.split(" ", 1) for line in lines))


DIFFERED = {
    "a British identity proved after the month": (
        "GB", "NIR", facts("2026-07-13 received", "2026-08-03 identity asked", "2026-08-29 identity proved"),
        "2026-09-29", "2026-09-29",
    ),
    "a British clarification given after the longer time": (
        "GB", "ENG",
        facts("2027-07-16 received", "2027-07-20 extension told", "2027-07-21 identity asked", "2027-07-26 identity proved",
              "2027-10-18 clarification asked", "2027-11-26 clarification given"),
        "2027-12-05", "2027-08-16",
    ),
    "a notice while a British identity is not proved": (
        "GB", "SCT",
        facts("2027-11-24 received", "2027-12-21 identity asked", "2027-12-30 extension told", "2028-01-29 identity proved"),
        "2028-04-29", "2027-12-24",
    ),
    "a European pause in the longer time": (
        "SE", "",
        facts("2025-07-12 received", "2025-07-15 extension told", "2025-07-16 identity asked", "2025-07-16 pause",
              "2025-07-30 identity proved"),
        "2025-10-27", "2025-08-12",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERED)
def test_where_they_once_differed_they_agree(name: str) -> None:
    country, region, what, raw, notice_by = DIFFERED[name]
    found = oracle.answer(what, country, region)
    assert (found.raw, found.notice_by) == (date.fromisoformat(raw), date.fromisoformat(notice_by))
    assert product(what, country, region) == found


# The oracle itself, by hand -------------------------------------------------------------------------------------------

CALIFORNIA = ("US", "CA", frozenset({"CALIFORNIA"}))


@pytest.mark.parametrize(
    ("place", "lines", "raw", "legal"),
    [
        (("DE",), ["2027-01-31 received"], "2027-02-28", "2027-03-01"),
        (("DE",), ["2028-01-31 received"], "2028-02-29", "2028-02-29"),
        (("DE",), ["2026-11-25 received"], "2026-12-25", "2026-12-28"),
        (("GB", "ENG"), ["2026-11-25 received"], "2026-12-25", "2026-12-29"),
        (("DE",), ["2026-03-31 received", "2026-04-30 extension told"], "2026-06-30", "2026-06-30"),
        (("DE",), ["2028-01-30 received", "2028-02-01 extension told"], "2028-04-30", "2028-05-02"),
        (("GB", "ENG"), ["2028-02-29 received", "2028-03-29 extension told"], "2028-05-29", "2028-05-30"),
        (("DE",), ["2027-02-26 received"], "2027-03-26", "2027-03-30"),
        (("GB", "ENG"), ["2027-02-28 received"], "2027-03-28", "2027-03-30"),
        (("GB", "SCT"), ["2027-02-28 received"], "2027-03-28", "2027-03-29"),
        (("DE",), ["2027-04-17 received"], "2027-05-17", "2027-05-18"),
        (("GB", "ENG"), ["2027-12-03 received"], "2028-01-03", "2028-01-04"),
        (("GB", "ENG"), ["2026-03-10 received", "2026-03-11 identity asked", "2026-03-11 clarification asked",
                         "2026-03-20 identity proved", "2026-03-20 clarification given"], "2026-04-20", "2026-04-20"),
        (("GB",), ["2026-03-10 received", "2026-03-12 identity asked", "2026-03-20 identity proved",
                   "2026-04-13 clarification asked", "2026-04-17 clarification given"], "2026-04-25", "2026-04-27"),
        (CALIFORNIA, ["2026-08-31 received"], "2026-10-14", "2026-10-14"),
        (CALIFORNIA, ["2026-11-30 received", "2026-12-01 extension told"], "2027-02-27", "2027-02-27"),
        (("BR",), ["2026-11-30 received", "2026-12-01 extension told"], "2026-12-15", "2026-12-15"),
        (("CH",), ["2026-11-30 received"], "2026-12-30", "2026-12-30"),
        (("CA", "ON"), ["2026-11-30 received"], "2026-12-30", "2026-12-30"),
    ],
)  # fmt: skip
def test_the_oracle_gives_the_dates_that_were_worked_out_by_hand(
    place: tuple[str, ...], lines: list[str], raw: str, legal: str
) -> None:
    found = oracle.answer(facts(*lines), *place)
    assert (found.raw, found.legal) == (date.fromisoformat(raw), date.fromisoformat(legal))


def test_the_oracle_gives_the_day_in_new_york_and_californias_confirmation_that_were_worked_out_by_hand() -> None:
    assert oracle.day_in_new_york(datetime(2027, 1, 1, 4, 30, tzinfo=UTC)) == date(2026, 12, 31)
    assert oracle.answer(facts("2026-08-31 received"), *CALIFORNIA).confirm_by == date(2026, 9, 15)
