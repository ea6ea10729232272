"""Encrypted fields: declared one by one, sealed together by envelope.

A field has no column. The first field of an envelope adds the one column `sealed_<envelope>` with a CHECK
on its header; so a new field needs no migration, SQL on a field is refused, and nothing is opened until
a field is touched.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from django.core import checks, validators
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.signals import post_delete
from django.utils.dateparse import parse_date

from privacy.typed import mailbox
from privacy.typed.lines import one_line
from privacy.vault import forms
from privacy.vault.columns import SealedColumn
from privacy.vault.index import Blind
from privacy.vault.plan import Plan, plans
from privacy.vault.results import MaskNotAValue, Unreadable, is_mask

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel


class Opener:
    """Open the envelope when one of its fields is first touched. No `__set__`: a value in the instance's
    own dictionary is an ordinary attribute, read as fast as any other."""

    __slots__ = ("field", "plan")

    def __init__(self, field: EncryptedField) -> None:
        self.field = field
        self.plan: Plan | None = None

    def __get__(self, instance: SealedModel | None, owner: type[SealedModel]) -> Any:
        if instance is None:
            return self
        plan = self.plan
        if plan is None:
            plan = self.plan = plans(owner)[self.field.envelope]
        return instance._read_sealed(self.field, plan)


class EncryptedField(models.Field):
    """Base of the encrypted fields: virtual, in one envelope, under a stable label."""

    empty_value: Any = ""

    def __init__(
        self,
        verbose_name: str | None = None,
        *,
        envelope: str,
        label: str | None = None,
        max_length: int | None = 200,
        blank: bool = True,
        blind: Iterable[Blind] = (),
        multiline: bool = False,
        beside: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        for refused in ("unique", "db_index", "primary_key", "db_default", "db_column", "unique_for_date"):
            if kwargs.pop(refused, None):
                raise TypeError(f"{refused} needs a column; an encrypted field has none. See Exact(…, unique=True).")
        self.envelope = envelope
        self.label = label
        self.blind = (blind,) if not isinstance(blind, tuple | list) else tuple(blind)
        self.multiline = multiline
        self.beside = beside  # readable columns of the same datum, read and written with it
        kwargs.setdefault("default", self.empty_value)
        kwargs.setdefault("null", self.empty_value is None)
        super().__init__(verbose_name, blank=blank, max_length=max_length, **kwargs)
        if max_length and isinstance(self.empty_value, str):
            self.validators.append(validators.MaxLengthValidator(max_length))
        if self.is_line:
            self.validators.append(one_line)

    # --- no column -----------------------------------------------------------------------------

    def get_attname_column(self) -> tuple[str, None]:
        return self.get_attname(), None

    def db_type(self, connection: Any) -> None:
        return None

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only=True)
        self.label = self.label or name
        setattr(cls, name, Opener(self))
        options = cls._meta
        inherited = options.proxy or getattr(self, "mti_inherited", False)
        column = self.sealed_column
        if not inherited and not any(field.name == column for field in options.local_fields):
            SealedColumn(self.envelope).contribute_to_class(cls, column)
        if not options.abstract:
            post_delete.connect(_forget_deleted, sender=cls, dispatch_uid=f"vault.deleted.{options.label}")

    @property
    def is_line(self) -> bool:
        """Whether the value is a text of one line."""
        return isinstance(self.empty_value, str) and not self.multiline

    @property
    def sealed_column(self) -> str:
        return f"sealed_{self.envelope}"

    # --- SQL refused ---------------------------------------------------------------------------

    def refuse(self) -> NoReturn:
        """Raise the FieldError that every way into SQL ends in."""
        raise FieldError(refusal(self))

    def get_col(self, alias: Any, output_field: Any = None) -> NoReturn:
        self.refuse()

    @property
    def cached_col(self) -> NoReturn:
        self.refuse()

    def get_db_prep_save(self, value: Any, connection: Any) -> NoReturn:
        self.refuse()

    # --- values --------------------------------------------------------------------------------

    def empty(self) -> Any:
        """Return what a label that is absent from the envelope stands for, as packed."""
        return self.pack(self.get_default())

    def pack(self, value: Any) -> Any:
        """Return the JSON form of a value. Raises MaskNotAValue for a mask that came back as text."""
        if value is None:
            return None
        text = str(value)
        if is_mask(text):
            raise MaskNotAValue(f"{self.name}: a mask is not a value.")
        return text

    def unpack(self, value: Any) -> Any:
        """Return the Python value of its JSON form."""
        return value

    unpacks_as_is = True

    def indexed(self, value: Any) -> str:
        """Return the text that the blind indexes of this field see."""
        return "" if value is None else str(value)

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if isinstance(value, Unreadable):
            return value  # nothing to check, and nothing that will be written
        if isinstance(value, str) and is_mask(value):
            raise ValidationError("This is a mask, not a value.", code="mask")
        return super().clean(value, model_instance)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, str) else str(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return nothing: Django never calls this for virtual fields; `vault.checks` does the work."""
        return []


