"""Which decisions say what the site wrote: those whose keyed hash fits (privacy.vault.macs).

What must never happen: a record ended early, or one that law keeps, because somebody wrote a decision about it into the
table, or another day into one: what a person was told (pinned) is ended by the sweep without asking the schedule and
outside its cap; a record that is kept opened to all again, or called erased, because a column says that it is done. So
each decision carries a keyed hash over its request, its record, what it does and until when, whether that is binding,
when it was done, what the answer says of it (which data, and why), and which line of the plan it is. One that does not
fit ends nothing and is a finding of the sweep; a removal stops at it.
Neither is undone by itself: an operator who looked signs the decisions of a request with it (`seal_requests`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction

from privacy import vault
from privacy.retention.models import Decision

CHUNK = 500


def sign(decision: Decision) -> Decision:
    """Give a decision that is about to be written the keyed hash over what it says, and return it."""
    decision.mac = vault.mac_of(*_says(decision))
    return decision


def is_ours(decision: Decision) -> bool:
    """Say whether the site made this decision as it stands."""
    return vault.mac_fits(decision.mac, *_says(decision))


def was_about(decision: Decision, record: UUID) -> bool:
    """Say whether an earlier version made this decision, but for when it was done, about `record`, whose number it has
    lost since: that version left its keyed hash as it was."""
    return vault.mac_fits(decision.mac, *_said_before(decision, record))


def was_ours(decision: Decision) -> bool:
    """Say whether an earlier version made this decision as it stands, but for when it was done, how it is told and
    which line of the plan it is: after a restore of a backup of that version."""
    return any(vault.mac_fits(decision.mac, *says(decision)) for says in (_said_before, _said_of_end, _said_of_words))


def change(decisions: models.QuerySet[Decision], **columns: Any) -> None:
    """Write these columns into decisions, with their keyed hashes; those that did not fit before stay as they are."""
    with transaction.atomic():
        for one in decisions.order_by("pk").select_for_update(of=("self",)).iterator(CHUNK):
            if not is_ours(one):
                continue
            for name, value in columns.items():
                setattr(one, name, value)
            Decision.objects.filter(pk=one.pk).update(**columns, mac=sign(one).mac)


def done(decisions: models.QuerySet[Decision], at: datetime) -> None:
    """Say in decisions that what they are about has ended, with their keyed hashes; one that did not fit before still
    does not."""
    with transaction.atomic(savepoint=False):  # in the caller's, where there is one
        found = list(decisions.order_by("pk").select_for_update(of=("self",)))
        fitted = ours(found)
        for one in found:
            one.done_at = at
        for one in fitted:
            sign(one)
        Decision.objects.bulk_update(found, ["done_at", "mac"], batch_size=CHUNK)


def ended_at(decision: Decision) -> datetime | None:
    """Return when what a decision is about has ended, by a decision that the site made; else None: a row that somebody
    wrote proves nothing."""
    return decision.done_at if decision.done_at is not None and is_ours(decision) else None


def forget(label: str, records: Collection[UUID]) -> None:
    """Take the numbers of records that ended out of the decisions about them, with their keyed hashes; one that did not
    fit before still does not."""
    decisions = Decision.objects.filter(label=label, record_id__in=records)
    with transaction.atomic(savepoint=False):
        fitted = [one for one in decisions.select_for_update(of=("self",)).order_by("pk") if is_ours(one)]
        if decisions.update(record_id=None):
            for one in fitted:
                one.record_id = None
            Decision.objects.bulk_update(map(sign, fitted), ["mac"], batch_size=CHUNK)


def seal(requests: Collection[UUID]) -> int:
    """Sign the decisions of these requests as they stand, those of before at the places of the plan in whose order they
    were written: by the decision of an operator who looked. Return how many."""
    return sum(_sign_placed(_of(request)) for request in requests)


def bind_all() -> int:
    """Sign the decisions of before; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    return _sign_all(Decision.objects.filter(mac=""))


def bind_forgotten(proved: Callable[[UUID], Collection[int]]) -> int:
    """Sign those of before that name no record any more: an earlier version left their hashes as they were.

    As `bind_all`, and of each request only those that `proved` returns: until then anybody could have taken the number
    of a record out, and called it ended.
    """
    lost = Decision.objects.filter(record_id=None, done_at__isnull=False)
    requests = list(lost.order_by("request").values_list("request", flat=True).distinct())
    return sum(_sign_all(lost.filter(pk__in=proved(request))) for request in requests)


