"""The clock, by the scenarios of the law: every date was computed by hand."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.requests import clock
from privacy.requests.clock import Calendar, Event, Kind, Regime
from privacy.retention.periods import add_months

EU_DE = (Regime.EU, Calendar.DE)


def received(year: int, month: int, day: int) -> Event:
    return Event(Kind.RECEIVED, date(year, month, day))


@pytest.mark.parametrize(
    ("got", "raw", "legal"),
    [
        (date(2025, 1, 31), date(2025, 2, 28), date(2025, 2, 28)),
        (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 2)),
        (date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 1)),
        (date(2028, 1, 31), date(2028, 2, 29), date(2028, 2, 29)),
    ],
)
def test_31_january_is_due_on_the_last_day_of_february(got: date, raw: date, legal: date) -> None:
    found = clock.dates([Event(Kind.RECEIVED, got)], *EU_DE)
    assert (found.due_on, found.legal_due_on) == (raw, legal)


def test_a_limit_on_christmas_rolls_past_each_countrys_own_holidays() -> None:
    events = [received(2026, 11, 25)]
    german, english = clock.dates(events, *EU_DE), clock.dates(events, Regime.UK, Calendar.ENGLAND)
    assert german.due_on == english.due_on == date(2026, 12, 25)
    assert german.legal_due_on == date(2026, 12, 28)
    assert english.legal_due_on == date(2026, 12, 29)  # 28 December stands for Boxing Day, a Saturday


def test_a_limit_on_easter_monday_rolls_to_tuesday_but_the_day_to_work_by_stays() -> None:
    found = clock.dates([received(2026, 3, 6)], *EU_DE)
    assert (found.due_on, found.legal_due_on) == (date(2026, 4, 6), date(2026, 4, 7))


def test_an_extension_announced_in_time_gives_three_months_from_receipt() -> None:
    events = [received(2026, 3, 31)]
    assert clock.dates(events, *EU_DE).extension_by == date(2026, 4, 30)
    found = clock.dates([*events, Event(Kind.EXTENDED, date(2026, 4, 30))], *EU_DE)
    assert found.is_extended
    assert (found.due_on, found.legal_due_on) == (date(2026, 6, 30), date(2026, 6, 30))


def test_an_extension_counts_from_the_original_day_not_from_the_rolled_one() -> None:
    events = [received(2026, 1, 31), Event(Kind.EXTENDED, date(2026, 3, 2))]
    found = clock.dates(events, *EU_DE)
    assert found.extension_by == date(2026, 3, 2)
    assert found.legal_due_on == date(2026, 4, 30)  # not 2 May


def test_an_extension_announced_a_day_late_is_refused_and_changes_nothing() -> None:
    events = [received(2026, 3, 31)]
    with pytest.raises(clock.ExtensionTooLate, match="30 April 2026"):
        clock.check_extension(events, *EU_DE, on=date(2026, 5, 1))
    clock.check_extension(events, *EU_DE, on=date(2026, 4, 30))
    found = clock.dates([*events, Event(Kind.EXTENDED, date(2026, 5, 1))], *EU_DE)
    assert not found.is_extended
    assert found.due_on == date(2026, 4, 30)


IDENTITY_AND_CLARIFICATION = [
    received(2026, 3, 10),
    Event(Kind.IDENTITY_ASKED, date(2026, 3, 12)),
    Event(Kind.PAUSED, date(2026, 3, 12)),
    Event(Kind.IDENTITY_RECEIVED, date(2026, 3, 20)),
    Event(Kind.CLARIFICATION_ASKED, date(2026, 4, 13)),
    Event(Kind.CLARIFICATION_RECEIVED, date(2026, 4, 17)),
]


def test_the_british_month_runs_from_the_identity_and_leaves_out_the_days_of_clarification() -> None:
    until_identity = clock.dates(IDENTITY_AND_CLARIFICATION[:4], Regime.UK, Calendar.ENGLAND)
    assert until_identity.due_on == date(2026, 4, 20)
    found = clock.dates(IDENTITY_AND_CLARIFICATION, Regime.UK, Calendar.ENGLAND)
    assert (found.due_on, found.legal_due_on) == (date(2026, 4, 25), date(2026, 4, 27))


def test_the_european_pause_is_shown_beside_the_date_without_it() -> None:
    found = clock.dates(IDENTITY_AND_CLARIFICATION, *EU_DE)
    assert found.unpaused_due_on == date(2026, 4, 10)
    # 12 to 20 March are nine days; clarification stops nothing here.
    assert (found.due_on, found.legal_due_on) == (date(2026, 4, 19), date(2026, 4, 20))


def test_asking_for_identity_alone_does_not_stop_the_european_clock() -> None:
    events = [event for event in IDENTITY_AND_CLARIFICATION if event.kind is not Kind.PAUSED]
    assert clock.dates(events, *EU_DE).due_on == date(2026, 4, 10)


def test_a_pause_asked_for_after_three_working_days_has_no_effect() -> None:
    late = [
        received(2026, 3, 10),
        Event(Kind.IDENTITY_ASKED, date(2026, 3, 16)),
        Event(Kind.PAUSED, date(2026, 3, 16)),
        Event(Kind.IDENTITY_RECEIVED, date(2026, 3, 20)),
    ]
    assert clock.dates(late, *EU_DE).due_on == date(2026, 4, 10)
    with pytest.raises(clock.PauseNotAllowed, match="3 working days"):
        clock.check_pause(late, *EU_DE)
    clock.check_pause([late[0], Event(Kind.IDENTITY_ASKED, date(2026, 3, 13))], *EU_DE)


def test_only_the_european_clock_is_paused_by_hand() -> None:
    with pytest.raises(clock.PauseNotAllowed, match="European"):
        clock.check_pause([received(2026, 3, 10)], Regime.UK, Calendar.ENGLAND)


@pytest.mark.parametrize(("regime", "calendar"), [EU_DE, (Regime.UK, Calendar.ENGLAND)])
def test_a_pause_that_has_not_ended_moves_nothing_but_is_told(regime: Regime, calendar: Calendar) -> None:
    found = clock.dates(IDENTITY_AND_CLARIFICATION[:3], regime, calendar)
    assert found.is_paused
    assert found.due_on == date(2026, 4, 10)


def test_california_counts_the_day_of_receipt_and_is_stopped_by_nothing() -> None:
    events = [received(2026, 6, 1), Event(Kind.IDENTITY_ASKED, date(2026, 6, 2)), Event(Kind.PAUSED, date(2026, 6, 2))]
    found = clock.dates(events, Regime.CALIFORNIA, Calendar.US)
    assert found.confirm_by == date(2026, 6, 15)
    assert found.due_on == found.legal_due_on == date(2026, 7, 15)
    extended = clock.dates([*events, Event(Kind.EXTENDED, date(2026, 7, 15))], Regime.CALIFORNIA, Calendar.US)
    assert extended.due_on == date(2026, 8, 29)  # a Saturday: nothing rolls
    late = clock.dates([*events, Event(Kind.EXTENDED, date(2026, 7, 16))], Regime.CALIFORNIA, Calendar.US)
    assert late.due_on == date(2026, 7, 15)


def test_two_requests_of_one_day_have_the_same_dates() -> None:
    found = clock.dates([received(2026, 5, 20)], *EU_DE)
    assert (found.due_on, found.legal_due_on) == (date(2026, 6, 20), date(2026, 6, 22))


def test_what_reached_the_lab_on_friday_counts_from_friday_not_from_the_monday_it_was_written_down() -> None:
    found = clock.dates([received(2026, 5, 4), received(2026, 5, 1)], *EU_DE)
    assert found.received_on == date(2026, 5, 1)
    assert found.due_on == date(2026, 6, 1)


def test_a_later_receipt_never_moves_the_clock_later() -> None:
    assert clock.dates([received(2026, 5, 1), received(2026, 5, 9)], *EU_DE).received_on == date(2026, 5, 1)


def test_what_was_not_received_has_no_clock() -> None:
    with pytest.raises(ValueError, match="not received"):
        clock.dates([Event(Kind.EXTENDED, date(2026, 5, 1))], *EU_DE)


def test_targets_are_two_working_days_and_21_days() -> None:
    found = clock.dates([received(2026, 7, 2)], *EU_DE)  # a Thursday; Friday the 3rd stands for Independence Day
    assert found.acknowledge_by == date(2026, 7, 7)
    assert found.target_on == date(2026, 7, 23)


def test_alarms_ring_14_7_3_and_1_days_before() -> None:
    due = date(2026, 6, 30)
    assert clock.alarms(due) == (date(2026, 6, 16), date(2026, 6, 23), date(2026, 6, 27), date(2026, 6, 29))
    days = [
        date(2026, 6, 15),
        date(2026, 6, 16),
        date(2026, 6, 23),
        date(2026, 6, 28),
        date(2026, 6, 29),
        due,
        date(2026, 7, 9),
    ]
    assert [clock.alarm(due, day) for day in days] == [None, 14, 7, 3, 1, 0, 0]


def test_a_message_at_night_in_europe_was_received_on_the_companys_day() -> None:
    assert clock.company_day(datetime(2026, 5, 2, 3, 30, tzinfo=UTC)) == date(2026, 5, 1)
    with pytest.raises(ValueError, match="time zone"):
        clock.company_day(datetime(2026, 5, 2, 3, 30))


def test_the_last_day_ends_where_the_person_is_or_where_europe_is_earliest() -> None:
    assert clock.expires_at(date(2026, 6, 1)).astimezone(UTC) == datetime(2026, 6, 1, 20, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("country", "region", "switch", "regime"),
    [
        ("DE", None, False, Regime.EU),
        ("NO", None, False, Regime.EU),
        ("GB", None, False, Regime.UK),
        ("US", "MA", True, Regime.US),
        ("US", "CA", False, Regime.US),
        ("US", "California", True, Regime.CALIFORNIA),
        ("CA", "ON", True, Regime.US),
        (None, None, False, Regime.EU),
    ],
)
def test_the_country_chooses_the_clock(country: str | None, region: str | None, switch: bool, regime: Regime) -> None:
    assert clock.regime_for(country, region, california=switch) is regime


def test_holidays_that_are_not_known_roll_nothing_but_a_weekend() -> None:
    assert clock.calendar_for(Regime.EU, "FR") is Calendar.WEEKENDS
    assert clock.dates([received(2026, 11, 25)], Regime.EU, Calendar.WEEKENDS).legal_due_on == date(2026, 12, 25)


@pytest.mark.parametrize(
    ("year", "day"),
    [(2024, date(2024, 3, 31)), (2026, date(2026, 4, 5)), (2038, date(2038, 4, 25)), (2285, date(2285, 3, 22))],
)
def test_easter_falls_where_the_church_says(year: int, day: date) -> None:
    assert clock.easter(year) == day


def test_public_holidays_of_a_year_are_those_in_the_law() -> None:
    assert sorted(clock.holidays(Calendar.DE, 2026)) == [
        date(2026, 1, 1), date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1), date(2026, 5, 14), date(2026, 5, 25),
        date(2026, 10, 3), date(2026, 12, 25), date(2026, 12, 26),
    ]  # fmt: skip
    assert sorted(clock.holidays(Calendar.ENGLAND, 2022)) == [
        date(2022, 1, 3), date(2022, 4, 15), date(2022, 4, 18), date(2022, 5, 2), date(2022, 5, 30), date(2022, 8, 29),
        date(2022, 12, 26), date(2022, 12, 27),
    ]  # fmt: skip
    assert sorted(clock.holidays(Calendar.US, 2021)) == [
        date(2021, 1, 1), date(2021, 1, 18), date(2021, 2, 15), date(2021, 5, 31), date(2021, 6, 18), date(2021, 7, 5),
        date(2021, 9, 6), date(2021, 10, 11), date(2021, 11, 11), date(2021, 11, 25), date(2021, 12, 24),
        date(2021, 12, 31),
    ]  # fmt: skip


DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 12, 31))
EVENTS = st.lists(st.builds(Event, st.sampled_from(Kind), DAYS), max_size=8)
PLACES = st.sampled_from(
    [
        EU_DE,
        (Regime.EU, Calendar.WEEKENDS),
        (Regime.UK, Calendar.ENGLAND),
        (Regime.US, Calendar.US),
        (Regime.CALIFORNIA, Calendar.US),
    ]
)


@given(DAYS, EVENTS, PLACES)
def test_the_limit_of_the_law_is_never_before_the_day_to_work_by(
    day: date, events: list[Event], place: tuple[Regime, Calendar]
) -> None:
    found = clock.dates([Event(Kind.RECEIVED, day), *events], *place)
    assert found.received_on <= day
    assert found.unpaused_due_on <= found.due_on <= found.legal_due_on
    assert (found.legal_due_on - found.due_on).days <= 5


@given(DAYS, EVENTS, PLACES, st.randoms())
def test_dates_do_not_depend_on_the_order_in_which_events_are_read(
    day: date, events: list[Event], place: tuple[Regime, Calendar], random: object
) -> None:
    one_a_day = list({event.on: event for event in [*events, Event(Kind.RECEIVED, day)]}.values())
    shuffled = list(one_a_day)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    if any(event.kind is Kind.RECEIVED for event in one_a_day):
        assert clock.dates(one_a_day, *place) == clock.dates(shuffled, *place)


@given(DAYS, st.integers(min_value=-240, max_value=240))
def test_months_are_clamped_to_the_end_of_the_month(day: date, months: int) -> None:
    found = add_months(day, months)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day <= day.day
