"""The plan in the sealed file of a request, and whether the decisions in the table are those of it.

What must never happen: a removal called carried out, and answered as that, because a decision of it was taken away,
moved to another request or exchanged: a row that is not there ends nothing. Each row carries a keyed hash
(`retention.decided`); how many there have to be, and about what, says the plan in the file, which is sealed and stands
by its hash in the row of the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from privacy import vault
from privacy.requests import bound, history
from privacy.requests.models import Request
from privacy.retention import decided
from privacy.retention.models import Decision

CHUNK = 500
Pair = tuple[Decision, Mapping[str, Any]]


class PlanUnreadable(Exception):
    """The file of the request could not be opened, so that nothing can be held against its plan."""


def of(request: Request) -> Mapping[str, Any] | None:
    """Return the plan in the sealed file, {} where it has none, None where it cannot be opened.

    Past the gate: to be compared, shown to nobody.
    """
    with vault.internal():
        kept = request.outcome
    if isinstance(kept, vault.Unreadable):
        return None
    return kept.get("plan", {}) if isinstance(kept, dict) else {}


def paired(decisions: Sequence[Decision], verdicts: Sequence[Mapping[str, Any]], *, gives: bool) -> list[Pair] | None:
    """Return each decision with its verdict in the plan, in whose order they were written; None where they are not as
    many, or one is about something else."""
    if len(decisions) != len(verdicts):
        return None
    found = list(zip(decisions, verdicts, strict=True))
    return found if all(is_about(*pair, place, gives=gives) for place, pair in enumerate(found)) else None


def is_about(one: Decision, verdict: Mapping[str, Any], place: int, *, gives: bool) -> bool:
    """Say whether a decision is about what the verdict at this place of the plan is, and does that: what was to end may
    be kept since, because something came up meanwhile. A plan of before tells only what is done, and what was decided
    before, or without a plan after a restore, knows no place."""
    label, record, envelope = verdict["of"][:3] if "of" in verdict else (one.label, str(one.record_id), one.envelope)
    # A record that ended for good has lost its number (`decided.forget`): its place says which it was.
    is_one = one.place in (None, place) and (one.record_id is None or str(one.record_id) == record)
    was = Decision.Action.GIVE if gives else verdict["action"]
    is_kept_since = one.action == Decision.Action.KEEP and was == Decision.Action.ERASE and one.pinned
    return is_one and (one.label, one.envelope) == (label, envelope) and (one.action == was or is_kept_since)


def is_worded(one: Decision, verdict: Mapping[str, Any]) -> bool:
    """Say whether a decision tells data, ground and authority as the plan did. One that keeps what was to end has
    another reason, and a plan of before does not say."""
    is_kept_since = one.action == Decision.Action.KEEP != verdict["action"]
    return is_kept_since or decided.words(one) == verdict.get("said", decided.words(one))


def record_of(one: Decision, verdict: Mapping[str, Any]) -> UUID | None:
    """Return the number of the record that a decision is about, by the plan where the row has none any more; None where
    a plan of before does not tell it either."""
    return one.record_id or (UUID(verdict["of"][1]) if "of" in verdict else None)


def require(request: Request) -> list[Pair]:
    """Return the decisions with their verdicts. Raises bound.NotOurs unless they are those of the plan that the row
    names, all of them and each as the site wrote it; PlanUnreadable."""
    plan = of(request)
    if plan is None:
        raise PlanUnreadable
    decisions = list(Decision.objects.filter(request=request).order_by("pk"))
    found = paired(decisions, plan.get("verdicts", ()), gives=request.procedure.gives)
    if found is None or plan.get("hash") != request.plan_hash or len(decided.ours(decisions)) < len(decisions):
        raise bound.NotOurs
    return found


def unlike(which: QuerySet[Request]) -> Iterator[UUID]:
    """Yield those of these requests whose decisions are not those of the plan in their
    file, in number and what they are about, or that are called carried out while something has no end: those of whose
    decisions `outcome.lines` tells nothing. Of those whose file has ended, or was made anew from the ledger, nothing
    can be said. Oldest first, in the same number of queries for each `CHUNK`."""
    for request in which.exclude(plan_hash="").prefetch_related("decisions").order_by("pk").iterator(CHUNK):
        plan = of(request)
        decisions = sorted(request.decisions.all(), key=lambda one: one.pk)
        if not plan:
            continue
        is_like = paired(decisions, plan.get("verdicts", ()), gives=request.procedure.gives) is not None
        if not is_like or any(has_no_end(request, one) for one in decisions):
            yield request.pk


def has_no_end(request: Request, decision: Decision) -> bool:
    """Say whether a request is called carried out, and no decision of ours says that this has ended, or until when it
    is kept as one that binds: its keyed hash of before would fit, and the day that was told would be forgotten."""
    if request.stage != "done":
        return False
    if decision.action == Decision.Action.KEEP:
        return request.procedure.removes and not decision.pinned and decided.is_ours(decision)
    return decision.action == Decision.Action.ERASE and decided.ended_at(decision) is None


def worded(pk: UUID) -> set[int]:
    """Return the numbers of those decisions of a request that are told as in the plan of its file; all where
    it does not say, or there is none any more."""
    request = Request.objects.get(pk=pk)
    decisions, plan = list(Decision.objects.filter(request=pk).order_by("pk")), of(request)
    if not plan:
        return _without_plan(request, decisions)
    found = paired(decisions, plan.get("verdicts", ()), gives=request.procedure.gives) or ()
    return {one.pk for one, verdict in found if is_worded(one, verdict)}


def _without_plan(request: Request, decisions: Sequence[Decision]) -> set[int]:
    """Return the numbers of all decisions where the file of the request has ended, or can be opened and has no plan, as
    that of one made anew from the ledger: of none where it can't be opened, or was taken away."""
    with vault.internal():
        is_opened = isinstance(request.outcome, dict)
    is_over = is_opened or vault.keys.is_destroyed(request.pk, bound.ENVELOPE)
    return {one.pk for one in decisions} if is_over else set()


def placed(pk: UUID) -> set[int]:
    """Return the numbers of those decisions of a request that stand where its plan has them, while the key store has no
    key of what they call ended; all where there is no plan any more."""
    request = Request.objects.get(pk=pk)
    decisions, plan = list(Decision.objects.filter(request=pk).order_by("pk")), of(request)
    if not plan:
        return _without_plan(request, decisions)
    found = paired(decisions, plan.get("verdicts", ()), gives=request.procedure.gives) or ()
    named = {one.pk: record_of(one, verdict) for one, verdict in found}
    return set(named) - decided.said_too_early((one for one, _ in found), named)


def forgotten(pk: UUID) -> set[int]:
    """Return the numbers of those decisions of a request that are done and name no record any more, and whose keyed
    hash of before fits with the record that the plan names, while the key store has no key of it.

    A plan of before names none: then those of a request that fits its own keyed hash and has ended what it was to end.
    """
    request = Request.objects.get(pk=pk)
    decisions = list(Decision.objects.filter(request=pk).order_by("pk"))
    found = paired(decisions, (of(request) or {}).get("verdicts", ()), gives=request.procedure.gives) or ()
    lost = [(one, record_of(one, verdict)) for one, verdict in found if one.record_id is None and one.done_at]
    living = vault.keys.living([(record, one.envelope) for one, record in lost if record is not None])
    has_ended = bound.is_ours(request) and request.events.filter(kind=history.STEP, step="erase").exists()
    return {
        one.pk
        for one, record in lost
        if (has_ended if record is None else decided.was_about(one, record) and (record, one.envelope) not in living)
    }
