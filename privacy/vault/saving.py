"""Seal what changed: the write side of `SealedModel`.

Must never happen: one writer's change lost because another wrote the same envelope (so a stored row is
locked and only the changed labels are laid on what stands there now); the old value readable in a backup
after a correction (so a changed envelope gets a new key, and the old key goes once the row has committed);
a mask or an unopened envelope written back.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from cryptography.exceptions import InvalidTag
from django.db import DatabaseError, transaction

from privacy.typed.lines import no_break
from privacy.vault import guard, index, keys, living
from privacy.vault import unit as units
from privacy.vault.envelope import key_id, pack, seal, unpack, unseal
from privacy.vault.plan import Plan, plans
from privacy.vault.results import (
    CopyRefused,
    Erased,
    Foreign,
    ForeignEnvelope,
    KeyMissing,
    RecordErased,
    RecordRestricted,
    Unreadable,
    ValueTaken,
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

    __slots__ = ("base", "changed", "obj", "payload", "plan", "replaces")

    def __init__(
        self,
        obj: SealedModel,
        plan: Plan,
        payload: Payload,
        changed: Collection[str],
        *,
        replaces: bool,
        base: Payload | None = None,
    ) -> None:
        self.obj = obj
        self.plan = plan
        self.payload = payload
        self.changed = changed
        self.replaces = replaces
        self.base = base  # what stands there now, where it is another


def changes(obj: SealedModel, plan: Plan, names: frozenset[str] | None = None) -> Payload:
    """Return {label: packed value} of what may differ from the stored envelope, without opening it."""
    data = obj.__dict__
    packed: Payload = {}
    for label, field in plan.labels.items():
        if field.attname in data and (names is None or field.name in names):
            value = data[field.attname]
            if not isinstance(value, Unreadable):
                packed[label] = field.pack(value)
    if not packed:
        return packed
    snap = obj._snap(plan)
    if snap is not None:
        base = snap.payload
        unsure = snap.unsure if snap.record == obj.pk else ()
        return {
            label: value
            for label, value in packed.items()
            if label in unsure or value != base.get(label, plan.empties[label])
        }
    if data.get(plan.column, _DEFERRED) is None:
        return {label: value for label, value in packed.items() if value != plan.empties[label]}
    return packed  # stored and not opened: whether it differs is seen when it is


_DEFERRED = object()


def lay(plan: Plan, base: Payload, changed: Payload) -> Payload:
    """Return `base` with the changed labels laid on it; a default that means nothing is left out."""
    payload = {**base, **changed}
    for label in changed:
        if payload[label] in ("", None) and payload[label] == plan.empties[label]:
            del payload[label]
    return payload


def opened(wanted: Sequence[tuple[Plan, UUID, bytes]]) -> list[Payload]:
    """Open stored envelopes for sealing, all keys of one envelope name in one query. Shows nobody anything.

    Raises RecordErased, KeyMissing or ForeignEnvelope: what cannot be opened is never overwritten.
    """
    unit = units.current()
    known: dict[int, keys.OpenKey | Unreadable] = unit.keys if unit else {}
    asked = [(key_id(sealed), record, plan.envelope) for plan, record, sealed in wanted]
    missing = [ask for ask in asked if not isinstance(known.get(ask[0]), keys.OpenKey)]
    try:
        loaded = keys.load(missing)
    except DatabaseError:
        raise KeyMissing("The key store cannot be reached; nothing was written.") from None
    payloads = []
    for (plan, record, sealed), (number, _, _) in zip(wanted, asked, strict=True):
        key = loaded[number] if number in loaded else known.get(number)
        where = f"{plan.label}/{plan.envelope}"
        if isinstance(key, Erased):
            raise RecordErased(f"{where} of this record was erased; it takes no data again.")
        if isinstance(key, Foreign):
            raise ForeignEnvelope(f"{where}: the key belongs to another record.")
        if not isinstance(key, keys.OpenKey):
            log.error("data key missing from the key store", extra={"label": plan.label, "envelope": plan.envelope})
            raise KeyMissing(f"{where}: the key is not in the key store; nothing was written.")
        try:
            payloads.append(unpack(unseal(key.cipher, sealed, plan.bound, record)))
        except InvalidTag:
            raise ForeignEnvelope(f"{where}: the sealed bytes are not this record's.") from None
    return payloads


def fresh(objs: Sequence[SealedModel]) -> list[Draft]:
    """Return the drafts of objects that have no row yet, copies included."""
    drafts = []
    unopened: list[tuple[SealedModel, Plan]] = []
    for obj in objs:
        for plan in plans(type(obj)).values():
            sealed = obj.__dict__.get(plan.column)
            if sealed is None:
                payload = plan.gather(obj.__dict__)
                if payload:
                    drafts.append(Draft(obj, plan, payload, payload, replaces=False))
                continue
            snap = obj._snap(plan)
            if snap is None:
                unopened.append((obj, plan))
                continue
            changed = changes(obj, plan)
            if snap.record == obj.pk and not changed:
                continue  # sealed for this record already, by a save that was rolled back
            payload = lay(plan, snap.payload, changed)
            if payload:
                drafts.append(Draft(obj, plan, payload, payload, replaces=False))
    for obj, plan in unopened:
        try:
            base = opened([(plan, obj.pk, bytes(obj.__dict__[plan.column]))])[0]
        except ForeignEnvelope:
            raise CopyRefused(
                f"{plan.label}/{plan.envelope}: the copy still holds another record's sealed bytes. Use duplicate()."
            ) from None
        changed = changes(obj, plan)
        payload = lay(plan, base, changed)
        if payload != base:
            drafts.append(Draft(obj, plan, payload, payload, replaces=True, base=base))
    return drafts


def merged(objs: Sequence[SealedModel], names: frozenset[str] | None, using: str) -> tuple[list[Draft], set[UUID]]:
    """Lock the stored rows and return the drafts of what changed in them, and the ids of rows not there.

    Call it inside the transaction that writes. Untouched and equal envelopes give no draft.
    """
    work = [
        (obj, plan, changed)
        for obj in objs
        for plan in plans(type(obj)).values()
        if (changed := changes(obj, plan, names))
    ]
    if not work:
        return [], set()
    columns = list(dict.fromkeys(plan.column for _, plan, _ in work))
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
    for obj, plan, _ in work:
        now = rows[obj.pk][plan.column]
        rows[obj.pk][plan.column] = now = None if now is None else bytes(now)
        snap = obj._snap(plan)
        if now is not None and not (snap and snap.record == obj.pk and bytes(snap.sealed or b"") == now):
            to_open.append((obj, plan))
    bases = dict(
        zip(
            [(id(obj), plan.envelope) for obj, plan in to_open],
            opened([(plan, obj.pk, rows[obj.pk][plan.column]) for obj, plan in to_open]),
            strict=True,
        )
    )
    drafts = []
    for obj, plan, changed in work:
        now = rows[obj.pk][plan.column]
        snap = obj._snap(plan)
        base = bases.get((id(obj), plan.envelope))
        if base is None:
            base = snap.payload if snap and now is not None else {}
        payload = lay(plan, base, changed)
        if payload == base:
            obj._took(plan, Snap(base, obj.pk, now))
        else:
            drafts.append(Draft(obj, plan, payload, changed, replaces=now is not None, base=base))
    return drafts, lost


def write(drafts: Sequence[Draft], using: str) -> None:
    """Commit keys and tokens for the drafts, then put the sealed bytes into their objects.

    The keys that the new ones replace are destroyed when the transaction on `using` has committed.
    Raises RecordErased, RecordElsewhere, RecordRestricted or ValueTaken, and ValidationError for a line break in a field of one line; then
    nothing was made.
    """
    if not drafts:
        return
    for draft in drafts:
        for label in draft.plan.lines.intersection(draft.changed):
            no_break(draft.payload.get(label))
    wanted = [
        keys.Wanted(
            draft.obj.pk,
            draft.plan.envelope,
            draft.plan.label,
            draft.obj.vault_owner(),
            replaces=draft.replaces,
            entries=index.entries(draft.plan.blinds(draft.payload)) if draft.plan.blind else (),
        )
        for draft in drafts
    ]
    living.under_way((entry.value for w in wanted for entry in w.entries if entry.is_unique), using)
    try:
        keys.make(wanted, _check)
    except ValueTaken:
        raise
    except DatabaseError as error:
        raise KeyMissing("The key store cannot be reached; nothing was written.") from error
    for draft, want in zip(drafts, wanted, strict=True):
        if want.restriction and draft.base and _replaces(draft):
            guard.keep(_ended(draft.plan, want.record, want.owner, want.restriction, draft.base))
    unit = units.current()
    snaps = []
    for draft, want in zip(drafts, wanted, strict=True):
        obj, plan, key = draft.obj, draft.plan, want.key
        sealed = seal(key.cipher, key.number, plan.bound, want.record, pack(draft.payload))
        snap = Snap(draft.payload, want.record, sealed, draft.changed)
        snaps.append(snap)
        obj._took(plan, snap)
        if unit is not None:
            unit.keys[key.number] = key
            unit.remember(obj)
    transaction.on_commit(lambda: _committed(snaps, wanted), using=using, robust=True)


def _replaces(draft: Draft) -> bool:
    """Whether a value that stood there stands there no more; what was added to an envelope ends nothing."""
    return any(draft.payload.get(label) != value for label, value in (draft.base or {}).items())


def _ended(plan: Plan, record: UUID, owner: keys.Owner, restriction: str, payload: Payload) -> guard.Ended:
    values = {plan.labels[label].name: value for label, value in payload.items() if label in plan.labels}
    return guard.Ended(plan.label, plan.envelope, record, *owner, restriction, values)


def keep_deleted(obj: SealedModel) -> None:
    """Show the keeper what a deleted row held, as long as it can be opened, in the transaction that deletes it."""
    holding = [plan for plan in plans(type(obj)).values() if obj.__dict__.get(plan.column) is not None]
    codes = keys.restrictions([obj.pk]) if holding else {}
    for plan in holding:
        if code := codes.get((obj.pk, plan.envelope)):
            payload = opened([(plan, obj.pk, bytes(obj.__dict__[plan.column]))])[0]
            guard.keep(_ended(plan, obj.pk, obj.vault_owner(), code, payload))


def _check(wanted: keys.Wanted) -> None:
    """Ask the guard before a restricted envelope is written. Raises RecordRestricted.

    Code that shows nobody anything (`internal`) is not asked, as when it opens one.
    """
    unit = units.current()
    if unit is not None and unit.free:
        return
    opening = guard.Opening(
        wanted.label, wanted.envelope, wanted.record, *wanted.owner, wanted.restriction, mode="write"
    )
    if guard.ask(opening) is not None:
        raise RecordRestricted(f"{wanted.label}/{wanted.envelope}: this record is restricted; nothing was written.")


def _committed(snaps: list[Snap], wanted: list[keys.Wanted]) -> None:
    for snap in snaps:  # of an object sealed again since, the newer snap is another one
        snap.unsure = ()
    replacing = [key for key in wanted if key.replaces]
    if replacing:
        keys.finish([key.number for key in replacing], [key.record for key in replacing])


def save(obj: SealedModel, using: str, update_fields: Iterable[str] | None) -> frozenset[str] | None:
    """Seal what an object's save must seal; return the update_fields for Django, columns for fields.

    Runs inside the transaction of the save. Sets which sealed columns the UPDATE may write.
    """
    model = type(obj)
    state = obj._vault_state()
    state.writing = set()
    if obj.pk is None:
        obj._state.adding = True
    settle_id(obj)
    names = None if update_fields is None else with_beside(model, update_fields)
    if obj._state.adding:
        drafts = fresh([obj])
    else:
        drafts, lost = merged([obj], names, using)
        if lost:
            drafts = fresh([obj])  # the row is not there (a rolled-back create, a copy): Django will insert it
    write(drafts, using)
    state.writing = {draft.plan.column for draft in drafts}
    if names is None:
        return None
    explicit = {f"sealed_{envelope}" for envelope in plans(model)} & names
    virtual = {name for plan in plans(model).values() for name in plan.names}
    state.writing |= explicit
    return (names - virtual) | (state.writing if not names.isdisjoint(virtual) else explicit)


def with_beside(model: Any, names: Iterable[str]) -> frozenset[str]:
    """Return the names with those of the readable columns that hold a part of the same data."""
    given = frozenset(names)
    found = (field.beside for plan in plans(model).values() for field in plan.fields if field.name in given)
    return given.union(*found)


def check_insert(obj: SealedModel) -> None:
    """Refuse an INSERT that Django makes because an UPDATE found no row, unless the bytes are this record's.

    Raises RecordErased when the record was erased meanwhile, CopyRefused for another record's bytes.
    """
    model = type(obj)
    gone = keys.destroyed([(obj.pk, envelope) for envelope in model.envelopes()])
    if gone:
        raise RecordErased(f"{model.vault_label}: this record was erased; it is not written again.")
    fresh([obj])  # opens what this object never opened, and refuses what is not its own


def rekey(instance: SealedModel, envelopes: Iterable[str], *, now: object = None) -> None:
    """Seal envelopes again under new keys, so that no backup of the old bytes can be read (Art. 16).

    The old keys are destroyed when the transaction has committed. Raises RecordErased, KeyMissing.
    `now` is the moment of the correction as its caller records it; the key store keeps its own time.
    """
    using = instance._state.db or "default"
    model = type(instance)
    with transaction.atomic(using=using):
        chosen = [plans(model)[envelope] for envelope in envelopes]
        columns = [plan.column for plan in chosen]
        row = model._base_manager.using(using).filter(pk=instance.pk).select_for_update().values_list(*columns).first()
        stored = [
            (plan, instance.pk, bytes(sealed))
            for plan, sealed in zip(chosen, row or (), strict=False)
            if sealed is not None
        ]
        drafts = [
            Draft(instance, plan, payload, (), replaces=True)
            for (plan, _, _), payload in zip(stored, opened(stored), strict=True)
        ]
        write(drafts, using)
        for draft in drafts:
            sealed = instance.__dict__[draft.plan.column]
            model._base_manager.using(using).filter(pk=instance.pk).update(**{draft.plan.column: sealed})


def settle_id(obj: SealedModel) -> None:
    """Draw the record id that sealed bytes are bound to, or make a UUID of one given as text."""
    if obj.pk is None:
        obj.pk = obj._meta.pk.get_default()
    elif not isinstance(obj.pk, UUID):
        obj.pk = obj._meta.pk.to_python(obj.pk)


def seal_new(objs: Sequence[Any], using: str) -> None:
    """Seal many objects that have no row yet, with one INSERT of keys (bulk_create)."""
    write(fresh(cast("Sequence[SealedModel]", objs)), using)
