"""How long an answer may take, by the law of the person who asks: read from `regimes.toml` and checked.

What must never happen: a law that is misspelt and therefore not applied. So an unknown word, a missing period or
two laws for one place and day stop `manage.py check` with one sentence. Mended in the file; `prepare` then
counts the open requests anew.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from privacy.calendar import COMPANY, WEEKENDS, Calendar, add_months, next_working_day, part_of
from privacy.retention import jurisdiction

HERE = Path(__file__).with_name("regimes.toml")
PAUSES = ("", "asked", "law")
HOLIDAYS = ("", "own", "company")
_NUMBERS = ("months", "days", "longest_months", "longest_days", "confirm_working_days")
_WORDS = ("name", "law", "of", "switch", "pause", "holidays")


class RegimeError(ValueError):
    """A table of regimes.toml that says nothing, or two things. The text names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the person is who asks: country (ISO 3166-1 alpha-2) and part of it (ISO 3166-2, or
    its name), "" when not known.

    `switched_on` names the laws that count only where the company says so, such as CALIFORNIA; `laws` those that know
    the right that is asked for, None every one: where none of them covers the person, our own policy does.
    """

    country: str = ""
    region: str = ""
    switched_on: frozenset[str] = frozenset()
    laws: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Regime:
    """One law and its time, as regimes.toml explains it."""

    name: str
    law: str
    starts_on: date
    of: str = ""
    switch: str = ""
    months: int = 0
    days: int = 0
    counts_receipt: bool = False
    longest_months: int = 0
    longest_days: int = 0
    pause: str = ""
    holidays: str = ""
    confirm_working_days: int = 0

    @property
    def has_extension(self) -> bool:
        """Whether this law knows a longer time."""
        return bool(self.longest_months or self.longest_days)

    def last_day(self, start: date, *, is_extended: bool = False) -> date:
        """Return the last day of the time that starts on `start`, wherever that day falls."""
        months = self.longest_months if is_extended else self.months
        days = self.longest_days if is_extended else self.days
        end = add_months(start, months)
        return end + min(timedelta(days=days - self.counts_receipt if days else 0), date.max - end)

    def rolled(self, day: date, place: Place) -> date:
        """Return the day on which a time that ends on `day` is over: a working day, where this law says so."""
        return next_working_day(day, self.calendar(place)) if self.holidays else day

    def calendar(self, place: Place) -> Calendar:
        """Return whose working days count."""
        if self.holidays != "own":
            return COMPANY
        return Calendar(place.country, place.region) if place.country else WEEKENDS

    def covers(self, place: Place) -> int:
        """Return 0 when this law does not count there, else how narrow it is: everybody, whole countries, one, a
        part."""
        if self.switch and self.switch not in place.switched_on:
            return 0
        if self.of and place.laws is not None and self.name not in place.laws:
            return 0
        country, _, region = self.of.partition("-")
        if region:
            is_there = place.country.upper() == country and part_of(country, place.region) == region
            return 4 if is_there else 0
        if not country:
            return 1
        if country in jurisdiction.JURISDICTIONS:
            return 2 if jurisdiction.of(place.country) == country else 0
        return 3 if place.country.upper() == country else 0


def regime_for(place: Place, received_on: date) -> Regime:
    """Return the law under which somebody in `place` is answered whose request was received on that day."""
    there = [(one.covers(place), one.starts_on, one) for one in regimes() if one.starts_on <= received_on]
    return max((one for one in there if one[0]), key=lambda one: one[:2])[2]


def problems(path: Path = HERE) -> list[str]:
    """Return the first mistake of a file of regimes in a sentence, [] when it has none (for `manage.py check`)."""
    try:
        parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RegimeError) as error:
        return [
            str(error) if isinstance(error, RegimeError) else f"The regimes cannot be read: {type(error).__name__}."
        ]
    return []


@lru_cache(maxsize=1)
def regimes() -> tuple[Regime, ...]:
    """Return every regime of `regimes.toml`. Raises RegimeError."""
    return parse(HERE.read_text(encoding="utf-8"))


def parse(text: str) -> tuple[Regime, ...]:
    """Return the regimes written in `text`. Raises RegimeError with one sentence for the first mistake."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RegimeError(f"The regimes are not valid TOML: {error}.") from error
    if set(raw) != {"regime"} or not isinstance(raw["regime"], list):
        raise RegimeError("The regimes are written as tables [[regime]] and nothing else.")
    found = tuple(map(_regime, raw["regime"]))
    if len({(one.of, one.switch, one.starts_on) for one in found}) < len(found):
        raise RegimeError("Two regimes are for the same people from the same day.")
    if not any(not one.of and one.starts_on == date(1965, 1, 1) for one in found):
        raise RegimeError("No regime is for everybody else from 1965-01-01.")
    return found


def _regime(raw: Mapping[str, Any]) -> Regime:
    where = f"Regime {raw.get('name', 'without a name')}"
    kinds: dict[str, type] = {
        **dict.fromkeys(_NUMBERS, int),
        **dict.fromkeys(_WORDS, str),
        "counts_receipt": bool,
        "from": date,
    }
    for key, value in raw.items():
        if key not in kinds or type(value) is not kinds[key] or (key in _NUMBERS and int(str(value)) < 1):
            raise RegimeError(f"{where}: {key} is unknown or has a wrong value.")
    given = {key: value for key, value in raw.items() if key != "from"}
    if not {"name", "law", "from"} <= set(raw) or ("months" in raw) == ("days" in raw):
        raise RegimeError(f"{where}: it needs name, law, from, and either months or days.")
    if ("days" if "longest_months" in raw else "months") in raw and ("longest_months" in raw or "longest_days" in raw):
        raise RegimeError(f"{where}: what it counts in months it extends in months, and days in days.")
    if raw.get("pause", "") not in PAUSES or raw.get("holidays", "") not in HOLIDAYS:
        raise RegimeError(f"{where}: pause or holidays is a word that is not known.")
    return Regime(starts_on=raw["from"], **given)
