"""Why something is kept and until when: the parts of a schedule. Values only; `rules` reads them from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from privacy.calendar.periods import Period
from privacy.facts import Facts
from privacy.retention import jurisdiction

PARTIES = ("person", "contact", "company")


class ScheduleError(ValueError):
    """A schedule that cannot be used; its text is one sentence that names the place."""


@dataclass(frozen=True, eq=False)  # one object each: a set of them is a set of rules
class Authority:
    """What is told about a ground, by jurisdiction; `law_of` names those whose own law it is."""

    name: str
    texts: Mapping[str, str]
    law_of: frozenset[str]


@dataclass(frozen=True)
class Overlay:
    """A switch of the company that adds reasons: longer periods of another country's law."""

    name: str
    title: str
    source: str
    lawyer_confirmed_by: str
    lawyer_confirmed_on: str

    @property
    def is_confirmed(self) -> bool:
        """Whether a lawyer, by name and day, stands behind it."""
        return bool(self.lawyer_confirmed_by and self.lawyer_confirmed_on)


@dataclass(frozen=True, eq=False)  # one object each: a set of them is a set of rules
class Reason:
    """One reason to keep what a class holds: as long as its flag lasts, or for its period from its start event."""

    name: str
    code: str
    basis: str
    source: str
    authority: Authority
    plain: str
    alone: str
    period: Period | None
    latest: Period | None
    start: tuple[str, ...]
    fallback: tuple[str, ...]
    on_request: str
    when: frozenset[str]
    unless: frozenset[str]
    party: frozenset[str]
    countries: frozenset[str] | None
    basis_contact: str
    overlay: str
    lawyer_confirmed_by: str
    lawyer_confirmed_on: str

    @property
    def is_open_ended(self) -> bool:
        """Whether it lasts as long as a flag, not for a period."""
        return self.period is None

    @property
    def is_unconditional(self) -> bool:
        """Whether every record of the class has it."""
        return not (self.when or self.unless or self.countries is not None) and self.party == frozenset(PARTIES)

    def applies_to(self, facts: Facts) -> bool:
        """Whether the record has this reason at all, whatever the day."""
        return (
            (not self.when or bool(self.when & facts.flags))
            and not self.unless & facts.flags
            and facts.party in self.party
            and (self.countries is None or (facts.sold_to or facts.country or "").upper() in self.countries)
        )

    def started_on(self, facts: Facts) -> date | None:
        """Return the last of its start events that has happened, else of the fallback, else None."""
        for names in (self.start, self.fallback):
            days = [day for name in names if (day := facts.events.get(name)) is not None]
            if days:
                return max(days)
        return None

    def ends_on(self, facts: Facts, today: date) -> date | None:
        """Return the last day on which it holds; None when no start is known.

        For an open-ended reason: the outer limit to tell the person. It is counted from what is known; when that
        limit has passed and the matter is still open, from today.
        """
        started = self.started_on(facts)
        if self.latest is None:  # it has a period: the schedule takes no reason without either
            return self.period.after(started) if self.period and started else None
        end = self.latest.after(started or today)
        return end if end >= today else self.latest.after(today)

    def holds_on(self, today: date, facts: Facts) -> bool:
        """Whether it still holds on `today`. A period without a known start holds: nothing is erased on a guess."""
        if self.is_open_ended:
            return True
        end = self.ends_on(facts, today)
        return end is None or today <= end

    def basis_for(self, party: str, country: str | None) -> str:
        """Return the ground of Art. 6(1), or the policy's word for a person whom no GDPR covers.

        A contact is no party to the contract of the company (Art. 6(1)(f)).
        """
        basis = self.basis_contact if party == "contact" and self.basis_contact else self.basis
        return jurisdiction.ground(f"Art. {basis} GDPR", country)


@dataclass(frozen=True)
class RetentionClass:
    """Why and how long one envelope, or one store, is kept."""

    name: str
    title: str
    holds: str
    end_action: str
    is_store: bool
    warn_days: int
    person_flags: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Schedule:
    """The whole schedule with the overlays that are switched on."""

    classes: Mapping[str, RetentionClass]
    overlays: Mapping[str, Overlay]
    switched_on: frozenset[str]

    def __getitem__(self, name: str) -> RetentionClass:
        """Return the retention class `name`. Raises ScheduleError: what has no rule is never guessed."""
        try:
            return self.classes[name]
        except KeyError:
            raise ScheduleError(f"The retention schedule has no class {name!r}.") from None

    def reasons(self, name: str) -> list[Reason]:
        """Return the reasons of a class that are in force here: without overlays that are off."""
        return [reason for reason in self[name].reasons if not reason.overlay or reason.overlay in self.switched_on]

    def cutoff(self, name: str, today: date) -> date:
        """Return the latest day of a start event from which a record of the class may have been outlived on `today`.

        For `Declaration.candidates`: a record with a later last event cannot be due, so an index finds all that may.
        A reason that every record has must be over; where there is none, the shortest conditional one.
        """
        dated = [reason for reason in self.reasons(name) if reason.period is not None]
        days = [reason.period.started_by(today) for reason in dated if reason.period is not None]
        certain = [
            reason.period.started_by(today) for reason in dated if reason.period is not None and reason.is_unconditional
        ]
        return min(certain) if certain else max(days, default=date.min)
