"""allauth's seams: what it says, where it sends, how it stores (seams of the login).

What must never happen: an answer that tells whether somebody has an account, by its text or by the time a mail server
takes; a secret of a second factor in clear; the program opening an address outside the login's own pages.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import (
    activity,
    confirmed,
    factor_secrets,
    hashing,
    middleware,
    notices,
    reach,
    services,
    sessions,
    unconfirmed,
    witnessed,
)
from accounts.models import Customer, LoginAddress, User
from privacy import audit, gate, letters, subjects, vault
from privacy.gate.system import system
from privacy.typed import mailbox

logger = logging.getLogger(__name__)

# What allauth hands to its templates that lets its bearer in, and what the letter calls it.
CREDENTIALS = {"activate_url": "link", "password_reset_url": "reset_link", "code": "code", "key": "key"}
# Which of them a kind of letter gives. The `password_reset_url` of `account_already_exists` is the page where anybody
# asks for a link: the letter names it, and it lets nobody in. A kind that is not named gives all that it is handed.
NONE: frozenset[str] = frozenset()
GIVES = {
    "account_already_exists": NONE,
    "email_confirmation": frozenset({"code"}),
    "email_confirmation_signup": frozenset({"code"}),
    "email_deleted": NONE,
    "password_changed": NONE,
    "password_reset": NONE,
    "password_reset_key": frozenset({"password_reset_url", "key"}),
    "password_set": NONE,
    "recovery_codes_generated": NONE,
    "totp_activated": NONE,
    "totp_deactivated": NONE,
    "unknown_account": NONE,
}
# By the limits of `login_failed` (settings.ACCOUNT_RATE_LIMITS): the same for every name and address, known or not.
TOO_MANY = (
    "Too many failed login attempts with this name or address, or from your connection. The next one is looked at in five "
    "minutes at the latest."
)
CREDENTIALS_WORK = timedelta(days=3)  # the longest of them: a link to confirm an address or to choose a new password
# Mail that somebody not signed in can have sent to any address.
ASKED_FOR_BY_ANYBODY = frozenset(
    {
        "account_already_exists",
        "email_confirmation",
        "email_confirmation_signup",
        "login_code",
        "password_reset_code",
        "password_reset_key",
        "unknown_account",
    }
)


def address_of(record_id: UUID) -> str:
    """Return a login's address: as the one who is logged in may see it, or for the login's own pages; else ""."""
    address = _opened(record_id)
    if isinstance(address, vault.Masked) and middleware.at_login():
        with system("login"):
            address = str(_opened(record_id))
    return "" if isinstance(address, vault.Unreadable) else address


def _confirmed_but(email_address: EmailAddress) -> list[str]:
    """Return the confirmed addresses of the login besides this one, as the login's own pages may read them; those too
    of which only the table or only the site says so: they are told that they are left."""
    others = type(email_address).objects.filter(user=email_address.user_id).exclude(pk=email_address.pk)
    is_so = [one for one in others if one.verified or confirmed.is_of(confirmed.number_of(one), one.user_id)]
    return [found for one in is_so if (found := one.email)]


def _harmless(name: str) -> str:
    """Return a user name as it may stand in a letter to an address that nobody has confirmed, "" when it may not."""
    plain = unicodedata.normalize("NFKC", name)  # some signs that count as letters have a dot in them
    is_harmless = len(plain) <= 30 and "." not in plain and sum(sign.isdigit() for sign in plain) <= 6
    return name if is_harmless else ""


def _opened(record_id: UUID) -> Any:
    record = LoginAddress.objects.filter(pk=record_id).first()
    return record.email if record else ""


def display(user: User) -> str:
    """Name a user in mails and messages without naming anybody (ACCOUNT_USER_DISPLAY)."""
    return "you"


def _other_addresses(user: User, email: str) -> list[str]:
    """Return every address of login and contact but this one, to be written to at once; shown to nobody."""
    if user.subject_id is None:
        return []
    with vault.internal():
        return reach.others(user.subject_id, but=email)


def _login_changed(request: HttpRequest, user: User, told: Sequence[str], left: Sequence[str], now: datetime) -> None:
    """Tell these addresses that the login's was changed, those among them that it leaves behind in so many words, and
    end the user's other sessions: in the transaction of the change."""
    customer = reach.customer_of(user)
    if customer is None and not user.is_staff and user.subject_id is not None:
        customer = services.customer_of(user, actor=gate.current(), now=now, today=timezone.localdate(now))
    notices.login_changed(user, customer, told=told, left=left, now=now)
    request.session.cycle_key()  # a copy of this browser's cookie is another session, too
    sessions.end_others(user.pk, but=request.session.session_key)
    audit.record(
        "login.address_changed",
        actor=gate.current(),
        now=now,
        subject=user.subject_id,
        record=(User.vault_label, user.pk),
        fields=["email"],
    )


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up, verification and mail of every login, staff included."""

    def new_user(self, request: HttpRequest) -> User:
        return User(created_at=timezone.now())

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save a new login with a subject of its own; a customer is made when one is needed (P16)."""
        with transaction.atomic():
            user.subject = subjects.create(now=user.created_at)
            saved: User = super().save_user(request, user, form, commit=commit)
            audit.record(
                "account.created",
                actor=gate.current(),
                now=user.created_at,
                subject=user.subject_id,
                record=(User.vault_label, user.pk),
                fields=["username", "email"],
            )
        return saved

    def populate_username(self, request: HttpRequest, user: User) -> None:
        """A user name is asked for, never made up."""

    def clean_email(self, email: str) -> str:
        """Return an address for a login in the one spelling that all its others lead to. Raises ValidationError."""
        mailbox.validate_usual(email)
        return email

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Return an acceptable user name that nobody has, and nobody's looks like. Raises ValidationError."""
        refused = {vault.index.normalise("lookalike", one) for one in settings.ACCOUNT_USERNAME_BLACKLIST}
        if vault.index.normalise("lookalike", username) in refused:
            raise self.validation_error("username_blacklisted")
        for validator in User._meta.get_field("username").validators:
            validator(username)
        if not shallow:
            own = unconfirmed.waiting_in(self.request)
            if unconfirmed.taken(username, own=own, now=timezone.now()):
                raise self.validation_error("username_taken")
        return username

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address and end the sign-ups that wait with the same one; False when another login was first, and
        while somebody objects to the login's address.

        Where the login had another one, that one and every contact are told, and the user's other sessions end.
        """
        now = timezone.now()
        try:
            with transaction.atomic():
                # What ends a sign-up locks the same row (accounts/unconfirmed.py).
                user = User.objects.select_for_update().filter(pk=email_address.user_id).first()
                if user is None:
                    return False
                notices.require_undisputed(user)
                left = _confirmed_but(email_address)  # read before they are gone
                told = _other_addresses(user, email_address.email) if left else []
                if not super().confirm_email(request, email_address):
                    return False
                if left:
                    _login_changed(request, user, told, left, now)
                else:
                    witnessed.confirm(user, actor=gate.current(), now=now)
        except (IntegrityError, notices.LoginDisputed):
            return False
        unconfirmed.make_way("", email_address.email, but=email_address.user_id, actor=gate.current(), now=now)
        return True

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Return whether the owner may take an address back: one that waits for its code only. What was confirmed ends
        by another one that is confirmed, so that everybody who has to is told."""
        return not email_address.verified

    def set_password(self, user: User, password: str) -> None:
        """Set a password; a one-time password is one no more, and no other browser goes on that is half-way in.

        Raises PermissionDenied where the login has another one by now than when the old one, or the link, was looked
        at.
        """
        with transaction.atomic():
            known = User.objects.select_for_update().filter(pk=user.pk).values_list("password", flat=True).first()
            if known != user.password:
                raise PermissionDenied
            user.must_change_password = False
            super().set_password(user, password)
            sessions.end_others(user.pk, but=self.request.session.session_key if self.request else None)
            audit.record(
                "password.changed",
                actor=gate.current(),
                now=timezone.now(),
                subject=user.subject_id,
                record=(User.vault_label, user.pk),
            )

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a try to sign in. Raises ValidationError where a limit is reached: it says what is limited, and until
        when."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as reached:
            raise ValidationError(TOO_MANY, code=reached.code) from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Return the user of these credentials, or None. A try that was not looked at (hashing.Busy) is not counted."""
        try:
            return super().authenticate(request, **credentials)
        except hashing.Busy:
            self._rollback_login_failed_rl_usage()
            raise

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what the limit of tries counts by.

        One key for every spelling that leads to one account: a name is found whatever its letters' case and width. And
        a keyed one: whoever reads the cache must not be able to test an address.
        """
        name = "email" if "email" in credentials else "username"
        return vault.index.token(f"login.{name}", "limit", vault.index.normalise(name, credentials[name])).hex()

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> Any:
        """Note the day: an account's retention counts from its last use."""
        own = Customer.objects.filter(user=user, subject=user.subject_id)
        activity.touch(own.values_list("pk", flat=True), on=timezone.localdate())
        return super().post_login(request, user, **kwargs)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Return how somebody may show again who he is: who has enrolled, by the second factor and not by the
        password."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        by_factor = [one for one in methods if one["id"].startswith("mfa_")]
        return by_factor or methods

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Lead on after a new password, staff to their work: the form itself would look as if nothing had happened."""
        return reverse("admin:index" if getattr(request.user, "is_staff", False) else "account")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Put the mail into the sealed outbox: no page waits for a mail server, and none can be timed by it."""
        user, kind, now = context.get("user"), template_prefix.rpartition("/")[2], timezone.now()
        given = GIVES.get(kind, frozenset(CREDENTIALS))
        gives = {name: context[name] for name in CREDENTIALS if name in given and context.get(name)}
        message = self.render_mail(
            template_prefix,
            email,
            {
                "email": email,
                "company": settings.COMPANY,
                "portal_url": settings.PORTAL_URL,
                **context,
                **{name: letters.placeholder(CREDENTIALS[name]) for name in gives},
            },
        )
        assert isinstance(message, EmailMultiAlternatives)  # noqa: S101  the text part always exists
        if kind in ASKED_FOR_BY_ANYBODY and not letters.within_cap(kind, email, now=now):
            return  # the page says the same, and takes as long (EvenTimeMiddleware)
        letters.queue_message(
            message,
            key=f"login:{uuid4()}",
            now=now,
            kind=kind,
            subject=getattr(user, "subject_id", None),
            credentials={CREDENTIALS[name]: str(value) for name, value in gives.items()},
            until=now + CREDENTIALS_WORK,
        )

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the user about a change to the login; the letter belongs to the user's subject and ends with it.

        Of a changed address nothing is told here: allauth would write to the new one, for the old one is gone by then
        (`confirm_email` tells it).
        """
        if template_prefix == "account/email/email_changed":
            return
        super().send_notification_mail(template_prefix, user, {**(context or {}), "user": user}, email)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """Send the code. The letter names the login that wants the address: its reader knows whether it is theirs.

        The name is what somebody typed, and the reader may be anybody: what could be taken for a link or a telephone
        number, or has room for a sentence, is left out.
        """
        address = emailconfirmation.email_address
        with system("login"):
            name = _harmless(str(address.user.username))
        context = {"user": address.user, "username": name, "code": emailconfirmation.key}
        template = "email_confirmation_signup" if signup else "email_confirmation"
        self.send_mail(f"account/email/{template}", address.email, context)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link for the mail; its host is ours, whatever the request's header says."""
        return settings.PORTAL_URL + reverse("account_reset_password_from_key", args=["UID", "KEY"]).replace(
            "UID-KEY", key
        )


class MFAAdapter(DefaultMFAAdapter):
    """Secrets of second factors are sealed, each to its login (accounts/factor_secrets.py)."""

    def encrypt(self, text: str) -> str:
        return factor_secrets.Fresh.of(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; where it was not sealed to the login in whose row it stands one that no code matches."""
        try:
            return factor_secrets.opened(encrypted_text)
        except vault.BlobDamaged:
            logger.error("The secret of a second factor does not belong to the login in whose row it stands.")
            return generate_totp_secret()

    def get_totp_issuer(self) -> str:
        return str(settings.COMPANY["name"])
