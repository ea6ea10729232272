"""Which records are under a legal hold: by rows that say what the site wrote, held against the audit.

What must never happen: a row that somebody wrote into the table keeps data through a removal, and the person is told of
a legal claim; or one that was changed, taken away or put back there lets data go. So a hold carries a keyed hash over
all that it says, and the audit tells that it was placed and lifted. One that does not fit, or that the audit calls
lifted, is in doubt: it is no reason to keep, and nothing of its record ends beside it. A removal stops there, the sweep
names it, and an operator who looked lifts it, or lifts it and places it anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from privacy import audit, vault
from privacy.retention.models import Hold

PLACED, LIFTED = "hold.placed", "hold.lifted"  # in the audit
IN_DOUBT = "not as this program wrote it: lift it, and place it anew where somebody knows the case"

Case = tuple[str, Any, str, str]


def on_hold(record_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of these records are under a hold of the site's now: one query, one more where there is any."""
    return look(record_ids)[0]


def in_doubt(record_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of these records have a hold that says what the site did not write: one query, one more where there
    is any hold."""
    return look(record_ids)[1]


def look(record_ids: Iterable[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Return which of these records are under a hold of the site's, and of which others a hold is in doubt. One query,
    one more where there is any hold.

    One that somebody changed in the table is in force as long as the audit tells that it was placed last.
    """
    found = list(Hold.objects.filter(record_id__in=list(record_ids)))
    last = _last_of(found)
    doubted = _doubtful(found, last)
    on_hold = {one.record_id for one in found if one.is_in_force and one.pk not in doubted}
    on_hold |= {record for (_, record, _, _), action in last.items() if action == PLACED}
    return on_hold, {one.record_id for one in found if one.pk in doubted} - on_hold


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


def not_lifted(label: str, record_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of these records were put under a hold that nobody has lifted, by the audit: one query.

    A row that somebody wrote or took away lifts no hold: events are only appended. The audit tells of the last three
    years.
    """
    last = _last((label, pk) for pk in record_ids)
    return {record for (_, record, _, _), action in last.items() if action == PLACED}


def _last(records: Iterable[tuple[str, UUID]]) -> dict[Case, str]:
    """Return, for each case about these records of which the audit tells, whether it was placed or lifted last. Of one
    case one hold is in force at a time."""
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
