"""Data of one record set right (P8, Art. 16), and what follows when that was a contact.

What must never happen: a wrong value that stays readable in a backup (the vault re-keys); a mask or an
erased value written back; a contact that changes and nobody is told. Whoever may not write does not learn
whether a value is the one on file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import names, notices, reach, records, regions
from accounts.models import (
    Address,
    Communication,
    Company,
    ContactPoint,
    Customer,
    FreightAccount,
)
from privacy import audit, vault
from privacy.gate import Actor
from privacy.requests import waits
from privacy.typed import phones
from privacy.vault import SealedModel, Unreadable


class NothingToCorrect(Exception):
    """None of the given values differs from what is on file."""


def correct(
    record: SealedModel,
    changes: Mapping[str, Any],
    *,
    actor: Actor | None,
    now: datetime,
    reason: str = "",
) -> tuple[str, ...]:
    """Set data of one record right and return the names of what changed (P8, Art. 16).

    The vault re-keys what was corrected, so that the wrong value is not readable in backups either. Raises
    ValidationError, and NothingToCorrect when nothing differs; a mask or an erased value is never written back.
    """
    allowed = CORRECTABLE[type(record)]
    if unknown := set(changes) - allowed:
        raise ValidationError(f"These cannot be corrected here: {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        with vault.internal():  # only to compare; whoever writes need not be able to read
            changes = _placed(record, changes)
            on_file = {name: getattr(record, name) for name in changes}
            number = getattr(record, "phone", "") if "country" in changes else ""
        changed = [
            name for name, value in changes.items() if not isinstance(value, Unreadable) and on_file[name] != value
        ]
        # Before it is said that nothing differs: who may not write does not learn whether a value is the one on file.
        records.require_write(actor, record, records.envelopes_of(record, changed or changes))
        if not changed:
            raise NothingToCorrect
        _ask_about_change(record, {name: changes[name] for name in changed}, on_file, actor=actor, now=now)
        for name in changed:
            setattr(record, name, changes[name])
        written = changed
        if "country" in changed and not isinstance(changes["region"], Unreadable):
            # The country says whether there is a code: the region is looked at again when it changes.
            setattr(record, "region", changes["region"])  # noqa: B010  several models have one
            written = [*changed, "region"]
        records.validate(record, written)
        record.save(update_fields=written)
        before = {"phone": number} if "country" in changed else {}
        contacts_changed(record, before | {name: on_file[name] for name in changed}, actor=actor, now=now)
        audit.record(
            "record.corrected",
            actor=actor,
            now=now,
            subject=records.subject_of(record),
            record=records.name_of(record),
            fields=sorted(changed),
            reason=reason,
        )
    return tuple(sorted(changed))


def _ask_about_change(
    record: SealedModel, after: Mapping[str, Any], before: Mapping[str, Any], *, actor: Actor | None, now: datetime
) -> None:
    """Ask a second person about requests that stand on the addresses of this record, when one of them, or a name of a
    person, changes. Before the change."""
    addresses = names.addresses(type(record))
    is_renamed = bool(names.of_people(type(record)) & set(after))
    if not is_renamed and not addresses & set(after):
        return
    with vault.internal():  # looked up by its blind index, shown to nobody
        stand = {name: before[name] if name in before else getattr(record, name) for name in sorted(addresses)}
    for name, email in stand.items():
        if isinstance(email, str) and email and (is_renamed or name in after):
            waits.record_changes(records.name_of(record), email, is_address=name in after, actor=actor, now=now)


def contacts_changed(record: SealedModel, before: Mapping[str, Any], *, actor: Actor | None, now: datetime) -> None:
    """Write of each contact that `before` has another value of, that it is on file since now; tell the older addresses.

    In the transaction of the change. A telephone number that does not say its country is another one when the country
    of its customer is: `before` then has the number besides the country, whether it changed or not.
    """
    if isinstance(record, Customer):
        came = reach.way(actor, record.subject_id)
        for channel in (ContactPoint.Channel.EMAIL, ContactPoint.Channel.PHONE):
            if channel.value not in before:
                continue
            with vault.internal():  # compared, shown to nobody
                old, new = before[channel.value], getattr(record, channel.value)
            if _is_same(record, channel, old, new, before.get("country", record.country)):
                continue
            is_email = channel == ContactPoint.Channel.EMAIL
            older = (old,) if is_email and old else ()
            counted = is_email and reach.counts(record, channel, now=now)
            point = reach.entered(record, channel, new, came=came, now=now)
            if point is not None:
                is_own = came == ContactPoint.Came.PERSON
                notices.changed(point, older=older, new=new, now=now, older_counted=counted, by_person=is_own)
    elif isinstance(record, Address) and set(before) - {"purpose"}:
        came = reach.way(actor, record.customer.subject_id)
        point = reach.entered(record, ContactPoint.Channel.POST, "changed", came=came, now=now)
        if point is not None:
            notices.changed(point, older=(), new="", now=now)


CORRECTABLE: dict[type[SealedModel], frozenset[str]] = {
    Customer: frozenset({"title", "first_name", "last_name", "email", "phone", "region", "country"}),
    Address: frozenset({"purpose", "street", "street2", "city", "postal_code", "region", "country"}),
    Company: frozenset(
        {"name", "vat_number", "tax_id", "phone", "street", "street2", "city", "postal_code", "region", "country"}
    ),
    FreightAccount: frozenset({"carrier", "number"}),
    Communication: frozenset({"contact_name", "company_name", "email", "phone", "address", "department", "topic"}),
}


def _is_same(customer: Customer, channel: str, old: Any, new: Any, country: str) -> bool:
    """Say whether a contact reaches whom it reached before, when the customer was of `country`;
    also of one that was erased."""
    if isinstance(new, Unreadable):
        return isinstance(new, vault.Erased)  # of what cannot be read now nobody knows it
    is_same = reach.is_same(channel, old, new)
    if channel == ContactPoint.Channel.PHONE:
        return is_same and phones.reached(old, country) == phones.reached(new, customer.country)
    return is_same


def _placed(record: Any, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the changes with the region as it is kept under the new country, also where only the country is new."""
    if not {"country", "region"} & set(changes) or "region" not in CORRECTABLE[type(record)]:
        return changes
    region = changes.get("region", record.region)
    if isinstance(region, Unreadable):
        return {**changes, "region": region}
    return {**changes, "region": regions.code(changes.get("country", record.country), region) or region}
