"""`SealedModel`: a model whose personal data is sealed, envelope by envelope."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from functools import cache
from typing import Any, ClassVar, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.models.base import ModelState
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

from privacy.vault import saving
from privacy.vault import unit as units
from privacy.vault.columns import RecordIdField, SealedColumn
from privacy.vault.drafts import Snap, changes
from privacy.vault.envelope import key_id, unpack, unseal
from privacy.vault.fields import EncryptedField, Layout, layouts
from privacy.vault.ids import uuid7
from privacy.vault.keystore.keys import NOBODY, OpenKey, load
from privacy.vault.queryset import Batch, SealedQuerySet, columns
from privacy.vault.results import FOREIGN, MASKED, KeyMissing, Unreadable, UnsealedPlaintext

log = logging.getLogger("privacy.vault")
_ABSENT = object()


class State:
    """What an object knows of its envelopes beyond the bytes. Never pickled."""

    __slots__ = ("refused", "snaps", "writing")

    def __init__(self) -> None:
        self.snaps: dict[str, Snap] = {}
        self.refused: tuple[units.Unit, dict[str, Unreadable]] | None = None
        self.writing: Collection[str] = ()


@cache
def attnames(model: type[models.Model]) -> tuple[str, ...]:
    """Return the attributes that a row of the model fills in order; none when its constructor does more than that."""
    fields = model._meta.concrete_fields
    plain = all(isinstance(getattr(model, field.attname, None), DeferredAttribute) for field in fields)
    return tuple(field.attname for field in fields) if plain and model.__init__ is models.Model.__init__ else ()


class SealedModel(models.Model):
    """Base of every model with encrypted fields. Reading opens lazily; saving seals what changed."""

    vault_label: ClassVar[str] = ""  # stable: never the class name, which may change
    # False: the program adds such a record on whatever occasion, and whose act that was needs no right to it.
    vault_asks: ClassVar[bool] = True

    id = RecordIdField(primary_key=True, default=uuid7, editable=False)

    objects = SealedQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def vault_owner(self) -> tuple[str, UUID | None]:
        """Return whose data this is: ("subject", id), ("company", id) or ("none", None)."""
        return NOBODY

    @classmethod
    def envelopes(cls) -> dict[str, tuple[str, ...]]:
        """Return the field names of each envelope."""
        return {name: tuple(field.name for field in layout.fields) for name, layout in layouts(cls).items()}

    # --- reading -------------------------------------------------------------------------------

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any) -> Self:
        """Make the object of a row as Django does; of a whole row without its constructor, in half the time."""
        names = attnames(cls)
        if kwargs or len(values) != len(names) or pre_init.receivers or post_init.receivers:
            return super().from_db(db, field_names, values, **kwargs)
        made = cls.__new__(cls)
        data = made.__dict__
        state = data["_state"] = ModelState()
        state.adding = False
        state.db = db
        data.update(zip(names, values, strict=True))
        return made

    def restriction(self, envelope: str) -> str:
        """Return the restriction of an envelope as the key store has it, "" for none; opens nothing.

        In a unit of work the keys of the whole result set come with it, as when it is opened.
        """
        layout = layouts(type(self))[envelope]
        sealed = getattr(self, layout.column)
        if sealed is None:
            return ""
        asked = (key_id(sealed), self.pk, envelope)
        unit, batch = units.current(), self.__dict__.get("_vault_batch")
        key = unit.key(asked, batch.asked(layout) if batch else []) if unit else load([asked]).get(asked[0])
        return key.restriction if isinstance(key, OpenKey) else ""

    def _read_sealed(self, field: EncryptedField, layout: Layout) -> Any:
        data = self.__dict__
        sealed = data.get(layout.column, _ABSENT)
        if sealed is _ABSENT:
            sealed = getattr(self, layout.column)
        if sealed is None:
            if (end := self._end_of(layout)) is not None:
                return end
            value = field.get_default()
            if isinstance(value, dict | list):
                data[field.attname] = value  # so that a change in place is seen
            return value
        unit = units.current()
        if unit is None:
            return MASKED
        payload = self._open(unit, layout, sealed)
        if isinstance(payload, Unreadable):
            return payload
        layout.pour(payload, data)
        return data[field.attname]

    def _end_of(self, layout: Layout) -> Unreadable | None:
        """Return Erased for an envelope whose bytes went with an erasure, None for one that was never filled.

        The key store knows which; it is asked for the whole result set at once, and for the keys of its other
        envelopes, which are mostly read next. An object that was just made asks nothing, nor does code that shows
        nobody anything (`units.internal`).
        """
        unit, batch = units.current(), self.__dict__.get("_vault_batch")
        if unit is None or unit.free or batch is None:
            return None
        mine = (self.__dict__[layout.pk], layout.envelope)
        if mine not in unit.bare:
            unit.load([one for each in layouts(type(self)).values() for one in batch.asked(each)], batch.bare())
        return unit.bare[mine]

    def _open(self, unit: units.Unit, layout: Layout, sealed: Any) -> dict[str, Any] | Unreadable:
        data = self.__dict__
        state: State | None = data.get("_vault")
        if state is None:
            state = data["_vault"] = State()
        elif state.refused is not None and state.refused[0] is unit and layout.envelope in state.refused[1]:
            return state.refused[1][layout.envelope]
        record = data[layout.pk]
        number = key_id(sealed)
        key = unit.keys.get(number)
        if key is None or key is FOREIGN:
            batch: Batch | None = data.get("_vault_batch")
            asked = (number, record, layout.envelope)
            key = (
                unit.key(asked, batch.asked(layout), [] if unit.free else batch.bare())
                if batch
                else unit.key(asked, [])
            )
        found: dict[str, Any] | Unreadable
        if not isinstance(key, OpenKey):
            found = key
        elif (
            not unit.free
            and (
                refused := units.ask(
                    units.Opening(layout.label, layout.envelope, record, key.owner_kind, key.owner_id, key.restriction)
                )
            )
            is not None
        ):
            found = refused
        else:
            try:
                found = unpack(unseal(key.cipher, bytes(sealed), layout.bound, record))
            except InvalidTag:
                log.error("sealed bytes altered or moved", extra={"label": layout.label, "envelope": layout.envelope})
                found = FOREIGN
        if isinstance(found, Unreadable):
            if state.refused is None or state.refused[0] is not unit:
                state.refused = (unit, {})
            state.refused[1][layout.envelope] = found
        else:
            state.snaps[layout.envelope] = Snap(found, record, sealed)
            unit.remember(self)
        return found

    def forget(self) -> None:
        """Take opened values out of this object; what was assigned and not saved stays."""
        state = self._vault_state()
        for layout in layouts(type(self)).values():
            if (snap := state.snaps.pop(layout.envelope, None)) is not None:
                self._take_out(layout, snap)
        state.refused = None

    def _take_out(self, layout: Layout, snap: Snap) -> None:
        data, payload = self.__dict__, snap.payload
        for attname, label, default in layout.plain:
            if attname in data and data[attname] is payload.get(label, default):
                del data[attname]  # the very text that came out: nothing was assigned
        for field in layout.fields:
            if field.attname in data and not self._is_unsaved(field, snap):
                del data[field.attname]

    def _is_unsaved(self, field: EncryptedField, snap: Snap) -> bool:
        try:
            packed = field.pack(self.__dict__[field.attname])
        except (ValueError, ValidationError):
            return True  # was assigned and cannot be saved: it did not come out of the envelope
        return bool(packed != snap.payload.get(str(field.label), field.empty()))

    def _vault_state(self) -> State:
        state: State | None = self.__dict__.get("_vault")
        if state is None:
            state = self.__dict__["_vault"] = State()
        return state

    def _snap(self, layout: Layout) -> Snap | None:
        """Return what is known of an envelope's content, if the column still holds those bytes."""
        state: State | None = self.__dict__.get("_vault")
        snap = state.snaps.get(layout.envelope) if state else None
        return snap if snap is not None and self.__dict__.get(layout.column) is snap.sealed else None

    def _took(self, layout: Layout, snap: Snap) -> None:
        """Remember what was sealed, or found to stand in the row already."""
        self.__dict__[layout.column] = snap.sealed
        self._vault_state().snaps[layout.envelope] = snap
        layout.pour(snap.payload, self.__dict__)

    # --- writing -------------------------------------------------------------------------------

    def save(  # noqa: DJ012 (the order here is that of a record's life)
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Seal what changed and save. Raises RecordErased, RecordRefused, RecordRestricted, KeyMissing,
        ForeignEnvelope, CopyRefused, ValueTaken."""
        alias = using or router.db_for_write(type(self), instance=self)
        # inside somebody's transaction no block of our own: a refused save must not condemn it
        inside = connections[alias].in_atomic_block
        with nullcontext() if inside else transaction.atomic(using=alias):
            mapped = saving.save(self, alias, update_fields)
            super().save(force_insert=force_insert, force_update=force_update, using=alias, update_fields=mapped)

    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, values: Any, *rest: Any) -> Any:
        # An envelope that this save did not seal is not written: the bytes in memory may be old, and the
        # key that old bytes name is destroyed.
        if not self._state.adding:
            writing = self._vault_state().writing
            values = [v for v in values if not isinstance(v[0], SealedColumn) or v[0].name in writing]
        return super()._do_update(base_qs, using, pk_val, values, *rest)

    def _do_insert(self, manager: Any, using: Any, fields: Any, returning_fields: Any, raw: bool) -> Any:
        if not raw and not self._state.adding:
            saving.check_insert(self)
        return super()._do_insert(manager, using, fields, returning_fields, raw)  # type: ignore[misc]

    def _was_deleted(self, using: str) -> None:
        saving.note_deleted(self, using)

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        """Load the columns again; opened values and unsaved changes of what was loaded before are dropped."""
        loaded = {layout.envelope for layout in layouts(type(self)).values() if layout.column in self.__dict__}
        mapped = None if fields is None else columns(type(self), list(fields))
        super().refresh_from_db(using=using, fields=mapped, from_queryset=from_queryset)
        state = self._vault_state()
        for layout in layouts(type(self)).values():
            if layout.envelope in loaded and (mapped is None or layout.column in mapped):
                state.snaps.pop(layout.envelope, None)
                for field in layout.fields:
                    self.__dict__.pop(field.attname, None)
        state.refused = None

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        super().clean_fields(exclude=exclude)
        for layout in layouts(type(self)).values():
            for field in layout.fields:
                if isinstance(self.__dict__.get(field.attname), Unreadable):
                    del self.__dict__[field.attname]  # Django sets what it cleaned; a mask must not stick

    # --- copying -------------------------------------------------------------------------------

    def duplicate(self) -> SealedModel:
        """Return an unsaved copy with an id of its own. Raises KeyMissing when an envelope cannot be opened."""
        copied = type(self)()
        for field in self._meta.concrete_fields:
            if not field.primary_key and not isinstance(field, SealedColumn):
                setattr(copied, field.attname, getattr(self, field.attname))
        for layout in layouts(type(self)).values():
            for sealed_field in layout.fields:
                value = getattr(self, sealed_field.attname)
                if isinstance(value, Unreadable):
                    raise KeyMissing(f"{layout.label}/{layout.envelope} cannot be opened here, so it cannot be copied.")
                setattr(copied, sealed_field.attname, value)
        return copied

    def __getstate__(self) -> dict[str, Any]:  # noqa: DJ012
        state: dict[str, Any] = super().__getstate__()
        for layout in layouts(type(self)).values():
            if changes(self, layout):
                raise UnsealedPlaintext(f"{layout.label}/{layout.envelope} has unsaved data; save it first.")
            for field in layout.fields:
                state.pop(field.attname, None)
        state.pop("_vault", None)
        state.pop("_vault_batch", None)
        return state
