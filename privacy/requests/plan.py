"""What a request will do, before it does it: pure, with a hash by which a person confirms exactly this (design 5).

The same facts, rules, holds and day always give the same hash, in whatever order the records come. The hash covers what
happens to each envelope, why and until when; not the wording of the sentences.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from privacy.datamap import Warned, warned
from privacy.facts import Facts
from privacy.retention import jurisdiction
from privacy.retention.assess import Pins, assess
from privacy.retention.rules import Schedule
from privacy.retention.verdict import Verdict, ends_when_finished

FORMAT = 1
#: What even a full erasure leaves (design 4): the file of the request, and a keyed hash that stops a re-import.
LEFTOVERS = ("request_file", "block_token")


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that the erasure itself makes or leaves, with the last day on which it is kept."""

    name: str
    title: str
    holds: str
    code: str
    ground: str
    authority: str
    until: date
    sentence: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request will do to each envelope, what it leaves, and what the person should know before."""

    verdicts: tuple[Verdict, ...]
    leftovers: tuple[Leftover, ...]
    warnings: tuple[Warned, ...]
    hash: str
    are_named: bool = False
    unjoined: str = ""  # what carries an address of the person and is no part of this

    @property
    def erased(self) -> tuple[Verdict, ...]:
        """What is erased."""
        return tuple(one for one in self.verdicts if one.is_erased)

    @property
    def kept(self) -> tuple[Verdict, ...]:
        """What is kept, with its reason."""
        return tuple(one for one in self.verdicts if not one.is_erased)

    def summary(self) -> list[str]:
        """Return the plan in sentences for the person: erased, kept and until when, left over."""
        return summary(self)


def make(
    facts_list: Iterable[Facts],
    schedule: Schedule,
    holds: Container[UUID],
    pins: Pins,
    today: date,
    *,
    asked: bool = True,
    warnings: Sequence[Warned] = (),
    leftovers: Sequence[str] = LEFTOVERS,
    are_named: bool = False,
    unjoined: str = "",
) -> Plan:
    """Return the plan of an erasure for these records on `today`.

    `holds` are the ids of records under a hold, `pins` until-dates told before, `warnings` what the apps add,
    `leftovers` what the erasure leaves. `are_named`: these are single records, not a person's all. `unjoined`:
    what is said of records that carry the person's address and are not joined. Raises ScheduleError when an
    envelope has no retention class.
    """
    records = sorted(facts_list, key=lambda facts: (facts.label, _first_day(facts), facts.title, str(facts.record_id)))
    verdicts = tuple(
        verdict for facts in records for verdict in assess(facts, schedule, holds, today, asked=asked, pins=pins)
    )
    country = next((facts.country for facts in records if facts.country), None)
    left = leave(schedule, today, country, leftovers) if asked else ()
    return Plan(
        verdicts=verdicts,
        leftovers=left,
        warnings=tuple(dict.fromkeys([*warnings, *_own_warnings(verdicts, asked=asked)])),
        hash=digest(verdicts, left),
        are_named=are_named,
        unjoined=unjoined,
    )


def leave(
    schedule: Schedule, today: date, country: str | None, names: Sequence[str] = LEFTOVERS
) -> tuple[Leftover, ...]:
    """Return what an erasure that ends on `today` leaves, with end dates."""
    here = jurisdiction.of(country)
    left = []
    for name in names:
        rule = schedule[name]
        ends = {one: one.period.after(today) for one in schedule.reasons(name) if one.period is not None}
        reason = max(ends, key=lambda one: (ends[one], one.name))
        left.append(
            Leftover(
                name=name,
                title=rule.title,
                holds=rule.holds,
                code=reason.code,
                ground=reason.basis_for("person", country),
                authority=reason.authority.texts[here],
                until=ends[reason],
                sentence=reason.plain,
            )
        )
    return tuple(left)


def digest(verdicts: Iterable[Verdict], leftovers: Iterable[Leftover] = ()) -> str:
    """Return the canonical hash, 64 hexadecimal digits, the same in whatever order they come."""
    rows = sorted(
        [
            one.label, str(one.record_id), one.envelope, list(one.data), one.action, one.code, one.ground,
            one.authority, _iso(one.until),
        ]
        for one in verdicts
    )  # fmt: skip
    left = sorted([one.name, one.code, _iso(one.until)] for one in leftovers)
    text = json.dumps({"format": FORMAT, "verdicts": rows, "leftovers": left}, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def summary(plan: Plan) -> list[str]:
    """Return the plan in sentences for the person, records counted, dates spelled out."""
    lines = []
    erased = {one.record_id for one in plan.erased}
    kept = {one.record_id for one in plan.kept}
    whole, part = len(erased - kept), len(erased & kept)
    if whole:
        lines.append(f"{_records(whole)} removed completely.")
    if part:
        lines.append(f"{_records(part)} removed in part: only what must stay is kept.")
    if untouched := len(kept - erased):
        lines.append(f"{_records(untouched)} kept.")
        if part:
            lines.append(f"So something of {len(kept)} records stays:")
    if not plan.verdicts:
        if plan.are_named:
            lines.append("No record is left that carries your address and that it alone opens.")
        else:
            lines.append("No record is joined to you yet." if plan.unjoined else "We hold no records about you.")
    claims = [one for one in plan.kept if one.code == "KEEP_CLAIMS"]
    ends = _until(plan.kept)
    for (when, or_earlier), count in sorted(ends.items(), key=lambda pair: (pair[0][0] or date.max, pair[0][1])):
        if when:
            who = "1 record has" if count == 1 else f"{count} records have"
            them = "it" if count == 1 else "them"
            earlier = f", or earlier when what keeps {them} is finished" if or_earlier else ""
            lines.append(f"{who} to stay until {when:%-d %B %Y}{earlier}; then {_go(count)}.")
        else:
            on_hold = _until(claims).get((None, False), 0)
            lines += [
                f"{_stay(number)} until {what} is settled; then {_go(number)}."
                for number, what in ((on_hold, "a legal claim"), (count - on_hold, "what is said beside the record"))
                if number
            ]
    if any(one.until for one in plan.kept):
        lines.append("What is still open on its day stays until it is finished.")
    for one in plan.leftovers:
        lines.append(f"{one.title}: kept until {one.until:%-d %B %Y}. {one.sentence}")
    if plan.unjoined:
        lines.append(plan.unjoined)
    return lines


def as_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data in a fixed order, for `request_plan --json`."""
    return {
        "format": FORMAT,
        "hash": plan.hash,
        "verdicts": [
            {
                "record": str(one.record_id), "label": one.label, "title": one.title, "envelope": one.envelope,
                "data": list(one.data), "action": one.action, "code": one.code, "ground": one.ground,
                "authority": one.authority, "until": _iso(one.until), "overdue": one.overdue,
                "policy_reason": one.policy_reason, "sentence": one.sentence, "waits_for": list(one.waits_for),
            }
            for one in plan.verdicts
        ],
        "leftovers": _leftovers(plan),
        "warnings": [str(one) for one in plan.warnings],
        "unjoined": plan.unjoined,
    }  # fmt: skip