def bind_ends() -> int:
    """Put under their keyed hashes when decisions of before were done; return how many.

    As `bind_all`. One that did not fit its keyed hash of before still does not, nor one that says it is done while the
    key store has the key.
    """
    count, after = 0, 0
    while some := list(Decision.objects.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        after = some[-1].pk
        fitted = [one for one in some if vault.mac_fits(one.mac, *_said_before(one))]
        untrue = said_too_early(fitted)
        signed = [sign(one) for one in fitted if one.pk not in untrue]
        count += Decision.objects.bulk_update(signed, ["mac"])
    return count


def bind_words(is_said: Callable[[UUID], Collection[int]]) -> int:
    """Put under their keyed hashes what decisions of before tell of the data, and why; return how many.

    As `bind_all`. One that did not fit its keyed hash of before still does not, nor one of which `is_said` of its
    request does not return the number: until then anybody could have written into an answer what it says.
    """
    count = 0
    for request in list(Decision.objects.order_by("request").values_list("request", flat=True).distinct()):
        found = [one for one in Decision.objects.filter(request=request) if vault.mac_fits(one.mac, *_said_of_end(one))]
        said = is_said(request) if found else ()
        signed = [sign(one) for one in found if one.pk in said]
        count += Decision.objects.bulk_update(signed, ["mac"], batch_size=CHUNK)
    return count


def bind_places(stands: Callable[[UUID], Collection[int]]) -> int:
    """Put under their keyed hashes which line of its plan a decision of before is; return how many.

    As `bind_all`. One that did not fit its keyed hash of before still does not, nor one of which `stands` of its
    request does not return the number: until then a decision could be written over another one of its request.
    """
    count = 0
    for request in list(Decision.objects.order_by("request").values_list("request", flat=True).distinct()):
        found = _of(request)
        fitted = {one.pk for one in found if vault.mac_fits(one.mac, *_said_of_words(one)) or is_ours(one)}
        count += _sign_placed(found, fitted & set(stands(request)))
    return count


def said_too_early(decisions: Iterable[Decision], named: Mapping[int, UUID | None] | None = None) -> set[int]:
    """Return the numbers of those decisions that say of their data that it has ended, or name no record any more, while
    the key store has its key. One query.

    `named` are the records of decisions by their numbers, as the plan says them: without it those that name none are
    passed over.
    """
    pairs = {
        one.pk: (record, one.envelope)
        for one in decisions
        if (record := one.record_id or (named or {}).get(one.pk)) is not None
        and (one.done_at is not None or one.record_id is None)
        and one.action != Decision.Action.GIVE
    }
    living = vault.keys.living(list(pairs.values())) if pairs else set()
    return {pk for pk, pair in pairs.items() if pair in living}


def _of(request: UUID) -> list[Decision]:
    return list(Decision.objects.filter(request=request).order_by("pk"))


def _sign_placed(found: list[Decision], numbers: Collection[int] | None = None) -> int:
    """Sign all decisions of a request, or those with these numbers; one without a place gets the one that it has."""
    signed = []
    for place, one in enumerate(found):
        if numbers is None or one.pk in numbers:
            one.place = place if one.place is None else one.place
            signed.append(sign(one))
    return Decision.objects.bulk_update(signed, ["place", "mac"], batch_size=CHUNK)


def _sign_all(decisions: models.QuerySet[Decision]) -> int:
    done, after = 0, 0
    while some := list(decisions.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        after = some[-1].pk
        done += Decision.objects.bulk_update(map(sign, some), ["mac"])
    return done


def words(decision: Decision) -> str:
    """Return a hash of what the answer says of a decision: its data, ground and authority; 32 hexadecimal digits."""
    text = json.dumps([decision.data, decision.ground, decision.authority])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def ours(decisions: Iterable[Decision]) -> list[Decision]:
    """Return those of these decisions that the site made as they stand."""
    return [one for one in decisions if is_ours(one)]


def _says(one: Decision) -> tuple[Any, ...]:
    return *_said_of_words(one), one.place


def _said_of_words(one: Decision) -> tuple[Any, ...]:
    # The same of some days later.
    return *_said_of_end(one), one.data, one.ground, one.authority


def _said_of_end(one: Decision) -> tuple[Any, ...]:
    # What the keyed hash stood over in the first days of 0.2; such a row is signed anew once (accounts.upgrades).
    return *_said_before(one), one.done_at


def _said_before(one: Decision, record: UUID | None = None) -> tuple[Any, ...]:
    # What the keyed hash stood over until 0.1; such a row is signed anew once (accounts.upgrades).
    what = one.action, one.code, one.until, one.overdue, one.pinned
    return "decision", one.request_id, one.label, one.record_id or record, one.envelope, *what
