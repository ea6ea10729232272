"""The second factor: an authenticator app, proved by the session that uses it (design 9, P45).

What must never happen: a session that began with the password alone in the back office of somebody who has
enrolled, or the factor switched off with the password alone. So the session's own record of how it was
authenticated counts, not that of the account; enrolment ends the user's other sessions; and where an enrolled user
is asked again who he is, the answer is a code. Somebody who lost app and recovery codes turns to an operator
(`reset`, by the command `factor_reset`).
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.utils import decrypt
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import sessions
from accounts.models import User
from privacy import audit, gate, letters, people, vault
from privacy.gate import Actor
from privacy.vault.compiled import Question

PERIOD = 30  # seconds that an app shows a code


class NotEnrolled(LookupError):
    """The login has no second factor."""


def is_enrolled(user: User) -> bool:
    """Say whether the login has a second factor."""
    return user.pk is not None and bool(_factors_of()(user.pk))


@cache
def _factors_of() -> Question:
    # Compiled once: almost every page of somebody signed in asks for it.
    rows = Authenticator.objects.filter(user=Question.NUMBER, type=Authenticator.Type.TOTP)
    return Question(rows.values_list("pk")[:1], Question.NUMBER)


def is_proved(request: HttpRequest) -> bool:
    """Say whether this session was authenticated with the second factor; a recovery code counts."""
    return any(one.get("method") == "mfa" for one in get_authentication_records(request, request.user))


def asked_again(request: HttpRequest) -> bool:
    """Say whether somebody confirmed in this session who he is, by whatever means."""
    return any(one.get("reauthenticated") for one in get_authentication_records(request, request.user))


# Enrolling and ending -------------------------------------------------------------------------------------------------


def install() -> None:
    """Connect what must follow a change of the factor, by allauth's own signals. Called once, when apps are ready."""
    signals.authenticator_added.connect(_added, dispatch_uid="accounts.factor.added")
    signals.authenticator_removed.connect(_removed, dispatch_uid="accounts.factor.removed")
    signals.authenticator_reset.connect(_renewed, dispatch_uid="accounts.factor.renewed")


def _added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Count the session that enrols as proved, for it just showed a code, and end the user's others."""
    if authenticator.type != Authenticator.Type.TOTP:
        return
    # With it the session gets a new number (sessions.shown_again).
    record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type, reauthenticated=True)
    sessions.end_others(user.pk, but=request.session.session_key)
    _noted("factor.added", user)


def _removed(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        request.session.cycle_key()
        sessions.end_others(user.pk, but=request.session.session_key)
        _noted("factor.removed", user)


def _renewed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    _noted("factor.codes_renewed", user)


def _noted(
    action: str, user: User, *, actor: Actor | None = None, now: datetime | None = None, reason: str = ""
) -> None:
    audit.record(
        action,
        actor=actor or gate.current(),
        now=now or timezone.now(),
        subject=user.subject_id,
        record=(User.vault_label, user.pk),
        reason=reason,
    )


def reset(user: User, *, reason: str, actor: Actor | None, now: datetime) -> int:
    """Take the second factor and its recovery codes from a login, by an operator's decision;
    return how many sessions ended.

    For somebody who lost both: whoever asks was recognised by other means (`reason` is a word of the command's list).
    The owner is told by letter. Raises NotEnrolled.
    """
    with transaction.atomic():
        if not Authenticator.objects.filter(user=user).delete()[0]:
            raise NotEnrolled("This login has no second factor.")
        ended = sessions.end_all(user.subject_id) if user.subject_id is not None else 0
        _noted("factor.reset", user, actor=actor, now=now, reason=reason)
        if user.subject_id is not None:
            with vault.internal():  # shown to nobody
                to = people.ask().address(user.subject_id)
            letters.queue(
                "factor_reset", to=to, context={}, key=f"factor-reset:{uuid4()}", now=now, subject=user.subject_id
            )
    return ended


# A demonstration ------------------------------------------------------------------------------------------------------


def enrol(user: User) -> None:
    """Give a login a second factor with a secret of its own: the people of a demonstration."""
    TOTP.activate(user, generate_totp_secret())


def code(user: User, *, now: datetime) -> tuple[str, int]:
    """Return the code that the user's app would show, and for how many seconds still. Raises NotEnrolled."""
    found = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    if found is None:
        raise NotEnrolled("This login has no second factor.")
    seconds = int(now.timestamp())
    return format_hotp_value(hotp_value(decrypt(found.data["secret"]), seconds // PERIOD)), PERIOD - seconds % PERIOD
