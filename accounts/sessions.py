"""Browser sessions, sealed (SESSION_ENGINE).

What must never happen: a session that can be read from a dump, a session key that opens a browser's session when
found in a dump, or a session that outlives an erasure. So the contents are sealed (allauth keeps addresses and
TOTP secrets in them), the stored key is a keyed hash of the cookie, and the row names user and subject.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db.models import Q
from django.utils import timezone

from privacy import vault

LOGIN_IN_PROGRESS = "account_login"  # where allauth keeps a login that still waits for a code or a verification


class SealedSerializer:
    """Turns the contents into bytes that nobody reads without the key ring."""

    def dumps(self, contents: dict[str, Any]) -> bytes:
        return vault.seal_blob("session", json.dumps(contents, separators=(",", ":")).encode())

    def loads(self, sealed: bytes) -> dict[str, Any]:
        return json.loads(vault.open_blob("session", sealed))


def stored_key(key: str) -> str:
    """Return what stands in the table for the key in a browser's cookie."""
    return hmac.new(vault.ring.current().derive("session-key"), key.encode(), hashlib.sha256).hexdigest()[:40]


class SessionStore(DatabaseStore):
    """Django's database store over `accounts.Session`."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.serializer = SealedSerializer

    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import Session

        return Session

    def _get_session_from_db(self) -> Any:
        found = self.model.objects.filter(
            session_key=stored_key(self.session_key or ""), expire_date__gt=timezone.now()
        ).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(stored_key(key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        user_id, subject_id = _person(data)
        return self.get_model_class()(
            session_key=stored_key(self._get_or_create_session_key()),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            user_id=user_id,
            subject_id=subject_id,
        )


def _person(data: dict[str, Any]) -> tuple[UUID | None, UUID | None]:
    """Return user and subject of the one who is logged in, or is about to be."""
    from accounts.models import User

    pending = data.get(LOGIN_IN_PROGRESS)
    user_id = data.get(SESSION_KEY) or (pending.get("user_pk") if isinstance(pending, dict) else None)
    if not user_id:
        return None, None
    found = User.objects.filter(pk=user_id).values_list("pk", "subject_id").first()
    return found or (None, None)


def end_others(user_id: UUID, *, but: str | None) -> int:
    """End every session of a login except the one with the cookie `but`, half-finished logins included; return how many."""
    from accounts.models import Session

    found = Session.objects.filter(user_id=user_id)
    return (found.exclude(session_key=stored_key(but)) if but else found).delete()[0]


def end_all(subject_id: UUID) -> int:
    """End every session of a subject, half-finished logins included; return how many ended. Safe to repeat."""
    from accounts.models import Session

    return Session.objects.filter(Q(subject_id=subject_id) | Q(user__subject_id=subject_id)).delete()[0]
