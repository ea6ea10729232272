"""The statutory clock: when a request must be answered, recomputed from what happened, never typed in (Art. 12(3)).

What must never happen: a date later than the law's. So a pause counts only once it has ended and only where the law has
one, an extension announced too late has no effect, and the day to work by is the date before any week-end is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from privacy.requests.workdays import Calendar, add_working_days, easter, holidays, is_working_day, next_working_day
from privacy.retention import jurisdiction
from privacy.retention.periods import add_months

__all__ = [
    "Calendar", "Dates", "Event", "ExtensionTooLate", "Kind", "PauseNotAllowed", "Regime", "add_months",
    "add_working_days", "alarm", "alarms", "answer_from", "calendar_for", "check_extension", "check_pause", "company_day", "dates",
    "easter", "expires_at", "holidays", "is_working_day", "next_working_day", "regime_for",
]  # fmt: skip

#: Where a day begins and ends for the company, and the last zone of Europe for a person whose own is not known.
COMPANY_ZONE = ZoneInfo("America/New_York")
FALLBACK_ZONE = ZoneInfo("Europe/Helsinki")

ALARM_DAYS = (14, 7, 3, 1)
ANSWER_TARGET_DAYS = 21
ACKNOWLEDGE_WORKING_DAYS = 2
#: Identity must be asked for this soon after receipt, or it cannot stop the clock.
PAUSE_WITHIN_WORKING_DAYS = 3


class Regime(StrEnum):
    """Whose clock runs. Everybody has a right to an answer; the policy gives all others the European month."""

    EU = "eu"
    UK = "uk"
    CALIFORNIA = "california"
    US = "us"


class Kind(StrEnum):
    """What happened to a request and moves its clock."""

    RECEIVED = "received"
    EXTENDED = "extended"
    IDENTITY_ASKED = "identity_asked"
    PAUSED = "paused"
    IDENTITY_RECEIVED = "identity_received"
    CLARIFICATION_ASKED = "clarification_asked"
    CLARIFICATION_RECEIVED = "clarification_received"


@dataclass(frozen=True, slots=True)
class Event:
    """One append-only fact about a request: `extended` on the day the notice with its reasons was sent."""

    kind: Kind
    on: date


@dataclass(frozen=True, slots=True)
class Dates:
    """All that follows from the events.

    `due_on` is the day to work by, `legal_due_on` the outer limit (rolled past week-ends and holidays). The `unpaused`
    pair is the same without any pause: shown beside, because no statute of the EU knows a pause. `extension_by` is the
    last day for the notice; `confirm_by` California's day to confirm receipt.
    """

    regime: Regime
    received_on: date
    acknowledge_by: date
    target_on: date
    due_on: date
    legal_due_on: date
    unpaused_due_on: date
    unpaused_legal_due_on: date
    extension_by: date
    confirm_by: date | None
    is_extended: bool
    is_paused: bool


class ExtensionTooLate(Exception):
    """The notice of an extension comes after the last day for it: a breach of the deadline, not an extension."""


class PauseNotAllowed(Exception):
    """The clock may not stop here: identity was not asked for in time, or this law knows no pause."""


# Which clock ---------------------------------------------------------------------------------------------------------


def regime_for(country: str | None, region: str | None = None, *, california: bool = False) -> Regime:
    """Return the regime of a person in `country` and `region`; California only where the company switched it on."""
    if california and (country or "").upper() == "US" and (region or "").upper() in {"CA", "CALIFORNIA"}:
        return Regime.CALIFORNIA
    return Regime(jurisdiction.of(country).lower())


def calendar_for(regime: Regime, country: str | None = None) -> Calendar:
    """Return whose holidays the outer limit rolls past. Unknown holidays roll nothing: earlier is safe."""
    if regime is Regime.UK:
        return Calendar.ENGLAND
    if regime in (Regime.US, Regime.CALIFORNIA):
        return Calendar.US
    return Calendar.DE if (country or "").upper() == "DE" else Calendar.WEEKENDS


def company_day(moment: datetime) -> date:
    """Return the company's day at an aware moment: the day of receipt, never later than the European one.

    Raises ValueError for a naive moment.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no day")
    return moment.astimezone(COMPANY_ZONE).date()


def answer_from(due_on: date) -> datetime:
    """Return when on the due day the person is answered who has not acted: noon at the company.

    What is written then still goes out on that day, by post and to Europe as well.
    """
    return datetime.combine(due_on, time(12), tzinfo=COMPANY_ZONE)


