"""A query that is put together and compiled once in a process, and asked with other values each time.

For what almost every page or step asks: Django takes longer to compile such a query than the database to answer it.
Nothing of an answer is kept: each time the database is asked anew.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.db import connections, models, router
from django.db.models.query import get_related_populators

from privacy.vault.queryset import attach


class Question:
    """A query with blanks: each parameter of it that equals one of `blanks` is filled in with the value asked for.

    A blank is what nobody asks for (`NUMBER`, `DAY`, `MOMENT`, `TEXT`), of the type of the values: these go to the
    database as they are. A query that locks is asked in the caller's transaction, the first time too.
    """

    NUMBER = UUID(int=0)
    DAY = date.min
    MOMENT = datetime.min.replace(tzinfo=UTC)
    TEXT = "\N{REPLACEMENT CHARACTER}"

    def __init__(self, rows: models.QuerySet[Any, Any], *blanks: Any) -> None:
        self._alias, self._model, self._blanks = rows.db, rows.model, blanks
        compiler = rows.query.get_compiler(self._alias)
        self._statement, self._parameters = compiler.as_sql()
        columns = [column for column, *_ in compiler.select or ()]
        self._converters = compiler.get_converters(columns)
        about = compiler.klass_info or {}
        self._places = about.get("select_fields") or []
        self._names = [columns[place].target.attname for place in self._places]
        how = [rows._fetch_mode] if hasattr(rows, "_fetch_mode") else []  # since Django 6.1
        self._joined = get_related_populators(about, compiler.select, self._alias, *how) if about else []
        self._beside = dict(compiler.annotation_col_map or {})

    def __call__(self, *values: Any) -> list[list[Any]]:
        """Return the rows for these values, one for each blank, their columns as Django reads them."""
        given = dict(zip(self._blanks, values, strict=True))
        connection = connections[self._alias]
        with connection.cursor() as cursor:
            cursor.execute(self._statement, [_filled(one, given) for one in self._parameters])
            rows = [list(row) for row in cursor.fetchall()]
        for row in rows:
            for place, (functions, column) in self._converters.items():
                for function in functions:
                    row[place] = function(row[place], column, connection)
        return rows

    def record(self, *values: Any) -> Any:
        """Return the first record for these values, as `records`; None without one."""
        return next(iter(self._made(self(*values)[:1])), None)

    def records(self, *values: Any) -> list[Any]:
        """Return the records for these values with what is annotated and joined to them, as the queryset would. Of a
        query for whole rows of one model."""
        return self._made(self(*values))

    def _made(self, rows: list[list[Any]]) -> list[Any]:
        found = []
        for row in rows:
            one = self._model.from_db(self._alias, self._names, [row[place] for place in self._places])
            for joined in self._joined:
                joined.populate(row, one)
            for name, place in self._beside.items():
                setattr(one, name, row[place])
            found.append(one)
        attach(found, related=bool(self._joined))
        return found


class Change:
    """An UPDATE of these plain columns of the row with a number, put together once; nothing is sealed, and no signal
    sent."""

    def __init__(self, model: type[models.Model], *names: str) -> None:
        self._alias, about = router.db_for_write(model), model._meta
        self._fields: list[Any] = [about.get_field(name) for name in names]
        quote = connections[self._alias].ops.quote_name
        columns = ", ".join(f"{quote(one.column)} = %s" for one in self._fields)
        where = f"{quote(str(about.pk.column))} = %s"
        self._statement = f"UPDATE {quote(about.db_table)} SET {columns} WHERE {where}"  # noqa: S608  names of columns

    def write(self, record: models.Model) -> int:
        """Write what the record has in these columns; return how many rows there were: 1, or 0 without its row."""
        connection = connections[self._alias]
        values = [one.get_db_prep_save(getattr(record, one.attname), connection) for one in self._fields]
        with connection.cursor() as cursor:
            cursor.execute(self._statement, [*values, record.pk])
            return int(cursor.rowcount)


def _filled(one: Any, given: dict[Any, Any]) -> Any:
    return given.get(one, one) if isinstance(one, UUID | date | str) else one
