"""What may be joined with a person: which candidates were chosen, and what forbids it (design 9).

What must never happen: a record moved that nobody chose, or one of somebody with a login of their own; one about which
an open request was asked, moved away from under it; a member of staff joined with a customer. Changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from accounts import candidates, names
from accounts.candidates import Record
from accounts.models import Communication, Company, Customer, Joining, User
from privacy import datamap, vault
from privacy.datamap import Declaration
from privacy.requests import doubt, procedures, waits
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, State
from privacy.retention.models import Decision
from privacy.vault import SealedModel

# A removal that was confirmed: what it decided counts, for good.
REMOVING = (State.CONFIRMED, State.EXECUTING, State.PARKED)
ELSEWHERE = "One of the records is somebody else's than its row says. Nothing was joined: tell who runs the site."
Key = tuple[str, UUID]
Owner = tuple[str, UUID | None]


class NotPossible(Exception):
    """This cannot be joined, or undone, now; the text is one sentence for who tries."""


def choose(
    joining: Joining, records: Iterable[Key], people: Collection[UUID], *, now: datetime
) -> tuple[list[Record], list[UUID]]:
    """Return the candidates that were chosen, with the messages of one thread, and the people to be joined whole.

    Whoever has a customer number of their own is joined whole. Raises NotPossible for what is no candidate (any more).
    """
    wanted = set(records)
    found = {(one.label, one.pk): one for one in candidates.of(joining.subject_id, now=now)}
    if not wanted <= found.keys():
        raise NotPossible("One of these records is no candidate any more. Nothing was joined: look once more.")
    if not wanted and not people:
        raise NotPossible("Choose what is to be joined.")
    chosen = [found[key] for key in sorted(wanted)]
    whole = set(people) | {one.subject for one in chosen if one.label == Customer.vault_label and one.subject}
    if joining.subject_id in whole:
        raise NotPossible("This is the same person already.")
    require_one(joining.subject_id, whole, {one.subject for one in found.values()})
    chosen = [one for one in chosen if one.subject not in whole]
    owners = [one.subject for one in chosen if one.subject is not None]
    if has_login([joining.subject_id]) and has_login(owners):
        raise NotPossible("Both have a login. What stands under a login is not moved to another one by staff.")
    return [*chosen, *_threads(chosen)], sorted(whole)


def sides(joining: Joining) -> set[UUID | None]:
    """Return everybody whom a joining is about: whose records it makes somebody's, and whose they are, were or would
    be."""
    found: set[UUID | None] = {joining.subject_id}
    found |= {UUID(one) for one in joining.proposal.get("people", [])}
    found |= {UUID(one) for one, _ in joining.moved.get("people", [])}
    for label, number in joining.proposal.get("records", []):
        found |= datamap.people_of(label, [number])
    for _, column, before, _, _ in joining.moved.get("links", []):
        if column in ("subject_id", "owner_id") and before:
            found.add(UUID(before))
        elif column == "customer_id" and before:
            found |= datamap.people_of(Customer.vault_label, [before])
    return found


def require_one(into: UUID, whole: Collection[UUID], sharing: Collection[UUID | None]) -> None:
    """Raise NotPossible for people who cannot be joined whole, whatever the reason."""
    if not whole:
        return
    require_on_file({into, *whole})
    if User.objects.filter(subject_id__in=[into, *whole], is_staff=True).exists():
        raise NotPossible("Records of a member of staff are not joined here.")
    if not set(whole) <= set(sharing):
        raise NotPossible(
            "Nothing of the other person carries an address or phone of this one: they cannot be joined whole."
        )
    if User.objects.filter(subject_id__in=[into, *whole]).values("subject").distinct().count() > 1:
        raise NotPossible("Both have a login. Two people with a login each are not joined by staff.")


def has_login(people: Collection[UUID]) -> bool:
    """Say whether one of these people has a login."""
    return User.objects.filter(subject_id__in=people).exists()


def with_account(people: Collection[UUID]) -> bool:
    """Say whether one of these people is a customer, a sole trader or a login: then nothing leaves them by one clerk's
    word."""
    return any(model._default_manager.filter(subject_id__in=people).exists() for model in (Customer, User, Company))


def _threads(chosen: Sequence[Record]) -> list[Record]:
    """Return the other messages of the threads of the chosen ones: a reply belongs to the person of the first
    message."""
    ids = {one.pk for one in chosen if one.label == Communication.vault_label}
    if not ids:
        return []
    firsts = set(
        Communication.objects.filter(pk__in=ids).exclude(in_reply_to=None).values_list("in_reply_to", flat=True)
    )
    of_thread = models.Q(pk__in=ids | firsts) | models.Q(in_reply_to__in=ids | firsts)
    rows = Communication.objects.filter(of_thread).exclude(pk__in=ids)
    formers = {one.subject for one in chosen}
    return [
        Record(Communication.vault_label, pk, subject, "in_reply_to", "email")
        for pk, subject in rows.values_list("pk", "subject_id")
        if subject in formers
    ]


def require_on_file(people: Collection[UUID]) -> None:
    """Raise NotPossible for the stand-in of a request about single records: nobody's file is to hang on it."""
    if Request.objects.filter(subject_id__in=people, scope=Request.Scope.RECORDS).exists():
        raise NotPossible("This request is about the records with one address: no person on file has asked it.")


