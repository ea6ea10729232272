"""What the audit has seen of a login: its sign-up, its first confirmation, and whatever came after (design 6, 9).

What must never happen: a login in use counts as a sign-up that nobody confirmed because columns of the main database
say so. Who writes there can blank a hash and move a date; the audit refuses every change, and its events carry keyed
hashes of their own. So the first confirmation of an address is an event, and a sign-up is what has no event but its
own. Logins of before get theirs once, by `prepare`.
"""

from __future__ import annotations

from datetime import datetime

from accounts import confirmed
from accounts.users import User
from privacy import audit
from privacy.audit import Happened
from privacy.gate import Actor

SIGNED_UP, CONFIRMED = "account.created", "account.confirmed"


def is_sign_up_only(user: User) -> bool:
    """Return whether the audit knows the sign-up of this login, written by this program, and nothing
    else about login and person."""
    record = (User.vault_label, user.pk)
    known = [action for _, action, _, _ in audit.told_of([SIGNED_UP], [record])]
    if not known or audit.ours(audit.history(record=record).exclude(action=SIGNED_UP)):
        return False
    of_person = audit.history(subject=user.subject_id) if user.subject_id is not None else None
    return of_person is not None and not audit.ours(of_person.exclude(action=SIGNED_UP))


def confirm(user: User, *, actor: Actor | None, now: datetime, reason: str = "") -> None:
    """Write down, in the caller's transaction, that this login confirmed its first address."""
    record = (User.vault_label, user.pk)
    audit.record(CONFIRMED, actor=actor, now=now, subject=user.subject_id, record=record, reason=reason)


def confirm_earlier(*, now: datetime) -> int:
    """Write down the confirmation of every login whose address was confirmed before such events
    were written; return how many.

    Once in the life of an installation (privacy.vault.keystore.once): by the keyed hash beside the
    address, not by allauth's table.
    """
    done = 0
    for some in confirmed.bound():
        records = {user.pk: (User.vault_label, user.pk) for user in some}
        told = audit.told(CONFIRMED, list(records.values()))
        events = [
            Happened(CONFIRMED, user.subject_id, records[user.pk], reason="before this was written down")
            for user in some
            if records[user.pk] not in told
        ]
        done += audit.record_many(events, actor=None, now=now)
    return done
