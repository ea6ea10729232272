"""The clock, by the scenarios of the law: every date was computed by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.calendar import add_months, company_day
from privacy.requests import clock
from privacy.requests.clock import Event, Kind, Place

GERMANY, BAVARIA, FRANCE = Place("DE"), Place("DE", "BY"), Place("FR")
ENGLAND, SCOTLAND, NORTHERN_IRELAND = Place("GB", "ENG"), Place("GB", "SCT"), Place("GB", "NIR")
BRITAIN = Place("GB")  # which part of it is not known
CALIFORNIA = Place("US", "CA", switched_on=frozenset({"CALIFORNIA"}))
CANADA, SWITZERLAND, BRAZIL, MASSACHUSETTS, AUSTRALIA = (
    Place("CA", "ON"), Place("CH"), Place("BR"), Place("US", "MA"), Place("AU"),
)  # fmt: skip
PLACES = [
    GERMANY, BAVARIA, FRANCE, ENGLAND, SCOTLAND, NORTHERN_IRELAND, BRITAIN, CALIFORNIA, CANADA, SWITZERLAND, BRAZIL, MASSACHUSETTS,
    AUSTRALIA, Place(),
]  # fmt: skip


def received(year: int, month: int, day: int) -> Event:
    return Event(Kind.RECEIVED, date(year, month, day))


def on(kind: Kind, text: str) -> Event:
    return Event(kind, date.fromisoformat(text))


def got(text: str, place: Place, *more: Event) -> tuple[date, date]:
    found = clock.dates([on(Kind.RECEIVED, text), *more], place)
    return found.due_on, found.legal_due_on


def days(*texts: str) -> tuple[date, ...]:
    return tuple(map(date.fromisoformat, texts))


# The scenarios of the law, by their numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "raw", "legal"),
    [
        ("2025-01-31", "2025-02-28", "2025-02-28"),
        ("2026-01-31", "2026-02-28", "2026-03-02"),
        ("2027-01-31", "2027-02-28", "2027-03-01"),
        ("2028-01-31", "2028-02-29", "2028-02-29"),
    ],
)
def test_scenario_1_31_january_is_due_on_the_last_day_of_february(day: str, raw: str, legal: str) -> None:
    assert got(day, GERMANY) == days(raw, legal)


def test_scenario_2_a_limit_on_christmas_rolls_past_each_countrys_own_holidays() -> None:
    assert got("2026-11-25", GERMANY) == days("2026-12-25", "2026-12-28")
    for place in (ENGLAND, SCOTLAND, NORTHERN_IRELAND, BRITAIN):  # 28 December stands for Boxing Day, a Saturday
        assert got("2026-11-25", place) == days("2026-12-25", "2026-12-29")


def test_scenario_2_a_limit_on_easter_monday_rolls_to_tuesday_but_the_day_to_work_by_stays() -> None:
    assert got("2026-03-06", GERMANY) == days("2026-04-06", "2026-04-07")


def test_scenario_3_an_extension_announced_in_time_gives_three_months_from_receipt() -> None:
    events = [received(2026, 3, 31)]
    assert clock.dates(events, GERMANY).extension_by == date(2026, 4, 30)
    found = clock.dates([*events, on(Kind.EXTENDED, "2026-04-30")], GERMANY)
    assert found.is_extended
    assert (found.due_on, found.legal_due_on) == days("2026-06-30", "2026-06-30")


def test_scenario_3_an_extension_counts_from_the_original_day_not_from_the_rolled_one() -> None:
    events = [received(2026, 1, 31), on(Kind.EXTENDED, "2026-03-02")]
    found = clock.dates(events, GERMANY)
    assert found.extension_by == date(2026, 3, 2)
    assert found.legal_due_on == date(2026, 4, 30)  # not 2 May


def test_scenario_3_an_extension_announced_a_day_late_is_refused_and_changes_nothing() -> None:
    events = [received(2026, 3, 31)]
    assert clock.dates(events, GERMANY).notice_by(date(2026, 5, 1)) == date(2026, 4, 30)
    found = clock.dates([*events, on(Kind.EXTENDED, "2026-05-01")], GERMANY)
    assert not found.is_extended
    assert found.due_on == date(2026, 4, 30)


IDENTITY_AND_CLARIFICATION = [
    received(2026, 3, 10),
    on(Kind.IDENTITY_ASKED, "2026-03-12"),
    on(Kind.PAUSED, "2026-03-12"),
    on(Kind.IDENTITY_RECEIVED, "2026-03-20"),
    on(Kind.CLARIFICATION_ASKED, "2026-04-13"),
    on(Kind.CLARIFICATION_RECEIVED, "2026-04-17"),
]


@pytest.mark.parametrize("place", [ENGLAND, SCOTLAND, NORTHERN_IRELAND, BRITAIN])
def test_scenario_4_the_british_month_runs_from_the_identity_and_leaves_out_the_days_of_clarification(
    place: Place,
) -> None:
    until_identity = clock.dates(IDENTITY_AND_CLARIFICATION[:4], place)
    assert until_identity.due_on == date(2026, 4, 20)
    found = clock.dates(IDENTITY_AND_CLARIFICATION, place)
    assert (found.due_on, found.legal_due_on) == days("2026-04-25", "2026-04-27")
    assert (found.unpaused_due_on, found.unpaused_legal_due_on) == days("2026-04-10", "2026-04-10")


def test_scenario_4_the_european_pause_is_shown_beside_the_date_without_it() -> None:
    found = clock.dates(IDENTITY_AND_CLARIFICATION, GERMANY)
    assert found.unpaused_due_on == date(2026, 4, 10)
    # 12 to 20 March are nine days; clarification stops nothing here.
    assert (found.due_on, found.legal_due_on) == days("2026-04-19", "2026-04-20")


def test_scenario_5_california_counts_the_day_of_receipt_and_is_stopped_by_nothing() -> None:
    events = [received(2026, 6, 1), on(Kind.IDENTITY_ASKED, "2026-06-02"), on(Kind.PAUSED, "2026-06-02")]
    found = clock.dates(events, CALIFORNIA)
    assert found.confirm_by == date(2026, 6, 15)
    assert found.due_on == found.legal_due_on == date(2026, 7, 15)
    extended = clock.dates([*events, on(Kind.EXTENDED, "2026-07-15")], CALIFORNIA)
    assert extended.due_on == date(2026, 8, 29)  # a Saturday: nothing rolls
    late = clock.dates([*events, on(Kind.EXTENDED, "2026-07-16")], CALIFORNIA)
    assert late.due_on == date(2026, 7, 15)


def test_scenario_13_two_requests_of_one_day_have_the_same_dates() -> None:
    assert got("2026-05-20", GERMANY) == days("2026-06-20", "2026-06-22")


def test_scenario_24_what_reached_the_lab_on_friday_counts_from_friday_not_from_the_monday_it_was_written_down() -> (
    None
):
    found = clock.dates([received(2026, 5, 4), received(2026, 5, 1)], GERMANY)
    assert found.received_on == date(2026, 5, 1)
    assert found.due_on == date(2026, 6, 1)


# The dates that were added in November 2026 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "day", "raw", "legal"),
    [
        (GERMANY, "2026-08-31", "2026-09-30", "2026-09-30"),
        (GERMANY, "2027-01-31", "2027-02-28", "2027-03-01"),
        (GERMANY, "2028-02-29", "2028-03-29", "2028-03-29"),
        (GERMANY, "2026-11-30", "2026-12-30", "2026-12-30"),
        (GERMANY, "2026-12-31", "2027-01-31", "2027-02-01"),
        # Easter 2027: Friday 26 to Monday 29 March, which is no bank holiday in Scotland.
        (GERMANY, "2027-02-26", "2027-03-26", "2027-03-30"),
        (GERMANY, "2027-02-27", "2027-03-27", "2027-03-30"),
        (GERMANY, "2027-02-28", "2027-03-28", "2027-03-30"),
        (ENGLAND, "2027-02-26", "2027-03-26", "2027-03-30"),
        (ENGLAND, "2027-02-27", "2027-03-27", "2027-03-30"),
        (ENGLAND, "2027-02-28", "2027-03-28", "2027-03-30"),
        (NORTHERN_IRELAND, "2027-02-26", "2027-03-26", "2027-03-30"),
        (SCOTLAND, "2027-02-26", "2027-03-26", "2027-03-29"),
        (SCOTLAND, "2027-02-27", "2027-03-27", "2027-03-29"),
        (SCOTLAND, "2027-02-28", "2027-03-28", "2027-03-29"),
        (BRITAIN, "2027-02-26", "2027-03-26", "2027-03-29"),
        (BRITAIN, "2027-02-28", "2027-03-28", "2027-03-29"),
        (GERMANY, "2027-04-06", "2027-05-06", "2027-05-07"),  # Ascension
        (GERMANY, "2027-04-17", "2027-05-17", "2027-05-18"),  # Whit Monday
        (ENGLAND, "2027-11-25", "2027-12-25", "2027-12-29"),
        (ENGLAND, "2027-11-26", "2027-12-26", "2027-12-29"),
        (ENGLAND, "2027-11-27", "2027-12-27", "2027-12-29"),
        (ENGLAND, "2027-11-28", "2027-12-28", "2027-12-29"),
        (ENGLAND, "2027-12-03", "2028-01-03", "2028-01-04"),
    ],
)
def test_law_7_a_month_is_over(place: Place, day: str, raw: str, legal: str) -> None:
    assert got(day, place) == days(raw, legal)


@pytest.mark.parametrize(
    ("place", "day", "by", "raw", "legal"),
    [
        (GERMANY, "2026-08-31", "2026-09-30", "2026-11-30", "2026-11-30"),
        (GERMANY, "2027-01-31", "2027-03-01", "2027-04-30", "2027-04-30"),
        (GERMANY, "2028-02-29", "2028-03-29", "2028-05-29", "2028-05-29"),
        (ENGLAND, "2028-02-29", "2028-03-29", "2028-05-29", "2028-05-30"),
        (GERMANY, "2028-01-30", "2028-02-29", "2028-04-30", "2028-05-02"),
        (GERMANY, "2026-11-30", "2026-12-30", "2027-02-28", "2027-03-01"),
    ],
)
def test_law_7_an_extended_time_is_over(place: Place, day: str, by: str, raw: str, legal: str) -> None:
    assert clock.dates([on(Kind.RECEIVED, day)], place).extension_by == date.fromisoformat(by)
    assert got(day, place, on(Kind.EXTENDED, by)) == days(raw, legal)
    the_day_after = Event(Kind.EXTENDED, date.fromisoformat(by) + timedelta(days=1))
    assert got(day, place, the_day_after) == got(day, place)


def test_law_7_identity_and_clarification_asked_on_one_day_are_not_counted_twice() -> None:
    asked = [on(Kind.IDENTITY_ASKED, "2026-03-11"), on(Kind.CLARIFICATION_ASKED, "2026-03-11")]
    proved = [on(Kind.IDENTITY_RECEIVED, "2026-03-20"), on(Kind.CLARIFICATION_RECEIVED, "2026-03-20")]
    assert got("2026-03-10", ENGLAND, *asked, *proved) == days("2026-04-20", "2026-04-20")


def test_of_a_clarification_that_outlasts_the_identity_only_the_days_after_that_count() -> None:
    events = [
        on(Kind.IDENTITY_ASKED, "2026-03-11"), on(Kind.CLARIFICATION_ASKED, "2026-03-11"),
        on(Kind.IDENTITY_RECEIVED, "2026-03-20"), on(Kind.CLARIFICATION_RECEIVED, "2026-03-23"),
    ]  # fmt: skip
    assert got("2026-03-10", ENGLAND, *events) == days("2026-04-23", "2026-04-23")


@pytest.mark.parametrize("asked", [(), (on(Kind.IDENTITY_ASKED, "2026-11-02"),)])
def test_law_7_a_british_identity_proved_late_leaves_late_late(asked: tuple[Event, ...]) -> None:
    found = clock.dates([received(2026, 9, 30), *asked, on(Kind.IDENTITY_RECEIVED, "2026-11-29")], ENGLAND)
    assert (found.due_on, found.legal_due_on) == days("2026-10-30", "2026-10-30")
    assert not found.is_paused


@pytest.mark.parametrize("proved", ["2026-04-10", "2026-04-11", "2026-07-20"])
def test_the_british_month_runs_from_an_identity_asked_for_in_time_whenever_it_is_proved(proved: str) -> None:
    asked = on(Kind.IDENTITY_ASKED, "2026-04-10")
    a_month_on = add_months(date.fromisoformat(proved), 1)
    assert got("2026-03-10", ENGLAND, asked, on(Kind.IDENTITY_RECEIVED, proved))[0] == a_month_on
    the_day_after = on(Kind.IDENTITY_ASKED, "2026-04-11")
    assert got("2026-03-10", ENGLAND, the_day_after, on(Kind.IDENTITY_RECEIVED, proved))[0] == date(2026, 4, 10)


def test_british_days_of_clarification_do_not_count_though_the_answer_comes_after_the_month() -> None:
    clarified = [on(Kind.CLARIFICATION_ASKED, "2026-04-08"), on(Kind.CLARIFICATION_RECEIVED, "2026-04-20")]
    assert got("2026-03-10", ENGLAND, *clarified) == days("2026-04-23", "2026-04-23")


def test_while_a_british_answer_is_owed_the_notice_of_an_extension_is_in_time() -> None:
    asked = [received(2026, 3, 10), on(Kind.IDENTITY_ASKED, "2026-03-12")]
    assert clock.dates(asked, ENGLAND).notice_by(date(2026, 4, 20)) == date(2026, 4, 20)
    told = [*asked, on(Kind.EXTENDED, "2026-04-20"), on(Kind.IDENTITY_RECEIVED, "2026-05-04")]
    found = clock.dates(told, ENGLAND)
    assert (found.is_extended, found.due_on) == (True, date(2026, 8, 4))
    assert found.unpaused_due_on == date(2026, 4, 10)
    paused = clock.dates([*asked, on(Kind.PAUSED, "2026-03-12")], GERMANY)
    assert paused.notice_by(date(2026, 4, 20)) == date(2026, 4, 10)


@pytest.mark.parametrize("place", [ENGLAND, GERMANY])
def test_what_stops_the_longer_time_does_not_move_the_last_day_for_its_notice(place: Place) -> None:
    events = [
        received(2026, 3, 10), on(Kind.IDENTITY_ASKED, "2026-03-10"), on(Kind.EXTENDED, "2026-03-11"),
        on(Kind.PAUSED, "2026-05-04"), on(Kind.CLARIFICATION_ASKED, "2026-05-04"),
        on(Kind.CLARIFICATION_RECEIVED, "2026-05-08"), on(Kind.IDENTITY_RECEIVED, "2026-05-08"),
    ]  # fmt: skip
    assert clock.dates(events, place).extension_by == date(2026, 4, 10)


def test_law_7_a_european_pause_asked_after_the_due_day_counts_nothing() -> None:
    asked = on(Kind.IDENTITY_ASKED, "2026-03-12")
    late = [asked, on(Kind.PAUSED, "2026-04-13"), on(Kind.IDENTITY_RECEIVED, "2026-04-20")]
    found = clock.dates([received(2026, 3, 10), *late], GERMANY)
    assert (found.due_on, found.legal_due_on, found.is_paused) == (*days("2026-04-10", "2026-04-10"), False)
    assert not clock.dates([received(2026, 3, 10), *late[:2]], GERMANY).is_paused
    with pytest.raises(clock.PauseNotAllowed, match="due by 10 April 2026"):
        clock.check_pause([received(2026, 3, 10), asked], GERMANY, on=date(2026, 4, 13))


def test_time_travel_an_identity_proved_after_the_day_leaves_a_paused_request_late() -> None:
    events = [received(2026, 3, 10), on(Kind.IDENTITY_ASKED, "2026-03-12"), on(Kind.PAUSED, "2026-03-12")]
    found = clock.dates([*events, on(Kind.IDENTITY_RECEIVED, "2026-04-11")], GERMANY)
    assert (found.due_on, found.is_paused) == (date(2026, 4, 10), False)


@pytest.mark.parametrize(
    ("day", "confirm", "answer", "longest"),
    [
        ("2026-08-31", "2026-09-15", "2026-10-14", "2026-11-28"),
        ("2026-11-30", "2026-12-14", "2027-01-13", "2027-02-27"),
    ],
)
def test_law_7_the_days_of_california(day: str, confirm: str, answer: str, longest: str) -> None:
    found = clock.dates([on(Kind.RECEIVED, day)], CALIFORNIA)
    assert (found.confirm_by, found.due_on, found.extension_by) == days(confirm, answer, answer)
    assert got(day, CALIFORNIA, on(Kind.EXTENDED, answer)) == days(longest, longest)


@pytest.mark.parametrize(
    ("place", "day", "due", "longest"),
    [
        (BRAZIL, "2026-11-20", "2026-12-05", None),  # a Saturday: nothing rolls
        (SWITZERLAND, "2026-11-20", "2026-12-20", "2027-01-19"),
        (SWITZERLAND, "2027-01-31", "2027-03-02", "2027-04-01"),
        (CANADA, "2026-12-01", "2026-12-31", "2027-01-30"),
        (Place("CA"), "2026-07-31", "2026-08-30", "2026-09-29"),
    ],
)
def test_law_7_shorter_times_elsewhere_are_days(place: Place, day: str, due: str, longest: str | None) -> None:
    assert got(day, place) == days(due, due)
    extended = on(Kind.EXTENDED, due)
    assert got(day, place, extended) == days(*([longest or due] * 2))
    assert (clock.dates([on(Kind.RECEIVED, day)], place).extension_by is None) == (longest is None)


def test_brazil_has_no_longer_time_and_its_target_is_not_after_its_last_day() -> None:
    found = clock.dates([received(2026, 11, 20)], BRAZIL)
    assert found.notice_by(date(2026, 11, 21)) is None
    assert found.target_on == date(2026, 12, 5)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2027-01-01T04:30:00+00:00", "2026-12-31"),  # 31 December, 23:30 in New York
        ("2026-11-01T03:59:59+00:00", "2026-10-31"),
        ("2026-11-01T04:00:00+00:00", "2026-11-01"),
        ("2026-11-02T04:59:59+00:00", "2026-11-01"),  # the day of 25 hours
        ("2026-11-02T05:00:00+00:00", "2026-11-02"),
        ("2027-03-14T04:59:59+00:00", "2027-03-13"),
        ("2027-03-14T05:00:00+00:00", "2027-03-14"),
        ("2027-03-15T03:59:59+00:00", "2027-03-14"),  # the day of 23 hours
        ("2027-03-15T04:00:00+00:00", "2027-03-15"),
        ("2026-10-25T03:59:59+00:00", "2026-10-24"),  # clocks change in Europe, not here
        ("2026-10-25T04:00:00+00:00", "2026-10-25"),
        ("2027-03-28T03:59:59+00:00", "2027-03-27"),
        ("2027-03-28T04:00:00+00:00", "2027-03-28"),
    ],
)
def test_law_7_the_day_of_receipt_is_that_of_new_york_also_when_clocks_change(moment: str, day: str) -> None:
    assert company_day(datetime.fromisoformat(moment)) == date.fromisoformat(day)


# What else the clock does ---------------------------------------------------------------------------------------------


def test_before_article_12a_the_british_month_runs_from_the_receipt() -> None:
    events = [on(Kind.IDENTITY_ASKED, "2026-02-06"), on(Kind.IDENTITY_RECEIVED, "2026-02-16")]
    assert got("2026-02-04", ENGLAND, *events)[0] == date(2026, 3, 4)
    assert got("2026-02-05", ENGLAND, *events)[0] == date(2026, 3, 16)


def test_asking_for_identity_alone_does_not_stop_the_european_clock() -> None:
    events = [event for event in IDENTITY_AND_CLARIFICATION if event.kind is not Kind.PAUSED]
    assert clock.dates(events, GERMANY).due_on == date(2026, 4, 10)


def test_a_pause_asked_for_after_three_working_days_has_no_effect() -> None:
    late = [
        received(2026, 3, 10),
        on(Kind.IDENTITY_ASKED, "2026-03-16"),
        on(Kind.PAUSED, "2026-03-16"),
        on(Kind.IDENTITY_RECEIVED, "2026-03-20"),
    ]
    assert clock.dates(late, GERMANY).due_on == date(2026, 4, 10)
    with pytest.raises(clock.PauseNotAllowed, match="3 working days"):
        clock.check_pause(late, GERMANY, on=date(2026, 3, 16))
    clock.check_pause([late[0], on(Kind.IDENTITY_ASKED, "2026-03-13")], GERMANY, on=date(2026, 3, 13))


@pytest.mark.parametrize("place", [ENGLAND, CALIFORNIA, MASSACHUSETTS, BRAZIL, SWITZERLAND, CANADA])
def test_only_the_european_clock_is_paused_by_hand(place: Place) -> None:
    with pytest.raises(clock.PauseNotAllowed, match="European"):
        clock.check_pause([received(2026, 3, 10)], place, on=date(2026, 3, 10))


@pytest.mark.parametrize("place", [GERMANY, ENGLAND])
def test_a_pause_that_has_not_ended_moves_nothing_but_is_told(place: Place) -> None:
    found = clock.dates(IDENTITY_AND_CLARIFICATION[:3], place)
    assert found.is_paused
    assert found.due_on == date(2026, 4, 10)


def test_the_day_of_receipt_is_not_counted_in_a_pause_either() -> None:
    paused = [
        on(Kind.IDENTITY_ASKED, "2026-03-10"),
        on(Kind.PAUSED, "2026-03-10"),
        on(Kind.IDENTITY_RECEIVED, "2026-03-13"),
    ]
    assert got("2026-03-10", GERMANY, *paused)[0] == date(2026, 4, 13)
    clarified = [on(Kind.CLARIFICATION_ASKED, "2026-03-10"), on(Kind.CLARIFICATION_RECEIVED, "2026-03-13")]
    assert got("2026-03-10", ENGLAND, *clarified)[0] == date(2026, 4, 13)


def test_a_later_receipt_never_moves_the_clock_later() -> None:
    assert clock.dates([received(2026, 5, 1), received(2026, 5, 9)], GERMANY).received_on == date(2026, 5, 1)


def test_what_was_not_received_has_no_clock() -> None:
    with pytest.raises(ValueError, match="not received"):
        clock.dates([on(Kind.EXTENDED, "2026-05-01")], GERMANY)


def test_targets_are_two_working_days_and_21_days() -> None:
    found = clock.dates([received(2026, 7, 2)], GERMANY)  # a Thursday; Friday the 3rd stands for Independence Day
    assert found.acknowledge_by == date(2026, 7, 7)
    assert found.target_on == date(2026, 7, 23)


def test_a_message_at_night_in_europe_was_received_on_the_companys_day() -> None:
    assert company_day(datetime(2026, 5, 2, 3, 30, tzinfo=UTC)) == date(2026, 5, 1)
    with pytest.raises(ValueError, match="time zone"):
        company_day(datetime(2026, 5, 2, 3, 30))


def test_the_last_day_ends_where_the_person_is_or_where_europe_is_earliest() -> None:
    assert clock.expires_at(date(2026, 6, 1)).astimezone(UTC) == datetime(2026, 6, 1, 20, 59, 59, tzinfo=UTC)


DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 12, 31))
EVENTS = st.lists(st.builds(Event, st.sampled_from(Kind), DAYS), max_size=8)
NEAR = st.lists(st.tuples(st.sampled_from(Kind), st.integers(min_value=0, max_value=120)), max_size=8)


@given(DAYS, EVENTS, st.sampled_from(PLACES))
def test_the_limit_of_the_law_is_never_before_the_day_to_work_by(day: date, events: list[Event], place: Place) -> None:
    found = clock.dates([Event(Kind.RECEIVED, day), *events], place)
    assert found.received_on <= day
    assert found.unpaused_due_on <= found.due_on <= found.legal_due_on
    assert (found.legal_due_on - found.due_on).days <= 5
    assert found.target_on <= found.due_on


@given(DAYS, EVENTS, st.sampled_from(PLACES), st.randoms())
def test_dates_do_not_depend_on_the_order_in_which_events_are_read(
    day: date, events: list[Event], place: Place, random: object
) -> None:
    everything = [*events, Event(Kind.RECEIVED, day)]
    shuffled = list(everything)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert clock.dates(everything, place) == clock.dates(shuffled, place)


@given(DAYS, NEAR, st.sampled_from(PLACES))
def test_time_travel_what_happens_after_the_day_moves_nothing(
    day: date, after: list[tuple[Kind, int]], place: Place
) -> None:
    """Taken day by day, a request that is late on one day is late on every day that follows, whatever is proved.

    Save where a British answer is owed: the time there does not run, so it is not over.
    """
    events = sorted((Event(kind, day + timedelta(days=number)) for kind, number in after), key=lambda one: one.on)
    so_far = [Event(Kind.RECEIVED, day)]
    for event in events:
        before = clock.dates(so_far, place)
        so_far.append(event)
        if event.on > before.legal_due_on and not before.stands:
            now = clock.dates(so_far, place)
            assert replace(now, is_paused=before.is_paused) == before


@given(DAYS, NEAR, st.sampled_from([BRITAIN, GERMANY, FRANCE, Place("ES"), Place("IE")]))
def test_where_the_part_of_the_country_is_not_known_the_limit_is_not_later_than_in_any_part(
    day: date, after: list[tuple[Kind, int]], place: Place
) -> None:
    events = [Event(Kind.RECEIVED, day)]
    parts = {"GB": ("ENG", "SCT", "NIR", "WLS"), "DE": ("BY", "BE", "NW"), "FR": ("57", "6AE"), "ES": ("CT", "MD")}
    found = clock.dates(events, place).legal_due_on
    for part in parts.get(place.country, ("",)):
        assert found <= clock.dates(events, replace(place, region=part)).legal_due_on
