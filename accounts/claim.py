"""An address on file is claimed by the login that proved it (design, section C of the accounts).

What must never happen: a login that sees somebody else's records because it shares a mailbox with them, because
somebody wrote its address into them, or because their owner only confirmed an address. So confirming joins nothing:
the person signs in, gives the password and joins. Only one exact match, proved (accounts/reach.py), with a private
person who has no login yet is taken over at once; everything else waits for staff, and until then the login learns
nothing but how many records of which kind carry its address (accounts/candidates.py). What the login did before stays
with it: both become one person. Staff are two: one of the privacy team proposes, another one or a manager confirms,
neither of whom wrote the address down; both times the address must count for the person at that moment. Everybody who
has an address on file is told.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from accounts import confirmed, in_hand, reach, told_of_joinings
from accounts.models import ClaimReview, ContactPoint, Customer, Joining, User
from accounts.users import carry, carry_joinings
from privacy import audit, datamap, gate, vault
from privacy.actor import is_own, require_another
from privacy.gate import MANAGER, Actor
from privacy.gate import log as access_log
from privacy.requests import bound, doubt
from privacy.requests.models import Request
from privacy.subjects import Subject
from privacy.vault import Unreadable

logger = logging.getLogger(__name__)


class NotOpen(Exception):
    """The review was decided before, the login or the customer is not free, or a privacy request of one of them
    runs."""


class NotNow(Exception):
    """This login is not linked to this customer now, or not by this member of staff; the text is one sentence for who
    tries."""


def joinable(user: User, email: str, *, now: datetime) -> Customer | None:
    """Return the one private person on file whom `attempt` would link to this verified address, or None. Writes
    nothing."""
    matches = _matches(user, email)
    if len(matches) == 1 and _obstacle(user, matches[0], 1, now) is None:
        return matches[0]
    return None


def counts(customer: Customer) -> list[tuple[str, int]]:
    """Return what a join would bring: (kind in words, how many), never content."""
    found = datamap.counts_of(customer.subject_id) if customer.subject_id else {}
    kinds = {label: datamap.for_label(label) for label in found if not label.startswith("privacy.")}
    return [(kinds[label].called(found[label]), found[label]) for label in sorted(kinds) if kinds[label].facts]


def attempt(user: User, email: str, *, actor: Actor | None, now: datetime) -> Customer | None:
    """Link `user` to the one private person on file with this verified address, and return that customer.

    Otherwise return None; where there is a match that is not certain, a review is opened for staff.
    The caller vouches that the address was verified.
    """
    matches = _matches(user, email)
    obstacles = [(match, _obstacle(user, match, len(matches), now)) for match in matches]
    if len(obstacles) == 1 and obstacles[0][1] is None:
        return _link(user, matches[0], actor=actor, now=now)
    for match, obstacle in obstacles:
        with transaction.atomic():
            review, opened = ClaimReview.objects.get_or_create(
                user=user,
                customer=match,
                outcome=ClaimReview.Outcome.OPEN,
                defaults={"reason": obstacle or ClaimReview.Reason.SEVERAL, "opened_at": now},
            )
            if opened:
                audit.record(
                    "claim.opened",
                    actor=actor,
                    now=now,
                    subject=user.subject_id,
                    record=(Customer.vault_label, match.pk),
                    reason=review.reason,
                )
    return None


def is_proposed(review: ClaimReview, *, now: datetime) -> bool:
    """Say whether a proposal to link them waits for the second person; one that nobody confirmed lapses after 7
    days."""
    return review.proposed_at is not None and now < review.proposed_at + in_hand.PROPOSAL_LIVES and review.is_bound


def may_confirm(review: ClaimReview, actor: Actor) -> bool:
    """Say whether this actor is a second person: of the privacy team or a manager, and neither who proposed it nor one
    of the two."""
    if actor.kind != "staff" or not actor.roles & {in_hand.TEAM, MANAGER} or is_own(actor, **sides(review)):
        return False
    return actor.id != review.proposed_by


def sides(review: ClaimReview) -> dict[str, Any]:
    """Return whom a claim is about, and both logins: what `is_own` asks."""
    logins = review.user_id, review.customer.user_id
    return {
        "about": [review.user.subject_id, review.customer.subject_id],
        "by": [("customer", str(one)) for one in logins],
    }


def propose(review: ClaimReview, *, how: str, actor: Actor, now: datetime) -> None:
    """Propose to link the login to the customer; a second person confirms. Raises NotOpen, NotNow, AboutYourself,
    gate.Refused."""
    _permit(actor)
    if how not in ClaimReview.How.values:
        raise NotNow("A link needs to say how we know that it is the same person.")
    with transaction.atomic():
        found = _open(review)
        require_another(actor, **sides(found))
        customer = Customer.objects.select_for_update().get(pk=found.customer_id)
        _check(found.user, customer, actor=actor, now=now)
        found.how, found.proposed_at, found.proposed_by = how, now, (actor.id or "")[:64]
        found.bind().save(update_fields=["how", "proposed_at", "proposed_by", "mac"])
        _record("claim.proposed", found, actor=actor, now=now, reason=how)


def confirm(review: ClaimReview, *, actor: Actor, now: datetime) -> None:
    """Link the login to the customer as a second person. Raises NotOpen, NotNow, AboutYourself, gate.Refused.

    Everything is checked once more: what was true when it was proposed may not be true now.
    """
    if actor.kind != "staff" or not actor.roles & {in_hand.TEAM, MANAGER}:
        raise gate.Refused("A second person confirms: of the privacy team, or a manager.")
    with transaction.atomic():
        found = _open(review)
        require_another(actor, **sides(found))
        if not is_proposed(found, now=now):
            raise NotNow(
                "Nobody has proposed this in the last 7 days: it is proposed first, and a second person confirms."
            )
        if not may_confirm(found, actor):
            raise NotNow("You have proposed this. A second person confirms it.")
        customer = Customer.objects.select_for_update().get(pk=found.customer_id)
        _check(found.user, customer, actor=actor, now=now)
        _link(found.user, customer, actor=actor, now=now, proposed_by=f"staff/{found.proposed_by}"[:64])
        ClaimReview.objects.filter(pk=found.pk).update(outcome=ClaimReview.Outcome.ACCEPTED, decided_at=now)


def refuse(review: ClaimReview, *, actor: Actor, now: datetime) -> None:
    """Decide that the login is not linked. Raises NotOpen, AboutYourself, gate.Refused."""
    _permit(actor)
    with transaction.atomic():
        found = _open(review)
        require_another(actor, **sides(found))
        _record("claim.refused", found, actor=actor, now=now)
        ClaimReview.objects.filter(pk=found.pk).update(outcome=ClaimReview.Outcome.REFUSED, decided_at=now)


def _permit(actor: Actor) -> None:
    if actor.kind != "staff" or in_hand.TEAM not in actor.roles:
        raise gate.Refused("Only the privacy team decides about claimed addresses.")


def _open(review: ClaimReview) -> ClaimReview:
    rows = ClaimReview.objects.select_for_update(of=("self",)).select_related("user", "customer")
    found = rows.filter(pk=review.pk, outcome=ClaimReview.Outcome.OPEN).first()
    if found is None:
        raise NotOpen
    return found


def _record(action: str, review: ClaimReview, *, actor: Actor, now: datetime, reason: str = "") -> None:
    audit.record(
        action,
        actor=actor,
        now=now,
        subject=review.user.subject_id,
        record=(Customer.vault_label, review.customer_id),
        reason=reason,
    )


def _check(user: User, customer: Customer, *, actor: Actor, now: datetime) -> None:
    """Raise NotNow unless the address on file proves something at this moment, and this member of staff had no part in
    it."""
    if not _is_whose_it_says(user, customer):
        raise NotNow("One of them is another person's than its row says. Nothing is linked: tell who runs the site.")
    if reach.is_login_disputed(user.subject_id):
        raise NotNow(
            "Somebody objects to the changed address of this login. As long as that is open nothing is linked."
        )
    point = reach.point_of(customer, ContactPoint.Channel.EMAIL)
    if point is not None and point.disputed_at is not None:
        raise NotNow(
            "Somebody has said “this was not me” about this address. As long as that is open nothing is linked."
        )
    if not _has_proved(user, customer):
        raise NotNow("The address on file is not, or no longer, one that this login has confirmed.")
    if point is None or not reach.counts(customer, ContactPoint.Channel.EMAIL, now=now):
        day = reach.counts_from(point) if point is not None else None
        since = (
            f"It counts from {timezone.localtime(day):%-d %B %Y} on" if day else "It does not count by waiting alone"
        )
        raise NotNow(f"The address on file proves nothing yet, because the person has not confirmed it. {since}.")
    if customer.subject_id and f"{actor.kind}/{actor.id or ''}" in in_hand.had_contacts(customer.subject_id):
        raise NotNow("You had the contact data of this customer in hand. Somebody who did not decides.")


def _has_proved(user: User, customer: Customer) -> bool:
    with vault.internal():
        on_file = customer.email
        email = str(on_file) if on_file and not isinstance(on_file, Unreadable) else ""
    return bool(email) and bool(confirmed.rows(user_id=user.pk, email=email))


def _matches(user: User, email: str) -> list[Customer]:
    """Return the customers of other people with exactly this address.

    None as soon as one of those who have it, or the login, is another's than its row says: then nobody knows whose it
    is.
    """
    if user.is_staff or not email or reach.is_login_disputed(user.subject_id):
        return []  # whoever changed the address of the login may not be its owner
    matches = list(Customer.objects.find("customer.email", email).order_by("pk"))
    if not _is_whose_it_says(user, *matches):
        return []
    return [one for one in matches if one.subject_id is None or one.subject_id != user.subject_id]


def _is_whose_it_says(user: User, *customers: Customer) -> bool:
    """Say whether login and customer numbers are of whom their rows say, by the key store: only then they become
    one."""
    if not vault.keys.strangers({one.pk: one.vault_owner() for one in (user, *customers)}):
        return True
    logger.error("A login was not linked to a customer number: one of them is another person's than its row says.")
    return False


def _obstacle(user: User, customer: Customer, matches: int, now: datetime) -> str | None:
    """Return why a match is not certain, or None."""
    if matches > 1:
        return ClaimReview.Reason.SEVERAL
    if _has_login(customer):
        return ClaimReview.Reason.TAKEN
    if customer.kind != Customer.Kind.PERSON or customer.subject_id is None:
        return ClaimReview.Reason.CONTACT
    if not reach.is_proved(customer, now=now):
        return ClaimReview.Reason.ENTERED
    if _has_open_request(user.subject_id, customer.subject_id):
        return ClaimReview.Reason.REQUEST
    return None


def _has_login(customer: Customer) -> bool:
    """Say whether the customer, or its person by another of their customer numbers, has a login."""
    return customer.user_id is not None or User.objects.for_subject(customer.subject_id).exists()


def _has_open_request(*subjects: UUID | None) -> bool:
    """Say whether a request of one of them runs: its plan is about one person as it was when the plan was made."""
    return bool(doubt.asking([one for one in subjects if one]))


def _link(user: User, customer: Customer, *, actor: Actor | None, now: datetime, proposed_by: str = "") -> Customer:
    with transaction.atomic():
        customer = Customer.objects.select_for_update().get(pk=customer.pk)
        if customer.subject_id is None or _has_login(customer) or not _is_whose_it_says(user, customer):
            raise NotOpen
        if _has_open_request(user.subject_id, customer.subject_id):
            raise NotOpen
        told_of_joinings.joined(
            customer.subject_id, (user.subject_id,), whole=True, by=actor, proposed_by=proposed_by, now=now
        )
        # The login had a customer of its own when an order or return was made before: it stays, as the same person's.
        Customer.objects.filter(user=user).update(user=None)
        customer.user = user
        customer.save(update_fields=["user"])
        before = user.subject_id
        audit.record(
            "claim.linked",
            actor=actor,
            now=now,
            subject=customer.subject_id,
            record=(Customer.vault_label, customer.pk),
        )
        if before is not None and before != customer.subject_id:
            merge(before, customer.subject_id, actor=actor, now=now)
        user.subject_id = customer.subject_id
    return customer


def links() -> list[tuple[type[models.Model], str]]:
    """Return every column that names a subject: those of the data map, foreign keys, and the owner of a request's file.

    Not the names in the log of who looked: whose they are is signed.
    """
    found: dict[tuple[type[models.Model], str], None] = {}
    for declaration in datamap.declarations():
        if declaration.model is access_log.AccessName:
            continue  # signed: `privacy.gate.log.hand_over` moves it
        if declaration.subject_path in {"subject", "subject_id"}:
            found[declaration.model, declaration.model._meta.get_field(declaration.subject_path).attname] = None
    for relation in Subject._meta.related_objects:
        if isinstance(relation.field, models.ForeignKey):
            found[relation.related_model, relation.field.attname] = None
    found[Request, "owner_id"] = None  # no foreign key: it outlives its subject
    return list(found)


def merge(subject: UUID, into: UUID, *, actor: Actor | None, now: datetime) -> None:
    """Make two subjects one: every record that names `subject` names `into` afterwards; the keys are re-wrapped last.

    If the process dies between the two databases the records name `into` and a few keys still name `subject`: they do
    not open until the merge is repeated, and nothing opens for anybody else.
    """
    with transaction.atomic():
        access_log.hand_over(subject, into, actor=actor, now=now)
        for model, column in links():
            rows = model._base_manager.filter(**{column: subject})
            if model is User and column == "subject_id":
                carry(rows.values_list("pk", flat=True), into)
            elif model is Joining:
                carry_joinings(Joining.objects.filter(subject_id=subject), into)
            elif model is Request and column == "owner_id":
                bound.carry(rows.values_list("pk", flat=True), into)
            else:
                rows.update(**{column: into})
        Subject.objects.filter(pk=subject).delete()
    vault.keys.reowner(("subject", subject), ("subject", into))
