"""Joining what is one person's: single records, or another person's whole file; by staff, with
preview and undo (design 9).

What must never happen: a record moved that nobody chose or that no longer is what was previewed; one that belongs to
two people or to nobody after a crash; an undo that gives back what was erased since. The links move in one transaction
of the main database, which also writes down where each of them was (accounts/moved.py); the keys follow and only mirror
the links (accounts/keys_follow.py). Until then the person sees masks in the moved records. What may be joined at all
says accounts/joinable.py. Whole people become one, and single records leave somebody who has a customer number or a
login, by two members of staff: one proposes, another confirms exactly that; only where the one shares an address or
phone with the other and at most one of them has a login. Every e-mail address on file of both is told
(accounts/told_of_joinings.py), also where single records move, and each letter gives a link to object. A row that
somebody else wrote into the table moves nothing: what moved stands under a keyed hash (`Joining.is_bound`). A mistake
is undone by `undo`, as long as nothing of it was erased or joined anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import candidates, in_hand, joinable, keys_follow, told_of_joinings
from accounts.joinable import Key, NotPossible
from accounts.models import Customer, Joining
from accounts.moved import Moved
from privacy import audit, datamap, gate
from privacy.actor import is_own, require_another
from privacy.gate import MANAGER, Actor
from privacy.subjects import Subject

# What nothing but the subject itself and the log of who looked at it is left of, is one person with whom it was joined.
LEFT_OVER = frozenset({"privacy.subject", "privacy.accessentry", "privacy.accessname"})


@dataclass(frozen=True, slots=True)
class Preview:
    """What will move: per kind how many records, and a fingerprint by which exactly this is confirmed."""

    counts: tuple[tuple[str, int], ...]
    fingerprint: str


# A look ---------------------------------------------------------------------------------------------------------------


def ask(subject: UUID, *, actor: Actor, now: datetime) -> Joining:
    """Ask the privacy team to look at what carries this person's address or phone; return the look that is open.

    By the person or by staff. Raises gate.Refused for anybody else, AboutYourself for staff who ask for themselves at
    the desk, NotPossible for who is no person on file.
    """
    by_person = actor.kind == "customer" and actor.subject == subject
    if not by_person:
        _permit(actor)
        require_another(actor, about=[subject])
    with transaction.atomic():
        _lock({subject})
        joinable.require_on_file({subject})
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
    """Return what the person is told of the last look at their candidates, "" when there was none, and whether they may
    ask."""
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
    """End a look without joining anything. Raises NotPossible, AboutYourself, gate.Refused."""
    _permit(actor)
    with transaction.atomic():
        require_another(actor, about=joinable.sides(_open(joining)))
        Joining.objects.filter(pk=joining.pk).update(outcome=Joining.Outcome.NOTHING, decided_at=now, proposal={})
        audit.record("joining.nothing", actor=actor, now=now, subject=joining.subject_id)


# Join -----------------------------------------------------------------------------------------------------------------


def preview(joining: Joining, records: Iterable[Key], people: Collection[UUID] = (), *, now: datetime) -> Preview:
    """Return what would move, the records that hang on the chosen ones included. Changes nothing. Raises
    NotPossible."""
    chosen, whole = joinable.choose(joining, records, people, now=now)
    counts: Counter[str] = Counter()
    numbers: list[str] = []
    seen: set[UUID] = set()
    for person in whole:
        for label, count in datamap.counts_of(person).items():
            if datamap.for_label(label).is_personal:
                counts[label] += count
        numbers.append(f"person {person}")
    for model, ids in joinable.by_model(chosen).items():
        for declaration, rows in joinable.under(model, ids):
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
    `fingerprint` is the preview's: when anything has changed since, nothing is done. Raises NotPossible, AboutYourself,
    gate.Refused.
    """
    _permit(actor)
    records, people = list(records), list(people)
    if reason not in Joining.Reason.values:
        raise NotPossible("A joining needs its reason.")
    with transaction.atomic():
        joining = _open(joining)
        chosen, whole = joinable.choose(joining, records, people, now=now)
        formers = {one.subject for one in chosen if one.subject is not None}
        require_another(actor, about={*joinable.sides(joining), *formers, *whole})
        _lock({joining.subject_id, *formers, *whole})  # who opens an account now does so before or after this
        if not whole and not joinable.with_account(formers):
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
    return keys_follow.settle(joining)


