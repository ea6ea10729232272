"""alice and bob with one of everything the product keeps about a person, a canary in every sealed field; and the staff.

A canary is a value that occurs nowhere else: an answer that holds one has shown that field of that record.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import ClaimReview, Company, ContactPoint, Customer, Joining, User
from orders.services import Card
from privacy import datamap, vault
from privacy.models import Letter, OneTimeLink, Request, SecondLook
from privacy.requests import execute, links, waits
from privacy.retention import holds
from privacy.vault import SealedModel
from rma import services as rmas
from rma.models import Certificate
from tests import factories
from tests.asked import PRIVACY, taken_in
from tests.factories import DAN, an_order, an_rma, as_customer, moved

NOW, TODAY = factories.NOW, factories.TODAY
_digits = count(4107)


class Canary(NamedTuple):
    """One planted value and where it stands."""

    label: str
    envelope: str
    field: str
    text: str


@dataclass
class Person:
    """A customer with a login and records of each kind, by name: `person.records["order"]`."""

    user: User
    customer: Customer
    records: dict[str, Any] = field(default_factory=dict)
    canaries: list[Canary] = field(default_factory=list)

    @property
    def subject(self) -> UUID:
        found: UUID = self.user.subject_id
        return found

    def of(self, label: str, *names: str) -> list[str]:
        """Return the canaries in records of a kind; of some fields only when they are named."""
        return [one.text for one in self.canaries if one.label == label and (not names or one.field in names)]

    def seen_in(self, text: str) -> set[Canary]:
        """Return which canaries a text shows."""
        found = set(self._pattern.findall(text))
        return {one for one in self.canaries if one.text in found}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Four digits of a card may stand inside a token by chance: a canary stands alone.
        return re.compile(r"(?<![\w-])(?:" + "|".join(re.escape(one.text) for one in self.canaries) + r")(?![\w-])")


@dataclass
class Everybody:
    alice: Person
    bob: Person
    carol: User  # sales
    erin: User  # accounting
    pat: User  # privacy team


def arrive() -> Everybody:
    """Make everybody. The clock must stand at factories.NOW, and settings.EXPORT_DIR be a folder of the test."""
    return Everybody(
        alice=_person("alice"),
        bob=_person("bob"),
        carol=factories.staff("carol", "carol@ilt.example", roles=("sales",)),
        erin=factories.staff("erin", "erin@ilt.example", roles=("accounting",)),
        pat=factories.staff("pat", "pat@ilt.example", roles=("privacy",)),
    )


@contextmanager
def _same_copies() -> Iterator[None]:
    """Put back the sealed copies that the block destroyed, and remove those that it made."""
    folder = Path(settings.EXPORT_DIR)
    before = {path: path.read_bytes() for path in folder.glob("*")}
    try:
        yield
    finally:
        for path in set(folder.glob("*")) - set(before):
            path.unlink()
        for path, content in before.items():
            if not path.exists():
                path.write_bytes(content)


@contextmanager
def undone() -> Iterator[None]:
    """Take back whatever the block did to both databases, and to the copies that were made; to the product it
    is the test's own transaction."""
    with ExitStack() as stack:
        stack.enter_context(_same_copies())
        for alias in ("default", "keystore"):
            block = transaction.atomic(using=alias)
            block._from_testcase = True
            stack.enter_context(block)
            stack.callback(transaction.set_rollback, True, using=alias)
        yield


# One person -----------------------------------------------------------------------------------------------------------


def _person(name: str) -> Person:
    user = factories.login(name, f"{name}@example.com")
    works_for = factories.company()
    customer = factories.customer(name.title(), "Example", email=f"{name}@post.example", user=user, company=works_for)
    card = Card(token=f"tok_{name}_0001", brand="Visa", last_four="0000", expiry="01/2030")
    order = an_order(customer, invoiced=TODAY, paid=TODAY, card=card)
    rma = moved(an_rma(customer, order=order), "authorised")
    claims = factories.login(f"{name}-claims", f"{name}2@example.com")
    person = Person(user, customer)
    person.records = {
        "company": works_for,
        "trader": Company.objects.create(name="Sole trader", is_sole_trader=True, subject=user.subject, country="US"),
        "address": factories.address(customer),
        "tax_identifier": factories.tax_identifier(customer),
        "ssn": factories.ssn(customer),
        "freight": factories.freight_account(customer),
        "communication": factories.communication(customer),
        "order": order,
        "unpaid": an_order(customer, invoiced=TODAY),
        "rma": rma,
        "note": rmas.add_note(rma, text="Please hurry.", actor=as_customer(customer), now=NOW),
        "certificate": _certificate(customer),
        # Another login claims to be this person: it must learn nothing.
        "review": ClaimReview.objects.create(user=claims, customer=customer, reason="contact", opened_at=NOW),
        "joining": Joining.objects.create(subject=user.subject, asked_by="person", opened_at=NOW),
        "login": ContactPoint.objects.create(
            customer=customer, channel="login", came="person", since=NOW, confirmed_at=NOW
        ),
        "hold": holds.place("orders.order", order.pk, reason="claim", actor=PRIVACY, now=NOW),
    }
    _plant(person, [works_for])
    done = _plant_all(person, {works_for.pk})
    person.records |= _requests(person)
    _plant_all(person, done)  # requests and letters
    person.user, person.customer = User.objects.get(pk=user.pk), Customer.objects.get(pk=customer.pk)
    return person


