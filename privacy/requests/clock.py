"""The statutory clock: when a request must be answered, recomputed from what happened, never typed in (Art. 12(3)).

What must never happen: a date later than the law's. So a pause counts only once it has ended and only where the law has
one; what comes after the last day moves it no more, so that late stays late (only under Article 12A UK GDPR time that
stands cannot run out); an extension announced too late has no effect; and the day to work by is the date before any
week-end is added. `regimes.toml` says how long each law gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from privacy.calendar import COMPANY, COMPANY_ZONE, FALLBACK_ZONE, add_working_days
from privacy.requests.regimes import Place, Regime, regime_for

__all__ = [
    "Dates", "Event", "Kind", "PauseNotAllowed", "Place", "Regime", "answer_from", "check_pause", "dates", "expires_at", "regime_for",
]  # fmt: skip

ANSWER_TARGET_DAYS = 21
ACKNOWLEDGE_WORKING_DAYS = 2
#: Identity must be asked for this soon after receipt, or it cannot stop the clock.
PAUSE_WITHIN_WORKING_DAYS = 3


class Kind(StrEnum):
    """What happened to a request and moves its clock, in the order in which it counts on one day.

    `identity_received` stands for the proof that somebody may act for the person, too: the clock knows no difference.
    """

    RECEIVED = "received"
    IDENTITY_ASKED = "identity_asked"
    PAUSED = "paused"
    CLARIFICATION_ASKED = "clarification_asked"
    IDENTITY_RECEIVED = "identity_received"
    CLARIFICATION_RECEIVED = "clarification_received"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class Event:
    """One append-only fact about a request: `extended` on the day the notice with its reasons was sent."""

    kind: Kind
    on: date


@dataclass(frozen=True, slots=True)
class Dates:
    """All that follows from the events.

    `due_on` is the day to work by, `legal_due_on` the outer limit (rolled past week-ends and holidays where the law
    does). The `unpaused` pair is what it would be had nothing stopped the clock: shown beside, because no statute of
    the EU knows a pause. `extension_by` is the last day for the notice of an extension, as it stood when the person was
    told, None where the law knows none; `confirm_by` the day by which receipt is confirmed, None where no law asks for
    it. `stands`: the time does not run, by law, until the person has answered (Art. 12A UK GDPR).
    """

    regime: Regime
    received_on: date
    acknowledge_by: date
    target_on: date
    due_on: date
    legal_due_on: date
    unpaused_due_on: date
    unpaused_legal_due_on: date
    extension_by: date | None
    confirm_by: date | None
    is_extended: bool
    is_paused: bool
    stands: bool

    def notice_by(self, today: date) -> date | None:
        """Return the last day for the notice of an extension as it is known `today`: time that stands is not over."""
        return max(self.extension_by, today) if self.extension_by and self.stands else self.extension_by


class PauseNotAllowed(Exception):
    """The clock may not stop here: identity was not asked for in time, or this law knows no pause."""


def answer_from(due_on: date) -> datetime:
    """Return when on the due day the person is answered who has not acted: noon at the company.

    What is written then still goes out on that day, by post and to Europe as well.
    """
    return datetime.combine(due_on, time(12), tzinfo=COMPANY_ZONE)


def expires_at(day: date, zone: ZoneInfo | None = None) -> datetime:
    """Return the last second of `day` where the person is."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone or FALLBACK_ZONE)


# Counting ------------------------------------------------------------------------------------------------------------


def dates(events: Iterable[Event], place: Place) -> Dates:
    """Return every date that follows from the events, in whatever order they come, for a person in `place`.

    Pure: the same events and place give the same dates on every day and machine. The law is that of `place` on the day
    of receipt (`regimes.regime_for`), its months, days, longest time, pause and holidays those of `regimes.toml`;
    several receipts count as the earliest. Then the events are taken day by day, and each counts only while the time
    that follows from those before it is not over (`legal_due_on` is the last day, but no time is over that stands):

    - `extended`: the longer time, from the same start, once;
    - law "asked" (EU): the days from `paused` to `identity_received`, both included, are added when `identity_asked`
      came within three working days of the receipt and not after `paused`, as far as they lie after the receipt;
    - law "law" (UK): `identity_received` after `identity_asked` is the new start; the days from `clarification_asked`
      to `clarification_received`, both included, are added as far as they lie after the start. What was asked for in
      time counts whenever it is answered: until then the time stands.

    A stop that has not ended moves nothing yet. Raises ValueError when nothing was received.
    """
    order = list(Kind)
    happened = sorted(events, key=lambda event: (event.on, order.index(event.kind)))
    received = min((event.on for event in happened if event.kind is Kind.RECEIVED), default=None)
    if received is None:
        raise ValueError("a request that was not received has no clock")
    regime = regime_for(place, received)
    run = _Run.of(happened, regime, place, received)
    unstopped = _Run.of(happened, replace(regime, pause=""), place, received)
    confirm = regime.confirm_working_days
    return Dates(
        regime=regime,
        received_on=received,
        acknowledge_by=add_working_days(received, ACKNOWLEDGE_WORKING_DAYS, COMPANY),
        target_on=min(received + timedelta(days=ANSWER_TARGET_DAYS), run.due_on),
        due_on=run.due_on,
        legal_due_on=run.legal_due_on,
        unpaused_due_on=unstopped.due_on,
        unpaused_legal_due_on=unstopped.legal_due_on,
        extension_by=(run.told_by or run.first_limit) if regime.has_extension else None,
        confirm_by=add_working_days(received, confirm, regime.calendar(place)) if confirm else None,
        is_extended=run.is_extended,
        is_paused=run.is_paused,
        stands=run.stands,
    )


