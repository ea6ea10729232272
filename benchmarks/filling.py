"""Invented people and what they ordered, wrote and sent in: made in chunks through the real vault, nobody's real
data."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from typing import Any

from allauth.account.models import EmailAddress
from django.db import connections
from django.utils import timezone

from accounts import reach
from accounts.models import Address, Channel, Communication, ContactPoint, Customer, User
from orders.models import Invoice, Order, OrderLine, Payment, Product
from privacy import registers, subjects, vault
from rma.models import RMA, Instrument, RMANote

CHUNK = 2_000
PASSWORD = "correct horse battery staple"
_SYLLABLES = [
    "bel",
    "can",
    "dor",
    "fen",
    "gal",
    "hin",
    "jor",
    "kel",
    "lam",
    "mor",
    "nes",
    "ork",
    "pal",
    "quin",
    "ros",
    "sol",
    "tar",
    "ulm",
    "ver",
    "wen",
]
_ENDINGS = ("", "a", "er", "in", "ley", "o", "sen", "ton", "wick", "y")
_number = count(1)


def _names(syllables: int) -> list[str]:
    """Return every name of so many syllables with every ending, always in the same order."""
    stems = [""]
    for _ in range(syllables):
        stems = [stem + one for stem in stems for one in _SYLLABLES]
    return [(stem + ending).capitalize() for stem in stems for ending in _ENDINGS]


FIRST_NAMES = _names(1)  # 200
LAST_NAMES = _names(2)  # 4,000


def chunks(things: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Yield lists of at most `size`."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk


def now() -> datetime:
    """Return the present: what is measured goes by the databases' clock."""
    return timezone.now()


def today() -> date:
    """Return the company's day."""
    return timezone.localdate()


def people(how_many: int) -> Iterator[list[Customer]]:
    """Make private customers, each with a person, and yield them chunk by chunk."""
    chance = random.Random(how_many)
    day = today()
    for numbers in chunks(islice(_number, how_many)):
        owners = subjects.create_many(len(numbers), now=now())
        made = [
            Customer(
                reference=f"B{number:07d}",
                subject=owner,
                first_name=chance.choice(FIRST_NAMES),
                last_name=chance.choice(LAST_NAMES),
                email=f"person{number}@post.example",
                phone=f"+1 978 {number % 10_000_000:07d}",
                region="MA",
                country="US",
                channel=Channel.WEB,
                since=day - timedelta(days=chance.randrange(3000)),
                last_active_on=day,
            )
            for number, owner in zip(numbers, owners, strict=True)
        ]
        with vault.internal():
            Customer.objects.bulk_create(made)
            reach.created(made, [], came=ContactPoint.Came.CREATED, now=now())
        yield made


def person() -> Customer:
    """Make one customer with an address."""
    ((customer,),) = people(1)
    address = Address.objects.create(
        customer=customer, street="12 Elm Street", city="Salem", postal_code="01970", country="US"
    )
    reach.created([], [address], came=ContactPoint.Came.CREATED, now=now())
    return customer


def orders(
    customers: Sequence[Customer], each: int, *, shipped_on: date | None = None, with_payments: bool = True
) -> list[Order]:
    """Make finished, invoiced and paid orders, each with two lines, an invoice and, unless told not to, a card
    payment."""
    product, _ = Product.objects.get_or_create(sku="ILT2400", defaults={"name": "Light meter", "price": 1495})
    day = shipped_on or today() - timedelta(days=60)
    made: list[Order] = []
    for owners in chunks(owner for owner in customers for _ in range(each)):
        placed = [_order(owner, day) for owner in owners]
        with vault.internal():
            Order.objects.bulk_create(placed)
            Payment.objects.bulk_create(
                Payment(
                    order=one,
                    state=Payment.State.CHARGED,
                    brand="Visa",
                    amount=one.total,
                    charged_on=day,
                    token=f"tok_{one.number}",
                    last_four="4242",
                    expiry="12/2030",
                )
                for one in (placed if with_payments else ())
            )
        OrderLine.objects.bulk_create(
            OrderLine(order=one, position=place, product=product, description=product.name, quantity=1, unit_price=100)
            for one in placed
            for place in (1, 2)
        )
        Invoice.objects.bulk_create(
            Invoice(number=f"I{one.number}", order=one, issued_on=day, due_on=day, paid_on=day, total=one.total)
            for one in placed
        )
        made += placed
    return made


