"""What a save has to seal: the changed envelopes of objects, laid on what stands in their rows now.

Must never happen: one writer's change lost because another wrote the same envelope (so a stored row is
locked and only the changed labels are laid on what stands there now); a mask or an unopened envelope written
back. Nothing is written here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from django.db import DatabaseError

from privacy.vault import unit as units
from privacy.vault.envelope import key_id, unpack, unseal
from privacy.vault.fields import Layout, layouts
from privacy.vault.keystore import keys
from privacy.vault.results import (
    CopyRefused,
    Erased,
    Foreign,
    ForeignEnvelope,
    KeyMissing,
    RecordErased,
    Unreadable,
)

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel

log = logging.getLogger("privacy.vault")
Payload = dict[str, Any]


class Snap:
    """What an envelope held when it was opened or sealed in this object, and for which record."""

    __slots__ = ("payload", "record", "sealed", "unsure")

    def __init__(self, payload: Payload, record: UUID, sealed: Any, unsure: Collection[str] = ()) -> None:
        self.payload = payload
        self.record = record
        self.sealed = sealed
        self.unsure = unsure  # labels written by a transaction that has not committed yet


class Draft:
    """One envelope of one object on its way into the database."""

    __slots__ = ("base", "changed", "layout", "named", "obj", "payload", "replaces")

    def __init__(
        self,
        obj: SealedModel,
        layout: Layout,
        payload: Payload,
        changed: Collection[str],
        *,
        replaces: bool,
        base: Payload | None = None,
        named: int | None = None,
    ) -> None:
        self.obj = obj
        self.layout = layout
        self.payload = payload
        self.changed = changed
        self.replaces = replaces
        self.base = base  # what stands there now, where it is another
        self.named = named  # the key that the locked row names


def changes(obj: SealedModel, layout: Layout, names: frozenset[str] | None = None) -> Payload:
    """Return {label: packed value} of what may differ from the stored envelope, without opening it."""
    data = obj.__dict__
    packed: Payload = {}
    for label, field in layout.labels.items():
        if field.attname in data and (names is None or field.name in names):
            value = data[field.attname]
            if not isinstance(value, Unreadable):
                packed[label] = field.pack(value)
    if not packed:
        return packed
    snap = obj._snap(layout)
    if snap is not None:
        base = snap.payload
        unsure = snap.unsure if snap.record == obj.pk else ()
        return {
            label: value
            for label, value in packed.items()
            if label in unsure or value != base.get(label, layout.empties[label])
        }
    if data.get(layout.column, _DEFERRED) is None:
        return {label: value for label, value in packed.items() if value != layout.empties[label]}
    return packed  # stored and not opened: whether it differs is seen when it is


_DEFERRED = object()


def lay(layout: Layout, base: Payload, changed: Payload) -> Payload:
    """Return `base` with the changed labels laid on it; a default that means nothing is left out."""
    payload = {**base, **changed}
    for label in changed:
        if payload[label] in ("", None) and payload[label] == layout.empties[label]:
            del payload[label]
    return payload


def opened(wanted: Sequence[tuple[Layout, UUID, bytes]]) -> list[Payload]:
    """Open stored envelopes for sealing, all keys of one envelope name in one query. Shows nobody anything.

    Raises RecordErased, KeyMissing or ForeignEnvelope: what cannot be opened is never overwritten.
    """
    unit = units.current()
    known: dict[int, keys.OpenKey | Unreadable] = unit.keys if unit else {}
    asked = [(key_id(sealed), record, layout.envelope) for layout, record, sealed in wanted]
    missing = [ask for ask in asked if not isinstance(known.get(ask[0]), keys.OpenKey)]
    try:
        loaded = keys.load(missing)
    except DatabaseError:
        raise KeyMissing("The key store cannot be reached; nothing was written.") from None
    payloads = []
    for (layout, record, sealed), (number, _, _) in zip(wanted, asked, strict=True):
        key = loaded[number] if number in loaded else known.get(number)
        where = f"{layout.label}/{layout.envelope}"
        if isinstance(key, Erased):
            raise RecordErased(f"{where} of this record was erased; it takes no data again.")
        if isinstance(key, Foreign):
            raise ForeignEnvelope(f"{where}: the key belongs to another record.")
        if not isinstance(key, keys.OpenKey):
            log.error("data key missing from the key store", extra={"label": layout.label, "envelope": layout.envelope})
            raise KeyMissing(f"{where}: the key is not in the key store; nothing was written.")
        try:
            payloads.append(unpack(unseal(key.cipher, sealed, layout.bound, record)))
        except InvalidTag:
            raise ForeignEnvelope(f"{where}: the sealed bytes are not this record's.") from None
    return payloads


def fresh(objs: Sequence[SealedModel]) -> list[Draft]:
    """Return the drafts of objects that have no row yet, copies included."""
    drafts = []
    unopened: list[tuple[SealedModel, Layout]] = []
    for obj in objs:
        for layout in layouts(type(obj)).values():
            sealed = obj.__dict__.get(layout.column)
            if sealed is None:
                payload = layout.gather(obj.__dict__)
                if payload:
                    drafts.append(Draft(obj, layout, payload, payload, replaces=False))
                continue
            snap = obj._snap(layout)
            if snap is None:
                unopened.append((obj, layout))
                continue
            changed = changes(obj, layout)
            if snap.record == obj.pk and not changed:
                continue  # sealed for this record already, by a save that was rolled back
            # Also when nothing is left of it: else the bytes of before would stay in the column.
            payload = lay(layout, snap.payload, changed)
            drafts.append(Draft(obj, layout, payload, payload, replaces=False))
    for obj, layout in unopened:
        try:
            base = opened([(layout, obj.pk, bytes(obj.__dict__[layout.column]))])[0]
        except ForeignEnvelope:
            raise CopyRefused(
                f"{layout.label}/{layout.envelope}: the copy still holds another record's sealed bytes. Use duplicate()."
            ) from None
        changed = changes(obj, layout)
        payload = lay(layout, base, changed)
        if payload != base:
            drafts.append(Draft(obj, layout, payload, payload, replaces=True, base=base))
    return drafts


def merged(objs: Sequence[SealedModel], names: frozenset[str] | None, using: str) -> tuple[list[Draft], set[UUID]]:
    """Lock the stored rows and return the drafts of what changed in them, and the ids of rows not there.

    Call it inside the transaction that writes. Untouched and equal envelopes give no draft.
    """
    work = [
        (obj, layout, changed)
        for obj in objs
        for layout in layouts(type(obj)).values()
        if (changed := changes(obj, layout, names))
    ]
    if not work:
        return [], set()
    columns = list(dict.fromkeys(layout.column for _, layout, _ in work))
    model = type(work[0][0])
    rows = {
        row[0]: dict(zip(columns, row[1:], strict=True))
        for row in model._base_manager.using(using)
        .filter(pk__in={obj.pk for obj, _, _ in work})
        .order_by("pk")  # one order for everybody: no deadlock between two bulk writers
        .select_for_update()
        .values_list("pk", *columns)
    }
    lost = {obj.pk for obj, _, _ in work if obj.pk not in rows}
    work = [entry for entry in work if entry[0].pk in rows]
    to_open = []
    for obj, layout, _ in work:
        now = rows[obj.pk][layout.column]
        rows[obj.pk][layout.column] = now = None if now is None else bytes(now)
        snap = obj._snap(layout)
        if now is not None and not (snap and snap.record == obj.pk and bytes(snap.sealed or b"") == now):
            to_open.append((obj, layout))
    bases = dict(
        zip(
            [(id(obj), layout.envelope) for obj, layout in to_open],
            opened([(layout, obj.pk, rows[obj.pk][layout.column]) for obj, layout in to_open]),
            strict=True,
        )
    )
    drafts = []
    for obj, layout, changed in work:
        now = rows[obj.pk][layout.column]
        snap = obj._snap(layout)
        base = bases.get((id(obj), layout.envelope))
        if base is None:
            base = snap.payload if snap and now is not None else {}
        payload = lay(layout, base, changed)
        if payload == base:
            obj._took(layout, Snap(base, obj.pk, now))
        else:
            named = None if now is None else key_id(now)
            drafts.append(Draft(obj, layout, payload, changed, replaces=now is not None, base=base, named=named))
    return drafts, lost
