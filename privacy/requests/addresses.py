"""What an address proves to whoever controls it, which records a request covers, and where its answer goes (design 9).

What must never happen: control of a shared mailbox taken for a person; an answer to an address that only came with the
request; a record that is covered because of who wrote there since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from privacy import datamap, people, vault
from privacy.requests import bound, doubt, procedures, questions, writing
from privacy.requests.models import Request, SecondLook
from privacy.requests.states import BEGUN_STATES, State


def said_of_a_change(request: Request) -> str | None:
    """Return what a second person said of the last change of an address or name, "" nothing yet, None when none was
    asked."""
    return questions.of(request).answers.get(SecondLook.Why.MOVED)


@dataclass(frozen=True)
class Standing:
    """What an address proves to whoever controls it (design 9): one person's whole file, some records, or nothing."""

    subjects: tuple[UUID, ...] = ()  # two: a login and a customer of the same address that were not joined yet
    records: people.Records = field(default_factory=list)
    is_shared: bool = False


def standing_of(email: str, *, now: datetime) -> Standing:
    """Return what control of this address proves. Opens nothing but, for comparison, the names on such records.

    Of the records that carry it, an address that opens a whole file proves nothing: they may be another's, and wait as
    candidates. An address that several share proves nobody and nothing.
    """
    email = email.strip()
    if not email:
        return Standing()
    known = people.ask()
    reach = known.reach(email, now)
    if reach.is_shared:
        return Standing(is_shared=True)
    if reach.whole:
        return Standing(subjects=reach.whole)
    return Standing(records=known.named(email))


def only_subject_of(email: str, *, now: datetime) -> UUID | None:
    """Return the one subject whose whole file this address opens, None when there is none or there are two."""
    found = standing_of(email, now=now).subjects
    return found[0] if len(found) == 1 else None


def carrying(email: str, *, now: datetime) -> tuple[people.Records, str]:
    """Return the records, (label, id), that this address alone opens, and the address as it stands on the first of
    them: a link goes to no other, however a record was found. Nothing and "" where none carries it."""
    records = standing_of(email, now=now).records
    spelled = spelled_on_file(*records[0], email) if records else ""
    return (records, spelled) if spelled else ([], "")


def records_of(request: Request) -> people.Records:
    """Return the records, (label, id), that a request about records covers now.

    Those that it covered when it came, whatever names or whatever other record has come since: else who writes there
    would cut off who asked. And those that have come since and name the same person or nobody (`others_with_address`:
    the others). A record that was given to somebody meanwhile is covered no longer; one on which the address was
    changed is covered again once a second person has let the request go on.
    """
    with vault.internal():  # looked up by its blind index, shown to nobody
        email = request.requester_email
        covered, changed = _listed(request.covered_records), _listed(request.changed_records)
    if not isinstance(email, str) or not email:
        return []
    also = changed if said_of_a_change(request) == SecondLook.Outcome.GO_ON else []
    known = people.ask()
    before = known.still(email, covered or known.named(email), also)
    same, _ = known.later(email, covered or known.named(email))  # one of before does not tell what it covered
    return before + [one for one in same if one not in before]


def covered(request: Request) -> people.Records:
    """Return the records, (label, id), that a request about records covered when it came, by its sealed file."""
    with vault.internal():  # the file of the request, shown to nobody
        return _listed(request.covered_records)


def others_with_address(request: Request) -> people.Records:
    """Return the records, (label, id), that carry the address of a request about records, are none that it covers and
    point to somebody else: written down after it came, or named anew."""
    with vault.internal():  # looked up by its blind index, shown to nobody
        email, covered = request.requester_email, _listed(request.covered_records)
    if not request.is_about_records or not isinstance(email, str) or not email:
        return []
    return people.ask().later(email, covered or people.ask().named(email))[1]


def settled_others(request: Request) -> people.Records:
    """Return those of them about which a second person was asked."""
    with vault.internal():  # the file of the request, shown to nobody
        return _listed(request.other_records)


def _listed(stored: Any) -> people.Records:
    return [(label, UUID(pk)) for label, pk in stored] if isinstance(stored, list) else []


def was_asked_of_a_change(request: Request) -> bool:
    """Say whether a second person was asked already about a change on a record that the request covers."""
    return said_of_a_change(request) is not None


def address_for_answer(request: Request, *, now: datetime) -> str:
    """Return where links, codes and answers go, else "" (by post): never an address that only came with the request.

    It is the address on file by which the person asked, else the one that opens their file. Of a request about records
    it is the address that stands on them; of one that was matched with nobody the one that was given, to which nothing
    is disclosed. Once an erasure has begun, what was on file before it stands in the file of the request. Of one in
    doubt it is that of whom the key store says that it is. None from which a mail of this request came back. Opened to
    be sealed into a letter at once, so nobody is asked.
    """
    to = _address_on_file(request, now)
    return "" if to and writing.bounced(request, to) else to


def _address_on_file(request: Request, now: datetime) -> str:
    with vault.internal():
        stored = request.requester_email
        stored = "" if isinstance(stored, vault.Unreadable) else str(stored or "")
        known = people.ask()
        if doubt.is_clear(request):
            subject, is_stored = request.subject_id, request.is_about_records or has_begun(request)
        else:  # scope and state are whoever's that wrote there; what stands in the sealed file is the request's
            subject = bound.person_of(request.pk)
            is_gone = subject is None or not (known.others(subject, "") or doubt.person_of(request))
            is_stored = is_gone or bool(_listed(request.covered_records))
        if subject is None or is_stored:
            return stored
        asked_by = known.on_file(subject, stored, now) if stored else ""
        return asked_by or known.answer_address(subject, now)


def has_begun(request: Request) -> bool:
    """Say whether an erasure was started: what it took can be read nowhere else any more."""
    state = request.parked_from if request.state == State.PARKED else request.state
    return request.procedure.removes and state in BEGUN_STATES


def is_erased(subject: UUID) -> bool:
    """Say whether an erasure of this person was started: a copy asked for before outlives it. Not by one in doubt:
    somebody may have written that it was begun."""
    erasures = Request.objects.filter(owner_id=subject, kind__in=procedures.removing())
    begun = [one.pk for one in erasures.only("kind", "state", "parked_from") if has_begun(one)]
    return len(doubt.among(begun)) < len(begun)


def spelled_on_file(label: str, record: UUID, email: str) -> str:
    """Return this address as it stands on a record: letter case is the record's, not the asker's. "" when it does
    not."""
    model = datamap.for_label(label).model
    row = model._default_manager.filter(pk=record).first()
    wanted = vault.index.normalise("email", email)
    with vault.internal():
        for one in model._meta.private_fields if row is not None else ():
            value = getattr(row, one.name) if _is_address(one) else ""
            if isinstance(value, str) and vault.index.normalise("email", value) == wanted:
                return value
    return ""


def _is_address(one: Any) -> bool:
    return any(isinstance(b, vault.Exact) and b.normaliser == "email" for b in getattr(one, "blind", ()))
