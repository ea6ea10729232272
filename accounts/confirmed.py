"""Which addresses a login has confirmed: those of which the site wrote that down, under a keyed hash (design 9).

What must never happen: an address counts as a login's because somebody wrote so into allauth's table. The switch there
(`verified`) keeps one address from two logins and lets a session begin; what an address proves, and whose mailbox a
letter with a key reaches, is decided here. The hash stands beside the sealed address, over its number and the login,
and is written when the site sees the switch turn: one that stood before says nothing. Rows of before are bound once, by
`prepare`, where the key store agrees; later an operator does it who looked (`seal_logins`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.db.models import OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat, Replace

from accounts.users import LoginAddress, User
from privacy import vault
from privacy.calendar import undated
from privacy.vault.compiled import Question

logger = logging.getLogger(__name__)
CHUNK = 500


def rows(**of: Any) -> list[EmailAddress]:
    """Return the rows of the addresses that these logins confirmed, the primary first, each with its login; one query.

    `of` says which logins: `user_id`, `user__subject_id`; or which address: `email`, its text or handle. The log tells
    of one that only the table says is confirmed. Opens nothing.
    """
    values = [_email().get_prep_value(value) if name == "email" else value for name, value in of.items()]
    said = [] if None in values else _asked(*of).records(*values)
    found = [one for one in said if _fits(one)]
    if len(found) < len(said):
        logger.error(
            "An address counts for nothing: a row says that it is confirmed, and the site did not. Rows: %d.",
            len(said) - len(found),
        )
    return found


def is_of(record: UUID | None, user: UUID | None) -> bool:
    """Return whether this login confirmed the sealed address with this number, whatever allauth's table says."""
    if record is None or user is None:
        return False
    mac = LoginAddress.objects.filter(pk=record, user=user).values_list("mac", flat=True).first()
    return bool(mac) and vault.mac_fits(str(mac), *_says(record, user))


def bind(record: UUID, user: UUID) -> None:
    """Write down that this login has just confirmed the address: where the sealed record is the login's, by its row."""
    LoginAddress.objects.filter(pk=record, user=user).update(mac=vault.mac_of(*_says(record, user)))


def doubted() -> Iterator[UUID]:
    """Yield the logins of which the table says that an address is confirmed, and the site did not see it."""
    for some in _chunks(_said()):
        yield from (one.user_id for one in some if not _fits(one))


def bound() -> Iterator[list[User]]:
    """Yield, in lists, the logins with an address that the site saw confirmed."""
    for some in _chunks(_said()):
        yield list({one.user_id: one.user for one in some if _fits(one)}.values())


def bind_all(users: Collection[UUID] | None = None) -> int:
    """Bind what allauth's table says is confirmed, of all logins or of these, where the sealed address and its key are
    the same person's; return how many. For all once in the life of an installation (privacy.vault.keystore.once)."""
    said = _said() if users is None else _said().filter(user__in=users)
    return sum(_bind_some(one for one in some if not _fits(one)) for some in _chunks(said))


def _chunks(said: QuerySet[EmailAddress]) -> Iterator[list[EmailAddress]]:
    after = 0
    while some := list(undated.each(said.order_by("pk").filter(pk__gt=after)[:CHUNK])):
        yield some
        after = some[-1].pk


def _bind_some(some: Iterable[EmailAddress]) -> int:
    wanted = {number: one for one in some if (number := number_of(one)) is not None}
    strange = vault.keys.strangers({number: one.user.vault_owner() for number, one in wanted.items()})
    done = 0
    for number in wanted.keys() - strange:
        user = wanted[number].user_id
        mac = vault.mac_of(*_says(number, user))
        done += LoginAddress.objects.filter(pk=number, user=user).update(mac=mac)
    return done


def number_of(one: EmailAddress) -> UUID | None:
    """Return the number of the sealed address of a row; None where it leads nowhere."""
    handle = one.__dict__["email"]
    found: UUID | None = handle.record_id if handle is not None else None
    return found


@cache
def _said() -> QuerySet[EmailAddress]:
    """Return the rows of which the table says that they are confirmed, each with its login and with the keyed hash
    beside the sealed address, where that is the same login's; to be narrowed, never read itself.

    Put together once: most pages and every request look at it, and Django takes longer for that than for the rest.
    """
    text = TextField()
    number = Replace(Cast("pk", text), Value("-", text), Value("", text), output_field=text)
    beside = QuerySet(LoginAddress).annotate(handle=Concat(Value("h1.", text), number, output_field=text))
    mac = beside.filter(user=OuterRef("user"), handle=Cast(OuterRef("email"), text)).values("mac")[:1]
    said = EmailAddress.objects.filter(verified=True).annotate(mac=Subquery(mac))
    return said.select_related("user").order_by("-primary", "pk")


@cache
def _asked(*names: str) -> Question:
    blanks = [_email().handle(Question.TEXT) if name == "email" else Question.NUMBER for name in names]
    return Question(_said().filter(**dict(zip(names, blanks, strict=True))), *blanks)


def _email() -> Any:
    return EmailAddress._meta.get_field("email")  # of accounts.handles, once the apps are ready


def _fits(one: Any) -> bool:
    return bool(one.mac) and vault.mac_fits(one.mac, *_says(number_of(one), one.user_id))


def _says(record: UUID | None, user: UUID | None) -> tuple[Any, ...]:
    return "login-address", record, user
