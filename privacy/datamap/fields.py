"""What the fields of a model are for the data map: sealed, a surrogate key, to be declared."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models


def installed_models() -> list[type[models.Model]]:
    """Return every model that has a table of its own, third-party ones included, sorted by label."""
    found = [m for m in apps.get_models() if m._meta.managed and not m._meta.proxy]
    return sorted(found, key=lambda model: model._meta.label_lower)


def sealed_in(one: Any) -> str | None:
    """Return the envelope an encrypted field is sealed in; None for any other field."""
    return None if one.concrete else getattr(one, "envelope", None)


def is_sealed_column(one: Any) -> bool:
    """Whether the field is the one column that holds an envelope (its contents are declared, not itself)."""
    return bool(one.concrete) and getattr(one, "envelope", None) is not None


def field_named(model: type[models.Model], name: str) -> Any:
    """Return the field `name` of `model`, encrypted ones included. Raises FieldDoesNotExist."""
    return model._meta.get_field(name)


def is_surrogate_key(one: Any) -> bool:
    """Whether the field is a primary key drawn at random or counted: a number that says nothing by itself."""
    return bool(one.primary_key) and not one.is_relation and isinstance(one, models.AutoField | models.UUIDField)


def fields_to_declare(model: type[models.Model]) -> list[Any]:
    """Return the fields of `model` that its declaration must name: columns, encrypted fields and many-to-many links."""
    columns = [
        one for one in model._meta.local_concrete_fields if not is_sealed_column(one) and not is_surrogate_key(one)
    ]
    encrypted = [one for one in model._meta.private_fields if sealed_in(one)]
    return [*columns, *encrypted, *model._meta.local_many_to_many]


def path_resolves(model: type[models.Model], path: str) -> bool:
    """Whether a query on `model` may follow `path` ("customer__subject", "subject_id")."""
    here: type[models.Model] | None = model
    for step in path.split("__"):
        if here is None:
            return False
        try:
            one = here._meta.get_field(step)
        except FieldDoesNotExist:
            return False
        here = one.related_model if one.is_relation else None
    return True
