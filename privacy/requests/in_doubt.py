"""Which requests somebody has to look at: those of which rows, decisions, questions or proofs are not what the site
wrote."""

from __future__ import annotations

from django.db.models import QuerySet

from privacy.calendar import undated
from privacy.requests import doubt, planned, questions, tombstones
from privacy.requests.models import Request


def among(which: QuerySet[Request]) -> QuerySet[Request]:
    """Return those of these requests that somebody has to look at.

    The row is not what the site wrote, the history misses what the audit tells, the decisions are not those of the
    plan, the questions to a second person are not those of the history, or a line of the ledger stands where the proof
    has to. The same number of queries for each 500 requests; nothing is shown of what is opened for it.
    """
    with undated.leniently():  # the one with a day that no calendar has is to be named
        doubted = doubt.among(which.order_by().values_list("pk", flat=True))
        numbers = {*doubted, *planned.unlike(which), *questions.unlike(which), *tombstones.taken()}
    return which.filter(pk__in=numbers)
