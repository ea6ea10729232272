"""What can be done to people's records. Every function: one transaction, one audit event that names fields, never
values; `actor` and `now` are passed in; PermissionDenied (gate.Refused) when the actor has no right to write there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.utils import timezone

from accounts import names, notices, reach, regions, validators
from accounts.models import (
    Address,
    Channel,
    Communication,
    Company,
    ContactPoint,
    Customer,
    FreightAccount,
    TaxIdentifier,
    User,
)
from privacy import audit, gate, subjects, vault
from privacy.calendar import days
from privacy.gate import Actor
from privacy.requests import waits
from privacy.retention import holds
from privacy.sweep import notices as endings
from privacy.typed import phones
from privacy.vault import SealedModel, Unreadable


class NothingToCorrect(Exception):
    """None of the given values differs from what is on file."""


class CustomerErased(ValidationError):
    """The customer's account was removed: nothing new is kept for it."""

    def __init__(self) -> None:
        super().__init__("This customer's data were removed: nothing new is kept for them.")


class AlreadyClosed(Exception):
    """The communication was closed before."""


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

    A customer with a company is its contact. `came` says how the contact data came (ContactPoint.Came) where it was not by
    the actor's own word. Raises ValidationError for a value that cannot be taken in.
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
        _may_write(actor, customer, ["account"])
        _validate(customer, ["reference", "channel", *data])
        customer.save(force_insert=True)
        for channel in (ContactPoint.Channel.EMAIL, ContactPoint.Channel.PHONE):
            value = data.get(channel.value, "")
            point = reach.entered(customer, channel, value, came=came or reach.way(actor, owner), now=now)
            if point is not None and not came:
                notices.changed(point, older=(), new=value, now=now)
        audit.record(
            "customer.created", actor=actor, now=now, subject=owner, record=_record(customer), fields=sorted(data)
        )
    return customer


