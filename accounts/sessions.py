"""Browser sessions, sealed (SESSION_ENGINE).

What must never happen: a session that can be read from a dump, a session key that opens a browser's session when found
in a dump, contents that open under another cookie than their own, a session that outlives an erasure, or a copy of a
cookie that gains by what its owner shows. So the contents are sealed to their key (allauth keeps addresses and TOTP
secrets in them), the stored key is a keyed hash of the cookie, the row names user and subject, and who shows once more
who it is goes on under a new cookie, whichever page asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Any
from uuid import UUID

from allauth.account.signals import authentication_step_completed
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core import signing
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from privacy import vault
from privacy.vault.compiled import Question

logger = logging.getLogger(__name__)

LOGIN_IN_PROGRESS = "account_login"  # where allauth keeps a login that still waits for a code or a verification


class SealedSerializer:
    """Turns the contents into bytes that nobody reads without the key ring, nor under another key in the table."""

    def __init__(self, stored: str) -> None:
        self.stored = stored

    def dumps(self, contents: dict[str, Any]) -> bytes:
        return vault.seal_blob("session", json.dumps(contents, separators=(",", ":")).encode(), of=self.stored)

    def loads(self, sealed: bytes) -> dict[str, Any]:
        return json.loads(vault.open_blob("session", sealed, of=self.stored))


def stored_key(key: str) -> str:
    """Return what stands in the table for the key in a browser's cookie."""
    return hmac.new(vault.ring.current().derive("session-key"), key.encode(), hashlib.sha256).hexdigest()[:40]


class SessionStore(DatabaseStore):
    """Django's database store over `accounts.Session`."""

    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import Session

        return Session

    def _get_session_from_db(self) -> Any:
        found = _session_of()(stored_key(self.session_key or ""), timezone.now())
        if found is None:
            self._session_key = None
        return found

    def load(self) -> dict[str, Any]:
        """Return the contents, none where row and contents name different people: a row that was taken from its person
        was not ended with them, and opens nothing any more."""
        found = self._get_session_from_db()
        if found is None:
            return {}
        contents = self.decode(found.session_data)
        if _user_in(contents) != found.user_id:
            logger.warning("A session is not of whom its row names: it is treated as nobody's.")
            self._session_key = None
            return {}
        return contents

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Seal the contents to this session's key; makes one where there is none yet."""
        stored = stored_key(self._get_or_create_session_key())  # type: ignore[attr-defined]
        return signing.dumps(session_dict, salt=self.key_salt, serializer=partial(SealedSerializer, stored))  # type: ignore[arg-type]

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Return the contents, none where they were not sealed to this session's key: then it is nobody's."""
        return self.opened(stored_key(self.session_key or ""), session_data)

    def opened(self, stored: str, session_data: bytes | str) -> dict[str, Any]:
        """Return the contents of the row with this key, as `decode` does."""
        try:
            serializer = partial(SealedSerializer, stored)
            return signing.loads(session_data, salt=self.key_salt, serializer=serializer)  # type: ignore[arg-type]
        except (signing.BadSignature, vault.BlobDamaged):
            logger.warning("The contents of a session do not belong to its key: it is treated as nobody's.")
            return {}

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
    user = _user_in(data)
    for pk, subject_id in _person_of_user()(user) if user else ():
        return pk, subject_id
    return None, None


def _user_in(data: dict[str, Any]) -> UUID | None:
    from accounts.models import User

    pending = data.get(LOGIN_IN_PROGRESS)
    user_id = data.get(SESSION_KEY) or (pending.get("user_pk") if isinstance(pending, dict) else None)
    return User._meta.pk.to_python(user_id) if user_id else None


@cache
def _session_of() -> Callable[[str, datetime], Any]:
    # Compiled once: each page of somebody who is logged in asks for it.
    from accounts.models import Session

    rows = Session.objects.filter(session_key=Question.TEXT, expire_date__gt=Question.MOMENT)
    return Question(rows, Question.TEXT, Question.MOMENT).record


@cache
def _person_of_user() -> Question:
    # Compiled once: each saving of a session asks for it.
    from accounts.models import User

    return Question(User.objects.filter(pk=Question.NUMBER).values_list("pk", "subject_id"), Question.NUMBER)


def install() -> None:
    """Connect what must follow a password or code that is shown once more, by allauth's own signal. Called once, when
    apps are ready."""
    authentication_step_completed.connect(shown_again, dispatch_uid="accounts.sessions.shown_again")


def shown_again(request: HttpRequest, reauthenticated: bool = False, **kwargs: Any) -> None:
    """Give a session in which somebody showed once more who it is a new cookie, and end the old one."""
    if reauthenticated:
        request.session.cycle_key()


def end_others(user_id: UUID, *, but: str | None) -> int:
    """End every session of a login except the one with the cookie `but`, half-finished logins included; return how
    many."""
    from accounts.models import Session

    found = Session.objects.filter(user_id=user_id)
    return (found.exclude(session_key=stored_key(but)) if but else found).delete()[0]


def end_all(subject_id: UUID) -> int:
    """End every session of a subject, half-finished logins included; return how many ended. Safe to repeat."""
    from accounts.models import Session

    return Session.objects.filter(Q(subject_id=subject_id) | Q(user__subject_id=subject_id)).delete()[0]