def for_file(plan: Plan) -> dict[str, Any]:
    """Return of the plan what the sealed file of the request keeps: what its decisions in the table do not say.

    In the order of the decisions: the title of each record, and the sentence for what is kept; and `of`, what each
    decision is held against when an operator is to sign it (`contradictions`); `outcome.store` adds a hash of its
    words.
    """
    return {
        "format": FORMAT,
        "hash": plan.hash,
        "verdicts": [
            {
                "title": one.title,
                "action": one.action,
                "sentence": "" if one.is_erased else one.sentence,
                "of": [one.label, str(one.record_id), one.envelope, _iso(one.until)],
            }
            for one in plan.verdicts
        ],
        "leftovers": _leftovers(plan),
        "warnings": [str(one) for one in plan.warnings],
        "unjoined": plan.unjoined,
    }


def _leftovers(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name, "title": one.title, "holds": one.holds, "code": one.code, "ground": one.ground,
            "authority": one.authority, "until": _iso(one.until), "sentence": one.sentence,
        }
        for one in plan.leftovers
    ]  # fmt: skip


def _own_warnings(verdicts: Sequence[Verdict], *, asked: bool) -> list[Warned]:
    """Return what the verdicts themselves give reason to say: records under a hold, and what should have gone long ago.

    What nobody asked to remove does not go with the request: its own line says that it is due.
    """
    on_hold = sorted({one.title for one in verdicts if one.restricted})
    overdue = sorted({one.title for one in verdicts if one.overdue}) if asked else []
    return [
        *warned(
            on_hold,
            "{} is under a legal hold: it stays, locked, until the claim is settled.",
            "{} records are under a legal hold: each stays, locked, until its claim is settled.",
        ),
        *warned(
            overdue,
            "{} should have been removed before; it goes with this removal.",
            "{} records should have been removed before; they go with this removal.",
        ),
    ]


def _stay(count: int) -> str:
    return "1 record stays" if count == 1 else f"{count} records stay"


def _go(count: int) -> str:
    # Not that it goes: whether anything ends it then depends on the installation (privacy.retention.due).
    return "it is due to go" if count == 1 else "they are due to go"


def _until(kept: Iterable[Verdict]) -> dict[tuple[date | None, bool], int]:
    """Return how many records stay until each last day, and whether they may go before it: when all that keeps them so
    long is that something is not finished."""
    last: dict[UUID, tuple[date | None, bool]] = {}
    for one in kept:
        # Of two that end on one day the one that cannot end before it counts.
        mine = (one.until, one.until is not None and ends_when_finished(one.code, one.sentence))
        last[one.record_id] = max(last.get(one.record_id, mine), mine, key=lambda end: (end[0] or date.max, not end[1]))
    return dict(Counter(last.values()))


def _first_day(facts: Facts) -> date:
    return min((day for day in facts.events.values() if day), default=date.min)


def _records(count: int) -> str:
    return "1 record is" if count == 1 else f"{count} records are"


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
