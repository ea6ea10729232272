"""What an assessment may know about one record: dates and flags, never a value.

`Facts` is the only thing that crosses from an app that owns records (accounts, orders, rma) to the rules of
retention. It holds names of data, not data: two records of two people with the same dates are judged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

Party = Literal["person", "contact", "company"]

#: Days on which something happened to a record. A record names those it knows; None: it has not happened (yet).
EVENTS = frozenset(
    {
        "placed", "invoiced", "paid", "shipped", "closed", "opened", "last_message", "last_activity",
        "last_use", "last_shipment", "issued", "ended", "entered", "delivered",
    }
)  # fmt: skip

#: Circumstances that hold a record, or that change which reason it has.
FLAGS = frozenset(
    {
        "open_order",  # this order, or for an account one of its orders, is not yet shipped, or not yet invoiced
        "unpaid",  # an invoice is open
        "open_charge",  # a card charge is not settled
        "open_rma",  # an instrument is here
        "open_request",  # a request of the person is not answered yet
        "order_related",  # a message about an order or an RMA
        "exemption_certificate",  # a live tax-exemption or resale certificate relies on it
        "customer",  # a message of somebody who is a customer
        "staff",  # somebody who works here
        "never_came",  # a return that was closed before any instrument came with it
        "never_fulfilled",  # an order that was cancelled before anything was invoiced, paid or shipped
        "active",  # the reason lasts as long as this (login enabled, engagement runs, marketing goes on)
        "broken",  # a date of the record cannot be right, so nobody can say how long it is kept
    }
)


@dataclass(frozen=True)
class Facts:
    """The facts of one record on which its fate depends.

    `label` names the model ("orders.order"), `title` the record in plain words without personal data ("Order
    SO43659"). `data` gives, per envelope, the plain names of the data in it; `events` the day of each event, None when
    it has not happened; `flags` the circumstances of FLAGS. `party` is the role of the person in the record; `country`
    (ISO 3166-1 alpha-2) decides under whose law what is kept is explained, with `region`, the code of a state or
    province of it where one is on file, also how long an answer may take; `sold_to` is the country to which a sale
    went. An unknown event or flag is a mistake of the app that states it and raises ValueError, because a misspelt
    reason would erase too early.
    """

    label: str
    record_id: UUID
    title: str
    subject_id: UUID | None
    data: Mapping[str, tuple[str, ...]]
    events: Mapping[str, date | None] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    party: Party = "person"
    country: str | None = None
    region: str | None = None
    sold_to: str | None = None

    def __post_init__(self) -> None:
        unknown = (set(self.events) - EVENTS) | (set(self.flags) - FLAGS)
        if unknown:
            raise ValueError(f"{self.label}: no such event or flag: {', '.join(sorted(unknown))}")
        if any(isinstance(day, datetime) for day in self.events.values()):
            raise ValueError(f"{self.label}: an event is a day, not a moment.")
        object.__setattr__(self, "data", MappingProxyType({name: tuple(data) for name, data in self.data.items()}))
        object.__setattr__(self, "events", MappingProxyType(dict(self.events)))
        object.__setattr__(self, "flags", frozenset(self.flags))
