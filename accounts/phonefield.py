"""Fields for a telephone number: kept as typed, without what cannot be seen and comes along when a number is copied."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.validators import validate_phone
from privacy.typed.lines import HIDDEN
from privacy.vault import EncryptedTextField
from privacy.vault.forms import SealedCharField


class _AsTyped:
    """Take the signs out that turn the direction of a number in a list of contacts."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)  # type: ignore[misc]
        return HIDDEN.sub("", value) if isinstance(value, str) else value


class PhoneFormField(_AsTyped, forms.CharField):
    """A telephone number in a form."""

    default_validators = [validate_phone]


class SealedPhoneFormField(_AsTyped, SealedCharField):
    """A telephone number of a sealed record in a form."""


class PhoneField(_AsTyped, EncryptedTextField):
    """A sealed telephone number."""

    description = "Encrypted telephone number"
    default_validators = [validate_phone]

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("verbose_name", "phone number")
        super().__init__(**kwargs)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": SealedPhoneFormField, **kwargs})