def _certificate(customer: Customer) -> Certificate:
    done = moved(an_rma(customer, service="calibration"), "authorised", "received", "in_service", "verified", on=TODAY)
    result = {"quantity": "illuminance", "unit": "lx", "as_left": "100"}
    return rmas.issue_certificate(
        done, procedure="ILT-CP-102", calibrated_on=TODAY, results=[result], actor=DAN, now=NOW
    )


def _requests(person: Person) -> dict[str, Any]:
    """A copy that can be fetched, an erasure that waits for its confirmation, a live link and a used one."""
    actor = as_customer(person.customer)
    found: dict[str, Any] = {}
    for kind in ("access", "erasure"):
        filed = taken_in(kind, person.subject, identity="login", actor=actor)
        while execute.run(filed.pk, clock=lambda: NOW, pause=lambda: None) == "ended":
            pass  # a plan that needs no confirmation ends a round, not the request
        found[kind] = Request.objects.get(pk=filed.pk)
    found["look"] = waits.ask(found["erasure"], SecondLook.Why.NOT_ME, actor=actor, now=NOW)
    # As if there were no address to mail to: a letter that waits to be printed is shown to the privacy team.
    found["letter"] = found["access"].letters.get(kind="acknowledgement")
    Letter.objects.filter(pk=found["letter"].pk).update(by=Letter.By.POST, next_attempt_at=None)
    for name in ("token", "spent"):
        found[name] = links.make_link(found["erasure"], OneTimeLink.Purpose.RESULT, to="", now=NOW)
    links.use(found["spent"], now=NOW)
    return found


# Canaries -------------------------------------------------------------------------------------------------------------


def _plant_all(person: Person, done: set[UUID]) -> set[UUID]:
    """Put canaries into every record of the person that has none yet; return all that have."""
    for declaration, rows in datamap.records_of(person.subject):
        if issubclass(declaration.model, SealedModel):
            new = [row for row in rows if row.pk not in done]
            _plant(person, new)
            done |= {row.pk for row in new}
    return done


def _plant(person: Person, records: Iterable[Any]) -> None:
    for record in records:
        planted = [
            Canary(record.vault_label, envelope, name, _text(name))
            for envelope, names in type(record).envelopes().items()
            if getattr(record, f"sealed_{envelope}")  # a Tax ID and a social security number never stand side by side
            for name in names
        ]
        with vault.internal():
            for one in planted:
                match one.field:
                    case "outcome":
                        record.outcome = _with(record.outcome, one.text)
                    case "was":
                        record.was = {"first_name": one.text}
                    case "credentials":
                        record.credentials = {"code": one.text}
                    case _:
                        setattr(record, one.field, one.text)
        record.save(update_fields=[one.field for one in planted])
        person.canaries += planted


def _text(name: str) -> str:
    number = next(_digits)
    word = "".join(secrets.choice(string.ascii_lowercase) for _ in range(10))  # no digits: no run of them is a card's
    match name:
        case "email" | "to" | "requester_email":
            return f"c{word}@canary.example"
        case "phone":
            return f"978-{secrets.randbelow(10**7):07d}"
        case "ssn":
            return f"536-90-{number}"
        case "last_four":
            return f"{number}"
        case "expiry":
            return f"12/20{number % 100:02d}"
        case "token":
            return f"tok_{word}"
        case _:
            return f"Cn{word}"


def _with(outcome: Any, text: str) -> Any:
    """Return a sealed plan with a canary as the title of its first line and as what the person was to know before."""
    planted = deepcopy(outcome)
    planted["plan"]["verdicts"][0]["title"] = text
    planted["plan"]["warnings"] = [text]
    return planted
