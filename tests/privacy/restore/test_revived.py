"""A key that ended and is alive again, by somebody's hand or with a backup of one table, is named and ended again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import InternalError, connection, connections
from django.test import Client

from accounts.models import Customer
from privacy import tasks, vault
from privacy.gate.system import system_actor
from privacy.restore import replay, revived, signed_file
from privacy.restore.models import LedgerCopy
from privacy.sweep import arming
from privacy.sweep.models import SweepState
from privacy.vault.keystore import ledger
from privacy.vault.models import DataKey, Tombstone
from privacy.work.broken import Findings
from tests import asked, databases, factories, roles

NOW = factories.NOW
SWEEP = system_actor("sweep")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(settings: Any, tmp_path: Any) -> None:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


def follow() -> None:
    with replay.alone():
        while replay.follow(actor=SWEEP, now=datetime.now(UTC)):
            pass


KEYS = "SELECT to_jsonb(vault_datakey)::text FROM vault_datakey WHERE destroyed_at IS NULL"
PUT_BACK = """
    SET session_replication_role = replica;
    DELETE FROM vault_datakey WHERE id IN (SELECT (one ->> 'id')::bigint FROM jsonb_array_elements(%s::jsonb) one);
    INSERT INTO vault_datakey SELECT * FROM jsonb_populate_recordset(NULL::vault_datakey, %s::jsonb);
    RESET session_replication_role
