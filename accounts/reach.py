"""What an address on file proves, and since when it counts (design 9, B1).

What must never happen: an address that somebody else had put on a record opens the file behind it, or receives the
copy. So each contact has a row that says how it came and when (accounts/points.py), written by the one service that
changes the contact; a contact without such a row counts for nothing. A wrong entry is undone by "this was not me": it
counts no more, whatever staff enter there later, until the privacy team has settled it. An objection is no proof
either: what the person confirmed with the password and the link goes on counting, and is told of everything; only what
is asked by an e-mail link needs the second person until then.

Whose a customer number, a postal address or a login's address is, the key store is asked (`own`): a row that names
another person than its key does leads to nobody, and an address that stands on such a row identifies nobody.

The questions here open nothing but where they return an address; what opens one does so under the caller's actor.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from accounts import confirmed
from accounts.customers import Address, Customer
from accounts.points import ContactLink, ContactPoint
from accounts.users import LoginAddress, User
from privacy import letters, vault
from privacy.gate import Actor
from privacy.typed import phones
from privacy.vault import SealedModel, Unreadable
from privacy.vault.keystore.keys import Owner

logger = logging.getLogger(__name__)
Came, Channel = ContactPoint.Came, ContactPoint.Channel
WAIT = timedelta(days=14)
Row = TypeVar("Row", bound=SealedModel)


class NotTheirs(PermissionDenied):
    """The customer number that a login is linked to is another person's: nothing is read from it and nothing written
    there."""


@dataclass(frozen=True)
class Reach:
    """What an address opens now.

    `whole`: the subjects whose whole file it opens (two: a login and the customer of the same address that it was not
    yet joined with). `by_staff_entry`: those of them where it only stands because somebody entered it, and nobody
    objected for 14 days: a copy may go by it, an erasure needs more. `is_shared`: the contact or login of more than one
    living customer, which identifies nobody, as does one on a row that names another person than its key does; then
    `whole` is empty. (A company has no e-mail address of its own here: its contacts do.)
    """

    whole: tuple[UUID, ...] = ()
    by_staff_entry: frozenset[UUID] = frozenset()
    is_shared: bool = False


def of(email: str, *, now: datetime) -> Reach:
    """Return what control of this address proves (design 9)."""
    return _opened(_carriers(email), now)


def on_file(subject: UUID, email: str, *, now: datetime) -> str:
    """Return this address as it stands on file with the subject, the login's before a contact's; "" when it does not
    open the subject's whole file. Opened under the caller's actor."""
    carriers = _carriers(email)
    opens = _opened(carriers, now)
    if opens.is_shared or subject not in opens.whole:
        return ""
    # What carries it is known, and that the rows are of whom they name: the rest of the person need not be read.
    for model, carrying in ((LoginAddress, carriers.logins), (Customer, carriers.customers)):
        if theirs := [pk for pk, owner in carrying if owner == subject]:
            for record in model.objects.filter(pk__in=theirs).order_by("pk"):
                value = record.email
                if value and not isinstance(value, Unreadable) and same(str(value)) == same(email):
                    return str(value)
    return ""


class _Carriers(NamedTuple):
    """The sealed records that carry an address, each with whose it is by its row: confirmed addresses of logins, and
    customers."""

    logins: list[tuple[UUID, UUID | None]]
    customers: list[tuple[UUID, UUID | None]]


def _carriers(email: str) -> _Carriers:
    email = email.strip()
    if not email:
        return _Carriers([], [])
    on_customers = Customer.objects.find("customer.email", email).values_list("pk", "subject_id")
    return _Carriers(_verified(email=email), list(on_customers))


def _opened(carriers: _Carriers, now: datetime) -> Reach:
    on_logins, on_customers = carriers
    if not on_logins and not on_customers:
        return Reach()
    if _strangers(_owners([*on_logins, *on_customers])):
        return Reach(is_shared=True)
    logins = {subject for _, subject in on_logins if subject is not None}
    subject_of = {pk: subject for pk, subject in on_customers if subject is not None}
    points = {
        one.customer_id: one for one in ContactPoint.objects.filter(customer__in=subject_of, channel=Channel.EMAIL)
    }
    told = _told(points.values())
    counting = {pk for pk, one in points.items() if _counts(one, told.get(one.pk), now)}
    proved = {subject_of[pk] for pk in counting if points[pk].came == Came.CREATED or points[pk].confirmed_at}
    confirmed = {subject_of[pk] for pk in counting if points[pk].confirmed_at}
    whole = logins | {subject_of[pk] for pk in counting}
    # An address that nobody confirmed counts for nothing beside one that somebody did; beside others it may be shared.
    # What a person only typed into the portal is no claim at all: it must not close somebody else's file.
    claims = {pk for pk in subject_of if pk not in points or points[pk].came != Came.PERSON}
    standing = counting if logins or confirmed else counting | claims
    with_customer = Customer.objects.filter(subject_id__in=logins).values_list("subject_id", flat=True)
    if len({subject_of[pk] for pk in standing} | set(with_customer)) > 1:
        return Reach(is_shared=True)
    return Reach(whole=tuple(sorted(whole)), by_staff_entry=frozenset(whole - logins - proved))


def counts(record: Any, channel: str, *, now: datetime) -> bool:
    """Return whether copies, codes and call-backs may use this contact: of a Customer ("email", "phone"), an Address
    ("post"), or a LoginAddress ("email", when it is confirmed). Everything else counts for nothing."""
    if isinstance(record, LoginAddress):
        return channel == Channel.EMAIL and record.pk in set(login_records(user_id=record.user_id))
    return bool(that_count([record], channel, now=now))


def own(rows: Iterable[Row]) -> list[Row]:
    """Return those of these rows of which the key store says that they are of whom they name; one query for any number.

    Who writes to the main database alone can name somebody else in a row, and cannot change whose its key is. The log
    tells of it.
    """
    listed = list(rows)
    strange = _strangers([(row.pk, row.vault_owner()) for row in listed])
    return [row for row in listed if row.pk not in strange]


def is_one(user: User, customer: Customer) -> bool:
    """Say whether a login and a customer number are one person's, by their rows and by the key store. The column that
    links the one to the other says it of nobody: who writes to the main database can put any login there."""
    if user.subject_id is None or user.subject_id != customer.subject_id:
        return False
    return len(own([customer])) == 1 and not vault.keys.strangers({user.pk: user.vault_owner()})


def customer_of(user: User) -> Customer | None:
    """Return the customer number of a login; None where it has none. Raises NotTheirs where the one that
    is linked is another person's."""
    found = Customer.objects.filter(user=user).first()
    if found is not None and not is_one(user, found):
        logger.error("A login is linked to a customer number that is another person's. Nothing was done.")
        raise NotTheirs
    return found


