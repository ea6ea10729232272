"""What requests ask about people (privacy.people): what an address opens, where answers may go, how to sign out.

Nothing here decides who may know: what opens an envelope does so under the caller's actor. What is opened of a person
to be written to somebody comes from `own_of`, or from accounts.reach, which asks the key store as well: a row that
somebody let name another person leads to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from accounts import activity, addresslines, candidates, confirmed, countries, handles, names, reach, sessions
from accounts.models import Address, Channel, Company, ContactPoint, Customer, LoginAddress, User
from privacy import audit, datamap, vault
from privacy.vault import Unreadable


def opened_by(email: str, now: datetime) -> reach.Reach:
    """Return what an address opens (accounts.reach)."""
    return reach.of(email, now=now)


def on_file(subject: UUID, email: str, now: datetime) -> str:
    """Return this address as it stands on file with the subject, "" when it does not open the subject's whole file
    (accounts.reach)."""
    return reach.on_file(subject, email, now=now)


def answer_address(subject: UUID, now: datetime) -> str:
    """Return where copies, links, codes and answers may go, "" when there is no such address (accounts.reach)."""
    return reach.answer_address(subject, now=now)


def others(subject: UUID, but: str) -> list[str]:
    """Return every other e-mail of login and contact: who is told, without content (accounts.reach)."""
    return reach.others(subject, but=but)


def is_disputed(subject: UUID) -> bool:
    """Return whether a "this was not me" about a contact of the person is not settled yet (accounts.reach)."""
    return reach.is_disputed(subject)


def is_login_disputed(subject: UUID) -> bool:
    """Return whether a "this was not me" about the login's address is not settled yet (accounts.reach)."""
    return reach.is_login_disputed(subject)


def own_of(subject: UUID) -> list[Customer]:
    """Return the customer records of a person of which the key store says that they are theirs, the
    oldest first (accounts.reach)."""
    return reach.own(Customer.objects.for_subject(subject).order_by("pk"))


def postal(subject: UUID, now: datetime) -> list[str]:
    """Return the lines of a postal address that copies and codes may go to, as `lines_to`; [] when none counts yet."""
    addresses = (
        Address.objects.for_subject(subject).select_related("customer__company").order_by("customer", "purpose", "pk")
    )
    for one in reach.that_count(addresses, "post", now=now):
        if one.street and not isinstance(one.street, Unreadable):
            return lines_to(subject, one)
    return []


def lines_to(subject: UUID, one: Address) -> list[str]:
    """Return the lines of an envelope to a person at this address, the name first, that of the company where a contact
    has none; [] where the address is somebody else's by its key.

    Opened under the caller's actor.
    """
    if one.vault_owner() != ("subject", subject) or not reach.own([one]):
        return []
    city, region, postal_code = (str(part) if part else "" for part in (one.city, one.region, one.postal_code))
    place = addresslines.of_place(country=one.country, city=city, region=region, postal_code=postal_code)
    lines = [
        name(subject) or _company_of(one.customer),
        one.street,
        one.street2,
        *place,
        countries.name_of(one.country),
    ]
    return [str(line) for line in lines if line]


def _company_of(customer: Customer) -> str:
    called = customer.company.name if customer.company is not None else ""
    return "" if isinstance(called, Unreadable) else str(called or "")


def can_call(subject: UUID, now: datetime) -> bool:
    """Return whether a call-back may use a phone number of this person: one that counts is on file. Opens nothing."""
    return bool(reach.that_count(Customer.objects.for_subject(subject), "phone", now=now))


def called(subject: UUID, number: str, now: datetime) -> bool:
    """Return whether this is a phone number of the person that counts, in whatever spelling."""
    return bool(reach.that_count(reach.with_phone(subject, number), "phone", now=now))


def address(subject: UUID) -> str:
    """Return where to write to a subject about orders and the account: the login's verified
    address, else the contact's.

    "" when there is none. An address that only a message carries is none: whoever wrote it may be somebody else.
    """
    records = reach.login_records(user__subject_id=subject)
    of_logins = LoginAddress.objects.in_bulk(records)
    found = [of_logins[one].email for one in records if one in of_logins]
    objected = ContactPoint.objects.filter(channel="email", disputed_at__isnull=False, confirmed_at=None)
    disputed = set(objected.filter(customer__subject_id=subject).values_list("customer", flat=True))
    found += [customer.email for customer in own_of(subject) if customer.pk not in disputed]
    return next((one for one in found if one and not isinstance(one, Unreadable)), "")


# Records that carry an address ---------------------------------------------------------------------------------------


