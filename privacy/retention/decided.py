"""Which decisions say what the site wrote: those whose keyed hash fits (privacy.vault.macs).

What must never happen: a record ended early, or one that law keeps, because somebody wrote a decision about it into the
table, or another day into one: what a person was told (pinned) is ended by the sweep without asking the schedule and
outside its cap. So each decision carries a keyed hash over its request, its record, what it does and until when, and
whether that is binding. One that does not fit ends nothing and is a finding of the sweep; a removal stops at it.
Neither is undone by itself: an operator who looked signs the decisions of a request with it (`seal_requests`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def change(decisions: models.QuerySet[Decision], **columns: Any) -> list[Decision]:
    """Write these columns into decisions, with their keyed hashes; return those that did not fit
    before: they stay as they are."""
    left = []
    with transaction.atomic():
        for one in decisions.order_by("pk").select_for_update(of=("self",)).iterator(CHUNK):
            if not is_ours(one):
                left.append(one)
                continue
            for name, value in columns.items():
                setattr(one, name, value)
            Decision.objects.filter(pk=one.pk).update(**columns, mac=sign(one).mac)
    return left


def forget(label: str, records: Collection[UUID]) -> None:
    """Take the numbers of records that ended out of the decisions about them, with their keyed hashes; one that did not
    fit before still does not."""
    decisions = Decision.objects.filter(label=label, record_id__in=records)
    with transaction.atomic():
        fitted = [one for one in decisions.select_for_update(of=("self",)).order_by("pk") if is_ours(one)]
        if decisions.update(record_id=None):
            for one in fitted:
                one.record_id = None
            Decision.objects.bulk_update(map(sign, fitted), ["mac"], batch_size=CHUNK)


def seal(requests: Collection[UUID]) -> int:
    """Sign the decisions of these requests as they stand: by the decision of an operator who looked. Return how
    many."""
    return _sign_all(Decision.objects.filter(request__in=requests))


def bind_all() -> int:
    """Sign the decisions of before; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    return _sign_all(Decision.objects.filter(mac=""))


def bind_forgotten() -> int:
    """Sign those of before that name no record any more: an earlier version left their hashes as they were. As
    `bind_all`."""
    return _sign_all(Decision.objects.filter(record_id=None, done_at__isnull=False))


def _sign_all(decisions: models.QuerySet[Decision]) -> int:
    done, after = 0, 0
    while some := list(decisions.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        after = some[-1].pk
        done += Decision.objects.bulk_update(map(sign, some), ["mac"])
    return done


def ours(decisions: Iterable[Decision]) -> list[Decision]:
    """Return those of these decisions that the site made as they stand."""
    return [one for one in decisions if is_ours(one)]


def _says(one: Decision) -> tuple[Any, ...]:
    what = one.action, one.code, one.until, one.overdue, one.pinned
    return "decision", one.request_id, one.label, one.record_id, one.envelope, *what
