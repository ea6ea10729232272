"""Which links a joining moved, and where each of them was: what an undo puts back.

What must never happen: a link that moves and is not written down; an undo that gives back what was
erased or joined anew since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models
from django.utils import timezone

from accounts import claim, joinable, services
from accounts.candidates import Record
from accounts.joinable import REMOVING, NotPossible, Owner
from accounts.models import ClaimReview, Customer, Joining, User
from accounts.users import carry, carry_joinings
from privacy import datamap, vault
from privacy.gate import Actor
from privacy.gate import log as access_log
from privacy.requests import bound, doubt, history, procedures
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.subjects import Subject

REMOVED = (*REMOVING, State.EXECUTED, State.REPLIED, State.CLOSED)
INTO = "into"
NAMES = access_log.AccessName._meta.label
OWNING = frozenset({"subject_id", "owner_id", "customer_id"})  # what says whose a record is


class Moved:
    """Which links moved and where each was: what an undo puts back."""

    def __init__(self, into: UUID) -> None:
        self.into = into
        self.links: list[tuple[str, str, str | None, str | None, list[str]]] = []  # model, column, before, after, ids
        self.people: list[tuple[UUID, str]] = []  # people who are one with `into` now, and since when they were

    @classmethod
    def of(cls, joining: Joining) -> Moved:
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
        for model, ids in joinable.by_model(chosen).items():
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
        """Return whose the keys of what moved were: the people, and of customer numbers whose the key store says they
        are."""
        befores = [(column, before) for _, column, before, _, _ in self.links if column in OWNING]
        found: set[Owner] = {("subject", former) for former, _ in self.people}
        found |= {("subject", UUID(before)) for column, before in befores if before and column != "customer_id"}
        found |= {("none", None) for _, before in befores if before is None}
        numbers = [UUID(before) for column, before in befores if before and column == "customer_id"]
        return found | set(vault.keys.owners(numbers).values())

    def check_still_there(self, *, since: datetime) -> None:
        """Raise NotPossible when something of what moved was erased, or joined anew, since."""
        if doubt.of_person(self.into):
            raise NotPossible("A request of this person does not say what the site wrote: it comes first.")
        removals = Request.objects.filter(owner_id=self.into, kind__in=procedures.removing(), state__in=REMOVED)
        ends = [history.ended_at(one) for one in removals]
        if any(at is None or at >= since for at in ends):
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


def _is_record(model: type[models.Model]) -> bool:
    """Whether these are records about the person that end by a decision: not sessions, letters or lines of a log."""
    try:
        declaration = datamap.for_model(model)
    except KeyError:
        return False
    return declaration.facts is not None and not declaration.label.startswith("privacy.")


def _exists(model: Any, pk: str) -> bool:
    return bool(model._base_manager.filter(pk=pk).exists())


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
