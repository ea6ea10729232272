"""The access log: who looked at whose data, fed by the act of opening, so it cannot be forgotten (P40, Art. 15).

It is personal data like any other: shown to the person, exported, ended after three years. It holds names of envelopes,
counts and numbers of records, never values.

What must never happen: a row that is changed, or goes before its time, without `verify_audit` naming it. So a row names
nobody: it carries a random name, and `AccessName` alone says whose it is. Joining two people and erasing one change
that table, never a row. Which records were opened is sealed under a key that stands there too: when the name is
forgotten, nothing leads from the rows to what stays for statistics. Rows are chained and sealed like the audit's.

Nor a person who is not shown who looked: each name carries a keyed hash over whose it is, a name that goes
from one person to another is told in the audit, and one that is forgotten stays as an empty row.
`verify_audit` names every other change.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import models, transaction
from django.db.models import Exists, Func, OuterRef

from privacy.actor import Actor, kinds
from privacy.audit import encoding, events
from privacy.audit.chains import AUDIT, Chain
from privacy.audit.events import Happened
from privacy.audit.models import AuditEvent, Link, TransactionIdField
from privacy.calendar.undated import no_line_without_a_day
from privacy.gate import rows
from privacy.gate.rows import Name, Row
from privacy.typed import cards
from privacy.vault import ring, uuid7

Owner = tuple[str, UUID | None]
Opened = Mapping[str, Sequence[UUID]]  # "label/envelope": the records whose envelope was opened

BEFORE, VERSION = 0, 1  # a row from before rows were sealed knows no numbers of records

_FIELDS = (
    "actor_kind",
    "actor_id",
    "role",
    "purpose",
    "reason",
    "envelopes",
    "count",
)


NAME_MOVED, NAME_LABEL = "access_log.name_moved", "privacy.accessname"
CHUNK = 2_000


class Forgotten(Exception):
    """The name was emptied when its person went."""


def new_secret() -> bytes:
    """Return a new key for one name."""
    return secrets.token_bytes(32)


class AccessName(models.Model):
    """Whose rows of the access log carry this name, and the key to the numbers of records in them.

    One person may have several, after joining. When the person goes it is emptied, and then the rows lead to nobody.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # A plain number, no foreign key: a row must be writable whatever has become of the subject.
    subject_id = models.UUIDField(null=True, db_index=True)
    secret = models.BinaryField(null=True, default=new_secret)
    mac = models.CharField(max_length=64, default="", help_text="Keyed hash over all of the above.")

    class Meta:
        app_label = "privacy"

    def __str__(self) -> str:
        return f"name {self.pk}"


class AccessEntryQuerySet(models.QuerySet["AccessEntry"]):
    def for_subject(self, subject: UUID) -> AccessEntryQuerySet:
        """Return the openings of this person's data, newest first; none under a name that somebody else put there."""
        return self.filter(whose__in=[name.id for name in names_of([subject])]).order_by("-at", "-id")