def expires_at(day: date, zone: ZoneInfo | None = None) -> datetime:
    """Return the last second of `day` where the person is."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone or FALLBACK_ZONE)


# Counting ------------------------------------------------------------------------------------------------------------


def dates(events: Iterable[Event], regime: Regime, calendar: Calendar) -> Dates:
    """Return every date that follows from the events, in whatever order they come.

    Several receipts count as the earliest. An extension announced after `extension_by` has no effect. A pause counts
    once it has ended; until then the dates are those without it. Raises ValueError when nothing was received.
    """
    happened = sorted(events, key=lambda event: event.on)
    receipts = [event.on for event in happened if event.kind is Kind.RECEIVED]
    if not receipts:
        raise ValueError("a request that was not received has no clock")
    received = min(receipts)
    if regime is Regime.CALIFORNIA:
        return _california(happened, received, calendar)

    starts, pauses = received, 0
    if regime is Regime.UK:
        # Art. 12A: the month runs from the latest of request and identity; days of clarification do not count.
        answers = [
            asked_to for _, asked_to in _spans(happened, Kind.IDENTITY_ASKED, Kind.IDENTITY_RECEIVED) if asked_to
        ]
        starts = max([received, *answers])
        pauses = _days(_spans(happened, Kind.CLARIFICATION_ASKED, Kind.CLARIFICATION_RECEIVED))
    elif _pause_in_time(happened, received, calendar):
        pauses = _days(_spans(happened, Kind.PAUSED, Kind.IDENTITY_RECEIVED))
    waiting = Kind.CLARIFICATION_ASKED if regime is Regime.UK else Kind.PAUSED
    ended = Kind.CLARIFICATION_RECEIVED if regime is Regime.UK else Kind.IDENTITY_RECEIVED
    is_paused = any(to is None for _, to in _spans(happened, waiting, ended))
    if regime is Regime.UK:
        is_paused = is_paused or any(
            to is None for _, to in _spans(happened, Kind.IDENTITY_ASKED, Kind.IDENTITY_RECEIVED)
        )

    shift = timedelta(days=pauses)
    extension_by = next_working_day(add_months(starts, 1) + shift, calendar)
    extended = _announced(happened, extension_by)
    months = 3 if extended else 1
    # From the original day, never from one that was rolled (31 January + 3 months is 30 April).
    due, unpaused = add_months(starts, months) + shift, add_months(received, months)
    return Dates(
        regime=regime,
        received_on=received,
        acknowledge_by=add_working_days(received, ACKNOWLEDGE_WORKING_DAYS, Calendar.US),
        target_on=received + timedelta(days=ANSWER_TARGET_DAYS),
        due_on=due,
        legal_due_on=next_working_day(due, calendar),
        unpaused_due_on=unpaused,
        unpaused_legal_due_on=next_working_day(unpaused, calendar),
        extension_by=extension_by,
        confirm_by=None,
        is_extended=extended,
        is_paused=is_paused,
    )


def _california(happened: Sequence[Event], received: date, calendar: Calendar) -> Dates:
    """45 calendar days, the day of receipt the first; once 90 with notice; checking identity stops nothing."""
    first_limit = received + timedelta(days=44)
    extended = _announced(happened, first_limit)
    due = received + timedelta(days=89) if extended else first_limit
    return Dates(
        regime=Regime.CALIFORNIA,
        received_on=received,
        acknowledge_by=add_working_days(received, ACKNOWLEDGE_WORKING_DAYS, Calendar.US),
        target_on=received + timedelta(days=ANSWER_TARGET_DAYS),
        due_on=due,
        legal_due_on=due,
        unpaused_due_on=due,
        unpaused_legal_due_on=due,
        extension_by=first_limit,
        confirm_by=add_working_days(received, 10, calendar),
        is_extended=extended,
        is_paused=False,
    )


def _announced(happened: Iterable[Event], by: date) -> bool:
    return any(event.kind is Kind.EXTENDED and event.on <= by for event in happened)


def _spans(happened: Iterable[Event], opening: Kind, closing: Kind) -> list[tuple[date, date | None]]:
    """Return (asked, answered) pairs in order; answered is None for one still open. Asking twice is one span."""
    spans: list[tuple[date, date | None]] = []
    since: date | None = None
    for event in happened:
        if event.kind is opening and since is None:
            since = event.on
        elif event.kind is closing and since is not None:
            spans.append((since, event.on))
            since = None
    return [*spans, (since, None)] if since is not None else spans


def _days(spans: Iterable[tuple[date, date | None]]) -> int:
    """Return the days of all ended spans, first and last day counted; a day in two spans once."""
    counted = {start + timedelta(days=n) for start, end in spans if end for n in range((end - start).days + 1)}
    return len(counted)


def _pause_in_time(happened: Iterable[Event], received: date, calendar: Calendar) -> bool:
    limit = add_working_days(received, PAUSE_WITHIN_WORKING_DAYS, calendar)
    return any(event.kind is Kind.IDENTITY_ASKED and event.on <= limit for event in happened)


def check_extension(events: Iterable[Event], regime: Regime, calendar: Calendar, *, on: date) -> None:
    """Raise ExtensionTooLate when a notice sent on `on` would come after the last day for it."""
    by = dates(events, regime, calendar).extension_by
    if on > by:
        raise ExtensionTooLate(f"The notice of an extension had to be sent by {by:%-d %B %Y}.")


def check_pause(events: Iterable[Event], regime: Regime, calendar: Calendar) -> None:
    """Raise PauseNotAllowed when the clock may not stop for a doubt about identity (Art. 12(6); never by default)."""
    happened = list(events)
    if regime is not Regime.EU:
        raise PauseNotAllowed("Only the European clock is paused by hand; others follow from their own events.")
    if not _pause_in_time(happened, dates(happened, regime, calendar).received_on, calendar):
        raise PauseNotAllowed(f"Identity was not asked for within {PAUSE_WITHIN_WORKING_DAYS} working days of receipt.")


def alarms(due_on: date) -> tuple[date, ...]:
    """Return the days on which somebody is told, earliest first: 14, 7, 3 and 1 day before."""
    return tuple(due_on - timedelta(days=days) for days in ALARM_DAYS)


def alarm(due_on: date, today: date) -> int | None:
    """Return the rung of the ladder reached on `today`: 14, 7, 3, 1, 0 (due or overdue), or None before the first."""
    left = (due_on - today).days
    return 0 if left <= 0 else min((days for days in ALARM_DAYS if left <= days), default=None)
