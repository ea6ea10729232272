"""An address on file is claimed by the login that proved it (design, section C of the accounts).

What must never happen: a login that sees somebody else's records because it shares a mailbox with them, because somebody
wrote its address into them, or because their owner only confirmed an address. So confirming joins nothing: the person
signs in, gives the password and joins. Only one exact match, proved (accounts/reach.py), with a private person who has no
login yet is taken over at once; everything else waits for staff, and until then the login learns nothing but how many
records of which kind carry its address (accounts/candidates.py). What the login did before stays with it: both become one person.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import models, transaction

from accounts import reach
from accounts.models import ClaimReview, Customer, User
from privacy import audit, datamap, vault
from privacy.gate import Actor
from privacy.requests.models import OPEN_STATES, Request
from privacy.subjects import Subject


class NotOpen(Exception):
    """The review was decided before, the login or the customer is not free, or a privacy request of one of them runs."""


def joinable(user: User, email: str, *, now: datetime) -> Customer | None:
    """Return the one private person on file whom `attempt` would link to this verified address, or None. Writes nothing."""
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


def decide(review: ClaimReview, *, accept: bool, actor: Actor, now: datetime) -> None:
    """Decide a review: link the login to the customer, or refuse. Raises NotOpen."""
    with transaction.atomic():
        open_review = (
            ClaimReview.objects.select_for_update().filter(pk=review.pk, outcome=ClaimReview.Outcome.OPEN).first()
        )
        if open_review is None:
            raise NotOpen
        if accept:
            _link(review.user, review.customer, actor=actor, now=now)
        else:
            audit.record(
                "claim.refused",
                actor=actor,
                now=now,
                subject=review.user.subject_id,
                record=(Customer.vault_label, review.customer_id),
            )
        outcome = ClaimReview.Outcome.ACCEPTED if accept else ClaimReview.Outcome.REFUSED
        ClaimReview.objects.filter(pk=review.pk).update(outcome=outcome, decided_at=now)


def _matches(user: User, email: str) -> list[Customer]:
    """Return the customers of other people with exactly this address."""
    if user.is_staff or not email:
        return []
    others = Customer.objects.find("customer.email", email).exclude(subject_id=user.subject_id).order_by("pk")
    return [one for one in others if _is(one, email)]


def _is(customer: Customer, email: str) -> bool:
    """Compare the address itself: an index that is not unique may meet another one by chance."""
    with vault.internal():
        on_file = customer.email
        return bool(on_file) and vault.index.normalise("email", on_file) == vault.index.normalise("email", email)


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
    return Request.objects.filter(subject_id__in=[one for one in subjects if one], state__in=OPEN_STATES).exists()


def _link(user: User, customer: Customer, *, actor: Actor | None, now: datetime) -> Customer:
    with transaction.atomic():
        customer = Customer.objects.select_for_update().get(pk=customer.pk)
        if customer.subject_id is None or _has_login(customer):
            raise NotOpen
        if _has_open_request(user.subject_id, customer.subject_id):
            raise NotOpen
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
            merge(before, customer.subject_id)
        user.subject_id = customer.subject_id
    return customer


def links() -> list[tuple[type[models.Model], str]]:
    """Return every column that names a subject: those of the data map, foreign keys, and the owner of a request's file."""
    found: dict[tuple[type[models.Model], str], None] = {}
    for declaration in datamap.declarations():
        if declaration.subject_path in {"subject", "subject_id"}:
            found[declaration.model, declaration.model._meta.get_field(declaration.subject_path).attname] = None
    for relation in Subject._meta.related_objects:
        if isinstance(relation.field, models.ForeignKey):
            found[relation.related_model, relation.field.attname] = None
    found[Request, "owner_id"] = None  # no foreign key: it outlives its subject
    return list(found)


def merge(subject: UUID, into: UUID) -> None:
    """Make two subjects one: every record that names `subject` names `into` afterwards; the keys are re-wrapped last.

    If the process dies between the two databases the records name `into` and a few keys still name `subject`: they do
    not open until the merge is repeated, and nothing opens for anybody else.
    """
    for model, column in links():
        model._base_manager.filter(**{column: subject}).update(**{column: into})
    Subject.objects.filter(pk=subject).delete()
    vault.keys.reowner(("subject", subject), ("subject", into))
