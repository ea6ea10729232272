"""What requests ask about people (privacy.requests.hooks): who has an address, how to write to them, how to sign out.

Nothing here decides who may know: what opens an envelope does so under the caller's actor.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from allauth.account.models import EmailAddress

from accounts import handles, sessions
from accounts.models import Communication, Customer, LoginAddress, User
from privacy.vault import Unreadable


def find(email: str) -> list[UUID]:
    """Return the subjects who verified this address, or on whose file it stands; opens nothing (blind index)."""
    found: set[UUID | None] = set()
    found.update(User.objects.filter(pk__in=logins_with(email)).values_list("subject_id", flat=True))
    found.update(Customer.objects.find("customer.email", email).values_list("subject_id", flat=True))
    found.update(Communication.objects.find("communication.email", email).values_list("subject_id", flat=True))
    return sorted(subject for subject in found if subject is not None)


def logins_with(text: str) -> list[UUID]:
    """Return the users who verified exactly this address; none for a text that is no address. Opens nothing."""
    handle = handles.find(text) if "@" in text else None
    if handle is None:
        return []
    return list(EmailAddress.objects.filter(email=handle, verified=True).values_list("user_id", flat=True))


def address(subject: UUID) -> str:
    """Return where to write to a subject: the login's verified address, else the one on file; "" when there is none."""
    verified = EmailAddress.objects.filter(user__subject_id=subject, verified=True).values_list("email", flat=True)
    records = [handle.record_id for handle in verified if isinstance(handle, handles.Handle)]
    for record in LoginAddress.objects.filter(pk__in=[one for one in records if one]):
        if record.email and not isinstance(record.email, Unreadable):
            return record.email
    for queryset in (
        Customer.objects.for_subject(subject).order_by("pk"),
        Communication.objects.for_subject(subject).order_by("-received_on"),
    ):
        for found in queryset:
            if found.email and not isinstance(found.email, Unreadable):
                return found.email
    return ""


def name(subject: UUID) -> str:
    """Return how to greet a subject: first and last name; "" when they are unknown."""
    for customer in Customer.objects.for_subject(subject).order_by("pk"):
        parts = [customer.first_name, customer.last_name]
        known = [part for part in parts if part and not isinstance(part, Unreadable)]
        if known:
            return " ".join(known)
    return ""


def sign_out(subject: UUID, now: datetime) -> int:
    """End every session of a subject, half-finished logins included; return how many ended. Safe to repeat."""
    return sessions.end_all(subject)


def has_login(subject: UUID) -> bool:
    """Return whether the subject can log in to read an answer in the portal."""
    return User.objects.filter(subject_id=subject, is_active=True).exists()
