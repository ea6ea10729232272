"""The secrets of second factors, each sealed to its login: the app's and the seed of the recovery codes.

What must never happen: a secret that opens in somebody else's row. Who can write to the database could else copy the
own one into the row of a member of staff, and show the own app's code.

allauth seals and opens a text without saying whose it is. `install()` changes how the column is read and written: a
text from the table carries the number of the row's login (`Sealed`), one that allauth just sealed is bound to it when
the row is saved (`Fresh`). A text that came from the table is never bound anew: only `bind_all` does that, once, for
those of the version before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from privacy import vault

PURPOSE = "totp"


class Fresh(str):
    """A secret that was just sealed, for no login yet."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> Fresh:
        return cls(base64.b64encode(vault.seal_blob(PURPOSE, text.encode(), of=None)).decode())


class Sealed(str):
    """A text from the table, and the login in whose row it stands."""

    __slots__ = ("login",)
    login: UUID

    @classmethod
    def of(cls, text: str, login: UUID) -> Sealed:
        sealed = cls(text)
        sealed.login = login
        return sealed


def opened(text: str) -> str:
    """Return a secret. Raises BlobDamaged where it was not sealed to the login in whose row it stands."""
    if isinstance(text, Fresh):
        return _unbound(text)
    if not isinstance(text, Sealed):
        raise vault.BlobDamaged("A secret opens in the row of its login only.")
    return vault.open_blob(PURPOSE, _bytes(text), of=str(text.login)).decode()


def _unbound(text: str) -> str:
    return vault.open_blob(PURPOSE, _bytes(text), of=None).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise vault.BlobDamaged("Not a sealed secret.") from None


def _bound(text: str, login: UUID) -> Sealed:
    sealed = vault.seal_blob(PURPOSE, _unbound(text).encode(), of=str(login))
    return Sealed.of(base64.b64encode(sealed).decode(), login)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return the column's value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _each(one, change) for name, one in value.items()}
    return [_each(one, change) for one in value] if isinstance(value, list) else value


class DataAttribute(DeferredAttribute):
    """Marks each text of a row that was read with the row's login."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is None or instance.pk is None or not isinstance(value, dict):
            return value
        if any(type(one) is str for one in value.values()):
            value = _each(value, lambda one: one if isinstance(one, Fresh) else Sealed.of(one, instance.user_id))
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        """Stand before the instance's own value, so that reading passes here."""
        instance.__dict__[self.field.attname] = value


class DataField(models.JSONField):
    """allauth's column, with secrets bound to the row's login as it is written."""

    descriptor_class = DataAttribute

    def deconstruct(self) -> Any:
        """Look like what allauth's own migrations know; otherwise one would be written into the installed package."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def pre_save(self, instance: Any, add: bool) -> Any:
        value = _each(
            super().pre_save(instance, add),
            lambda one: _bound(one, instance.user_id) if isinstance(one, Fresh) else one,
        )
        setattr(instance, self.attname, value)
        return value


def install() -> None:
    """Put the binding behind allauth's column (AppConfig.ready). Safe to repeat."""
    from allauth.mfa.models import Authenticator

    field = Authenticator._meta.get_field("data")
    if isinstance(field, DataField):
        return
    field.__class__ = DataField
    field.__dict__.pop("cached_col", None)
    Authenticator.data = DataAttribute(field)


def bind_all() -> int:
    """Bind the secrets of the version before to the logins in whose rows they stand; return how many rows.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once). What
    does not open stays as it is.
    """
    from allauth.mfa.models import Authenticator

    done = 0
    for row in Authenticator.objects.select_for_update().order_by("pk").iterator(500):
        try:
            row.data = _each(row.data, lambda one: _bound(one, row.user_id))  # noqa: B023  used at once
        except vault.BlobDamaged:
            continue
        row.save(update_fields=["data"])
        done += 1
    return done
