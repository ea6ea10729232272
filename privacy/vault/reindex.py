"""Tokens for what was sealed before its index was declared.

What must never happen: a token that outlives the key of its value, or one of a value that was replaced meanwhile. So
the rows are locked while their tokens are placed, each token belongs to the key that its row names at that moment, and
a key that is being destroyed gets none. Nothing is sealed anew and nothing is shown; to do it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import models, router, transaction

from privacy.vault import index
from privacy.vault.drafts import opened
from privacy.vault.envelope import key_id
from privacy.vault.fields import Layout, layouts
from privacy.vault.index import Blind, Words
from privacy.vault.keystore import keys, tokens


def without(model: Any, name: str, *, after: UUID | None, most: int) -> tuple[list[UUID], UUID | None]:
    """Return the next rows that are sealed and have no token of this index, among `most` rows, and where to go on."""
    layout, blind = _index(model, name)
    sealed: models.QuerySet[Any] = models.QuerySet(model).filter(**{f"{layout.column}__isnull": False}).order_by("pk")
    ids = list((sealed.filter(pk__gt=after) if after else sealed).values_list("pk", flat=True)[:most])
    known = tokens.known(blind, ids)
    return [pk for pk in ids if pk not in known], ids[-1] if ids else None


def place(model: Any, name: str, ids: Sequence[UUID]) -> int:
    """Place the tokens of one index for these rows; return how many. Raises KeyMissing, ForeignEnvelope.

    A row without a value, one that was erased, and one that has its token already get none.
    """
    layout, blind = _index(model, name)
    using = router.db_for_write(model)
    with transaction.atomic(using=using):
        rows: models.QuerySet[Any] = models.QuerySet(model, using=using).filter(pk__in=ids).order_by("pk")
        gone = {pk for pk, _ in keys.destroyed([(pk, layout.envelope) for pk in ids])}
        stored = [
            (layout, pk, bytes(sealed))
            for pk, sealed in rows.select_for_update(of=("self",)).values_list("pk", layout.column)
            if sealed is not None and pk not in gone
        ]
        places = [
            (entry, pk, key_id(sealed))
            for (_, pk, sealed), payload in zip(stored, opened(stored), strict=True)
            for entry in index.entries((one, value) for one, value in layout.blinds(payload) if one == blind)
        ]
        return tokens.add(places)


def _index(model: Any, name: str) -> tuple[Layout, Blind]:
    found: Iterable[tuple[Layout, Any]] = (
        (layout, blind) for layout in layouts(model).values() for _, field in layout.blind for blind in field.blind
    )
    # Of two indexes of one name, that by words is the one that may be without tokens: it has a version of its own.
    ours = [(layout, one) for layout, one in found if one.field == name and not getattr(one, "unique", False)]
    return next((one for one in ours if isinstance(one[1], Words)), ours[0])
