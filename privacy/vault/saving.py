"""Seal what changed: the write side of `SealedModel`.

Must never happen: the old value readable in a backup after a correction (so a changed envelope gets a new key, and the
old key goes once the row has committed); the keys of a row destroyed whose deletion was rolled back (so the row is
looked for once more, after the commit). What a crash leaves half-done the key collector finishes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from privacy.typed.lines import no_break
from privacy.vault import in_use, index
from privacy.vault import unit as units
from privacy.vault.drafts import Draft, Payload, Snap, fresh, merged, opened
from privacy.vault.envelope import key_id, pack, seal
from privacy.vault.fields import Layout, layouts
from privacy.vault.keystore import keys
from privacy.vault.results import KeyMissing, RecordErased, RecordRefused, RecordRestricted, ValueTaken

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel


def write(drafts: Sequence[Draft], using: str) -> None:
    """Commit keys and tokens for the drafts, then put the sealed bytes into their objects.

    The keys that the new ones replace are destroyed when the transaction on `using` has committed. Raises
    RecordErased, RecordElsewhere, RecordRefused, RecordRestricted or ValueTaken, and ValidationError for a line break
    in a field of one line; then nothing was made.
    """
    if not drafts:
        return
    _may_add(drafts)
    for draft in drafts:
        for label in draft.layout.lines.intersection(draft.changed):
            no_break(draft.payload.get(label))
    own = _own(using)
    wanted = [
        keys.Wanted(
            draft.obj.pk,
            draft.layout.envelope,
            draft.layout.label,
            draft.obj.vault_owner(),
            replaces=draft.replaces,
            named=draft.named,
            is_settled=draft.named not in own,
            entries=index.entries(draft.layout.blinds(draft.payload)) if draft.layout.blind else (),
        )
        for draft in drafts
    ]
    in_use.under_way((entry.value for w in wanted for entry in w.entries if entry.is_unique), using)
    try:
        keys.make(wanted, _check)
    except ValueTaken:
        raise
    except DatabaseError as error:
        raise KeyMissing("The key store cannot be reached; nothing was written.") from error
    own.update(want.number for want in wanted if want.replaces)
    for draft, want in zip(drafts, wanted, strict=True):
        if want.restriction and draft.base and _replaces(draft):
            units.keep(_ended(draft.layout, want.record, want.owner, want.restriction, draft.base))
    unit = units.current()
    snaps = []
    for draft, want in zip(drafts, wanted, strict=True):
        obj, layout, key = draft.obj, draft.layout, want.key
        sealed = seal(key.cipher, key.number, layout.bound, want.record, pack(draft.payload))
        snap = Snap(draft.payload, want.record, sealed, draft.changed)
        snaps.append(snap)
        obj._took(layout, snap)
        if unit is not None:
            unit.keys[key.number] = key
            unit.remember(obj)
    transaction.on_commit(lambda: _committed(snaps, wanted, own), using=using, robust=True)


def _own(using: str) -> set[int]:
    """Return the keys that a transaction on this connection has made to replace others and has not committed yet."""
    connection = connections[using]
    own: set[int] = connection.__dict__.setdefault("vault_own", set())
    if (
        not connection.run_on_commit
    ):  # whatever made them is over: each of them left what is to be done after its commit
        own.clear()
    return own


def _replaces(draft: Draft) -> bool:
    """Whether a value that stood there stands there no more; what was added to an envelope ends nothing."""
    return any(draft.payload.get(label) != value for label, value in (draft.base or {}).items())


def _ended(layout: Layout, record: UUID, owner: keys.Owner, restriction: str, payload: Payload) -> units.Ended:
    values = {layout.labels[label].name: value for label, value in payload.items() if label in layout.labels}
    return units.Ended(layout.label, layout.envelope, record, *owner, restriction, values)


def _may_add(drafts: Sequence[Draft]) -> None:
    """Ask the guard before new records of a kind are written, once for each kind. Raises RecordRefused."""
    unit = units.current()
    if unit is not None and unit.free:
        return
    new = {
        (draft.layout.label, draft.layout.envelope): draft.obj
        for draft in drafts
        if draft.obj._state.adding and draft.obj.vault_asks
    }
    for (label, envelope), obj in new.items():
        if units.ask(units.Opening(label, envelope, obj.pk, *obj.vault_owner(), mode="add")) is not None:
            raise RecordRefused(f"No right to write {label}/{envelope}; nothing was written.")


def _check(wanted: keys.Wanted) -> None:
    """Ask the guard before a restricted envelope is written. Raises RecordRestricted.

    Code that shows nobody anything (`internal`) is not asked, as when it opens one.
    """
    unit = units.current()
    if unit is not None and unit.free:
        return
    opening = units.Opening(
        wanted.label, wanted.envelope, wanted.record, *wanted.owner, wanted.restriction, mode="write"
    )
    if units.ask(opening) is not None:
        raise RecordRestricted(f"{wanted.label}/{wanted.envelope}: this record is restricted; nothing was written.")


def _committed(snaps: list[Snap], wanted: list[keys.Wanted], own: set[int]) -> None:
    for snap in snaps:  # of an object sealed again since, the newer snap is another one
        snap.unsure = ()
    replacing = [key for key in wanted if key.replaces]
    if replacing:
        own.difference_update(key.number for key in replacing)
        places = [(entry, key.record, key.number) for key in replacing for entry in key.entries]
        keys.finish([key.number for key in replacing], [key.record for key in replacing], places)


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
    state.writing = {draft.layout.column for draft in drafts}
    if names is None:
        return None
    explicit = {f"sealed_{envelope}" for envelope in layouts(model)} & names
    virtual = {name for layout in layouts(model).values() for name in layout.names}
    state.writing |= explicit
    return (names - virtual) | (state.writing if not names.isdisjoint(virtual) else explicit)


def with_beside(model: Any, names: Iterable[str]) -> frozenset[str]:
    """Return the names with those of the readable columns that hold a part of the same data."""
    given = frozenset(names)
    found = (field.beside for layout in layouts(model).values() for field in layout.fields if field.name in given)
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


def rekey(instance: SealedModel, envelopes: Iterable[str]) -> None:
    """Seal envelopes again under new keys, so that no backup of the old bytes can be read (Art. 16).

    The old keys are destroyed when the transaction has committed. Raises RecordErased, KeyMissing.
    """
    using = instance._state.db or "default"
    model = type(instance)
    with transaction.atomic(using=using):
        chosen = [layouts(model)[envelope] for envelope in envelopes]
        columns = [layout.column for layout in chosen]
        row = model._base_manager.using(using).filter(pk=instance.pk).select_for_update().values_list(*columns).first()
        stored = [
            (layout, instance.pk, bytes(sealed))
            for layout, sealed in zip(chosen, row or (), strict=False)
            if sealed is not None
        ]
        drafts = [
            Draft(instance, layout, payload, (), replaces=True, named=key_id(sealed))
            for (layout, _, sealed), payload in zip(stored, opened(stored), strict=True)
        ]
        write(drafts, using)
        for draft in drafts:
            sealed = instance.__dict__[draft.layout.column]
            model._base_manager.using(using).filter(pk=instance.pk).update(**{draft.layout.column: sealed})


def settle_id(obj: SealedModel) -> None:
    """Draw the record id that sealed bytes are bound to, or make a UUID of one given as text."""
    if obj.pk is None:
        obj.pk = obj._meta.pk.get_default()
    elif not isinstance(obj.pk, UUID):
        obj.pk = obj._meta.pk.to_python(obj.pk)


def seal_new(objs: Sequence[Any], using: str) -> None:
    """Seal many objects that have no row yet, with one INSERT of keys (bulk_create)."""
    write(fresh(cast("Sequence[SealedModel]", objs)), using)


# A deleted row takes its keys with it ---------------------------------------------------------------------------------


def note_deleted(instance: SealedModel, using: str) -> None:
    """Remember a deleted record until its transaction has committed."""
    _keep_deleted(instance)
    connection = connections[using]
    waiting: list[tuple[type[SealedModel], UUID]] = connection.__dict__.setdefault("vault_deleted", [])
    model = cast("type[SealedModel]", instance._meta.concrete_model)
    waiting.append((model, instance.pk))
    # one callback for each row, because a savepoint that rolls back drops its own; the first that runs does all
    transaction.on_commit(lambda: _end_deleted(using, waiting), using=using, robust=True)


def _keep_deleted(obj: SealedModel) -> None:
    """Show the keeper what a deleted row held, as long as it can be opened, in the transaction that deletes it."""
    holding = [layout for layout in layouts(type(obj)).values() if obj.__dict__.get(layout.column) is not None]
    codes = keys.restrictions([obj.pk]) if holding else {}
    for layout in holding:
        if code := codes.get((obj.pk, layout.envelope)):
            payload = opened([(layout, obj.pk, bytes(obj.__dict__[layout.column]))])[0]
            units.keep(_ended(layout, obj.pk, obj.vault_owner(), code, payload))


def deleted(records: Collection[UUID], using: str = "default") -> set[UUID]:
    """Return those of the records whose rows the transaction under way has deleted: their keys end when it commits."""
    waiting: list[tuple[type[SealedModel], UUID]] = connections[using].__dict__.get("vault_deleted", [])
    found = [(model, record) for model, record in waiting if record in records]
    return {record for _, gone in _gone(using, found) for record in gone}


def _end_deleted(using: str, waiting: list[tuple[type[SealedModel], UUID]]) -> None:
    listed, waiting[:] = list(waiting), []
    for model, gone in _gone(using, listed):
        keys.destroy(
            [(record, envelope) for record in gone for envelope in model.envelopes()],
            now=timezone.now(),  # the edge: the moment of the commit, which nobody can pass in
        )


def _gone(
    using: str, listed: Iterable[tuple[type[SealedModel], UUID]]
) -> Iterator[tuple[type[SealedModel], list[UUID]]]:
    """Yield the records of each model that have no row any more."""
    by_model: dict[type[SealedModel], list[UUID]] = {}
    for model, record in listed:
        by_model.setdefault(model, []).append(record)
    for model, records in by_model.items():
        still = set(model._base_manager.using(using).filter(pk__in=records).values_list("pk", flat=True))
        yield model, [record for record in records if record not in still]