def that_count(rows: Iterable[Row], channel: str, *, now: datetime) -> list[Row]:
    """Return those of these customers ("email", "phone") or addresses ("post") whose contact counts; in three
    queries."""
    listed = own(rows)
    ids = [row.pk for row in listed]
    of = {"address__in": ids} if channel == Channel.POST else {"customer__in": ids, "channel": channel}
    points = {one.address_id or one.customer_id: one for one in ContactPoint.objects.filter(**of)} if ids else {}
    told = _told(points.values()) if points else {}
    return [row for row in listed if (one := points.get(row.pk)) and _counts(one, told.get(one.pk), now)]


def is_proved(customer: Customer, *, now: datetime) -> bool:
    """Return whether the contact e-mail counts by more than somebody's entry: confirmed, or of the import that created
    the customer. Only such a one joins a login to a customer by itself."""
    point = point_of(customer, Channel.EMAIL)
    if point is None or point.disputed_at is not None or not _counts(point, None, now):
        return False
    return point.confirmed_at is not None or point.came in (Came.CREATED, Came.LOGIN)


def counting_contacts(customers: Collection[UUID], *, now: datetime) -> set[tuple[UUID, str]]:
    """Return which contacts of these customers count now, as (customer, "email" or "phone")."""
    return set(points_that_count(own(Customer.objects.filter(pk__in=customers)), now=now))


def points_that_count(mine: Collection[Customer], *, now: datetime) -> dict[tuple[UUID, str], ContactPoint]:
    """Return what `counting_contacts` does of customers that went through `own` before, with the row about each
    contact."""
    points = list(ContactPoint.objects.filter(customer__in=[one.pk for one in mine], address=None))
    told = _told(points)
    return {(one.customer_id, one.channel): one for one in points if _counts(one, told.get(one.pk), now)}


def is_typed(customer: Customer, channel: str) -> bool:
    """Return whether this contact stands on file by the person's own entry alone."""
    point = point_of(customer, channel)
    return point is not None and point.is_typed


def answer_address(subject: UUID, *, now: datetime) -> str:
    """Return where copies, links, codes and answers may go: the confirmed address of the login, else a contact address
    that counts and is not shared; "" when there is none, and then they go by post. Opened under the caller's actor."""
    for address in _login_emails(subject):
        return address
    for customer in that_count(Customer.objects.for_subject(subject).order_by("pk"), Channel.EMAIL, now=now):
        email = customer.email
        if email and not isinstance(email, Unreadable) and not of(str(email), now=now).is_shared:
            return str(email)
    return ""


def others(subject: UUID, *, but: str) -> list[str]:
    """Return every e-mail address of login or contact except `but`, each once: who is to be told, without content.

    One that does not count yet is among them, and one that somebody objected to: it may be the right one.
    Opened under the caller's actor.
    """
    found = list(_login_emails(subject))
    found += [str(one.email) for one in _customers(subject) if one.email and not isinstance(one.email, Unreadable)]
    known = {same(but)}
    return [one for one in found if not (same(one) in known or known.add(same(one)))]  # type: ignore[func-returns-value]


