"""What is known of one envelope of one model, worked out once for the hot paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privacy.vault import envelope as sealed_form
from privacy.vault.index import Blind
from privacy.vault.results import MASKED, Unreadable, is_mask

if TYPE_CHECKING:
    from privacy.vault.fields import EncryptedField
    from privacy.vault.sealed import SealedModel


class Plan:
    """What the hot paths need to know of one envelope of one model, worked out once."""

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
        self.bound = sealed_form.context(self.label, envelope)
        self.fields = fields
        self.names = frozenset(field.name for field in fields)
        self.labels = {str(field.label): field for field in fields}
        self.plain = [(field.attname, str(field.label), field.get_default()) for field in fields if field.unpacks_as_is]
        self.typed = [field for field in fields if not field.unpacks_as_is]
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


def plans(model: Any) -> dict[str, Plan]:
    """Return the envelopes of a model; a proxy has those of its concrete model."""
    concrete: Any = model._meta.concrete_model
    found: dict[str, Plan] | None = concrete.__dict__.get("_vault_plans")
    if found is None:
        grouped: dict[str, list[EncryptedField]] = {}
        for field in concrete._meta.private_fields:
            if hasattr(field, "envelope"):
                grouped.setdefault(field.envelope, []).append(field)
        found = {envelope: Plan(concrete, envelope, fields) for envelope, fields in grouped.items()}
        concrete._vault_plans = found
    return found
