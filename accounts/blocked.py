"""Which lines of a file are about people who were erased, by what they are known, and how a block is
lifted (P10; docs/imports.md).

What must never happen: somebody who was erased comes back with an old file; somebody else is left out without a word,
because the mailbox is shared or the number looks alike. So a customer number counts letter by letter, an address only
while nobody on file has it, and each line that is left out is named with the reason and the way out. A block that hit
the wrong person, or whose person came back, is lifted by an operator; the audit says so and why, never what was
blocked. Erasing places it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.db import models, transaction

from accounts import reach
from accounts.csvfile import Problem
from accounts.customers import Customer
from accounts.points import ContactPoint
from privacy import audit, vault
from privacy.gate import Actor

NUMBER, ADDRESS = "customer_ref", "email"
_WAY_OUT = "If this is another person, or the same one wants to be a customer again, lift the block: see lift_block in docs/commands.md."
REASONS = {
    NUMBER: f"Somebody with this customer number was erased. {_WAY_OUT}",
    ADDRESS: f"Somebody with this address was erased, and nobody on file has it. {_WAY_OUT}",
}
SHARED = (
    "Somebody with this address was erased. It is on file with another customer, too, so this line came in: look whether it is "
    "another person, and else erase it again."
)


class Why(models.TextChoices):
    """Why a block is lifted."""

    RETURNED = "returned", "the person wants to be a customer again"
    ANOTHER = "another", "it is another person"


class NoBlock(Exception):
    """Nothing is blocked by this number or address today."""


@dataclass(frozen=True)
class Blocked:
    """Of some lines: by which column each of the erased is known, and which addresses of the
    erased somebody on file has."""

    numbers: frozenset[str]
    addresses: frozenset[str]
    shared: frozenset[str]

    def column(self, number: str, address: str) -> str:
        """Return the column by which a line is about somebody who was erased, "" where it is not."""
        if number in self.numbers:
            return NUMBER
        return ADDRESS if address in self.addresses else ""


def among(lines: Collection[tuple[str, str]], *, new: Iterable[str] = ()) -> Blocked:
    """Return what is blocked among lines of (customer number, e-mail address).

    An address is blocked as long as nobody has it: no customer but those of the numbers in `new`, which
    this file brings. A customer whose erasure has begun, and one who only typed the address without
    confirming it, do not have it.
    """
    numbers = vault.blocks.are_blocked(NUMBER, {number for number, _ in lines if number})
    addresses = vault.blocks.are_blocked(ADDRESS, {address for _, address in lines if address})
    shared = _held(addresses, but=set(new)) if addresses else set()
    return Blocked(frozenset(numbers), frozenset(addresses - shared), frozenset(shared))


def _held(addresses: set[str], *, but: set[str]) -> set[str]:
    (holders,) = vault.carriers([(vault.index_of(Customer, "customer.email"), addresses)])
    known = Customer.objects.in_bulk({pk for pks in holders.values() for pk in pks})
    leaving = vault.blocks.are_blocked(NUMBER, {one.reference for one in known.values()})
    living = {
        pk
        for pk, one in known.items()
        if one.reference not in but | leaving and not reach.is_typed(one, ContactPoint.Channel.EMAIL)
    }
    return {address for address, pks in holders.items() if pks & living}


def problem(line: int, column: str) -> Problem:
    """Return what is said of a line that is left out."""
    return Problem(line, column, REASONS[column])


def until(kind: str, value: str) -> date | None:
    """Return the last day on which a number or address is blocked, None when it is for good. Raises NoBlock."""
    found = vault.blocks.ends(kind, value)
    if not found:
        raise NoBlock
    return None if None in found else max(day for day in found if day is not None)


def lift(kind: str, value: str, *, why: str, actor: Actor, now: datetime) -> None:
    """Lift the block of a customer number or an address, in one event of the audit that does not say which. Raises
    NoBlock."""
    until(kind, value)
    with transaction.atomic():
        audit.record("block.lifted", actor=actor, now=now, fields=[kind], reason=Why(why).label)
        vault.blocks.remove(kind, value)