def named(email: str) -> list[tuple[str, UUID]]:
    """Return the records, (label, id), that carry exactly this address outside login and contact, and that it alone
    opens.

    What somebody who signs in typed into the website is no claim: it is not among them and hides none of them. Without
    those on which the address was changed after they were written: it proves who changed it, not who wrote. None as
    soon as anything points to a second person: one of them hangs on a customer, a login or a company, or on somebody
    else than its key, or they name people of different last names; but where one member of staff alone wrote all that
    down later, those that were there before. A name that was changed after it was written says neither (`renamed`).
    Opens the names for the comparison only and shows them to nobody.
    """
    by_label = _carrying(email)
    if any(len(ids) >= candidates.MOST for ids in by_label.values()):
        return []  # what an index does not give any more may point to somebody else
    # What was typed goes first: whatever has become of it and of its writer, it hides nothing.
    found = _without_typed(_rows(by_label))
    if len(reach.own(row for _, row in found)) < len(found):
        return []
    changed = audit.corrected([(label, row.pk) for label, row in found])
    with vault.internal():
        said = _said(found, changed)
    if len({name for one in said.values() for name in one}) > 1 or any(_is_of_an_account(found)):
        found = _before_one_clerk(email, found, said)
    return [(label, row.pk) for label, row in found if not _has_other_address(label, row, changed)]


def is_known(email: str, name: str) -> bool:
    """Return whether anything on file carries this address, whoever's it is, or a customer or
    company this name. Shows nobody anything."""
    if email.strip() and candidates.carries(email):
        return True
    if not name.strip():
        return False
    return (
        Customer.objects.find_words("customer.name", name).exists()
        or Company.objects.find_words("company.name", name).exists()
    )


def still(
    email: str, records: Sequence[tuple[str, UUID]], also: Sequence[tuple[str, UUID]] = ()
) -> list[tuple[str, UUID]]:
    """Return those of `records` that carry this address as they did, and those of `also`, on which it was changed and
    a second person let it count.

    What has come to hang on a customer, a login or a company is left out by itself and hides none of the others, and so
    is what hangs on somebody else than the key store says.
    """
    by_label = _carrying(email)
    wanted = {one for one in records if one[1] in by_label.get(one[0], ())} | set(also)
    of_kind: dict[str, list[UUID]] = {}
    for label, pk in sorted(wanted):
        of_kind.setdefault(label, []).append(pk)
    found = _rows(of_kind)
    own = {row.pk for row in reach.own(row for _, row in found)}
    found = [(label, row) for label, row in found if row.pk in own]
    changed = audit.corrected([(label, row.pk) for label, row in found])
    return [
        (label, row.pk)
        for (label, row), is_theirs in zip(found, _is_of_an_account(found), strict=True)
        if not is_theirs and ((label, row.pk) in also or not _has_other_address(label, row, changed))
    ]


def later(email: str, records: Sequence[tuple[str, UUID]]) -> tuple[list[tuple[str, UUID]], list[tuple[str, UUID]]]:
    """Return what carries this address beside `records`, which somebody has asked about: first what names the same
    person or nobody, then what points to another one.

    To another one points what hangs on a customer, a login or a company, or on somebody else than its key does,
    what has another last name, and what was given its name after it was written: that tells who changed it.
    What was typed by who is signed in is neither, nor is a record on which the address was changed. Opens the
    names for the comparison only.
    """
    by_label = _carrying(email)
    if any(len(ids) >= candidates.MOST for ids in by_label.values()):
        return [], []
    found = _without_typed(_rows(by_label))
    whose = {row.pk for row in reach.own(row for _, row in found)}
    changed = audit.corrected([(label, row.pk) for label, row in found])
    with vault.internal():
        said = _said(found, changed)
    asked = {pk for _, pk in records}
    own = {name for pk in asked for name in said.get(pk, ())}
    is_renamed_there = any(
        changed.get(one, set()) & names.of_people(datamap.for_label(one[0]).model) for one in records
    )
    if not own and not is_renamed_there and len(every := {name for one in said.values() for name in one}) == 1:
        own = every
    same: list[tuple[str, UUID]] = []
    other: list[tuple[str, UUID]] = []
    for (label, row), is_theirs in zip(found, _is_of_an_account(found), strict=True):
        if row.pk in asked or _has_other_address(label, row, changed):
            continue
        is_renamed = bool(changed.get((label, row.pk), set()) & names.of_people(type(row)))
        is_elsewhere = is_theirs or row.pk not in whose
        (other if is_elsewhere or is_renamed or said[row.pk] - own else same).append((label, row.pk))
    return same, other


def written_by(records: Sequence[tuple[str, UUID]]) -> set[str]:
    """Return which members of staff ("kind/id") wrote one of these records down, or changed something on it."""
    found = audit.doers(["record.corrected", *names.WRITTEN], records, kind="staff")
    return {f"staff/{who}" for _, _, who in found}


def renamed(records: Sequence[tuple[str, UUID]]) -> bool:
    """Return whether the name of a person was changed on one of these records after it was written; by the audit."""
    changed = audit.corrected(records)
    return any(fields & names.of_people(datamap.for_label(label).model) for (label, _), fields in changed.items())


def renamed_by(records: Sequence[tuple[str, UUID]]) -> set[str]:
    """Return which members of staff ("kind/id") changed the name of a person on one of these records."""
    named_in = {name for label, _ in records for name in names.of_people(datamap.for_label(label).model)}
    found = audit.doers(["record.corrected"], records, kind="staff")
    return {f"staff/{who}" for _, fields, who in found if named_in & set(fields)}


