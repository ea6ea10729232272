"""A request in the shape of docs/schemas/request_show.json: no personal data, nothing opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from privacy.requests import bound
from privacy.requests.history import STEP
from privacy.requests.models import Request, RequestEvent
from privacy.retention import decided


def of(request: Request) -> dict[str, Any]:
    """Return a request as commands and schemas show it (docs/schemas/request_show.json): no
    personal data, opens nothing."""
    events = list(request.events.all())
    done = _done(request, events)
    # Neither this nor what a decision is about stands under a keyed hash: a value of another kind is none.
    tried = request.tries if isinstance(request.tries, dict) else {}
    tries = {step: count for step, count in tried.items() if isinstance(count, int)}
    planned = next((e.at for e in events if e.kind == "planned"), None)
    return {
        "reference": request.reference,
        "kind": request.kind,
        "state": request.state,
        "channel": request.channel,
        "asked_by": request.asked_by,
        "received_on": request.received_on.isoformat(),
        "due_on": request.due_on.isoformat(),
        "legal_due_on": request.legal_due_on.isoformat(),
        "unpaused_due_on": request.unpaused_due_on.isoformat() if request.unpaused_due_on else None,
        "identity": request.identity,
        "scope": request.scope,
        "plan_hash": request.plan_hash,
        "confirmed": bool(request.confirmed_hash),
        "attempts": max(tries.values(), default=0),
        "last_error": request.last_error,
        "decisions": _decisions(request),
        "steps": [
            {
                "name": step,
                "attempts": tries.get(step, 0),
                "done_at": _iso(planned if step == "plan" else done.get(step)),
            }
            for step in request.steps
        ],
        "events": [
            {
                "at": _iso(e.at),
                "on": e.on.isoformat(),
                "kind": e.kind,
                "state": e.state,
                "step": e.step,
                "by": e.actor_kind,
            }
            for e in events
        ],
    }


def _done(request: Request, events: Iterable[RequestEvent]) -> Mapping[str, datetime]:
    """Return when each step was done that lies before the next one, which stands under the request's keyed hash: an
    event of any other was planted."""
    found = {e.step: e.at for e in events if e.kind == STEP}
    if request.procedure.named(request.step) is not None:
        ahead = request.procedure.ahead(request.step, of_a_person=not request.is_about_records)
        return {step: at for step, at in found.items() if step not in ahead}
    return found if not found or bound.is_ours(request) else {}


def _decisions(request: Request) -> list[dict[str, Any]]:
    """Group the decisions by record; each datum says what becomes of it and why."""
    records: dict[tuple[str, Any], dict[str, Any]] = {}
    for d in request.decisions.all():
        # Decisions that lost their record's number are not thrown together.
        key = (d.label, d.record_id or d.pk)
        record = records.setdefault(
            key, {"record": str(d.record_id) if d.record_id else None, "label": d.label, "data": []}
        )
        for name in d.data if isinstance(d.data, list) else ():
            record["data"].append(
                {
                    "name": name,
                    "envelope": d.envelope,
                    "action": d.action,
                    "code": d.code,
                    "ground": d.ground,
                    "authority": d.authority,
                    "until": d.until.isoformat() if d.until else None,
                    "done_at": _iso(decided.ended_at(d)),
                }
            )
    return list(records.values())


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
