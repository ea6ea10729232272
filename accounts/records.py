"""What every writing of a person's record does: asks whether the actor may, checks what is about to
be written, tells the audit.

What must never happen: something new that is kept for a customer whose account is gone; a value that is opened
because another one was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Address, Customer, FreightAccount
from privacy import audit, gate, vault
from privacy.gate import Actor


class CustomerErased(ValidationError):
    """The customer's account was removed: nothing new is kept for it."""

    def __init__(self) -> None:
        super().__init__("This customer's data were removed: nothing new is kept for them.")


def require_living(customer: Customer) -> None:
    """Lock a customer against an erasure until this transaction ends. Raises CustomerErased when the account is gone.

    Services that keep something new for a customer call it first: an erasure looks at what is open under the same lock,
    so that nothing new ever stands beside an erased account.
    """
    found = Customer.objects.select_for_update(no_key=True).only("pk").filter(pk=customer.pk)
    if not found.exists() or vault.keys.is_destroyed(customer.pk, "account"):
        raise CustomerErased


def add(record: Any, action: str, actor: Actor | None, now: datetime) -> Any:
    """Save a new record of a person in one transaction, with its audit event, and return it. Raises ValidationError,
    CustomerErased, gate.Refused."""
    names = [f.name for f in record._meta.fields if getattr(f, "envelope", None) and getattr(f, "column", None) is None]
    given = [name for name in names if getattr(record, name)]
    with transaction.atomic():
        if isinstance(record, Address | FreightAccount):
            require_living(record.customer)
        require_write(actor, record, envelopes_of(record, names))
        record.clean_fields(exclude=_links(record))
        record.save(force_insert=True)
        audit.record(
            action, actor=actor, now=now, subject=subject_of(record), record=name_of(record), fields=sorted(given)
        )
    return record


def validate(record: Any, names: Iterable[str]) -> None:
    """Check only what is about to be written: everything else would have to be opened first."""
    wanted = set(names)
    record.clean_fields(exclude={f.name for f in record._meta.fields} - wanted)
    if "reference" in wanted:
        record.validate_unique(exclude={f.name for f in record._meta.fields} - {"reference"})


def _links(record: Any) -> set[str]:
    return {f.name for f in record._meta.fields if f.is_relation}


def envelopes_of(record: Any, names: Iterable[str]) -> list[str]:
    """Return the envelopes in which these fields lie; a plain column counts for the record's first envelope."""
    envelopes = type(record).envelopes()
    found = {envelope for envelope, inside in envelopes.items() if set(inside) & set(names)}
    return sorted(found) or [next(iter(envelopes))]


def require_write(actor: Actor | None, record: Any, envelopes: Iterable[str]) -> None:
    """Raise gate.Refused unless the actor may write these envelopes of the record."""
    gate.require_record(actor, record, envelopes, "write")


def subject_of(record: Any) -> UUID | None:
    """Return whose record this is, None where it is nobody's."""
    customer = getattr(record, "customer", None)
    return getattr(record, "subject_id", None) or (customer.subject_id if customer else None)


def name_of(record: Any) -> tuple[str, UUID]:
    """Return the name under which the audit tells of a record."""
    return record.vault_label, record.pk