def require_free(into: UUID, formers: Collection[UUID], records: Sequence[Key]) -> None:
    """Raise NotPossible where somebody of these is staff, or an open request of theirs, or about one of these records,
    has to be finished first."""
    require_on_file({into, *formers})
    if User.objects.filter(subject_id__in=[into, *formers], is_staff=True).exists():
        raise NotPossible("Records of a member of staff are not joined here.")
    if doubt.asking({into, *formers}, states=()):
        raise NotPossible("A privacy request of one of these people does not say what the site wrote: it comes first.")
    if doubt.asking(formers):
        raise NotPossible("A privacy request of the person who has one of the records is open: it comes first.")
    planned = set(Decision.objects.filter(record_id__in=[pk for _, pk in records]).values_list("request", flat=True))
    about = list(doubt.these(planned, models.Q(state__in=OPEN_STATES)).values_list("subject", flat=True))
    if any(one != into for one in about) or _is_asked_about(records):
        raise NotPossible("A privacy request about one of these records is open: it comes first.")
    if doubt.asking([into], kinds=procedures.removing(), states=REMOVING):
        raise NotPossible("A removal of this person is confirmed and being carried out: it comes first.")


def of_guests(people: Collection[UUID]) -> Iterator[Key]:
    """Yield what carries an address and is of those of these people who have no account: a request may be about it."""
    for person in people:
        if not with_account([person]):
            for declaration, rows in datamap.records_of(person):
                if issubclass(declaration.model, SealedModel) and names.addresses(declaration.model):
                    yield from ((declaration.label, pk) for pk in rows.values_list("pk", flat=True))


def _is_asked_about(records: Sequence[Key]) -> bool:
    """Say whether an open request about records covers one of these: it was not planned yet, and would lose it."""
    for label, pk in records:
        model = datamap.for_label(label).model
        row = model._default_manager.filter(pk=pk).first()
        for name in sorted(names.addresses(model)):
            with vault.internal():  # looked up by its blind index, shown to nobody
                email = getattr(row, name, "")
            if isinstance(email, str) and email and waits.is_covered((label, pk), email):
                return True
    return False


def require_owners(into: UUID, chosen: Collection[Record], whole: Collection[UUID]) -> None:
    """Raise NotPossible where the key store says of a record, or of a customer number of these
    people, that it is another's."""
    wanted: dict[UUID, Owner] = {}
    for model, ids in by_model(chosen).items():
        for _, rows in under(model, ids):
            wanted |= {row.pk: row.vault_owner() for row in rows}
    for person_model in (Customer, User):
        rows = person_model._default_manager.filter(subject_id__in=[into, *whole])
        wanted |= {pk: ("subject", subject) for pk, subject in rows.values_list("pk", "subject_id")}
    if vault.keys.strangers(wanted):
        raise NotPossible(ELSEWHERE)


def by_model(chosen: Iterable[Record]) -> dict[type[models.Model], list[UUID]]:
    """Return the numbers of these records by their model."""
    found: dict[type[models.Model], list[UUID]] = defaultdict(list)
    for one in chosen:
        found[one.declaration.model].append(one.pk)
    return found


def under(model: type[models.Model], ids: Collection[Any]) -> Iterator[tuple[Declaration, models.QuerySet[Any]]]:
    """Yield these rows, when they are sealed, and the sealed rows that lead to their person through them."""
    try:
        root = datamap.for_model(model)
    except KeyError:
        return
    for declaration in datamap.declarations():
        if not issubclass(declaration.model, SealedModel):
            continue
        rows = declaration.model._default_manager.select_related(*declaration.related) if declaration.related else None
        rows = declaration.model._default_manager.all() if rows is None else rows
        if declaration.model is model:
            yield declaration, rows.filter(pk__in=ids)
        elif prefix := _way(declaration, root):
            yield declaration, rows.filter(**{f"{prefix}__in": ids})


def _way(declaration: Declaration, root: Declaration) -> str:
    """Return the links by which a record leads to its person through a record of `root`; "" when it does not."""
    path, end = declaration.subject_path or "", f"__{root.subject_path}"
    if not path.endswith(end):
        return ""
    here: Any = declaration.model
    prefix = path.removesuffix(end)
    for step in prefix.split("__"):
        here = here._meta.get_field(step).related_model
    return prefix if here is root.model else ""
