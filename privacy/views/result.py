"""What a page says has become, or would become, of what was asked: the same for the person's page and the outcome by
code.

What must never happen: a page that calls something removed or given before it is, or an end without its reason.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from privacy.calendar import company_day
from privacy.models import Request
from privacy.requests import export, second, waits
from privacy.requests.states import State


def how_far(about: Request) -> dict[str, bool]:
    """Return how far a request is, for a template: at most one of these is true."""
    reached = about.stage
    return {
        "is_to_come": reached == "would",
        "has_begun": reached == "begun",
        "is_done": reached == "done",
        "has_ended": reached == "ended",
    }


def gone_out(about: Request) -> dict[str, bool]:
    """Return what had gone out of a request before somebody objected, for a template."""
    out = second.gone_out(about)
    return {"is_out": bool(out), "was_fetched": out == "fetched", "was_removed": out == "removed"}


def still(about: Request, now: datetime) -> dict[str, Any]:
    """Return what holds a request up, a question to a second person or time for others to object, and whether it is
    late."""
    until = waits.ends_at(about, now=now) if about.can_withdraw and about.state != State.PARKED else None
    needs_second = (about.is_open or export.live(about) is not None) and waits.is_undecided(about)
    return {
        "is_overdue": about.is_open and not about.is_answered and company_day(now) > about.due_on,
        "needs_second": needs_second,
        "is_held_up": needs_second or bool(until and until > now),
        **gone_out(about),
        "waits_until": until if until and until > now else None,
    }
