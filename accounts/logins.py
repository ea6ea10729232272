"""Logins made by the program itself: staff (`create_staff`) and the people of a demonstration.

Everybody else signs up (accounts/adapter.py). A one-time password must be changed at the first login.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import date, datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts import sessions, unconfirmed
from accounts.models import User
from accounts.users import LOOKALIKE
from privacy import audit, gate, registers, subjects, vault
from privacy.gate import Actor
from privacy.typed import mailbox
from privacy.vault.models import Token

PASSWORD_WORDS = 5


def create(
    *,
    username: str,
    email: str,
    password: str,
    actor: Actor | None,
    now: datetime,
    must_change_password: bool = False,
    is_staff: bool = False,
    is_manager: bool = False,
) -> User:
    """Create a login with a verified address and a subject of its own. Raises ValidationError, never with the value."""
    User._meta.get_field("username").clean(username, None)
    validate_email(email)
    mailbox.validate_usual(email)
    validate_password(password)
    if unconfirmed.taken(username, now=now):
        raise ValidationError("This user name is taken, or looks like one that is.")
    if unconfirmed.is_confirmed(email.lower()):
        raise ValidationError("This e-mail address belongs to a login already.")
    unconfirmed.make_way(username, email.lower(), actor=actor, now=now)
    with transaction.atomic():
        user = User(
            username=username,
            subject=subjects.create(now=now),
            is_staff=is_staff,
            is_superuser=is_manager,
            must_change_password=must_change_password,
            created_at=now,
        )
        user.set_password(password)
        user.save(force_insert=True)
        EmailAddress.objects.create(user=user, email=email.lower(), verified=True, primary=True)
        audit.record(
            "login.created",
            actor=actor,
            now=now,
            subject=user.subject_id,
            record=(User.vault_label, user.pk),
            reason="staff" if is_staff else "",
        )
    return user


def create_staff(
    *,
    username: str,
    email: str,
    roles: Iterable[str],
    actor: Actor | None,
    now: datetime,
    password: str = "",
    is_manager: bool = False,
    acknowledged_on: date | None = None,
    version: str = "",
) -> tuple[User, str]:
    """Create a staff login; return it with its password, a one-time password unless one was given (P40, P41).

    Without a signed acknowledgement the login opens nothing: it sees masks. Raises ValidationError.
    """
    roles = sorted(set(roles))
    if unknown := set(roles) - gate.STAFF_ROLES:
        raise ValidationError(f"There is no such role: {', '.join(sorted(unknown))}.")
    if acknowledged_on is not None:  # before a key is made: one that a refusal leaves behind holds the name
        registers.check(version=version, signed_on=acknowledged_on, now=now)
    once = password or one_time_password()
    with transaction.atomic():
        user = create(
            username=username,
            email=email,
            password=once,
            actor=actor,
            now=now,
            must_change_password=not password,
            is_staff=True,
            is_manager=is_manager,
        )
        user.set_roles(roles)
        if acknowledged_on is not None and user.subject_id is not None:
            registers.sign(
                subject=user.subject_id,
                kind=registers.Acknowledgement.Kind.CONFIDENTIALITY,
                version=version,
                actor=actor,
                now=now,
                signed_on=acknowledged_on,
            )
    return user, once


class NoSuchStaff(LookupError):
    """No active member of staff has this user name."""


def staff_named(username: str) -> User:
    """Return the active staff login with this user name. Raises NoSuchStaff, without the name."""
    user = User.objects.named(username).filter(is_staff=True, is_active=True).first()
    if user is None:
        raise NoSuchStaff("There is no active staff login with this user name.")
    return user


def end_staff(user: User, *, actor: Actor | None, now: datetime) -> int:
    """Close a staff login for good: no password, role or session is left; return how many sessions ended (P41).

    The row stays, so that logs name the same number; what it holds ends by the retention schedule. Twice is once.
    """
    with transaction.atomic():
        if not User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True).values_list("pk").first():
            return 0
        user.set_roles([], anew=True)
        user.set_unusable_password()
        user.is_active = user.is_superuser = False
        user.save(update_fields=["password", "is_active", "is_superuser"], anew=True)
        audit.record(
            "login.ended",
            actor=actor,
            now=now,
            subject=user.subject_id,
            record=(User.vault_label, user.pk),
            reason="staff",
        )
        return sessions.end_all(user.subject_id) if user.subject_id is not None else 0


def index_lookalikes() -> int:
    """Seal the names of before anew, so that new ones are compared with them; return how many. Safe to repeat."""
    indexed = set(Token.objects.filter(field=LOOKALIKE).values_list("record", flat=True))
    old = User.objects.filter(sealed_account__isnull=False).exclude(pk__in=indexed).order_by("pk")
    for user in old:
        vault.rekey(user, ["account"])
    return len(old)


def one_time_password() -> str:
    """Return a random password of 100 bits that can be read out and typed."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(PASSWORD_WORDS))
