"""Joining what is one person's: single records, or another person's whole file; by staff, with preview and undo (design 9).

What must never happen: a record moved that nobody chose or that no longer is what was previewed; one that belongs to two
people or to nobody after a crash; an undo that gives back what was erased since. The links move in one transaction of
the main database, which also writes down where each of them was; the keys follow and only mirror the links (`settle`,
safe to repeat: a worker does it for who was killed in between). Until then the person sees masks in the moved records.
Whole people become one, and single records leave somebody who has a customer number or a login, by two members of staff: one
proposes, another confirms exactly that; only where the one shares an address or phone with the other and at most one of them
has a login. Every e-mail address on file of both is told, also where
single records move, and each letter gives a link to object.
A row that somebody else wrote into the table moves nothing: what moved stands under a keyed hash (`Joining.is_bound`).
A mistake is undone by `undo`, as long as nothing of it was erased or joined anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.utils import timezone

from accounts import candidates, claim, in_hand, names, services, told_of_joinings
from accounts.candidates import Record
from accounts.models import ClaimReview, Communication, Company, Customer, Joining, User
from accounts.users import carry, carry_joinings
from privacy import audit, datamap, gate, vault
from privacy.datamap import Declaration
from privacy.gate import MANAGER, Actor
from privacy.gate import log as access_log
from privacy.requests import bound, procedures, waits
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, State
from privacy.retention.models import Decision
from privacy.subjects import Subject
from privacy.vault import SealedModel

logger = logging.getLogger(__name__)
TEAM = "privacy"
# What nothing but the subject itself and the log of who looked at it is left of, is one person with whom it was joined.
LEFT_OVER = frozenset({"privacy.subject", "privacy.accessentry", "privacy.accessname"})
# A removal that was confirmed: what it decided counts, for good.
REMOVING = (State.CONFIRMED, State.EXECUTING, State.PARKED)
REMOVED = (*REMOVING, State.EXECUTED, State.REPLIED, State.CLOSED)
CHUNK = 1_000
INTO = "into"
NAMES = access_log.AccessName._meta.label
PROPOSAL_LIVES = timedelta(days=7)
ELSEWHERE = "One of the records is somebody else's than its row says. Nothing was joined: tell who runs the site."
BOUND = (Joining.Outcome.JOINED, Joining.Outcome.UNDONE)  # what can move keys

OWNING = frozenset({"subject_id", "owner_id", "customer_id"})  # what says whose a record is

Key = tuple[str, UUID]
Owner = tuple[str, UUID | None]


class NotPossible(Exception):
    """This cannot be joined, or undone, now; the text is one sentence for who tries."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What will move: per kind how many records, and a fingerprint by which exactly this is confirmed."""

    counts: tuple[tuple[str, int], ...]
    fingerprint: str


# A look ---------------------------------------------------------------------------------------------------------------


def ask(subject: UUID, *, actor: Actor, now: datetime) -> Joining:
    """Ask the privacy team to look at what carries this person's address or phone; return the look that is open.

    By the person or by staff. Raises gate.Refused for anybody else, NotPossible for who is no person on file.
    """
    by_person = actor.kind == "customer" and actor.subject == subject
    if not by_person:
        _permit(actor)
    with transaction.atomic():
        _lock({subject})
        _on_file({subject})
        found = Joining.objects.filter(subject_id=subject, outcome=Joining.Outcome.OPEN).first()
        if found is not None:
            return found
        asked_by = Joining.AskedBy.PERSON if by_person else Joining.AskedBy.STAFF
        made = Joining.objects.create(subject_id=subject, asked_by=asked_by, opened_at=now)
        audit.record("joining.asked", actor=actor, now=now, subject=subject, reason=asked_by)
    return made


def ask_for_the_rest(subject: UUID, *, actor: Actor, now: datetime) -> Joining | None:
    """Ask for a look where messages, orders or returns carry an address of this person; None where none does.

    Customers that carry it have a review of their own (accounts.claim). Raises as `ask` does.
    """
    found = candidates.of(subject, now=now)
    if not any(one.channel == "email" and one.label != Customer.vault_label for one in found):
        return None
    return ask(subject, actor=actor, now=now)


