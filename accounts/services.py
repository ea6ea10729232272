"""What can be done to people's records. Every function: one transaction, one audit event that names fields, never
values; `actor` and `now` are passed in; PermissionDenied (gate.Refused) when the actor has no right to write there.
"""

from __future__ import annotations

import secrets
from datetime import date, datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import notices, reach, records, validators
from accounts.models import (
    Address,
    Channel,
    Company,
    ContactPoint,
    Customer,
    FreightAccount,
    TaxIdentifier,
    User,
)
from privacy import audit, subjects
from privacy.calendar import days
from privacy.gate import Actor
from privacy.retention import in_force
from privacy.vault import SealedModel

ON_HOLD = "This is under a legal hold: it cannot be removed until the hold is lifted."
LOOK = "A member of our staff has to look at this before it can be removed: please write to us, or call."


def create_customer(
    *,
    actor: Actor | None,
    now: datetime,
    since: date,
    reference: str = "",
    subject: UUID | None = None,
    user: User | None = None,
    company: Company | None = None,
    channel: str = Channel.WEB,
    notice_given_on: date | None = None,
    came: str = "",
    **data: str,
) -> Customer:
    """Create a customer, with a subject of its own unless one is given, and return it (P16, P17, P25).

    A customer with a company is its contact. `came` says how the contact data came (ContactPoint.Came) where it was not
    by the actor's own word. Raises ValidationError for a value that cannot be taken in.
    """
    days.require(now=now, since=since, notice_given_on=notice_given_on)
    with transaction.atomic():
        owner = subject or (user.subject_id if user else None) or subjects.create(now=now).pk
        customer = Customer(
            reference=reference or _free_reference(),
            kind=Customer.Kind.CONTACT if company else Customer.Kind.PERSON,
            subject_id=owner,
            user=user,
            company=company,
            channel=channel,
            since=since,
            last_active_on=since,
            notice_given_on=notice_given_on,
            **data,
        )
        records.require_write(actor, customer, ["account"])
        records.validate(customer, ["reference", "channel", *data])
        customer.save(force_insert=True)
        for channel in (ContactPoint.Channel.EMAIL, ContactPoint.Channel.PHONE):
            value = data.get(channel.value, "")
            point = reach.entered(customer, channel, value, came=came or reach.way(actor, owner), now=now)
            if point is not None and not came:
                notices.changed(point, older=(), new=value, now=now)
        audit.record(
            "customer.created",
            actor=actor,
            now=now,
            subject=owner,
            record=records.name_of(customer),
            fields=sorted(data),
        )
    return customer


def customer_of(user: User, *, actor: Actor | None, now: datetime, today: date) -> Customer:
    """Return the customer of a login; create it when the login needs one for the first time. Raises reach.NotTheirs."""
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        found = reach.customer_of(user)
        return found or create_customer(actor=actor, now=now, since=today, user=user)


def add_address(
    customer: Customer,
    *,
    purpose: str,
    country: str,
    actor: Actor | None,
    now: datetime,
    came: str = "",
    **data: str,
) -> Address:
    """Add an address of a customer and return it (P17, P25); `came` as for `create_customer`."""
    with transaction.atomic():
        address: Address = records.add(
            Address(customer=customer, purpose=purpose, country=country, **data), "address.added", actor, now
        )
        way = came or reach.way(actor, customer.subject_id)
        point = reach.entered(address, ContactPoint.Channel.POST, address.street, came=way, now=now)
        if point is not None and not came:
            notices.changed(point, older=(), new="", now=now)
    return address