"""


def kept_keys(*records: UUID) -> str:
    """Return the living keys of these records as a backup of their table has them."""
    with connections["keystore"].cursor() as cursor:
        cursor.execute(KEYS + " AND record = ANY(%s::uuid[])", [[str(one) for one in records]])
        return json.dumps([json.loads(row) for (row,) in cursor.fetchall()])


def put_back(rows: str) -> int:
    """Put keys back as the owner of the table does who restores it, past its triggers; return how many."""
    with connections["keystore"].cursor() as cursor:
        cursor.execute(PUT_BACK, [rows, rows])
    return len(json.loads(rows))


def row(table: str, number: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb({table})::text FROM {table} WHERE id = %s", [str(number)])
        return str(cursor.fetchone()[0])


def row_back(table: str, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s::jsonb)", [text])


def verified() -> list[dict[str, Any]]:
    """Return what verify_audit finds in the audit log. Nothing is sealed here, so that it never ends with 0."""
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", "--json", verbosity=0, stdout=out)
    log = json.loads(out.getvalue())["logs"][0]
    assert (ended.value.code == 1) == bool(log["wrong"])
    findings: list[dict[str, Any]] = log["findings"]
    return findings


def revived_ones() -> list[revived.Revived]:
    return list(revived.find(revived.copies()))


def test_what_ended_is_brought_back_or_taken_away_by_no_program_of_the_site() -> None:
    alice = factories.customer()
    before = kept_keys(alice.pk)
    vault.keys.destroy([(alice.pk, "account")], now=NOW)
    (key,) = json.loads(before)
    for attack in (
        f"UPDATE vault_datakey SET destroyed_at = NULL, wrapped = '{key['wrapped']}' WHERE id = {key['id']}",
        f"UPDATE vault_datakey SET destroyed_at = now() + interval '1 day' WHERE id = {key['id']}",
        f"UPDATE vault_datakey SET superseded_by = 1 WHERE id = {key['id']}",
        f"UPDATE vault_datakey SET record = gen_random_uuid() WHERE id = {key['id']}",
        f"UPDATE vault_datakey SET id = 1 WHERE id = {key['id']}",
        f"DELETE FROM vault_datakey WHERE id = {key['id']}",
    ):
        with pytest.raises(InternalError, match="stays as it ended"):
            roles.run(attack, alias="keystore")
    assert vault.keys.is_destroyed(alice.pk, "account")


def test_keys_that_are_alive_again_are_named_and_ended_again_with_what_came_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    bobs = DataKey.objects.get(record=bob.pk, envelope="account")
    bob.last_name = "Brewer"
    bob.save()
    with vault.internal():
        assert Customer.objects.get(pk=bob.pk).last_name == "Brewer"
    replaced = DataKey.objects.get(pk=bobs.pk)
    assert replaced.destroyed_at is not None
    address = factories.address(alice)
    request = asked.confirmed(alice)
    rows = {"privacy_subject": alice.subject_id, "accounts_customer": alice.pk}
    backup = {table: row(table, number) for table, number in rows.items()}
    keys = json.loads(kept_keys(alice.pk, address.pk))
    asked.run(request, asked.Clock(NOW + timedelta(hours=1)))
    follow()
    assert revived_ones() == [] and verified() == []
    assert not Customer.objects.filter(pk=alice.pk).exists()

    bobs.superseded_by = replaced.superseded_by
    back = put_back(json.dumps(keys)) + put_back(f"[{_as_row(bobs)}]")
    for table, text in backup.items():
        row_back(table, text)
    with vault.internal():
        assert Customer.objects.get(pk=alice.pk).last_name == "Archer", "it opens again"

    assert len(revived_ones()) == back > 1
    assert [(one["code"], one["row"]) for one in verified()] == [("key_alive", f"{back} keys")]
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", verbosity=0, stdout=out)
    assert f"run replay_ledger ({back} keys)" in out.getvalue()
    assert tasks.sweep()["broken"] == back, "where the sweep only counts"
    arming.arm(actor=factories.TASK)
    found = tasks.sweep()["findings"]
    assert {(one["label"], one["error"]) for one in found} == {("vault.datakey", "AliveAgain")} and len(found) == back
    assert SweepState.objects.get().last_report["broken"] == back
    assert len(revived_ones()) == back, "the night ends none"
    with monkeypatch.context() as patched:
        patched.setattr(revived, "NAMED", 1)
        revived.note(few := Findings())
        assert len(few) == 1, "so that very many keep no report from being read"
    with databases.locked("vault_datakey"):
        revived.note(none := Findings())
    assert [(one.step, one.record, one.error) for one in none] == [("ledger", "all", "OperationalError")]

    dry = replay.replay(actor=SWEEP, now=datetime.now(UTC), dry_run=True)
    assert (dry.keys, dry.records) == (back, 1) and len(revived_ones()) == back
    out = StringIO()
    call_command("replay_ledger", verbosity=0, stdout=out)
    assert (
        f"0 missing lines, {back} keys alive again" in out.getvalue()
        and "1 envelope that stood again" in out.getvalue()
    )
    assert revived_ones() == [] and not Customer.objects.filter(pk=alice.pk).exists()
    assert [one for one in verified() if one["code"] == "key_alive"] == []
    told = DataKey.objects.filter(pk__in=[one["id"] for one in keys])
    assert all(one.destroyed_in is not None and one.wrapped is None for one in told)
    with vault.internal():
        assert Customer.objects.get(pk=bob.pk).last_name == "Brewer", "what took a key's place stays"
    again = replay.replay(actor=SWEEP, now=datetime.now(UTC))
    assert (again.keys, again.records, again.key_lines) == (0, 0, 0)


def _as_row(key: DataKey) -> str:
    """Return a key as its row was before it ended."""
    values = {one.attname: getattr(key, one.attname) for one in DataKey._meta.concrete_fields}
    return json.dumps({n: f"\\x{bytes(v).hex()}" if isinstance(v, bytes | memoryview) else v for n, v in values.items()},
                      default=str)  # fmt: skip


def test_only_the_programs_lines_end_a_key_and_all_of_them_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = factories.customer(), factories.customer()
    kept = kept_keys(alice.pk)
    vault.keys.destroy([(alice.pk, "account"), *((uuid4(), "account") for _ in range(9))], now=NOW)
    for _ in range(5):
        vault.keys.destroy([(uuid4(), "account")], now=NOW)
    follow()
    assert put_back(kept) == 1
    said = json.dumps({"pairs": ledger.content(Tombstone(kind="keys"), [_gone(bob)])["pairs"]})
    roles.run(
        "INSERT INTO privacy_ledgercopy (entry, kind, reference, at, counts, content, mac)"
        f" VALUES (gen_random_uuid(), 'keys', '', now(), '{{}}', '{said}', repeat('0', 64))"
    )
    for most in (revived.MOST, 1, 3):
        monkeypatch.setattr(revived, "MOST", most)
        assert [one.gone.record for one in revived_ones()] == [alice.pk]

    # the copy was taken away, and the signed file tells it
    LedgerCopy.objects.filter(entry=signed_file.last()).delete()
    replay.replay(actor=SWEEP, now=datetime.now(UTC))
    assert vault.keys.is_destroyed(alice.pk, "account") and vault.keys.living([(bob.pk, "account")])
    assert Client().get("/health/live/").status_code == 200


def test_a_dry_run_after_a_restore_of_the_key_store_counts_each_key_once() -> None:
    alice = factories.customer()
    kept = kept_keys(alice.pk)
    vault.keys.destroy([(alice.pk, "account")], now=NOW)
    follow()
    line = Tombstone.objects.order_by("seq")[0]
    with connections["keystore"].cursor() as cursor:
        cursor.execute(
            "SET session_replication_role = replica; DELETE FROM vault_tombstone WHERE seq = %s;"
            " RESET session_replication_role",
            [line.seq],
        )
    assert put_back(kept) == 1

    for dry_run in (True, False):
        report = replay.replay(actor=SWEEP, now=datetime.now(UTC), dry_run=dry_run)
        assert (report.key_lines, report.keys) == (1, 1)
    assert vault.keys.is_destroyed(alice.pk, "account") and Tombstone.objects.get(entry=line.entry)


def _gone(customer: Customer) -> ledger.Gone:
    number = DataKey.objects.get(record=customer.pk, envelope="account").pk
    return ledger.Gone(number, customer.pk, "account", "accounts.customer", True)
