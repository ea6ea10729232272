"""What was done, by whom, to whom: append-only, pseudonymous, sealed in a chain, verifiable (Art. 5(2), P40).

    audit.record("order.corrected", actor=actor, now=now, subject=subject, record=("orders.order", order.pk),
                 fields=("ship_name",))

What must never happen: a value of anybody's data in an event, an event that can be changed without being named by
`verify`, an event written outside the transaction it tells of. An event cannot be taken back; a wrong one is answered
by another.

    models        the append-only tables: events, links of the chain, where a chain begins
    events        writing events, and reading what happened
    encoding      the canonical form of an event; its bytes never change
    chains        which logs are chained: this one, and others that are handed in
    seals         sealing a chain, and signing its head outside the database
    verification  everything computed again
    ending        the oldest rows, after their time
"""

from privacy.audit.chains import AUDIT, Chain, for_each
from privacy.audit.ending import end
from privacy.audit.events import (
    Happened,
    Record,
    Times,
    are_told,
    asking_times_of,
    corrected,
    doers,
    ends,
    events_of,
    first_at,
    history,
    last,
    of_references,
    ours,
    people_in,
    people_told_of,
    record,
    record_many,
    times_of,
    told,
    told_of,
)
from privacy.audit.models import AuditEvent, AuditLink, ChainFloor
from privacy.audit.seals import checkpoint, seal, sign_all
from privacy.audit.verification import Finding, Report, goes_back_to, late, verify

__all__ = [
    "AUDIT",
    "AuditEvent",
    "AuditLink",
    "Chain",
    "ChainFloor",
    "Finding",
    "Happened",
    "Record",
    "Report",
    "Times",
    "are_told",
    "asking_times_of",
    "checkpoint",
    "corrected",
    "doers",
    "end",
    "ends",
    "events_of",
    "first_at",
    "for_each",
    "goes_back_to",
    "history",
    "last",
    "late",
    "of_references",
    "ours",
    "people_in",
    "people_told_of",
    "record",
    "record_many",
    "seal",
    "sign_all",
    "times_of",
    "told",
    "told_of",
    "verify",
]
