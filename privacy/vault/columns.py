"""The columns of a sealed record: its id, and one column for each envelope that holds sealed bytes or nothing."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models
from django.db.models import F, Func, IntegerField, Value
from django.db.models import lookups as sql

from privacy.vault import envelope as sealed_form
from privacy.vault.typecasts import array


class HeaderCheck(models.CheckConstraint):
    """Let the database refuse anything in a sealed column that has not the sealed form."""

    def __init__(self, *, name: str, condition: Any, **kwargs: Any) -> None:
        super().__init__(condition=condition, name=name, **kwargs)

    @classmethod
    def on(cls, model: type[models.Model], column: str) -> HeaderCheck:
        length = Func(F(column), function="octet_length", output_field=IntegerField())
        first = Func(F(column), Value(0), function="get_byte", output_field=IntegerField())
        condition = models.Q(sql.GreaterThanOrEqual(length, sealed_form.OVERHEAD + 2)) & models.Q(
            sql.Exact(first, sealed_form.VERSION)
        )
        return cls(name=f"{model._meta.app_label}_{model._meta.model_name}_{column}"[:60], condition=condition)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: what `full_clean` would send to the database is checked there anyway."""

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        _, args, kwargs = super().deconstruct()
        return "django.db.models.CheckConstraint", tuple(args), kwargs  # a migration needs no class of the vault


class SealedColumn(models.Field):
    """The column of one envelope. Holds sealed bytes or NULL, and refuses everything else.

    In migrations and in the database it is a BinaryField, but not in Python: Django inserts many rows by UNNEST, in a
    third less time, only where no field has a placeholder of its own, and a BinaryField has one for other databases.
    """

    def __init__(self, envelope: str = "", **kwargs: Any) -> None:
        self.envelope = envelope
        kwargs.update(null=True, blank=True, editable=False)
        super().__init__(**kwargs)

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only=private_only)
        if not cls._meta.abstract:
            options = cls._meta
            options.constraints = [*options.constraints, HeaderCheck.on(cls, name)]
            options.original_attrs["constraints"] = options.constraints

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)  # a BinaryField is not editable unless it says so
        return name, "django.db.models.BinaryField", list(args), kwargs

    def get_internal_type(self) -> str:
        return "BinaryField"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = super().get_db_prep_value(value, connection, prepared)
        return None if value is None else connection.Database.Binary(value)

    def value_to_string(self, obj: Any) -> str:
        value: Any = self.value_from_object(obj)
        return base64.b64encode(value).decode("ascii")  # for dumpdata, as a BinaryField does

    def to_python(self, value: Any) -> Any:
        return base64.b64decode(value) if isinstance(value, str) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is not None and not sealed_form.is_sealed(value) and not hasattr(value, "as_sql"):
            raise ValueError(f"{self.model._meta.label}.{self.name} takes sealed bytes only.")
        return super().get_db_prep_save(value, connection)


class Found(NamedTuple):
    """What the key store found: records, the keys their tokens belong to, and the column in which a row names its
    key."""

    records: Collection[UUID]
    keys: Collection[int]
    column: str


class IsFound(models.Lookup):
    """`pk__found`: the row is one of those found and names one of the keys.

    A token of a write that was rolled back names a key that no row names.
    """

    lookup_name = "found"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        found: Found = self.rhs
        record, parameters = self.process_lhs(compiler, connection)
        quoted = compiler.quote_name_unless_alias
        named = f"substring({quoted(self.lhs.alias)}.{quoted(found.column)} from 2 for 8)"
        return (
            f"{record} = ANY(%s::uuid[]) AND {named} = ANY(%s::bytea[])",
            (*parameters, array(found.records), [sealed_form.key_bytes(number) for number in found.keys]),
        )


class RecordIdField(models.UUIDField):
    """The id of a sealed record, drawn before the INSERT because the sealed bytes are bound to it."""

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        kwargs.pop(
            "default", None
        )  # ours; migrations made since need not import it, older ones import `privacy.vault.ids`
        return name, "django.db.models.UUIDField", list(args), kwargs


RecordIdField.register_lookup(IsFound)
