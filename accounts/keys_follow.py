"""After a joining or its undo the keys of what moved go to whom the records name now: safe to repeat, by
a worker for who was killed.

What must never happen: a key that goes to anybody else than from those whom the joining took things to whom it gave
them; one that changes its owner by a row that the site did not write (`Joining.is_bound`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from uuid import UUID

from django.db import transaction

from accounts import joinable
from accounts.joinable import NotPossible, Owner
from accounts.models import ClaimReview, Joining
from accounts.moved import Moved
from privacy import vault
from privacy.work.broken import Findings, require_own

logger = logging.getLogger(__name__)
CHUNK = 1_000
BOUND = (Joining.Outcome.JOINED, Joining.Outcome.UNDONE)  # what can move keys


def settle(joining: Joining) -> Joining:
    """Give the keys of what moved to whom the records name now; return the row. Safe to repeat; the tables are the
    truth.

    A key goes from those whom the joining moved things from to whom it moved them, and back: no other one,
    whatever a row says by now. Raises NotPossible, before any key changes its owner, for a row that says
    what the site did not write.
    """
    with transaction.atomic():
        joining = Joining.objects.select_for_update().get(pk=joining.pk)
        require_bound(joining)
        moved = Moved.of(joining)
        owners: dict[Owner, list[UUID]] = defaultdict(list)
        for model, ids in moved.roots():
            for _, rows in joinable.under(model, ids):
                for row in rows.iterator(chunk_size=CHUNK):
                    owners[row.vault_owner()].append(row.pk)
        is_joined = joining.outcome == Joining.Outcome.JOINED
        here, formers = {("subject", joining.subject_id)}, moved.formers()
        take, give = (formers, here) if is_joined else (here, formers)
        for former, _ in moved.people:
            # The name of a person in the audit: it is destroyed with the one to whom it belongs.
            owners["subject", joining.subject_id if is_joined else former].append(former)
        for owner, ids in sorted(owners.items(), key=str):
            if owner not in give:
                continue  # the row was changed since: it is not the joining that says so
            for start in range(0, len(ids), CHUNK):
                vault.keys.hand_over(ids[start : start + CHUNK], owner, of=take)
        joining.is_settled = True
        if not is_joined:
            joining.moved = {}  # nothing leads back to anybody any more
        joining.bind().save(update_fields=["is_settled", "moved", "mac"])
    return joining


def settle_all() -> int:
    """Settle what a killed process left; return how many. A row that the site did not write, or that cannot be read, is
    left alone, and told in the log."""
    done = refused = 0
    findings = Findings()
    for number in list(Joining.objects.filter(is_settled=False).order_by("pk").values_list("pk", flat=True)):
        try:
            joining = Joining.objects.get(pk=number)
            if joining.is_bound:
                settle(joining)
                done += 1
            else:
                refused += 1
        except Exception as error:  # of this row alone: the others are settled all the same
            require_own(error)
            findings.note("settle", Joining._meta.label_lower, number, error)
    if refused:
        logger.error(
            "Joinings whose row does not say what the site wrote: %d. No key changes its owner by them.", refused
        )
    return done


def bind_all() -> int:
    """Bind the joinings of before to their rows; return how many. Once in the life of an installation."""
    done = 0
    for joining in Joining.objects.filter(mac="", outcome__in=BOUND).order_by("pk").iterator(chunk_size=CHUNK):
        done += Joining.objects.filter(pk=joining.pk, mac="").update(mac=joining.bind().mac)
    return done


def bind_proposals() -> int:
    """Bind what was proposed before and waits, joinings and claims; return how many. Once in the life of an
    installation."""
    done = 0
    for joining in Joining.objects.filter(mac="", outcome=Joining.Outcome.OPEN).exclude(proposal={}).order_by("pk"):
        done += Joining.objects.filter(pk=joining.pk, mac="").update(mac=joining.bind().mac)
    waiting = ClaimReview.objects.filter(mac="", outcome=ClaimReview.Outcome.OPEN, proposed_at__isnull=False)
    for review in waiting.order_by("pk"):
        done += ClaimReview.objects.filter(pk=review.pk, mac="").update(mac=review.bind().mac)
    return done


def require_bound(joining: Joining) -> None:
    """Raise NotPossible for a joining whose row does not say what the site wrote."""
    if not joining.is_bound:
        raise NotPossible("This joining does not say what the site wrote. Nothing was changed: tell who runs the site.")