def is_disputed(subject: UUID) -> bool:
    """Return whether somebody said "this was not me" of a contact of this person, and nobody has settled it yet."""
    return ContactPoint.objects.filter(customer__subject_id=subject, disputed_at__isnull=False).exists()


def is_login_disputed(subject: UUID | None) -> bool:
    """Return whether somebody said "this was not me" of a change of the login's address, and nobody has settled it yet.
    Of nobody it is not said."""
    if subject is None:
        return False
    points = ContactPoint.objects.filter(customer__subject_id=subject, channel=Channel.LOGIN)
    return points.filter(disputed_at__isnull=False).exists()


def counting(subject: UUID, *, now: datetime) -> list[str]:
    """Return the e-mail addresses of login and contact that count now. Opened under the caller's actor."""
    found = list(_login_emails(subject))
    for one in that_count(Customer.objects.for_subject(subject).order_by("pk"), Channel.EMAIL, now=now):
        if one.email and not isinstance(one.email, Unreadable):
            found.append(str(one.email))
    return found


def point_of(record: Any, channel: str) -> ContactPoint | None:
    """Return the row about a contact in force, or None."""
    if isinstance(record, Customer) and channel in (Channel.EMAIL, Channel.PHONE):
        return ContactPoint.objects.filter(customer=record, channel=channel).first()
    if isinstance(record, Address) and channel == Channel.POST:
        return ContactPoint.objects.filter(address=record).first()
    return None


def counts_from(point: ContactPoint) -> datetime | None:
    """Return since when or from when a contact counts; None while that is open (nobody was told, disputed,
    unconfirmed)."""
    if point.came == Came.CLEARED:
        return None
    if point.confirmed_at is not None:
        return point.confirmed_at
    if point.disputed_at is not None:
        return None
    if point.came in (Came.CREATED, Came.LOGIN):
        return point.since
    if point.channel == Channel.EMAIL and point.came == Came.PERSON:
        return None
    if point.came == Came.STAFF:
        told = _told([point]).get(point.pk)
        return told + WAIT if told is not None else None
    return point.since + WAIT


# Written by the services that change a contact -----------------------------------------------------------------------


def way(actor: Actor | None, subject: UUID | None) -> str:
    """Return how a contact comes that this actor enters: by the person, or by staff and whoever works like them."""
    is_own = actor is not None and actor.kind == "customer" and subject is not None and actor.subject == subject
    return Came.PERSON if is_own else Came.STAFF


def entered(record: Customer | Address, channel: str, value: str, *, came: str, now: datetime) -> ContactPoint | None:
    """Write that a contact is on file anew with this value, from now on, and return its row; None where none ever was.

    In the caller's transaction. A dispute stands, also when the contact is taken out (an empty value) and entered
    again, and when it is the login's own address: no act of a login, which may be in wrong hands, ends one. What staff
    enter after somebody said "this was not me" never counts by waiting.
    """
    mine = {"address": record} if isinstance(record, Address) else {"customer": record, "channel": channel}
    if not value:
        ContactPoint.objects.filter(**mine).update(came=Came.CLEARED, since=now, confirmed_at=None)
        return ContactPoint.objects.filter(**mine).first()
    customer = record.customer if isinstance(record, Address) else record
    if (
        channel == Channel.EMAIL
        and customer.subject_id is not None
        and customer.subject_id in _subjects_of_login(value)
    ):
        came = Came.LOGIN
    proved = now if came == Came.LOGIN else None
    anew: dict[str, Any] = {"came": came, "since": now, "confirmed_at": proved}
    point, _ = ContactPoint.objects.update_or_create(
        **mine, defaults=anew, create_defaults={**anew, "customer": customer, "channel": channel}
    )
    return point


def taken_out(address: Address, *, now: datetime) -> None:
    """Keep the row about a postal address that is about to be removed, where somebody objects to
    it: the objection outlives it."""
    disputed = ContactPoint.objects.filter(address=address, disputed_at__isnull=False)
    disputed.update(address=None, came=Came.CLEARED, since=now, confirmed_at=None)


def created(customers: Iterable[Customer], addresses: Iterable[Address], *, came: str, now: datetime) -> int:
    """Write the contacts of many new customers at once (imports); return how many."""
    rows = [
        ContactPoint(customer=one, channel=channel, came=came, since=now)
        for one in customers
        for channel, value in ((Channel.EMAIL, one.email), (Channel.PHONE, one.phone))
        if value
    ]
    rows += [
        ContactPoint(customer=one.customer, address=one, channel=Channel.POST, came=came, since=now)
        for one in addresses
    ]
    return len(ContactPoint.objects.bulk_create(rows, batch_size=1000))


