"""What history, audit or key store contradict in the row of a request: for an operator who judges it.

What must never happen: a row that somebody wrote into is sealed as it stands because nobody asked the lists that are
only ever appended to. What the keyed hash of a request stands over (`bound`) is held against them here, part by part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from privacy import audit
from privacy.requests import bound, history, procedures
from privacy.requests.models import Request, RequestEvent


def of(pk: UUID) -> list[str]:
    """Return in words what is contradicted; [] where only the keyed hash does not fit."""
    row = bound.row_of(pk)
    if row is None:
        return []
    events = list(RequestEvent.objects.filter(request=pk).values_list("kind", "step", "detail"))
    return [*_of_person(row), *_of_filing(row), *_of_stages(row, events), *_of_steps(row, events)]


def _of_person(row: Mapping[str, Any]) -> Iterator[str]:
    if row["subject_id"] not in (None, row["owner_id"]):
        yield "the row names another person than its owner"
    if bound.is_elsewhere(row):
        yield "by the key store its file is another person's than the row's"


def _of_filing(row: Mapping[str, Any]) -> Iterator[str]:
    """Hold the right and the way it came against the audit, as long as that goes back."""
    if not procedures.of(row["kind"]).is_known:
        yield "this program knows no such right"
    told = audit.told_of(("request.filed", "request.merged"), [(Request.vault_label, row["pk"])])
    if not told:  # what was planted there says nothing
        return
    filed = [(reason, reference) for _, _, reason, reference in told]
    kinds = [reason.partition(" by ")[0] for reason, _ in filed]
    channels = [reason.partition(" by ")[2] for reason, _ in filed]
    if row["kind"] not in kinds:
        yield f"by the audit it was filed as {' and '.join(dict.fromkeys(kinds))}"
    if row["channel"] not in channels:
        yield f"by the audit it came by {' and '.join(dict.fromkeys(channels))}"
    if row["reference"] not in {reference for _, reference in filed}:
        yield "by the audit it was filed under another reference"


def _of_stages(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    kinds, state = {kind for kind, _, _ in events}, bound.stopped_at(row)
    if state in bound.STAGES and state not in kinds:
        yield f"its history does not say that it was ever {state}"
    proved = {detail.get("identity") for kind, _, detail in events if kind == "identity"}
    if row["identity"] != "pending" and not proved:
        yield "its history does not say that identity was proved"
    elif row["identity"] != "pending" and proved != {None} and row["identity"] not in proved:
        yield "its history says that identity was proved in another way"
    if row["plan_hash"] and "planned" not in kinds:
        yield "its history does not say that a plan was made"
    if row["confirmed_hash"] and "confirmed" not in kinds:
        yield "its history does not say that a plan was confirmed"


def _of_steps(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    right = procedures.of(row["kind"])
    following = right.named(row["step"])
    if following is None:
        if row["step"] and right.is_known:
            yield "this right has no such step"
        return
    done = {step for kind, step, _ in events if kind == history.STEP}
    for name in right.order(of_a_person=row["scope"] == "whole"):
        if name == following.name or following.waits:
            return
        one = right.named(name)
        if one is not None and one != procedures.PLAN and one.name not in done:
            yield f"it is at a step before which this had to be done, and was not: {one.words}"