def said(subject: UUID) -> tuple[str, bool]:
    """Return what the person is told of the last look at their candidates, "" when there was none, and whether they may ask."""
    last = Joining.objects.filter(subject_id=subject).order_by("-opened_at", "-pk").first()
    if last is None:
        return "", True
    if last.outcome == Joining.Outcome.OPEN:
        return f"Our privacy team was asked on {_day(last.opened_at)} to look at this, and has not decided yet.", False
    if last.outcome == Joining.Outcome.NOTHING and last.decided_at:
        day = _day(last.decided_at)
        return (
            f"We looked on {day} and could not tell that it is yours. Call or write to us if you can tell us more.",
            True,
        )
    return "", True


def close(joining: Joining, *, actor: Actor, now: datetime) -> None:
    """End a look without joining anything. Raises NotPossible, gate.Refused."""
    _permit(actor)
    with transaction.atomic():
        _open(joining)
        Joining.objects.filter(pk=joining.pk).update(outcome=Joining.Outcome.NOTHING, decided_at=now, proposal={})
        audit.record("joining.nothing", actor=actor, now=now, subject=joining.subject_id)


# Join -----------------------------------------------------------------------------------------------------------------


def preview(joining: Joining, records: Iterable[Key], people: Collection[UUID] = (), *, now: datetime) -> Preview:
    """Return what would move, the records that hang on the chosen ones included. Changes nothing. Raises NotPossible."""
    chosen, whole = _chosen(joining, records, people, now=now)
    counts: Counter[str] = Counter()
    numbers: list[str] = []
    seen: set[UUID] = set()
    for person in whole:
        for label, count in datamap.counts_of(person).items():
            if datamap.for_label(label).is_personal:
                counts[label] += count
        numbers.append(f"person {person}")
    for model, ids in _by_model(chosen).items():
        for declaration, rows in _under(model, ids):
            for pk in rows.values_list("pk", flat=True):
                if pk not in seen:
                    seen.add(pk)
                    counts[declaration.label] += 1
        numbers += [str(pk) for pk in ids]
    named = sorted((datamap.for_label(label).called(count), count) for label, count in counts.items())
    text = "\n".join([str(joining.subject_id), *sorted(numbers), *(f"{count} {name}" for name, count in named)])
    return Preview(tuple(named), hashlib.sha256(text.encode()).hexdigest())


def join(
    joining: Joining,
    records: Iterable[Key],
    *,
    people: Collection[UUID] = (),
    reason: str,
    fingerprint: str,
    actor: Actor,
    now: datetime,
) -> Joining:
    """Make these candidates the records of the person whom the look is about; return the row.

    Where somebody is joined whole, or one of the records is of somebody with a customer number or a login, it is only
    proposed, and the row stays open until a second person confirms it.
    `fingerprint` is the preview's: when anything has changed since, nothing is done. Raises NotPossible, gate.Refused.
    """
    _permit(actor)
    records, people = list(records), list(people)
    if reason not in Joining.Reason.values:
        raise NotPossible("A joining needs its reason.")
    with transaction.atomic():
        joining = _open(joining)
        chosen, whole = _chosen(joining, records, people, now=now)
        formers = {one.subject for one in chosen if one.subject is not None}
        _lock({joining.subject_id, *formers, *whole})  # who opens an account now does so before or after this
        if not whole and not _with_account(formers):
            by = f"{actor.kind}/{actor.id or ''}"[:64]
            joining = _carry_out(joining, records, people, reason, fingerprint, proposed_by=by, actor=actor, now=now)
        else:
            if preview(joining, records, people, now=now).fingerprint != fingerprint:
                raise NotPossible("Something has changed since you looked. Nothing was proposed: look once more.")
            joining.proposal = {
                "records": [[label, str(pk)] for label, pk in records],
                "people": [str(pk) for pk in people],
                "reason": reason,
            }
            joining.proposed_at, joining.proposed_by = now, f"{actor.kind}/{actor.id or ''}"[:64]
            joining.bind().save(update_fields=["proposal", "proposed_at", "proposed_by", "mac"])
            audit.record("joining.proposed", actor=actor, now=now, subject=joining.subject_id, reason=reason)
            return joining
    return settle(joining)


def is_proposed(joining: Joining, *, now: datetime) -> bool:
    """Say whether a proposal waits for the second person; it lapses after 7 days."""
    if joining.outcome != Joining.Outcome.OPEN or not joining.proposal or joining.proposed_at is None:
        return False
    return now < joining.proposed_at + PROPOSAL_LIVES and joining.is_bound


