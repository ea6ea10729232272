"""Give the application roles exactly the rights they need on the tables; run by the owner after each migration."""

from typing import Any

import environ
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction
from psycopg2 import sql

ROLES = {"default": "DATABASE_URL", "keystore": "KEYSTORE_DATABASE_URL"}


class Command(BaseCommand):
    """Grant select, insert, update and delete; on append-only tables select and insert. Some
    numbers only the database gives."""

    help = (
        "Grants the roles of DATABASE_URL and KEYSTORE_DATABASE_URL exactly the rights they need and takes all others from "
        "them; changes no data. Run it as the owner: ILT_DB_ROLE=owner. Exit codes: 0 done, 1 failed, 2 usage."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        env = environ.Env()
        for alias, variable in ROLES.items():
            role = env.db_url(variable).get("USER", "")
            owner = settings.DATABASES[alias].get("USER", "")
            if role == owner:
                self.stderr.write(f"{variable} is the owner's own role: nothing to grant on {alias}.")
                continue
            grant(alias, role)
            self.stdout.write(f"Granted the application role its rights on {alias}.")


def grant(alias: str, role: str) -> None:
    """Grant `role` its rights on every table of the database, in one transaction."""
    append_only = settings.APPEND_ONLY_TABLES.get(alias, [])
    numbered = settings.NUMBERED_TABLES.get(alias, [])
    name = sql.Identifier(role)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        tables = set(connections[alias].introspection.table_names(cursor))
        statements = [
            "GRANT USAGE ON SCHEMA public TO {role}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {role}",
        ]
        for statement in statements:
            cursor.execute(sql.SQL(statement).format(role=name))
        if missing := sorted({*append_only, *numbered} - tables):
            text = f"APPEND_ONLY_TABLES or NUMBERED_TABLES names tables that do not exist: {', '.join(missing)}."
            raise CommandError(text)
        for table in (*append_only, *numbered):
            taken = "INSERT, UPDATE" if table in numbered else "INSERT, UPDATE, DELETE, TRUNCATE"
            revoke = sql.SQL("REVOKE {} ON {} FROM {}")
            cursor.execute(revoke.format(sql.SQL(taken), sql.Identifier(table), name))
            # The database alone numbers the rows: a number taken beforehand would refuse every later row, for good.
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped AND attidentity = '' ORDER BY attnum",
                [table],
            )
            columns = sql.SQL(", ").join(sql.Identifier(column) for (column,) in cursor.fetchall())
            for right in ("INSERT", "UPDATE") if table in numbered else ("INSERT",):
                given = sql.SQL("GRANT {} ({}) ON {} TO {}")
                cursor.execute(given.format(sql.SQL(right), columns, sql.Identifier(table), name))
