"""Which members of staff had a contact of a person in hand: they neither post the notice about it nor end an objection
to it.

What must never happen: a contact that one member of staff enters, tells of and settles alone. It is read from the
audit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.customers import Address, Customer
from accounts.points import ContactPoint
from privacy import audit, letters
from privacy.actor import require_another
from privacy.gate import Actor
from privacy.letters.models import Letter

ENTERED = ("customer.created", "record.corrected", "address.added")
DISPUTED, SETTLED = "contact.disputed", "contact.settled"
CONTACTS = frozenset({"email", "phone"})
#: What staff do in place of a letter whose link or code is there no more.
INSTEAD = (
    "A new code for a login is posted by “Post a code to the person” on the page of the disputed login; what another letter was "
    "to say is told by phone."
)
TEAM = "privacy"  # proposes; it, or a manager, confirms
PROPOSAL_LIVES = timedelta(days=7)  # for the second person, whatever was proposed
POSTED, LOGIN_CODE = "contact_posted", "login_code"


class OwnEntry(Exception):
    """Who entered a contact neither posts the notice about it nor settles it; the text is one sentence for who
    tries."""


def to_post(customer: Customer) -> Letter | None:
    """Return the letter to this customer's person that waits to be printed and posted, or None; those
    about a request stand there."""
    if customer.subject_id is None:
        return None
    waiting = Letter.objects.filter(by=Letter.By.POST, request=None, sent_at=None, stopped_at=None)
    return waiting.filter(subject_id=customer.subject_id).order_by("queued_at", "pk").first()


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter to a person. Raises OwnEntry for who entered or settled the contact
    that it tells of, letters.CannotSendAgain and letters.LinkLost."""
    if (
        letter.kind in (POSTED, LOGIN_CODE)
        and letter.subject_id
        and name_of(actor) in entered_by(letter.subject_id, SETTLED)
    ):
        raise OwnEntry("You entered or settled a contact of this person. Somebody else posts the notice and marks it.")
    letters.mark_posted(letter, actor=actor, now=now)


def had_contacts(subject: UUID) -> set[str]:
    """Return which members of staff ("kind/id") entered, changed or settled a contact of the person, posted a notice
    about one, or had a letter with a code for the person's login in hand; by the audit. Opens nothing."""
    told = Letter.objects.filter(subject_id=subject, kind=POSTED).values_list("pk", flat=True)
    ticked = audit.doers(["letter.posted"], [(Letter.vault_label, pk) for pk in told], kind="staff")
    coded = Letter.objects.filter(subject_id=subject, kind=LOGIN_CODE).values_list("pk", flat=True)
    hands = {f"{kind}/{who}" for kind, who in letters.in_hand(coded)}
    return entered_by(subject, SETTLED) | {f"staff/{who}" for _, _, who in ticked} | hands


def entered_by(subject: UUID, *also: str) -> set[str]:
    """Return which members of staff entered or changed a contact of the person, or did what else is named
    ("kind/id")."""
    customers = Customer.objects.for_subject(subject).values_list("pk", flat=True)
    places = Address.objects.for_subject(subject).values_list("pk", flat=True)
    own = [(Customer.vault_label, pk) for pk in customers]
    found = audit.doers([*ENTERED, *also], own, kind="staff")
    by = {who for action, fields, who in found if action in also or CONTACTS & set(fields)}
    by |= {who for _, _, who in audit.doers(ENTERED, [(Address.vault_label, pk) for pk in places], kind="staff")}
    return {f"staff/{who}" for who in by}


def not_own(point: ContactPoint, actor: Actor) -> None:
    """Raise OwnEntry for who entered or changed a contact of the person, AboutYourself for the person."""
    require_another(actor, **whose(point))
    if (subject := point.customer.subject_id) is not None and name_of(actor) in entered_by(subject):
        raise OwnEntry("You entered or changed a contact of this person. Somebody else ends the dispute.")


def whose(point: ContactPoint) -> dict[str, Any]:
    """Return whose contact it is, and the login of that customer: what `is_own` asks."""
    return {"about": [point.customer.subject_id], "by": [("customer", str(point.customer.user_id))]}


def name_of(actor: Actor) -> str:
    """Return how an actor is named where a part in something is written down."""
    return f"{actor.kind}/{actor.id or ''}"
