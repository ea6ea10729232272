"""Records found by a whole encrypted value, and opened to see that they carry it.

What must never happen: a token alone says whose an address, a number or a user name is. Who writes to the key store
alone can let a token lead to another record, or put one back that a correction ended; nobody can write there what that
record holds. So what the tokens name is opened, compared with what was looked for, and left out where it is another
value; the log tells of it. What is opened is shown to nobody and forgotten at once. A token that was taken away leaves
no trace here: its record is not found.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from django.core.exceptions import FieldError
from django.db import models, router

from privacy.vault.columns import Found
from privacy.vault.envelope import key_id, unpack, unseal
from privacy.vault.fields import EncryptedField, Layout, layouts
from privacy.vault.index import Exact
from privacy.vault.keystore import keys, tokens

log = logging.getLogger("privacy.vault")
Values = dict[str, set[UUID]]


class Index(NamedTuple):
    """An index of whole values, as a field of a model declares it."""

    model: type[models.Model]
    layout: Layout
    field: EncryptedField
    blind: Exact

    @property
    def is_sure(self) -> Index:
        """The same, asked only for telephone numbers with the same country."""
        return self._replace(blind=replace(self.blind, is_sure=True))


def indexes(model: type[models.Model]) -> list[Index]:
    """Return the indexes of whole values that the fields of a model declare; none where it is not sealed."""
    return [
        Index(model, layout, field, blind)
        for layout in layouts(model).values()
        for field in layout.fields
        for blind in field.blind
        if isinstance(blind, Exact)
    ]


def index_of(model: type[models.Model], name: str) -> Index:
    """Return the index of this name. Raises FieldError where the model declares none."""
    for one in indexes(model):
        if one.blind.field == name:
            return one
    raise FieldError(f"{model._meta.label} has no Exact index {name!r}.")


def carriers(
    asked: Sequence[tuple[Index, Collection[str]]],
    *,
    most: int | None = None,
    without: Collection[UUID] = (),
    using: str | None = None,
) -> list[Values]:
    """Return, for each index, the values that stand in records with the ids of these records, at most `most` of an
    index and none of `without`; all of them were opened and carry the value.

    One query for the tokens, one for the rows of each index in which something was found, one for their keys.
    """
    named = tokens.matching([(one.blind, values) for one, values in asked], most=most)
    hits = [[hit for hit in of_it if hit.record not in without] for of_it in named]
    rows = [_rows(one, found, using) for (one, _), found in zip(asked, hits, strict=True)]
    loaded = keys.load([ask for (one, _), of_it in zip(asked, rows, strict=True) for ask in _keys_of(one, of_it)])
    carried = [_carried(one, found, of_it, loaded) for (one, _), found, of_it in zip(asked, hits, rows, strict=True)]
    if lost := sum(count for _, count in carried):
        log.error("Tokens lead to records that do not carry what was looked for. They count for nothing: %d.", lost)
    return [values for values, _ in carried]


def _rows(one: Index, hits: Sequence[tokens.Hit], using: str | None) -> list[tuple[UUID, bytes]]:
    """Return (id, sealed bytes) of what was found and names the key of its token: no write that was rolled back."""
    if not hits:
        return []
    found = Found({hit.record for hit in hits}, {number for hit in hits for number in hit.keys}, one.layout.column)
    every: models.QuerySet[Any] = models.QuerySet(one.model, using=using or router.db_for_read(one.model))
    listed = every.filter(pk__found=found).values_list("pk", one.layout.column)
    return [(pk, bytes(sealed)) for pk, sealed in listed]


def _keys_of(one: Index, rows: Iterable[tuple[UUID, bytes]]) -> list[tuple[int, UUID, str]]:
    return [(key_id(sealed), pk, one.layout.envelope) for pk, sealed in rows]


def _carried(
    one: Index, hits: Sequence[tokens.Hit], rows: Iterable[tuple[UUID, bytes]], loaded: dict[int, Any]
) -> tuple[Values, int]:
    """Return the values and who carries them, and how many of the rows carry another than what their token says."""
    said: dict[UUID, set[str]] = {}
    for hit in hits:
        said.setdefault(hit.record, set()).update(hit.values)
    wanted = {
        value: {token for group in one.blind.looked_up(value) for token in group}
        for value in {value for of_it in said.values() for value in of_it}
    }
    entries: dict[str, set[bytes]] = {}  # a switchboard's number stands on very many records
    values: Values = {}
    lost = 0
    for pk, sealed in rows:
        text = _text(one, pk, sealed, loaded)
        if text is None:
            continue  # ended since, or its key is not to be had: said where that is looked at
        if text not in entries:
            entries[text] = {entry.value for entry in one.blind.entries(text)}
        found = [value for value in said[pk] if entries[text] & wanted[value]]
        lost += not found
        for value in found:
            values.setdefault(value, set()).add(pk)
    return values, lost


def _text(one: Index, pk: UUID, sealed: bytes, loaded: dict[int, Any]) -> str | None:
    """Return what the index sees of a record, None where it does not open."""
    key = loaded.get(key_id(sealed))
    if not isinstance(key, keys.OpenKey):
        return None
    try:
        payload = unpack(unseal(key.cipher, sealed, one.layout.bound, pk))
    except InvalidTag:
        return None
    return one.field.indexed(payload.get(str(one.field.label)))
