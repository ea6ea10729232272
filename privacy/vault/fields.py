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

from django.core import validators
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.signals import post_delete
from django.utils.dateparse import parse_date

from privacy.typed import mailbox
from privacy.typed.lines import one_line
from privacy.vault import forms
from privacy.vault.columns import SealedColumn
from privacy.vault.envelope import context
from privacy.vault.index import Blind
from privacy.vault.results import MASKED, MaskNotAValue, Unreadable, is_mask

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel


class Opener:
    """Open the envelope when one of its fields is first touched. No `__set__`: a value in the instance's
    own dictionary is an ordinary attribute, read as fast as any other."""

    __slots__ = ("field", "layout")

    def __init__(self, field: EncryptedField) -> None:
        self.field = field
        self.layout: Layout | None = None

    def __get__(self, instance: SealedModel | None, owner: type[SealedModel]) -> Any:
        if instance is None:
            return self
        layout = self.layout
        if layout is None:
            layout = self.layout = layouts(owner)[self.field.envelope]
        return instance._read_sealed(self.field, layout)


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

    #: Whether the JSON form is the Python value. A field of another kind has `unpack`, which returns the value.
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
    """Encrypted JSON value: numbers of at most 64 bits, texts, lists and objects of them."""

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
    instance._was_deleted(using)


class Layout:
    """What the hot paths need to know of one envelope of one model, worked out once: its column, fields and labels."""

    __slots__ = (
        "blind",
        "bound",
        "column",
        "empties",
        "envelope",
        "fields",
        "label",
        "labels",
        "lines",
        "names",
        "pk",
        "plain",
        "typed",
    )

    def __init__(self, model: type[SealedModel], envelope: str, fields: list[EncryptedField]) -> None:
        self.label = model.vault_label
        self.envelope = envelope
        self.column = f"sealed_{envelope}"
        self.bound = context(self.label, envelope)
        self.fields = fields
        self.names = frozenset(field.name for field in fields)
        self.labels = {str(field.label): field for field in fields}
        self.plain = [(field.attname, str(field.label), field.get_default()) for field in fields if field.unpacks_as_is]
        self.typed: list[Any] = [field for field in fields if not field.unpacks_as_is]
        self.lines = frozenset(label for label, field in self.labels.items() if field.is_line)
        self.empties = {label: field.empty() for label, field in self.labels.items()}
        self.blind = [(label, field) for label, field in self.labels.items() if field.blind]
        self.pk = model._meta.pk.attname

    def pour(self, payload: dict[str, Any], into: dict[str, Any]) -> None:
        """Put the values of an opened payload into an instance's dictionary, beside what is assigned there."""
        for attname, label, default in self.plain:
            if attname not in into or isinstance(into[attname], Unreadable):
                into[attname] = payload.get(label, default)
        for field in self.typed:
            if isinstance(into.get(field.attname, MASKED), Unreadable):
                present = field.label in payload
                into[field.attname] = field.unpack(payload[str(field.label)]) if present else field.get_default()

    def gather(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the payload of an instance that was never sealed. Raises MaskNotAValue."""
        payload: dict[str, Any] = {}
        for label, field in self.labels.items():
            value = data.get(field.attname, MASKED)
            if value.__class__ is not str or not field.unpacks_as_is or is_mask(value):
                if isinstance(value, Unreadable):
                    continue
                value = field.pack(value)
            if (value != "" and value is not None) or value != self.empties[label]:
                payload[label] = value
        return payload

    def blinds(self, payload: dict[str, Any]) -> list[tuple[Blind, str]]:
        """Return the values of a payload that are indexed."""
        return [
            (blind, field.indexed(payload[label]))
            for label, field in self.blind
            if payload.get(label) is not None
            for blind in field.blind
        ]


def encrypted(model: type[models.Model]) -> list[EncryptedField]:
    """Return the encrypted fields of a model, in the order in which they are declared."""
    return [field for field in model._meta.private_fields if isinstance(field, EncryptedField)]


def layouts(model: Any) -> dict[str, Layout]:
    """Return the layouts of a model's envelopes, none when it is not sealed; a proxy has those of its concrete
    model."""
    concrete: Any = model._meta.concrete_model
    found: dict[str, Layout] | None = concrete.__dict__.get("_vault_layouts")
    if found is None:
        grouped: dict[str, list[EncryptedField]] = {}
        for field in encrypted(concrete):
            grouped.setdefault(field.envelope, []).append(field)
        found = {envelope: Layout(concrete, envelope, fields) for envelope, fields in grouped.items()}
        concrete._vault_layouts = found
    return found
