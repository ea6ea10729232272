"""What the application role may do with the append-only tables, tried as that role."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import DatabaseError, connections, transaction

from privacy import audit
from privacy.gate import Actor, log
from privacy.models import AuditEvent
from privacy.requests.models import RequestEvent
from privacy.vault.keystore import ledger
from tests import factories
from tests.asked import taken_in
from tests.roles import app_role

NOW = factories.NOW
CAROL = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin")

pytestmark = pytest.mark.django_db

TABLES = [(alias, table) for alias, tables in settings.APPEND_ONLY_TABLES.items() for table in tables]


def numbered(alias: str, table: str) -> str:
    """Return the column that the database numbers by itself, "" when the table has none."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''", [table])
        found = cursor.fetchall()
    return found[0][0] if found else ""


def refused(alias: str, statement: str) -> str:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(using=alias):
        connections[alias].cursor().execute(statement)
    return str(refusal.value).splitlines()[0]


def test_the_next_numbers_of_the_audit_cannot_be_occupied() -> None:
    audit.record("message.read", actor=None, now=NOW)
    names = [field.column for field in AuditEvent._meta.local_fields if field.column not in ("id", "event", "xid")]
    columns = ", ".join(names)
    with app_role():
        told = refused(
            "default",
            f"INSERT INTO privacy_auditevent (id, event, {columns}) "
            f"SELECT id + n, gen_random_uuid(), {columns} FROM privacy_auditevent, generate_series(1, 40) n",
        )
        for _ in range(3):
            audit.record("message.read", actor=None, now=NOW)

    assert told == "permission denied for table privacy_auditevent"
    numbers = list(AuditEvent.objects.order_by("id").values_list("id", flat=True))
    assert numbers == list(range(numbers[0], numbers[0] + 4))


@pytest.mark.parametrize(("alias", "table"), TABLES)
def test_no_append_only_table_takes_a_number_that_the_database_is_to_give(alias: str, table: str) -> None:
    column = numbered(alias, table)
    with app_role(alias), connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT attname, has_column_privilege(%s, attname, 'INSERT'), has_column_privilege(%s, attname, 'UPDATE')"
            " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table, table, table],
        )
        rights = {name: (insert, update) for name, insert, update in cursor.fetchall()}
        cursor.execute("SELECT has_table_privilege(%s, 'DELETE')", [table])
        may_delete = cursor.fetchone()[0]

    assert rights == {name: (name != column, False) for name in rights}
    assert not may_delete


@pytest.mark.parametrize("table", ["privacy_auditevent", "privacy_requestevent", "privacy_chainfloor"])
def test_these_tables_are_numbered_by_the_database(table: str) -> None:
    assert numbered("default", table) == "id"


def test_the_application_role_still_writes_every_log(settings: Any, tmp_path: Path) -> None:
    settings.CHECKPOINT_DIR = tmp_path  # not what other tests signed
    alice = factories.customer()
    actor = factories.acting_as(alice)
    request = taken_in("access", alice.subject_id, identity="login", received_on=NOW.date(), actor=actor)
    before = RequestEvent.objects.count()
    with app_role():
        audit.record("message.read", actor=None, now=NOW)
        log.write([log.Opening(CAROL, ("subject", uuid4()), {"accounts.customer/account": [uuid4()]})], now=NOW)
        RequestEvent.objects.create(request=request, at=NOW, on=NOW.date(), kind="extended", state=request.state)
    with app_role("keystore"):
        ledger.tombstone("PR-2026-00001", counts={}, now=NOW)

    assert AuditEvent.objects.filter(action="message.read").count() == 1
    assert log.AccessEntry.objects.filter(purpose="admin").count() == 1
    assert RequestEvent.objects.count() == before + 1
    assert ledger.position() > 0
    assert audit.verify(now=NOW + timedelta(seconds=10)).is_intact
