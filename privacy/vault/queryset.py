"""The queryset of sealed models: keys of a whole result set in one query, SQL on encrypted fields refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any
from weakref import ref

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models, transaction
from django.db.models.constants import LOOKUP_SEP
from django.db.models.query import ModelIterable

from privacy.vault import saving
from privacy.vault import unit as units
from privacy.vault.columns import Found
from privacy.vault.drafts import merged
from privacy.vault.fields import EncryptedField, Layout, layouts, refusal
from privacy.vault.finding import carriers, index_of
from privacy.vault.index import Words
from privacy.vault.keystore import tokens


class Batch:
    """The rows of one result set: when one envelope is touched, the keys of all are loaded together.

    The rows hold the batch and the batch only points back at them: a cycle would keep whole lists, with what was opened
    in them, until the garbage collector comes by.
    """

    __slots__ = ("rows",)

    def __init__(self, rows: list[Any]) -> None:
        self.rows = [ref(row) for row in rows]

    def asked(self, layout: Layout) -> list[tuple[int, Any, str]]:
        """Return what to ask the key store for, for one envelope of all rows."""
        column, envelope, pk, number = layout.column, layout.envelope, layout.pk, int.from_bytes
        return [
            (number(sealed[1:9], "big", signed=True), data[pk], envelope)
            for there in self.rows
            if (row := there()) is not None and (sealed := (data := row.__dict__).get(column)) is not None
        ]

    def bare(self) -> list[tuple[Any, str]]:
        """Return (record, envelope) of everything in these rows that holds no bytes: never filled, or erased."""
        found = []
        for there in self.rows:
            if (row := there()) is None:
                continue
            data = row.__dict__
            found += [
                (data[layout.pk], layout.envelope)
                for layout in layouts(type(row)).values()
                if data.get(layout.column, b"") is None
            ]
        return found


def load_keys(rows: Iterable[Any]) -> None:
    """Load the keys of all envelopes of these rows, of whatever models, with one query: for a page that shows them all.

    Whether a value may be shown is asked when it is read, as ever.
    """
    unit = units.current()
    if unit is None:
        return
    asked: list[tuple[int, Any, str]] = []
    bare: list[tuple[Any, str]] = []
    for row in rows:
        data = row.__dict__
        for layout in layouts(type(row)).values():
            sealed = data.get(layout.column, b"")
            if sealed is None:
                bare.append((data[layout.pk], layout.envelope))
            elif sealed:
                asked.append((int.from_bytes(sealed[1:9], "big", signed=True), data[layout.pk], layout.envelope))
    unit.load(asked, bare)


def attach(rows: list[Any], related: bool) -> None:
    """Give the rows of a result set, and the rows joined to them, one batch per model."""
    if rows and layouts(type(rows[0])):
        batch = Batch(rows)
        for row in rows:
            row._vault_batch = batch
    if related:
        joined: dict[type, dict[int, Any]] = {}
        for row in rows:
            _gather(row, joined)
        for found in joined.values():
            attach(list(found.values()), related=False)


def _gather(row: Any, joined: dict[type, dict[int, Any]]) -> None:
    for other in row._state.fields_cache.values():
        if isinstance(other, models.Model):
            if layouts(type(other)):
                if "_vault_batch" in other.__dict__ or id(other) in joined.get(type(other), ()):
                    continue
                joined.setdefault(type(other), {})[id(other)] = other
            if other._state.fields_cache:
                _gather(other, joined)


class SealedIterable(ModelIterable):
    """Model rows with their batch attached; nothing is opened here."""

    def __iter__(self) -> Iterator[Any]:
        related = bool(self.queryset.query.select_related)
        rows = super().__iter__()
        if not self.chunked_fetch:
            whole = list(rows)
            attach(whole, related)
            yield from whole
            return
        while chunk := list(islice(rows, self.chunk_size)):
            attach(chunk, related)
            yield from chunk


class SealedQuerySet(models.QuerySet):
    """Base of every queryset of a sealed model (and of models that join one)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._iterable_class = SealedIterable

    # --- finding -------------------------------------------------------------------------------

    def find(self, field: str, value: str, *, most: int = tokens.MOST_FOUND) -> Any:
        """Return the records that carry exactly this value, at most `most`: opened and compared, shown to nobody
        (privacy.vault.finding). Raises FieldError for an unknown index."""
        (values,) = carriers([(index_of(self.model, field), [value])], most=most, using=self.db)
        return self.filter(pk__in=values[value]) if values else self.none()

    def find_words(self, field: str, text: str, *, most: int = tokens.MOST_FOUND) -> Any:
        """Return at most `most` records whose name has all these words; 3 to 6 letters are the beginning of one.

        By the tokens alone: this lists for staff, and decides nothing. Raises FieldError for an unknown index.
        """
        for layout in layouts(self.model).values():
            for blind in (blind for one in layout.fields for blind in one.blind):
                if blind.field == field and isinstance(blind, Words):
                    records, numbers = tokens.find(blind, text, most)
                    return self.filter(pk__found=Found(records, numbers, layout.column)) if records else self.none()
        raise FieldError(f"{self.model._meta.label} has no Words index {field!r}.")

    # --- writing -------------------------------------------------------------------------------

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Seal and insert, keys for all in one INSERT. Refuses update_conflicts: the other row keeps its id."""
        if kwargs.get("update_conflicts") or (len(args) > 2 and args[2]):
            raise FieldError("bulk_create(update_conflicts=True) would write sealed bytes into another record.")
        listed = list(objs)
        if not layouts(self.model):
            return super().bulk_create(listed, *args, **kwargs)
        self._for_write = True
        for obj in listed:
            saving.settle_id(obj)
        with transaction.atomic(using=self.db):
            saving.seal_new(listed, self.db)
            return super().bulk_create(listed, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update plain and encrypted fields; concurrent changes of other labels in an envelope survive."""
        listed, fields = list(objs), sorted(saving.with_beside(self.model, fields))
        sealed = {name: layout for layout in layouts(self.model).values() for name in layout.names}
        names = frozenset(fields)
        if names.isdisjoint(sealed):
            return super().bulk_update(listed, fields, batch_size)
        plain = [name for name in fields if name not in sealed]
        self._for_write = True
        written = 0
        with transaction.atomic(using=self.db):
            drafts, lost = merged(listed, names, self.db)
            saving.write(drafts, self.db)
            by_column: dict[str, list[Any]] = {}
            for draft in drafts:
                by_column.setdefault(draft.layout.column, []).append(draft.obj)
            for column, changed in by_column.items():
                written = max(written, super().bulk_update(changed, [column], batch_size))
            if plain:
                return super().bulk_update(listed, plain, batch_size)
        return len(listed) - len(lost) if listed else written

    def update(self, **kwargs: Any) -> int:
        """Refuse encrypted fields: each record has its own key. NULL may be written to a sealed column."""
        for name in kwargs:
            field = virtual(self.model, name)
            if field is not None:
                raise FieldError(
                    f"{self.model._meta.label}.{name} is encrypted: update() cannot write it. Save the objects."
                )
        return super().update(**kwargs)

    # --- columns for fields --------------------------------------------------------------------

    def only(self, *fields: Any) -> Any:
        return super().only(*columns(self.model, fields))

    def defer(self, *fields: Any) -> Any:
        return super().defer(*(fields if fields == (None,) else columns(self.model, fields)))

    def _values(self, *fields: Any, **expressions: Any) -> Any:
        for name in fields:
            if (field := virtual(self.model, name)) is not None:
                raise FieldError(refusal(field))
        return super()._values(*fields, **expressions)  # type: ignore[misc]


def virtual(model: type[models.Model], path: str) -> EncryptedField | None:
    """Return the encrypted field at the end of a path such as `order__ship_name`, if it is one."""
    options = model._meta
    for part in path.split(LOOKUP_SEP):
        try:
            field = options.get_field(part)
        except FieldDoesNotExist:
            return None
        if isinstance(field, EncryptedField):
            return field
        related = getattr(field, "related_model", None)
        if not isinstance(related, type) or not issubclass(related, models.Model):
            return None
        options = related._meta
    return None


def columns(model: type[models.Model], names: Collection[str]) -> list[str]:
    """Return the names with each encrypted field replaced by the column of its envelope."""
    mapped: list[str] = []
    for name in names:
        if (field := virtual(model, name)) is not None:
            head, found, _ = name.rpartition(LOOKUP_SEP)
            mapped += [f"{head}{found}{column}" for column in field.beside]
            name = f"{head}{found}{field.sealed_column}"
        mapped.append(name)
    return list(dict.fromkeys(mapped))
