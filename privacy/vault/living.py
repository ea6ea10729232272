"""Ask the data side which key a row names: the only judge of which keys and tokens are alive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, router

from privacy.vault.envelope import key_id
from privacy.vault.sql import array

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel

GRACE = timedelta(hours=1)  # longer than any transaction may last (statement_timeout of a worker is 10 min)


def models() -> dict[str, type[SealedModel]]:
    """Return the sealed models that have a table, by their stable label."""
    from privacy.vault.sealed import SealedModel

    found: dict[str, type[SealedModel]] = {}
    waiting: list[Any] = [SealedModel]
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            if not model._meta.abstract and not model._meta.proxy:
                found[model.vault_label] = model
    return found


def named(label: str, envelope: str, records: Iterable[UUID]) -> dict[UUID, int | None] | None:
    """Return, for each record that has a row, the key id its envelope names (None when it is empty).

    None instead of a dictionary: no model knows this label and envelope, so nobody can say what is alive.
    """
    model: Any = models().get(label)
    if model is None or envelope not in model.envelopes():
        return None
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    column = quote(model._meta.get_field(f"sealed_{envelope}").column)
    with connection.cursor() as cur:
        cur.execute(
            f"SELECT {quote(model._meta.pk.column)}, substring({column} from 1 for 9) "  # noqa: S608
            f"FROM {quote(model._meta.db_table)} WHERE {quote(model._meta.pk.column)} = ANY(%s::uuid[])",
            [array(records)],
        )
        return {record: None if header is None else key_id(header) for record, header in cur.fetchall()}
