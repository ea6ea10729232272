"""The outcome of a request: the stored plan, and what became of it (P10, Art. 12(3) and (4)).

What must never happen: an outcome that says more was done than was done. It is read from the decisions as they stand
after the execution; the wording of each record is in the sealed file of the request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from privacy import gate, vault
from privacy.calendar import company_day
from privacy.requests import assessment, contents, filled, plan, planned
from privacy.requests.models import Request
from privacy.retention import decided, in_force, jurisdiction, restriction, rules
from privacy.retention.assess import assess
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict

FORMAT = 1
BATCH = 1_000
#: Said of what is kept no more: the sweep of the coming night ends it, or something else has ended it.
ENDED = "What kept it has ended. It is due to go."
GONE = "It is no longer there."


class FileUnreadable(Exception):
    """The file of the request could not be opened, so that nothing true can be said from it."""


class NotAsPlanned(FileUnreadable):
    """The decisions in the table are not those of the plan in the file, so that nothing true can be said from them
    until somebody has looked."""

    def __init__(self, request: Request) -> None:
        super().__init__("The decisions are not those of the plan.")
        self.request = request


class FileEnded(FileUnreadable):
    """The file of the request was erased, because its time was over: it is not to be opened later either."""


def store(request: Request, made: plan.Plan, *, now: datetime) -> None:
    """Write a plan into the request: one decision per envelope in the table, the wording into the sealed file."""
    gives, made = request.procedure.gives, filled.only(made)
    request.decisions.all().delete()
    decisions = [
        Decision(
            request=request,
            label=v.label,
            record_id=v.record_id,
            envelope=v.envelope,
            data=contents.given(v.label, v.data) if gives else list(v.data),
            action=Decision.Action.GIVE if gives else v.action,
            code="GIVE" if gives else v.code,
            ground=jurisdiction.ground("Art. 15(1) and (3) GDPR", request.country or None) if gives else v.ground,
            authority="" if gives else v.authority,
            until=v.until,
            overdue=v.overdue,
            place=place,
        )
        for place, v in enumerate(made.verdicts)
    ]
    Decision.objects.bulk_create(map(decided.sign, decisions), batch_size=BATCH)
    kept = plan.for_file(made)
    for verdict, decision in zip(kept["verdicts"], decisions, strict=True):
        verdict["said"] = decided.words(decision)
    request.plan_hash, request.plan_at = made.hash, now
    request.outcome = {"format": FORMAT, "plan": kept}
    request.save(update_fields=["plan_hash", "plan_at", "outcome"])  # type: ignore[misc]  # a sealed field is no column


def store_refusal(request: Request, *, ground: str, authority: str) -> None:
    """Write into the sealed file why a request was refused: the person reads it there after the letter is gone."""
    with vault.internal():  # shown to nobody
        kept = request.outcome
        if isinstance(kept, vault.Unreadable):
            return
        refusal = {"ground": ground, "authority": authority}
        request.outcome = {"format": FORMAT, **(kept or {}), "refusal": refusal}
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column


def refusal_of(request: Request) -> dict[str, str]:
    """Return why a request was refused, {} when it was not or the reason stands in its letter
    only. Raises FileUnreadable."""
    found = read(request).get("refusal", {})
    return {name: str(found[name]) for name in ("ground", "authority") if name in found}


def read(request: Request) -> dict[str, Any]:
    """Return the sealed plan and outcome, for an actor that may open the file. Raises FileUnreadable."""
    found = request.outcome
    if isinstance(found, vault.Erased):
        raise FileEnded
    if isinstance(found, vault.Unreadable):
        raise FileUnreadable
    return found if isinstance(found, dict) else {}


def keep_on_hold(request: Request, on_hold: Iterable[tuple[UUID, str]], *, now: datetime) -> None:
    """Turn decisions to erase into decisions to keep, because a hold came after the confirmation. The sweep ends them
    later."""
    for record_id, envelope in on_hold:
        mine = request.decisions.filter(record_id=record_id, envelope=envelope)
        (facts,) = assessment.under_one_law(
            assessment.facts_of_records([(mine.get().label, record_id)]),
            Counter([request.country] if request.country else []),
        )
        verdicts = assess(facts, rules.load(), {record_id}, company_day(now), asked=True)
        verdict = next(v for v in verdicts if v.envelope == envelope)
        _keep(mine, verdict, until=None)
    restriction.settle_request(request.pk, actor=gate.current(), now=now)


def keep(request: Request, verdicts: Iterable[Verdict], *, now: datetime) -> None:
    """Turn decisions to erase into decisions to keep, because something new is open since. The sweep ends them
    later."""
    for verdict in verdicts:
        mine = request.decisions.filter(record_id=verdict.record_id, envelope=verdict.envelope, done_at=None)
        _keep(mine, verdict, until=verdict.until)
    restriction.settle_request(request.pk, actor=gate.current(), now=now)


def _keep(decisions: QuerySet[Decision], verdict: Verdict, *, until: date | None) -> None:
    decided.change(
        decisions,
        action=Decision.Action.KEEP,
        code=verdict.code,
        ground=verdict.ground,
        authority=verdict.authority,
        until=until,
        pinned=True,
    )


def lines(request: Request, *, today: date) -> dict[str, list[dict[str, Any]]]:
    """Return what was erased, kept and given: per record the title, the names of the data, ground and date.

    What was kept and has ended since is among what was erased; its action tells that it was kept first. Why something
    is still kept is said as it is on `today`: an invoice that was paid since is not called unpaid. Titles come from the
    sealed file, and so does why something is to be kept while the erasure has not begun. Raises FileUnreadable;
    NotAsPlanned also of a removal that is called carried out while something of it has no end, and where the key store
    has a key of what is said to have ended.
    """
    found: dict[str, list[dict[str, Any]]] = {"erased": [], "kept": [], "given": []}
    kept_plan = read(request).get("plan", {})
    if not kept_plan:  # made anew from the ledger, without its file
        return found
    decisions = list(request.decisions.all())
    pairs = planned.paired(decisions, kept_plan.get("verdicts", ()), gives=request.procedure.gives)
    if pairs is None:
        raise NotAsPlanned(request)
    # Keys say what has ended: a row may have been away for a night. What somebody else marked as done is not told so.
    said = [one for one in decisions if one.record_id is None or decided.ended_at(one)]
    if said and decided.said_too_early(said, {one.pk: planned.record_of(one, verdict) for one, verdict in pairs}):
        raise NotAsPlanned(request)
    reasons = _reasons_now(request, decisions, today)
    names = {Decision.Action.ERASE: "erased", Decision.Action.KEEP: "kept", Decision.Action.GIVE: "given"}
    for decision, verdict_then in pairs:
        sentence = (
            verdict_then["sentence"]
            if decision.action == Decision.Action.KEEP and decision.action == verdict_then["action"]
            else ""
        )
        says: Decision | Verdict = decision
        if decision.pk in reasons:
            verdict = reasons[decision.pk]
            if verdict is None or verdict.is_erased:
                sentence = GONE if verdict is None else ENDED
            else:
                sentence, says = verdict.sentence, verdict
        done_at = decided.ended_at(decision)
        if planned.has_no_end(request, decision):
            raise NotAsPlanned(request)
        name = "erased" if done_at and decision.pinned else names[Decision.Action(decision.action)]
        found[name].append(
            {
                "id": decision.pk,
                "label": decision.label,
                "envelope": decision.envelope,
                "title": verdict_then["title"],
                "data": decision.data,
                "action": decision.action,
                "was_kept": decision.action == Decision.Action.KEEP,
                "code": says.code,
                "sentence": sentence,
                "ground": says.ground,
                "authority": says.authority,
                "until": says.until,
                "done_at": done_at,
            }
        )
    return found


def _reasons_now(request: Request, decisions: Iterable[Decision], today: date) -> dict[int, Verdict | None]:
    """Return of what the request keeps, by the number of its decision, what is to be said of it today; opens nothing.

    None where the record or that part of it is gone. Only for what was told and is binding: a plan says what was
    planned. Nothing of a record whose hold is in doubt, or whose row is away while its key lives: what was told of it
    stands.
    """
    kept = [
        one for one in decisions if one.pinned and decided.ended_at(one) is None and one.action == Decision.Action.KEEP
    ]
    named = dict.fromkeys((one.label, one.record_id) for one in kept if one.record_id is not None)
    if not named:
        return {}
    facts = assessment.under_one_law(
        assessment.facts_of_records(named), Counter([request.country] if request.country else [])
    )
    (on_hold, doubted), schedule = in_force.look((one.label, one.record_id) for one in facts), rules.load()
    pins = assessment.pins_of(facts)
    verdicts = {
        (one.label, *verdict.key): verdict
        for one in facts
        for verdict in assess(one, schedule, on_hold, today, asked=True, pins=pins)
    }
    found = {
        one.pk: verdicts.get((one.label, one.record_id, one.envelope))
        for one in kept
        if one.record_id is not None and one.record_id not in doubted
    }
    pairs = {
        one.pk: (one.record_id, one.envelope)
        for one in kept
        if one.record_id is not None and one.pk in found and found[one.pk] is None
    }
    living = vault.keys.living(list(pairs.values())) if pairs else set()
    return {pk: verdict for pk, verdict in found.items() if pairs.get(pk) not in living}


def unjoined_of(request: Request) -> str:
    """Return what the plan said of records that carry the person's address without being joined. Raises
    FileUnreadable."""
    return str(read(request).get("plan", {}).get("unjoined", ""))


def counts(decisions: Iterable[Decision]) -> dict[str, int]:
    """Return how many envelopes of each kind of record these decisions ended: all a tombstone says."""
    done = (one.label for one in decisions if one.action == Decision.Action.ERASE and decided.ended_at(one))
    return dict(sorted(Counter(done).items()))
