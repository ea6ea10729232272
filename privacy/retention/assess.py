"""What happens to a record, and why: a pure function of its facts, the rules, the holds and the day.

What must never happen: something erased that a reason or a legal hold still covers, on a day that was told either. A
class of data has reasons; those that ended, and on a request those that give way to it, are subtracted; what no
reason covers is erased (P9, P10). There is no undo: an erased envelope cannot be opened again. So a doubt (an
unknown start) keeps, and says so.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Literal
from uuid import UUID

from privacy.facts import Facts
from privacy.retention import jurisdiction
from privacy.retention.rules import Reason, Schedule
from privacy.retention.verdict import AFTERWARDS, Verdict

Pins = Mapping[tuple[UUID, str], date | None]
NO_PINS: Pins = {}

#: A day so many days after today is no day on which something happened: the record is broken.
IN_DOUBT = 366
#: Which reason speaks when several end on the same day.
_STRENGTH = {"KEEP_CONTRACT": 5, "KEEP_LAW": 4, "KEEP_LI": 3, "KEEP_CLAIMS": 2, "TOKEN": 1}
_HOLD_AUTHORITY = {
    "EU": "Art. 17(3)(e) GDPR: establishment, exercise or defence of claims",
    "UK": "Art. 17(3)(e) UK GDPR: establishment, exercise or defence of claims",
    "US": "Our privacy policy: needed for legitimate business, for which it cites Article 6 of the GDPR: claims",
}
_HOLD_SENTENCE = (
    "It may be needed for a legal claim, and is locked until that is settled. What you asked for is due then."
)
_HELD_SENTENCE = (
    "It may be needed for a legal claim: until that is settled it cannot be removed, and what is corrected in it stays "
    "readable for our privacy team."
)
_BROKEN_AUTHORITY = {
    "EU": "Art. 5(1)(d) GDPR: what is not accurate is put right first",
    "UK": "Art. 5(1)(d) UK GDPR: what is not accurate is put right first",
    "US": "Our privacy policy: what is wrong is put right first",
}
_BROKEN_SENTENCE = (
    "A date in this record cannot be right, so we cannot say yet how long it must be kept. "
    "We put it right; if you asked for its removal, what can go is due to go then."
)
LAW: Literal["legally required"] = "legally required"
ARTICLE_6: Literal["Article 6"] = "Article 6"


def assess(
    facts: Facts,
    schedule: Schedule,
    holds: Container[UUID],
    today: date,
    *,
    asked: bool,
    pins: Pins = NO_PINS,
) -> list[Verdict]:
    """Return one verdict per envelope of the record, sorted by envelope.

    `asked`: the person asks for erasure, so reasons that give way to a request fall; else only what has outlived all
    its reasons is erased. `holds` are the ids of records under a legal hold. `pins` are until-dates told to the person
    before, when a request of theirs was carried out, which goes on for what was kept then: it is judged as asked for
    whoever looks. No rule moves such a day to a later one, and when it has passed the envelope is erased, unless
    something of it is open that day; then it is kept without a day and `told` says the one that has come. A broken
    record (an event in another year to come, or the flag) is kept until it is mended. Raises ScheduleError for an
    envelope without a class.
    """
    if any(day is not None and day.toordinal() > today.toordinal() + IN_DOUBT for day in facts.events.values()):
        facts = replace(facts, flags=facts.flags | {"broken"})
    return [_judge(facts, envelope, schedule, holds, today, asked=asked, pins=pins) for envelope in sorted(facts.data)]


def _judge(
    facts: Facts, envelope: str, schedule: Schedule, holds: Container[UUID], today: date, *, asked: bool, pins: Pins
) -> Verdict:
    reasons = [reason for reason in schedule.reasons(envelope) if reason.applies_to(facts)]
    asked = asked or (facts.record_id, envelope) in pins
    if facts.record_id in holds:
        # A hold restricts what nothing else keeps: after a request, or once every other reason has ended.
        return _on_hold(facts, envelope, restricted=asked or not any(one.holds_on(today, facts) for one in reasons))
    pinned = pins.get((facts.record_id, envelope))
    if pinned is not None and pinned < today:
        is_open = [one for one in reasons if one.is_open_ended and one.on_request == "KEEP"]
        if not is_open and "broken" in facts.flags and not facts.events:
            return _broken(facts, envelope, None)  # the row cannot be read: whether something is open nobody can say
        if not is_open:
            return _erased(facts, envelope, "ERASE", "a", overdue=_is_late(pinned, today))
        # It has no day until a letter names one (privacy.requests.longer).
        return replace(_kept(facts, envelope, set(is_open), today, None), until=None, told=pinned)
    if "broken" in facts.flags:
        return _broken(facts, envelope, pinned)
    lasting = {reason for reason in reasons if reason.holds_on(today, facts)}
    giving_way = {reason for reason in lasting if asked and reason.on_request != "KEEP"}
    keeping = lasting - giving_way
    if keeping:
        return _kept(facts, envelope, keeping, today, pinned)
    if giving_way:
        code = "MINIMISE" if any(reason.on_request == "MINIMISE" for reason in giving_way) else "ERASE"
        return _erased(facts, envelope, code, _ground_of_request(giving_way), overdue=False)
    ends = [end for reason in reasons if (end := reason.ends_on(facts, today)) is not None]
    return _erased(facts, envelope, "ERASE", "a", overdue=bool(ends) and _is_late(max(ends), today))


def _is_late(last_day: date, today: date) -> bool:
    """Whether the night after `last_day`, in which the sweep ends it, is already past."""
    return today - timedelta(days=1) > last_day


def _about(facts: Facts, envelope: str) -> dict[str, Any]:
    """Return what a verdict says of the envelope it is about, whatever becomes of it."""
    return {
        "record_id": facts.record_id,
        "label": facts.label,
        "title": facts.title,
        "envelope": envelope,
        "data": facts.data[envelope],
        "subject_id": facts.subject_id,
    }


def _kept(facts: Facts, envelope: str, keeping: set[Reason], today: date, pinned: date | None) -> Verdict:
    ends = {reason: reason.ends_on(facts, today) for reason in keeping}
    # The reason that speaks: something unfinished first, for the person can do something about it; else the longest.
    lead = max(keeping, key=lambda one: (one.is_open_ended, ends[one] or date.max, _STRENGTH[one.code], one.name))
    last = [reason for reason in keeping if not reason.is_open_ended]
    until = None if None in ends.values() else max(end for end in ends.values() if end is not None)
    if lead.is_open_ended and lead.code == "KEEP_CLAIMS":
        until = None  # when a claim is settled nobody knows; a day beside "until it is settled" would be a second one
    if pinned is not None:
        until = min(until, pinned) if until is not None else pinned
    here = jurisdiction.of(facts.country)
    is_law = here in lead.authority.law_of
    code = "KEEP_LI" if lead.code == "KEEP_LAW" and not is_law else lead.code
    sentence = f"{lead.plain} {lead.alone}".rstrip()
    if lead.is_open_ended and last:
        after = max(last, key=lambda one: (ends[one] or date.max, _STRENGTH[one.code], one.name))
        sentence = f"{lead.plain} {AFTERWARDS} {after.plain}"
    return Verdict(
        **_about(facts, envelope),
        action="keep",
        code=code,
        ground=lead.basis_for(facts.party, facts.country),
        authority=lead.authority.texts[here],
        until=until,
        policy_reason=LAW if is_law else ARTICLE_6,
        sentence=sentence,
        waits_for=tuple(sorted(lead.when & facts.flags)) if lead.is_open_ended else (),
        is_pinned=pinned is not None,
    )


def _on_hold(facts: Facts, envelope: str, *, restricted: bool) -> Verdict:
    return Verdict(
        **_about(facts, envelope),
        action="keep",
        code="KEEP_CLAIMS",
        ground=jurisdiction.ground("Art. 6(1)(f) GDPR", facts.country),
        authority=_HOLD_AUTHORITY[jurisdiction.of(facts.country)],
        policy_reason=ARTICLE_6,
        sentence=_HOLD_SENTENCE if restricted else _HELD_SENTENCE,
        restricted=restricted,
    )


def _broken(facts: Facts, envelope: str, pinned: date | None) -> Verdict:
    """Keep what cannot be judged, without a day of its own: the sweep looks again every night, and ends it once it is
    mended."""
    return Verdict(
        **_about(facts, envelope),
        action="keep",
        code="KEEP_LI",
        ground=jurisdiction.ground("Art. 6(1)(f) GDPR", facts.country),
        authority=_BROKEN_AUTHORITY[jurisdiction.of(facts.country)],
        until=pinned,
        policy_reason=ARTICLE_6,
        sentence=_BROKEN_SENTENCE,
    )


def _erased(facts: Facts, envelope: str, code: str, letter: str, *, overdue: bool) -> Verdict:
    article = f"Art. 17(1)({letter}) GDPR"
    return Verdict(
        **_about(facts, envelope),
        action="erase",
        code=code,
        ground=jurisdiction.ground(article, facts.country),
        authority=jurisdiction.rule(article, facts.country) or "Our privacy policy: you can have your data removed",
        overdue=overdue,
    )


def _ground_of_request(giving_way: set[Reason]) -> str:
    """Return the letter of Art. 17(1): consent withdrawn, an objection, or no longer necessary."""
    bases = {reason.basis for reason in giving_way}
    if bases == {"6(1)(a)"}:
        return "b"
    return "c" if "6(1)(f)" in bases else "a"