def set_tax_identifier(
    customer: Customer,
    *,
    kind: str,
    value: str,
    country: str,
    actor: Actor | None,
    now: datetime,
    used_as_tax_id: bool = False,
    reason: str = "",
    last_used_on: date | None = None,
    has_certificate: bool = False,
) -> TaxIdentifier:
    """Set the customer's number of one kind and return it (P26, P28).

    A social security number is taken only where `used_as_tax_id` is said and a `reason` of the closed list is given;
    everything else raises ValidationError.
    """
    is_ssn = kind == TaxIdentifier.Kind.SSN
    if is_ssn and not (used_as_tax_id and reason in TaxIdentifier.Reason.values and country == "US"):
        raise ValidationError("A social security number is taken only where it is used as the Tax ID, with a reason.")
    if kind == TaxIdentifier.Kind.VAT:
        validators.validate_vat(value, country)
    elif not is_ssn:
        validators.validate_tax_id(value, country)
    days.require(now=now, last_used_on=last_used_on)
    with transaction.atomic():
        records.require_living(customer)
        Customer.objects.select_for_update().only("pk").get(pk=customer.pk)
        found = TaxIdentifier.objects.filter(customer=customer, kind=kind).first()
        number = found or TaxIdentifier(customer=customer, kind=kind)
        number.country = country
        number.used_as_tax_id = is_ssn
        number.reason = reason if is_ssn else ""
        number.has_certificate = has_certificate
        number.last_used_on = last_used_on
        setattr(number, "ssn" if is_ssn else "value", value)
        name = "ssn" if is_ssn else "value"
        records.require_write(actor, number, records.envelopes_of(number, [name]))
        records.validate(number, ["kind", "country", "reason", name])
        number.save()
        audit.record(
            "tax_identifier.set",
            actor=actor,
            now=now,
            subject=customer.subject_id,
            record=records.name_of(number),
            fields=[name],
            reason=reason if is_ssn else "",
        )
    return number


def add_freight_account(
    customer: Customer,
    *,
    number: str,
    added_on: date,
    actor: Actor | None,
    now: datetime,
    carrier: str = "",
    last_shipment_on: date | None = None,
) -> FreightAccount:
    """Add the customer's account with a carrier and return it (P26)."""
    days.require(now=now, added_on=added_on, last_shipment_on=last_shipment_on)
    account = FreightAccount(
        customer=customer, number=number, carrier=carrier, added_on=added_on, last_shipment_on=last_shipment_on
    )
    return records.add(account, "freight_account.added", actor, now)


def why_on_hold(record: Address | TaxIdentifier | FreightAccount) -> str:
    """Return why a legal hold lets nobody remove this now, "" where none stands against it."""
    on_hold, doubted = in_force.look([(record.vault_label, record.pk)])
    if on_hold:
        return ON_HOLD
    return LOOK if doubted else ""


def remove(record: Address | TaxIdentifier | FreightAccount, *, actor: Actor | None, now: datetime) -> None:
    """Remove an address, number or freight account at once; its keys go with it (P9). Every e-mail of the person is
    told.

    Raises gate.Refused, and ValidationError when `why_on_hold` says why.
    """
    with transaction.atomic():
        type(record)._base_manager.select_for_update().only("pk").get(pk=record.pk)  # as a hold that is placed does
        if why := why_on_hold(record):
            raise ValidationError(why)
        records.require_write(
            actor, record, [name for name in type(record).envelopes() if getattr(record, f"sealed_{name}")]
        )
        subject, about = records.subject_of(record), records.name_of(record)
        if isinstance(record, Address):
            reach.taken_out(record, now=now)
        record.delete()
        is_own = reach.way(actor, subject) == ContactPoint.Came.PERSON
        notices.removed(subject, about[1], REMOVED[type(record)], by_person=is_own, now=now)
        audit.record("record.removed", actor=actor, now=now, subject=subject, record=about)


def create_company(
    *, actor: Actor | None, now: datetime, is_sole_trader: bool = False, subject: UUID | None = None, **data: str
) -> Company:
    """Create a company and return it; a sole trader is a person and gets a subject."""
    with transaction.atomic():
        owner = (subject or subjects.create(now=now).pk) if is_sole_trader else None
        return records.add(
            Company(is_sole_trader=is_sole_trader, subject_id=owner, last_active_on=timezone.localdate(now), **data),
            "company.created",
            actor,
            now,
        )


REMOVED: dict[type[SealedModel], str] = {
    Address: "postal address",
    FreightAccount: "freight account",
    TaxIdentifier: "tax number",
}


def _free_reference() -> str:
    """Draw a customer number that nobody has: random, because a counter would tell how many customers there are."""
    while True:
        reference = f"C{secrets.randbelow(10**9):09d}"
        if not Customer.objects.filter(reference=reference).exists():
            return reference
