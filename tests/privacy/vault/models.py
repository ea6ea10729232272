"""Models that only these tests use: their tables are made when the first test of this folder needs them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models

from privacy.vault import (
    EncryptedDateField,
    EncryptedEmailField,
    EncryptedJSONField,
    EncryptedTextField,
    Exact,
    SealedModel,
    SealedQuerySet,
    Words,
)


class Person(SealedModel):
    vault_label: ClassVar[str] = "tests.person"

    number = models.CharField(max_length=40, default="")
    subject_id = models.UUIDField(null=True, blank=True)
    name = EncryptedTextField(envelope="account", blind=(Words("tests.person.name"),))
    email = EncryptedEmailField(envelope="account", blind=(Exact("tests.person.email", "email", unique=True),))
    phone = EncryptedTextField(envelope="account", max_length=40, blind=(Exact("tests.person.phone", "phone"),))
    born_on = EncryptedDateField(envelope="account")
    note = EncryptedTextField(envelope="note", multiline=True, max_length=2000)
    extra = EncryptedJSONField(envelope="note", default=dict)

    class Meta:
        app_label = "vault_tests"

    def __str__(self) -> str:
        return self.number

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)


class PersonProxy(Person):
    class Meta:
        app_label = "vault_tests"
        proxy = True


class Postal(SealedModel):
    """An abstract parent: its children share the declaration, not the column."""

    street = EncryptedTextField(envelope="address")

    class Meta:
        abstract = True
        app_label = "vault_tests"


class Shop(Postal):
    vault_label: ClassVar[str] = "tests.shop"

    person = models.ForeignKey(Person, models.CASCADE, null=True)
    city = EncryptedTextField(envelope="address", label="town")

    class Meta:
        app_label = "vault_tests"

    def __str__(self) -> str:
        return str(self.pk)


class Visit(models.Model):
    """Not sealed itself, but joined to what is."""

    person = models.ForeignKey(Person, models.CASCADE)

    objects = SealedQuerySet.as_manager()

    class Meta:
        app_label = "vault_tests"

    def __str__(self) -> str:
        return str(self.pk)


class Plain(models.Model):
    """What a person would be without encryption, to measure against."""

    one = models.TextField()
    two = models.TextField()
    three = models.TextField()
    four = models.TextField()
    five = models.TextField()

    class Meta:
        app_label = "vault_tests"

    def __str__(self) -> str:
        return str(self.pk)


class Measured(SealedModel):
    vault_label: ClassVar[str] = "tests.measured"

    one = EncryptedTextField(envelope="account")
    two = EncryptedTextField(envelope="account")
    three = EncryptedTextField(envelope="account")
    four = EncryptedTextField(envelope="account")
    five = EncryptedTextField(envelope="account")

    class Meta:
        app_label = "vault_tests"

    def __str__(self) -> str:
        return str(self.pk)


TABLES = (Person, Shop, Visit, Plain, Measured)
