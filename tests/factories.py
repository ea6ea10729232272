"""People, companies and their records for tests. alice is the customer, bob always the stranger, carol staff.

Each function makes one record with the models themselves, so that a test of a service is not proved by that service.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from allauth.account.models import EmailAddress

from accounts import witnessed
from accounts.models import (
    Address,
    Communication,
    Company,
    ContactPoint,
    Customer,
    FreightAccount,
    TaxIdentifier,
    User,
)
from privacy import audit, registers, subjects, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests.models import Request
from privacy.subjects import Subject

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
PASSWORD = "correct horse battery staple"
_number = count(1)

# --- people ----------------------------------------------------------------------------------------------------------


def subject() -> Subject:
    return subjects.create(now=NOW)


def login(username: str = "alice", email: str = "alice@example.com", password: str = PASSWORD, **more: Any) -> User:
    """A login with a verified address; without one it is a sign-up that waits for its code."""
    is_verified = more.pop("verified", True)
    more.setdefault("subject", subject())
    user = User(username=username, created_at=NOW, **more)
    user.set_password(password)
    user.save()
    EmailAddress.objects.create(user=user, email=email, verified=is_verified, primary=True)
    if not is_verified:
        record = (User.vault_label, user.pk)
        audit.record(witnessed.SIGNED_UP, actor=None, now=NOW, subject=user.subject_id, record=record)
    return user


def staff(
    username: str = "carol",
    email: str = "carol@ilt.example",
    *,
    roles: tuple[str, ...] = ("sales",),
    acknowledged: bool = True,
    **more: Any,
) -> User:
    """A member of staff, who signed the confidentiality acknowledgement unless told otherwise."""
    user = login(username, email, is_staff=True, **more)
    user.set_roles(roles)
    if acknowledged:
        registers.sign(
            subject=user.subject_id, kind="confidentiality", version="1", actor=None, now=NOW, signed_on=TODAY,
            expires_on=date(2099, 1, 1),
        )  # fmt: skip
    return user


def company(name: str = "Lumen Works", **data: Any) -> Company:
    data = {"country": "US", "street": "1 Main Street", "city": "Peabody", "last_active_on": TODAY} | data
    return Company.objects.create(name=name, **data)


def customer(
    first_name: str = "Alice",
    last_name: str = "Archer",
    *,
    email: str = "alice@example.com",
    company: Company | None = None,
    came: str = "created",
    contact_since: datetime = NOW,
    **data: Any,
) -> Customer:
    """A customer with a subject of its own; the contact of `company` when there is one. Its contacts came with the import
    that created it, unless `came` says otherwise."""
    data = {
        "reference": f"T{next(_number):06d}",
        "phone": "978-555-0123",
        "country": "US",
        "region": "MA",
        "since": TODAY,
        "last_active_on": TODAY,
        "kind": Customer.Kind.CONTACT if company else Customer.Kind.PERSON,
    } | data
    user = data.get("user")
    if "subject" not in data:
        data["subject"] = user.subject if user else subject()
    made = Customer.objects.create(first_name=first_name, last_name=last_name, email=email, company=company, **data)
    for channel, value in (("email", email), ("phone", data["phone"])):
        if value:
            ContactPoint.objects.create(customer=made, channel=channel, came=came, since=contact_since)
    return made


def address(customer: Customer, *, came: str = "created", since: datetime = NOW, **data: Any) -> Address:
    data = {
        "street": "12 Elm Street", "city": "Salem", "postal_code": "01970", "region": "MA", "country": "US",
    } | data  # fmt: skip
    made = Address.objects.create(customer=customer, **data)
    ContactPoint.objects.create(customer=customer, address=made, channel="post", came=came, since=since)
    return made


def tax_identifier(customer: Customer, **data: Any) -> TaxIdentifier:
    return TaxIdentifier.objects.create(
        customer=customer, **({"kind": "tax_id", "country": "US", "value": "12-3456789"} | data)
    )


def ssn(customer: Customer, **data: Any) -> TaxIdentifier:
    """A social security number used as Tax ID."""
    data = {"ssn": "536-90-4399", "used_as_tax_id": True, "reason": "no_ein", "last_used_on": TODAY} | data
    return TaxIdentifier.objects.create(customer=customer, kind="ssn", country="US", **data)


def freight_account(customer: Customer, **data: Any) -> FreightAccount:
    data = {"carrier": "Parcel Express", "number": "10-4020-000676", "added_on": TODAY} | data
    return FreightAccount.objects.create(customer=customer, **data)


def communication(customer: Customer | None = None, **data: Any) -> Communication:
    data = {
        "department": "support", "channel": "phone", "received_on": TODAY, "last_message_on": TODAY,
        "heading": "A question about a sensor", "body": "Which filter fits my instrument?",
    } | data  # fmt: skip
    data.setdefault("subject", customer.subject if customer else subject())
    return Communication.objects.create(customer=customer, **data)


def acting_as(customer: Customer) -> Actor:
    """The customer as an actor, without a login."""
    companies = frozenset({customer.company_id} if customer.company_id else ())
    return Actor("customer", str(customer.pk), customer.subject_id, frozenset({"customer"}), "own data", "", companies)


def code_of(request: Request) -> str:
    """Return the outcome code of a request, from the acknowledgement that gives it, before that is sent."""
    gives = Letter.objects.filter(request=request, kind="acknowledgement", credentials_until__isnull=False)
    with vault.internal():
        return str(gives.latest("queued_at").credentials["code"])