def refusal(field: EncryptedField) -> str:
    """Return the sentence that says why SQL on this field fails and what to do instead."""
    ways = [f"objects.find({blind.field!r}, …)" for blind in field.blind]
    instead = " or ".join(ways) if ways else "plain columns, and open the records found"
    return (
        f"{field.model._meta.label}.{field.name} is encrypted: SQL cannot filter, order, join or select it. "
        f"Use {instead}."
    )


class EncryptedTextField(EncryptedField):
    """Encrypted text; `multiline=True` is edited in a textarea."""

    description = "Encrypted text"

    def formfield(self, **kwargs: Any) -> Any:
        defaults: dict[str, Any] = {"form_class": forms.SealedCharField, "max_length": self.max_length}
        if self.multiline:
            defaults["widget"] = forms.Textarea
        return super().formfield(**{**defaults, **kwargs})


class EncryptedEmailField(EncryptedTextField):
    """Encrypted e-mail address, by the rule of `privacy.typed.mailbox`."""

    description = "Encrypted e-mail address"
    default_validators = [mailbox.validate, mailbox.validate_usual]

    def __init__(self, verbose_name: str | None = None, *, max_length: int | None = 254, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.SealedEmailField, **kwargs})


class EncryptedDateField(EncryptedField):
    """Encrypted day; None when there is none."""

    description = "Encrypted date"
    empty_value = None
    unpacks_as_is = False

    def pack(self, value: Any) -> Any:
        day = self.to_python(value)
        return None if day is None else day.isoformat()

    def unpack(self, value: Any) -> datetime.date | None:
        return None if value is None else datetime.date.fromisoformat(value)

    def to_python(self, value: Any) -> datetime.date | None:
        if value in (None, ""):
            return None
        if isinstance(value, datetime.datetime):
            return value.date()
        if isinstance(value, datetime.date):
            return value
        try:
            day = parse_date(str(value))
        except ValueError:
            day = None
        if day is None:
            raise ValidationError("Enter a valid date.", code="invalid")
        return day

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.SealedDateField, **kwargs})


class EncryptedJSONField(EncryptedField):
    """Encrypted JSON value: numbers, texts, lists and objects of them."""

    description = "Encrypted JSON"
    empty_value = None
    unpacks_as_is = False

    def __init__(self, verbose_name: str | None = None, *, max_length: int | None = None, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)

    def pack(self, value: Any) -> Any:
        return copy.deepcopy(value)

    def unpack(self, value: Any) -> Any:
        return copy.deepcopy(value)

    def to_python(self, value: Any) -> Any:
        return value

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.SealedJSONField, **kwargs})


def _forget_deleted(sender: type[SealedModel], instance: SealedModel, using: str, **kwargs: Any) -> None:
    from privacy.vault import deletion

    deletion.note(instance, using)
