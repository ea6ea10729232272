"""Where each of our columns stands in a file, by its header; and what is said of a header that does not fit.

What must never happen: a column is read as another one, or left unread without a word. So every column of a file is one
of ours, one that the map names as left out, or is named in the refusal or the report. A header is repeated in a message
only where it can be no record: a file without a header begins with a person.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.columnmap import HELP, ColumnMap, key
from privacy.typed import cards
from privacy.typed.lines import BREAK, HIDDEN


class Unfit(ValueError):
    """A header that does not fit; the text names each column and the way out, and repeats nothing that may be a
    record."""


@dataclass(frozen=True)
class Header:
    """Where each of our columns stands in a file."""

    map: ColumnMap
    names: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    unread: frozenset[int]
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def values(self, cells: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the values of one record by our columns, and what is wrong with those that could not be read."""
        found: dict[str, str] = {}
        wrong: dict[str, str] = {}
        for ours, places in self.places.items():
            raw = next((cells[place] for place in places if cells[place]), "")
            try:
                found[ours] = raw if self.map.is_ours else self.map.mapped(ours, raw)
            except ValueError as error:
                found[ours], wrong[ours] = "", str(error)
        for ours, constant in self.map.constants.items():
            if not found.get(ours) and ours not in wrong:
                found[ours] = constant
        for ours, made in self.map.made.items():
            if not found.get(ours):
                at = {key(name): place for place, name in enumerate(self.names)}
                found[ours] = made.of([cells[at[key(name)]] if key(name) in at else "" for name in made.columns])
        return found, wrong

    @property
    def called(self) -> dict[str, str]:
        """Return what the file calls each of our columns, where it has another name; of one that is made, what of."""
        if self.map.is_ours:
            return {}
        called = {}
        for ours, one in self.map.made.items():
            keys = {key(name) for name in one.columns}
            if of := [_said(name, self.names) for name in self.names if key(name) in keys]:
                called[ours] = f"made of {' and '.join(of)}"
        for ours, places in self.places.items():
            called[ours] = " or ".join(_said(self.names[place], self.names) for place in places)
        return called


def read(names: Sequence[str], of: ColumnMap, *, required: Sequence[str], maps: Mapping[str, ColumnMap]) -> Header:
    """Return where each of our columns stands in a file whose first line gives `names`.

    Raises Unfit, which names every column that is missing, unknown, spelt differently or there twice, and says what to
    do. `maps` are those that lie ready, to recognise the program that wrote the file.
    """
    names = [name.strip().lstrip("\ufeff") for name in names]
    while names and not names[-1]:
        names = names[:-1]
    at: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        at.setdefault(name if of.is_ours else key(name), []).append(place)
    theirs = {name if of.is_ours else key(name): tos for name, tos in of.columns.items()}
    wrong = _wrong(names, at, theirs, of, required, maps)
    if wrong:
        raise Unfit(" ".join(["The columns do not fit.", *wrong, _way_out(names, of, maps)]))
    places: dict[str, list[int]] = {}
    for name, tos in theirs.items():
        for to in tos:
            places.setdefault(to, []).extend(at.get(name, []))
    read = {place for found in places.values() for place in found}
    read |= {place for made in of.made.values() for name in made.columns for place in at.get(key(name), [])}
    unread = frozenset(range(len(names))) - read
    return Header(
        map=of,
        names=tuple(names),
        places={to: tuple(found) for to, found in places.items() if found},
        unread=unread,
        unknown=tuple(names[place] for place in sorted(unread) if names[place]),
        missing=() if of.is_ours else tuple(to for to, found in places.items() if not found and to not in of.constants),
    )


def _wrong(
    names: Sequence[str],
    at: Mapping[str, list[int]],
    theirs: Mapping[str, tuple[str, ...]],
    of: ColumnMap,
    required: Sequence[str],
    maps: Mapping[str, ColumnMap],
) -> list[str]:
    unknown = [name for name in names if name and (name if of.is_ours else key(name)) not in theirs]
    unknown = [name for name in unknown if key(name) not in of.left_out]
    if of.leaves_others_out:
        unknown = []
    given = {to for name, tos in theirs.items() if name in at for to in tos} | set(of.constants)
    given |= {to for to, made in of.made.items() if any(key(name) in at for name in made.columns)}
    missing = [name for name in required if name not in given]
    twice = [name for name, places in at.items() if len(places) > 1 and name in theirs]
    if not (missing or unknown or twice):
        return []
    known = {key(name) for one in (of, *maps.values()) for name in (*one.columns, *one.left_out)}
    known |= {key(name) for name in required}
    if len({key(name) for name in names} & known) < 2:
        return ["The first line names no column that is known here; it must be the header, with nothing above it."]
    meant = {key(name): name for name in theirs}
    strange: list[str] = []
    spelt: list[tuple[str, str]] = []
    for name in unknown:
        like = meant.get(key(name)) or next(iter(difflib.get_close_matches(key(name), meant, 1, 0.75)), "")
        like = meant.get(like, like)
        if like and like not in at and like not in [one for _, one in spelt]:
            spelt.append((_said(name, names), like))
        else:
            strange.append(_said(name, names))
    missing = [name for name in missing if name not in {like for _, like in spelt}]
    return [
        f"{what}: {', '.join(found)}."
        for what, found in (
            ("Spelt differently here", [f"{said} is {like}" for said, like in spelt]),
            ("Not known", strange),
            ("Missing", [_expected(name, of) for name in missing]),
            ("There twice", [_said(names[at[name][0]], names) for name in twice]),
        )
        if found
    ]


def _expected(name: str, of: ColumnMap) -> str:
    """Return one of our columns, with the names by which the map knows it."""
    expected = [theirs for theirs, tos in of.columns.items() if name in tos]
    expected += [theirs for theirs in (of.made[name].columns if name in of.made else ()) if theirs not in expected]
    return name if of.is_ours or not expected else f"{name} (in the map: {' or '.join(expected)})"


def _said(name: str, names: Sequence[str]) -> str:
    """Return a column by its name, or by its place where the name may be something else."""
    is_plain = len(name) <= 60 and "@" not in name and not re.search(r"\d{3}", name)
    is_plain = is_plain and not BREAK.search(name) and not HIDDEN.search(name) and not cards.find(name)
    return f"“{name}”" if is_plain else f"the column at place {names.index(name) + 1}"


def _way_out(names: Sequence[str], of: ColumnMap, maps: Mapping[str, ColumnMap]) -> str:
    keys = {key(name) for name in names}
    best, most = "", 0.5
    for name, one in maps.items():
        known = {key(column) for column in (*one.columns, *one.left_out)}
        share = len(keys & known) / max(len(keys), 1)
        if share > most and one.columns != of.columns:
            best, most = name, share
    if best:
        return f"This looks like an export of {maps[best].title or best}: give --map {best}. {HELP}"
    if of.is_ours:
        return f"Rename the columns, or say in a map which of yours is which of ours (--map FILE). {HELP}"
    return f"Export the columns that the map names, or change the map. {HELP}"
