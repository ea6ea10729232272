"""The same record six ways: five texts of a person as plain columns, in one envelope, and by four other libraries."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import encrypted_fields.fields as fernet_fields
import encrypted_model_fields.fields as model_fields
from django.db import models
from django_cryptography.fields import encrypt

from privacy.vault import EncryptedEmailField, EncryptedTextField, Exact, SealedModel

NAMES = ("one", "two", "three", "four", "five")


def _searchable_fields() -> Any:
    """Return django-searchable-encrypted-fields, whose package has the name of another's (see benchmarks/run)."""
    file = Path(sys.prefix) / "beside" / "encrypted_fields" / "fields.py"
    spec = importlib.util.spec_from_file_location("searchable_encrypted_fields", file)
    if spec is None or spec.loader is None:
        raise ImportError("django-searchable-encrypted-fields is not installed: use benchmarks/run.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


searchable_fields = _searchable_fields()


class Plain(models.Model):
    """The record without encryption: what everything is measured against."""

    subject_id = models.UUIDField(null=True)
    one = models.TextField()
    two = models.TextField()
    three = models.TextField()
    four = models.TextField()
    five = models.TextField()

    def __str__(self) -> str:
        return str(self.pk)


class Sealed(SealedModel):
    """The record in the vault: one envelope, one column, one data key a row."""

    vault_label: ClassVar[str] = "benchmarks.sealed"

    subject_id = models.UUIDField(null=True)
    one = EncryptedTextField(envelope="account")
    two = EncryptedTextField(envelope="account")
    three = EncryptedTextField(envelope="account")
    four = EncryptedTextField(envelope="account")
    five = EncryptedTextField(envelope="account")

    def __str__(self) -> str:
        return str(self.pk)

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)


class FernetFields(models.Model):
    """django-fernet-encrypted-fields."""

    subject_id = models.UUIDField(null=True)
    one = fernet_fields.EncryptedTextField()
    two = fernet_fields.EncryptedTextField()
    three = fernet_fields.EncryptedTextField()
    four = fernet_fields.EncryptedTextField()
    five = fernet_fields.EncryptedTextField()

    def __str__(self) -> str:
        return str(self.pk)


class ModelFields(models.Model):
    """django-encrypted-model-fields."""

    subject_id = models.UUIDField(null=True)
    one = model_fields.EncryptedTextField()
    two = model_fields.EncryptedTextField()
    three = model_fields.EncryptedTextField()
    four = model_fields.EncryptedTextField()
    five = model_fields.EncryptedTextField()

    def __str__(self) -> str:
        return str(self.pk)


class Cryptography(models.Model):
    """django-cryptography-5."""

    subject_id = models.UUIDField(null=True)
    one = encrypt(models.TextField())
    two = encrypt(models.TextField())
    three = encrypt(models.TextField())
    four = encrypt(models.TextField())
    five = encrypt(models.TextField())

    def __str__(self) -> str:
        return str(self.pk)


class SearchableFields(models.Model):
    """django-searchable-encrypted-fields."""

    subject_id = models.UUIDField(null=True)
    one = searchable_fields.EncryptedTextField()
    two = searchable_fields.EncryptedTextField()
    three = searchable_fields.EncryptedTextField()
    four = searchable_fields.EncryptedTextField()
    five = searchable_fields.EncryptedTextField()

    def __str__(self) -> str:
        return str(self.pk)


LIBRARIES = {
    "django-fernet-encrypted-fields": FernetFields,
    "django-encrypted-model-fields": ModelFields,
    "django-cryptography-5": Cryptography,
    "django-searchable-encrypted-fields": SearchableFields,
}


class PlainContact(models.Model):
    """A record that is found by a plain, indexed address."""

    subject_id = models.UUIDField(null=True)
    email = models.CharField(max_length=254, db_index=True)

    def __str__(self) -> str:
        return str(self.pk)


class SealedContact(SealedModel):
    """A record that is found by a blind index of its sealed address."""

    vault_label: ClassVar[str] = "benchmarks.contact"

    subject_id = models.UUIDField(null=True)
    email = EncryptedEmailField(envelope="account", blind=Exact("benchmarks.contact.email", "email"))

    def __str__(self) -> str:
        return str(self.pk)

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)
