"""The oldest rows of the audit and of the access log end when the schedule says so (retention
classes `audit`, `access_log`)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.utils import timezone

from privacy import audit
from privacy.audit.chains import AUDIT, Chain
from privacy.calendar import company_day
from privacy.gate.log import CHAINS
from privacy.retention import rules


def end_all(*, now: datetime) -> int:
    """End what is over in both logs; return how many rows. One that cannot be ended keeps the other from nothing."""
    return sum(audit.for_each(CHAINS, lambda chain: end(now=now, chain=chain)))


def end(*, now: datetime, chain: Chain = AUDIT) -> int:
    """End the rows of one log whose three years are over; return how many."""
    return audit.end(before=ends_before(now, chain), now=now, chain=chain)


def ends_before(now: datetime, chain: Chain = AUDIT) -> datetime:
    """Return the moment before which a row's three years are over."""
    last = rules.cutoff(chain.ends_as, company_day(now))
    return timezone.make_aware(datetime.combine(last + timedelta(days=1), time.min))
