"""What people call a record: its kind and its number, "Order SO-2026-000003". Nothing is opened for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from privacy import datamap

SHOWN = 12  # signs of a record's own number, where people have none for it


def names(records: Iterable[tuple[str, UUID | None]]) -> dict[tuple[str, UUID | None], str]:
    """Return for each (label, record id) what people call it, in one query per kind of record.

    A kind that no app declares any more keeps its label; a record without a number of people's own gets the end of its
    id, and one whose id is gone (what stays for statistics) its kind alone.
    """
    ids: dict[str, set[UUID | None]] = defaultdict(set)
    for label, pk in records:
        ids[label].add(pk)
    return {(label, pk): name for label, of_kind in ids.items() for pk, name in _of_kind(label, of_kind).items()}


def _of_kind(label: str, ids: set[UUID | None]) -> dict[UUID | None, str]:
    try:
        declaration = datamap.for_label(label)
    except KeyError:
        return {pk: " ".join(filter(None, [label, _end(pk)])) for pk in ids}
    numbers: dict[Any, Any] = {}
    if declaration.reference:
        rows = declaration.model._base_manager.filter(pk__in=[pk for pk in ids if pk is not None])
        numbers = dict(rows.order_by().values_list("pk", declaration.reference))
    return {pk: " ".join(filter(None, [declaration.title, str(numbers.get(pk) or _end(pk))])) for pk in ids}


def _end(pk: UUID | None) -> str:
    return str(pk)[-SHOWN:] if pk is not None else ""
