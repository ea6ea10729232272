"""Open requests counted anew: after a change of the laws, the holidays or the company's switches, by `prepare`.

What must never happen: a request goes on by the date of an older law. So all dates are recomputed from the events; a
date that moves stands in the audit, and what waits for the due day waits for the one in force. Safe to repeat.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from privacy import audit
from privacy.actor import Actor
from privacy.requests import addresses, asking, assessment, history
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES

_DATES = ("due_on", "legal_due_on", "unpaused_due_on")


def recount(*, actor: Actor, now: datetime) -> int:
    """Recompute the dates of every open request, and return of how many one has moved."""
    numbers = list(Request.objects.filter(state__in=OPEN_STATES).order_by("pk").values_list("pk", flat=True))
    return sum(_recount(number, actor, now) for number in numbers)


def _recount(number: UUID, actor: Actor, now: datetime) -> bool:
    with transaction.atomic():
        request = Request.objects.select_for_update(of=("self",)).filter(pk=number, state__in=OPEN_STATES).first()
        if request is None:
            return False
        _find_region(request)
        before = [getattr(request, name) for name in _DATES]
        history.recompute(request)
        if before == [getattr(request, name) for name in _DATES]:
            return False
        asking.wait_anew(request, now=now)
        audit.record(
            "request.recounted", actor=actor, now=now, subject=request.subject_id, reference=request.reference,
            reason=f"from {before[0]:%-d %B %Y} to {request.due_on:%-d %B %Y}",
        )  # fmt: skip
    return True


def _find_region(request: Request) -> None:
    """Note the state or province of a request that was filed before one was kept, or before the person had one on
    file."""
    if request.region:
        return
    if request.is_about_records:
        country, region = assessment.place_of_records(addresses.records_of(request))
    elif request.subject_id is not None:
        country, region = assessment.place_of(request.subject_id)
    else:
        return
    if region and country == request.country:
        request.region = region
        request.save(update_fields=["region"])
