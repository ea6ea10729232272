"""Form fields that draw a mask as a disabled field and never take it for an answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from privacy.typed import mailbox
from privacy.vault.results import Unreadable

Textarea = forms.Textarea


class SealedFormField(forms.Field):
    """A field whose initial value may be unreadable: it is then disabled, and its value left as it is."""

    def get_bound_field(self, form: Any, field_name: str) -> BoundField:
        if isinstance(form.get_initial_for_field(self, field_name), Unreadable):
            self.disabled = True  # forms hold a copy of the field of their own
        return super().get_bound_field(form, field_name)

    def clean(self, value: Any) -> Any:
        return value if isinstance(value, Unreadable) else super().clean(value)

    def prepare_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, Unreadable) else super().prepare_value(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not isinstance(initial, Unreadable) and super().has_changed(initial, data)


class SealedCharField(SealedFormField, forms.CharField):
    """Text."""


class SealedEmailField(SealedFormField, forms.EmailField):
    """E-mail address, by the rule of `privacy.typed.mailbox`."""

    default_validators = [mailbox.validate, mailbox.validate_usual]


class SealedDateField(SealedFormField, forms.DateField):
    """Day."""


class SealedJSONField(SealedFormField, forms.JSONField):
    """JSON."""
