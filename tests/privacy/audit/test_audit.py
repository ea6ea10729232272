"""Events cannot be changed, hold no values, and whatever a superuser does to them is named."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
import structlog
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from privacy import audit, gate, tasks, vault
from privacy.audit import AuditEvent, AuditLink, events, seals, verification
from privacy.audit.events import Happened
from privacy.gate import Actor
from privacy.models import AccessLink
from privacy.sweep import logs
from privacy.vault import ring
from privacy.vault.keystore import ledger
from tests import factories

NOW = factories.NOW
LATER = NOW + timedelta(seconds=10)
COLUMNS = (
    "at, action, actor_kind, actor, role, purpose, subject, label, record, fields, reason, reference, encoding, mac"
)
CAROL = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin")

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def checkpoint_folder(settings, tmp_path):
    settings.CHECKPOINT_DIR = tmp_path / "checkpoints"


def happen(count=10):
    for number in range(count):
        audit.record("order.corrected", actor=CAROL, now=NOW, fields=[f"field_{number}"])


def sealed(count=10):
    happen(count)
    assert audit.seal(now=NOW) == count
    assert audit.checkpoint(now=NOW)
    assert audit.verify(now=LATER).is_intact
    return list(AuditEvent.objects.order_by("pk").values_list("pk", flat=True))


def as_superuser(*statements):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def findings(now=LATER):
    return {(finding.code, finding.seq) for finding in audit.verify(now=now).findings}


# Writing --------------------------------------------------------------------------------------------------------------


def test_an_event_names_fields_and_no_values_and_people_by_pseudonym():
    alice = factories.customer()
    actor = factories.acting_as(alice)
    audit.record(
        "customer.corrected", actor=actor, now=NOW, subject=alice.subject_id, record=("accounts.customer", alice.pk),
        fields=("first_name",), reason="asked by alice@example.com", reference="PR-2026-000123",
    )  # fmt: skip
    event = AuditEvent.objects.get()

    assert event.fields == ["first_name"]
    assert event.reason == "asked by [e-mail]"
    assert event.subject == event.actor == vault.pseudonym(alice.subject_id)
    row = json.dumps(AuditEvent.objects.values().get(), default=str)
    for secret in (str(alice.subject_id), alice.subject_id.hex, str(alice.pk), alice.pk.hex, "Alice", "alice"):
        assert secret not in row


def test_staff_stand_in_an_event_by_number():
    audit.record("hold.placed", actor=CAROL, now=NOW)

    event = AuditEvent.objects.get()
    assert (event.actor_kind, event.actor, event.role) == ("staff", CAROL.id, "sales")


def test_history_finds_by_subject_record_and_reference():
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    audit.record(
        "a", actor=None, now=NOW, subject=alice.subject_id, record=("accounts.customer", alice.pk), reference="R1"
    )
    audit.record("b", actor=None, now=NOW, subject=bob.subject_id, record=("accounts.customer", bob.pk), reference="R2")

    assert [e.action for e in audit.history(subject=alice.subject_id)] == ["a"]
    assert [e.action for e in audit.history(record=("accounts.customer", bob.pk))] == ["b"]
    assert [e.action for e in audit.history(reference="R2")] == ["b"]


def test_an_event_goes_with_the_transaction_it_tells_of():
    with transaction.atomic():
        happen(1)
        assert AuditEvent.objects.count() == 1
        transaction.set_rollback(True)

    assert not AuditEvent.objects.exists()


def test_many_events_cost_as_many_statements_as_one(django_assert_num_queries):
    people = [factories.customer(email=f"a{number}@example.com").subject_id for number in range(30)]
    audit.record_many([Happened("warm", subject=one) for one in people], actor=None, now=NOW)  # their pseudonyms exist
    for count in (1, 30):
        with transaction.atomic(), django_assert_num_queries(1):
            assert (
                audit.record_many([Happened("x", subject=one) for one in people[:count]], actor=None, now=NOW) == count
            )


@pytest.mark.parametrize("model", [AuditEvent, AuditLink])
def test_nothing_can_be_changed_deleted_or_emptied(model):
    sealed(1)
    table = model._meta.db_table
    column = "action" if model is AuditEvent else "row_hash"
    for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert model.objects.count() == 1


def link_at(position, event):
    return (
        "INSERT INTO privacy_auditlink (position, event_id, row_hash, chain_hash, sealed_at, horizon)"
        f" VALUES ({position}, {event}, repeat('0', 64), repeat('0', 64), now(), '0')"
    )


def run(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("position", [2**63 - 1, 4, 2, 0, -1])
def test_a_link_that_does_not_follow_the_last_one_is_refused(position):
    sealed(2)
    happen(1)
    loose = AuditEvent.objects.latest("pk").pk

    with pytest.raises(DatabaseError, match=r"append-only|duplicate key"):
        run(link_at(position, loose))
    assert audit.seal(now=NOW) == 1
    assert audit.verify(now=LATER).is_intact
    happen(1)
    run(link_at(4, AuditEvent.objects.latest("pk").pk))  # the place that follows is taken: and named as forged
    assert {code for code, _ in findings()} == {"chain", "changed_after_seal"}


def test_links_of_one_statement_follow_one_another():
    sealed(1)
    happen(3)
    one, two, three = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True)[:3]
    columns = "repeat('0', 64), repeat('0', 64), now(), '0'::xid8"
    insert = "INSERT INTO privacy_auditlink (position, event_id, row_hash, chain_hash, sealed_at, horizon) VALUES "

    with pytest.raises(DatabaseError, match="a link follows the last one"):
        run(f"{insert} (2, {one}, {columns}), (3, {two}, {columns}), (5, {three}, {columns})")
    run(f"{insert} (4, {one}, {columns}), (2, {two}, {columns}), (3, {three}, {columns})")
    assert AuditLink.objects.count() == 4


def test_a_link_that_names_no_event_is_refused():
    sealed(1)

    with pytest.raises(DatabaseError, match="names a row that exists"):
        run(link_at(2, 999_999_999))


@pytest.mark.parametrize(
    ("at", "written"),
    [
        ("2026-11-20T04:00:00-05:00", "2026-11-20T09:00:00.000000Z"),
        ("2026-01-01T00:30:00.000001+01:00", "2025-12-31T23:30:00.000001Z"),
        ("1999-12-31T23:59:59.999999+00:00", "1999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_sealed_in_utc_to_the_microsecond_as_in_rows_of_before(at: str, written: str) -> None:
    assert audit.encoding.moment(datetime.fromisoformat(at)) == written


def test_a_value_is_sealed_as_in_rows_of_before() -> None:
    value = {"b": ["\u00df\u6e2c", '"\\\n\x1f\x7f\u2028', None, True, 2**70], "a": {"d": 1, "c": ""}}
    was = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    assert audit.encoding.dump(value) == was
    key = ring.derive("audit.event")
    assert audit.encoding.keyed("audit.event", was) == hmac.new(key, was, hashlib.sha256).hexdigest()


# Sealing --------------------------------------------------------------------------------------------------------------


def test_sealing_twice_is_sealing_once():
    happen(3)

    assert [audit.seal(now=NOW), audit.seal(now=NOW)] == [3, 0]
    assert list(AuditLink.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3]


def test_another_sealer_at_work_is_not_disturbed():
    happen(2)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [audit.AUDIT.lock])
            assert audit.seal(now=NOW) == 0
            cursor.execute("SELECT pg_advisory_unlock(%s)", [audit.AUDIT.lock])
    finally:
        other.close()
    assert audit.seal(now=NOW) == 2


def test_an_event_whose_transaction_still_runs_is_sealed_afterwards():
    early = connection.copy()
    try:
        with early.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_current_xact_id()")  # a transaction that may still write
        happen(2)
        assert audit.seal(now=NOW) == 0
        early.close()
        assert audit.seal(now=NOW) == 2
    finally:
        early.close()
    assert audit.verify(now=LATER).is_intact


def test_events_of_a_restored_dump_are_sealed_too():
    happen(2)
    as_superuser("UPDATE privacy_auditevent SET xid = '4611686018427387904'")

    assert audit.seal(now=NOW) == 2
    happen(1)
    assert audit.seal(now=NOW) == 1
    assert audit.verify(now=LATER).is_intact


def test_a_large_backlog_is_sealed_in_batches(monkeypatch):
    monkeypatch.setattr(seals, "BATCH", 4)
    happen(10)

    assert audit.seal(now=NOW) == 10
    assert audit.verify(now=LATER).is_intact


def test_an_event_with_an_earlier_number_that_is_committed_amid_a_backlog_is_sealed_in_the_same_run(monkeypatch):
    monkeypatch.setattr(seals, "BATCH", 4)
    happen(1)  # its number is taken below, before all others
    happen(10)
    first, *_, last = AuditEvent.objects.order_by("pk").values_list("pk", flat=True)
    as_superuser(f"DELETE FROM privacy_auditevent WHERE id = {first}")
    real, looks = seals._seal_batch, []

    def and_then_it_comes(chain, now, after):
        looks.append(after)
        numbers = real(chain, now, after)
        if len(looks) == 1:
            happen(1)
            as_superuser(f"UPDATE privacy_auditevent SET id = {first} WHERE id > {last}")
        return numbers

    monkeypatch.setattr(seals, "_seal_batch", and_then_it_comes)
    assert audit.seal(now=NOW) == 11
    assert looks == [None, first + 4, first + 8, None]
    newest = AuditLink.objects.latest("position")
    assert newest.horizon > AuditLink.objects.earliest("position").horizon, "the next run need not read all this again"
    assert audit.verify(now=LATER).is_intact


def test_a_checkpoint_is_written_once_for_each_head():
    assert audit.checkpoint(now=NOW) is None
    happen(1)
    audit.seal(now=NOW)

    assert audit.checkpoint(now=NOW)["position"] == 1
    assert audit.checkpoint(now=LATER) is None
    assert seals.file().stat().st_mode & 0o777 == 0o600


# Tampering ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    ["action = 'other'", "at = at + interval '1 hour'", "actor = 'x'", "subject = 'x'", "fields = '[\"y\"]'",
     "reason = 'x'",
     "role = ''", "reference = 'x'", "mac = repeat('0', 64)", "encoding = 2", "xid = '5'"],
)  # fmt: skip
def test_an_edited_row_is_named(change):
    numbers = sealed()
    as_superuser(f"UPDATE privacy_auditevent SET {change} WHERE id = {numbers[4]}")

    report = audit.verify(now=LATER)
    assert report.first_bad == numbers[4]
    assert {finding.code for finding in report.findings} <= {"edited", "changed_after_seal"}


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_deleted_row_is_named(place):
    numbers = sealed()
    as_superuser(f"DELETE FROM privacy_auditevent WHERE id = {numbers[place]}")

    assert findings() == {("missing", numbers[place])}


def test_two_swapped_rows_are_named():
    numbers = sealed()
    one, other = numbers[2], numbers[6]
    as_superuser(
        f"UPDATE privacy_auditevent SET id = -1 WHERE id = {one}",
        f"UPDATE privacy_auditevent SET id = {one} WHERE id = {other}",
        f"UPDATE privacy_auditevent SET id = {other} WHERE id = -1",
    )

    assert findings() == {("changed_after_seal", one), ("changed_after_seal", other)}


def test_a_tail_cut_off_with_its_links_is_named_by_the_checkpoint():
    numbers = sealed()
    as_superuser(
        f"DELETE FROM privacy_auditevent WHERE id > {numbers[6]}",
        f"DELETE FROM privacy_auditlink WHERE event_id > {numbers[6]}",
    )

    assert findings() == {("checkpoint", numbers[9])}


def test_a_row_deleted_with_its_link_is_a_gap():
    numbers = sealed()
    as_superuser(
        f"DELETE FROM privacy_auditevent WHERE id = {numbers[4]}",
        f"DELETE FROM privacy_auditlink WHERE event_id = {numbers[4]}",
    )

    report = audit.verify(now=LATER)
    assert ("gap", 5) in {(finding.code, finding.position) for finding in report.findings}
    assert ("chain", numbers[5]) in findings()


def test_an_inserted_row_is_named_before_and_after_it_is_sealed():
    sealed()
    columns = COLUMNS
    as_superuser(
        f"INSERT INTO privacy_auditevent (event, {columns})"
        f" SELECT gen_random_uuid(), {columns} FROM privacy_auditevent LIMIT 1"
    )
    forged = AuditEvent.objects.latest("pk").pk

    assert findings() == {("inserted", forged)}
    audit.seal(now=LATER)
    assert findings() == {("inserted", forged)}


def test_a_copied_row_is_named():
    sealed()
    columns = f"event, {COLUMNS}"
    as_superuser(
        "ALTER TABLE privacy_auditevent DROP CONSTRAINT audit_event_once",
        f"INSERT INTO privacy_auditevent ({columns}) SELECT {columns} FROM privacy_auditevent ORDER BY id LIMIT 1",
    )
    try:
        copied = AuditEvent.objects.latest("pk").pk
        audit.seal(now=LATER)
        assert findings() == {("duplicate", copied)}
    finally:
        as_superuser(f"DELETE FROM privacy_auditevent WHERE id = {copied}")
        as_superuser("ALTER TABLE privacy_auditevent ADD CONSTRAINT audit_event_once UNIQUE (event)")


def test_a_chain_made_anew_without_the_key_is_named():
    numbers = sealed()
    as_superuser(
        f"DELETE FROM privacy_auditevent WHERE id = {numbers[0]}",
        "DELETE FROM privacy_auditlink WHERE position = 1",
        "UPDATE privacy_auditlink SET position = -position",
        "UPDATE privacy_auditlink SET position = -position - 1",
    )

    codes = {code for code, _ in findings()}
    assert {"chain", "checkpoint"} <= codes


def test_a_link_far_away_that_a_superuser_put_in_is_one_gap_and_stops_not_the_other_log():
    numbers = sealed(2)
    happen(1)
    as_superuser(link_at(2**63 - 1, 999_999_999))

    report = audit.verify(now=LATER)
    gaps = [one for one in report.findings if one.code == "gap"]
    assert [(one.position, one.until) for one in gaps] == [(3, 2**63 - 2)]
    assert str(gaps[0]) == f"The chain has no link here (event unknown, positions 3 to {2**63 - 2})"
    assert report.first_bad == 999_999_999 and numbers
    gate.log.write([gate.log.Opening(CAROL, ("subject", uuid4()), {"accounts.customer/account": [uuid4()]})], now=NOW)
    with structlog.testing.capture_logs() as logs:
        assert tasks.seal_audit() == 1
        assert tasks.checkpoint_audit() is True
    assert {(one["event"], one["chain"], one["log_level"]) for one in logs} == {("chain.failed", "audit", "error")}
    assert AccessLink.objects.count() == 1
    assert seals.checkpoints(gate.log.CHAIN)


def test_how_far_a_link_says_it_sealed_cannot_be_changed_unseen():
    numbers = sealed()
    as_superuser(f"UPDATE privacy_auditlink SET horizon = '9' WHERE event_id = {numbers[4]}")

    assert findings() == {("chain", numbers[4])}


def test_a_link_of_a_release_that_did_not_seal_its_horizon_still_verifies(monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(audit.encoding.chain_hash, "__defaults__", (1,))
        happen(3)
        audit.seal(now=NOW)
    numbers = sealed(3)

    assert audit.verify(now=LATER).is_intact
    as_superuser("UPDATE privacy_auditlink SET sealed_at = '2000-01-01' WHERE position = 2")
    assert findings() == {("chain", numbers[1])}


def test_a_sealer_that_is_not_running_is_said_in_one_line():
    happen(3)

    assert audit.verify(now=NOW + timedelta(seconds=60)).behind == []
    report = audit.verify(now=NOW + timedelta(seconds=61))
    assert report.is_intact
    assert [str(one) for one in report.behind] == [
        "The sealer is not running, or has only just begun: 3 rows not sealed after a minute, the oldest since 2026-11-20 15:00 UTC"
    ]


def test_a_chain_that_goes_on_for_long_without_a_checkpoint_is_said():
    sealed(2)
    happen(3)
    audit.seal(now=NOW)

    assert audit.verify(now=NOW + timedelta(hours=3)).behind == []
    late = audit.verify(now=NOW + timedelta(hours=3, seconds=1)).behind
    assert [(one.code, one.count, one.since) for one in late] == [("checkpoints", 3, NOW)]
    audit.checkpoint(now=LATER)
    assert audit.verify(now=NOW + timedelta(days=1)).behind == []


def test_a_tail_cut_off_with_its_checkpoints_is_named_by_the_ledger_of_erasures():
    sealed(3)
    audit.record("request.executed", actor=None, now=NOW, reference="PR-2026-000001")
    ledger.tombstone("PR-2026-000001", counts={}, now=NOW, content={"audited": True})
    ledger.tombstone("PR-2020-000002", counts={}, now=NOW, content={})  # of a release that did not write the event
    audit.seal(now=NOW)
    kept = seals.file().read_bytes()
    audit.checkpoint(now=LATER)
    much_later = NOW + timedelta(minutes=5)
    assert audit.verify(now=much_later).is_intact

    as_superuser("DELETE FROM privacy_auditevent WHERE id > (SELECT event_id FROM privacy_auditlink WHERE position = 3)",
                 "DELETE FROM privacy_auditlink WHERE position > 3")  # fmt: skip
    seals.file().write_bytes(kept)
    assert findings(much_later) == {("ledger", "PR-2026-000001")}


def test_a_row_of_an_encoding_that_nobody_knows_is_sealed_as_such_and_named():
    happen(2)
    first = AuditEvent.objects.earliest("pk").pk
    as_superuser(f"UPDATE privacy_auditevent SET encoding = 9 WHERE id = {first}")

    assert audit.seal(now=NOW) == 2
    assert findings() == {("edited", first)}


def test_a_report_counts_all_and_names_the_first_hundred():
    report = audit.Report()
    for number in range(150):
        report.add("missing", number)
    assert (report.wrong, len(report.findings), report.is_intact) == (150, 100, False)


def test_an_unsealed_event_that_was_edited_is_named():
    happen(1)
    as_superuser("UPDATE privacy_auditevent SET action = 'other'")

    assert findings() == {("inserted", AuditEvent.objects.get().pk)}


@pytest.mark.parametrize("damage", ["forged", "removed", "not json", "not signed"])
def test_a_checkpoint_file_that_was_changed_is_named(damage):
    sealed(3)
    happen(1)
    audit.seal(now=NOW)
    audit.checkpoint(now=LATER)
    path = seals.file()
    lines = path.read_text().splitlines()
    changed = {
        "forged": [lines[0].replace('"position": 3', '"position": 2'), lines[1]],
        "removed": lines[1:],
        "not json": ["?", lines[1]],
        "not signed": ['{"position": 3}', lines[1]],
    }[damage]
    path.write_text("\n".join(changed) + "\n")

    assert "checkpoint_signature" in {code for code, _ in findings()}


def test_the_chain_verifies_after_a_subject_was_erased():
    alice = factories.customer()
    audit.record("customer.corrected", actor=factories.acting_as(alice), now=NOW, subject=alice.subject_id)
    audit.seal(now=NOW)
    vault.keys.destroy([(alice.subject_id, "pseudonym")], now=NOW)

    assert audit.verify(now=LATER).is_intact
    assert not audit.history(subject=alice.subject_id).exists()


def test_an_event_about_an_erased_subject_names_nobody():
    alice = factories.customer()
    vault.pseudonym(alice.subject_id)
    vault.keys.destroy([(alice.subject_id, "pseudonym")], now=NOW)
    audit.record("letter.sent", actor=factories.acting_as(alice), now=NOW, subject=alice.subject_id, reference="R")

    event = AuditEvent.objects.get()
    assert (event.subject, event.actor) == ("", "")


def test_events_end_after_three_years_and_the_chain_still_verifies():
    long_ago = timezone.now() - timedelta(days=3 * 366 + 2)
    audit.record("old", actor=None, now=long_ago)
    audit.seal(now=long_ago)
    happen(1)
    audit.seal(now=NOW)
    audit.checkpoint(now=NOW)

    assert [logs.end(now=timezone.now()), logs.end(now=timezone.now())] == [1, 0]
    report = audit.verify(now=timezone.now())
    assert (report.is_intact, report.ended, report.events, report.links) == (True, 1, 1, 1)


def test_no_event_ends_before_its_three_years():
    sealed(1)

    with pytest.raises(DatabaseError, match="append-only"):
        logs.end(now=timezone.now() + timedelta(days=2000))
    assert AuditEvent.objects.count() == 1


def test_a_link_made_older_does_not_excuse_a_missing_row():
    numbers = sealed()
    as_superuser(
        f"DELETE FROM privacy_auditevent WHERE id = {numbers[4]}",
        f"UPDATE privacy_auditlink SET sealed_at = '2000-01-01' WHERE event_id = {numbers[4]}",
    )

    assert ("chain", numbers[4]) in findings()


def test_the_command_names_the_first_bad_row_and_exits_with_one(monkeypatch):
    numbers = sealed()
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert out.getvalue() == "10 events, 10 links, 1 checkpoint: intact.\n0 openings, 0 links, 0 checkpoints: intact.\n"

    as_superuser(f"UPDATE privacy_auditevent SET action = 'x' WHERE id IN ({numbers[7]}, {numbers[3]})")
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("verify_audit", "--json", stdout=out)
    assert caught.value.code == 1
    report, _ = json.loads(out.getvalue())["logs"]
    assert (report["intact"], report["first_bad"], report["wrong"]) == (False, numbers[3], 2)
    monkeypatch.setattr(verification, "NAMED", 1)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    first, more, counts, _ = out.getvalue().splitlines()
    assert first.startswith("The row is not what ") and (more, counts) == (
        "... and 1 more.", f"10 events, 10 links, 1 checkpoint: 2 wrong, the first at event {numbers[3]}."
    )  # fmt: skip


def test_the_command_ends_with_three_when_nothing_is_wrong_but_the_sealer_is_behind():
    audit.record("x", actor=None, now=timezone.now() - timedelta(hours=1))
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("verify_audit", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert (caught.value.code, report["intact"], report["behind"]) == (3, True, True)
    assert [(one["log"], [late["code"] for late in one["behind"]]) for one in report["logs"]] == [
        ("audit", ["sealer"]), ("access", [])
    ]  # fmt: skip


def test_the_command_says_in_one_line_that_the_sealer_is_not_running():
    """Both logs wait for the same program: one line, however many of them are behind."""
    an_hour_ago = timezone.now() - timedelta(hours=1)
    for number in range(2):
        audit.record(f"x{number}", actor=None, now=an_hour_ago)
    alice = factories.customer("Alice", "Archer")
    what = {"accounts.customer/account": [alice.pk]}
    gate.log.write([gate.log.Opening(CAROL, ("subject", alice.subject_id), what, "open order")], now=an_hour_ago)
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("verify_audit", stdout=out)
    said = [line for line in out.getvalue().splitlines() if "sealer" in line]
    assert caught.value.code == 3 and len(said) == 1
    assert said[0].startswith("The sealer is not running, or has only just begun: 3 rows not sealed after a minute")


def test_reasons_of_actors_are_not_taken_from_values():
    events_before = AuditEvent.objects.count()
    audit.record("x", actor=replace(CAROL, reason="alice@example.com"), now=NOW)

    assert AuditEvent.objects.count() == events_before + 1
    assert AuditEvent.objects.latest("pk").reason == ""
    assert events._who(None, {}) == ""


@pytest.mark.django_db
def test_the_hash_of_a_plan_is_kept_whole_whatever_digits_it_holds() -> None:
    plan_hash = "9785550123" + "a1" * 27
    audit.record("request.confirmed", actor=None, now=NOW, reason=plan_hash)
    assert AuditEvent.objects.get().reason == plan_hash