def _order(owner: Customer, day: date) -> Order:
    return Order(
        number=f"BENCH{next(_number):08d}",
        customer=owner,
        state=Order.State.CLOSED,
        placed_on=day,
        invoiced_on=day,
        paid_on=day,
        shipped_on=day,
        closed_on=day,
        total=Decimal("200"),
        ship_country="US",
        invoice_country="US",
        invoice_name="Alma Belcan",
        invoice_street="12 Elm Street",
        invoice_city="Salem",
        invoice_postal_code="01970",
        ship_name="Alma Belcan",
        ship_street="12 Elm Street",
        ship_city="Salem",
        ship_postal_code="01970",
        phone="+1 978 555 0123",
        email="alma@post.example",
        notes="Ring twice.",
    )


def messages(customer: Customer, how_many: int) -> None:
    """Make closed matters with the support department, one message each."""
    day = today() - timedelta(days=90)
    with vault.internal():
        for made in chunks(
            Communication(
                subject_id=customer.subject_id,
                customer=customer,
                department="support",
                channel=Channel.EMAIL,
                received_on=day,
                last_message_on=day,
                closed_on=day,
                contact_name="Alma Belcan",
                email="alma@post.example",
                heading="A question about a sensor",
                body="Which filter fits my instrument? " * 8,
            )
            for _ in range(how_many)
        ):
            Communication.objects.bulk_create(made)


def returns(customer: Customer, how_many: int) -> None:
    """Make closed returns, each with one note."""
    day = today() - timedelta(days=120)
    numbers = list(islice(_number, how_many))
    instruments = Instrument.objects.bulk_create(
        Instrument(serial=f"S{number:08d}", model_name="ILT2400") for number in numbers
    )
    rmas = [
        RMA(
            number=f"RMA-{number}",
            customer=customer,
            instrument=instrument,
            service=RMA.Service.CALIBRATION,
            state=RMA.State.CLOSED,
            opened_on=day,
            received_on=day,
            shipped_on=day,
            closed_on=day,
            contact_name="Alma Belcan",
            email="alma@post.example",
            return_street="12 Elm Street",
            return_city="Salem",
            fault="It reads a little low.",
        )
        for number, instrument in zip(numbers, instruments, strict=True)
    ]
    with vault.internal():
        RMA.objects.bulk_create(rmas)
        RMANote.objects.bulk_create(
            RMANote(rma=one, written_at=now(), author=RMANote.Author.STAFF, text="Calibrated and sent back.")
            for one in rmas
        )


def records(customer: Customer, how_many: int) -> dict[str, int]:
    """Give a customer so many sealed records in the proportions of a busy one, and return how many of each kind."""
    made = {
        "orders": how_many * 35 // 100,
        "payments": how_many * 35 // 100,
        "messages": how_many * 25 // 100,
        "returns": how_many * 5 // 200,
        "notes": how_many * 5 // 200,
    }
    old = made["orders"] // 4  # past all their periods: these go whole, of the others what the invoice needs stays
    orders([customer], made["orders"] - old)
    orders([customer], old, shipped_on=today() - timedelta(days=9 * 365))
    messages(customer, made["messages"])
    returns(customer, made["returns"])
    return made


def login(customer: Customer, name: str) -> User:
    """Give a customer a login with a verified address."""
    user = User(username=name, created_at=now(), subject_id=customer.subject_id)
    return _with_address(user, name, customer)


def staff(name: str, roles: Sequence[str]) -> User:
    """Make a member of staff with these roles and a current acknowledgement."""
    user = User(username=name, created_at=now(), subject=subjects.create(now=now()), is_staff=True)
    _with_address(user, name)
    user.set_roles(roles)
    registers.sign(
        subject=user.subject_id,
        kind="confidentiality",
        version="1",
        actor=None,
        now=now(),
        signed_on=today(),
        expires_on=today() + timedelta(days=365),
    )
    return user


def _with_address(user: User, name: str, customer: Customer | None = None) -> User:
    user.set_password(PASSWORD)
    user.save()
    EmailAddress.objects.create(user=user, email=f"{name}@post.example", verified=True, primary=True)
    if customer is not None:
        Customer.objects.filter(pk=customer.pk).update(user=user)
    return user


def counted() -> None:
    """Let both databases count their tables, as autovacuum does some time after a large change."""
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
