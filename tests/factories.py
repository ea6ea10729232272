"""People, companies and their records for tests, what they ordered and sent back. alice is the customer, bob
always the stranger, carol staff.

A person's record is made with the models themselves, so that a test of a service is not proved by that service; orders
and returns go through the services of the product, which take them through their steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from allauth.account.models import EmailAddress
from django.db.models import QuerySet

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
from orders import services as orders
from orders.models import Order, Product
from privacy import audit, letters, registers, subjects, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests.models import Request
from privacy.subjects import Subject
from rma import services as rmas
from rma.models import RMA, Instrument

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
    """A customer with a subject of its own; the contact of `company` when there is one. Its contacts came with the
    import that created it, unless `came` says otherwise."""
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


# Orders and returns, through the services of the product --------------------------------------------------------------

CAROL = Actor(kind="staff", id="carol", subject=None, roles=frozenset({"sales"}), purpose="test")
DAN = Actor(kind="staff", id="dan", subject=None, roles=frozenset({"service"}), purpose="test")
ERIN = Actor(kind="staff", id="erin", subject=None, roles=frozenset({"accounting"}), purpose="test")
TASK = Actor(kind="task", id="test", subject=None, roles=frozenset(), purpose="test")

SHIP = {
    "ship_name": "Alice Whitfield",
    "ship_street": "14 Harbor View Road",
    "ship_city": "Gloucester",
    "ship_region": "MA",
    "ship_postal_code": "01930",
    "ship_country": "US",
    "phone": "+1 978 555 0101",
    "email": "alice@post.example",
    "notes": "Ring twice.",
}
BILL = {
    "invoice_name": "Alice Whitfield",
    "invoice_street": "14 Harbor View Road",
    "invoice_city": "Gloucester",
    "invoice_country": "US",
}
CONTACT = {
    "contact_name": "Alice Whitfield",
    "phone": "+1 978 555 0101",
    "email": "alice@post.example",
    "return_street": "14 Harbor View Road",
    "return_city": "Gloucester",
    "return_country": "US",
}


def noon(day: date) -> datetime:
    """Return a moment on a day in the company's time zone."""
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def a_customer(reference: str = "", *, company: Company | None = None, country: str = "US", **data: Any) -> Customer:
    """Make a customer with a subject of their own."""
    number = next(_number)
    return Customer.objects.create(
        reference=reference or f"T{number:06d}",
        kind=Customer.Kind.CONTACT if company else Customer.Kind.PERSON,
        company=company,
        subject=subjects.create(now=datetime(2016, 1, 1, tzinfo=UTC)),
        country=country,
        since=date(2016, 1, 1),
        **{"first_name": "Alice", "last_name": "Whitfield", "email": f"alice{number}@post.example", **data},
    )


def as_customer(customer: Customer) -> Actor:
    """Return the customer as an actor."""
    return Actor(
        kind="customer", id="login", subject=customer.subject_id, roles=frozenset({"customer"}), purpose="own data"
    )


def a_product(sku: str = "ILT2400-A", price: str = "1495") -> Product:
    """Return the product with this number, making it when needed."""
    return Product.objects.get_or_create(sku=sku, defaults={"name": f"Product {sku}", "price": Decimal(price)})[0]


def an_order(
    customer: Customer,
    placed: date = date(2026, 11, 2),
    *,
    invoiced: date | None = None,
    shipped: date | None = None,
    paid: date | None = None,
    card: orders.Card | None = None,
    items: Sequence[tuple[str, int]] = (("ILT2400-A", 1),),
    **ship: str,
) -> Order:
    """Place an order and take it through the given steps."""
    order = orders.place_order(
        customer=customer,
        items=[orders.Item(a_product(sku), quantity) for sku, quantity in items],
        channel="web",
        ship={**SHIP, **ship},
        bill=BILL,
        actor=TASK,
        now=noon(placed),
    )
    if invoiced:
        orders.invoice(order, actor=TASK, now=noon(invoiced))
    if shipped:
        orders.ship(order, actor=TASK, now=noon(shipped))
    if paid:
        orders.mark_paid(order, card=card, actor=TASK, now=noon(paid))
    return Order.objects.with_owner().get(pk=order.pk)


def an_instrument(serial: str = "ILT2400-0001") -> Instrument:
    """Return the instrument with this serial number."""
    return rmas.find_instrument(serial=serial, model_name="ILT2400")


def an_rma(customer: Customer, opened: date = date(2026, 11, 2), *, serial: str = "", **data: Any) -> RMA:
    """Open a return."""
    return rmas.open_rma(
        customer=customer,
        instrument=an_instrument(serial or f"SN-{next(_number):05d}"),
        service=data.pop("service", "repair"),
        channel=data.pop("channel", "web"),
        contact=data.pop("contact", CONTACT),
        fault=data.pop("fault", "Display stays dark."),
        actor=data.pop("actor", TASK),
        now=noon(opened),
        **data,
    )


def moved(rma: RMA, *states: str, on: date = date(2026, 11, 5), **data: Any) -> RMA:
    """Take a return through states, in the given order."""
    for state in states:
        rma = rmas.transition(rma, state, actor=TASK, now=noon(on), **data)
    return rma


def went_out(which: QuerySet[Letter], at: datetime) -> None:
    """Let these letters have gone out at that time, by their rows and by the audit."""
    numbers = list(which.values_list("pk", flat=True))
    Letter.objects.filter(pk__in=numbers).update(sent_at=at)
    letters.note_gone_before(Letter.objects.filter(pk__in=numbers), now=at)