def customer_of(user: User, *, actor: Actor | None, now: datetime, today: date) -> Customer:
    """Return the customer of a login; create it when the login needs one for the first time. Raises reach.NotTheirs."""
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        found = reach.customer_of(user)
        return found or create_customer(actor=actor, now=now, since=today, user=user)


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
        _may_write(actor, record, _envelopes_of(record, changed or changes))
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
        _validate(record, written)
        record.save(update_fields=written)
        before = {"phone": number} if "country" in changed else {}
        contacts_changed(record, before | {name: on_file[name] for name in changed}, actor=actor, now=now)
        audit.record(
            "record.corrected",
            actor=actor,
            now=now,
            subject=_subject(record),
            record=_record(record),
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
            waits.record_changes(_record(record), email, is_address=name in after, actor=actor, now=now)


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
        address: Address = _add(
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
        require_living(customer)
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
        _may_write(actor, number, _envelopes_of(number, [name]))
        _validate(number, ["kind", "country", "reason", name])
        number.save()
        audit.record(
            "tax_identifier.set",
            actor=actor,
            now=now,
            subject=customer.subject_id,
            record=_record(number),
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
    return _add(account, "freight_account.added", actor, now)


def remove(record: Address | TaxIdentifier | FreightAccount, *, actor: Actor | None, now: datetime) -> None:
    """Remove an address, number or freight account at once; its keys go with it (P9). Every e-mail of the person is told.

    Raises gate.Refused, and ValidationError when it is under a legal hold.
    """
    with transaction.atomic():
        type(record)._base_manager.select_for_update().only("pk").get(pk=record.pk)  # as a hold that is placed does
        if holds.on_hold([record.pk]):
            raise ValidationError("This is under a legal hold: it cannot be removed until the hold is lifted.")
        _may_write(actor, record, [name for name in type(record).envelopes() if getattr(record, f"sealed_{name}")])
        subject, about = _subject(record), _record(record)
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
        return _add(
            Company(is_sole_trader=is_sole_trader, subject_id=owner, last_active_on=timezone.localdate(now), **data),
            "company.created",
            actor,
            now,
        )


def record_communication(
    *,
    department: str,
    channel: str,
    received_on: date,
    actor: Actor | None,
    now: datetime,
    customer: Customer | None = None,
    in_reply_to: Communication | None = None,
    taken_by: User | None = None,
    direction: str = Communication.Direction.IN,
    topic: str = Communication.Topic.OTHER,
    is_order_related: bool = False,
    notice_given_on: date | None = None,
    **data: str,
) -> Communication:
    """Keep a message from or to a person with one of the five departments and return it (P23, P27, P28, P31).

    Somebody who is no customer gets a subject of their own. A reply belongs to the person of the first message and
    moves that one's clock.
    """
    days.require(now=now, received_on=received_on, notice_given_on=notice_given_on)
    with transaction.atomic():
        if in_reply_to is not None:
            customer = in_reply_to.customer
            owner = in_reply_to.subject_id
        else:
            owner = customer.subject_id if customer else subjects.create(now=now).pk
        message = Communication(
            subject_id=owner,
            customer=customer,
            in_reply_to=in_reply_to,
            taken_by=taken_by,
            department=department,
            channel=channel,
            direction=direction,
            topic=topic,
            is_order_related=is_order_related,
            received_on=received_on,
            last_message_on=received_on,
            notice_given_on=notice_given_on,
            **data,
        )
        if in_reply_to is not None:
            first = Communication.objects.filter(pk=in_reply_to.pk)
            first.filter(last_message_on__lt=received_on).update(last_message_on=received_on)
            first.update(closed_on=None)
        return _add(message, "communication.recorded", actor, now)


def close_communication(message: Communication, *, closed_on: date, actor: Actor | None, now: datetime) -> None:
    """Close a matter: the retention clock of P31 starts. Raises AlreadyClosed."""
    days.require(now=now, closed_on=closed_on)
    with transaction.atomic():
        _may_write(actor, message, ["support"])
        if not Communication.objects.filter(pk=message.pk, closed_on=None).update(closed_on=closed_on):
            raise AlreadyClosed
        message.closed_on = closed_on
        audit.record("communication.closed", actor=actor, now=now, subject=message.subject_id, record=_record(message))


def touch(customers: Iterable[UUID], *, on: date) -> None:
    """Note that these customers were active on a day (an order, an RMA, a login); an earlier day changes nothing."""
    ids, is_later = list(customers), models.Q(last_active_on=None) | models.Q(last_active_on__lt=on)
    Customer.objects.filter(is_later, pk__in=ids).update(last_active_on=on)
    companies = Customer.objects.filter(pk__in=ids, company__isnull=False).values("company")
    Company.objects.filter(is_later, pk__in=companies).update(last_active_on=on)


def touch_all(days: Mapping[UUID, date]) -> None:
    """Note the last day of activity of many customers and their companies, in two statements (imports)."""
    customer, company = Customer._meta.db_table, Company._meta.db_table
    later = "(t.last_active_on IS NULL OR t.last_active_on < seen.day)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {customer} t SET last_active_on = seen.day "  # noqa: S608 - table names only
            f"FROM unnest(%s::uuid[], %s::date[]) AS seen(id, day) WHERE t.id = seen.id AND {later}",
            [list(days), list(days.values())],
        )
        cursor.execute(
            f"UPDATE {company} t SET last_active_on = seen.day FROM ("  # noqa: S608 - table names only
            f"SELECT c.company_id AS id, max(u.day) AS day FROM unnest(%s::uuid[], %s::date[]) AS u(id, day) "
            f"JOIN {customer} c ON c.id = u.id WHERE c.company_id IS NOT NULL GROUP BY c.company_id"
            f") AS seen WHERE t.id = seen.id AND {later}",
            [list(days), list(days.values())],
        )


def keep_account(customer: Customer, *, reason: str, actor: Actor, now: datetime) -> None:
    """Keep an account that would end by itself, because the person told us so: its period starts again today (P10).

    `reason` says how they told us (endings.WAYS). Raises gate.Refused, endings.NoticeGone when its removal has begun,
    endings.CannotKeep after a request to remove it.
    """
    _may_write(actor, customer, ["account"])
    if customer.subject_id is None:
        raise endings.NoticeGone
    endings.keep_for(customer.subject_id, reason=reason, actor=actor, now=now)


def require_living(customer: Customer) -> None:
    """Lock a customer against an erasure until this transaction ends. Raises CustomerErased when the account is gone.

    Services that keep something new for a customer call it first: an erasure looks at what is open under the same lock,
    so that nothing new ever stands beside an erased account.
    """
    found = Customer.objects.select_for_update(no_key=True).only("pk").filter(pk=customer.pk)
    if not found.exists() or vault.keys.is_destroyed(customer.pk, "account"):
        raise CustomerErased


def contacts_changed(record: SealedModel, before: Mapping[str, Any], *, actor: Actor | None, now: datetime) -> None:
    """Write of each contact that `before` has another value of, that it is on file since now; tell the older addresses.

    In the transaction of the change. A telephone number that does not say its country is another one when the country of its
    customer is: `before` then has the number besides the country, whether it changed or not.
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


# -- parts ------------------------------------------------------------------------------------------------------------

REMOVED: dict[type[SealedModel], str] = {
    Address: "postal address",
    FreightAccount: "freight account",
    TaxIdentifier: "tax number",
}
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
    """Say whether a contact reaches whom it reached before, when the customer was of `country`; also of one that was erased."""
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


def _add(record: Any, action: str, actor: Actor | None, now: datetime) -> Any:
    names = [f.name for f in record._meta.fields if getattr(f, "envelope", None) and getattr(f, "column", None) is None]
    given = [name for name in names if getattr(record, name)]
    with transaction.atomic():
        if isinstance(record, Address | FreightAccount):
            require_living(record.customer)
        _may_write(actor, record, _envelopes_of(record, names))
        record.clean_fields(exclude=_links(record))
        record.save(force_insert=True)
        audit.record(
            action, actor=actor, now=now, subject=_subject(record), record=_record(record), fields=sorted(given)
        )
    return record


def _validate(record: Any, names: Iterable[str]) -> None:
    """Check only what is about to be written: everything else would have to be opened first."""
    wanted = set(names)
    record.clean_fields(exclude={f.name for f in record._meta.fields} - wanted)
    if "reference" in wanted:
        record.validate_unique(exclude={f.name for f in record._meta.fields} - {"reference"})


def _links(record: Any) -> set[str]:
    return {f.name for f in record._meta.fields if f.is_relation}


def _envelopes_of(record: Any, names: Iterable[str]) -> list[str]:
    """Return the envelopes in which these fields lie; a plain column counts for the record's first envelope."""
    envelopes = type(record).envelopes()
    found = {envelope for envelope, inside in envelopes.items() if set(inside) & set(names)}
    return sorted(found) or [next(iter(envelopes))]


def _may_write(actor: Actor | None, record: Any, envelopes: Iterable[str]) -> None:
    gate.require_record(actor, record, envelopes, "write")


def _subject(record: Any) -> UUID | None:
    customer = getattr(record, "customer", None)
    return getattr(record, "subject_id", None) or (customer.subject_id if customer else None)


def _record(record: Any) -> tuple[str, UUID]:
    return record.vault_label, record.pk


def _free_reference() -> str:
    """Draw a customer number that nobody has: random, because a counter would tell how many customers there are."""
    while True:
        reference = f"C{secrets.randbelow(10**9):09d}"
        if not Customer.objects.filter(reference=reference).exists():
            return reference
