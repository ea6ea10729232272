"""Signing up: user name and e-mail address, nothing else (P16)."""

from __future__ import annotations

from allauth.account.internal.flows.email_verification import consume_email_verification_rate_limit
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import forms, unconfirmed
from accounts.models import User
from privacy import gate


class SignupForm(forms.SignupForm):
    """The form of the page; login and address are saved together or not at all."""

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        """Take an address for known only when a login has confirmed it: whoever signed up with it and did not, has no
        claim."""
        self.account_already_exists = unconfirmed.is_confirmed(value)
        return value

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Save the login in place of those that wait for a confirmation of the same address.

        When somebody else took name or address at the same moment, answer as for a known address. While the address
        gets no further code nothing is replaced: else a stranger could end sign-ups without end.
        """
        email = self.cleaned_data["email"]
        if not consume_email_verification_rate_limit(request, email, dry_run=True):
            raise ImmediateHttpResponse(respond_429(request))
        if self.account_already_exists:
            # A new login hashes a password: a stopwatch must not tell the two apart (R11).
            make_password(self.cleaned_data["password1"])
        else:
            own = unconfirmed.waiting_in(request)
            if own is not None:
                request.session.flush()  # it ends with what it waits for
            unconfirmed.make_way(
                self.cleaned_data["username"], email, own=own, actor=gate.current(), now=timezone.now()
            )
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:  # of the row, or of the vault's index (ValueTaken)
            self.account_already_exists = True
            return super().try_save(request)
