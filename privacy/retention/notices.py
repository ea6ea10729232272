"""Warnings: nobody's account ends by itself without a letter some time before (law §4: 30 days).

A warning counts as long as the person did nothing since: whoever came back is warned anew before the next end. At most
as many people are warned in a night as may be ended in one, so that a wrong rule does not write to everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from privacy.requests import hooks, letters
from privacy.retention.facts import Facts
from privacy.retention.models import EndNotice
from privacy.retention.rules import Schedule


def days_before(facts: Facts, envelopes: Iterable[str], schedule: Schedule) -> int:
    """Return how long before these envelopes end the person is to be warned; 0 when not at all, or about nobody."""
    if facts.subject_id is None:
        return 0
    return max((schedule[name].warn_days for name in envelopes), default=0)


def unwarned(found: Collection[Facts], *, by: date) -> set[UUID]:
    """Return the people in `found` to whom no warning was given by that day that still counts; one query."""
    given: dict[UUID, date] = {}
    subjects = {facts.subject_id for facts in found if facts.subject_id is not None}
    notices = EndNotice.objects.filter(subject__in=subjects, given_on__lte=by).order_by("given_on")
    for subject, day in notices.values_list("subject_id", "given_on"):
        given[subject] = day
    missing = set()
    for facts in found:
        if facts.subject_id is None:
            continue
        last = max((day for day in facts.events.values() if day is not None), default=date.min)
        if facts.subject_id not in given or given[facts.subject_id] < last:
            missing.add(facts.subject_id)
    return missing


def warn(subject: UUID, *, on: date, ends_after: date, now: datetime) -> bool:
    """Write to the person that the account ends after that day unless it is used; return whether a letter is new.

    Opens the address on file under the actor of the caller. Safe to repeat on one day.
    """
    with transaction.atomic():
        notice, is_new = EndNotice.objects.get_or_create(subject_id=subject, given_on=on)
        if is_new:
            people = hooks.people()
            letters.queue(
                "account_ending",
                to=people.address(subject),
                context={
                    "name": people.name(subject),
                    "ends_after": ends_after,
                    "has_login": people.has_login(subject),
                },
                key=f"account_ending:{notice.pk}",
                now=now,
                subject=subject,
            )
    return is_new