def may_confirm(joining: Joining, actor: Actor) -> bool:
    """Say whether this actor is a second person: of the privacy team or a manager, who neither proposed it nor had a contact of
    the person in hand."""
    if actor.kind != "staff" or not actor.roles & {TEAM, MANAGER}:
        return False
    name = f"{actor.kind}/{actor.id or ''}"[:64]
    return joining.proposed_by != name and name not in in_hand.had_contacts(joining.subject_id)


def proposed(joining: Joining, *, now: datetime) -> Preview:
    """Return what would move by the proposal that waits. Raises NotPossible when there is none, or it cannot be done now."""
    if not is_proposed(joining, now=now):
        raise NotPossible("Nothing that was proposed in the last 7 days waits here.")
    records, people = _proposal(joining)
    return preview(joining, records, people, now=now)


def confirm(joining: Joining, *, fingerprint: str, actor: Actor, now: datetime) -> Joining:
    """Join what somebody else has proposed; return the row.

    `fingerprint` is of the preview that the second person saw: when anything else is proposed by now, or what would move
    has changed, nothing is done. Raises NotPossible, gate.Refused.
    """
    if actor.kind != "staff" or not actor.roles & {TEAM, MANAGER}:
        raise gate.Refused("A second person confirms: of the privacy team, or a manager.")
    with transaction.atomic():
        joining = _open(joining)
        if not is_proposed(joining, now=now):
            raise NotPossible("Nothing that was proposed in the last 7 days waits here.")
        if not may_confirm(joining, actor):
            raise NotPossible(
                "You have proposed this, or had a contact of the person in hand. A second person confirms it."
            )
        records, people = _proposal(joining)
        reason = joining.proposal["reason"]
        by = joining.proposed_by
        joining = _carry_out(joining, records, people, reason, fingerprint, proposed_by=by, actor=actor, now=now)
    return settle(joining)


def _proposal(joining: Joining) -> tuple[list[Key], list[UUID]]:
    found = joining.proposal
    return [(label, UUID(pk)) for label, pk in found["records"]], [UUID(pk) for pk in found["people"]]


def _carry_out(
    joining: Joining,
    records: list[Key],
    people: list[UUID],
    reason: str,
    fingerprint: str,
    *,
    proposed_by: str,
    actor: Actor,
    now: datetime,
) -> Joining:
    """Move the links, in the caller's transaction; the keys follow (`settle`)."""
    with transaction.atomic():
        into = joining.subject_id
        chosen, whole = _chosen(joining, records, people, now=now)
        formers = {row.subject for row in chosen if row.subject is not None} | set(whole)
        _lock({into, *formers})
        _check(into, formers, [*((one.label, one.pk) for one in chosen), *_of_guests(whole)])
        if preview(joining, records, people, now=now).fingerprint != fingerprint:
            raise NotPossible("Something has changed since you looked. Nothing was joined: look once more.")
        _check_owners(into, chosen, whole)
        moved = _Moved(into)
        if whole:
            told_of_joinings.joined(
                into, whole, whole=True, by=actor, proposed_by=proposed_by, joining=joining, now=now
            )
        if losing := formers - set(whole):
            told_of_joinings.joined(into, losing, whole=False, proposed_by=proposed_by, joining=joining, now=now)
        elif chosen and not whole:
            told_of_joinings.joined(into, (), whole=False, proposed_by=proposed_by, joining=joining, now=now)
        for person in whole:
            moved.person(person, actor=actor, now=now)
        moved.records(chosen, actor=actor, now=now)
        for former in sorted(formers - set(whole)):
            if set(datamap.counts_of(former)) <= LEFT_OVER:
                moved.person(former, actor=actor, now=now)
        moved.claims(now)
        joining.outcome, joining.reason, joining.decided_at = Joining.Outcome.JOINED, reason, now
        joining.moved, joining.is_settled, joining.proposal = moved.as_json(), False, {}
        joining.bind().save()
        kinds = sorted({row.label for row in chosen} | {"person" for _ in whole})
        audit.record("joining.joined", actor=actor, now=now, subject=into, fields=kinds, reason=reason)
        for former in sorted(formers):
            audit.record("joining.taken", actor=actor, now=now, subject=former, fields=kinds, reason=reason)
    return joining


