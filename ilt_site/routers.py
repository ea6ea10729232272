"""Which tables live in which database: the vault alone lives in the key store."""

from typing import Any

from django.db.models import Model

KEYSTORE_APP = "vault"


class KeystoreRouter:
    """Send the app `vault` to the alias `keystore`, everything else to `default`."""

    def _alias(self, app_label: str) -> str:
        return "keystore" if app_label == KEYSTORE_APP else "default"

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return self._alias(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return self._alias(model._meta.app_label)

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return self._alias(one._meta.app_label) == self._alias(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == self._alias(app_label)