class _Run:
    """The clock of one request, taken through its events in the order in which they happened."""

    def __init__(self, regime: Regime, place: Place, received: date) -> None:
        self.regime, self.place, self.received, self.start = regime, place, received, received
        self.is_extended = self.was_asked_at_once = False
        self.left_out: set[date] = set()
        self.asked: dict[Kind, date] = {}
        #: The last day for the notice of the extension, once it was sent: what comes later moves only the longer time.
        self.told_by: date | None = None

    @classmethod
    def of(cls, happened: Sequence[Event], regime: Regime, place: Place, received: date) -> _Run:
        run = cls(regime, place, received)
        for event in happened:
            run.take(event)
        return run

    @property
    def due_on(self) -> date:
        return self._end(self.is_extended)

    @property
    def legal_due_on(self) -> date:
        return self.regime.rolled(self.due_on, self.place)

    @property
    def first_limit(self) -> date:
        """The last day of the time without an extension."""
        return self.regime.rolled(self._end(False), self.place)

    @property
    def is_paused(self) -> bool:
        return bool(self.asked.keys() & _STOPS.get(self.regime.pause, {}).keys())

    @property
    def stands(self) -> bool:
        """Whether the law itself stops the time: then it does not run out while the person's answer is owed."""
        return self.is_paused and self.regime.pause == "law"

    def _end(self, is_extended: bool) -> date:
        end = self.regime.last_day(self.start, is_extended=is_extended)
        # The day of the start is not counted anyway, nor is any before it.
        return end + timedelta(days=sum(day > self.start for day in self.left_out))

    def take(self, event: Event) -> None:
        in_time = self.stands or event.on <= self.legal_due_on
        opens = _STOPS.get(self.regime.pause, {})
        if event.kind in opens:
            if in_time and self._may_stop(event.kind):
                self.asked.setdefault(event.kind, event.on)  # asking twice is one stop
            return
        for opening, closing in opens.items():
            if event.kind is closing and (since := self.asked.pop(opening, None)) and in_time:
                self._stopped(opening, since, event.on)
        if event.kind is Kind.IDENTITY_ASKED:
            limit = add_working_days(self.received, PAUSE_WITHIN_WORKING_DAYS, self.regime.calendar(self.place))
            self.was_asked_at_once = self.was_asked_at_once or event.on <= limit
        if event.kind is Kind.EXTENDED and self.regime.has_extension and in_time and not self.is_extended:
            self.is_extended, self.told_by = True, self.first_limit

    def _may_stop(self, opening: Kind) -> bool:
        return opening is not Kind.PAUSED or self.was_asked_at_once

    def _stopped(self, opening: Kind, since: date, until: date) -> None:
        if opening is Kind.IDENTITY_ASKED:
            self.start = max(self.start, until)
        else:
            self.left_out.update(since + timedelta(days=number) for number in range((until - since).days + 1))


#: What stops the clock under each law, and what ends that.
_STOPS: dict[str, dict[Kind, Kind]] = {
    "asked": {Kind.PAUSED: Kind.IDENTITY_RECEIVED},
    "law": {Kind.IDENTITY_ASKED: Kind.IDENTITY_RECEIVED, Kind.CLARIFICATION_ASKED: Kind.CLARIFICATION_RECEIVED},
}


# What may still be done ----------------------------------------------------------------------------------------------


def check_pause(events: Iterable[Event], place: Place, *, on: date) -> None:
    """Raise PauseNotAllowed when the clock may not stop on `on` for a doubt about identity (Art. 12(6); never by
    default)."""
    happened = list(events)
    found = dates(happened, place)
    if found.regime.pause != "asked":
        raise PauseNotAllowed("Only the European clock is paused by hand; others follow from their own events.")
    limit = add_working_days(found.received_on, PAUSE_WITHIN_WORKING_DAYS, found.regime.calendar(place))
    if not any(event.kind is Kind.IDENTITY_ASKED and event.on <= limit for event in happened):
        raise PauseNotAllowed(f"Identity was not asked for within {PAUSE_WITHIN_WORKING_DAYS} working days of receipt.")
    if on > found.legal_due_on:
        raise PauseNotAllowed(f"The answer was due by {found.legal_due_on:%-d %B %Y}: late is late.")