def undo(joining: Joining, *, actor: Actor, now: datetime) -> Joining:
    """Put everything back where it was before a joining: links, people, keys. Raises NotPossible, gate.Refused."""
    _permit(actor)
    with transaction.atomic():
        joining = Joining.objects.select_for_update().get(pk=joining.pk)
        if joining.outcome != Joining.Outcome.JOINED:
            raise NotPossible("There is no joining to undo here.")
        _check_bound(joining)
        _lock({joining.subject_id})
        moved = _Moved.of(joining)
        moved.check_still_there(since=joining.decided_at or now)
        formers = moved.put_back(actor=actor, now=now)
        joining.told.all().delete()  # nothing is joined any more to which somebody could object
        joining.outcome, joining.undone_at, joining.is_settled = Joining.Outcome.UNDONE, now, False
        joining.bind().save()
        for subject in sorted({joining.subject_id, *formers}):
            audit.record("joining.undone", actor=actor, now=now, subject=subject, reason=joining.reason)
    return settle(joining)


# Keys -----------------------------------------------------------------------------------------------------------------


def settle(joining: Joining) -> Joining:
    """Give the keys of what moved to whom the records name now; return the row. Safe to repeat; the tables are the truth.

    A key goes from those whom the joining moved things from to whom it moved them, and back: no other one, whatever a row says
    by now. Raises NotPossible, before any key changes its owner, for a row that says what the site did not write.
    """
    with transaction.atomic():
        joining = Joining.objects.select_for_update().get(pk=joining.pk)
        _check_bound(joining)
        moved = _Moved.of(joining)
        owners: dict[Owner, list[UUID]] = defaultdict(list)
        for model, ids in moved.roots():
            for _, rows in _under(model, ids):
                for row in rows.iterator(chunk_size=CHUNK):
                    owners[row.vault_owner()].append(row.pk)
        is_joined = joining.outcome == Joining.Outcome.JOINED
        here, formers = {("subject", joining.subject_id)}, moved.formers()
        take, give = (formers, here) if is_joined else (here, formers)
        for former, _ in moved.people:
            # The name of a person in the audit: it is destroyed with the one to whom it belongs.
            owners["subject", joining.subject_id if is_joined else former].append(former)
        for owner, ids in sorted(owners.items(), key=str):
            if owner not in give:
                continue  # the row was changed since: it is not the joining that says so
            for start in range(0, len(ids), CHUNK):
                vault.keys.hand_over(ids[start : start + CHUNK], owner, of=take)
        joining.is_settled = True
        if not is_joined:
            joining.moved = {}  # nothing leads back to anybody any more
        joining.bind().save(update_fields=["is_settled", "moved", "mac"])
    return joining


def settle_all() -> int:
    """Settle what a killed process left; return how many. A row that the site did not write is left alone, and told in the log."""
    done = refused = 0
    for joining in Joining.objects.filter(is_settled=False).order_by("pk").iterator(chunk_size=CHUNK):
        if joining.is_bound:
            settle(joining)
            done += 1
        else:
            refused += 1
    if refused:
        logger.error(
            "Joinings whose row does not say what the site wrote: %d. No key changes its owner by them.", refused
        )
    return done


def bind_all() -> int:
    """Bind the joinings of before to their rows; return how many. Once in the life of an installation."""
    done = 0
    for joining in Joining.objects.filter(mac="", outcome__in=BOUND).order_by("pk").iterator(chunk_size=CHUNK):
        done += Joining.objects.filter(pk=joining.pk, mac="").update(mac=joining.bind().mac)
    return done


def bind_proposals() -> int:
    """Bind what was proposed before and waits, joinings and claims; return how many. Once in the life of an installation."""
    done = 0
    for joining in Joining.objects.filter(mac="", outcome=Joining.Outcome.OPEN).exclude(proposal={}).order_by("pk"):
        done += Joining.objects.filter(pk=joining.pk, mac="").update(mac=joining.bind().mac)
    waiting = ClaimReview.objects.filter(mac="", outcome=ClaimReview.Outcome.OPEN, proposed_at__isnull=False)
    for review in waiting.order_by("pk"):
        done += ClaimReview.objects.filter(pk=review.pk, mac="").update(mac=review.bind().mac)
    return done


def _check_bound(joining: Joining) -> None:
    if not joining.is_bound:
        raise NotPossible("This joining does not say what the site wrote. Nothing was changed: tell who runs the site.")


# Parts ----------------------------------------------------------------------------------------------------------------


