"""Candidates: records that carry a person's address or phone and are nobody's yet, or another's (design 9).

What must never happen: a record joined because of an address somebody wrote on it (that is a claim), content or a name
of such a record told to whoever has the address, an answer that says "we hold nothing" while one stands. So an address
that was changed after the record was written makes no candidate, and neither does a phone number that the person typed.
Everything is found through the blind indexes that the models of all apps declare, so that a new indexed field is found
the day it is declared. A candidate is opened by the program alone, to see that it carries what was looked for
(privacy.vault.finding), and so are the person's own addresses, to look for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal, cast
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts import reach
from accounts.models import LOGIN_ADDRESS, Company, Customer, LoginAddress
from privacy import audit, datamap, vault
from privacy.datamap import Declaration
from privacy.vault import SealedModel, Unreadable

Channel = Literal["email", "phone"]

MOST = 1_000  # of one index; a switchboard's number may stand on very many orders
#: What carries an address and is joined by nobody's decision here: a login's address proves itself, and whose request
#: it is the proof of identity says.
NEVER = frozenset({LoginAddress.vault_label, "privacy.request"})
#: Where an address tells whose customer number it is: contact data, no mere record.
CONTACT = frozenset({Customer.vault_label})


@dataclass(frozen=True, slots=True)
class Record:
    """One record that carries an address or phone: its kind, number, whose it is now, and in which field it stands."""

    label: str
    pk: UUID
    subject: UUID | None
    field: str
    channel: Channel

    @property
    def declaration(self) -> Declaration:
        return datamap.for_label(self.label)


@dataclass(frozen=True, slots=True)
class _Index:
    """One declared blind index of addresses or phones."""

    declaration: Declaration
    index: vault.Index
    channel: Channel


def of(subject: UUID, *, now: datetime) -> list[Record]:
    """Return the records that carry an address or phone of `subject` without being this person's, each once.

    A match by address comes before one by phone. Only addresses that count for the person are looked for,
    and one that was changed on a record shows who changed it, not who wrote; a contact that was changed
    has to count for its customer.
    """
    values, own = _own(subject, now)
    others = [one for one in _carrying(values, but=frozenset(), own=own) if one.subject != subject]
    changed = audit.corrected([(one.label, one.pk) for one in others])
    is_changed = {one for one in others if one.field in changed.get((one.label, one.pk), ())}
    if contacts := {one for one in is_changed if one.label in CONTACT}:
        count = reach.counting_contacts({one.pk for one in contacts}, now=now)
        is_changed -= {one for one in contacts if (one.pk, one.channel) in count}
    found: dict[tuple[str, UUID], Record] = {}
    for record in others:
        if record not in is_changed:
            found.setdefault((record.label, record.pk), record)
    return list(found.values())


def told(subject: UUID, today: date) -> list[tuple[str, int]]:
    """Return what the person is told of the candidates: (kind in words, how many), by address only, never content."""
    now = timezone.make_aware(datetime.combine(today, time.max))
    counts = Counter(record.label for record in of(subject, now=now) if record.channel == "email")
    return [(datamap.for_label(label).called(count), count) for label, count in sorted(counts.items())]


def records_with(email: str) -> list[Record]:
    """Return the records that carry exactly this address outside login and contact data, whoever's they are.

    Messages, orders, returns: what control of the address opens by itself (design 9), grouped by nothing: two messages
    by one writer have two subjects, and no second person follows from that.
    """
    return list(_carrying({"email": {email}}, but=CONTACT))


def carries(email: str) -> bool:
    """Return whether any record carries this address: a login, confirmed or not, contact data,
    whatever else has an index of it."""
    if LoginAddress.objects.find(LOGIN_ADDRESS.field, email.strip()).exists():
        return True
    return next(_carrying({"email": {email.strip()}}, but=frozenset()), None) is not None


def people_with(email: str) -> set[UUID]:
    """Return the subjects on whose login, contact data or record this address stands, whether it counts or not: it
    proves nothing of them, and none of them decides about it at the desk."""
    address = email.strip()
    if not address:
        return set()
    found = set(LoginAddress.objects.find(LOGIN_ADDRESS.field, address).values_list("user__subject_id", flat=True))
    found |= {one.subject for one in _carrying({"email": {address}}, but=frozenset())}
    return {one for one in found if one is not None}


def _own(subject: UUID, now: datetime) -> tuple[Mapping[Channel, Collection[str]], frozenset[UUID]]:
    """Return the addresses and phones that count as the person's, of verified logins and contact data, and the numbers
    of the contact data.

    Not a phone number that the person typed: waiting makes it good for a call-back, and proves nothing about records.
    """
    emails: set[str] = set()
    phones: set[str] = set()
    logins = reach.login_records(user__subject_id=subject)
    customers = reach.own(Customer.objects.for_subject(subject))
    count = reach.points_that_count(customers, now=now)
    with vault.internal():
        for login in LoginAddress.objects.filter(pk__in=logins):
            emails.add(_text(login.email))
        for customer in customers:
            # What does not count as the person's yet would tell them of somebody else's records.
            if (customer.pk, "email") in count:
                emails.add(_text(customer.email))
            if (phone := count.get((customer.pk, "phone"))) and not phone.is_typed:
                phones.add(_text(customer.phone))
    return {"email": emails - {""}, "phone": phones - {""}}, frozenset(one.pk for one in customers)


def _text(value: Any) -> str:
    return "" if not value or isinstance(value, Unreadable) else str(value)


def _carrying(
    values: Mapping[Channel, Collection[str]], *, but: Collection[str], own: frozenset[UUID] = frozenset()
) -> Iterator[Record]:
    """Yield the records that carry one of the values but for those in `own`; by address first. One look-up of tokens,
    two queries per index hit, one for the keys."""
    wanted = [one for one in _indexes() if one.declaration.label not in but and values.get(one.channel)]
    asked = [(one.index, sorted(values[one.channel])) for one in wanted]
    for one, carried in zip(wanted, vault.carriers(asked, most=MOST, without=own), strict=True):
        if others := {pk for pks in carried.values() for pk in pks}:
            path = str(one.declaration.subject_path)
            for pk, subject in _rows(one, others).values_list("pk", path):
                yield Record(one.declaration.label, pk, subject, one.index.field.name, one.channel)


def _rows(one: _Index, records: set[UUID]) -> QuerySet[Any]:
    rows = one.declaration.model._default_manager.filter(pk__in=records)
    if one.declaration.label == Company.vault_label:
        rows = rows.filter(is_sole_trader=True)  # an organisation is no person, whoever answers its telephone
    return rows.order_by("pk")


def _indexes() -> list[_Index]:
    """Return every index of addresses and phones that a record about somebody declares; of addresses first."""
    found = []
    for declaration in datamap.declarations():
        if declaration.label in NEVER or not declaration.subject_path or not issubclass(declaration.model, SealedModel):
            continue
        found += [
            _Index(declaration, one, cast(Channel, one.blind.normaliser))
            for one in vault.indexes(declaration.model)
            if one.blind.normaliser in ("email", "phone")
        ]
    return sorted(found, key=lambda one: (one.channel, one.declaration.label))