class AccessEntry(models.Model):
    """What one actor opened of one person (or one company) in one unit of work. Never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_index=True)
    whose = models.ForeignKey(
        AccessName, null=True, db_constraint=False, db_index=False, on_delete=models.DO_NOTHING, related_name="entries"
    )
    company_id = models.UUIDField(null=True)
    actor_kind = models.CharField("by", max_length=20, choices=kinds)
    actor_id = models.CharField(
        max_length=64, blank=True, help_text="A user's number for staff, a name for a customer, a purpose for a task."
    )
    role = models.CharField(max_length=100)
    purpose = models.CharField(max_length=60)
    reason = models.CharField(max_length=200, blank=True)
    envelopes = models.JSONField(help_text='How many records of each envelope: {"orders.order/fulfilment": 3}.')
    count = models.PositiveIntegerField()
    detail = models.BinaryField(
        null=True, help_text="Sealed: the numbers of the records, and what the reason refers to."
    )
    encoding = models.PositiveSmallIntegerField(default=BEFORE, help_text="Version of the encoding that was sealed.")
    mac = models.CharField(max_length=64, default="", help_text="Keyed hash over all of the above.")
    xid = TransactionIdField(db_default=Func(function="pg_current_xact_id"), editable=False)

    objects = AccessEntryQuerySet.as_manager()

    class Meta:
        app_label = "privacy"
        constraints = [no_line_without_a_day("access_entry")]
        indexes = [
            models.Index(fields=["whose", "at"], name="access_entry_of_name"),
            models.Index(
                fields=["company_id", "at"],
                name="access_entry_of_company",
                condition=models.Q(company_id__isnull=False),
            ),
            models.Index(fields=["actor_id", "at"], name="access_entry_by_actor"),
            models.Index(fields=["xid"], name="access_entry_by_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.count} openings by {self.role}, {self.at:%Y-%m-%d %H:%M}"


class AccessLink(Link):
    """A link of the chain of openings."""

    event_id = models.UUIDField(unique=True)

    class Meta:
        app_label = "privacy"


# Writing --------------------------------------------------------------------------------------------------------------


class Opening(NamedTuple):
    """What one actor opened of one owner, and why."""

    actor: Actor
    owner: Owner
    opened: Opened
    reason: str = ""
    reference: str = ""


def write(openings: Iterable[Opening], *, now: datetime) -> None:
    """Write one row for each, in their order, and the names of people never opened before: one statement, all or
    none."""
    openings = list(openings)
    people = {one.owner[1] for one in openings if one.owner[0] == "subject" and one.owner[1] is not None}
    people |= {one.actor.subject for one in openings if one.actor.kind == "customer" and one.actor.subject is not None}
    named, new = _named(people) if people else ({}, [])
    reasons = {text: cards.blot(text)[:200] for text in {one.reason or one.actor.reason for one in openings}}
    rows.add(new, [_row(one, named, reasons, now) for one in openings])


def _named(subjects: Collection[UUID]) -> tuple[dict[UUID, Name], list[Name]]:
    """Return the name under which openings of each of `subjects` are written now, and those of
    them that are not stored yet."""
    named = {name.subject_id: name for name in names_of(subjects)}
    new = [_new_name(subject) for subject in sorted(subjects - named.keys())]
    return named | {name.subject_id: name for name in new}, new


def _new_name(subject: UUID) -> Name:
    name = Name(uuid7(), subject, new_secret(), "")
    return name._replace(mac=name_mac(name))


def names_of(subjects: Collection[UUID]) -> list[Name]:
    """Return all names of these people, oldest first, without those that this program did not write."""
    return [name for name in rows.names(subjects) if encoding.same(name_mac(name), name.mac)]


def name_mac(name: AccessName | Name) -> str:
    """Return the keyed hash that proves this program said whose the name is, or that it is forgotten."""
    owner = None if name.subject_id is None else str(name.subject_id)
    secret = None if name.secret is None else bytes(name.secret).hex()
    return encoding.keyed("access.name", encoding.dump([VERSION, str(name.id), owner, secret]))


def hand_over(before: UUID, after: UUID, *, actor: Actor | None, now: datetime) -> list[UUID]:
    """Make the names of one person another's, in the caller's transaction, and return them; the audit tells of each.

    A name that this program did not write stays as it is: `verify_audit` is to name it.
    """
    return _hand_over(AccessName.objects.filter(subject_id=before), after, actor=actor, now=now)


def hand_back(numbers: Iterable[UUID | str], before: UUID, after: UUID, *, actor: Actor | None, now: datetime) -> None:
    """Make these names, if they are still `before`'s, `after`'s; otherwise like `hand_over`."""
    _hand_over(AccessName.objects.filter(pk__in=list(numbers), subject_id=before), after, actor=actor, now=now)


def _hand_over(rows: models.QuerySet[AccessName], after: UUID, *, actor: Actor | None, now: datetime) -> list[UUID]:
    with transaction.atomic():
        moved = [one for one in rows.select_for_update().order_by("id") if encoding.same(name_mac(one), one.mac)]
        for name in moved:
            name.subject_id = after
            name.mac = name_mac(name)
        AccessName.objects.bulk_update(moved, ["subject_id", "mac"], batch_size=1000)
        told = [Happened(NAME_MOVED, record=(NAME_LABEL, name.pk), reason=name.mac) for name in moved]
        events.record_many(told, actor=actor, now=now)
    return [name.pk for name in moved]


def forget(subject: UUID) -> None:
    """Empty the names of one person: the rows stay as they are and lead to nobody.

    The audit tells of none: the event would lead from the request to the rows.
    """
    with transaction.atomic():
        emptied = list(AccessName.objects.select_for_update().filter(subject_id=subject).order_by("id"))
        for name in emptied:
            ours = encoding.same(name_mac(name), name.mac)
            name.subject_id = name.secret = None
            name.mac = name_mac(name) if ours else ""
        AccessName.objects.bulk_update(emptied, ["subject_id", "secret", "mac"], batch_size=1000)


def sign_old(names: Any, entries: Any) -> None:
    """Sign the names of before names were signed, as they are found, and put an empty one where a name is gone.

    The migration gives the models as they are amid it.
    """
    for chunk in _batched(names.objects.filter(mac="").order_by("id").iterator(chunk_size=CHUNK)):
        for name in chunk:
            name.mac = name_mac(name)
        names.objects.bulk_update(chunk, ["mac"])
    there = names.objects.filter(pk=OuterRef("whose_id"))
    gone = entries.objects.filter(~Exists(there), whose_id__isnull=False).order_by("whose_id")
    for numbers in _batched(gone.values_list("whose_id", flat=True).distinct().iterator(chunk_size=CHUNK)):
        empty = [names(pk=number, subject_id=None, secret=None) for number in numbers]
        for name in empty:
            name.mac = name_mac(name)
        names.objects.bulk_create(empty)


def _batched(rows: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield the rows in lists of CHUNK."""
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def wrong_names() -> Iterator[tuple[str, UUID]]:
    """Yield ("name", number) of each name that somebody else wrote, changed or put back, and of each that is gone."""
    moved = _moved()
    for name in AccessName.objects.order_by("id").iterator(chunk_size=CHUNK):
        ours = encoding.same(name_mac(name), name.mac)
        if ours and moved and name.subject_id is not None:
            ours = moved.get(encoding.record_hash(NAME_LABEL, name.pk), name.mac) == name.mac
        if not ours:
            yield "name", name.pk
    there = AccessName.objects.filter(pk=OuterRef("whose_id"))
    gone = AccessEntry.objects.filter(~Exists(there), whose_id__isnull=False).order_by("whose_id")
    for number in gone.values_list("whose_id", flat=True).distinct().iterator(chunk_size=CHUNK):
        yield "name", number


