"""Login by user name, through the blind index, or by e-mail address, through the handle.

A login whose row does not say what the site wrote is nobody (accounts/vouching.py): a wrong
password, or a session that ends.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest
from django.utils import timezone

from accounts import vouching
from accounts.models import User
from privacy.vault.compiled import Question


@cache
def _with_roles() -> Question:
    # Compiled once: every page of somebody signed in asks for the login.
    return Question(User.objects.with_roles().filter(pk=Question.NUMBER), Question.NUMBER)


class LoginBackend(AuthenticationBackend):
    """allauth's backend. Its look-up by user name, an SQL comparison, cannot work on a sealed name; and it looks at the
    password of one who is known by e-mail twice, which takes twice the time an unknown address does (R11).
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        self._looked_at: set[Any] = set()  # Django makes a backend for each login
        user: User | None = super().authenticate(request, **credentials)
        return user

    def _authenticate_by_username(self, username: str, password: str) -> User | None:
        user = User.objects.named(username).first() if username else None
        return self._check_password(user, password)

    def _check_password(self, user: User | None, password: str) -> User | None:
        if user is None or user.pk in self._looked_at:
            return None
        self._looked_at.add(user.pk)
        if not user.is_vouched:
            vouching.refuse(user, now=timezone.now())
            return None  # what evens the time hashes a password, as for an unknown name
        checked: User | None = super()._check_password(user, password)
        return checked

    def get_user(self, user_id: Any) -> User | None:
        """Return the login of a session, None where it was closed or is doubted; roles and keyed hash in one query."""
        user: User | None = _with_roles().record(User._meta.pk.to_python(user_id))
        if user is None or not self.user_can_authenticate(user):
            return None
        if not user.is_vouched:
            vouching.refuse(user, now=timezone.now())
            return None
        return user
