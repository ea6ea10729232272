"""Which records are under a legal hold: by rows that say what the site wrote, held against the audit.

What must never happen: a row that somebody wrote into the table keeps data through a removal, and the person is told of
a legal claim; or one that was changed, taken away or put back there lets data go. So a hold carries a keyed hash over
all that it says, and the audit tells that it was placed and lifted. One that does not fit, or that the audit calls
lifted, is in doubt: it is no reason to keep, and nothing of its record ends beside it. A removal stops there, the sweep
names it, and an operator who looked lifts it, or lifts it and places it anew. One of which no row tells any more, while
the audit tells that it was placed and not that it was lifted, is in force: it is told, listed and lifted like any
other, and the sweep names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from privacy import audit, vault
from privacy.calendar import undated
from privacy.gate import matrix
from privacy.retention.models import Hold

PLACED, LIFTED = "hold.placed", "hold.lifted"  # in the audit
IN_DOUBT = "not as this program wrote it: lift it, and place it anew where somebody knows the case"
LOST = "in force by the audit, while its row is gone from the table: lift it, or place it anew"
LOST_HERE = "in force by the audit, while its row is gone from the table: place it anew, for the same case; then it can be lifted"

Case = tuple[str, Any, str, str]
Record = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Standing:
    """Which records are under a hold of the site's, of which others one is in doubt, and of which of the former the
    audit alone tells of one, because the table has no row of it in force."""

    on_hold: set[UUID]
    in_doubt: set[UUID]
    lost: set[UUID]


def on_hold(records: Iterable[Record]) -> set[UUID]:
    """Return which of these records are under a hold of the site's now: two queries."""
    return stand(records).on_hold


def in_doubt(records: Iterable[Record]) -> set[UUID]:
    """Return which of these records have a hold that says what the site did not write: two queries."""
    return stand(records).in_doubt


def look(records: Iterable[Record]) -> tuple[set[UUID], set[UUID]]:
    """Return which of these records are under a hold of the site's, and of which others a hold is in doubt: two
    queries."""
    standing = stand(records)
    return standing.on_hold, standing.in_doubt


def stand(records: Iterable[Record]) -> Standing:
    """Return how these records stand under holds; two queries for any number.

    One that somebody changed in the table, or took away, is in force as long as the audit tells that it was placed
    last.
    """
    named = set(records)
    if not named:
        return Standing(set(), set(), set())
    found = list(Hold.objects.filter(record_id__in={pk for _, pk in named}))
    last = _last([*named, *((one.label, one.record_id) for one in found)])
    doubted = _doubtful(found, last)
    on_hold = {one.record_id for one in found if one.is_in_force and one.pk not in doubted}
    on_hold |= {record for (_, record, _, _), action in last.items() if action == PLACED}
    in_doubt = {one.record_id for one in found if one.pk in doubted} - on_hold
    return Standing(on_hold, in_doubt, {case[1] for case in _rowless(found, last)})


def lost(records: Iterable[Record] | None = None) -> list[Hold]:
    """Return the holds on these records, or on all, that are in force by the audit while no row says so: not saved, as
    they were placed, but with a number of their own. Two queries for any number of given records.

    Of all: those that the key store has marked as held, where who can write to the tables writes nothing.
    """
    if records is not None:
        return _lost(set(records))
    found: list[Hold] = []
    after: UUID | None = None
    while some := vault.keys.restricted(by=matrix.ON_HOLD, after=after):
        after = some[-1][0]
        found += _lost({(label, pk) for pk, label in some})
    return found


def _lost(named: Collection[Record]) -> list[Hold]:
    return [one for one in listed(named) if one._state.adding]


def listed(records: Collection[Record]) -> list[Hold]:
    """Return the holds in force on these records by their rows, whatever those say, and then those of `lost`: two
    queries."""
    if not records:
        return []
    rows = list(undated.each(Hold.objects.filter(record_id__in={pk for _, pk in records})))
    events: dict[Case, audit.AuditEvent] = {}
    for of, event in audit.events_of([PLACED, LIFTED], records):
        events[*of, event.reason, event.reference] = event
    missing = _rowless(rows, {case: event.action for case, event in events.items()})
    return [*(one for one in rows if one.is_in_force), *(_as_placed(case, events[case]) for case in sorted(missing))]


def _as_placed(case: Case, event: audit.AuditEvent) -> Hold:
    label, record, reason, reference = case
    by = (event.actor or event.actor_kind) if event.actor_kind == "staff" else event.actor_kind
    return Hold(label=label, record_id=record, reason=reason, reference=reference, placed_at=event.at, placed_by=by)


def _rowless(found: Iterable[Hold], last: Mapping[Case, str]) -> set[Case]:
    """Return the cases that by the audit were placed last, and of which none of these rows is in force."""
    standing = {_case(one) for one in found if one.is_in_force}
    return {case for case, action in last.items() if action == PLACED} - standing


def doubtful(found: Collection[Hold]) -> set[UUID]:
    """Return the numbers of those of these holds that do not say what the site wrote: one query.

    What the audit tells is older than a row: the row of before a hold was lifted, put back, fits its keyed hash. One
    without a hash, of a backup of before, is the site's while the audit tells the same.
    """
    return _doubtful(found, _last_of(found))


def _last_of(found: Collection[Hold]) -> dict[Case, str]:
    return _last((one.label, one.record_id) for one in found) if found else {}


def _doubtful(found: Collection[Hold], last: Mapping[Case, str]) -> set[UUID]:
    return {one.pk for one in found if not _is_ours(one, last.get(_case(one), ""))}


def _is_ours(hold: Hold, last: str) -> bool:
    if not hold.mac:
        return last == (PLACED if hold.is_in_force else LIFTED)
    return vault.mac_fits(hold.mac, *_says(hold)) and not (hold.is_in_force and last == LIFTED)


def _last(records: Iterable[Record]) -> dict[Case, str]:
    """Return, for each case about these records of which the audit tells, whether it was placed or lifted last. Of one
    case one hold is in force at a time. Events are only appended; they go back three years."""
    told = audit.told_of([PLACED, LIFTED], list(dict.fromkeys(records)))
    return {(*record, reason, reference): action for record, action, reason, reference in told}


def _case(hold: Hold) -> Case:
    return hold.label, hold.record_id, hold.reason, hold.reference


def bind_all() -> int:
    """Sign the holds of before that the audit tells of, or that are older than it; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once). The others stay in
    doubt: until then anybody could have written one.
    """
    since = audit.goes_back_to(audit.AUDIT)
    found = list(Hold.objects.select_for_update().filter(mac=""))
    doubted = doubtful(found)
    signed = [sign(one) for one in found if one.pk not in doubted or (since is not None and one.placed_at < since)]
    return Hold.objects.bulk_update(signed, ["mac"])


def sign(hold: Hold) -> Hold:
    """Give a hold that is about to be written the keyed hash over what it says, and return it."""
    hold.mac = vault.mac_of(*_says(hold))
    return hold


def _says(hold: Hold) -> tuple[Any, ...]:
    placed, lifted = (hold.placed_at, hold.placed_by), (hold.lifted_at, hold.lifted_by)
    return "hold", hold.pk, *_case(hold), *placed, *lifted
