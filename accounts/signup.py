"""Signing up: user name and e-mail address, nothing else (P16)."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from accounts import forms
from accounts.models import User


class SignupForm(forms.SignupForm):
    """The form of the page; login and address are saved together or not at all."""

    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Save the login. When somebody else took name or address at the same moment, answer as for a known address."""
        if self.account_already_exists:
            # A new login hashes a password: a stopwatch must not tell the two apart (R11).
            make_password(self.cleaned_data["password1"])
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:  # of the row, or of the vault's index (ValueTaken)
            self.account_already_exists = True
            return super().try_save(request)
