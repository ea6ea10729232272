"""A request read: found by its reference, shown, and its outcome by its person or by reference and code.

What must never happen: an outcome that is shown to somebody who is not the person; an answer that takes another time
for a reference that is unknown here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from privacy import gate
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.requests import (
    codes,
    outcome,
    proof,
    shape,
    went_to,
)
from privacy.requests.models import Request
from privacy.requests.proving import stands
from privacy.requests.sight import acting_by_code, require_sight


class WrongCode(Exception):
    """No outcome for this reference and code."""


class CodeMoved(Exception):
    """The address to which the code went does not count any more: a second person is asked, nothing is shown."""

    def __init__(self, request: Request) -> None:
        super().__init__("The code went to an address that does not count any more.")
        self.request = request


def find(reference: str) -> Request:
    """Return the request with this reference, however it was typed. Raises Request.DoesNotExist."""
    spelled = codes.read_reference(reference)
    if spelled is None:
        raise Request.DoesNotExist
    return Request.objects.get(reference=spelled)


def show(request: Request) -> dict[str, Any]:
    """Return a request in the shape of docs/schemas/request_show.json: no personal data, nothing opened."""
    return shape.of(request)


def lines(request: Request, *, actor: Actor, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return for the person what is (to be) erased, kept and given, with titles and why; under the actor's own context.

    Raises NotYours, outcome.FileUnreadable.
    """
    require_sight(request, actor)
    return outcome.lines(request, today=company_day(now))


def unjoined(request: Request, *, actor: Actor) -> str:
    """Return what the plan said of records that are not joined to the person; under the actor's own context.

    Raises NotYours, outcome.FileUnreadable.
    """
    require_sight(request, actor)
    return outcome.unjoined_of(request)


def refusal(request: Request, *, actor: Actor) -> dict[str, str]:
    """Return why a request was refused, {} when it was not; under the actor's own context.

    Raises NotYours, outcome.FileUnreadable.
    """
    require_sight(request, actor)
    return outcome.refusal_of(request)


def by_code(
    reference: str, code: str, *, now: datetime, reader: UUID | None = None, visitor: Actor | None = None
) -> dict[str, Any]:
    """Return the outcome for a reference and the code that was shown once: also when the account is gone.

    Keys: request, erased, kept, given, leftovers, warnings, unjoined, refusal. Raises WrongCode, which takes as
    long for an unknown reference and for one that goes by post whose letter is not ticked off, CodeMoved unless
    `reader`, who is signed in, is the person, and proof.HadTheLetter where `visitor`, a member of staff who is
    signed in, had that letter in hand.
    """
    spelled = codes.read_reference(reference)
    request = Request.objects.filter(reference=spelled).first() if spelled else None
    if not codes.code_matches(code, request) or request is None or not codes.is_code_out(request):
        raise WrongCode
    if visitor is not None and (visitor.kind, visitor.id or "") in codes.had_code(request):
        raise proof.HadTheLetter
    is_own = reader is not None and reader == request.subject_id
    if not is_own and not stands(request, went_to.stands_on_code(request, code), now=now):
        raise CodeMoved(request)
    with gate.acting(acting_by_code(request, request.pk)):
        plan = outcome.read(request).get("plan", {})
        found = outcome.lines(request, today=company_day(now))
        refusal = outcome.refusal_of(request)
    said = {name: plan.get(name, []) for name in ("leftovers", "warnings")}
    return {"request": request, **found, **said, "unjoined": plan.get("unjoined", ""), "refusal": refusal}