class _Moved:
    """Which links moved and where each was: what an undo puts back."""

    def __init__(self, into: UUID) -> None:
        self.into = into
        self.links: list[tuple[str, str, str | None, str | None, list[str]]] = []  # model, column, before, after, ids
        self.people: list[tuple[UUID, str]] = []  # people who are one with `into` now, and since when they were

    @classmethod
    def of(cls, joining: Joining) -> _Moved:
        made = cls(joining.subject_id)
        made.links = [tuple(one) for one in joining.moved.get("links", [])]
        made.people = [(UUID(pk), at) for pk, at in joining.moved.get("people", [])]
        return made

    def as_json(self) -> dict[str, Any]:
        return {"links": self.links, "people": [[str(pk), at] for pk, at in self.people]}

    def person(self, former: UUID, *, actor: Actor, now: datetime) -> None:
        """Make everything of one person the other's, and the two one."""
        if names := access_log.hand_over(former, self.into, actor=actor, now=now):
            self.links.append((NAMES, "subject_id", str(former), INTO, [str(name) for name in names]))
        for model, column in claim.links():
            self._move(model, column, former, self.into, models.Q())
        row = Subject.objects.get(pk=former)
        self.people.append((former, row.created_at.isoformat()))
        row.delete()

    def records(self, chosen: Sequence[Record], *, actor: Actor, now: datetime) -> None:
        """Move single records: their link to the person, or to a customer number of the person."""
        for model, ids in _by_model(chosen).items():
            declaration = datamap.for_model(model)
            if declaration.subject_path == "customer__subject":
                self._set(model, "customer_id", self._customer(actor, now, make=True), ids)
                continue
            self._set(model, "subject_id", self.into, ids)
            if any(one.name == "customer" for one in model._meta.fields):
                self._set(model, "customer_id", self._customer(actor, now, make=False), ids)

    def claims(self, now: datetime) -> None:
        """Decide the questions whether a login belongs to a customer where both are this person now."""
        open_, accepted = ClaimReview.Outcome.OPEN, ClaimReview.Outcome.ACCEPTED
        asked = ClaimReview.objects.filter(user__subject=self.into, customer__subject=self.into, outcome=open_)
        ids = [str(pk) for pk in asked.values_list("pk", flat=True)]
        if ids:
            ClaimReview.objects.filter(pk__in=ids).update(outcome=accepted, decided_at=now)
            self.links.append((ClaimReview._meta.label, "outcome", open_.value, accepted.value, ids))

    def _customer(self, actor: Actor, now: datetime, *, make: bool) -> UUID | None:
        """Return the customer number that takes a record in: the login's, else the oldest that lives."""
        own = Customer.objects.for_subject(self.into).order_by(models.F("user").asc(nulls_last=True), "pk")
        ids = list(own.values_list("pk", flat=True))
        gone = {pk for pk, _ in vault.keys.destroyed([(pk, "account") for pk in ids])}
        found = next((pk for pk in ids if pk not in gone), None)
        if found is None and make:
            user = User.objects.for_subject(self.into).filter(customer=None).order_by("created_at").first()
            made = services.create_customer(
                actor=actor, now=now, since=timezone.localdate(now), subject=self.into, user=user
            )
            found = made.pk
        return found

    def _set(self, model: type[models.Model], column: str, after: UUID | None, ids: Collection[UUID]) -> None:
        befores = model._base_manager.filter(pk__in=ids).exclude(**{column: after}).order_by()
        for before in list(befores.values_list(column, flat=True).distinct()):
            self._move(model, column, before, after, models.Q(pk__in=ids))

    def _move(
        self, model: type[models.Model], column: str, before: UUID | None, after: UUID | None, which: models.Q
    ) -> None:
        rows = model._base_manager.filter(which, **{column: before})
        ids = [str(pk) for pk in rows.select_for_update().values_list("pk", flat=True)]
        if ids:
            if model is User and column == "subject_id":
                carry(map(UUID, ids), after)
            elif model is Joining and after is not None:
                carry_joinings(Joining.objects.filter(pk__in=ids), after)
            elif model is Request and column == "owner_id" and after is not None:
                bound.carry(map(UUID, ids), after)
            else:
                model._base_manager.filter(pk__in=ids).update(**{column: after})
            # A later joining or claim may give `into` another number: its own is not written down.
            said = INTO if after == self.into else _text(after)
            self.links.append((model._meta.label, column, _text(before), said, ids))

    def roots(self) -> Iterator[tuple[type[models.Model], list[UUID]]]:
        """Yield the sealed models whose rows moved, and those beside which sealed records hang, with the rows' ids."""
        found: dict[type[models.Model], set[Any]] = defaultdict(set)
        for label, _, _, _, ids in self.links:
            found[apps.get_model(label)].update(ids)
        for model, numbers in found.items():
            yield model, sorted(numbers)

    def formers(self) -> set[Owner]:
        """Return whose the keys of what moved were: the people, and of customer numbers whose the key store says they are."""
        befores = [(column, before) for _, column, before, _, _ in self.links if column in OWNING]
        found: set[Owner] = {("subject", former) for former, _ in self.people}
        found |= {("subject", UUID(before)) for column, before in befores if before and column != "customer_id"}
        found |= {("none", None) for _, before in befores if before is None}
        numbers = [UUID(before) for column, before in befores if before and column == "customer_id"]
        return found | set(vault.keys.owners(numbers).values())

    def check_still_there(self, *, since: datetime) -> None:
        """Raise NotPossible when something of what moved was erased, or joined anew, since."""
        removal = Request.objects.filter(subject_id=self.into, kind__in=procedures.removing(), state__in=REMOVED)
        if removal.filter(models.Q(closed_at=None) | models.Q(closed_at__gte=since)).exists():
            raise NotPossible("A removal was carried out for this person since: it cannot be undone any more.")
        back = {pk for pk, _ in self.people}
        for label, column, before, after, ids in self.links:
            model = apps.get_model(label)
            link: Any = model._meta.get_field(column)
            if before and link.is_relation and UUID(before) not in back and not _exists(link.related_model, before):
                raise NotPossible("The person who had one of the records is gone, or was joined with somebody since.")
            held = _is_record(model)
            if held and len(self._rows(label, column, after, ids).select_for_update()) != len(ids):
                raise NotPossible("One of the records was erased or joined with somebody else since.")

    def put_back(self, *, actor: Actor, now: datetime) -> set[UUID]:
        """Undo the links, latest first, and return the people whose they are again."""
        for pk, at in self.people:
            Subject.objects.create(pk=pk, created_at=datetime.fromisoformat(at))
        for label, column, before, after, ids in reversed(self.links):
            if label == NAMES and before:
                access_log.hand_back(ids, self.into, UUID(before), actor=actor, now=now)
                continue
            anew = {"decided_at": None} if column == "outcome" else {}
            rows = self._rows(label, column, after, ids)
            if rows.model is User and column == "subject_id":
                carry(rows.values_list("pk", flat=True), UUID(before) if before else None)
            elif rows.model is Joining and before:
                carry_joinings(rows, UUID(before))
            elif rows.model is Request and column == "owner_id" and before:
                bound.carry(rows.values_list("pk", flat=True), UUID(before))
            else:
                rows.update(**{column: before}, **anew)
        return {pk for pk, _ in self.people}

    def _rows(self, label: str, column: str, after: str | None, ids: Sequence[str]) -> models.QuerySet[Any]:
        here = self.into if after == INTO else after
        return apps.get_model(label)._base_manager.filter(pk__in=ids, **{column: here}).order_by("pk")