def _said(found: Sequence[tuple[str, Any]], changed: Mapping[Any, set[str]]) -> dict[UUID, set[str]]:
    """Return the last names on each of these rows, but those that were changed after it was written."""
    return {
        row.pk: {
            name
            for field in names.of_people(type(row)) - changed.get((label, row.pk), set())
            for name in names.last(getattr(row, field))
        }
        for label, row in found
    }


def _before_one_clerk(
    email: str, found: Sequence[tuple[str, Any]], said: Mapping[UUID, set[str]]
) -> list[tuple[str, Any]]:
    """Return the rows that tell of one person, the oldest first, where all that points to another one was written down
    later, by one and the same member of staff; else none. So one clerk's entry keeps nobody from what was there before:
    it asks a second person (`waits.look_at_others`)."""
    own: set[str] = set()
    first: list[tuple[str, UUID]] = []
    is_theirs = dict(zip((row.pk for _, row in found), _is_of_an_account(found), strict=True))
    for label, row in sorted(found, key=lambda one: one[1].pk):  # numbers tell of the time at which they were given
        if is_theirs[row.pk] or len(own | said[row.pk]) > 1:
            break
        own |= said[row.pk]
        first.append((label, row.pk))
    if not first:
        return []
    same, other = later(email, first)
    clerks = [who for _, _, who in audit.doers(names.WRITTEN, other, kind="staff")]
    if not other or len(clerks) < len(other) or len(set(clerks)) > 1:
        return []
    kept = {*first, *same}
    return [(label, row) for label, row in found if (label, row.pk) in kept]


def _carrying(email: str) -> dict[str, list[UUID]]:
    by_label: dict[str, list[UUID]] = {}
    for one in candidates.records_with(email):
        if one.declaration.facts is not None:
            by_label.setdefault(one.label, []).append(one.pk)
    return by_label


def _rows(by_label: Mapping[str, Sequence[UUID]]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for label, ids in sorted(by_label.items()):
        rows = datamap.for_label(label).model._default_manager.filter(pk__in=ids).order_by("pk")
        found += [(label, row) for row in rows]
    return found


def _has_other_address(label: str, row: Any, changed: Mapping[Any, set[str]]) -> bool:
    """Say whether the address was changed on a record after it was written."""
    return bool(changed.get((label, row.pk), set()) & names.addresses(type(row)))


def _is_of_an_account(found: Sequence[tuple[str, Any]]) -> list[bool]:
    """Say of each of these rows whether it hangs on a company, or on somebody with a customer number or a login."""
    owners = {number for _, row in found if (number := _owner(row)) is not None}
    known = {
        subject
        for model in (Customer, User, Company)
        for subject in model._default_manager.filter(subject_id__in=owners).values_list("subject_id", flat=True)
    }
    return [row.vault_owner()[0] == "company" or _owner(row) in known for _, row in found]


def _without_typed(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Leave out what somebody signed in typed into the website, whatever has become of the login since, and what came
    by the website and hangs on a login: its owner typed the address."""
    found = [(label, row) for label, row in found if not getattr(row, "is_typed", False)]
    web = {row.pk: owner for _, row in found if getattr(row, "channel", "") == Channel.WEB and (owner := _owner(row))}
    owners = set(web.values())
    logins = set(User.objects.filter(subject_id__in=owners).values_list("subject_id", flat=True)) if owners else set()
    return [(label, row) for label, row in found if web.get(row.pk) not in logins]


def _owner(row: Any) -> UUID | None:
    kind, number = row.vault_owner()
    return number if kind == "subject" else None


def logins_with(text: str) -> list[UUID]:
    """Return the users who verified exactly this address; none for a text that is no address. Shows nobody anything."""
    handle = handles.find(text) if "@" in text else None
    if handle is None:
        return []
    return [one.user_id for one in confirmed.rows(email=handle)]


def name(subject: UUID) -> str:
    """Return how to greet a subject: first and last name; "" when they are unknown."""
    for customer in own_of(subject):
        parts = [customer.first_name, customer.last_name]
        known = [part for part in parts if part and not isinstance(part, Unreadable)]
        if known:
            return " ".join(known)
    return ""


def team() -> set[str]:
    """Return the numbers of the members of staff who are of the privacy team now."""
    found = User.objects.filter(is_active=True, is_staff=True, groups__name="privacy")
    return {str(pk) for pk in found.values_list("pk", flat=True)}


def sign_out(subject: UUID) -> int:
    """End every session of a subject, half-finished logins included; return how many ended. Safe to repeat."""
    return sessions.end_all(subject)


def keep(subject: UUID, on: date) -> int:
    """Start the retention clock of a person's customer records again on a day; return how many there are to keep."""
    living = list(
        Customer.objects.for_subject(subject).filter(sealed_account__isnull=False).values_list("pk", flat=True)
    )
    activity.touch(living, on=on)
    return len(living)


def has_login(subject: UUID) -> bool:
    """Return whether the subject can log in to read an answer in the portal."""
    return User.objects.filter(subject_id=subject, is_active=True).exists()
