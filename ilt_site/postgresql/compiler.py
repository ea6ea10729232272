"""Queries for whole rows of one table: their columns, their order and how values are read are put together once.

Most questions of this product are such ones: a row by its number, the rows of a person. Django puts the list of the
columns together anew for each, and looks at every one of them to order by another: by measure an eighth of what a
removal costs the program. Both say the same as long as the model is the same, whatever is asked for; nothing of a row,
of a condition or of a person is remembered. Whatever is not plainly such a question is left to Django: joined or chosen
columns, annotations, subqueries under another name, tables in two parts.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.backends.postgresql import compiler
from django.db.backends.postgresql.compiler import (
    SQLAggregateCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)
from django.db.models import Model

__all__ = ["SQLAggregateCompiler", "SQLCompiler", "SQLDeleteCompiler", "SQLInsertCompiler", "SQLUpdateCompiler"]


class _Rows:
    """What Django's compiler says of the whole rows of one model, under the name of their table."""

    __slots__ = ("converters", "fields", "orders", "select")

    def __init__(self, fields: Any) -> None:
        self.fields = fields  # another list once the model has got another field
        self.select: list[Any] | None = None
        self.converters: dict[int, Any] | None = None
        self.orders: dict[tuple[bool | str, ...], list[Any]] = {}


_known: dict[type[Model] | None, _Rows] = {}


class SQLCompiler(compiler.SQLCompiler):
    """Django's, which is asked once for each model, and each order of its rows."""

    def get_select(self, with_col_aliases: bool = False) -> Any:
        """Return the columns, for whole rows those of the first time."""
        if with_col_aliases or self.query.select_related or (rows := self._rows()) is None:
            return super().get_select(with_col_aliases)
        if rows.select is None:
            rows.select = super().get_select()[0]
        return rows.select, {"model": self.query.model, "select_fields": list(range(len(rows.select)))}, {}

    def get_order_by(self) -> Any:
        """Return the order, for whole rows by columns of their own that of the first time."""
        query: Any = self.query
        if query.extra_order_by or (rows := self._rows()) is None:
            return super().get_order_by()
        names = query.order_by
        if query.default_ordering and not names:
            names = query.get_meta().ordering
            if names:
                self._meta_ordering = names
        if not names:
            return []
        if not all(isinstance(name, str) for name in names):
            return super().get_order_by()
        key = (query.standard_ordering, *names)
        if (found := rows.orders.get(key)) is None:
            found = super().get_order_by()
            if all(_is_own(query.get_meta(), name) for name in names):
                rows.orders[key] = found
        return list(found)

    def get_converters(self, expressions: Any) -> Any:
        """Return how the values of the columns are read, for whole rows as the first time."""
        select = self.select  # None of a query that was written by hand, which has no model either
        rows = _known.get(self.query.model) if select is not None else None
        if rows is None or select is None or len(expressions) != len(select) or select is not rows.select:
            return super().get_converters(expressions)
        if rows.converters is None:
            rows.converters = super().get_converters(expressions)
        return rows.converters

    def _rows(self) -> _Rows | None:
        """Return what is known of the rows; None where the query is about more, or less, than whole rows of its
        table."""
        query = self.query
        if (
            not query.default_cols
            or query.annotations
            or query.extra
            or query.combinator
            or query.group_by is not None
            or query.selected is not None
            or query.deferred_loading[0]
            or query.model is None
        ):
            return None
        options = query.get_meta()
        if options.parents or query.get_initial_alias() != options.db_table:
            return None
        rows = _known.get(query.model)
        if rows is None or rows.fields is not options.concrete_fields:
            rows = _known[query.model] = _Rows(options.concrete_fields)
        return rows


def _is_own(options: Any, name: str) -> bool:
    """Say whether this orders by a column of the row itself, and by nothing that it leads to."""
    name = name.removeprefix("-")
    try:
        field = options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        return False
    return field in options.concrete_fields and (not field.is_relation or (name == field.attname and name != "pk"))
