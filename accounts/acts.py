"""What a session does, and a login that is given back meanwhile: the one waits for the other.

What must never happen: a contact, a password, a second factor or a request that whoever had taken a login sends while
the second person confirms that it is given back (accounts/giving_back.py), and that outlives it because it was stored a
moment later. So every act of a signed-in customer holds a lock of its login that many acts may hold at once, from
before the page is asked until its answer is made, whatever page it is, and giving back waits until it holds the same
lock alone. Who waited longer than the other looks again: the act, whether the login still lets its session in. Where
the lock is lost, the connection is lost, and so is the act.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection

if TYPE_CHECKING:
    from accounts.models import User

LOCK = 0x41435453  # advisory locks of logins; the second number is the login's


@contextmanager
def of(user: User) -> Iterator[bool]:
    """Hold the lock of a login for one act of its session; yield whether the login still lets that session in.

    The database ends a wait of five seconds with an error, as for every lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", [LOCK, _number(user.pk)])
    try:
        # Read anew: who sent this was let in before the lock was there.
        known = get_user_model().objects.filter(pk=user.pk, is_active=True).values_list("password", flat=True).first()
        yield known == user.password
    finally:
        _let_go(user.pk)


def wait_for(user_id: UUID | None) -> None:
    """Wait until no session of this login acts, and let none act until the caller's transaction
    ends. Before any row is locked."""
    if user_id is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, _number(user_id)])


def _let_go(user_id: UUID) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s, %s)", [LOCK, _number(user_id)])
    except DatabaseError:
        if not connection.in_atomic_block:
            connection.close()  # the lock ends with it


def _number(user_id: UUID) -> int:
    """Return the 32 bits by which the lock of a login is known; two logins that share them only wait for each other."""
    return int.from_bytes(hashlib.blake2b(str(user_id).encode(), digest_size=4).digest(), "big", signed=True)