def _moved() -> dict[str, str]:
    """Return, by the hash of its number, the keyed hash that each name got when it went to its person last."""
    told = AuditEvent.objects.filter(action=NAME_MOVED, label=NAME_LABEL).order_by("id")
    return {one.record: one.reason for one in told.iterator(chunk_size=CHUNK) if encoding.is_ours(one)}


def _row(one: Opening, named: Mapping[UUID, Name], reasons: Mapping[str, str], now: datetime) -> Row:
    kind, number = one.owner
    name = named.get(number) if kind == "subject" and number is not None else None
    opened = sorted(one.opened.items())
    told = b"".join([record.bytes for _, records in opened for record in records]) + one.reference.encode()
    mine, nonce = uuid7(), os.urandom(12)
    row = Row(
        id=mine,
        at=now,
        whose_id=name.id if name else None,
        company_id=number if kind == "company" else None,
        actor_kind=one.actor.kind,
        actor_id=_who(one.actor, named),
        role=one.actor.role[:100],
        purpose=one.actor.purpose[:60],
        reason=reasons[one.reason or one.actor.reason],
        envelopes={envelope: len(records) for envelope, records in opened},
        count=sum([len(records) for _, records in opened]),
        detail=nonce + _cipher(name).encrypt(nonce, told, mine.bytes),
        encoding=VERSION,
        mac="",
    )
    row.mac = mac(row)
    return row


def _who(actor: Actor, named: Mapping[UUID, Name]) -> str:
    if actor.kind == "customer":
        name = named.get(actor.subject) if actor.subject else None
        return str(name.id) if name else ""
    return (actor.id or "")[:64]


def _cipher(name: AccessName | Name | None) -> AESGCM:
    # What belongs to a company, or to nobody yet, is opened by the installation's own key.
    if name is None:
        return AESGCM(ring.derive("access.detail"))
    if name.secret is None:
        raise Forgotten
    return AESGCM(bytes(name.secret))


def detail(entry: AccessEntry) -> tuple[dict[str, list[UUID]], str]:
    """Return which records an entry tells of, by envelope, and what its reason refers to.

    Nothing of a row from before rows were sealed, and of one whose name was forgotten.
    """
    if entry.detail is None:
        return {}, ""
    sealed = bytes(entry.detail)
    try:
        told = _cipher(entry.whose).decrypt(sealed[:12], sealed[12:], entry.pk.bytes)
    except (AccessName.DoesNotExist, Forgotten, InvalidTag):
        return {}, ""
    records: dict[str, list[UUID]] = {}
    place = 0
    for envelope, count in sorted(entry.envelopes.items()):
        records[envelope] = [UUID(bytes=told[at : at + 16]) for at in range(place, place + 16 * count, 16)]
        place += 16 * count
    return records, told[place:].decode()


# The chain ------------------------------------------------------------------------------------------------------------


def canonical(entry: AccessEntry | Row) -> bytes:
    """Return the bytes that the entry's own MAC covers. Raises encoding.UnknownEncoding."""
    if entry.encoding not in (BEFORE, VERSION):
        raise encoding.UnknownEncoding(entry.encoding)
    numbers = [None if one is None else str(one) for one in (entry.id, entry.whose_id, entry.company_id)]
    sealed = None if entry.detail is None else bytes(entry.detail).hex()
    whole = [entry.encoding, *numbers, encoding.moment(entry.at), *(getattr(entry, name) for name in _FIELDS), sealed]
    return encoding.dump(whole)


def mac(entry: AccessEntry | Row) -> str:
    """Return the keyed hash that proves this program wrote the entry."""
    return encoding.keyed("access.entry", canonical(entry))


def is_ours(entry: AccessEntry) -> bool:
    """Say whether this program wrote the entry as it stands."""
    try:
        return encoding.same(mac(entry), entry.mac)
    except encoding.UnknownEncoding:
        return False


CHAIN = Chain(
    name="access",
    rows=AccessEntry,
    links=AccessLink,
    lock=0x696C745F61636373,  # "ilt_accs"
    noun="opening",
    ends_as="access_log",
    canonical=canonical,
    mac=mac,
    lowest=UUID(int=0),
    told_as="access_log.signed",
    beside=wrong_names,
)

# Both logs, as one seals, ends and verifies them.
CHAINS = (AUDIT, CHAIN)
