"""In which fields a record names a person and carries an e-mail address: what says whose it is (design 9)."""

from __future__ import annotations

from typing import Any

from privacy import vault
from privacy.vault import Unreadable

#: The events of the audit that tell who wrote a record down that carries an address.
WRITTEN = ("communication.recorded", "order.placed", "rma.opened")


def addresses(model: Any) -> set[str]:
    """Return the names of the fields in which such a record carries an e-mail address by which it is found."""
    blinds = {one.name: getattr(one, "blind", ()) for one in model._meta.private_fields}
    return {
        name
        for name, found in blinds.items()
        if any(isinstance(one, vault.Exact) and one.normaliser == "email" for one in found)
    }


def of_people(model: Any) -> set[str]:
    """Return the names of the fields in which such a record names a person."""
    names = {one.name for one in model._meta.private_fields}
    return {name for name in names if name.endswith("_name") and name != "company_name"}


def last(value: Any) -> set[str]:
    """Return the last word of a name as it is compared, none of an empty or unreadable one."""
    if not value or isinstance(value, Unreadable):
        return set()
    return set(vault.index.words(value)[-1:])
