"""The retention schedule, read from `schedule.toml` and checked: a wrong schedule stops `manage.py check`, not a sweep.

What must never happen: a rule that is misspelt and therefore not applied. So an unknown key, class, flag, event or
period is refused with one sentence that names the place, and nothing has a default that could shorten a period.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from privacy.calendar.periods import BadPeriod, Period
from privacy.facts import EVENTS, FLAGS
from privacy.files import regular
from privacy.retention import jurisdiction
from privacy.retention.jurisdiction import JURISDICTIONS
from privacy.retention.reasons import PARTIES, Authority, Overlay, Reason, RetentionClass, Schedule, ScheduleError

CODES = ("KEEP_CONTRACT", "KEEP_LAW", "KEEP_LI", "KEEP_CLAIMS", "TOKEN")
ON_REQUEST = ("KEEP", "ERASE", "MINIMISE")
VAT_AREA = "EU-VAT"
BASES = ("6(1)(a)", "6(1)(b)", "6(1)(c)", "6(1)(f)")
#: What a decision of the database has room for.
LONGEST_AUTHORITY = 300
HERE = Path(__file__).with_name("schedule.toml")


# Reading -------------------------------------------------------------------------------------------------------------


def load(path: Path | str | None = None, *, overlays: Collection[str] | None = None) -> Schedule:
    """Return the schedule of this installation, or of `path`, with these `overlays`. Raises ScheduleError."""
    from django.conf import settings

    if path is None:
        path = getattr(settings, "RETENTION_SCHEDULE", HERE) if settings.configured else HERE
    if overlays is None:
        overlays = getattr(settings, "RETENTION_OVERLAYS", ()) if settings.configured else ()
    path = Path(path)
    try:
        text = regular.text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ScheduleError(f"The retention schedule {path.name} cannot be read: {type(error).__name__}.") from error
    return _parsed(text, frozenset(overlays))


def cutoff(envelope: str, today: date) -> date:
    """Return `Schedule.cutoff` of the schedule in force: for the `candidates` of a declaration."""
    return load().cutoff(envelope, today)


def parse(text: str, *, overlays: Iterable[str] = ()) -> Schedule:
    """Return the schedule written in `text`. Raises ScheduleError with one sentence for the first mistake."""
    return _parsed(text, frozenset(overlays))


@lru_cache(maxsize=32)
def _parsed(text: str, switched_on: frozenset[str]) -> Schedule:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScheduleError(f"The retention schedule is not valid TOML: {error}.") from error
    _keys("The schedule", raw, required={"format", "authorities", "classes"}, optional={"overlays"})
    if raw["format"] != 1:
        raise ScheduleError(f"The schedule has format {raw['format']!r}; this version reads format 1.")
    authorities = {
        name: _authority(name, _table(f"Authority {name}", entry)) for name, entry in raw["authorities"].items()
    }
    overlays = {
        name: _overlay(name, _table(f"Overlay {name}", entry)) for name, entry in raw.get("overlays", {}).items()
    }
    classes = {
        name: _class(name, _table(f"Class {name}", entry), authorities, overlays)
        for name, entry in raw["classes"].items()
    }
    if unknown := switched_on - set(overlays):
        raise ScheduleError(f"The schedule knows no overlay {', '.join(sorted(unknown))}.")
    return Schedule(classes=classes, overlays=overlays, switched_on=switched_on)


def _authority(name: str, raw: Mapping[str, Any]) -> Authority:
    where = f"Authority {name}"
    _keys(where, raw, required={"law_of", *JURISDICTIONS})
    law_of = _names(where, raw, "law_of", JURISDICTIONS)
    texts: dict[str, str] = {one: _text(where, raw, one) for one in JURISDICTIONS}
    for one, text in texts.items():
        if len(text) > LONGEST_AUTHORITY:
            raise ScheduleError(f"{where}: the text for {one} is longer than {LONGEST_AUTHORITY} characters.")
        if "17(3)(b)" in text and one not in law_of:
            raise ScheduleError(f"{where}: Art. 17(3)(b) must not be told to a person in {one}, whose law this is not.")
    return Authority(name=name, texts=texts, law_of=law_of)


def _overlay(name: str, raw: Mapping[str, Any]) -> Overlay:
    where = f"Overlay {name}"
    _keys(where, raw, required={"title", "source", "lawyer_confirmed_by", "lawyer_confirmed_on"})
    _confirmation(where, raw)
    return Overlay(
        name=name,
        title=_text(where, raw, "title"),
        source=_text(where, raw, "source"),
        lawyer_confirmed_by=raw["lawyer_confirmed_by"],
        lawyer_confirmed_on=raw["lawyer_confirmed_on"],
    )


def _class(
    name: str, raw: Mapping[str, Any], authorities: Mapping[str, Authority], overlays: Mapping[str, Overlay]
) -> RetentionClass:
    where = f"Class {name}"
    _keys(
        where,
        raw,
        required={"title", "holds", "end_action", "reasons"},
        optional={"store", "warn_days", "person_flags"},
    )
    if not isinstance(raw["reasons"], list) or not raw["reasons"]:
        raise ScheduleError(f"{where} has no reason: what is kept without a reason must not be kept.")
    for key in ("store", "person_flags"):
        if type(raw.get(key, False)) is not bool:
            raise ScheduleError(f"{where}: {key} is true or false.")
    warn_days = raw.get("warn_days", 0)
    if type(warn_days) is not int or warn_days < 0:
        raise ScheduleError(f"{where}: warn_days is a number of days.")
    reasons = tuple(_reason(where, _table(where, one), authorities, overlays) for one in raw["reasons"])
    names = [reason.name for reason in reasons]
    if twice := sorted({one for one in names if names.count(one) > 1}):
        raise ScheduleError(f"{where} has the reason {twice[0]!r} twice.")
    return RetentionClass(
        name=name,
        title=_text(where, raw, "title"),
        holds=_text(where, raw, "holds"),
        end_action=_text(where, raw, "end_action"),
        is_store=raw.get("store", False),
        warn_days=warn_days,
        person_flags=raw.get("person_flags", False),
        reasons=reasons,
    )


_REQUIRED = {"name", "code", "basis", "source", "authority", "start", "plain"}
_OPTIONAL = {
    "period", "latest", "alone", "year_end", "fallback", "on_request", "when", "unless", "party",
    "countries", "basis_contact", "overlay", "lawyer_confirmed_by", "lawyer_confirmed_on",
}  # fmt: skip


def _reason(
    where: str, raw: Mapping[str, Any], authorities: Mapping[str, Authority], overlays: Mapping[str, Overlay]
) -> Reason:
    where = f"{where}, reason {raw.get('name', '?')!r}"
    _keys(where, raw, required=_REQUIRED, optional=_OPTIONAL)
    for key, allowed in (("code", CODES), ("basis", BASES), ("authority", tuple(authorities))):
        _one_of(where, raw, key, allowed)
    if "basis_contact" in raw:
        _one_of(where, raw, "basis_contact", BASES)
    if "on_request" in raw:
        _one_of(where, raw, "on_request", ON_REQUEST)
    if "overlay" in raw:
        _one_of(where, raw, "overlay", tuple(overlays))
    if ("period" in raw) == ("latest" in raw):
        raise ScheduleError(f"{where} needs either a period or, when it lasts as long as a flag, latest.")
    if "latest" in raw and not raw.get("when"):
        raise ScheduleError(f"{where} has no period and no flag, so it would never end.")
    if "alone" in raw and "latest" not in raw:
        raise ScheduleError(f"{where} has a period, so nothing is told about when it is finished (alone).")
    if type(raw.get("year_end", False)) is not bool:
        raise ScheduleError(f"{where}: year_end is true or false.")
    authority = authorities[raw["authority"]]
    if raw["code"] == "KEEP_LAW" and not authority.law_of & {"EU", "UK"}:
        raise ScheduleError(f"{where}: KEEP_LAW needs a law of the EU or the UK (Art. 17(3)(b)).")
    if not raw["start"]:
        raise ScheduleError(f"{where} has no start event.")
    _confirmation(where, raw)
    return Reason(
        name=_text(where, raw, "name"),
        code=raw["code"],
        basis=raw["basis"],
        source=_text(where, raw, "source"),
        authority=authority,
        plain=_text(where, raw, "plain"),
        alone=_text(where, raw, "alone") if "alone" in raw else "",
        period=_period(where, raw, "period", year_end=raw.get("year_end", False)),
        # Told to a person and then binding: to the end of the year, so that it does not move from day to day.
        latest=_period(where, raw, "latest", year_end=True),
        start=_sequence(where, raw, "start", EVENTS),
        fallback=_sequence(where, raw, "fallback", EVENTS),
        on_request=raw.get("on_request", "KEEP"),
        when=_names(where, raw, "when", FLAGS),
        unless=_names(where, raw, "unless", FLAGS),
        party=_names(where, raw, "party", PARTIES) or frozenset(PARTIES),
        countries=_countries(where, raw),
        basis_contact=raw.get("basis_contact", ""),
        overlay=raw.get("overlay", ""),
        lawyer_confirmed_by=raw.get("lawyer_confirmed_by", ""),
        lawyer_confirmed_on=raw.get("lawyer_confirmed_on", ""),
    )


def _countries(where: str, raw: Mapping[str, Any]) -> frozenset[str] | None:
    if "countries" not in raw:
        return None
    names = raw["countries"]
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(one, str) and (one == VAT_AREA or len(one) == 2) for one in names)
    ):
        raise ScheduleError(f'{where}: countries is a list of two-letter codes, or ["EU-VAT"].')
    return frozenset().union(*(jurisdiction.EU_VAT if one == VAT_AREA else {one} for one in names))


def _period(where: str, raw: Mapping[str, Any], key: str, *, year_end: bool) -> Period | None:
    if key not in raw:
        return None
    try:
        return Period.parse(raw[key], year_end=year_end)
    except BadPeriod as error:
        raise ScheduleError(f"{where}: {error}.") from error


def _confirmation(where: str, raw: Mapping[str, Any]) -> None:
    by, on = raw.get("lawyer_confirmed_by", ""), raw.get("lawyer_confirmed_on", "")
    if not isinstance(by, str) or not isinstance(on, str) or bool(by) != bool(on):
        raise ScheduleError(f"{where}: lawyer_confirmed_by and lawyer_confirmed_on go together, as texts.")
    if on:
        try:
            date.fromisoformat(on)
        except ValueError:
            raise ScheduleError(f"{where}: lawyer_confirmed_on is no date like 2026-11-22.") from None


def _table(where: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise ScheduleError(f"{where} is not a table.")
    return raw


def _keys(where: str, raw: Mapping[str, Any], *, required: set[str], optional: Iterable[str] = ()) -> None:
    if unknown := sorted(set(raw) - required - set(optional)):
        raise ScheduleError(f"{where} has an unknown key {unknown[0]!r}.")
    if missing := sorted(required - set(raw)):
        raise ScheduleError(f"{where} lacks {missing[0]!r}.")


def _text(where: str, raw: Mapping[str, Any], key: str) -> str:
    if not isinstance(raw[key], str) or not raw[key].strip():
        raise ScheduleError(f"{where}: {key} is a text and not empty.")
    return raw[key]


def _one_of(where: str, raw: Mapping[str, Any], key: str, allowed: Collection[str]) -> None:
    if raw[key] not in allowed:
        raise ScheduleError(f"{where}: {key} {raw[key]!r} is none of {', '.join(allowed)}.")


def _sequence(where: str, raw: Mapping[str, Any], key: str, allowed: Collection[str]) -> tuple[str, ...]:
    names = raw.get(key, [])
    if not isinstance(names, list):
        raise ScheduleError(f"{where}: {key} is a list.")
    for name in names:
        if name not in allowed:
            raise ScheduleError(f"{where}: {key} knows no {name!r}.")
    return tuple(names)


def _names(where: str, raw: Mapping[str, Any], key: str, allowed: Collection[str]) -> frozenset[str]:
    return frozenset(_sequence(where, raw, key, allowed))


# Checking ------------------------------------------------------------------------------------------------------------


def problems(envelopes: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with the schedule in force, one sentence each, for the system check.

    `envelopes` are those that exist: each needs a class. An overlay may be on only when a lawyer confirmed it.
    """
    try:
        schedule = load()
    except ScheduleError as error:
        return [str(error)]
    found = [
        f"No retention class for the envelope {name!r}." for name in sorted(set(envelopes) - set(schedule.classes))
    ]
    return found + [
        f"The overlay {name} is switched on, but the schedule names no lawyer who confirmed it, and no day."
        for name in sorted(schedule.switched_on)
        if not schedule.overlays[name].is_confirmed
    ]