def _chosen(
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
    _may_be_one(joining.subject_id, whole, {one.subject for one in found.values()})
    chosen = [one for one in chosen if one.subject not in whole]
    owners = [one.subject for one in chosen if one.subject is not None]
    if _has_login([joining.subject_id]) and _has_login(owners):
        raise NotPossible("Both have a login. What stands under a login is not moved to another one by staff.")
    return [*chosen, *_threads(chosen)], sorted(whole)


def _may_be_one(into: UUID, whole: Collection[UUID], sharing: Collection[UUID | None]) -> None:
    """Raise NotPossible for people who cannot be joined whole, whatever the reason."""
    if not whole:
        return
    _on_file({into, *whole})
    if User.objects.filter(subject_id__in=[into, *whole], is_staff=True).exists():
        raise NotPossible("Records of a member of staff are not joined here.")
    if not set(whole) <= set(sharing):
        raise NotPossible(
            "Nothing of the other person carries an address or phone of this one: they cannot be joined whole."
        )
    if User.objects.filter(subject_id__in=[into, *whole]).values("subject").distinct().count() > 1:
        raise NotPossible("Both have a login. Two people with a login each are not joined by staff.")


def _has_login(people: Collection[UUID]) -> bool:
    return User.objects.filter(subject_id__in=people).exists()


def _with_account(people: Collection[UUID]) -> bool:
    """Say whether one of these people is a customer, a sole trader or a login: then nothing leaves them by one clerk's word."""
    return any(model._default_manager.filter(subject_id__in=people).exists() for model in (Customer, User, Company))


def _threads(chosen: Sequence[Record]) -> list[Record]:
    """Return the other messages of the threads of the chosen ones: a reply belongs to the person of the first message."""
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


def _on_file(people: Collection[UUID]) -> None:
    """Raise NotPossible for the stand-in of a request about single records: nobody's file is to hang on it."""
    if Request.objects.filter(subject_id__in=people, scope=Request.Scope.RECORDS).exists():
        raise NotPossible("This request is about the records with one address: no person on file has asked it.")


def _check(into: UUID, formers: Collection[UUID], records: Sequence[Key]) -> None:
    _on_file({into, *formers})
    if User.objects.filter(subject_id__in=[into, *formers], is_staff=True).exists():
        raise NotPossible("Records of a member of staff are not joined here.")
    if Request.objects.filter(subject_id__in=formers, state__in=OPEN_STATES).exists():
        raise NotPossible("A privacy request of the person who has one of the records is open: it comes first.")
    planned = Decision.objects.filter(record_id__in=[pk for _, pk in records], request__state__in=OPEN_STATES)
    if planned.exclude(request__subject=into).exists() or _is_asked_about(records):
        raise NotPossible("A privacy request about one of these records is open: it comes first.")
    if Request.objects.filter(subject_id=into, kind__in=procedures.removing(), state__in=REMOVING).exists():
        raise NotPossible("A removal of this person is confirmed and being carried out: it comes first.")


def _of_guests(people: Collection[UUID]) -> Iterator[Key]:
    """Yield what carries an address and is of those of these people who have no account: a request may be about it."""
    for person in people:
        if not _with_account([person]):
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


def _check_owners(into: UUID, chosen: Collection[Record], whole: Collection[UUID]) -> None:
    """Raise NotPossible where the key store says of a record, or of a customer number of these people, that it is another's."""
    wanted: dict[UUID, Owner] = {}
    for model, ids in _by_model(chosen).items():
        for _, rows in _under(model, ids):
            wanted |= {row.pk: row.vault_owner() for row in rows}
    for person_model in (Customer, User):
        rows = person_model._default_manager.filter(subject_id__in=[into, *whole])
        wanted |= {pk: ("subject", subject) for pk, subject in rows.values_list("pk", "subject_id")}
    if vault.keys.strangers(wanted):
        raise NotPossible(ELSEWHERE)


def _by_model(chosen: Iterable[Record]) -> dict[type[models.Model], list[UUID]]:
    found: dict[type[models.Model], list[UUID]] = defaultdict(list)
    for one in chosen:
        found[one.declaration.model].append(one.pk)
    return found


def _under(model: type[models.Model], ids: Collection[Any]) -> Iterator[tuple[Declaration, models.QuerySet[Any]]]:
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


def _is_record(model: type[models.Model]) -> bool:
    """Whether these are records about the person that end by a decision: not sessions, letters or lines of a log."""
    try:
        declaration = datamap.for_model(model)
    except KeyError:
        return False
    return declaration.facts is not None and not declaration.label.startswith("privacy.")


def _exists(model: Any, pk: str) -> bool:
    return bool(model._base_manager.filter(pk=pk).exists())


def _lock(people: Collection[UUID]) -> None:
    there = Subject.objects.select_for_update().filter(pk__in=people).order_by("pk").values_list("pk", flat=True)
    if len(there) != len(set(people)):
        raise NotPossible("One of these people is gone.")


def _open(joining: Joining) -> Joining:
    found = Joining.objects.select_for_update().get(pk=joining.pk)
    if found.outcome != Joining.Outcome.OPEN:
        raise NotPossible("This was decided before.")
    return found


def _permit(actor: Actor) -> None:
    if actor.kind not in ("staff", "operator", "task") or (actor.kind == "staff" and TEAM not in actor.roles):
        raise gate.Refused("Only the privacy team joins records.")


def _day(moment: datetime) -> str:
    return f"{timezone.localdate(moment):%-d %B %Y}"


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