def with_phone(subject: UUID, number: str) -> QuerySet[Customer]:
    """Return the customers of a subject with whom this number is on file, in whatever spelling; opened to see it.

    What is on file without its country is the same number only where the number that was called says no other country.
    """
    index = vault.index_of(Customer, "customer.phone")
    carried, sure = (one.get(number, set()) for one in vault.carriers([(index, [number]), (index.is_sure, [number])]))
    found = Customer.objects.filter(subject_id=subject, pk__in=carried)
    return found.filter(
        pk__in=[pk for pk, country in found.values_list("pk", "country") if pk in sure or phones.fits(number, country)]
    )


def is_same(channel: str, one: str, other: str) -> bool:
    """Say whether two spellings are the same address or number: then nothing has changed hands."""
    kind = "email" if channel == Channel.EMAIL else "phone"
    return vault.index.normalise(kind, one) == vault.index.normalise(kind, other)


# parts ---------------------------------------------------------------------------------------------------------------


def _counts(point: ContactPoint, told: datetime | None, now: datetime) -> bool:
    if point.came == Came.CLEARED:
        return False
    if point.confirmed_at is not None:
        return True
    if point.disputed_at is not None:
        return False
    if point.came in (Came.CREATED, Came.LOGIN):
        return True
    if point.came == Came.STAFF:
        return told is not None and told + WAIT <= now
    return (point.channel != Channel.EMAIL or point.came == Came.EARLIER) and point.since + WAIT <= now


def _told(points: Iterable[ContactPoint]) -> dict[int, datetime]:
    """Return, for each of the points that staff entered and whose every notice went out, when the last one did: of
    the others nobody has to be told before they count."""
    since = {one.pk: one.since for one in points if one.came == Came.STAFF}
    if not since:
        return {}
    notices: dict[int, list[datetime | None]] = defaultdict(list)
    rows = ContactLink.objects.filter(point__in=since, purpose=ContactLink.Purpose.NOT_ME)
    found = [one for one in rows if one.at >= since[one.point_id]]
    # What names another letter than it was written with told nobody.
    bound = {one.pk: one.letter_id for one in found if one.letter_id is not None and one.is_bound}
    went = letters.went_at(list(bound.values()))
    for one in found:
        notices[one.point_id].append(went.get(bound[one.pk]) if one.pk in bound else None)
    return {pk: max(sent) for pk, all_sent in notices.items() if (sent := [s for s in all_sent if s]) == all_sent}


def _strangers(named: Iterable[tuple[UUID, Owner]]) -> set[UUID]:
    """Return the records, of those given with the owner that they name, whose key is another's; one query."""
    by_row: dict[UUID, set[Owner]] = defaultdict(set)
    for pk, owner in named:
        by_row[pk].add(owner)
    # A record that is said to be two people's is not looked at: one of them at least is not its owner.
    strange = {pk for pk, owners in by_row.items() if len(owners) > 1}
    strange |= vault.keys.strangers({pk: one for pk, (one, *_) in by_row.items()})
    if strange:
        logger.error(
            "An address leads to nobody: a row names another person than its key does. Rows: %d.", len(strange)
        )
    return strange


def _verified(**of: Any) -> list[tuple[UUID, UUID | None]]:
    """Return the sealed records and the subjects of the logins that confirmed their address; opens nothing."""
    said = confirmed.rows(**of)
    return [(pk, one.user.subject_id) for one in said if (pk := confirmed.number_of(one)) is not None]


def _owners(named: Iterable[tuple[UUID, UUID | None]]) -> list[tuple[UUID, Owner]]:
    return [(pk, ("subject", subject) if subject else ("none", None)) for pk, subject in named]


def _subjects_of_login(email: str) -> set[UUID]:
    """Return the subjects who confirmed this address as their login's."""
    found = _verified(email=email)
    strange = _strangers(_owners(found))
    return {subject for pk, subject in found if subject is not None and pk not in strange}


def login_records(**of_user: Any) -> list[UUID]:
    """Return the sealed records of the addresses that these logins confirmed, the primary first; opens nothing."""
    found = _verified(**of_user)
    strange = _strangers(_owners(found))
    return [pk for pk, _ in found if pk not in strange]


def _login_emails(subject: UUID) -> Iterable[str]:
    for record in LoginAddress.objects.filter(pk__in=login_records(user__subject_id=subject)).order_by("pk"):
        if record.email and not isinstance(record.email, Unreadable):
            yield str(record.email)


def _customers(subject: UUID) -> list[Customer]:
    return own(Customer.objects.for_subject(subject).order_by("pk"))


def same(email: str) -> str:
    """Return what all spellings of one address have in common."""
    return vault.index.normalise("email", email)
