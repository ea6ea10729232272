"""Which logins the site vouches for: those whose row says what the site wrote (`User.is_vouched`).

What must never happen: a password, a role or a person that somebody wrote into the tables lets him in; an operator who
vouches for all of it unseen. So `prepare` vouches for the logins of before once, while none has a keyed hash yet, and
the key store notes that it did; later only an operator does, with `seal_logins`, after looking, and the login loses its
password by it. It is undone by `end_staff`, or by a new password.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connection, models, transaction

from accounts import confirmed, sessions
from accounts.models import User
from accounts.users import LOOKED_AT
from privacy import audit
from privacy.calendar import undated
from privacy.gate import Actor
from privacy.vault.models import DataKey

logger = logging.getLogger(__name__)
CHUNK = 500
TOLD = timedelta(hours=1)
REFUSED = "login.doubted"


def refuse(user: User, *, now: datetime) -> None:
    """End the sessions of a login that is doubted, and tell of it: a line in the log, an event in the audit, one an
    hour."""
    sessions.end_others(user.pk, but=None)
    logger.error("A login was refused: its row does not say what the site wrote. `seal_logins` names it.")
    record = (User.vault_label, user.pk)
    if not audit.ours(audit.history(record=record).filter(action=REFUSED, at__gt=now - TOLD)):
        audit.record(REFUSED, actor=None, now=now, record=record)


def reached(users: Iterable[User], email: str) -> list[User]:
    """Return those of these logins that a letter to this confirmed address may let in.

    The site vouches for the login, and has seen it confirm the address, and the key store says that this is of the
    login's person: the table of addresses alone proves nothing.
    """
    of = {
        one.user_id: number for one in confirmed.rows(email=email) if (number := confirmed.number_of(one)) is not None
    }
    owners = dict(
        DataKey.objects.filter(record__in=[one for one in of.values() if one], destroyed_at=None)
        .exclude(owner_id=None)
        .values_list("record", "owner_id")
    )
    found = [one for one in users if one.pk in of and one.is_vouched]
    return [one for one in found if one.subject_id is not None and owners.get(of[one.pk]) == one.subject_id]


# Looking at all -------------------------------------------------------------------------------------------------------


def doubted(*, staff_only: bool = False) -> Iterator[User]:
    """Yield the logins whose row does not say what the site wrote.

    With `staff_only` those with some power of staff, or without any keyed hash: two queries by an index.
    """
    logins = User.objects.with_roles().order_by("pk")
    with_role = logins.filter(pk__in=User.groups.through.objects.values("user_id")).exclude(LOOKED_AT)
    for some in (logins.filter(LOOKED_AT), with_role) if staff_only else (logins,):
        for user in undated.each(some.iterator(chunk_size=CHUNK)):
            if not user.is_vouched:
                yield user


def count_doubted(most: int = 1000) -> int:
    """Return how many logins with some power of staff, or without any keyed hash, are doubted; no more than `most`."""
    return sum(1 for _, _ in zip(range(most), doubted(staff_only=True), strict=False))


@checks.register(checks.Tags.database)
def logins_doubted(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning when a login does not say what the site wrote."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or not _is_there():
        return []
    if not (number := count_doubted()):
        return []
    text = f"Logins whose row does not say what the site wrote: {number}. They cannot sign in."
    hint = "`seal_logins` names them; docs/runbook.md, A login that is doubted, says what to look at."
    return [checks.Warning(text, hint=hint, id="accounts.W002")]


def _is_there() -> bool:
    """Whether the column is there: `migrate` asks before it has made it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = 'mac'",
            [User._meta.db_table],
        )
        return cursor.fetchone() is not None


# Vouching -------------------------------------------------------------------------------------------------------------


def vouch_first() -> int:
    """Vouch for the logins of the version before, while none has a keyed hash; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    return 0 if User.objects.exclude(mac="").exists() else _vouch(User.objects.all())


def vouch_again(user: User, *, keep_password: bool, actor: Actor | None, now: datetime) -> None:
    """Vouch for one login as it stands, by the decision of an operator who looked; its sessions end.

    The password goes, because nobody knows whose it is; a new one is asked for by the link of "forgotten password".
    """
    with transaction.atomic():
        if not keep_password:
            user.set_unusable_password()
        user.save(update_fields=["password"], anew=True)
        sessions.end_others(user.pk, but=None)
        confirmed.bind_all([user.pk])
        _told([user], actor=actor, now=now, reason="password kept" if keep_password else "")


def vouch_for_address(user: User, *, actor: Actor | None, now: datetime, is_dry: bool = False) -> bool:
    """Let the address of a login count that the table says is confirmed, by the decision of an operator who looked;
    return whether one does by it. Not one whose key is another person's. `is_dry` only asks whether one would."""
    with transaction.atomic():
        found = confirmed.bind_all([user.pk])
        if found and not is_dry:
            _told([user], actor=actor, now=now, reason="address")
        transaction.set_rollback(is_dry)
    return bool(found)


def vouch_for_all(*, actor: Actor | None, now: datetime) -> int:
    """Vouch for every login as it stands: after a restore from a backup of the version before.
    Return how many were doubted."""
    with transaction.atomic():
        found = list(doubted())
        _vouch(User.objects.filter(pk__in=[one.pk for one in found]))
        confirmed.bind_all()
        _told(found, actor=actor, now=now, reason="all")
    return len(found)


def _told(users: Collection[User], *, actor: Actor | None, now: datetime, reason: str) -> None:
    for user in users:
        record = (User.vault_label, user.pk)
        audit.record("login.vouched", actor=actor, now=now, subject=user.subject_id, record=record, reason=reason)


def _vouch(logins: models.QuerySet[User]) -> int:
    done, part = 0, []
    for user in logins.with_roles().order_by("pk").iterator(chunk_size=CHUNK):  # type: ignore[attr-defined]
        user.mac = user.mac_with(user.role_names)
        part.append(user)
        if len(part) == CHUNK:
            done += models.QuerySet(User).bulk_update(part, ["mac"])
            part = []
    return done + (models.QuerySet(User).bulk_update(part, ["mac"]) if part else 0)
