"""The letter that moves a day: what we said would go by now is open, so it stays, and the person
is told why (P10, design 12).

What must never happen: a day that somebody was told passes or moves, and nobody says so; or a letter that names a
reason which is none any more. So the day moves in the transaction that leaves the letter, with the reasons of that day,
and what it was stands in the append-only events of the request. Where there is no address to write to, the day stays
where it was, and the privacy team reads it: what is open is kept all the same, and goes in the night after it was
finished. Killed anywhere, a request has been told and its days have moved, or neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from privacy import audit, people, vault
from privacy.actor import Actor
from privacy.facts import Facts
from privacy.requests import addresses, assessment, bound, doubt, history, whose, writing
from privacy.requests.models import Request, RequestEvent
from privacy.retention import decided, in_force, jurisdiction, restriction, rules
from privacy.retention.assess import assess
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.work.broken import Findings, spared

log = structlog.get_logger(__name__)

KIND = "kept_longer"
#: Why something stays that nothing else keeps: the person asked for something else, and nothing of it may vanish
#: meanwhile.
UNANSWERED = "Another request of yours is not answered yet, and nothing that it may be about is removed before."


@dataclass(frozen=True)
class Open:
    """One decision whose day has come and of which something is open; `until` is its new day, None where it has
    none."""

    decision: Decision
    told: date
    verdict: Verdict
    until: date | None

    @property
    def moves(self) -> bool:
        """Whether the day moves. One that a hold or another request stands before stays: it goes once those have
        ended."""
        return self.verdict.told is not None


def write(*, on: date, actor: Actor | None, now: datetime, findings: Findings) -> int:
    """Tell each person of whom something is open whose day has come by `on`, move those days, and
    return how many letters are new.

    One letter for each request. Opens addresses under the actor of the caller. What cannot be told is
    noted, and the others are told.
    """
    late = _late(on)
    found = Request.objects.filter(pk__in=late.values("request"))

    def tell(some: Sequence[UUID]) -> int:
        with transaction.atomic():
            requests = list(found.filter(pk__in=some).select_for_update(of=("self",)).order_by("pk"))
            doubt.require_none(requests)
            # One whose answer still waits to go out says there what stays.
            return sum(_tell(one, on, actor, now) for one in requests if not one.is_open)

    waiting = list(found.order_by("pk").values_list("pk", flat=True))
    return sum(spared(waiting, tell, step="move", label=Request.vault_label, findings=findings))


def _late(on: date) -> QuerySet[Decision]:
    """Return what was to have ended before `on` and has not; an index finds it."""
    return Decision.objects.filter(
        pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False, until__lt=on
    )


def _tell(request: Request, on: date, actor: Actor | None, now: datetime) -> bool:
    decisions = decided.ours(_late(on).filter(request=request).select_for_update().order_by("pk"))
    facts = {(one.label, one.record_id): one for one in _facts(request, decisions)}
    told = _noted(request, history.DAY_CAME)
    # One whose day moves names it no more; one that was put back with the day of before is told and moved again.
    found = [
        one for one in _open(decisions, facts.values(), on) if one.moves or tuple(map(str, _as_told(one))) not in told
    ]
    if not found:
        return False
    if whose.look(facts.values())[1]:
        raise bound.NotOurs
    whose.require_witnessed({one.subject_id for one in facts.values() if one.subject_id is not None})
    to, postal = _address(request, facts.values(), now)
    if not to and not postal and not writing.has_postal(request, now=now):
        return _nobody_told(request, found, actor, now)
    try:
        writing.queue(
            KIND,
            to=to,
            context={"kept": [_line(one) for one in found], "by_post": not to},
            postal=postal,
            key=f"{KIND}:{request.pk}:{on}",
            request=request,
            now=now,
        )  # fmt: skip
    except ValidationError:  # an address of old that is none: the day stays
        return _nobody_told(request, found, actor, now)
    for one in found:
        _write_down(request, one, actor, now)
    restriction.settle_request(request.pk, actor=actor, now=now)
    audit.record(
        "request.day_came", actor=actor, now=now, subject=request.subject_id, reference=request.reference,
        reason=f"{sum(one.moves for one in found)} moved, {sum(not one.moves for one in found)} stay",
    )  # fmt: skip
    return True


def _nobody_told(request: Request, found: Iterable[Open], actor: Actor | None, now: datetime) -> bool:
    """Write down once, for each day that came, that nobody could be told of it: the privacy team reads it among its
    work."""
    log.warning("letter.no_address", request=str(request.pk), kind=KIND)
    noted = {known[:2] for known in _noted(request, history.NOBODY_TOLD)}
    for one in found:
        decision, day, code = _as_told(one)
        if (str(decision), day) not in noted:
            detail = {"decision": decision, "told": day, "code": code}
            history.event(request, history.NOBODY_TOLD, actor=actor, now=now, detail=detail)
    return False


def _noted(request: Request, kind: str) -> set[tuple[str, ...]]:
    """Return decision, day and code that the events of a kind name, as text: an event may name anything."""
    names = "decision", "told", "code"
    return {tuple(str(one.get(name)) for name in names) for one in history.details(request, kind)}


def untold() -> QuerySet[Request]:
    """Return the requests of which a day that was told came while something was open, and whose
    person could not be told of it.

    One leaves the list when the letter is written after all, or what was open has ended and the record with it.
    """
    waiting = Decision.objects.filter(pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False)
    unwritten = waiting.filter(Exists(_about(history.NOBODY_TOLD))).exclude(Exists(_about(history.DAY_CAME)))
    return Request.objects.filter(pk__in=unwritten.values("request"))


def _about(kind: str) -> QuerySet[RequestEvent]:
    """Return the events of a kind about the decision of the outer query and the day that it names now."""
    events = RequestEvent.objects.filter(request=OuterRef("request"), kind=kind)
    # As text: what an event names that the site did not write need not be a number, and would stop the whole list.
    named = events.annotate(of=KT("detail__decision"), day=KT("detail__told"))
    return named.filter(of=Cast(OuterRef("pk"), CharField()), day=Cast(OuterRef("until"), CharField()))


def _facts(request: Request, decisions: Iterable[Decision]) -> list[Facts]:
    named = dict.fromkeys((one.label, one.record_id) for one in decisions if one.record_id is not None)
    return assessment.under_one_law(
        assessment.facts_of_records(named), Counter([request.country] if request.country else [])
    )


def _open(decisions: Iterable[Decision], found: Iterable[Facts], on: date) -> list[Open]:
    """Return those of the decisions of which something is open on `on`, with the reason of that day."""
    facts = {one.record_id: one for one in found}
    on_hold, schedule = in_force.on_hold((one.label, pk) for pk, one in facts.items()), rules.load()
    asking = doubt.asking({one.subject_id for one in facts.values() if one.subject_id})
    still = []
    for decision in decisions:
        one = facts.get(decision.record_id) if decision.record_id is not None else None
        if one is None or decision.until is None:
            continue
        pins = {(one.record_id, decision.envelope): decision.until}
        verdict = _of(decision.envelope, assess(one, schedule, on_hold, on, asked=True, pins=pins))
        if verdict is None:
            continue
        if verdict.is_erased:
            if one.subject_id in asking:
                still.append(Open(decision, decision.until, _waiting(verdict, one.country), None))
            continue
        anew = _of(decision.envelope, assess(one, schedule, on_hold, on, asked=True))
        until = anew.until if anew is not None and verdict.told is not None else None
        still.append(Open(decision, decision.until, verdict, until))
    return still


def _of(envelope: str, verdicts: Iterable[Verdict]) -> Verdict | None:
    return next((one for one in verdicts if one.envelope == envelope), None)


def _waiting(verdict: Verdict, country: str | None) -> Verdict:
    article = "Art. 12(3) GDPR"
    return replace(
        verdict, action="keep", code="KEEP_CONTRACT", sentence=UNANSWERED,
        authority=jurisdiction.rule(article, country) or jurisdiction.OWN,
    )  # fmt: skip


def _as_told(one: Open) -> tuple[int, str, str]:
    return one.decision.pk, one.told.isoformat(), one.verdict.code


def _line(one: Open) -> dict[str, Any]:
    return {
        "title": one.verdict.title,
        "data": one.decision.data,
        "code": one.verdict.code,
        "sentence": one.verdict.sentence,
        "ground": one.verdict.ground,
        "authority": one.verdict.authority,
        "told": one.told,
        "until": one.until,
    }


def _write_down(request: Request, one: Open, actor: Actor | None, now: datetime) -> None:
    """Keep what the person had been told in the events, and write the new day and reason into the decision."""
    decision, told, code = _as_told(one)
    until = one.until.isoformat() if one.until else None
    history.event(
        request, history.DAY_CAME, actor=actor, now=now,
        detail={"decision": decision, "envelope": one.decision.envelope, "told": told, "until": until, "code": code},
    )  # fmt: skip
    if one.moves:
        decided.change(
            Decision.objects.filter(pk=decision, done_at=None),
            code=code,
            ground=one.verdict.ground,
            authority=one.verdict.authority,
            until=one.until,
        )


def _address(request: Request, found: Iterable[Facts], now: datetime) -> tuple[str, list[str]]:
    """Return the e-mail address to write to, else the lines of a postal address, else neither.

    The address in the file of the request; once that file is gone the one on file of the person whose matter is open.
    """
    known, subjects = people.ask(), {one.subject_id for one in found if one.subject_id is not None}
    to = addresses.address_for_answer(request, now=now)
    if to or len(subjects) != 1 or request.is_about_records:
        return to, []
    (subject,) = subjects
    with vault.internal():
        return known.answer_address(subject, now), known.postal(subject, now)
