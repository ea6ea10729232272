"""Login by user name, through the blind index, or by e-mail address, through the handle."""

from __future__ import annotations

from allauth.account.auth_backends import AuthenticationBackend

from accounts.models import User


class LoginBackend(AuthenticationBackend):
    """allauth's backend; only its look-up by user name, an SQL comparison, cannot work on a sealed name."""

    def _authenticate_by_username(self, username: str, password: str) -> User | None:
        user = User.objects.named(username).first() if username else None
        return self._check_password(user, password)
