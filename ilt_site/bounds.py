"""What the databases take into a column: nothing that this program could not read back.

What must never happen: one row that another program wrote closes a page, or stops the work of a night, because a day in
it stands in no calendar, a number has no next one, or JSON is not of the kind that is read there. So each column of
days, counted numbers and JSON has a CHECK, made from the models after every migration: a column that comes later gets
its own without anybody's thinking of it. Rows of before are not looked at (NOT VALID): they can be deleted, and are
written only when they are put right. What reads the rows of many people spares such a row (privacy.work.broken).
"""

from __future__ import annotations

from collections import defaultdict

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, router, transaction

#: The checks that are made here; those of a name that nothing asks for any more are taken away here, too.
PREFIX = "readable_"
#: A constraint of a model that says the same of a day, and more (privacy.calendar).
OWN = "_day"
LONGEST_NAME = 63
MOST = {"PositiveSmallIntegerField": 30_000, "PositiveIntegerField": 1_000_000_000}
# Not by the type of the column, which says no more than that it is JSON: by what a new row has there.
JSON_KINDS = {dict: "object", list: "array"}

CHECKS = (
    "SELECT relname, conname, ARRAY(SELECT attname FROM pg_attribute"
    " WHERE attrelid = conrelid AND attnum = ANY (conkey)) FROM pg_constraint"
    " JOIN pg_class ON pg_class.oid = conrelid"
    " WHERE contype = 'c' AND pg_class.relnamespace = 'public'::regnamespace"
)


def settle(alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Give each column of a database the CHECK that it lacks, and take away those that nothing asks for; return the
    names of both.

    By who owns the tables; safe to repeat.
    """
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(CHECKS)
        there = cursor.fetchall()
        names = {(table, name) for table, name, _ in there}
        covered = {(table, column) for table, name, columns in there if name.endswith(OWN) for column in columns}
        wanted = _wanted(alias, covered)
        changes: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for table, name in sorted(names - wanted.keys()):
            if name.startswith(PREFIX):
                changes[table].append((name, f"DROP CONSTRAINT {name}"))
        for (table, name), told in sorted(wanted.items()):
            if (table, name) not in names:
                changes[table].append((name, f"ADD CONSTRAINT {name} CHECK ({told}) NOT VALID"))
        for table, each in changes.items():
            cursor.execute(f"ALTER TABLE {table} {', '.join(change for _, change in each)}")
    return [name for each in changes.values() for name, _ in each]


def _wanted(alias: str, covered: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return by table and name what each column of the database is to be held to; `covered` are days that a constraint
    of a model holds already."""
    tables = set(connections[alias].introspection.table_names())
    wanted = {}
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        if table not in tables or not router.allow_migrate_model(alias, model):
            continue
        for field in model._meta.local_concrete_fields:
            if (told := _told(field)) and (table, field.column) not in covered:
                wanted[table, f"{PREFIX}{table}_{field.column}"[:LONGEST_NAME]] = told
    return wanted


def _told(field: models.Field) -> str:
    """Return what a column is held to, as SQL; "" for one of which nothing is asked."""
    column = field.column
    if isinstance(field, models.DateTimeField):  # a day less at each end, so that no time zone leads beyond it
        return f"{column} >= '0001-01-02 00:00:00+00' AND {column} < '9999-12-31 00:00:00+00'"
    if isinstance(field, models.DateField):
        return f"{column} >= '0001-01-01' AND {column} <= '9999-12-31'"
    if (most := MOST.get(field.get_internal_type())) is not None:
        return f"{column} >= 0 AND {column} <= {most}"
    if isinstance(field, models.JSONField):
        # A number of thousands of digits is not read, nor what is nested a thousand times.
        kind = JSON_KINDS.get(field.default)
        is_of_its_kind = f"jsonb_typeof({column}) = '{kind}' AND " if kind else ""
        large = f"jsonb_path_exists({column}, '$.** ? (@.type() == \"number\" && (@ > 1e300 || @ < -1e300))')"
        return f"{is_of_its_kind}NOT {large} AND NOT jsonb_path_exists({column}, '$.**{{100}}')"
    return ""
