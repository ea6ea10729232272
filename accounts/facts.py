"""What the fate of people's records depends on: dates and flags, never a value (privacy.retention)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.text import capfirst

from accounts import regions
from accounts.models import (
    Address,
    Communication,
    Company,
    Customer,
    FreightAccount,
    LoginAddress,
    TaxIdentifier,
    User,
)
from privacy import datamap
from privacy.facts import Facts, Party
from privacy.retention import rules


def still_sealed(record: Any) -> dict[str, tuple[str, ...]]:
    """Return envelope -> titles of the data that the record still holds: an envelope that ended is not among them."""
    return datamap.for_model(type(record)).still_sealed(record)


def user(user: User) -> Facts:
    """Return the facts of a login: it is used while somebody logs in, or its customer orders."""
    customer = getattr(user, "customer", None)
    days = [_day(user.last_login), customer.last_active_on if customer else None]
    return Facts(
        label=User.vault_label,
        record_id=user.pk,
        title="Login",
        subject_id=user.subject_id,
        data=still_sealed(user),
        events={"last_activity": _latest(*days), "opened": _day(user.created_at)},
        flags=frozenset({"staff"}) if user.is_staff and user.is_active else frozenset(),
        party=_party(customer) if customer else "person",
        country=_country(customer),
        region=_region(customer),
    )


def login_address(address: LoginAddress) -> Facts:
    """Return the facts of a login's address: those of its login."""
    owner = address.user
    of_user = user(owner) if owner else None
    return Facts(
        label=LoginAddress.vault_label,
        record_id=address.pk,
        title="Address of a login",
        subject_id=owner.subject_id if owner else None,
        data=still_sealed(address),
        events=dict(of_user.events) if of_user else {"opened": _day(address.created_at)},
        flags=of_user.flags if of_user else frozenset(),
        party=of_user.party if of_user else "person",
        country=of_user.country if of_user else None,
        region=of_user.region if of_user else None,
    )


def customer(customer: Customer) -> Facts:
    """Return the facts of a customer's profile."""
    return Facts(
        label=Customer.vault_label,
        record_id=customer.pk,
        title=f"Customer {customer.reference}",
        subject_id=customer.subject_id,
        data=still_sealed(customer),
        events={"last_activity": customer.last_active_on, "opened": customer.since},
        party=_party(customer),
        country=_country(customer),
        region=_region(customer),
    )


def address(address: Address) -> Facts:
    """Return the facts of an address: those of its customer."""
    facts = _of_customer(address, f"{address.get_purpose_display().capitalize()} address")
    # Of the customer's country only: the code of a state says nothing about another.
    here = _code(address) if address.country == facts.country else None
    return replace(facts, region=here) if here else facts


def tax_identifier(number: TaxIdentifier) -> Facts:
    """Return the facts of a VAT number, Tax ID or social security number."""
    flags = set()
    if number.has_certificate:
        flags.add("exemption_certificate")
    return _of_customer(
        number, capfirst(number.get_kind_display()), {"last_use": number.last_used_on}, frozenset(flags)
    )


def freight_account(account: FreightAccount) -> Facts:
    """Return the facts of a freight account: it counts from the last shipment."""
    events = {"last_shipment": account.last_shipment_on, "opened": account.added_on}
    return _of_customer(account, "Freight account", events, activity=False)


def communication(message: Communication) -> Facts:
    """Return the facts of a message; a reply ends with the message that began the matter."""
    first = message.in_reply_to or message
    flags = set()
    if message.customer_id is not None:
        flags.add("customer")
    if message.is_order_related or first.is_order_related:
        flags.add("order_related")
    return Facts(
        label=Communication.vault_label,
        record_id=message.pk,
        title=f"Message with {message.get_department_display()}, {message.received_on:%-d %B %Y}",
        subject_id=message.subject_id,
        data=still_sealed(message),
        events={
            "closed": first.closed_on,
            "last_message": max(first.last_message_on, message.last_message_on),
            "opened": first.received_on,
        },
        flags=frozenset(flags),
        party=_party(message.customer) if message.customer else "person",
        country=_country(message.customer),
    )


def company(company: Company) -> Facts:
    """Return the facts of a company; a sole trader is a person."""
    return Facts(
        label=Company.vault_label,
        record_id=company.pk,
        title="Company",
        subject_id=company.subject_id,
        data=still_sealed(company),
        events={"last_activity": company.last_active_on},
        party="person" if company.is_sole_trader else "company",
        country=company.country or None,
        region=_code(company),
    )


# What may have ended by a day, found by an index (Declaration.candidates) --------------------------------------------


def users(day: date) -> models.QuerySet[User]:
    last = rules.cutoff("account", day)
    used = Q(last_login__date__gt=last) | Q(customer__last_active_on__gt=last)
    return User.objects.filter(created_at__date__lte=last).exclude(used).select_related("customer")


def login_addresses(day: date) -> models.QuerySet[LoginAddress]:
    return LoginAddress.objects.filter(Q(user=None) | Q(user__in=users(day).values("pk"))).select_related(
        "user__customer"
    )


def customers(day: date) -> models.QuerySet[Customer]:
    return Customer.objects.filter(_quiet(day), sealed_account__isnull=False)


def addresses(day: date) -> models.QuerySet[Address]:
    quiet = Customer.objects.filter(_quiet(day))
    return Address.objects.filter(customer__in=quiet, sealed_account__isnull=False).select_related("customer")


def communications(day: date) -> models.QuerySet[Communication]:
    rows = Communication.objects.filter(last_message_on__lte=rules.cutoff("support", day), sealed_support__isnull=False)
    return rows.select_related("customer", "in_reply_to")


def _quiet(day: date) -> Q:
    last = rules.cutoff("account", day)
    return Q(last_active_on__lte=last) | Q(last_active_on=None, since__lte=last)


def _of_customer(
    record: Any,
    title: str,
    events: dict[str, date | None] | None = None,
    flags: frozenset[str] = frozenset(),
    *,
    activity: bool = True,
) -> Facts:
    owner: Customer = record.customer
    base = {"last_activity": owner.last_active_on, "opened": owner.since} if activity else {}
    return Facts(
        label=record.vault_label,
        record_id=record.pk,
        title=title,
        subject_id=owner.subject_id,
        data=still_sealed(record),
        events={**base, **(events or {})},
        flags=flags,
        party=_party(owner),
        country=_country(owner),
        region=_region(owner),
    )


def _party(customer: Customer) -> Party:
    return "contact" if customer.kind == Customer.Kind.CONTACT else "person"


def _country(customer: Customer | None) -> str | None:
    return (customer.country or None) if customer else None


def _region(customer: Customer | None) -> str | None:
    return _code(customer) if customer else None


def _code(record: Customer | Address | Company) -> str | None:
    # The column of before may still hold what somebody typed: that is no code, and goes nowhere.
    return regions.code(record.country, record.state) or None


def _latest(*days: date | None) -> date | None:
    return max((day for day in days if day is not None), default=None)


def _day(moment: Any) -> date | None:
    return timezone.localdate(moment) if moment else None