def is_proposed(joining: Joining, *, now: datetime) -> bool:
    """Say whether a proposal waits for the second person; it lapses after 7 days."""
    if joining.outcome != Joining.Outcome.OPEN or not joining.proposal or joining.proposed_at is None:
        return False
    return now < joining.proposed_at + in_hand.PROPOSAL_LIVES and joining.is_bound


def may_confirm(joining: Joining, actor: Actor) -> bool:
    """Say whether this actor is a second person: of the privacy team or a manager, whom it is not about, and who
    neither proposed it nor had a contact of the person in hand."""
    if actor.kind != "staff" or not actor.roles & {in_hand.TEAM, MANAGER}:
        return False
    if is_own(actor, about=joinable.sides(joining)):
        return False
    name = f"{actor.kind}/{actor.id or ''}"[:64]
    return joining.proposed_by != name and name not in in_hand.had_contacts(joining.subject_id)


def proposed(joining: Joining, *, now: datetime) -> Preview:
    """Return what would move by the proposal that waits. Raises NotPossible when there is none, or it cannot be done
    now."""
    if not is_proposed(joining, now=now):
        raise NotPossible("Nothing that was proposed in the last 7 days waits here.")
    records, people = _proposal(joining)
    return preview(joining, records, people, now=now)


def confirm(joining: Joining, *, fingerprint: str, actor: Actor, now: datetime) -> Joining:
    """Join what somebody else has proposed; return the row.

    `fingerprint` is of the preview that the second person saw: when anything else is proposed by now, or what would
    move has changed, nothing is done. Raises NotPossible, AboutYourself, gate.Refused.
    """
    if actor.kind != "staff" or not actor.roles & {in_hand.TEAM, MANAGER}:
        raise gate.Refused("A second person confirms: of the privacy team, or a manager.")
    with transaction.atomic():
        joining = _open(joining)
        if not is_proposed(joining, now=now):
            raise NotPossible("Nothing that was proposed in the last 7 days waits here.")
        require_another(actor, about=joinable.sides(joining))
        if not may_confirm(joining, actor):
            raise NotPossible(
                "You have proposed this, or had a contact of the person in hand. A second person confirms it."
            )
        records, people = _proposal(joining)
        reason = joining.proposal["reason"]
        by = joining.proposed_by
        joining = _carry_out(joining, records, people, reason, fingerprint, proposed_by=by, actor=actor, now=now)
    return keys_follow.settle(joining)


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
        chosen, whole = joinable.choose(joining, records, people, now=now)
        formers = {row.subject for row in chosen if row.subject is not None} | set(whole)
        _lock({into, *formers})
        joinable.require_free(into, formers, [*((one.label, one.pk) for one in chosen), *joinable.of_guests(whole)])
        if preview(joining, records, people, now=now).fingerprint != fingerprint:
            raise NotPossible("Something has changed since you looked. Nothing was joined: look once more.")
        joinable.require_owners(into, chosen, whole)
        moved = Moved(into)
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
    """Put everything back where it was before a joining: links, people, keys. Raises NotPossible, AboutYourself,
    gate.Refused."""
    _permit(actor)
    with transaction.atomic():
        joining = Joining.objects.select_for_update().get(pk=joining.pk)
        require_another(actor, about=joinable.sides(joining))
        if joining.outcome != Joining.Outcome.JOINED:
            raise NotPossible("There is no joining to undo here.")
        keys_follow.require_bound(joining)
        _lock({joining.subject_id})
        moved = Moved.of(joining)
        moved.check_still_there(since=joining.decided_at or now)
        formers = moved.put_back(actor=actor, now=now)
        joining.told.all().delete()  # nothing is joined any more to which somebody could object
        joining.outcome, joining.undone_at, joining.is_settled = Joining.Outcome.UNDONE, now, False
        joining.bind().save()
        for subject in sorted({joining.subject_id, *formers}):
            audit.record("joining.undone", actor=actor, now=now, subject=subject, reason=joining.reason)
    return keys_follow.settle(joining)


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
    if actor.kind not in ("staff", "operator", "task") or (actor.kind == "staff" and in_hand.TEAM not in actor.roles):
        raise gate.Refused("Only the privacy team joins records.")


def _day(moment: datetime) -> str:
    return f"{timezone.localdate(moment):%-d %B %Y}"
